// SPDX-License-Identifier: BSD-2-Clause
/*
 * The framebuffer: a graphics output whose current mode has 32 bits a pixel and can be written
 * directly, one that shows the firmware's console before others. The mode stays as the firmware
 * chose it, which is the panel's own more often than not; a new one is set only where no output
 * has one that can be used (a firmware that shows nothing, to start faster). UEFI 2.10, section
 * 12.9.
 */
#include "loader.h"

#include "runtime/base/inject.h"

typedef EFI_GRAPHICS_OUTPUT_MODE_INFORMATION mode_information;

static enum boot_pixel_format format_of_masks(const EFI_PIXEL_BITMASK *masks)
{
	if (masks->GreenMask != 0xff00)
		return BOOT_PIXEL_NONE;
	if (masks->RedMask == 0xff0000 && masks->BlueMask == 0xff)
		return BOOT_PIXEL_BGRX;
	if (masks->RedMask == 0xff && masks->BlueMask == 0xff0000)
		return BOOT_PIXEL_RGBX;
	return BOOT_PIXEL_NONE;
}

static enum boot_pixel_format format_of_mode(const mode_information *mode)
{
	if (INJECTED("blt-only"))
		return BOOT_PIXEL_NONE;
	switch (mode->PixelFormat) {
	case PixelBlueGreenRedReserved8BitPerColor:
		return BOOT_PIXEL_BGRX;
	case PixelRedGreenBlueReserved8BitPerColor:
		return BOOT_PIXEL_RGBX;
	case PixelBitMask:
		return format_of_masks(&mode->PixelInformation);
	default:
		return BOOT_PIXEL_NONE;
	}
}

static bool output_describe(const EFI_GRAPHICS_OUTPUT_PROTOCOL *output, struct boot_info *boot)
{
	const mode_information *mode;
	uint64_t line_bytes, bytes;

	if (!output->Mode || !output->Mode->Info || output->Mode->FrameBufferBase == 0 ||
	    output->Mode->Mode >= output->Mode->MaxMode)
		return false;
	mode = output->Mode->Info;
	line_bytes = mode->PixelsPerScanLine * 4ull;
	if (format_of_mode(mode) == BOOT_PIXEL_NONE || line_bytes == 0 || mode->VerticalResolution == 0 ||
	    mode->VerticalResolution > output->Mode->FrameBufferSize / line_bytes ||
	    mode->HorizontalResolution > mode->PixelsPerScanLine)
		return false;
	bytes = line_bytes * mode->VerticalResolution;
	/* The kernel cannot map it there, or not draw there. */
	if (bytes > boot->direct_limit || output->Mode->FrameBufferBase > boot->direct_limit - bytes ||
	    output->Mode->FrameBufferBase % 4 != 0)
		return false;
	boot->framebuffer = (struct boot_framebuffer){
		.base = { output->Mode->FrameBufferBase },
		.bytes = bytes,
		.width_pixels = mode->HorizontalResolution,
		.height_pixels = mode->VerticalResolution,
		.stride_pixels = mode->PixelsPerScanLine,
		.format = format_of_mode(mode),
	};
	return true;
}

/* Sets the mode with the most pixels that can be used. False: there is none. */
static bool output_set_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *output)
{
	const UINT32 modes = output->Mode ? output->Mode->MaxMode : 0;
	uint64_t most_pixels = 0;
	UINT32 best = 0;

	for (UINT32 i = 0; i < modes; i++) {
		mode_information *mode;
		UINTN bytes;

		/* What it returns stays allocated, as the firmware's. */
		if (output->QueryMode(output, i, &bytes, &mode) != EFI_SUCCESS)
			continue;
		if (format_of_mode(mode) != BOOT_PIXEL_NONE &&
		    (uint64_t)mode->HorizontalResolution * mode->VerticalResolution > most_pixels) {
			most_pixels = (uint64_t)mode->HorizontalResolution * mode->VerticalResolution;
			best = i;
		}
	}
	return most_pixels > 0 && output->SetMode(output, best) == EFI_SUCCESS;
}

/* Firmware marks the devices that its console uses with a protocol of no content. */
static bool shows_console(const struct loader *loader, EFI_HANDLE handle)
{
	static const EFI_GUID console_guid = { 0xd3b36f2c, 0xd551, 0x11d4, { 0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } };
	void *interface;

	return handle == loader->system->ConsoleOutHandle ||
	       loader->services->HandleProtocol(handle, (EFI_GUID *)&console_guid, &interface) == EFI_SUCCESS;
}

static const EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;

/* `handles`: of graphics outputs. Looks at those alone that show the console, or that do not. */
static bool outputs_search(const struct loader *loader, const EFI_HANDLE *handles, UINTN count, bool console, bool set_mode,
			   struct boot_info *boot)
{
	EFI_GRAPHICS_OUTPUT_PROTOCOL *output;

	for (UINTN i = 0; i < count; i++) {
		if (shows_console(loader, handles[i]) != console ||
		    loader->services->HandleProtocol(handles[i], (EFI_GUID *)&graphics_guid, (void **)&output) != EFI_SUCCESS)
			continue;
		if (set_mode && !output_set_mode(output))
			continue;
		if (!set_mode && INJECTED("no-screen-mode"))
			continue;
		if (output_describe(output, boot))
			return true;
	}
	return false;
}

void loader_find_framebuffer(const struct loader *loader, struct boot_info *boot)
{
	EFI_HANDLE *handles;
	UINTN count = 0;
	bool found = false;

	if (loader->services->LocateHandleBuffer(ByProtocol, (EFI_GUID *)&graphics_guid, NULL, &count, &handles) ==
	    EFI_SUCCESS) {
		found = outputs_search(loader, handles, count, true, false, boot) ||
			outputs_search(loader, handles, count, false, false, boot) ||
			outputs_search(loader, handles, count, true, true, boot) ||
			outputs_search(loader, handles, count, false, true, boot);
		loader->services->FreePool(handles);
	}
	if (!found)
		loader_print(loader, "no screen: output is on COM1 only\n");
}
