// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two tables say what a rule may have: selectors, and settings with their ranges. A text is cut
 * into words, and each word is looked up by what stands before its "=".
 */
#include "volume_rules.h"

#include "runtime/base/format.h"
#include "runtime/base/nearest.h"
#include "runtime/base/string.h"

static const char *const selector_words[VOLUME_SELECTORS] = {
	[VOLUME_NAME] = "name=",
	[VOLUME_SERIAL] = "serial=",
	[VOLUME_LABEL] = "label=",
	[VOLUME_GUID] = "guid=",
};

static const struct {
	const char *word;
	uint64_t most;
	const char *range;
} settings_known[VOLUME_SETTINGS] = {
	[VOLUME_PREFERENCE] = { "preference=", 100, "0 (gives first) to 100 (gives last)" },
	[VOLUME_CACHE_MIN] = { "cache_min=", UINT64_MAX, "a number of bytes, as 64M or 1G" },
	[VOLUME_RETAIN] = { "retain=", 64 * MIB, "a number of bytes up to 64M" },
	[VOLUME_READ_ONLY] = { "read_only=", 1, "0 or 1" },
	[VOLUME_WHOLE] = { "whole=", 1, "0 or 1" },
};

const char *volume_setting_word(enum volume_setting setting)
{
	return settings_known[setting].word;
}

void volume_rule_init(struct volume_rule *rule)
{
	memset(rule, 0, sizeof(*rule));
}

/* What stands behind `prefix`, if the word begins with it. */
static const char *value_behind(const char *word, const char *prefix)
{
	return strncmp(word, prefix, strlen(prefix)) == 0 ? word + strlen(prefix) : NULL;
}

static status_t add_selector(struct volume_rule *rule, unsigned selector, const char *word, const char *value)
{
	if (*value == '\0' || strlen(value) >= VOLUME_RULE_TEXT) {
		(void)format_text(rule->error, sizeof(rule->error), "%s: a name has 1 to %d letters", word,
				  VOLUME_RULE_TEXT - 1);
		return STATUS_INVALID;
	}
	memcpy(rule->selectors[selector], value, strlen(value) + 1);
	return STATUS_OK;
}

static status_t add_setting(struct volume_rule *rule, unsigned setting, const char *word, const char *value)
{
	if (parse_number(value, &rule->values[setting]) != STATUS_OK || rule->values[setting] > settings_known[setting].most) {
		(void)format_text(rule->error, sizeof(rule->error), "%s: it is %s", word, settings_known[setting].range);
		return STATUS_INVALID;
	}
	rule->set |= 1u << setting;
	return STATUS_OK;
}

static status_t refuse_unknown(struct volume_rule *rule, const char *word)
{
	char key[VOLUME_RULE_TEXT];
	const size_t length = MIN((size_t)(strchr(word, '=') - word), sizeof(key) - 2);
	struct nearest nearest;

	memcpy(key, word, length);
	memcpy(key + length, "=", 2);
	nearest_init(&nearest, key);
	for (unsigned i = 0; i < VOLUME_SETTINGS; i++)
		nearest_offer(&nearest, settings_known[i].word);
	for (unsigned i = 0; i < VOLUME_SELECTORS; i++)
		nearest_offer(&nearest, selector_words[i]);
	(void)format_text(rule->error, sizeof(rule->error), "there is no %s; the nearest one is %s", key, nearest.found);
	return STATUS_INVALID;
}

status_t volume_rule_add(struct volume_rule *rule, const char *word)
{
	const char *value;

	for (unsigned i = 0; i < VOLUME_SELECTORS; i++)
		if ((value = value_behind(word, selector_words[i])) != NULL)
			return add_selector(rule, i, word, value);
	for (unsigned i = 0; i < VOLUME_SETTINGS; i++)
		if ((value = value_behind(word, settings_known[i].word)) != NULL)
			return add_setting(rule, i, word, value);
	if (strchr(word, '='))
		return refuse_unknown(rule, word);
	if (rule->selectors[VOLUME_ANY][0] == '\0')
		return add_selector(rule, VOLUME_ANY, word, word);
	(void)format_text(rule->error, sizeof(rule->error), "%s: a setting is a word with \"=\", as preference=10", word);
	return STATUS_INVALID;
}

