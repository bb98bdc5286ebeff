# SPDX-License-Identifier: BSD-2-Clause
# From a program's folder, and the library that libweir.a is, to an image, media, and a machine that
# runs it. For the tree and for an installation alike; before this file
#
#   ROOT     is what Weir's own files stand below: empty, or a folder with a slash behind it
#   LIBRARY  is the folder with libweir.a, which is linked as a whole, and libprogram.a, of which a program gets what it needs
#   TOOLS    is the folder with make_pattern and make_trace

PROGRAM := $(call check,$(ROOT)mk/program.sh folder $(call quote,$(APP)) $(BUILD)/program)

# A program's app.mk may change these. Names of files are relative to the program's folder.
FOUND := $(call check,$(ROOT)mk/program.sh sources $(PROGRAM))
TEST_SOURCES := $(foreach file,$(FOUND),$(if $(findstring /test/,/$(file))$(findstring /test_,/$(file)),$(file)))
SOURCES := $(filter-out $(TEST_SOURCES),$(FOUND))
CFLAGS :=
LIBS :=
TEST_SCENARIOS := test
-include $(PROGRAM)/app.mk
$(variables_check)

# The test image is a second one, with the tests of the program, for the scenarios that need them.
IMAGE := $(if $(filter test=% $(TEST_SCENARIOS:%=scenario=%),scenario=$(SCENARIO) $(OPTIONS) $(COMMAND_LINE)),weir_test,weir)

# -fpie: the firmware loads the image anywhere. -mno-red-zone: interrupts use the interrupted stack.
IMAGE_FLAGS := -std=gnu11 -ffreestanding -fpie -fvisibility=hidden -fshort-wchar -mno-red-zone -fcf-protection=none \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-stack-protector -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections $(call quote,-ffile-prefix-map=$(CURDIR)/=) -O2 -g -Wall -Wextra -Wshadow -Werror \
	-I$(ROOT)src $(if $(ROOT),-I$(patsubst %/,%,$(ROOT)),-I.)
ifneq ($(DEBUG),0)
IMAGE_FLAGS += -DWEIR_DEBUG -DWEIR_HOLDS
endif
KERNEL_FLAGS := -mgeneral-regs-only

# What a program says about folders of headers is relative to its own.
PROGRAM_CFLAGS = $(filter-out -I%,$(CFLAGS)) $(filter -I/%,$(CFLAGS)) $(patsubst -I%,-I$(PROGRAM)/%,$(filter-out -I/%,$(filter -I%,$(CFLAGS))))
PROGRAM_LIBS = $(foreach word,$(LIBS),$(if $(filter -% /%,$(word)),$(word),$(PROGRAM)/$(word)))

# Only files named *_vector.c use vector registers, and only tasks that are spawned with .vector run
# them: kernel/task.h.
$(BUILD)/image/%_vector.c.o: KERNEL_FLAGS :=

# A change of compiler or flags makes everything anew; a file that has gone makes the linker run.
record = @mkdir -p $(@D) && echo $(call quote,$(1)) | cmp -s - $@ || echo $(call quote,$(1)) > $@

FLAGS_RECORD := $(BUILD)/image/flags
$(FLAGS_RECORD): FORCE
	$(call record,$(CC) $(IMAGE_FLAGS) $(KERNEL_FLAGS) $(LIBRARY))

PROGRAM_RECORD := $(BUILD)/image/program/flags
$(PROGRAM_RECORD): FORCE
	$(call record,$(realpath $(PROGRAM)) $(CFLAGS))

compile = @mkdir -p $(@D) && echo "  CC   $<" && $(CC) $(IMAGE_FLAGS) $(1) $(FILE_FLAGS) -MMD -MP -c $< -o $@

# The program's objects, by their names in its folder.
program_object = $(BUILD)/image/program/$(subst ../,up/,$(1)).o
PROGRAM_OBJECTS := $(foreach file,$(SOURCES),$(call program_object,$(file)))
PROGRAM_TEST_OBJECTS := $(foreach file,$(TEST_SOURCES),$(call program_object,$(file)))

