// SPDX-License-Identifier: BSD-2-Clause
/*
 * Formats text. Each conversion reads its flags into a struct conversion and writes through put(),
 * which counts every character but stores only those that fit: so the length of a text that was
 * cut is known. A double is printed from its bits (decimal.h), so no code here needs vector
 * registers.
 */
#include "format.h"

#include "decimal.h"
#include "string.h"

#define FLOAT_SIGN     (1ull << 63)
#define FLOAT_INFINITY (0x7ffull << 52) /* above: not a number */
#define FLOAT_DIGITS   6                /* behind the point, if no precision is given */

struct output {
	char *buffer;
	size_t size;
	size_t length; /* of the whole text, written or not */
};

struct conversion {
	bool left;
	bool zeros;
	bool precise; /* a precision was given */
	int width;
	int precision;
	int rank; /* -2 hh, -1 h, 0 int, 1 long and wider */
};

static void put(struct output *output, char character)
{
	if (output->length + 1 < output->size)
		output->buffer[output->length] = character;
	output->length++;
}

static void put_repeated(struct output *output, char character, int count)
{
	while (count-- > 0)
		put(output, character);
}

static void put_padded(struct output *output, const struct conversion *conversion, const char *text, size_t length)
{
	const int padding = conversion->width - (int)length;

	if (!conversion->left)
		put_repeated(output, ' ', padding);
	for (size_t i = 0; i < length; i++)
		put(output, text[i]);
	if (conversion->left)
		put_repeated(output, ' ', padding);
}

static void put_text(struct output *output, const struct conversion *conversion, const char *text)
{
	if (!text)
		text = "(null)";
	put_padded(output, conversion, text, conversion->precise ? strnlen(text, (size_t)conversion->precision) : strlen(text));
}

/*
 * `prefix` is a sign or "0x". Zeros from the width go behind it, and only where there is no
 * precision.
 */
static void put_number(struct output *output, const struct conversion *conversion, const char *prefix, uint64_t value,
		       unsigned base, bool capitals)
{
	const char *alphabet = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
	const int prefix_length = (int)strlen(prefix);
	char digits[24];
	int count = 0;

	for (; value != 0; value /= base)
		digits[count++] = alphabet[value % base];

	int least = conversion->precise ? conversion->precision : 1;
	if (conversion->zeros && !conversion->left && !conversion->precise)
		least = MAX(least, conversion->width - prefix_length);
	const int padding = conversion->width - prefix_length - MAX(count, least);

	if (!conversion->left)
		put_repeated(output, ' ', padding);
	while (*prefix)
		put(output, *prefix++);
	put_repeated(output, '0', least - count);
	while (count > 0)
		put(output, digits[--count]);
	if (conversion->left)
		put_repeated(output, ' ', padding);
}

static void put_digits(struct output *output, const struct decimal *decimal, int count, int precision)
{
	for (int power = count - 1; power >= 0; power--)
		put(output, (char)('0' + decimal_digit(decimal, power)));
	if (precision > 0)
		put(output, '.');
	for (int power = -1; power >= -precision; power--)
		put(output, (char)('0' + decimal_digit(decimal, power)));
}

static void put_finite(struct output *output, const struct conversion *conversion, const char *sign, uint64_t bits)
{
	const int precision = conversion->precise ? conversion->precision : FLOAT_DIGITS;
	struct decimal decimal;

	decimal_set(&decimal, bits);
	decimal_round(&decimal, precision);

	const int count = decimal_integer_digits(&decimal);
	const int padding = conversion->width - (int)strlen(sign) - count - (precision > 0 ? 1 + precision : 0);
	const bool zeros = conversion->zeros && !conversion->left;

	if (!conversion->left && !zeros)
		put_repeated(output, ' ', padding);
	while (*sign)
		put(output, *sign++);
	if (zeros)
		put_repeated(output, '0', padding);
	put_digits(output, &decimal, count, precision);
	if (conversion->left)
		put_repeated(output, ' ', padding);
}

