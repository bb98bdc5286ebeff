# SPDX-License-Identifier: BSD-2-Clause
# libweir.a: what does not depend on config.h; and libprogram.a: what a program is built on unless
# it has its own.

LIBRARY_SOURCES := $(sort $(wildcard boot/*.c src/runtime/base/*.c src/runtime/x86_64/*.[cS] src/runtime/kernel/*.[cS] src/runtime/console/*.[cS] \
	src/heap/*.c src/heap/*/*.c src/block/*.c src/pagecache/*.c src/pagecache/*/*.c src/drivers/*.c src/drivers/*/*.c) $(filter-out src/main.c,$(wildcard src/*.c)))
LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%=$(BUILD)/image/%.o)
FRAME_OBJECTS := $(patsubst %,$(BUILD)/image/%.o,app/app.c app/scenario.c test/image/image_test.c)

EFI_FLAGS := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI
$(BUILD)/image/boot/%.o: FILE_FLAGS := $(EFI_FLAGS)
# Its loops must not become calls of the functions that they implement.
$(BUILD)/image/src/runtime/x86_64/string.c.o: FILE_FLAGS := \
	$(if $(findstring clang,$(CC)),-fno-builtin,-fno-tree-loop-distribute-patterns)

$(LIBRARY_OBJECTS) $(FRAME_OBJECTS): $(BUILD)/image/%.o: % $(FLAGS_RECORD) | setup
	$(call compile,$(KERNEL_FLAGS))

# The newest version in CHANGELOG.md, and the commit. The section .sbat has them, too, for shim: a
# boot loader that is known to be unsafe is refused by its generation, the number behind its name.
VERSION := $(shell sed -n 's/^\#\# //p;T;q' CHANGELOG.md)+$(shell GIT_OPTIONAL_LOCKS=0 git describe --always --dirty 2>/dev/null || echo unknown)

$(BUILD)/image/version.c: FORCE
	@mkdir -p $(@D)
	@printf '#include "runtime/base/version.h"\n\nconst char weir_version[] = "%s";\n%s = "%s\\n%s\\n";\n' '$(VERSION)' \
		'const char weir_sbat[] __attribute__((section(".sbat")))' \
		'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md' \
		'weir,1,Weir,weir,$(VERSION),README.md' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/image/version.o: $(BUILD)/image/version.c $(FLAGS_RECORD) | setup
	$(call compile,$(KERNEL_FLAGS))

$(BUILD)/image/library.objects: FORCE
	$(call record,$(LIBRARY_OBJECTS) $(FRAME_OBJECTS))

$(BUILD)/image/libweir.a: $(LIBRARY_OBJECTS) $(BUILD)/image/version.o $(BUILD)/image/library.objects
$(BUILD)/image/libprogram.a: $(FRAME_OBJECTS)
$(BUILD)/image/libweir.a $(BUILD)/image/libprogram.a:
	@rm -f $@
	$(Q)ar rcsD $@ $(filter %.o,$^)

# Disks of numbered pages, and of page references; the image knows the same formats.
$(BUILD)/make_pattern: app/testbed/pattern.h
$(BUILD)/make_trace: app/testbed/trace_format.h
$(BUILD)/make_pattern $(BUILD)/make_trace: $(BUILD)/%: test/tools/%.c | setup
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -Wall -Wextra -Werror -I. -Isrc $< -o $@

.PHONY: library
library: $(BUILD)/image/libweir.a $(BUILD)/image/libprogram.a $(BUILD)/make_pattern $(BUILD)/make_trace

-include $(LIBRARY_OBJECTS:.o=.d) $(FRAME_OBJECTS:.o=.d)
