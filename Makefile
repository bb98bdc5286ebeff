# Weir. `make help` lists what can be asked for.

BUILD ?= build
APP ?= app
CC = gcc
LD = ld
OBJCOPY = objcopy
HOST_CC = cc
DEBUG ?= 0
CONFIG ?=
Q = @

# A build must not depend on the builder's language, time or place.
export LC_ALL := C
export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
VERSION := $(shell GIT_OPTIONAL_LOCKS=0 git describe --tags --always --dirty 2>/dev/null || echo unknown)

.DEFAULT_GOAL := all
.PHONY: all iso img run debug setup clean help FORCE
.DELETE_ON_ERROR:

all: $(BUILD)/weir.efi
iso: $(BUILD)/weir.iso
img: $(BUILD)/weir.img

help:
	@echo "make            the image, $(BUILD)/weir.efi"
	@echo "make run        build and start it in QEMU; MEM=4G SMP=2 MACHINE=q35|pc SCENARIO= LOOPS= DISK= TIMEOUT="
	@echo "                DISK_MBPS= (throttles the disks) SLOW_IOPS= (of a third disk) TRACE= (page references for SCENARIO=replay)"
	@echo "                ACCEL=tcg|kvm SCREEN=gtk OPTIONS= QEMU_ARGS=, all described in boot/run.sh"
	@echo "make debug      the same with gdb, at the first line of the kernel"
	@echo "make iso img    media: $(BUILD)/weir.iso (optical drive, USB stick), $(BUILD)/weir.img (disk); COMMAND_LINE="
	@echo "make test       all checks and tests, on the host and in the image"
	@echo "make test-long  what takes longer, up to three hours: full scenarios, long fuzzing, 100 million takes; PARTS=\"takes fuzz\""
	@echo "make fuzz       libFuzzer on heap, page cache and partition tables; FUZZ_SECONDS=60 for each"
	@echo "make bench      ns and instructions per operation; with TRACE=file ... (R or W and a page number a line, gzip'd or not)"
	@echo "                miss ratios of the page cache beside LRU, ARC, S3-FIFO and the optimum; SIZES=\"20 40\" (percent of the"
	@echo "                trace's pages), BLOCKS=0 (not what it costs to take blocks), GUARANTEE=8 (a guarantee of 1/8, idle and lent)"
	@echo "make bench-heap Weir's heap beside glibc, mimalloc, jemalloc and tcmalloc: ns, instructions, blocks of 2 MB that come back,"
	@echo "                memory taken; ROUNDS=5"
	@echo "make bench-holds  for how many instructions locks, preemption and interrupts are held, at most, on a machine of 1 TB;"
	@echo "                BOUND=200000 is what none may exceed"
	@echo "make lint       clang-tidy and cppcheck; make format: clang-format"
	@echo "make setup      install the packages that are missing (all of the above do that where they need them)"
	@echo "make clean"
	@echo
	@echo "For all: CC=gcc|clang DEBUG=1 BUILD=build APP=app (another program for the image) CONFIG=-DNAME=value (see config.h)"

# Asks for the packages that the goal needs; costs little when they are there.
setup:
	@boot/setup.sh $(if $(filter test test-long host-tests fuzz fuzz-programs bench bench-heap bench-heap-programs bench-holds lint format check-format $(BUILD)/test/%,$(MAKECMDGOALS)),test,$(if $(filter debug,$(MAKECMDGOALS)),debug,run))

clean:
	rm -rf $(BUILD)

# The image ---------------------------------------------------------------------------------------------------------------