/* A double, as its bits. */
static void put_float(struct output *output, const struct conversion *conversion, uint64_t bits)
{
	const bool negative = bits & FLOAT_SIGN;

	bits &= ~FLOAT_SIGN;
	if (bits > FLOAT_INFINITY)
		put_padded(output, conversion, negative ? "-nan" : "nan", negative ? 4 : 3);
	else if (bits == FLOAT_INFINITY)
		put_padded(output, conversion, negative ? "-inf" : "inf", negative ? 4 : 3);
	else
		put_finite(output, conversion, negative ? "-" : "", bits);
}

static int64_t read_signed(const struct conversion *conversion, __builtin_ms_va_list *arguments)
{
	if (conversion->rank > 0)
		return __builtin_va_arg(*arguments, int64_t);
	const int value = __builtin_va_arg(*arguments, int);
	return conversion->rank == -2 ? (signed char)value : conversion->rank == -1 ? (short)value : value;
}

static uint64_t read_unsigned(const struct conversion *conversion, __builtin_ms_va_list *arguments)
{
	if (conversion->rank > 0)
		return __builtin_va_arg(*arguments, uint64_t);
	const unsigned value = __builtin_va_arg(*arguments, unsigned);
	return conversion->rank == -2 ? (unsigned char)value : conversion->rank == -1 ? (unsigned short)value : value;
}

static int read_count(const char **format, __builtin_ms_va_list *arguments)
{
	int count = 0;

	if (**format == '*') {
		(*format)++;
		return __builtin_va_arg(*arguments, int);
	}
	for (; **format >= '0' && **format <= '9'; (*format)++)
		count = MIN(count * 10 + (**format - '0'), 9999);
	return count;
}

/* Reads flags, width, precision and length; leaves `*format` at the letter of the conversion. */
static struct conversion read_conversion(const char **format, __builtin_ms_va_list *arguments)
{
	struct conversion conversion = { 0 };

	for (;; (*format)++) {
		if (**format == '-')
			conversion.left = true;
		else if (**format == '0')
			conversion.zeros = true;
		else
			break;
	}
	conversion.width = read_count(format, arguments);
	if (conversion.width < 0) {
		conversion.left = true;
		conversion.width = -conversion.width;
	}
	if (**format == '.') {
		(*format)++;
		conversion.precision = read_count(format, arguments);
		conversion.precise = conversion.precision >= 0;
	}
	for (;; (*format)++) {
		if (**format == 'l' || **format == 'z')
			conversion.rank = 1;
		else if (**format == 'h')
			conversion.rank--;
		else
			return conversion;
	}
}

/* One conversion, whose '%' was read already. Returns what follows it. */
static const char *convert(struct output *output, const char *format, __builtin_ms_va_list *arguments)
{
	const char *start = format;
	struct conversion conversion = read_conversion(&format, arguments);
	const char letter = *format;

	switch (letter) {
	case 'd':
	case 'i': {
		const int64_t value = read_signed(&conversion, arguments);
		put_number(output, &conversion, value < 0 ? "-" : "", value < 0 ? -(uint64_t)value : (uint64_t)value, 10,
			   false);
		break;
	}
	case 'u':
		put_number(output, &conversion, "", read_unsigned(&conversion, arguments), 10, false);
		break;
	case 'o':
		put_number(output, &conversion, "", read_unsigned(&conversion, arguments), 8, false);
		break;
	case 'x':
	case 'X':
		put_number(output, &conversion, "", read_unsigned(&conversion, arguments), 16, letter == 'X');
		break;
	case 'p':
		put_number(output, &conversion, "0x", (uintptr_t) __builtin_va_arg(*arguments, void *), 16, false);
		break;
	case 'f':
		put_float(output, &conversion, __builtin_va_arg(*arguments, uint64_t));
		break;
	case 'c': {
		const char character = (char)__builtin_va_arg(*arguments, int);
		put_padded(output, &conversion, &character, 1);
		break;
	}
	case 's':
		put_text(output, &conversion, __builtin_va_arg(*arguments, const char *));
		break;
	case '%':
		put(output, '%');
		break;
	default:
		put(output, '%');
		return start;
	}
	return format + 1;
}

