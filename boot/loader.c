// SPDX-License-Identifier: BSD-2-Clause
/*
 * The way from the firmware to the kernel, step by step. Each condition that can be checked while
 * the firmware still prints is checked before boot services are left, so that each way in which
 * the machine cannot go on has its message.
 */
#include "loader.h"

#include "runtime/base/bits.h"
#include "runtime/base/inject.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "runtime/base/version.h"
#include "runtime/kernel/boot_heap.h"
#include "runtime/x86_64/cpu_registers.h"

/* Less cannot hold the kernel and a useful cache; the firmware itself needs some 40 MB more. */
#define MEMORY_MIN_BYTES (128 * MIB)

/* The lower half of the virtual addresses, of which four levels of page tables have 48 bits. */
#define DIRECT_BITS_MAX 47u

#define MESSAGE_SECONDS 30

/* weir.lds */
extern char image_text_start[], image_text_end[], image_rodata_start[], image_rodata_end[];
extern char image_relocated_start[], image_relocated_end[], image_data_start[], image_data_end[];
extern char image_start[], image_end[];

static struct boot_info boot_info;

static void section_add(struct boot_info *boot, const char *start, const char *end, bool writable, bool executable)
{
	boot->sections[boot->section_count++] = (struct boot_section){
		.range = { { (uintptr_t)start }, (uint64_t)(end - start) },
		.writable = writable,
		.executable = executable,
	};
}

static void image_describe(struct boot_info *boot)
{
	boot->image = (struct phys_range){ { (uintptr_t)image_start }, (uint64_t)(image_end - image_start) };
	section_add(boot, image_text_start, image_text_end, false, true);
	section_add(boot, image_rodata_start, image_rodata_end, false, false);
	section_add(boot, image_relocated_start, image_relocated_end, false, false);
	section_add(boot, image_data_start, image_data_end, true, false);
}

static bool cpu_has_no_execute(void)
{
	return (cpuid_if_present(0x80000001u, 0).edx >> 20) & 1;
}

/* Intel SDM volume 2, CPUID leaf 80000008h. What does not tell has 36 bits. */
static uint64_t direct_limit(void)
{
	const unsigned bits = cpuid_if_present(0x80000008u, 0).eax & 0xff;

	return 1ull << MIN(bits ? bits : 36, DIRECT_BITS_MAX);
}

/*
 * ACPI 2.0's table has 64-bit addresses, so it goes before that of ACPI 1.0. 0: there is none, and
 * the kernel runs without.
 */
static struct phys_addr rsdp_find(const struct loader *loader)
{
	static const EFI_GUID guids[] = { ACPI_20_TABLE_GUID, ACPI_TABLE_GUID };

	for (size_t i = 0; i < ARRAY_LENGTH(guids) && !INJECTED("no-rsdp"); i++) {
		for (UINTN j = 0; j < loader->system->NumberOfTableEntries; j++) {
			const EFI_CONFIGURATION_TABLE *table = &loader->system->ConfigurationTable[j];
			if (memcmp(&table->VendorGuid, &guids[i], sizeof(guids[i])) == 0)
				return (struct phys_addr){ (uintptr_t)table->VendorTable };
		}
	}
	return (struct phys_addr){ 0 };
}

static void firmware_describe(const struct loader *loader, struct boot_info *boot)
{
	static char vendor[64];

	if (loader->system->FirmwareVendor)
		loader_copy_utf16(vendor, sizeof(vendor), loader->system->FirmwareVendor, sizeof(vendor));
	boot->firmware_vendor = vendor;
	boot->firmware_revision = loader->system->FirmwareRevision;
	if (loader->system->RuntimeServices)
		boot->reset_system = (uintptr_t)loader->system->RuntimeServices->ResetSystem;
}

/*
 * Leaves the message on the screen for a while: a firmware that goes on to its boot menu would wipe
 * it away.
 */
static EFI_STATUS refuse(const struct loader *loader, EFI_STATUS status)
{
	SIMPLE_INPUT_INTERFACE *input = loader->system->ConIn;
	EFI_INPUT_KEY key;

	loader_print(loader, "\nWeir cannot start on this machine. Press a key to go back to the firmware.\n");
	if (input)
		input->Reset(input, FALSE);
	for (unsigned tenths = 0; tenths < MESSAGE_SECONDS * 10; tenths++) {
		if (input && input->ReadKeyStroke(input, &key) == EFI_SUCCESS)
			break;
		loader->services->Stall(100000);
	}
	return status;
}

