// SPDX-License-Identifier: BSD-2-Clause
/*
 * The command line: the load options that the firmware, its shell or an emulator passes, or else
 * the text file \weir.cfg on the volume that the image was loaded from.
 */
#include "loader.h"

#include "runtime/base/string.h"

static bool is_blank(char character)
{
	return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

static bool ends_with_efi(const char *word, size_t length)
{
	static const char suffix[] = ".efi";

	if (length < sizeof(suffix) - 1)
		return false;
	for (size_t i = 0; i < sizeof(suffix) - 1; i++) {
		if ((word[length - (sizeof(suffix) - 1) + i] | 0x20) != (suffix[i] | 0x20))
			return false;
	}
	return true;
}

/* The UEFI shell puts the program's name in front; boot options and emulators do not. */
static void program_name_strip(char *line)
{
	size_t end = 0, start;

	while (line[end] && line[end] != '=' && !is_blank(line[end]))
		end++;
	if (line[end] == '=' || !ends_with_efi(line, end))
		return;
	for (start = end; is_blank(line[start]); start++)
		;
	memmove(line, line + start, strlen(line + start) + 1);
}

/*
 * Boot managers also use load options for data of their own, which is no text: UEFI 2.10, section
 * 3.1.3.
 */
static bool options_are_text(const CHAR16 *options, size_t units)
{
	size_t length = 0;

	while (length < units && options[length]) {
		CHAR16 unit = options[length++];
		if (unit >= 0x7f || (unit < ' ' && !is_blank((char)unit)))
			return false;
	}
	return length > 0;
}

static bool options_read(const struct loader *loader, struct boot_info *boot)
{
	const CHAR16 *options = loader->image->LoadOptions;
	size_t units = loader->image->LoadOptionsSize / sizeof(*options);

	if (!options || !options_are_text(options, units))
		return false;
	loader_copy_utf16(boot->command_line, sizeof(boot->command_line), options, units);
	program_name_strip(boot->command_line);
	return boot->command_line[0] != 0;
}

/*
 * Makes one line out of the file: comments from # to the end of a line go, line ends become blanks.
 */
static void file_join_lines(char *text, size_t length)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	size_t from = 0, to = 0;
	bool comment = false;

	if (length >= 3 && memcmp(text, byte_order_mark, 3) == 0)
		from = 3;
	for (; from < length && text[from]; from++) {
		unsigned char character = (unsigned char)text[from];
		if (character == '\n')
			comment = false;
		else if (character == '#')
			comment = true;
		if (!comment && (to > 0 || !is_blank((char)character)))
			text[to++] = is_blank((char)character)            ? ' '
				     : character < ' ' || character > '~' ? '?'
									  : (char)character;
	}
	while (to > 0 && text[to - 1] == ' ')
		to--;
	text[to] = 0;
}

static bool file_read(const struct loader *loader, struct boot_info *boot)
{
	static const EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *file_system;
	UINTN length = sizeof(boot->command_line) - 1;
	EFI_FILE_HANDLE root, file;
	EFI_STATUS status;

	if (loader->services->HandleProtocol(loader->image->DeviceHandle, (EFI_GUID *)&file_system_guid,
					     (void **)&file_system) != EFI_SUCCESS ||
	    file_system->OpenVolume(file_system, &root) != EFI_SUCCESS)
		return false;
	status = root->Open(root, &file, (CHAR16 *)L"\\weir.cfg", EFI_FILE_MODE_READ, 0);
	if (status == EFI_SUCCESS) {
		status = file->Read(file, &length, boot->command_line);
		file->Close(file);
	}
	root->Close(root);
	if (status != EFI_SUCCESS)
		return false;
	file_join_lines(boot->command_line, length);
	return true;
}

void loader_find_command_line(const struct loader *loader, struct boot_info *boot)
{
	if (options_read(loader, boot)) {
		boot->command_line_source = "load options";
	} else if (file_read(loader, boot)) {
		boot->command_line_source = "weir.cfg";
	} else {
		boot->command_line[0] = 0;
		boot->command_line_source = "none";
	}
}