size_t format_text_list(char *buffer, size_t size, const char *format, __builtin_ms_va_list arguments)
{
	struct output output = { .buffer = buffer, .size = size };

	while (*format) {
		if (*format == '%')
			format = convert(&output, format + 1, &arguments);
		else
			put(&output, *format++);
	}
	if (size > 0)
		buffer[MIN(output.length, size - 1)] = '\0';
	return output.length;
}

PRINTF_LIKE(3, 4) size_t format_text(char *buffer, size_t size, const char *format, ...)
{
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	const size_t length = format_text_list(buffer, size, format, arguments);
	__builtin_ms_va_end(arguments);
	return length;
}

const char *format_fixed(char buffer[FORMAT_FIXED_SIZE], uint64_t numerator, uint64_t denominator, unsigned digits)
{
	size_t length = format_text(buffer, FORMAT_FIXED_SIZE, digits > 0 ? "%lu." : "%lu", numerator / denominator);
	unsigned __int128 rest = numerator % denominator;

	/* Long division, ten subtractions a digit at most: 128 bits have no instruction for it. */
	while (digits-- > 0) {
		char digit = '0';

		for (rest *= 10; rest >= denominator; rest -= denominator)
			digit++;
		buffer[length++] = digit;
	}
	buffer[length] = '\0';
	return buffer;
}

const char *format_bytes(char buffer[FORMAT_BYTES_SIZE], uint64_t bytes)
{
	static const char units[][3] = { "KB", "MB", "GB", "TB", "PB", "EB" };
	unsigned unit = 0;
	uint64_t tenths;

	if (bytes == 0 || (bytes < 10 * KIB && bytes % KIB != 0)) {
		format_text(buffer, FORMAT_BYTES_SIZE, "%lu", bytes);
		return buffer;
	}
	while (unit + 1 < ARRAY_LENGTH(units) && bytes >> (10 * (unit + 2)) != 0)
		unit++;

	const unsigned shift = 10 * (unit + 1);
	tenths = (bytes >> shift) * 10 + ((((bytes & ((1ull << shift) - 1)) >> (shift - 10)) * 10) >> 10);
	if (tenths % 10 == 0 || tenths >= 1000)
		format_text(buffer, FORMAT_BYTES_SIZE, "%lu %s", tenths / 10, units[unit]);
	else
		format_text(buffer, FORMAT_BYTES_SIZE, "%lu.%lu %s", tenths / 10, tenths % 10, units[unit]);
	return buffer;
}

static status_t suffix_shift(const char *suffix, unsigned *shift)
{
	static const char letters[] = "kmgt";

	*shift = 0;
	if (*suffix == '\0')
		return STATUS_OK;
	const char *letter = strchr(letters, *suffix | 0x20);
	if (!letter || suffix[1] != '\0')
		return STATUS_INVALID;
	*shift = 10 * ((unsigned)(letter - letters) + 1);
	return STATUS_OK;
}

static int digit_value(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	const char small = (char)(character | 0x20);
	return small >= 'a' && small <= 'f' ? small - 'a' + 10 : 16;
}

status_t parse_number(const char *text, uint64_t *value)
{
	const bool hexadecimal = text[0] == '0' && (text[1] | 0x20) == 'x';
	const unsigned base = hexadecimal ? 16 : 10;
	uint64_t sum = 0;
	bool overflow = false;
	unsigned shift;

	if (hexadecimal)
		text += 2;
	if (digit_value(*text) >= (int)base)
		return STATUS_INVALID;
	for (; digit_value(*text) < (int)base; text++)
		overflow |= __builtin_mul_overflow(sum, base, &sum) ||
			    __builtin_add_overflow(sum, (uint64_t)digit_value(*text), &sum);
	if (suffix_shift(text, &shift) != STATUS_OK)
		return STATUS_INVALID;
	if (overflow || sum << shift >> shift != sum)
		return STATUS_RANGE;
	*value = sum << shift;
	return STATUS_OK;
}
