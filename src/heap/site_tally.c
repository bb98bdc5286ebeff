#include "site_tally.h"

#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"

#define NAME_BYTES 64
#define LINE_BYTES 192

static void sum_add(struct site_sum *sum, uint64_t objects, uint64_t bytes)
{
	sum->objects += objects;
	sum->bytes += bytes;
}

void site_tally_add(struct site_tally *tally, const void *site, uint64_t objects, uint64_t bytes)
{
	for (unsigned i = 0; i < tally->count; i++) {
		if (tally->sums[i].site == site) {
			sum_add(&tally->sums[i], objects, bytes);
			return;
		}
	}
	if (tally->count == SITE_TALLY_MAX)
		sum_add(&tally->others, objects, bytes);
	else
		tally->sums[tally->count++] = (struct site_sum){ site, objects, bytes };
}

/* There are few. */
static void sort(struct site_tally *tally)
{
	for (unsigned i = 1; i < tally->count; i++) {
		const struct site_sum sum = tally->sums[i];
		unsigned place = i;

		for (; place > 0 && tally->sums[place - 1].bytes < sum.bytes; place--)
			tally->sums[place] = tally->sums[place - 1];
		tally->sums[place] = sum;
	}
}

static void sum_write(const struct site_sum *sum, const char *prefix, const char *who, void (*line)(const char *text))
{
	char text[LINE_BYTES];

	if (sum->objects == 0)
		return;
	format_text(text, sizeof(text), "%s%llu objects, %llu bytes, allocated by %s", prefix, (unsigned long long)sum->objects,
		    (unsigned long long)sum->bytes, who);
	line(text);
}

void site_tally_write(struct site_tally *tally, const char *prefix, void (*line)(const char *text))
{
	char name[NAME_BYTES];

	sort(tally);
	for (unsigned i = 0; i < tally->count; i++) {
		const struct site_sum *sum = &tally->sums[i];

		sum_write(sum, prefix, sum->site ? platform_code_name(name, sizeof(name), sum->site) : "somebody", line);
	}
	sum_write(&tally->others, prefix, "others", line);
}

void site_tally_print(const char *text)
{
	print("%s\n", text);
}

void site_tally_log_error(const char *text)
{
	log_error("%s", text);
}
