# SPDX-License-Identifier: BSD-2-Clause
# The card and its driver are those of the other example.
SOURCES += ../instrument/instrument.c
