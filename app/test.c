/* The in-image tests as a scenario. */
#include "runtime/base/options.h"
#include "scenario.h"
#include "test/image/image_test.h"

SCENARIO(test, "run the in-image tests: test=all or test=NAME,NAME*")
{
	char names[512];

	if (!options_get(scenario->options, "test", names, sizeof(names)))
		return image_tests_run(scenario->environment, "all");
	return image_tests_run(scenario->environment, names);
}
