# SPDX-License-Identifier: BSD-2-Clause
# The default program. What every program is built on is in the library; what only tests use is in
# test/scenario, for the test image.
SOURCES := $(filter-out app.c scenario.c,$(SOURCES))
TEST_SCENARIOS += crash fault hammer

# The scenarios that take their DMA memory for a device need one that fills it, and deadline needs a
# slow disk.
DEVICES = data edu $(if $(filter boot checksum crash fault hammer replay,$(SCENARIO)),,digitizer) \
	$(if $(filter all deadline,$(SCENARIO)),slow)
