#include "code_site.h"

#include "runtime/base/format.h"
#include "runtime/base/platform.h"

#define NAME_BYTES 64

const char *code_site_format(char text[CODE_SITE_BYTES], const char *what, const void *site)
{
	char name[NAME_BYTES];

	text[0] = '\0';
	if (site)
		format_text(text, CODE_SITE_BYTES, "; %s %s", what, platform_code_name(name, sizeof(name), site));
	return text;
}
