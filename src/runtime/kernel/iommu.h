// SPDX-License-Identifier: BSD-2-Clause
/*
 * IOMMUs that the firmware left on, for DMA protection or a virtual machine monitor: devices reach
 * only the memory that it mapped for them, and their interrupts may be dropped. Weir gives devices
 * physical addresses, so it turns all of them off.
 */
#pragma once

/*
 * Finds the machine's IOMMUs and turns them off; says which were on, and which would not go off.
 * Once, at start-up, when functions that no driver knows have lost the right to DMA, and before a
 * driver starts its device. Waits half a second for each unit at most.
 */
void iommu_turn_off(void);
