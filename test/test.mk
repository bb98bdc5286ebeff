# SPDX-License-Identifier: BSD-2-Clause
# Everything that checks: host tests, benches, lint, and `make test`, which runs all of it. Included
# by the Makefile.
#
# Host tests: each test_NAME.c below test/host is one program with libcheck. Benches: each
# test/bench/bench_NAME.c, see bench.h. Both link the portable rooms, once with sanitizers and debug
# checks, once optimized as in the image. SANITIZE=thread, with a BUILD of its own, looks for data
# races.

TEST_DIR := $(BUILD)/test

PORTABLE_SOURCES := $(wildcard src/runtime/base/*.c src/heap/*.c src/heap/*/*.c src/block/*.c src/pagecache/*.c src/pagecache/*/*.c test/fake/*.c test/host/platform_*.c) \
	$(patsubst %,src/runtime/kernel/%.c,acpi acpi_read acpi_spcr boot_heap clock_calibrate console_serial fragment interrupt_route iommu_off iommu_tables machine_check_text memory_map power_registers power_ways rtc) $(patsubst %,src/runtime/console/%.c,font framebuffer keyboard line_editor pager serial terminal uart) \
	$(patsubst %,boot/%.c,command_line framebuffer loader_text map_convert map_lies memory_map wall_clock) src/runtime/x86_64/tsc_deadline.c src/disk_volumes.c src/volume_rules.c \
	$(patsubst %,src/drivers/pci/%.c,pci pci_bar pci_capability pci_reason pci_reset pci_scan)
# The drivers over a fake bus: only for tests that ask for them (test/fake/drivers/fake_bus.h).
DRIVER_SOURCES := $(wildcard src/drivers/disk_device.c src/drivers/nvme/*.c src/drivers/virtio/*.c src/drivers/edu/*.c test/fake/drivers/*.c)
drivers_of = $(if $(filter test/host/drivers/nvme/% test/host/drivers/virtio/%,$(1)),$(DRIVER_SOURCES))
SANITIZE = address,undefined
# Races need threads, and without debug checks they come often; the other tests would only be slow
# under the thread sanitizer.
HOST_TEST_FILES := $(wildcard $(addsuffix /test_*.c,test/host test/host/* test/host/*/*))
HOST_TEST_SOURCES := $(if $(filter thread,$(SANITIZE)),$(shell grep -l 'START_TEST.*threads' $(HOST_TEST_FILES)),$(HOST_TEST_FILES))
HOST_TESTS := $(basename $(notdir $(HOST_TEST_SOURCES)))
BENCHES := $(patsubst test/bench/%.c,%,$(wildcard test/bench/bench_*.c))

HOST_FLAGS := -std=gnu11 -Isrc -Itest -DREGISTERS_FAKED -g -pthread -fno-strict-aliasing -fno-omit-frame-pointer \
	-Wall -Wextra -Wshadow -Werror
CHECKED_FLAGS := $(HOST_FLAGS) -O1 $(if $(filter thread,$(SANITIZE)),,-DWEIR_DEBUG) -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
FAST_FLAGS := $(HOST_FLAGS) -O2
CHECK_LIBS = $(shell pkg-config --libs check)

# $(call objects,VARIANT,SOURCES)
objects = $(patsubst %.c,$(TEST_DIR)/$(1)/%.o,$(2))

$(TEST_DIR)/checked/%.o: %.c | setup
	@mkdir -p $(@D)
	$(Q)$(CC) $(CHECKED_FLAGS) $(FILE_FLAGS) -MMD -MP -c $< -o $@

$(TEST_DIR)/fast/%.o: %.c | setup
	@mkdir -p $(@D)
	$(Q)$(CC) $(FAST_FLAGS) $(FILE_FLAGS) -MMD -MP -c $< -o $@

$(TEST_DIR)/small/%.o: %.c | setup
	@mkdir -p $(@D)
	$(Q)$(CC) $(FAST_FLAGS) -DBLOCK_SHIFT=16 $(FILE_FLAGS) -MMD -MP -c $< -o $@

# The loader's files speak to UEFI.
$(TEST_DIR)/checked/boot/%.o $(TEST_DIR)/fast/boot/%.o $(TEST_DIR)/small/boot/%.o $(TEST_DIR)/checked/test/host/boot/%.o \
	$(foreach variant,checked fast small fuzzed,$(TEST_DIR)/$(variant)/test/fake/map_check.o): \
	FILE_FLAGS := $(EFI_FLAGS) -fshort-wchar -I.

