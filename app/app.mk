# SPDX-License-Identifier: BSD-2-Clause
# The default program. What every program is built on is in the library; what only tests use is in the test image.
SOURCES := $(filter-out app.c scenario.c,$(SOURCES))
TEST_SCENARIOS += crash fault hammer
TEST_SOURCES += crash.c fault.c fault_vector.c hammer.c hammer_handler.c
SOURCES := $(filter-out $(TEST_SOURCES),$(SOURCES))

# The scenarios that take their DMA memory for a device need one that fills it, and deadline needs a slow disk.
DEVICES = data edu $(if $(filter boot checksum crash fault hammer replay,$(SCENARIO)),,digitizer) \
	$(if $(filter all deadline,$(SCENARIO)),slow)
