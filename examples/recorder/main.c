// SPDX-License-Identifier: BSD-2-Clause
/*
 * The program: one recording as the command line says; on a terminal the monitor is open meanwhile
 * and afterwards, for any number of them, and the first one waits for `record` unless the command
 * line says how long it is (length=).
 *
 *	record NAME [key=value ...]   starts a recording; the options below hold where nothing is said
 *	record trigger, record stop   by hand
 *	recordings                    what the volume has
 *
 * Options: volume=NAME (must be given: it is written to), name=run, rate=12500000 (samples of 8
 * bytes a second; 0: as fast as the volume is), buffers=64, buffer_bytes=4M, length=64 (buffers; 0:
 * until `record stop`), pre=0, trigger=SAMPLE (of the card's trigger input), triggered=1 (wait for
 * the trigger), flush_ms=1000, monitor=1.
 */
#include "app/app.h"
#include "examples/instrument/instrument.h"
#include "pagecache/volume.h"
#include "recorder.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "runtime/console/monitor.h"
#include "runtime/kernel/power.h"
#include "runtime/kernel/task.h"

#define NAME_BYTES FORMAT_NAME_BYTES
#define LINE_BYTES 512

static struct recorder recorder;
static struct task *ending; /* ends the recording that was started from the monitor */
static const struct app_environment *environment;

static struct volume *volume_choose(const char *options)
{
	char name[VOLUME_NAME_BYTES];
	struct volume *volume = NULL;

	if (options_get(options, "volume", name, sizeof(name)))
		volume = volume_find(environment->pagecache, name);
	if (!volume)
		log_error("recorder: volume=NAME has to say where to; `volumes` lists what there is");
	return volume;
}

static status_t start(const char *options, const char *name)
{
	const struct recorder_options wanted = {
		.name = name,
		.rate = options_get_number(options, "rate", 12500000),
		.buffers = options_get_number(options, "buffers", 64),
		.buffer_bytes = options_get_number(options, "buffer_bytes", 4 * MIB),
		.triggered = options_get_number(options, "triggered", 0) != 0,
		.trigger = options_get_number(options, "trigger", WINDOW_NO_TRIGGER),
		.pre = options_get_number(options, "pre", 0),
		.length = options_get_number(options, "length", 64),
		.flush_ns = options_get_number(options, "flush_ms", 1000) * NS_PER_MS,
		.interactive = options_get_number(environment->command_line, "monitor", 0) != 0,
	};
	struct instrument *card = instrument_find();
	struct volume *volume = volume_choose(options);

	if (!card)
		log_error("recorder: there is no card; examples/instrument/run.sh APP=examples/recorder starts one");
	return card && volume ? recorder_start(&recorder, environment->memory, card, volume, &wanted) : STATUS_NOT_FOUND;
}

static status_t finish(void)
{
	const status_t status = recorder_end(&recorder);
	const struct format_entry *entry = recorder.entry;

	print("result: recorder recording=%lu name=%s chunks=%lu bytes=%lu lost=%lu trigger=%ld status=\"%s\"\n", entry->number,
	      entry->name, entry->chunks, entry->chunks * (entry->chunk_bytes - FORMAT_PAGE_BYTES), entry->lost,
	      (long)entry->trigger, status_text(status));
	return status;
}

static void ending_run(void *context)
{
	(void)context;
	if (finish() != STATUS_OK)
		print("The recording ended early; `recordings` shows what it has.\n");
}

/* Frees what the recording before has left; false: one is running. */
static bool is_idle(void)
{
	if (!ending)
		return true;
	if (!recorder_is_over(&recorder))
		return false;
	task_join(ending);
	ending = NULL;
	return true;
}

static status_t record_start(int argc, char **argv)
{
	static const struct task_options task = { .name = "recorder end", .priority = TASK_NORMAL, .cpu = -1 };
	static char line[LINE_BYTES], name[NAME_BYTES];
	status_t status;

	if (!is_idle()) {
		print("A recording is running: `record stop` ends it.\n");
		return STATUS_BUSY;
	}
	(void)format_text(name, sizeof(name), "%s", argv[1]);
	size_t length = format_text(line, sizeof(line), "%s", environment->command_line);

	for (int i = 2; i < argc && length < sizeof(line); i++)
		length += format_text(line + length, sizeof(line) - length, " %s", argv[i]);
	status = options_check(line) ? start(line, name) : STATUS_INVALID;
	return status == STATUS_OK ? task_spawn(&task, ending_run, NULL, &ending) : status;
}

static status_t record_command_run(struct command *self, int argc, char **argv)
{
	(void)self;
	if (argc < 2)
		return STATUS_INVALID;
	if (strcmp(argv[1], "stop") != 0 && strcmp(argv[1], "trigger") != 0)
		return record_start(argc, argv);
	if (is_idle()) {
		print("No recording is running.\n");
		return STATUS_NOT_FOUND;
	}
	if (strcmp(argv[1], "stop") == 0)
		recorder_stop(&recorder);
	else
		recorder_trigger(&recorder);
	return STATUS_OK;
}

static status_t list(void)
{
	static struct catalogue catalogue;
	struct volume *volume = volume_choose(environment->command_line);
	status_t status = volume ? catalogue_open(&catalogue, environment->memory, volume) : STATUS_NOT_FOUND;

	if (status != STATUS_OK)
		return status;
	catalogue_print(&catalogue);
	catalogue_close(&catalogue);
	return STATUS_OK;
}

static status_t recordings_command_run(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argv;
	return argc == 1 ? list() : STATUS_INVALID;
}

static struct command record_command = {
	.name = "record",
	.arguments = "NAME [key=value ...] | trigger | stop",
	.help = "start a recording, pull its trigger, end it",
	.run = record_command_run,
};

static struct command recordings_command = {
	.name = "recordings",
	.arguments = "",
	.help = "the recordings on the volume",
	.run = recordings_command_run,
};

/* The name that the command line gives the recording. */
static char *first_name(void)
{
	static char name[NAME_BYTES] = "run";

	(void)options_get(environment->command_line, "name", name, sizeof(name));
	return name;
}

static status_t run(void)
{
	status_t status = start(environment->command_line, first_name());

	if (status == STATUS_OK)
		status = finish();
	return status == STATUS_OK ? list() : status;
}

static _Noreturn void stay_in_monitor(void)
{
	char *first[] = { "record", first_name() };
	char length[NAME_BYTES];

	command_register(environment->commands, &record_command);
	command_register(environment->commands, &recordings_command);
	if (options_get(environment->command_line, "length", length, sizeof(length)) && record_start(2, first) == STATUS_OK)
		print("Recording %s; `record stop` ends it.\n", first[1]);
	print("The monitor is open: `help record` says how to record, poweroff ends.\n");
	monitor_run(environment->commands);
	power_exit(0);
}

_Noreturn void app_main(const struct app_environment *given)
{
	environment = given;
	if (!options_check(environment->command_line))
		power_exit(1);
	if (options_get_number(environment->command_line, "monitor", 0) != 0)
		stay_in_monitor();
	power_exit(run() == STATUS_OK ? 0 : 1);
}
