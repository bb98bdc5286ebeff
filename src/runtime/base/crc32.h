// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cyclic redundancy checks of 32 bits, reflected, initial and final value all ones. Any context,
 * any CPU at once.
 *
 * To continue over several pieces, pass the result for what came before as `crc`; 0 starts.
 */
#pragma once

#include "types.h"

/*
 * IEEE 802.3, polynomial 0x04c11db7: as in GPT headers and gzip. crc32_update(0, "123456789", 9) is
 * 0xcbf43926.
 */
uint32_t crc32_update(uint32_t crc, const void *data, size_t bytes);

/*
 * Castagnoli, polynomial 0x1edc6f41: as in iSCSI and ext4. crc32c_update(0, "123456789", 9) is
 * 0xe3069283.
 */
uint32_t crc32c_update(uint32_t crc, const void *data, size_t bytes);
