// SPDX-License-Identifier: BSD-2-Clause
/*
 * The framebuffer: the first graphics output whose current mode has 32 bits a pixel and can be
 * written directly. The mode stays as the firmware chose it, which is the panel's own more often
 * than not. UEFI 2.10, section 12.9.
 */
#include "loader.h"

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

static enum boot_pixel_format format_of_mode(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode)
{
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

static bool output_describe(const EFI_GRAPHICS_OUTPUT_PROTOCOL *output, struct boot_framebuffer *framebuffer)
{
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode;
	uint64_t bytes;

	if (!output->Mode || !output->Mode->Info || output->Mode->FrameBufferBase == 0)
		return false;
	mode = output->Mode->Info;
	bytes = (uint64_t)mode->PixelsPerScanLine * mode->VerticalResolution * 4;
	if (format_of_mode(mode) == BOOT_PIXEL_NONE || bytes == 0 || bytes > output->Mode->FrameBufferSize ||
	    mode->HorizontalResolution > mode->PixelsPerScanLine)
		return false;
	*framebuffer = (struct boot_framebuffer){
		.base = { output->Mode->FrameBufferBase },
		.bytes = bytes,
		.width_pixels = mode->HorizontalResolution,
		.height_pixels = mode->VerticalResolution,
		.stride_pixels = mode->PixelsPerScanLine,
		.format = format_of_mode(mode),
	};
	return true;
}

void loader_find_framebuffer(const struct loader *loader, struct boot_info *boot)
{
	static const EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *output;
	EFI_HANDLE *handles;
	UINTN count = 0;

	if (loader->services->LocateHandleBuffer(ByProtocol, (EFI_GUID *)&graphics_guid, NULL, &count, &handles) != EFI_SUCCESS)
		return;
	for (UINTN i = 0; i < count; i++) {
		if (loader->services->HandleProtocol(handles[i], (EFI_GUID *)&graphics_guid, (void **)&output) == EFI_SUCCESS &&
		    output_describe(output, &boot->framebuffer))
			break;
	}
	loader->services->FreePool(handles);
}
