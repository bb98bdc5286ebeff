#include "app.h"

#include "report.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/monitor.h"
#include "runtime/kernel/power.h"
#include "scenario.h"

#define NAME_BYTES 64

bool app_is_interactive(const struct app_environment *environment)
{
	return options_get_number(environment->command_line, "monitor", 0) != 0;
}

static status_t run_as_told(const struct app_environment *environment)
{
	const char *options = environment->command_line;
	struct scenario scenario = { .environment = environment, .name = "capture", .options = options };
	char name[NAME_BYTES];

	if (options_get(options, "scenario", name, sizeof(name)))
		scenario.name = name;
	else if (options_get(options, "test", name, sizeof(name)))
		scenario.name = "test";
	return scenario_run(&scenario);
}

_Noreturn void app_main(const struct app_environment *environment)
{
	scenario_commands_register(environment);
	log_info("app started %llu ms after boot services ended", (unsigned long long)(environment->boot_ns / NS_PER_MS));
	const status_t status = run_as_told(environment);

	if (app_is_interactive(environment)) {
		print("The monitor is open: help lists its commands, run the scenarios, poweroff ends.\n");
		monitor_run(environment->commands);
	}
	power_exit(status == STATUS_OK ? 0 : 1);
}
