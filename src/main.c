/* The wiring. */
#include "runtime/base/boot_info.h"
#include "runtime/base/string.h"
#include "runtime/base/version.h"
#include "runtime/kernel/uart.h"

_Noreturn void kernel_main(const struct boot_info *boot)
{
	const char *texts[] = { "Weir ", weir_version, ", command line: ", boot->command_line, "\r\n" };
	struct uart uart;

	uart_init(&uart, UART_COM1_PORT);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		for (size_t done = 0; done < strlen(texts[i]);)
			done += uart_write(&uart, texts[i] + done, strlen(texts[i] + done));
	}
	for (;;)
		__asm__ volatile("hlt");
}
