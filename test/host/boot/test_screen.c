// SPDX-License-Identifier: BSD-2-Clause
/* Which screen the loader takes, of a firmware made of fakes. */
#include "host/host_test.h"

#include <string.h>

#include "boot/loader.h"

#define OUTPUTS_MAX  4
#define MODES_MAX    4
#define INVALID_MODE 0xffff

static struct output {
	EFI_GRAPHICS_OUTPUT_PROTOCOL protocol;
	EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE mode;
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION modes[MODES_MAX];
	bool has_console, refuses; /* to set a mode */
	unsigned sets;             /* calls of SetMode */
} outputs[OUTPUTS_MAX];

static UINTN output_count;
static char printed[256];
static struct boot_info boot = { .direct_limit = 1ull << 39 };

static EFI_STATUS EFIAPI fake_locate(EFI_LOCATE_SEARCH_TYPE how, EFI_GUID *guid, void *key, UINTN *count, EFI_HANDLE **handles)
{
	static EFI_HANDLE list[OUTPUTS_MAX];

	(void)how;
	(void)guid;
	(void)key;
	for (UINTN i = 0; i < output_count; i++)
		list[i] = &outputs[i];
	*handles = list;
	*count = output_count;
	return output_count > 0 ? EFI_SUCCESS : EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI fake_handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **interface)
{
	static const EFI_GUID graphics = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	struct output *output = handle;

	*interface = &output->protocol;
	return memcmp(guid, &graphics, sizeof(graphics)) == 0 || output->has_console ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI fake_free_pool(void *pool)
{
	(void)pool;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_query_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *this, UINT32 mode, UINTN *bytes,
					 EFI_GRAPHICS_OUTPUT_MODE_INFORMATION **information)
{
	*bytes = sizeof(**information);
	*information = &((struct output *)this)->modes[mode];
	return (*information)->HorizontalResolution > 0 ? EFI_SUCCESS : EFI_DEVICE_ERROR;
}

static EFI_STATUS EFIAPI fake_set_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *this, UINT32 mode)
{
	struct output *output = (struct output *)this;

	output->sets++;
	if (output->refuses)
		return EFI_DEVICE_ERROR;
	output->mode.Mode = mode;
	output->mode.Info = &output->modes[mode];
	output->mode.FrameBufferBase = output->mode.FrameBufferBase ? output->mode.FrameBufferBase : 0x80000000;
	output->mode.FrameBufferSize = 64 << 20;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_output_string(struct _SIMPLE_TEXT_OUTPUT_INTERFACE *this, CHAR16 *text)
{
	size_t length = strlen(printed);

	(void)this;
	while (*text && length + 1 < sizeof(printed))
		printed[length++] = (char)*text++;
	printed[length] = '\0';
	return EFI_SUCCESS;
}

static EFI_BOOT_SERVICES services = {
	.LocateHandleBuffer = fake_locate,
	.HandleProtocol = fake_handle_protocol,
	.FreePool = fake_free_pool,
};
static SIMPLE_TEXT_OUTPUT_INTERFACE console = { .OutputString = fake_output_string };
static EFI_SYSTEM_TABLE firmware_table = { .ConOut = &console };
static const struct loader loader = { .system = &firmware_table, .services = &services };

static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION mode_of(unsigned width, unsigned height, unsigned stride,
						    EFI_GRAPHICS_PIXEL_FORMAT format)
{
	return (EFI_GRAPHICS_OUTPUT_MODE_INFORMATION){
		.HorizontalResolution = width,
		.VerticalResolution = height,
		.PixelFormat = format,
		.PixelsPerScanLine = stride,
	};
}

static struct output *output_add(unsigned width, unsigned height, unsigned stride, EFI_GRAPHICS_PIXEL_FORMAT format)
{
	struct output *output = &outputs[output_count++];

	*output = (struct output){
		.protocol = { .QueryMode = fake_query_mode, .SetMode = fake_set_mode, .Mode = &output->mode },
		.mode = { .MaxMode = MODES_MAX },
		.modes[0] = mode_of(width, height, stride, format),
	};
	(void)fake_set_mode(&output->protocol, 0);
	output->sets = 0;
	return output;
}

static void search(void)
{
	boot.framebuffer = (struct boot_framebuffer){ 0 };
	printed[0] = '\0';
	loader_find_framebuffer(&loader, &boot);
	if (boot.framebuffer.format == BOOT_PIXEL_NONE)
		ck_assert_str_eq(printed, "no screen: output is on COM1 only\r\n");
	else
		ck_assert_str_eq(printed, "");
}

START_TEST(console_goes_first)
{
	output_add(1024, 768, 1024, PixelBlueGreenRedReserved8BitPerColor);
	output_add(800, 600, 832, PixelRedGreenBlueReserved8BitPerColor)->has_console = true;
	search();
	ck_assert_uint_eq(boot.framebuffer.width_pixels, 800);
	ck_assert_uint_eq(boot.framebuffer.stride_pixels, 832);
	ck_assert_uint_eq(boot.framebuffer.bytes, 832 * 600 * 4);
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_RGBX);
	firmware_table.ConsoleOutHandle = &outputs[0];
	outputs[1].has_console = false;
	search();
	ck_assert_uint_eq(boot.framebuffer.width_pixels, 1024);
}
END_TEST

