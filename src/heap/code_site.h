/* Places in the code, as reports of wrong uses name them. */
#pragma once

#include "runtime/base/types.h"

#define CODE_SITE_BYTES 96

/* "; allocated by edu_probe+0x1c" for what = "allocated by", or nothing if `site` is NULL. Returns `text`. */
const char *code_site_format(char text[CODE_SITE_BYTES], const char *what, const void *site);