status_t volume_rule_check(struct volume_rule *rule)
{
	const char *lacks = rule->set == 0 ? "a rule sets something, as preference=10 or cache_min=1G" : NULL;
	bool selects = false;

	for (unsigned i = 0; i <= VOLUME_SELECTORS; i++)
		selects |= rule->selectors[i][0] != '\0';
	if (!selects)
		lacks = "a rule begins with the volume that it is for: a name, or serial=, label= or guid=";
	if (lacks)
		(void)format_text(rule->error, sizeof(rule->error), "%s", lacks);
	return lacks ? STATUS_INVALID : STATUS_OK;
}

/* Text ----------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Takes a word off *text, and its quotes off the word. False: a quote does not end, or the word
 * does not fit, and is cut.
 */
static bool word_take(const char **text, char *word, size_t size)
{
	bool quoted = false, fits = true;
	size_t length = 0;

	for (; **text != '\0' && (quoted || (!is_blank(**text) && **text != ';')); ++*text) {
		if (**text == '\'')
			quoted = !quoted;
		else if (length < size - 1)
			word[length++] = **text;
		else
			fits = false;
	}
	word[length] = '\0';
	return fits && !quoted;
}

status_t volume_rule_next(const char **text, struct volume_rule *rule)
{
	char word[2 * VOLUME_RULE_TEXT] = "";
	status_t status = STATUS_OK;

	volume_rule_init(rule);
	while (is_blank(**text) || **text == ';')
		++*text;
	if (**text == '\0')
		return STATUS_NOT_FOUND;
	while (**text != '\0' && **text != ';') {
		const bool ends = word_take(text, word, sizeof(word));

		if (!ends && status == STATUS_OK)
			(void)format_text(rule->error, sizeof(rule->error),
					  "%s: a quote is not closed, or the word is too long", word);
		if (!ends)
			status = STATUS_INVALID;
		if (status == STATUS_OK)
			status = volume_rule_add(rule, word);
		while (is_blank(**text))
			++*text;
	}
	return status == STATUS_OK ? volume_rule_check(rule) : status;
}

/* Matching ------------------------------------------------------------------------------------- */

static char lower(char c)
{
	return c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
}

/* The digits of a GUID are written either way. */
static bool is_guid(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) == lower(*b);
}

static bool is_called(const struct volume_names *names, unsigned selector, const char *name)
{
	const char *own = names->names[selector];

	if (selector == VOLUME_NAME && strcmp(names->volume, name) == 0)
		return true;
	return selector == VOLUME_GUID ? is_guid(own, name) : strcmp(own, name) == 0;
}

bool volume_rule_fits(const struct volume_rule *rule, const struct volume_names *names)
{
	bool any = rule->selectors[VOLUME_ANY][0] == '\0';

	for (unsigned i = 0; i < VOLUME_SELECTORS; i++) {
		if (rule->selectors[i][0] != '\0' && !is_called(names, i, rule->selectors[i]))
			return false;
		any = any || is_called(names, i, rule->selectors[VOLUME_ANY]);
	}
	return any;
}

static uint64_t value_or(const struct volume_rule *rule, enum volume_setting setting, uint64_t otherwise)
{
	return rule->set & (1u << setting) ? rule->values[setting] : otherwise;
}

void volume_rule_apply(const struct volume_rule *rule, struct volume_settings *settings)
{
	struct volume_config *config = &settings->config;

	config->preference = (unsigned)value_or(rule, VOLUME_PREFERENCE, config->preference);
	config->keep_bytes = value_or(rule, VOLUME_CACHE_MIN, config->keep_bytes);
	config->retain_bytes = value_or(rule, VOLUME_RETAIN, config->retain_bytes);
	config->read_only = value_or(rule, VOLUME_READ_ONLY, config->read_only);
	settings->whole = value_or(rule, VOLUME_WHOLE, settings->whole);
}

void volume_rules_apply(const char *text, const struct volume_names *names, struct volume_settings *settings)
{
	struct volume_rule rule;
	status_t status;

	while ((status = volume_rule_next(&text, &rule)) != STATUS_NOT_FOUND)
		if (status == STATUS_OK && volume_rule_fits(&rule, names))
			volume_rule_apply(&rule, settings);
}