KERNEL_SOURCES := $(sort $(wildcard src/main.c boot/*.c src/runtime/base/*.c src/runtime/x86_64/*.[cS] \
	src/runtime/kernel/*.[cS] src/heap/*.c src/pagecache/*.c src/drivers/*.c test/image/*.c))
APP_SOURCES := $(sort $(wildcard $(APP)/*.c))
KERNEL_OBJECTS := $(patsubst %,$(BUILD)/image/%.o,$(KERNEL_SOURCES))
APP_OBJECTS := $(patsubst %,$(BUILD)/image/app/%.o,$(notdir $(APP_SOURCES)))
IMAGE_OBJECTS := $(KERNEL_OBJECTS) $(APP_OBJECTS) $(BUILD)/image/version.o

# -fpie: the firmware loads the image anywhere. -mno-red-zone: interrupts use the interrupted stack.
IMAGE_FLAGS := -std=gnu11 -ffreestanding -fpie -fvisibility=hidden -fshort-wchar -mno-red-zone -fcf-protection=none \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-stack-protector -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)/= -O2 -g -Wall -Wextra -Wshadow -Werror -Isrc -I.
ifneq ($(DEBUG),0)
IMAGE_FLAGS += -DWEIR_DEBUG -DWEIR_HOLDS
endif
KERNEL_FLAGS := -mgeneral-regs-only
EFI_FLAGS := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI

$(BUILD)/image/boot/%.o: FILE_FLAGS := $(EFI_FLAGS)
$(BUILD)/image/src/main.c.o: FILE_FLAGS := $(CONFIG) -I$(BUILD)/image
$(BUILD)/image/src/main.c.o: $(BUILD)/image/config_values.h
# Its loops must not become calls of the functions that they implement.
$(BUILD)/image/src/runtime/x86_64/string.c.o: FILE_FLAGS := \
	$(if $(findstring clang,$(CC)),-fno-builtin,-fno-tree-loop-distribute-patterns)

# Only files named *_vector.c use vector registers, and only tasks that are spawned with .vector run them: kernel/task.h.
$(BUILD)/image/%_vector.c.o: KERNEL_FLAGS :=

# A change of compiler or flags makes everything anew; a file that has gone makes the linker run.
record = @mkdir -p $(@D) && echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@

FLAGS_RECORD := $(BUILD)/image/flags
$(FLAGS_RECORD): FORCE
	$(call record,$(CC) $(IMAGE_FLAGS) $(KERNEL_FLAGS) $(CONFIG) $(APP))

OBJECTS_RECORD := $(BUILD)/image/objects
$(OBJECTS_RECORD): FORCE
	$(call record,$(IMAGE_OBJECTS))

$(IMAGE_OBJECTS): | setup

compile = @mkdir -p $(@D) && echo "  CC   $<" && $(CC) $(IMAGE_FLAGS) $(1) $(FILE_FLAGS) -MMD -MP -c $< -o $@

$(KERNEL_OBJECTS): $(BUILD)/image/%.o: % $(FLAGS_RECORD)
	$(call compile,$(KERNEL_FLAGS))

$(APP_OBJECTS): $(BUILD)/image/app/%.o: $(APP)/% $(FLAGS_RECORD)
	$(call compile,$(KERNEL_FLAGS) -I$(APP))

$(BUILD)/image/version.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "runtime/base/version.h"\n\nconst char weir_version[] = "%s";\n' '$(VERSION)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/image/version.o: $(BUILD)/image/version.c $(FLAGS_RECORD)
	$(call compile,$(KERNEL_FLAGS))

$(BUILD)/image/weir.lds: boot/weir.lds
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -x c $< -o $@

# Every tunable by name, for the monitor's `config`.
$(BUILD)/image/config_values.h: config.h
	@mkdir -p $(@D)
	$(Q)sed -n 's/^#define \([A-Z][A-Z_]*\) .*/CONFIG_VALUE(\1)/p' $< > $@

# Linked twice: the names of the functions that the first link has placed go into the second one.
LINK = $(LD) -pie --no-dynamic-linker -z text -z norelro -z noexecstack --gc-sections --fatal-warnings --build-id=none \
	-T $(BUILD)/image/weir.lds /usr/lib/crt0-efi-x86_64.o $(IMAGE_OBJECTS)
LINK_LIBRARIES = /usr/lib/libgnuefi.a
LINK_NEEDS = $(IMAGE_OBJECTS) $(OBJECTS_RECORD) $(BUILD)/image/weir.lds

$(BUILD)/image/symbols%.o: $(BUILD)/image/symbols%.S
	$(Q)$(CC) -c $< -o $@

$(BUILD)/image/symbols0.S: boot/make_symbols.sh
	$(Q)boot/make_symbols.sh < /dev/null > $@

$(BUILD)/image/symbols1.S: $(BUILD)/image/first.elf boot/make_symbols.sh
	$(Q)nm -n $< | boot/make_symbols.sh > $@

$(BUILD)/image/first.elf: $(LINK_NEEDS) $(BUILD)/image/symbols0.o
	$(Q)$(LINK) $(BUILD)/image/symbols0.o $(LINK_LIBRARIES) -o $@

$(BUILD)/weir.elf: $(LINK_NEEDS) $(BUILD)/image/symbols1.o
	@echo "  LD   $@"
	$(Q)$(LINK) $(BUILD)/image/symbols1.o $(LINK_LIBRARIES) -o $@

EFI_SECTIONS := .text .rodata .relro .reloc .dynamic .rela .data .bss

$(BUILD)/weir.efi: $(BUILD)/weir.elf
	@echo "  EFI  $@"
	$(Q)$(OBJCOPY) -S $(EFI_SECTIONS:%=-j %) --target efi-app-x86_64 --file-alignment 512 --section-alignment 4096 $< $@

# Media and machines ------------------------------------------------------------------------------------------------------

COMMAND_LINE ?=
$(BUILD)/weir.iso $(BUILD)/weir.img: $(BUILD)/weir.%: $(BUILD)/weir.efi boot/media.sh FORCE
	@echo "  $*  $@"
	$(Q)boot/media.sh $* $< $@ '$(COMMAND_LINE)'

# Disks of numbered pages, and of page references; the image knows the same formats.
$(BUILD)/make_pattern: app/pattern.h
$(BUILD)/make_trace: app/trace_format.h
$(BUILD)/make_pattern $(BUILD)/make_trace: $(BUILD)/%: test/tools/%.c | setup
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -Wall -Wextra -Werror -I. -Isrc $< -o $@

MACHINE_VARIABLES := MEM SMP MACHINE SCENARIO LOOPS DISK DISK_MBPS SLOW_IOPS TRACE ACCEL CPU SCREEN TIMEOUT OPTIONS QEMU_ARGS GDB_ARGS OVMF
export $(MACHINE_VARIABLES)

run: $(BUILD)/weir.efi $(BUILD)/make_pattern $(BUILD)/make_trace
	@BUILD=$(BUILD) boot/run.sh

debug: $(BUILD)/weir.efi $(BUILD)/make_pattern $(BUILD)/make_trace
	@BUILD=$(BUILD) boot/debug.sh

-include $(KERNEL_OBJECTS:.o=.d) $(APP_OBJECTS:.o=.d)

-include test/test.mk
