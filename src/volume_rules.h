// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rules for volumes: text that says what certain volumes have instead of the defaults. The same
 * text stands in config.h (PAGECACHE_VOLUMES), on the command line (volumes="..."), and behind the
 * monitor's `volumes set`.
 *
 *	text     = rule { ";" rule }                      "serial=S1234 preference=0; label='My data' cache_min=1G retain=0"
 *	rule     = selector { selector } setting { setting }
 *	selector = NAME | name=NAME | serial=TEXT | label=TEXT | guid=GUID
 *	setting  = preference=0..100 | cache_min=BYTES | retain=0..64M | read_only=0|1 | whole=0|1
 *
 * Words are separated by blanks; 'single quotes' hold blanks and semicolons together. name= is the
 * name of a volume, or of a disk, which stands for all volumes on it; NAME alone may be any of the
 * four. All selectors of a rule have to fit. Where several rules fit a volume, each goes before
 * those in front of it. A rule with an error is not applied at all.
 */
#pragma once

#include "pagecache/volume.h"

enum volume_selector {
	VOLUME_NAME,
	VOLUME_SERIAL,
	VOLUME_LABEL,
	VOLUME_GUID,
	VOLUME_SELECTORS,
	VOLUME_ANY = VOLUME_SELECTORS, /* NAME alone */
};

/* What a volume is called; "" where it has no such name. */
struct volume_names {
	const char *volume;                  /* "virtio0p2" */
	const char *names[VOLUME_SELECTORS]; /* the disk's name, its serial number; the partition's label and GUID */
};

enum volume_setting {
	VOLUME_PREFERENCE,
	VOLUME_CACHE_MIN,
	VOLUME_RETAIN,
	VOLUME_RUNNING, /* those before can be set while the volume is attached */
	VOLUME_READ_ONLY = VOLUME_RUNNING,
	VOLUME_WHOLE, /* of a disk: it is one volume, even if it has partitions */
	VOLUME_SETTINGS,
};

struct volume_settings {
	struct volume_config config;
	bool whole;
};

#define VOLUME_RULE_TEXT  128
#define VOLUME_RULE_ERROR 256

struct volume_rule {
	char selectors[VOLUME_SELECTORS + 1][VOLUME_RULE_TEXT]; /* "": this one does not matter */
	uint64_t values[VOLUME_SETTINGS];
	unsigned set; /* bits of values that are given */
	char error[VOLUME_RULE_ERROR];
};

void volume_rule_init(struct volume_rule *rule);

/*
 * Adds one word, without quotes. STATUS_INVALID: it is no word of a rule; rule->error says why, and
 * what would be.
 */
status_t volume_rule_add(struct volume_rule *rule, const char *word) MUST_CHECK;

/*
 * Whether the rule is whole. STATUS_INVALID, and rule->error: it fits every volume, or sets
 * nothing.
 */
status_t volume_rule_check(struct volume_rule *rule) MUST_CHECK;

/*
 * Reads the next rule of *text, which moves behind it. STATUS_NOT_FOUND: there is none.
 * STATUS_INVALID: it has an error, which is in rule->error; *text is behind the whole rule all the
 * same.
 */
status_t volume_rule_next(const char **text, struct volume_rule *rule) MUST_CHECK;

bool volume_rule_fits(const struct volume_rule *rule, const struct volume_names *names);
void volume_rule_apply(const struct volume_rule *rule, struct volume_settings *settings);

/* Applies those rules of the text that fit, and have no error. */
void volume_rules_apply(const char *text, const struct volume_names *names, struct volume_settings *settings);

/* The words that a setting begins with, as "cache_min=". */
const char *volume_setting_word(enum volume_setting setting);
