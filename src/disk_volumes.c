// SPDX-License-Identifier: BSD-2-Clause
/*
 * Volumes of disks, with the names that rules and people know them by. The page cache knows a
 * volume by its own name only; what else it is called is kept beside it, in a struct named_volume.
 */
#include "disk_volumes.h"

#include "heap/memory.h"
#include "block/partition.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/nearest.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

#define LABEL_BYTES (3 * PARTITION_LABEL_UNITS + 1)
#define GUID_BYTES  37

struct named_volume {
	struct volume volume;
	char label[LABEL_BYTES];
	char guid[GUID_BYTES];
	struct list link;
};

/* Names ---------------------------------------------------------------------------------------- */

/*
 * UTF-8 of what the table has as UTF-16, of which no letter needs a pair. No control character:
 * terminals would obey it.
 */
static void label_format(char *text, const uint16_t *units)
{
	for (unsigned i = 0; i < PARTITION_LABEL_UNITS && units[i] != 0; i++) {
		const bool controls = units[i] < ' ' || (units[i] >= 0x7f && units[i] < 0xa0);
		const uint16_t unit = controls || (units[i] >= 0xd800 && units[i] < 0xe000) ? '?' : units[i];

		if (unit >= 0x800)
			*text++ = (char)(0xe0 | unit >> 12);
		if (unit >= 0x80)
			*text++ = (char)(unit >= 0x800 ? 0x80 | (unit >> 6 & 0x3f) : 0xc0 | unit >> 6);
		*text++ = (char)(unit >= 0x80 ? 0x80 | (unit & 0x3f) : unit);
	}
	*text = '\0';
}

/*
 * The first three parts are numbers, least significant byte first. UEFI specification 2.10,
 * appendix A.
 */