/* The console's own output may be one that combines several, and has no memory of its own. */
START_TEST(console_that_cannot_be_written)
{
	struct output *combined = output_add(1024, 768, 1024, PixelBltOnly);

	combined->has_console = true;
	output_add(640, 480, 640, PixelBlueGreenRedReserved8BitPerColor);
	search();
	ck_assert_uint_eq(boot.framebuffer.width_pixels, 640);
	ck_assert_uint_eq(combined->sets + outputs[1].sets, 0);
}
END_TEST

START_TEST(mode_is_set_where_there_is_none)
{
	struct output *output = output_add(640, 480, 640, PixelBlueGreenRedReserved8BitPerColor);

	output->modes[1] = mode_of(1920, 1080, 1920, PixelBltOnly);
	output->modes[2] = mode_of(1280, 800, 1280, PixelRedGreenBlueReserved8BitPerColor);
	output->mode.Mode = INVALID_MODE;
	search();
	ck_assert_uint_eq(boot.framebuffer.width_pixels, 1280);
	ck_assert_uint_eq(output->sets, 1);
	output->mode.Info = NULL;
	search();
	ck_assert_uint_eq(boot.framebuffer.width_pixels, 1280);
	output->protocol.Mode = NULL;
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
}
END_TEST

START_TEST(odd_modes_are_refused)
{
	struct output *output;

	search(); /* no output at all */
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	output = output_add(1024, 768, 1024, PixelBltOnly);
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	output->modes[0] = mode_of(1024, 768, 1000, PixelBlueGreenRedReserved8BitPerColor); /* lines overlap */
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	output->modes[0] = mode_of(65536, 65536, 65536, PixelBlueGreenRedReserved8BitPerColor); /* more than its memory */
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	/* The product with 4 bytes a pixel is 2^64 and a little more. */
	output->modes[0] = mode_of(1024, 2147437308u, 2147529989u, PixelBlueGreenRedReserved8BitPerColor);
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	output->modes[0] = mode_of(1024, 768, 1024, PixelBlueGreenRedReserved8BitPerColor);
	for (unsigned i = 0; i < 2; i++) {
		static const uint64_t bases[] = { 0x80000002, UINT64_MAX - 0xffff };

		output->mode.FrameBufferBase = bases[i];
		output->refuses = true;
		search();
		ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	}
	output->mode.FrameBufferBase = 0x80000000;
	output->refuses = false;
	output->modes[0] = mode_of(1024, 768, 1024, PixelBitMask);
	output->modes[0].PixelInformation = (EFI_PIXEL_BITMASK){ 0xf800, 0x7e0, 0x1f, 0 }; /* 16 bits */
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	output->modes[0].PixelInformation = (EFI_PIXEL_BITMASK){ 0xff, 0xff00, 0xff0000, 0 };
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_RGBX);
}
END_TEST

/* One that ends at the last address is taken, the next one is not, and another one is instead. */
START_TEST(screens_beyond_the_cpus_addresses)
{
	const uint64_t bytes = 1024 * 768 * 4;
	struct output *output = output_add(1024, 768, 1024, PixelBlueGreenRedReserved8BitPerColor);
	const uint64_t bases[] = { boot.direct_limit - bytes + 4, boot.direct_limit - 4, boot.direct_limit, 0 - bytes,
				   0 - 4ull };

	output->mode.FrameBufferBase = boot.direct_limit - bytes;
	search();
	ck_assert_uint_eq(boot.framebuffer.base.value, boot.direct_limit - bytes);
	for (unsigned i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		output->mode.FrameBufferBase = bases[i];
		search();
		ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
	}
	output_add(800, 600, 800, PixelBlueGreenRedReserved8BitPerColor);
	search();
	ck_assert_uint_eq(boot.framebuffer.width_pixels, 800);
	boot.direct_limit = bytes / 4;
	search();
	ck_assert_int_eq(boot.framebuffer.format, BOOT_PIXEL_NONE);
}
END_TEST

HOST_TEST_MAIN("screen", console_goes_first, console_that_cannot_be_written, mode_is_set_where_there_is_none,
	       odd_modes_are_refused, screens_beyond_the_cpus_addresses)
