// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first mappings of new page tables, for paging_init: RAM, image and framebuffer. They panic
 * when there is no memory for tables. On the first CPU.
 */
#pragma once

struct boot_framebuffer;
struct boot_info;

/* RAM at its address, usable memory with `usable_flags` (paging.h), and the image's sections. */
void direct_map_build(const struct boot_info *boot, unsigned usable_flags);

/* Write-combining. In the tables that the CPU runs on. */
void direct_map_framebuffer(const struct boot_framebuffer *framebuffer);