define program_rule
$(call program_object,$(1)): $(PROGRAM)/$(1) $(PROGRAM_RECORD) $(FLAGS_RECORD) $(CONFIG_HEADER) | setup
	$$(call compile,$$(KERNEL_FLAGS) $$(if $$(filter %.c,$$<),-include $(CONFIG_HEADER)) -I$(PROGRAM) $$(PROGRAM_CFLAGS))
endef

# The values of config.h that the program's weir_config.h, or CONFIG, sets, and a list of all of
# them for the monitor's `config`.
CONFIG_HEADER := $(BUILD)/image/config/program_config.h
CONFIG_VALUES := $(BUILD)/image/config/config_values.h
PROGRAM_CONFIG := $(wildcard $(PROGRAM)/weir_config.h)

$(CONFIG_HEADER) $(CONFIG_VALUES) &: FORCE
	@$(ROOT)mk/config.sh $(call quote,$(CONFIG)) $(BUILD)/image/config $(ROOT)config.h $(PROGRAM_CONFIG)

$(foreach file,$(sort $(SOURCES) $(TEST_SOURCES)),$(eval $(call program_rule,$(file))))

# The checks of config.h, alone and first: a value that cannot work ends the build with what they
# say.
CONFIG_CHECKED := $(BUILD)/image/config/checked
$(CONFIG_CHECKED): $(ROOT)config.h $(FLAGS_RECORD) $(CONFIG_HEADER) | setup
	$(Q)$(CC) $(IMAGE_FLAGS) -MMD -MP -MT $@ -MF $@.d -include $(CONFIG_HEADER) $(if $(PROGRAM_CONFIG),-I$(PROGRAM)) \
		-include $< -fsyntax-only -x c /dev/null
	@touch $@
-include $(CONFIG_CHECKED).d

# The wiring, which config.h goes into.
WIRING := $(BUILD)/image/src/main.c.o
$(WIRING): $(ROOT)src/main.c $(FLAGS_RECORD) $(CONFIG_HEADER) $(CONFIG_VALUES) $(CONFIG_CHECKED) | setup
	$(call compile,$(KERNEL_FLAGS) -include $(CONFIG_HEADER) -I$(BUILD)/image/config $(if $(PROGRAM_CONFIG),-I$(PROGRAM)))

$(BUILD)/image/weir.lds: $(ROOT)boot/weir.lds
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -x c $< -o $@

# Linked twice: the names of the functions that the first link has placed go into the second one.
LIBRARIES := $(LIBRARY)/libweir.a $(LIBRARY)/libprogram.a
LINK = $(LD) -pie --no-dynamic-linker -z text -z norelro -z noexecstack --gc-sections --fatal-warnings --build-id=none \
	-T $(BUILD)/image/weir.lds /usr/lib/crt0-efi-x86_64.o $(WIRING) --whole-archive $(LIBRARY)/libweir.a --no-whole-archive

$(BUILD)/image/%.o: $(BUILD)/image/%.S
	$(Q)$(CC) -c $< -o $@

$(BUILD)/image/no_symbols.S: $(ROOT)boot/make_symbols.sh
	@mkdir -p $(@D)
	$(Q)$< < /dev/null > $@

# $(call image_rules,NAME,OBJECTS,MORE WORDS FOR THE LINKER)
define image_rules
$(BUILD)/image/$(1).objects: FORCE
	$$(call record,$(2) $(3) $$(PROGRAM_LIBS))

$(BUILD)/image/$(1)_first.elf: $(WIRING) $(2) $(LIBRARIES) $(BUILD)/image/$(1).objects $(BUILD)/image/weir.lds $(BUILD)/image/no_symbols.o
	$$(Q)$$(LINK) $(2) $(BUILD)/image/no_symbols.o $(3) $(LIBRARY)/libprogram.a $$(PROGRAM_LIBS) /usr/lib/libgnuefi.a -o $$@

