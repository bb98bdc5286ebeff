// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a controller reports by itself: that it runs hot, wears out, or finds a fault of its own.
 * One command waits in the controller and ends with the next event. The watch task looks at it
 * once a period, not at once: so a controller that reports without end costs no more than that.
 * Base specification 1.4, section 5.2.
 */
#include "nvme.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define EVENTS_LOGGED_MAX 32
#define CELSIUS_ZERO      273

static const char *const errors[] = {
	"a doorbell was rung that is none", "a doorbell got a value that cannot be",
	"it failed its diagnosis",          "a persistent internal error",
	"a transient internal error",       "its firmware image cannot be loaded",
};
static const char *const warnings[] = {
	"it is not reliable any more",
	"its temperature passed a threshold",
	"its spare blocks run out",
};
static const char *const notices[] = {
	"its namespaces have changed",
	"new firmware becomes active",
	"its telemetry log has changed",
};

static const char *event_text(uint32_t event)
{
	const unsigned info = NVME_EVENT_INFO(event);

	switch (NVME_EVENT_TYPE(event)) {
	case NVME_EVENT_ERROR:
		return info < ARRAY_LENGTH(errors) ? errors[info] : "an error";
	case NVME_EVENT_HEALTH:
		return info < ARRAY_LENGTH(warnings) ? warnings[info] : "its health has changed";
	case NVME_EVENT_NOTICE:
		return info < ARRAY_LENGTH(notices) ? notices[info] : "a notice";
	default:
		return "something of its own kind";
	}
}

static void health_log(const struct nvme *nvme, const uint8_t *health)
{
	uint16_t kelvin;

	memcpy(&kelvin, health + NVME_HEALTH_KELVIN, sizeof(kelvin));
	log_warn("%s: critical warning 0x%x, %d C, percent of spare blocks left %u (low: %u), of its life used %u",
		 nvme->common.name, health[NVME_HEALTH_WARNING], kelvin - CELSIUS_ZERO, health[NVME_HEALTH_SPARE_PERCENT],
		 health[NVME_HEALTH_SPARE_LOW_PERCENT], health[NVME_HEALTH_USED_PERCENT]);
}

/* Reading the page takes the event back, with any content. */
static status_t log_page_read(struct nvme *nvme, unsigned page)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_GET_LOG,
		.namespace_id = UINT32_MAX, /* of the whole controller */
		.prp = { nvme->admin.answer.address.value },
		.dwords = { (NVME_LOG_BYTES / 4 - 1) << 16 | page },
	};

	memset(nvme->admin.answer.memory, 0, NVME_LOG_BYTES);
	return nvme_admin_run(nvme, &command, NULL);
}

static void event_show(struct nvme *nvme, uint32_t event)
{
	const bool quiet = nvme->admin.events++ >= EVENTS_LOGGED_MAX;
	status_t status;

	if (!quiet)
		log_warn("%s: the disk reports: %s (type %u, 0x%x)%s", nvme->common.name, event_text(event),
			 NVME_EVENT_TYPE(event), NVME_EVENT_INFO(event),
			 nvme->admin.events == EVENTS_LOGGED_MAX ? "; no more are logged" : "");
	status = log_page_read(nvme, NVME_EVENT_LOG(event));
	if (status == STATUS_OK && !quiet && NVME_EVENT_LOG(event) == NVME_LOG_HEALTH)
		health_log(nvme, nvme->admin.answer.memory);
	if (!nvme->admin.open)
		disk_device_request_reset(&nvme->common, "no answer to Get Log Page");
}

void nvme_events_start(struct nvme *nvme)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.dwords = { NVME_FEATURE_EVENTS, NVME_HEALTH_WARNINGS },
	};

	if (nvme_admin_run(nvme, &command, NULL) != STATUS_OK)
		log_debug("%s: its events are as it likes", nvme->common.name);
	(void)nvme_admin_await_event(nvme);
}

/* A controller that fails the command has no events, or not as many as it was asked for. */
void nvme_events_look(struct nvme *nvme)
{
	struct nvme_completion event;

	if (!nvme_admin_take_event(nvme, &event) || !NVME_STATUS_IS_OK(event.status))
		return;
	event_show(nvme, event.result);
	(void)nvme_admin_await_event(nvme);
}
