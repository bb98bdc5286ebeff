// SPDX-License-Identifier: BSD-2-Clause
/* Registers and structures of NVM Express, base specification 1.4. All little-endian. */
#pragma once

#include "runtime/base/types.h"

/* Version register, section 3.1.2. */
#define NVME_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8)

/* Controller registers, section 3.1. */
enum nvme_register {
	NVME_CAP = 0x00,
	NVME_VS = 0x08,
	NVME_INTMS = 0x0c,
	NVME_INTMC = 0x10,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_DOORBELLS = 0x1000,
};

#define NVME_CAP_ENTRIES_MAX(cap)    ((unsigned)((cap)&0xffff) + 1)
#define NVME_CAP_TIMEOUT_NS(cap)     ((((cap) >> 24) & 0xff) * 500 * NS_PER_MS)
#define NVME_CAP_STRIDE_BYTES(cap)   (4u << (((cap) >> 32) & 0xf))
#define NVME_CAP_COMMANDS_NVM        (1ull << 37)
#define NVME_CAP_PAGE_SHIFT_MIN(cap) (12 + (unsigned)(((cap) >> 48) & 0xf))

#define NVME_CC_ENABLE          1u
#define NVME_CC_PAGE_SHIFT(s)   (((s)-12u) << 7)
#define NVME_CC_SHUTDOWN_NORMAL (1u << 14)
#define NVME_CC_SHUTDOWN_ABRUPT (2u << 14)
#define NVME_CC_SHUTDOWN_MASK   (3u << 14)
#define NVME_CC_ENTRY_SIZES     (6u << 16 | 4u << 20) /* 64 and 16 bytes */
#define NVME_CSTS_READY         1u
#define NVME_CSTS_FATAL         (1u << 1)
#define NVME_CSTS_SHUTDOWN_MASK (3u << 2)
#define NVME_CSTS_SHUTDOWN_DONE (2u << 2)
#define NVME_CSTS_ABSENT        UINT32_MAX /* the controller is not there any more */

/* Section 4.2. */
struct nvme_command {
	uint8_t opcode;
	uint8_t flags;
	uint16_t id;
	uint32_t namespace_id;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp[2];
	uint32_t dwords[6]; /* command dwords 10 to 15 */
};
_Static_assert(sizeof(struct nvme_command) == 64, "section 4.2");

/* Section 4.6. `status` holds the phase in bit 0. */
struct nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t submission_head;
	uint16_t submission_id;
	uint16_t id;
	uint16_t status;
};
_Static_assert(sizeof(struct nvme_completion) == 16, "section 4.6");

#define NVME_STATUS_PHASE    1u
#define NVME_STATUS_FINAL    (1u << 15) /* "do not retry": the same command would fail again */
#define NVME_STATUS_CODE(s)  (((s) >> 1) & 0xff)
#define NVME_STATUS_TYPE(s)  (((s) >> 9) & 0x7)
#define NVME_STATUS_IS_OK(s) (((s)&0xffe) == 0)
#define NVME_TYPE_GENERIC    0
#define NVME_CODE_ABORTED    0x07
#define NVME_CODE_PROTECTED  0x20
#define NVME_CODE_RANGE      0x80

enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SUBMISSION = 0x00,
	NVME_ADMIN_CREATE_SUBMISSION = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_COMPLETION = 0x04,
	NVME_ADMIN_CREATE_COMPLETION = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_AWAIT_EVENT = 0x0c,
};

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
};

#define NVME_QUEUE_CONTIGUOUS 1u
#define NVME_QUEUE_INTERRUPTS 2u
#define NVME_FEATURE_QUEUES   0x07
#define NVME_FEATURE_EVENTS   0x0b

/* Identify, section 5.15: what is asked for, and where it lies in the 4096 bytes of the answer. */
#define NVME_IDENTIFY_BYTES 4096
enum nvme_identify {
	NVME_IDENTIFY_NAMESPACE = 0,
	NVME_IDENTIFY_CONTROLLER = 1,
	NVME_IDENTIFY_ACTIVE = 2,
};

enum nvme_controller_offset {
	NVME_CONTROLLER_SERIAL = 4, /* 20 bytes */
	NVME_CONTROLLER_MODEL = 24, /* 40 bytes */
	NVME_CONTROLLER_MDTS = 77,
	NVME_CONTROLLER_RTD3E = 88, /* microseconds that a shutdown takes */
	NVME_CONTROLLER_NAMESPACES = 516,
	NVME_CONTROLLER_CACHE = 525,
};

enum nvme_namespace_offset {
	NVME_NAMESPACE_BLOCKS = 0,
	NVME_NAMESPACE_FORMAT = 26,
	NVME_NAMESPACE_ATTRIBUTES = 99,
	NVME_NAMESPACE_FORMATS = 128, /* 4 bytes each: metadata bytes (16), log2 of the block (8), performance (8) */
};

/* What an asynchronous event says in its result, section 5.2.1. */
#define NVME_EVENT_TYPE(result) ((result)&0x7)
#define NVME_EVENT_INFO(result) (((result) >> 8) & 0xff)
#define NVME_EVENT_LOG(result)  (((result) >> 16) & 0xff)
enum nvme_event_type {
	NVME_EVENT_ERROR = 0,
	NVME_EVENT_HEALTH = 1,
	NVME_EVENT_NOTICE = 2,
};

/* The health log, section 5.14.1.2, and which bits of its critical warning are events. */
#define NVME_LOG_HEALTH      0x02
#define NVME_LOG_BYTES       512
#define NVME_HEALTH_WARNINGS 0x1fu
enum nvme_health_offset {
	NVME_HEALTH_WARNING = 0,
	NVME_HEALTH_KELVIN = 1, /* 2 bytes */
	NVME_HEALTH_SPARE_PERCENT = 3,
	NVME_HEALTH_SPARE_LOW_PERCENT = 4,
	NVME_HEALTH_USED_PERCENT = 5,
};

#define NVME_FORMAT_INDEX_MASK   0xfu
#define NVME_ATTRIBUTE_PROTECTED 1u
#define NVME_CACHE_PRESENT       1u
