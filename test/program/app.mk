# SPDX-License-Identifier: BSD-2-Clause
# The library's source is not the program's.
SOURCES := $(filter-out library/%,$(SOURCES))
CFLAGS = -Iinclude -DPARTS_NUMBER=42 -DPARTS_FLAG=$(PARTS_FLAG)
LIBS = library/libparts.a
MEM = 512M
SMP = 1
DEVICES = none
QEMU_ARGS = -device pci-testdev

# A variable of the program's own for the command line.
PARTS_FLAG = 1
VARIABLES += PARTS_FLAG
