// SPDX-License-Identifier: BSD-2-Clause
/* The hook stands in for the disk's submit; one machine at a time has one. */
#include "forgetful_fixture.h"

static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static enum block_operation hooked;
static void (*before_it)(void);
static void (*after_it)(void);

static void hold_back(struct block_request *request)
{
	(void)request;
}

static void submit_hooked(struct block_device *device, struct block_request *request)
{
	void (*const before)(void) = request->operation == hooked ? before_it : NULL;
	void (*const after)(void) = request->operation == hooked ? after_it : NULL;
	void (*const done)(struct block_request *) = request->done;

	if (request->operation == hooked)
		before_it = after_it = NULL;
	if (before)
		before();
	if (after)
		request->done = hold_back;
	submit_to_disk(device, request);
	if (after) {
		request->done = done;
		after();
		done(request);
	}
}

void forgetful_hook(struct cache_machine *machine, enum block_operation operation, void (*before)(void), void (*after)(void))
{
	if (machine->disk.device.submit != submit_hooked)
		submit_to_disk = machine->disk.device.submit;
	machine->disk.device.submit = submit_hooked;
	hooked = operation;
	before_it = before;
	after_it = after;
}

void forgetful_machine_init(struct cache_machine *machine)
{
	static char ignored[2];

	cache_machine_init(machine, SMALL_DISK, false);
	fake_block_forgetful(&machine->disk);
	host_output_capture(ignored, sizeof(ignored));
}
