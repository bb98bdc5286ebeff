// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turns a unit on as a firmware with DMA protection does, with tables that let nothing through
 * (base/inject.h). For tests.
 */
#pragma once

struct iommu_registers;

void iommu_inject_intel(const struct iommu_registers *registers);
void iommu_inject_amd(const struct iommu_registers *registers);
