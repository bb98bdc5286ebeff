# SPDX-License-Identifier: BSD-2-Clause
# Weir. `make help` lists what can be asked for.

ROOT :=
include mk/variables.mk

export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.DEFAULT_GOAL := all
.PHONY: setup clean help install new compile_commands.json

help:
	@echo "make            the image, $(BUILD)/weir.efi"
	@echo "make run        build and start it in QEMU; MEM=4G SMP=2 MACHINE=q35|pc SCENARIO= LOOPS= DISK= TIMEOUT="
	@echo "                DISK_WRITE=1 (DISK= keeps what is written) DEVICES=none (a machine without our disks and edu)"
	@echo "                DISK_MBPS= (throttles the disks) SLOW_IOPS= (of a third disk) TRACE= (page references for SCENARIO=replay)"
	@echo "                ACCEL=tcg|kvm SCREEN=gtk OPTIONS= QEMU=10 QEMU_ARGS=, all described in boot/run.sh"
	@echo "make debug      the same with gdb, at the first line of the kernel"
	@echo "make iso img    media: $(BUILD)/weir.iso (optical drive, USB stick), $(BUILD)/weir.img (disk); COMMAND_LINE="
	@echo "make sign KEY=file CERT=file   the image for Secure Boot, $(BUILD)/weir_signed.efi; make iso img KEY= CERT=: media with it"
	@echo "make new APP=folder     a program of your own to begin with; make run, debug, iso, img or test APP=folder builds it"
	@echo "make install PREFIX=folder  what programs need to be built without this tree"
	@echo "make test       all checks and tests, on the host and in the image; with APP=folder the tests of that program"
	@echo "make test-long  what takes longer, up to three hours: full scenarios, long fuzzing, 100 million takes; PARTS=\"takes fuzz\""
	@echo "make test-machines  the image on all machines of test/image/machines.txt, and the table in docs/HARDWARE.md; QEMU=10 (all on it)"
	@echo "make fuzz       libFuzzer on heap, page cache, drivers, partition and ACPI tables; FUZZ_SECONDS=60 for each"
	@echo "make bench      ns and instructions per operation; with TRACE=file ... (R or W and a page number a line, gzip'd or not)"
	@echo "                miss ratios of the page cache beside LRU, ARC, S3-FIFO and the optimum; SIZES=\"20 40\" (percent of the"
	@echo "                trace's pages), BLOCKS=0 (not what it costs to take blocks), GUARANTEE=8 (a guarantee of 1/8, idle and on loan)"
	@echo "make bench-heap Weir's heap beside glibc, mimalloc, jemalloc and tcmalloc: ns, instructions, blocks of 2 MB that come back,"
	@echo "                memory taken; ROUNDS=5 ALLOCATORS=\"weir glibc\" WORKLOADS=\"pair random\" INSTRUCTIONS=0"
	@echo "make bench-holds  for how many instructions locks, preemption and interrupts are held, at most, on a machine of 1 TB;"
	@echo "                BOUND=200000 is what none may exceed"
	@echo "make compile_commands.json  how each file is compiled, for editors and clang's tools"
	@echo "make lint       clang-tidy and cppcheck; make format: clang-format"
	@echo "make check-house  how long files and functions are, riddles, words used for two things; OFFENDERS=1 lists the places"
	@echo "make setup      install the packages that are missing; plain make, iso and img only name them, the others install them"
	@echo "make clean      remove what builds made in BUILD"
	@echo
	@echo "For all: CC=gcc|clang DEBUG=1 BUILD=build APP=app (another program for the image) CONFIG=-DNAME=value (see config.h)"

GOALS := $(or $(MAKECMDGOALS),all)

# Asks for the packages that the goals need; costs little when they are there. What only builds
# names them, all else installs them.
SETUP_WAY := $(if $(filter-out all iso img sign library install $(filter-out $(BUILD)/test/%,$(filter $(BUILD)/%,$(GOALS))),$(GOALS)),install,name)
SETUP_FOR := $(if $(filter test test-long test-machines host-tests host-test-programs fuzz fuzz-programs bench bench-heap bench-heap-programs \
	bench-holds lint format check-format check-house $(BUILD)/test/%,$(GOALS)),test,$(if $(filter debug,$(GOALS)),debug,$(if \
	$(filter run setup,$(GOALS)),run,$(if $(KEY)$(CERT)$(filter sign,$(GOALS)),sign,$(if $(filter iso img %.iso %.img,$(GOALS)),media,build)))))
setup:
	@boot/setup.sh $(SETUP_WAY) $(SETUP_FOR)

clean:
	@mk/build_folder.sh clean $(BUILD)

new:
	@mk/new.sh $(call quote,$(APP))

ifneq ($(filter-out clean help new setup format check-format check-edges check-style,$(GOALS)),)
$(call check,mk/build_folder.sh claim $(call quote,$(BUILD)))
LIBRARY := $(BUILD)/image
TOOLS = $(BUILD)

# Weir's own tests in the image belong to the program in app/, whose parts they use.
TEST_OBJECTS = $(if $(filter app,$(PROGRAM)),$(patsubst %,$(BUILD)/image/%.o,\
	$(filter-out %/image_test.c,$(wildcard test/image/*.c test/scenario/*.c))))
include mk/image.mk
include mk/library.mk
$(TEST_OBJECTS): $(BUILD)/image/%.o: % $(FLAGS_RECORD) | setup
	$(call compile,$(KERNEL_FLAGS))
-include $(TEST_OBJECTS:.o=.d)
else
$(variables_check)
endif

.PHONY: library-debug
library-debug:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/debug DEBUG=1 library

# A place that cannot be is told before the library is built.
ifneq ($(filter install,$(GOALS)),)
$(call check,mk/install.sh place $(call quote,$(PREFIX)))
endif
install: library library-debug
	@mk/install.sh install $(call quote,$(PREFIX)) $(BUILD)

# For editors: how each file of the image, the tests and the benches is compiled.
compile_commands.json:
	@$(MAKE) -Bn --no-print-directory all $(BUILD)/weir_test.efi host-test-programs benches fuzz-programs bench-heap-programs \
		$(addprefix $(TEST_DIR)/,replay ratio_pagecache crash_replay crc32c) | \
		mk/compile_commands.sh $@

include test/test.mk