static void guid_format(char text[GUID_BYTES], const uint8_t *guid)
{
	static const uint8_t order[] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	text[0] = '\0';
	for (unsigned i = 0; i < sizeof(order) && !memory_is_filled(guid, 0, sizeof(order)); i++)
		text += format_text(text, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", guid[order[i]]);
}

static struct volume_names names_of(const struct volumes *volumes, const struct volume *volume)
{
	struct volume_names names = { volume_name(volume),
				      { volume_device(volume)->name, volume_device(volume)->serial, "", "" } };

	list_for_each (link, &volumes->attached) {
		const struct named_volume *named = container_of(link, struct named_volume, link);

		if (&named->volume == volume) {
			names.names[VOLUME_LABEL] = named->label;
			names.names[VOLUME_GUID] = named->guid;
		}
	}
	return names;
}

/* "there is no volume data; the nearest name is date": for a rule that fits none. */
static const char *nothing_fits(struct volumes *volumes, const struct volume_rule *rule, char text[VOLUME_RULE_ERROR])
{
	char found[VOLUME_RULE_TEXT] = "none";
	unsigned selector = VOLUME_ANY;
	struct volume *volume = NULL;
	struct nearest nearest;

	for (unsigned i = 0; i < VOLUME_SELECTORS; i++)
		if (rule->selectors[i][0] != '\0')
			selector = i;
	nearest_init(&nearest, rule->selectors[selector]);
	while ((volume = volume_next(volumes->pagecache, volume)) != NULL) {
		const struct volume_names names = names_of(volumes, volume);
		const char *before = nearest.found;

		if (selector == VOLUME_ANY || selector == VOLUME_NAME)
			nearest_offer(&nearest, names.volume);
		for (unsigned i = 0; i < VOLUME_SELECTORS; i++)
			if ((selector == VOLUME_ANY || selector == i) && names.names[i][0] != '\0')
				nearest_offer(&nearest, names.names[i]);
		if (nearest.found != before) /* the names live as long as the volume is held */
			(void)format_text(found, VOLUME_RULE_TEXT, "%s", nearest.found);
	}
	(void)format_text(text, VOLUME_RULE_ERROR, "there is no volume %s; the nearest name is %s", rule->selectors[selector],
			  found);
	return text;
}

/* Cache minimums ------------------------------------------------------------------------------- */

/* What all volumes keep, if those that the rule fits (NULL: none) keep `bytes`. */
static uint64_t kept_bytes(struct volumes *volumes, const struct volume_rule *rule, uint64_t bytes)
{
	struct volume *volume = NULL;
	uint64_t sum = 0;

	while ((volume = volume_next(volumes->pagecache, volume)) != NULL) {
		const struct volume_names names = names_of(volumes, volume);
		const uint64_t own = rule && volume_rule_fits(rule, &names) ? bytes : volume_configuration(volume).keep_bytes;

		sum += MIN(own, UINT64_MAX - sum);
	}
	return sum;
}

/* Half of the memory is for requests; volumes together keep no more than the other half. */
static uint64_t keep_most(const struct volumes *volumes)
{
	return memory_total_bytes(volumes->memory) / 2;
}

/* Start ---------------------------------------------------------------------------------------- */

static struct heap *heap_of(const struct volumes *volumes)
{
	return memory_general_heap(volumes->memory);
}

static struct volume_settings settings_of(const struct volumes *volumes, const struct volume_names *names)
{
	struct volume_settings settings = { .config = volumes->defaults };

	volume_rules_apply(volumes->table, names, &settings);
	volume_rules_apply(volumes->options, names, &settings);
	return settings;
}

/*
 * A cache minimum that a rule gives, and that is too much beside those of others, gives way to the
 * default; and that to what others leave: a table of many partitions cannot have all memory kept.
 */
static void keep_limit(struct volumes *volumes, const char *name, struct volume_config *config)
{
	const uint64_t most = keep_most(volumes), others = kept_bytes(volumes, NULL, 0), left = most - MIN(others, most);
	char wanted[FORMAT_BYTES_SIZE], rest[FORMAT_BYTES_SIZE];

	if (config->keep_bytes > left && config->keep_bytes != volumes->defaults.keep_bytes) {
		log_error("volume %s: cache_min is %s, and of half of the memory other volumes leave %s; the default is used",
			  name, format_bytes(wanted, config->keep_bytes), format_bytes(rest, left));
		config->keep_bytes = volumes->defaults.keep_bytes;
	}
	config->keep_bytes = MIN(config->keep_bytes, left);
}

/* A partition, or a whole disk: that is one without a number. */
static void start_one(struct volumes *volumes, struct block_device *disk, const struct partition *partition)
{
	struct named_volume *named = heap_alloc(heap_of(volumes), sizeof(*named), _Alignof(struct named_volume));
	char name[VOLUME_NAME_BYTES];
	struct volume_settings settings;
	status_t status = STATUS_NO_MEMORY;

	(void)format_text(name, sizeof(name), partition->number == 0 ? "%s" : "%sp%u", disk->name, partition->number);
	if (named) {
		label_format(named->label, partition->label);
		guid_format(named->guid, partition->guid);
		settings = settings_of(volumes,
				       &(struct volume_names){ name, { disk->name, disk->serial, named->label, named->guid } });
		keep_limit(volumes, name, &settings.config);
		status = volume_attach(&named->volume, volumes->pagecache, disk, name, partition->start_bytes, partition->bytes,
				       &settings.config);
	}
	if (status == STATUS_OK) {
		list_insert_last(&volumes->attached, &named->link);
		return;
	}
	log_error("volume %s cannot be attached: %s", name, status_text(status));
	heap_free(heap_of(volumes), named);
}

static void start_disk(struct volumes *volumes, struct block_device *disk, struct partition *partitions)
{
	const struct volume_names names = { disk->name, { disk->name, disk->serial, "", "" } };
	uint32_t count = 0;

	if (settings_of(volumes, &names).whole || partitions_read(disk, heap_of(volumes), partitions, &count) != STATUS_OK ||
	    count == 0) {
		partitions[0] = (struct partition){ .bytes = disk->size_bytes };
		count = 1;
	}
	for (uint32_t i = 0; i < count; i++)
		start_one(volumes, disk, &partitions[i]);
}

/* What is wrong with rules, and which of them fit nothing. */
static void rules_report(struct volumes *volumes, const char *text, const char *where)
{
	char error[VOLUME_RULE_ERROR];
	struct volume_rule rule;
	status_t status;

	while ((status = volume_rule_next(&text, &rule)) != STATUS_NOT_FOUND) {
		struct volume *volume = NULL;
		bool fits = false;

		while (status == STATUS_OK && (volume = volume_next(volumes->pagecache, volume)) != NULL) {
			const struct volume_names names = names_of(volumes, volume);

			fits |= volume_rule_fits(&rule, &names);
		}
		if (status != STATUS_OK)
			log_error("%s: %s; this rule is not used", where, rule.error);
		else if (!fits)
			log_warn("%s: %s", where, nothing_fits(volumes, &rule, error));
	}
}

static bool options_are_right(const char *text)
{
	struct volume_rule rule;
	status_t status;
	bool right = strlen(text) < VOLUME_RULES_BYTES - 1;

	if (!right)
		log_error("volumes=: it has more than %d letters, and is cut off", VOLUME_RULES_BYTES - 2);
	while ((status = volume_rule_next(&text, &rule)) != STATUS_NOT_FOUND) {
		if (status != STATUS_OK)
			log_error("volumes=: %s", rule.error);
		right &= status == STATUS_OK;
	}
	return right;
}

void volumes_start(struct volumes *volumes, struct memory *memory, struct pagecache *pagecache,
		   struct block_device_table *disks, const struct volume_config *defaults, const char *table,
		   const char *command_line)
{
	struct block_device *disk = NULL;
	struct partition *partitions;

	*volumes = (struct volumes){ .memory = memory, .pagecache = pagecache, .defaults = *defaults, .table = table };
	list_init(&volumes->attached);
	OPTION_NAME_CHECKED("volumes", false, options_are_right);
	(void)options_read(command_line, "volumes", volumes->options, sizeof(volumes->options));
	partitions = heap_alloc(heap_of(volumes), PARTITIONS_MAX * sizeof(*partitions), 0);
	while (partitions && (disk = block_device_next(disks, disk)) != NULL)
		start_disk(volumes, disk, partitions);
	if (!partitions)
		log_error("volumes: there is no memory for partition tables");
	heap_free(heap_of(volumes), partitions);
	rules_report(volumes, volumes->table, "PAGECACHE_VOLUMES");
	rules_report(volumes, volumes->options, "volumes=");
}

/* Commands ------------------------------------------------------------------------------------- */

static status_t set_refuse(const char *error)
{
	print("%s\n", error);
	return STATUS_INVALID;
}

/* Gives the volumes that the rule fits what it sets; returns how many these are. */
static unsigned set_all(struct volumes *volumes, const struct volume_rule *rule)
{
	struct volume *volume = NULL;
	unsigned count = 0;

	while ((volume = volume_next(volumes->pagecache, volume)) != NULL) {
		const struct volume_names names = names_of(volumes, volume);
		struct volume_settings settings = { .config = volume_configuration(volume) };
		char keep[FORMAT_BYTES_SIZE], retain[FORMAT_BYTES_SIZE];

		if (!volume_rule_fits(rule, &names))
			continue;
		volume_rule_apply(rule, &settings);
		volume_configure(volume, &settings.config);
		print("%s: preference %u, cache_min %s, retain %s\n", volume_name(volume), settings.config.preference,
		      format_bytes(keep, settings.config.keep_bytes), format_bytes(retain, settings.config.retain_bytes));
		count++;
	}
	return count;
}

static status_t set_run(struct command *self, int argc, char **argv)
{
	struct volumes *volumes = self->context;
	char error[VOLUME_RULE_ERROR], kept[FORMAT_BYTES_SIZE], most[FORMAT_BYTES_SIZE];
	struct volume_rule rule;
	uint64_t bytes;

	volume_rule_init(&rule);
	for (int i = 1; i < argc; i++)
		if (volume_rule_add(&rule, argv[i]) != STATUS_OK)
			return set_refuse(rule.error);
	if (argc < 2 || volume_rule_check(&rule) != STATUS_OK)
		return argc < 2 ? STATUS_INVALID : set_refuse(rule.error);
	if (rule.set >> VOLUME_RUNNING != 0)
		return set_refuse(
			"read_only= and whole= are for config.h and the command line: volumes are attached with them");
	bytes = kept_bytes(volumes, &rule, rule.values[VOLUME_CACHE_MIN]);
	if (rule.set & (1u << VOLUME_CACHE_MIN) && bytes > keep_most(volumes)) {
		(void)format_text(error, sizeof(error),
				  "all volumes together would keep %s; half of the memory, %s, is the most",
				  format_bytes(kept, bytes), format_bytes(most, keep_most(volumes)));
		return set_refuse(error);
	}
	return set_all(volumes, &rule) > 0 ? STATUS_OK : set_refuse(nothing_fits(volumes, &rule, error));
}

static status_t names_run(struct command *self, int argc, char **argv)
{
	struct volumes *volumes = self->context;
	struct volume *volume = NULL;

	(void)argc, (void)argv;
	print("%-16s %-12s %-22s %-36s %s\n", "volume", "disk", "serial", "guid", "label");
	while ((volume = volume_next(volumes->pagecache, volume)) != NULL) {
		const struct volume_names names = names_of(volumes, volume);

		print("%-16s %-12s %-22s %-36s %s\n", volume_name(volume), names.names[VOLUME_NAME], names.names[VOLUME_SERIAL],
		      names.names[VOLUME_GUID], names.names[VOLUME_LABEL]);
	}
	return STATUS_OK;
}

static const char *set_argument(struct command *self, int position, unsigned index)
{
	struct volumes *volumes = self->context;

	if (position > 1)
		return index < VOLUME_RUNNING ? volume_setting_word(index) : NULL;
	return volume_name_argument(volumes->pagecache, index);
}

void volumes_commands_register(struct volumes *volumes, struct command_table *table)
{
	const struct command commands[] = {
		{ .name = "volumes set",
		  .arguments = "VOLUME [preference=0..100] [cache_min=BYTES] [retain=BYTES]",
		  .help = "which volumes give first, and what they keep; VOLUME: a name, or serial=, label=, guid=",
		  .run = set_run,
		  .argument = set_argument },
		{ .name = "volumes names", .help = "disk, serial number, label and GUID of each volume", .run = names_run },
	};

	commands_register(table, volumes->commands, commands, ARRAY_LENGTH(commands), volumes);
}
