// SPDX-License-Identifier: BSD-2-Clause
/* Registers of IOMMUs. The specifications that iommu_units.h names, in the sections there. */
#pragma once

/* Intel. A bit of the command register that goes on working has the same place in the status. */
enum intel_register {
	INTEL_VERSION = 0x00,
	INTEL_CAPABILITIES = 0x08,          /* 8 bytes */
	INTEL_EXTENDED_CAPABILITIES = 0x10, /* 8 bytes */
	INTEL_COMMAND = 0x18,
	INTEL_STATUS = 0x1c,
	INTEL_ROOT_TABLE = 0x20, /* 8 bytes */
	INTEL_PROTECTED_MEMORY = 0x64,
	INTEL_QUEUE_HEAD = 0x80,     /* 8 bytes */
	INTEL_QUEUE_TAIL = 0x88,     /* 8 bytes */
	INTEL_QUEUE_ADDRESS = 0x90,  /* 8 bytes */
	INTEL_REMAPPING_TABLE = 0xb8 /* 8 bytes */
};

#define INTEL_TRANSLATION       (1u << 31)
#define INTEL_SET_ROOT_TABLE    (1u << 30)
#define INTEL_QUEUED            (1u << 26)
#define INTEL_REMAPPING         (1u << 25)
#define INTEL_SET_REMAPPING     (1u << 24)
#define INTEL_LASTING           0x96ffffffu /* the status without what a command does once */
#define INTEL_CAPABILITY_LOW    (1u << 5)   /* protected memory, low and high */
#define INTEL_CAPABILITY_HIGH   (1u << 6)
#define INTEL_CAPABILITY_QUEUE  (1u << 1) /* of the extended ones */
#define INTEL_CAPABILITY_REMAP  (1u << 3)
#define INTEL_PROTECTION_ENABLE (1u << 31)
#define INTEL_PROTECTION_STATUS (1u << 0)
#define INTEL_QUEUE_POSITION    0x7fff0u

/* AMD; 8 bytes each. */
enum amd_register {
	AMD_DEVICE_TABLE = 0x0000,
	AMD_CONTROL = 0x0018,
	AMD_STATUS = 0x2020,
};
#define AMD_REGISTERS_BYTES 0x2028

#define AMD_CONTROL_UNIT        (1ull << 0)
#define AMD_CONTROL_EVENT_LOG   (1ull << 2)
#define AMD_CONTROL_EVENT_INT   (1ull << 3)
#define AMD_CONTROL_WAIT_INT    (1ull << 4)
#define AMD_CONTROL_COMMANDS    (1ull << 12)
#define AMD_CONTROL_PPR_LOG     (1ull << 13)
#define AMD_CONTROL_PPR_INT     (1ull << 14)
#define AMD_CONTROL_PPR         (1ull << 15)
#define AMD_CONTROL_GUEST_LOG   (1ull << 28)
#define AMD_CONTROL_GUEST_INT   (1ull << 29)
#define AMD_STATUS_EVENT_RUNS   (1ull << 3)
#define AMD_STATUS_COMMANDS_RUN (1ull << 4)
#define AMD_STATUS_PPR_RUNS     (1ull << 7)
#define AMD_STATUS_GUEST_RUNS   (1ull << 8)