$(TEST_DIR)/checked/portable.a: $(call objects,checked,$(PORTABLE_SOURCES))
$(TEST_DIR)/fast/portable.a: $(call objects,fast,$(PORTABLE_SOURCES))
$(TEST_DIR)/small/portable.a: $(call objects,small,$(PORTABLE_SOURCES))
$(TEST_DIR)/%/portable.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

# Objects stay: the next build needs them.
.SECONDARY: $(call objects,checked,$(HOST_TEST_SOURCES) $(PORTABLE_SOURCES) $(DRIVER_SOURCES)) \
	$(call objects,fast,$(BENCHES:%=test/bench/%.c) test/bench/bench.c $(PORTABLE_SOURCES))

# $(call host_test,FILE): the program of a host test, and the same without sanitizers and debug
# checks, for what is done very often.
define host_test
$(TEST_DIR)/$(basename $(notdir $(1))): $(call objects,checked,$(1) $(call drivers_of,$(1))) $(TEST_DIR)/checked/portable.a
	$$(Q)$$(CC) $$(CHECKED_FLAGS) $$^ $$(CHECK_LIBS) -o $$@

$(TEST_DIR)/optimized_$(basename $(notdir $(1))): $(call objects,fast,$(1) $(call drivers_of,$(1))) $(TEST_DIR)/fast/portable.a
	$$(Q)$$(CC) $$(FAST_FLAGS) $$^ $$(CHECK_LIBS) -o $$@
endef
$(foreach file,$(filter-out %/test_small_blocks.c,$(HOST_TEST_FILES)),$(eval $(call host_test,$(file))))

# Blocks as small as in benches of small caches.
$(TEST_DIR)/test_small_blocks: $(call objects,small,test/host/heap/block/test_small_blocks.c) $(TEST_DIR)/small/portable.a
	$(Q)$(CC) $(FAST_FLAGS) $^ $(CHECK_LIBS) -o $@

# The models and the trace reader of the replay bench, which lies further down.
$(TEST_DIR)/test_replay_models: CHECK_LIBS += -lz
$(TEST_DIR)/test_replay_models: \
	$(call objects,checked,$(wildcard test/bench/replay/model*.c) test/bench/replay/trace.c)

# The test comes in between where a lock is let go for others.
$(TEST_DIR)/test_heap_large: CHECK_LIBS += -Wl,--wrap=spinlock_give_way

# The local APIC, over the test's registers.
$(TEST_DIR)/checked/src/runtime/x86_64/apic.o: FILE_FLAGS := -include test/fake/fake_msr.h
$(TEST_DIR)/test_apic: $(call objects,checked,src/runtime/x86_64/apic.c)
$(TEST_DIR)/test_apic: CHECK_LIBS := $(TEST_DIR)/checked/portable.a $(CHECK_LIBS)

# Machine checks, over the test's registers.
$(TEST_DIR)/checked/src/runtime/kernel/machine_check.o: FILE_FLAGS := -include test/fake/fake_msr.h
$(TEST_DIR)/test_machine_check_banks: $(call objects,checked,src/runtime/kernel/machine_check.c)
$(TEST_DIR)/test_machine_check_banks: CHECK_LIBS := $(TEST_DIR)/checked/portable.a $(CHECK_LIBS)

$(TEST_DIR)/test_heap_bench: $(call objects,checked,test/bench/heap/regions.c test/bench/heap/measure.c)

$(TEST_DIR)/bench_%: $(TEST_DIR)/fast/test/bench/bench_%.o $(TEST_DIR)/fast/test/bench/bench.o $(TEST_DIR)/fast/portable.a
	$(Q)$(CC) $(FAST_FLAGS) $^ -o $@

$(TEST_DIR)/crc32c: $(call objects,fast,test/tools/crc32c.c src/runtime/base/crc32.c)
	$(Q)$(CC) $(FAST_FLAGS) $^ -o $@

$(TEST_DIR)/crash_replay: $(call objects,fast,test/tools/crash_replay.c test/tools/write_log.c src/runtime/base/crc32.c)
	$(Q)$(CC) $(FAST_FLAGS) $^ -o $@

$(TEST_DIR)/fast/test/tools/crash_replay.o: FILE_FLAGS := -I.

