# SPDX-License-Identifier: BSD-2-Clause
# The variables that the command line may set, and their defaults. An assignment here goes before
# the environment, so that only the command line, or a program's app.mk, sets them. An unknown name
# and a malformed value end make with a message.

empty :=
blank := $(empty) $(empty)
comma := ,

# $(call quote,TEXT): one word of the shell.
quote = '$(subst ','\'',$(1))'

# What is built, and how.
BUILD = build
APP = app
CC = gcc
HOST_CC = cc
LD = ld
OBJCOPY = objcopy
DEBUG = 0
CONFIG =
COMMAND_LINE =
PREFIX =
# Of `make sign`, and of media with a signed image.
KEY =
CERT =
# A folder with libweir.a that is there already; for an image that differs from another one only in
# CONFIG or APP.
LIBRARY =
Q = @

# The machine of `make run`, described in boot/run.sh.
MACHINE_VARIABLES := MEM SMP MACHINE SCENARIO LOOPS DEVICES DISK DISK_WRITE DISK_MBPS SLOW_IOPS TRACE ACCEL CPU SCREEN TIMEOUT OPTIONS \
	QEMU QEMU_ARGS GDB_ARGS GDB_PORT OVMF
$(foreach name,$(filter-out DEVICES,$(MACHINE_VARIABLES)),$(eval $(name) =))
DEVICES = edu

# Tests and benches, described where they are used.
TEST_VARIABLES := SANITIZE LABEL PARTS FUZZ_SECONDS FUZZERS SIZES BLOCKS GUARANTEE ROUNDS SLICES ALLOCATORS WORKLOADS \
	INSTRUCTIONS BOUND MEMORY_MB OFFENDERS
$(foreach name,$(TEST_VARIABLES),$(eval $(name) =))

VARIABLES = BUILD APP CC HOST_CC LD OBJCOPY DEBUG CONFIG COMMAND_LINE PREFIX KEY CERT LIBRARY WEIR Q CURDIR MAKE MAKEFLAGS \
	$(MACHINE_VARIABLES) $(TEST_VARIABLES)
export $(MACHINE_VARIABLES) $(TEST_VARIABLES)

# A build must not depend on the builder's language, time or place.
export LC_ALL := C

# $(call check,COMMAND): ends make with what the command prints, if it fails; else the value is what
# it prints. The last word tells, since $(shell) leaves it to make's exit status only from version
# 4.2 on.
check = $(call check_result,$(shell { $(1); } 2>&1 || echo failed))
check_result = $(if $(filter failed,$(lastword $(1))),$(error $(strip $(patsubst %failed,%,$(1)))),$(1))

GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
# Behind app.mk, which may add to VARIABLES.
variables_check = $(if $(GIVEN),$(call check,$(ROOT)mk/check_variables.sh $(VARIABLES) -- \
	$(foreach name,$(GIVEN),$(call quote,$(name)=$($(name))))))