/* For boot/debug.sh, which sets it. */
static volatile bool loader_debugger_is_there;

static void debugger_wait(const struct loader *loader)
{
	char address[19] = "0x";
	uint64_t base = (uintptr_t)image_start;

	for (unsigned i = 0; i < 16; i++)
		address[2 + i] = "0123456789abcdef"[base >> (60 - 4 * i) & 15];
	loader_print(loader, "waiting for gdb, loaded at ");
	loader_print(loader, address);
	loader_print(loader, "\n");
	while (!loader_debugger_is_there)
		loader->services->Stall(10000);
}

static EFI_STATUS map_take(const struct loader *loader, struct loader_map *map, struct boot_info *boot)
{
	EFI_STATUS status = loader_map_prepare(loader, map);
	UINTN key;

	if (status == EFI_SUCCESS)
		status = loader_map_read(loader, map, &key);
	if (status == EFI_SUCCESS)
		loader_map_convert(map, boot);
	else
		loader_print(loader, "The firmware's memory map cannot be read.\n");
	return status;
}

static EFI_STATUS memory_check(const struct loader *loader, struct loader_map *map, struct boot_info *boot)
{
	uint64_t usable;
	EFI_STATUS status = map_take(loader, map, boot);

	if (status != EFI_SUCCESS)
		return status;
	usable = boot_info_bytes(boot, BOOT_MEMORY_USABLE);
	if (usable >= MEMORY_MIN_BYTES) {
		status = loader_pool_alloc(loader, boot_heap_pool_bytes(boot), boot);
		if (status != EFI_SUCCESS)
			loader_print(loader, "The firmware has no memory for the first page tables.\n");
		return status;
	}
	loader_print(loader, "Too little memory: ");
	loader_print_number(loader, usable / MIB);
	loader_print(loader, " MB usable, ");
	loader_print_number(loader, MEMORY_MIN_BYTES / MIB);
	loader_print(loader, " MB needed.\n");
	return EFI_OUT_OF_RESOURCES;
}

/*
 * What can be known before boot services are left is checked while there still is a firmware that
 * prints.
 */
static EFI_STATUS machine_check(const struct loader *loader, struct loader_map *map, struct boot_info *boot)
{
	if (!cpu_has_no_execute()) {
		loader_print(loader, "The CPU has no execute-disable (NX), or the firmware's setup has turned it off.\n");
		return EFI_UNSUPPORTED;
	}
	boot->rsdp = rsdp_find(loader);
	return memory_check(loader, map, boot);
}

/* crt0 calls this with the calling convention of the ELF world, once the image is relocated. */
EFI_STATUS efi_main(EFI_HANDLE image_handle, EFI_SYSTEM_TABLE *system)
{
	static const EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;
	struct loader loader = { .image_handle = image_handle, .system = system, .services = system->BootServices };
	struct loader_map map = { 0 };
	struct boot_info *boot = &boot_info;
	EFI_STATUS status;

	loader.services->SetWatchdogTimer(0, 0, 0, NULL);
	loader_print(&loader, "Weir ");
	loader_print(&loader, weir_version);
	loader_print(&loader, "\n");
	status = loader.services->HandleProtocol(image_handle, (EFI_GUID *)&loaded_image_guid, (void **)&loader.image);
	if (status != EFI_SUCCESS) {
		loader_print(&loader, "The firmware does not tell where it has loaded the image.\n");
		return refuse(&loader, status);
	}
	image_describe(boot);
	boot->direct_limit = direct_limit();
	firmware_describe(&loader, boot);
	loader_find_command_line(&loader, boot);
	inject_begin(boot->command_line);
	loader_find_framebuffer(&loader, boot);
	if (options_get_number(boot->command_line, "gdb", 0))
		debugger_wait(&loader);
	status = machine_check(&loader, &map, boot);
	if (status != EFI_SUCCESS)
		return refuse(&loader, status);
	loader_read_clock(&loader, boot);
	boot->exit_status = loader_exit_boot_services(&loader, &map);
	/* Even if that failed there is no way back: the firmware may be shut down in part. */
	__asm__ volatile("cli");
	boot->exit_boot_services_tsc = __builtin_ia32_rdtsc();
	if (boot->exit_status == EFI_SUCCESS)
		loader_map_convert(&map, boot);
	kernel_entry(boot);
}
