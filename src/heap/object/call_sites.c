// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sums by call site, and how a call site is printed. The sums are an unsorted list of a fixed
 * length; the line that is written next is looked for in the list, since the list is short.
 */
#include "call_sites.h"

#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"

#define NAME_BYTES 64
#define LINE_BYTES 192

const char *code_site_format(char text[CODE_SITE_BYTES], const char *what, const void *site)
{
	char name[NAME_BYTES];

	text[0] = '\0';
	if (site)
		format_text(text, CODE_SITE_BYTES, "; %s %s", what, platform_code_name(name, sizeof(name), site));
	return text;
}

void call_sites_add(struct call_sites *sites, const void *site, uint64_t objects, uint64_t bytes)
{
	struct site_sum *sum = sites->sums;

	sites->all.objects += objects;
	sites->all.bytes += bytes;
	while (sum < &sites->sums[CALL_SITES_MAX] && sum->objects > 0 && sum->site != site)
		sum++;
	sum->site = site;
	sum->objects += objects;
	sum->bytes += bytes;
}

void call_sites_write(struct call_sites *sites, const char *prefix, void (*line)(const char *text))
{
	struct site_sum *const others = &sites->sums[CALL_SITES_MAX];
	char text[LINE_BYTES], name[NAME_BYTES];

	for (;;) {
		struct site_sum *most = others;

		for (struct site_sum *sum = sites->sums; sum < others; sum++)
			if (sum->objects > 0 && (most == others || sum->bytes > most->bytes))
				most = sum;
		if (most->objects == 0)
			return;
		const char *who = most->site ? platform_code_name(name, sizeof(name), most->site) : "unknown code";
		format_text(text, sizeof(text), "%s%llu objects, %llu bytes, allocated by %s", prefix,
			    (unsigned long long)most->objects, (unsigned long long)most->bytes,
			    most == others ? "others" : who);
		line(text);
		most->objects = 0;
	}
}

void call_sites_print(const char *text)
{
	print("%s\n", text);
}

void call_sites_log_error(const char *text)
{
	log_error("%s", text);
}
