// SPDX-License-Identifier: BSD-2-Clause
/* A driver for QEMU's pci-testdev, which Weir has none for: it takes the card, and counts it. */
#include "drivers/driver.h"
#include "parts.h"
#include "runtime/base/log.h"

static unsigned cards;

unsigned parts_cards(void)
{
	return cards;
}

static status_t probe(const struct driver_environment *environment, struct pci_function *function)
{
	(void)environment;
	cards++;
	log_info("%s: taken", function->device.name);
	return STATUS_OK;
}

static void take_away(struct pci_function *function)
{
	(void)function;
	cards--;
}

static const struct pci_id ids[] = { { 0x1b36, 0x0005, 0 }, { 0 } };
static const struct driver card = { .name = "card", .ids = ids, .probe = probe, .remove = take_away };
DRIVER(card);