$(BUILD)/image/$(1)_symbols.S: $(BUILD)/image/$(1)_first.elf $(ROOT)boot/make_symbols.sh
	$$(Q)nm -n $$< | $(ROOT)boot/make_symbols.sh > $$@

$(BUILD)/$(1).elf: $(BUILD)/image/$(1)_first.elf $(BUILD)/image/$(1)_symbols.o
	@echo "  LD   $$@"
	$$(Q)$$(LINK) $(2) $(BUILD)/image/$(1)_symbols.o $(3) $(LIBRARY)/libprogram.a $$(PROGRAM_LIBS) /usr/lib/libgnuefi.a -o $$@
endef
$(eval $(call image_rules,weir,$(PROGRAM_OBJECTS)))
# The scenario that runs tests is in the library; it is what starts even if the program has an
# app_main of its own.
$(eval $(call image_rules,weir_test,$(PROGRAM_OBJECTS) $(PROGRAM_TEST_OBJECTS) $(TEST_OBJECTS),-u image_tests_run -u scenario_main --wrap=app_main --defsym=__wrap_app_main=scenario_main))

EFI_SECTIONS := .text .rodata .relro .sbat .reloc .dynamic .rela .data .bss

$(BUILD)/weir.efi $(BUILD)/weir_test.efi: $(BUILD)/%.efi: $(BUILD)/%.elf
	@echo "  EFI  $@"
	$(Q)$(OBJCOPY) -S $(EFI_SECTIONS:%=-j %) --target efi-app-x86_64 --file-alignment 512 --section-alignment 4096 $< $@
	$(Q)$(ROOT)boot/mark_nx.sh $@

# For firmware with Secure Boot on, whose list has CERT.
$(BUILD)/weir_signed.efi $(BUILD)/weir_test_signed.efi: $(BUILD)/%_signed.efi: $(BUILD)/%.efi $(ROOT)boot/sign.sh FORCE | setup
	@echo "  SIGN $@"
	$(Q)$(ROOT)boot/sign.sh $< $(call quote,$(KEY)) $(call quote,$(CERT)) $@

# Media and machines -------------------------------------------------------------------------------

$(BUILD)/weir.iso $(BUILD)/weir.img: $(BUILD)/weir.%: $(BUILD)/$(IMAGE)$(if $(KEY)$(CERT),_signed).efi $(ROOT)boot/media.sh FORCE
	@echo "  $*  $@"
	$(Q)$(ROOT)boot/media.sh $* $< $@ $(call quote,$(COMMAND_LINE))

.PHONY: all iso img sign run debug program-test FORCE
.DELETE_ON_ERROR:

all: $(BUILD)/weir.efi
iso: $(BUILD)/weir.iso
img: $(BUILD)/weir.img
sign: $(BUILD)/$(IMAGE)_signed.efi

LAUNCH = BUILD=$(BUILD) ROOT=$(ROOT) TOOLS=$(TOOLS) IMAGE=$(IMAGE)

run: $(BUILD)/$(IMAGE).efi $(TOOLS)/make_pattern $(TOOLS)/make_trace
	@$(LAUNCH) $(ROOT)boot/run.sh

debug: $(BUILD)/$(IMAGE).efi $(TOOLS)/make_pattern $(TOOLS)/make_trace
	@$(LAUNCH) $(ROOT)boot/debug.sh

# The tests of the program, in the image.
program-test: $(BUILD)/weir_test.efi $(TOOLS)/make_pattern $(TOOLS)/make_trace
	@$(LAUNCH) IMAGE=weir_test $(ROOT)boot/test.sh

-include $(WIRING:.o=.d) $(PROGRAM_OBJECTS:.o=.d) $(PROGRAM_TEST_OBJECTS:.o=.d)
