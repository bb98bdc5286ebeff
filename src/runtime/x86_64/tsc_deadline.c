// SPDX-License-Identifier: BSD-2-Clause
/*
 * Intel's specification updates of these processors (HSE85, BDF77, SKL148 and their like): a write
 * to IA32_TSC_ADJUST, or to the counter, does not reach the timer's comparison, so that firmware
 * which sets the counter leaves interrupts that come late or never. The revisions are those that
 * Linux and Xen demand.
 */
#include "tsc_deadline.h"

#define FAMILY_6 6u

static const struct erratum {
	uint8_t model;
	uint8_t stepping_first;
	uint8_t stepping_last;
	uint32_t microcode;
} errata[] = {
	{ 0x3c, 0x0, 0xf, 0x22 },       /* Haswell */
	{ 0x45, 0x0, 0xf, 0x20 },       /* Haswell, low power */
	{ 0x46, 0x0, 0xf, 0x17 },       /* Haswell, with large graphics */
	{ 0x3f, 0x2, 0x2, 0x3a },       /* Haswell, two sockets */
	{ 0x3f, 0x4, 0x4, 0x0f },       /* Haswell, four sockets */
	{ 0x3d, 0x0, 0xf, 0x25 },       /* Broadwell */
	{ 0x47, 0x0, 0xf, 0x17 },       /* Broadwell, with large graphics */
	{ 0x4f, 0x0, 0xf, 0x0b000020 }, /* Broadwell, servers */
	{ 0x56, 0x2, 0x2, 0x00000011 }, /* Xeon D */
	{ 0x56, 0x3, 0x3, 0x0700000e }, { 0x56, 0x4, 0x4, 0x0f00000c },
	{ 0x56, 0x5, 0x5, 0x0e000003 }, { 0x4e, 0x0, 0xf, 0xb2 }, /* Skylake, mobile */
	{ 0x5e, 0x0, 0xf, 0xb2 },                                 /* Skylake */
	{ 0x55, 0x3, 0x3, 0x01000136 },                           /* Skylake, servers; later steppings are right */
	{ 0x55, 0x4, 0x4, 0x02000014 }, { 0x8e, 0x0, 0xf, 0x52 }, /* Kaby Lake, mobile */
	{ 0x9e, 0x0, 0xf, 0x52 },                                 /* Kaby Lake */
};

uint32_t tsc_deadline_microcode(uint32_t signature)
{
	const unsigned stepping = signature & 0xf;
	const unsigned model = (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);

	if ((signature >> 8 & 0xf) != FAMILY_6)
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(errata); i++) {
		const struct erratum *erratum = &errata[i];

		if (erratum->model == model && stepping >= erratum->stepping_first && stepping <= erratum->stepping_last)
			return erratum->microcode;
	}
	return 0;
}
