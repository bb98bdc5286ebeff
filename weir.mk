# SPDX-License-Identifier: BSD-2-Clause
# Builds a program in a folder of its own, for the program's Makefile, which says where Weir is, and
# includes this file:
#
#	WEIR = /opt/weir
#	APP = .
#	include $(WEIR)/weir.mk
#
# WEIR is what `make install` made, or a checkout, whose library is then built on demand. A blank in
# it is written as "\ ".

WEIR_FOLDER := $(subst \ , ,$(WEIR))
BUILD = build
# make cannot bear blanks in names; it goes by a link then.
ROOT := $(if $(findstring $() ,$(WEIR_FOLDER)),$(BUILD)/weir/,$(WEIR_FOLDER)/)
GOALS := $(or $(MAKECMDGOALS),all)
CLAIMED := $(if $(filter-out clean help,$(GOALS)),$(shell "$(WEIR_FOLDER)/mk/build_folder.sh" claim '$(BUILD)' || echo failed))
$(if $(filter failed,$(lastword $(CLAIMED))),$(error $(CLAIMED)))
$(if $(filter $(BUILD)/weir/,$(ROOT)),$(shell mkdir -p $(BUILD) && ln -sfn "$(WEIR_FOLDER)" $(BUILD)/weir))

program_given := $(APP)
include $(ROOT)mk/variables.mk
APP := $(or $(program_given),.)

.DEFAULT_GOAL := all
.PHONY: help setup clean test library

help:
	@echo "make            the image, $(BUILD)/weir.efi"
	@echo "make run        build and start it in QEMU; MEM=4G SMP=2 SCENARIO= OPTIONS= DEVICES= DISK= and others: $(ROOT)boot/run.sh"
	@echo "make debug      the same with gdb, at the first line of the kernel"
	@echo "make test       the program's tests, in the image"
	@echo "make iso img    media: $(BUILD)/weir.iso (optical drive, USB stick), $(BUILD)/weir.img (disk); COMMAND_LINE="
	@echo "make sign KEY=file CERT=file   the image for Secure Boot, $(BUILD)/weir_signed.efi; make iso img KEY= CERT=: media with it"
	@echo "make setup      install the packages that are missing;  make clean: remove what builds made in $(BUILD)"
	@echo
	@echo "For all: CC=gcc|clang DEBUG=1 BUILD=build CONFIG=-DNAME=value (of config.h, or the program's weir_config.h)"

ifneq ($(filter-out clean help,$(GOALS)),)
checkout := $(wildcard $(ROOT)Makefile)
debug := $(filter-out 0,$(DEBUG))
ifneq ($(checkout),)
TOOLS := $(ROOT)build$(if $(debug),/debug)
LIBRARY := $(TOOLS)/image
else
TOOLS := $(ROOT)tools
LIBRARY := $(ROOT)lib$(if $(debug),-debug)
endif

include $(ROOT)mk/image.mk
test: program-test

# A checkout sees for itself what of its library is to be made anew.
ifneq ($(checkout),)
$(LIBRARY)/libweir.a $(LIBRARY)/libprogram.a $(TOOLS)/make_pattern $(TOOLS)/make_trace: library
	@:
library:
	+@MAKEFLAGS= $(MAKE) --no-print-directory -j$(shell nproc) -C $(ROOT) CC=$(CC) DEBUG=$(DEBUG) BUILD=$(TOOLS:$(ROOT)%=%) library
endif
endif

setup:
	@$(ROOT)boot/setup.sh $(if $(filter-out all iso img sign,$(GOALS)),install,name) \
		$(if $(filter debug,$(GOALS)),debug,$(if $(filter run test setup,$(GOALS)),run,$(if $(KEY)$(CERT)$(filter sign,$(GOALS)),sign,$(if $(filter iso img,$(GOALS)),media,build))))

clean:
	@$(ROOT)mk/build_folder.sh clean $(BUILD)
