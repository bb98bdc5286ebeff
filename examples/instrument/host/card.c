// SPDX-License-Identifier: BSD-2-Clause
/*
 * The instrument, played by a program beside QEMU: card SOCKET RAM_FILE LOW_MIB
 *
 * QEMU's ivshmem-doorbell device connects to SOCKET and gets the window's memory and the event
 * descriptors that stand for interrupts (docs/specs/ivshmem-spec.txt in QEMU's sources). RAM_FILE
 * is the machine's memory, which the card writes samples into, as DMA would; LOW_MIB of it lie
 * below 4 GB, the rest from 4 GB on. The card ends when QEMU does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "examples/instrument/window.h"

#define GUEST       0 /* peers of the ivshmem protocol */
#define CARD        1
#define ABOVE_4G    (1ull << 32)
#define MEMORY_ITEM (-1)

struct card {
	char *ram;
	uint64_t ram_bytes, low_bytes;
	volatile struct window *window;
	int window_file, bell, interrupt; /* the guest rings `bell`; the card rings `interrupt` */
	uint64_t sample;                  /* the next one that a buffer gets */
	uint64_t start_ns;                /* of the stream */
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "card: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* One item of the protocol: a number, and perhaps a file descriptor with it. */
static void send_item(int socket, int64_t number, int file)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { &number, sizeof(number) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (file >= 0) {
		memcpy(CMSG_DATA(&control.header), &file, sizeof(file));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.bytes);
	}
	if (sendmsg(socket, &message, 0) != sizeof(number))
		fail("cannot talk to QEMU");
}

static void greet(const struct card *card, int socket)
{
	send_item(socket, 0, -1); /* version */
	send_item(socket, GUEST, -1);
	send_item(socket, MEMORY_ITEM, card->window_file);
	send_item(socket, CARD, card->bell);
	send_item(socket, GUEST, card->interrupt);
}

/* The machine's memory at [address, address + bytes), or NULL: there is none. */
static char *memory_at(const struct card *card, uint64_t address, uint64_t bytes)
{
	const bool high = address >= ABOVE_4G;
	const uint64_t offset = high ? address - ABOVE_4G + card->low_bytes : address;
	const uint64_t end = high ? card->ram_bytes : card->low_bytes;

	return offset <= end && bytes <= end - offset ? card->ram + offset : NULL;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fill_one(struct card *card)
{
	volatile struct window *window = card->window;
	volatile struct window_slot *slot = &window->slots[window->filled % WINDOW_SLOTS];
	const uint32_t bytes = slot->bytes;
	uint64_t *samples = (uint64_t *)memory_at(card, slot->address, bytes);

	if (!samples) {
		window->fault = WINDOW_FAULT_ADDRESS;
		return;
	}
	slot->sample = card->sample;
	for (uint32_t i = 0; i < bytes / sizeof(*samples); i++)
		samples[i] = ++card->sample * WINDOW_SAMPLE_STEP;
	slot->trigger = window->trigger - slot->sample < card->sample - slot->sample ? window->trigger : WINDOW_NO_TRIGGER;
	slot->written = bytes;
	slot->time_ns = now_ns();
	__atomic_thread_fence(__ATOMIC_RELEASE);
	window->filled++;
}

static void interrupt(const struct card *card)
{
	if (eventfd_write(card->interrupt, 1) != 0)
		fail("cannot interrupt");
}

/* Samples that have been taken since the start of the stream. */
static uint64_t taken(const struct card *card)
{
	const uint64_t ns = now_ns() - card->start_ns, rate = card->window->rate;

	return ns / 1000000000 * rate + ns % 1000000000 * (rate / 1000) / 1000000;
}

/* Whether the next buffer can be filled; without one, what the FIFO cannot keep is lost. */
static bool is_ready(struct card *card)
{
	volatile struct window *window = card->window;
	const bool queued = window->filled != window->queued;

	if (!(window->control & WINDOW_RUN) || window->fault != WINDOW_FAULT_NONE)
		return false;
	if (window->rate == 0)
		return queued;
	const uint64_t waiting = taken(card) - card->sample;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (queued)
		return waiting >= window->slots[window->filled % WINDOW_SLOTS].bytes / sizeof(uint64_t);
	if (waiting > WINDOW_FIFO_SAMPLES)
		card->sample += waiting - WINDOW_FIFO_SAMPLES;
	return false;
}

/* Does what the registers ask for, until nothing is left to do now. */
static void serve(struct card *card)
{
	volatile struct window *window = card->window;
	const uint32_t control = window->control & WINDOW_RUN;

	if (control != window->running) {
		card->sample = 0;
		card->start_ns = now_ns();
		window->fault = WINDOW_FAULT_NONE;
		window->running = control;
		interrupt(card);
	}
	while (is_ready(card)) {
		fill_one(card);
		interrupt(card);
	}
}

static void card_open(struct card *card, const char *ram_file)
{
	const int ram = open(ram_file, O_RDWR);
	struct stat status;

	if (ram < 0 || fstat(ram, &status) != 0)
		fail(ram_file);
	card->ram_bytes = (uint64_t)status.st_size;
	card->ram = mmap(NULL, card->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	card->window_file = memfd_create("window", 0);
	if (card->window_file < 0 || ftruncate(card->window_file, WINDOW_BYTES) != 0)
		fail("no memory for the window");
	card->window = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, card->window_file, 0);
	if (card->ram == MAP_FAILED || card->window == MAP_FAILED)
		fail("cannot map memory");
	card->bell = eventfd(0, 0);
	card->interrupt = eventfd(0, 0);
	if (card->bell < 0 || card->interrupt < 0)
		fail("no event descriptor");
	card->window->version = WINDOW_VERSION;
	card->window->peer = CARD;
	card->window->magic = WINDOW_MAGIC;
}

/* Waits for QEMU. */
static int connection(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int qemu;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		fail(path);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 1) != 0)
		fail(path);
	printf("card: ready\n");
	fflush(stdout);
	qemu = accept(listener, NULL, NULL);
	if (qemu < 0)
		fail("QEMU does not connect");
	return qemu;
}

int main(int argc, char **argv)
{
	struct card card = { 0 };
	struct pollfd events[2];

	if (argc != 4) {
		fprintf(stderr, "usage: card SOCKET RAM_FILE LOW_MIB\n");
		return 2;
	}
	card.low_bytes = strtoull(argv[3], NULL, 10) << 20;
	card_open(&card, argv[2]);
	events[0] = (struct pollfd){ .fd = connection(argv[1]), .events = POLLIN };
	events[1] = (struct pollfd){ .fd = card.bell, .events = POLLIN };
	greet(&card, events[0].fd);
	while (poll(events, 2, card.window->rate > 0 ? 1 : -1) >= 0 && events[0].revents == 0) {
		eventfd_t rings;

		if (events[1].revents != 0 && eventfd_read(card.bell, &rings) != 0)
			fail("cannot hear the doorbell");
		serve(&card);
	}
	return 0;
}
