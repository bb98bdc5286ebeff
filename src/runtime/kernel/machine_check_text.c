// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a machine-check bank says, in words. The low 16 bits of its status are a code: a few numbers
 * of their own, or one of six forms, told by their highest bit, with fields for what was done and
 * where. Intel SDM volume 3, section 16.9; AMD's manual, volume 2, section 9.5, has the same forms.
 */
#include "machine_check.h"

#include "runtime/base/format.h"
#include "runtime/base/string.h"

#define STATUS_OVERFLOW    (1ull << 62)
#define STATUS_UNCORRECTED (1ull << 61)
#define STATUS_MISC        (1ull << 59)
#define STATUS_ADDRESS     (1ull << 58)
#define STATUS_DAMAGED     (1ull << 57)
#define CODE_FILTERED      0x1000u /* says nothing of the error */
#define CHANNEL_UNKNOWN    15u
#define CODE_BYTES         80

static const char *simple_name(unsigned code)
{
	switch (code) {
	case 0x0000:
		return "error without a name";
	case 0x0001:
		return "unclassified error";
	case 0x0002:
		return "parity error in the microcode";
	case 0x0003:
		return "error that another part of the machine signals";
	case 0x0004:
		return "error of the redundancy check";
	case 0x0005:
		return "parity error inside of the CPU";
	case 0x0006:
		return "system management code outside of its memory";
	case 0x0400:
		return "time-out inside of the CPU (no instruction ended for long)";
	case 0x0e0b:
		return "I/O error";
	default:
		return NULL;
	}
}

static const char *request_name(unsigned code)
{
	static const char *const names[] = { "",           " read",       " write",
					     " data read", " data write", " instruction fetch",
					     " prefetch",  " eviction",   " snoop" };
	const unsigned request = code >> 4 & 0xf;

	return request < ARRAY_LENGTH(names) ? names[request] : "";
}

static const char *memory_name(unsigned code)
{
	static const char *const names[8] = { "", " read", " write", " address or command", " scrub", "", "", "" };

	return names[code >> 4 & 7];
}

static const char *level_name(unsigned code)
{
	static const char *const names[4] = { "level 0", "level 1", "level 2", "no certain level" };

	return names[code & 3];
}

static const char *kind_name(unsigned code)
{
	static const char *const names[4] = { "instruction ", "data ", "", "" };

	return names[code >> 2 & 3];
}

static void memory_describe(unsigned code, const char *what, char *text, size_t bytes)
{
	const unsigned channel = code & 0xf;

	if (channel == CHANNEL_UNKNOWN)
		format_text(text, bytes, "%s%s error", what, memory_name(code));
	else
		format_text(text, bytes, "%s%s error on channel %u", what, memory_name(code), channel);
}

static void code_describe(unsigned code, char *text, size_t bytes)
{
	const char *simple = simple_name(code);

	if (simple)
		format_text(text, bytes, "%s", simple);
	else if ((code & 0xfffc) == 0x000c)
		format_text(text, bytes, "cache error, %s", level_name(code));
	else if ((code & 0xfff0) == 0x0010)
		format_text(text, bytes, "%stranslation buffer error, %s", kind_name(code), level_name(code));
	else if ((code & 0xff80) == 0x0080)
		memory_describe(code, "memory", text, bytes);
	else if ((code & 0xff80) == 0x0280)
		memory_describe(code, "memory-side cache", text, bytes);
	else if ((code & 0xff00) == 0x0100)
		format_text(text, bytes, "%scache%s error, %s", kind_name(code), request_name(code), level_name(code));
	else if ((code & 0xf800) == 0x0800)
		format_text(text, bytes, "bus or interconnect%s error", request_name(code));
	else
		format_text(text, bytes, "error 0x%x of the CPU's maker", code);
}

/* Appends to a text that is cut where the room ends. */
PRINTF_LIKE(3, 4) static void append(char *text, size_t bytes, const char *format, ...)
{
	const size_t length = strlen(text);
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	format_text_list(text + length, bytes - length, format, arguments);
	__builtin_ms_va_end(arguments);
}

void machine_check_describe(const struct machine_check_bank *bank, char *text, size_t bytes)
{
	char code[CODE_BYTES];

	code_describe(bank->status & 0xffff & ~CODE_FILTERED, code, sizeof(code));
	format_text(text, bytes, "bank %u: %s %s", bank->number,
		    bank->status & STATUS_UNCORRECTED ? "uncorrected" : "corrected", code);
	if (bank->status & STATUS_ADDRESS)
		append(text, bytes, ", at 0x%llx", (unsigned long long)bank->address);
	if (bank->status & STATUS_DAMAGED)
		append(text, bytes, ", the CPU's state is damaged");
	if (bank->status & STATUS_OVERFLOW)
		append(text, bytes, ", more errors were lost");
	append(text, bytes, " (status 0x%016llx", (unsigned long long)bank->status);
	if (bank->status & STATUS_MISC)
		append(text, bytes, ", misc 0x%llx", (unsigned long long)bank->misc);
	append(text, bytes, ")");
}