# Fuzz targets: each test/fuzz/fuzz_NAME.c, with the other files of the directory, is one of
# libFuzzer's, which is clang's.
FUZZERS := $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/fuzz_*.c))
FUZZ_COMMON := $(filter-out test/fuzz/fuzz_% test/fuzz/make_% test/fuzz/driver_%,$(wildcard test/fuzz/*.c))
FUZZ_FLAGS := $(HOST_FLAGS) -O1 -DWEIR_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all

$(TEST_DIR)/fuzzed/%.o: %.c | setup
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $(FILE_FLAGS) -MMD -MP -c $< -o $@

# What is to be covered; the rest is faster without.
$(TEST_DIR)/fuzzed/src/block/%.o $(TEST_DIR)/fuzzed/src/pagecache/%.o $(TEST_DIR)/fuzzed/src/drivers/%.o: FILE_FLAGS := -fsanitize=fuzzer-no-link
# Without a look at what is compared: debug builds compare every word of an object.
$(TEST_DIR)/fuzzed/src/heap/%.o: FILE_FLAGS := -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp
$(TEST_DIR)/fuzzed/boot/%.o: FILE_FLAGS := $(EFI_FLAGS) -fshort-wchar -I. -fsanitize=fuzzer-no-link

$(TEST_DIR)/fuzzed/portable.a: $(call objects,fuzzed,$(PORTABLE_SOURCES) $(FUZZ_COMMON))

.SECONDARY: $(call objects,fuzzed,$(FUZZERS:%=test/fuzz/%.c) $(PORTABLE_SOURCES) $(FUZZ_COMMON))

$(TEST_DIR)/fuzz_%: $(TEST_DIR)/fuzzed/test/fuzz/fuzz_%.o $(TEST_DIR)/fuzzed/portable.a
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) -o $@

FUZZED_DRIVERS := $(call objects,fuzzed,$(DRIVER_SOURCES) test/fuzz/driver_requests.c)
.SECONDARY: $(FUZZED_DRIVERS)
$(TEST_DIR)/fuzz_nvme $(TEST_DIR)/fuzz_virtio $(TEST_DIR)/fuzz_edu: $(FUZZED_DRIVERS)

FUZZED_ACPI := $(call objects,fuzzed,$(wildcard src/runtime/kernel/acpi*.c))
.SECONDARY: $(FUZZED_ACPI)
$(FUZZED_ACPI): FILE_FLAGS := -fsanitize=fuzzer-no-link
$(TEST_DIR)/fuzz_acpi: $(FUZZED_ACPI)

$(TEST_DIR)/make_seeds: $(call objects,fast,test/fuzz/make_seeds.c)
	$(Q)$(CC) $(FAST_FLAGS) $^ -o $@

-include $(wildcard $(foreach below,* */* */*/* */*/*/*,$(TEST_DIR)/*/$(below)/*.d))

.PHONY: test test-long test-machines host-tests host-test-programs fuzz fuzz-programs benches bench lint format check-format check-edges check-style check-house check-documents

# All checks and tests; the last line is "N passed, N failed". With another program than the default
# one, the tests of that.
ifeq ($(PROGRAM),app)
test: setup
	@BUILD=$(BUILD) CC=$(CC) MAKE=$(MAKE) test/run.sh
else
test: program-test
endif

# What takes longer, in parts: PARTS="takes fuzz"; test/long/run.sh lists them.
test-long: setup
	@BUILD=$(BUILD) MAKE=$(MAKE) test/long/run.sh $(PARTS)

# The image on all machines of test/image/machines.txt; their table goes into docs/HARDWARE.md.
test-machines: setup
	@BUILD=$(BUILD) MAKE=$(MAKE) test/image/machines.sh

host-test-programs: $(HOST_TESTS:%=$(TEST_DIR)/%)

# Only the host tests. One of them: make build/test/test_NAME && build/test/test_NAME
host-tests: host-test-programs
	@$(if $(filter thread,$(SANITIZE)),HOST_TEST_ONLY=threads) test/host/run.sh $(HOST_TESTS:%=$(TEST_DIR)/%)

benches: $(BENCHES:%=$(TEST_DIR)/%)

fuzz-programs: $(FUZZERS:%=$(TEST_DIR)/%) $(TEST_DIR)/make_seeds

# FUZZ_SECONDS (60) for each target; what it has learned stays in $(BUILD)/fuzz. One of them: make
# fuzz FUZZERS=fuzz_partition
fuzz: fuzz-programs
	@BUILD=$(BUILD) test/fuzz/run.sh $(or $(FUZZ_SECONDS),60) $(FUZZERS:%=$(TEST_DIR)/%)

# Nanoseconds and instructions per operation; with TRACE=file ..., replacement: miss ratios beside
# reference models.
ifeq ($(TRACE),)
bench: benches $(TEST_DIR)/ratio_pagecache
	@test/bench/run.sh $(BENCHES:%=$(TEST_DIR)/%)
	@$(TEST_DIR)/ratio_pagecache
else
bench: $(TEST_DIR)/replay $(TEST_DIR)/replay_small
	@BUILD=$(BUILD) SIZES="$(SIZES)" BLOCKS="$(BLOCKS)" GUARANTEE="$(GUARANTEE)" test/bench/replay.sh $(TRACE)
endif

$(TEST_DIR)/ratio_pagecache: $(call objects,fast,test/bench/ratio_pagecache.c) $(TEST_DIR)/fast/portable.a
	$(Q)$(CC) $(FAST_FLAGS) $^ -o $@

# The page cache in blocks of 2 MB, and for small caches in blocks of 64 KB.
REPLAY_SOURCES := $(wildcard test/bench/replay/*.c)
$(TEST_DIR)/replay: $(call objects,fast,$(REPLAY_SOURCES)) $(TEST_DIR)/fast/portable.a
$(TEST_DIR)/replay_small: $(call objects,small,$(REPLAY_SOURCES)) $(TEST_DIR)/small/portable.a
$(TEST_DIR)/replay $(TEST_DIR)/replay_small:
	$(Q)$(CC) $(FAST_FLAGS) $^ -lz -o $@

# How long anything is held, in instructions: the portable rooms once more, recording holds
# (runtime/base/holds.h) and counting their own instructions (bench/holds/count.awk). Not counted:
# the host's platform, the bench, and the recording itself. By gcc alone, which can leave a register
# to the count.
COUNTED_FLAGS := $(HOST_FLAGS) -O2 -DWEIR_HOLDS -fno-pie -ffixed-r15 -mstringop-strategy=libcall
COUNTED_BENCH := $(wildcard test/bench/holds/*.c)
COUNT := awk -f test/bench/holds/count.awk
$(call objects,counted,$(COUNTED_BENCH) src/runtime/base/holds.c $(wildcard test/host/platform_*.c)): COUNT := cat

$(TEST_DIR)/counted/boot/%.o: FILE_FLAGS := $(EFI_FLAGS) -fshort-wchar -I.

$(TEST_DIR)/counted/%.o: %.c test/bench/holds/count.awk | setup
	@mkdir -p $(@D)
	$(Q)gcc $(COUNTED_FLAGS) $(FILE_FLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -S $< -o $(@:.o=.written.s)
	$(Q)$(COUNT) $(@:.o=.written.s) > $(@:.o=.s)
	$(Q)gcc -c $(@:.o=.s) -o $@

.SECONDARY: $(call objects,counted,$(COUNTED_BENCH) $(PORTABLE_SOURCES))

# No part of it has options for options_check.c to know, tables of ACPI, a console, or a bus.
$(TEST_DIR)/holds: $(call objects,counted,$(COUNTED_BENCH) $(filter-out test/fake/% %/options_check.c src/runtime/kernel/acpi% src/runtime/kernel/console% src/runtime/kernel/iommu% src/runtime/kernel/power% src/drivers/%,$(PORTABLE_SOURCES)))
	$(Q)gcc $(COUNTED_FLAGS) -no-pie $(addprefix -Wl$(comma)--wrap=,memcpy memmove memset memcmp) $^ -o $@

.PHONY: bench-holds
bench-holds: $(TEST_DIR)/holds
	@BUILD=$(BUILD) test/bench/holds/run.sh $<

# Weir's heap beside others: the same workloads, one program for each allocator, see
# test/bench/heap/subject.h. Other libraries than the C library's malloc are preloaded. No call may
# be left out because the compiler knows what malloc does, and none may take a detour that others do
# not take.
HEAP_SOURCES := $(wildcard test/bench/heap/*.c)
HEAP_FLAGS := $(FAST_FLAGS) -fno-builtin-malloc -fno-builtin-free -fno-plt
HEAP_SUBJECTS := weir objcache malloc none
HEAP_PROGRAMS := $(HEAP_SUBJECTS:%=$(TEST_DIR)/heap_%)

$(TEST_DIR)/heap-weir/%.o: SUBJECT := WEIR
$(TEST_DIR)/heap-objcache/%.o: SUBJECT := OBJCACHE
$(TEST_DIR)/heap-malloc/%.o: SUBJECT := MALLOC
$(TEST_DIR)/heap-none/%.o: SUBJECT := NONE

define heap_program
$(TEST_DIR)/heap-$(1)/%.o: %.c | setup
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(HEAP_FLAGS) -DSUBJECT_$$(SUBJECT) -MMD -MP -c $$< -o $$@

$(TEST_DIR)/heap_$(1): $(call objects,heap-$(1),$(if $(filter malloc none,$(1)),$(filter-out %_weir.c,$(HEAP_SOURCES)),$(HEAP_SOURCES))) \
	$(if $(filter malloc none,$(1)),,$(TEST_DIR)/fast/portable.a)
	$$(Q)$$(CC) $$(HEAP_FLAGS) $$^ -o $$@
endef
$(foreach subject,$(HEAP_SUBJECTS),$(eval $(call heap_program,$(subject))))

.PHONY: bench-heap bench-heap-programs
bench-heap-programs: $(HEAP_PROGRAMS)

# ROUNDS=5: how often all are measured in turns. A library that cannot be installed is not measured.
bench-heap: bench-heap-programs
	@boot/setup.sh install peers || echo "Going on without."
	@BUILD=$(BUILD) test/bench/heap/run.sh

# Checks of the sources ----------------------------------------------------------------------------

C_SOURCES = $(shell git ls-files -co --exclude-standard '*.c')
C_FILES = $(C_SOURCES) $(shell git ls-files -co --exclude-standard '*.h')

format: setup
	clang-format -i $(C_FILES)

check-format: setup
	@clang-format --dry-run -Werror $(C_FILES)

check-edges:
	@test/check/edges.sh

check-style:
	@test/check/style.sh

# What the tree measures; OFFENDERS=1 lists each place that counts.
check-house: $(CONFIG_VALUES) | setup
	@test/check/house.sh $(if $(filter 1,$(OFFENDERS)),list) -- -I$(BUILD)/image/config

# The code in the documents compiles as a part of the image would.
check-documents:
	@BUILD=$(BUILD) CC=$(CC) test/check/documents.sh $(IMAGE_FLAGS) $(KERNEL_FLAGS)

# clang-tidy and cppcheck look at a file again only when it, one of its headers, or the rules have
# changed.
LINT_SOURCES = $(filter-out boot/% test/host/boot/% test/fake/map_check.c,$(C_SOURCES))
LINT_FLAGS := -std=gnu11 -Isrc -Itest -I. -I$(BUILD)/image/config

lint: setup
	@$(MAKE) --no-print-directory -j$(shell nproc) -k lint-files

.PHONY: lint-files
lint-files: $(patsubst %.c,$(BUILD)/lint/%.ok,$(LINT_SOURCES))

$(BUILD)/lint/src/main.ok: $(CONFIG_VALUES)
$(BUILD)/lint/test/bench/heap/subject_weir.ok: LINT_FLAGS += -DSUBJECT_WEIR
$(BUILD)/lint/test/fake/drivers/fake_bus.ok: LINT_FLAGS += -DREGISTERS_FAKED
# What only debug builds have.
$(patsubst %,$(BUILD)/lint/%.ok,src/heap/object/objcache_debug src/heap/object/free_delay src/runtime/base/lock_order \
	test/host/heap/object/test_heap_debug test/host/runtime/base/test_lock_order): LINT_FLAGS += -DWEIR_DEBUG
$(BUILD)/lint/test/host/heap/block/test_small_blocks.ok: LINT_FLAGS += -DBLOCK_SHIFT=16

# A program is compiled with its own values.
lint_program = $(if $(filter examples/%,$(1)),$(call lint_folder,examples/$(word 2,$(subst /, ,$(1)))))$(if \
	$(filter test/program/%,$(1)),$(call lint_folder,test/program) -Itest/program/include -DPARTS_FLAG=1)
lint_folder = -I$(1) $(if $(wildcard $(1)/weir_config.h),-include $(1)/weir_config.h)

$(BUILD)/lint/%.ok: %.c .clang-tidy test/check/lint.sh
	@mkdir -p $(@D)
	@test/check/lint.sh $< $(LINT_FLAGS) $(call lint_program,$<)
	@$(CC) $(LINT_FLAGS) $(call lint_program,$<) -MM -MP -MT $@ -MF $(@:.ok=.d) $<
	@touch $@

-include $(wildcard $(foreach below,* */* */*/* */*/*/*,$(BUILD)/lint/$(below)/*.d))
