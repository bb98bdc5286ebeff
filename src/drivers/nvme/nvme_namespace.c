// SPDX-License-Identifier: BSD-2-Clause
/*
 * Namespaces: which ones there are, and each as a block device. A namespace that cannot be used is
 * passed over with a line in the log, and does not keep the others from working. Base
 * specification 1.4, section 5.15.
 */
#include "nvme_namespace.h"

#include "nvme.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define SECTOR_SHIFT_MIN 9
#define SECTOR_SHIFT_MAX 12

struct format {
	uint16_t metadata_bytes;
	uint8_t sector_shift;
	uint8_t performance;
};

/* What counts of the controller's answer: read once, since it may still change it. */
struct found {
	uint64_t blocks;
	struct format format;
};

static void namespace_submit(struct block_device *device, struct block_request *request)
{
	struct nvme_namespace *disk = container_of(device, struct nvme_namespace, block);

	disk_device_submit(disk->device, device, request, disk->index);
}

static status_t namespace_panic_transfer(struct block_device *device, struct block_request *request)
{
	const struct nvme_namespace *disk = container_of(device, struct nvme_namespace, block);

	return disk_device_panic_transfer(disk->device, device, request, disk->index);
}

/* False: this driver cannot use it; the log says why. */
static bool namespace_is_fit(const struct nvme *nvme, uint32_t id, const uint8_t *answer, struct found *found)
{
	struct format *format = &found->format;

	memcpy(&found->blocks, answer + NVME_NAMESPACE_BLOCKS, sizeof(found->blocks));
	memcpy(format, answer + NVME_NAMESPACE_FORMATS + 4 * (answer[NVME_NAMESPACE_FORMAT] & NVME_FORMAT_INDEX_MASK),
	       sizeof(*format));
	if (found->blocks == 0)
		return false; /* allocated, but not there */
	if (format->metadata_bytes != 0)
		log_warn("%s: namespace %u is formatted with %u bytes of metadata per block, which is not supported; format it "
			 "without",
			 nvme->common.name, id, format->metadata_bytes);
	else if (format->sector_shift < SECTOR_SHIFT_MIN || format->sector_shift > SECTOR_SHIFT_MAX)
		log_warn("%s: namespace %u has blocks of 2^%u bytes; supported are 512 to 4096", nvme->common.name, id,
			 format->sector_shift);
	else if (found->blocks > UINT64_MAX >> format->sector_shift)
		log_warn("%s: namespace %u has an impossible size", nvme->common.name, id);
	else
		return true;
	return false;
}

static void namespace_announce(const struct nvme *nvme, const struct nvme_namespace *disk)
{
	char bytes[FORMAT_BYTES_SIZE];

	log_info("%s: %s, %s, blocks of %u bytes%s%s", disk->name, nvme->model, format_bytes(bytes, disk->block.size_bytes),
		 disk->block.sector_bytes, disk->block.write_cache ? ", write cache" : "",
		 disk->block.read_only ? ", read-only" : "");
}

static status_t namespace_add(struct nvme *nvme, uint32_t id, const uint8_t *answer, const struct found *found)
{
	struct nvme_namespace *disk = heap_alloc(driver_heap(nvme->common.function), sizeof(*disk), 0);
	const unsigned sector_shift = found->format.sector_shift;

	if (!disk)
		return STATUS_NO_MEMORY;
	*disk = (struct nvme_namespace){
		.block = {
			.name = disk->name,
			.size_bytes = found->blocks << sector_shift,
			.sector_bytes = 1u << sector_shift,
			.segment_alignment = 1u << sector_shift,
			.segments_max = DISK_SEGMENTS_MAX,
			.transfer_bytes_max = DISK_TRANSFER_BYTES_MAX,
			.read_only = answer[NVME_NAMESPACE_ATTRIBUTES] & NVME_ATTRIBUTE_PROTECTED,
			.write_cache = nvme->write_cache,
			.device = &nvme->common.function->device,
			.submit = namespace_submit,
			.panic_transfer = namespace_panic_transfer,
		},
		.device = &nvme->common,
		.id = id,
		.sector_shift = sector_shift,
		.index = (uint8_t)nvme->common.block_count,
	};
	format_text(disk->name, sizeof(disk->name), "%sn%u", nvme->common.name, id);
	block_device_set_serial(&disk->block, nvme->serial, NVME_SERIAL_BYTES);
	list_init(&disk->block.link);
	nvme->common.blocks[nvme->common.block_count++] = &disk->block;
	namespace_announce(nvme, disk);
	return STATUS_OK;
}

static status_t namespace_probe(struct nvme *nvme, uint32_t id)
{
	const uint8_t *answer = nvme->admin.answer.memory;
	struct found found;
	status_t status;

	if (nvme->common.block_count == DISK_BLOCKS_MAX) {
		log_warn("%s: more than %d namespaces; %u is ignored", nvme->common.name, DISK_BLOCKS_MAX, id);
		return STATUS_OK;
	}
	status = nvme_identify(nvme, NVME_IDENTIFY_NAMESPACE, id);
	if (status != STATUS_OK) {
		log_warn("%s: namespace %u cannot be identified: %s", nvme->common.name, id, status_text(status));
		return nvme->admin.open ? STATUS_OK : status;
	}
	return namespace_is_fit(nvme, id, answer, &found) ? namespace_add(nvme, id, answer, &found) : STATUS_OK;
}

/*
 * Fills `ids` with the active namespaces, in rising order up to a 0. Controllers from before 1.1
 * just number them, and do not know the list: some answer the question with something else.
 */
static status_t ids_read(struct nvme *nvme, uint32_t *ids, unsigned count)
{
	status_t status = STATUS_UNSUPPORTED;

	if (nvme->version >= NVME_VERSION(1, 1))
		status = nvme_identify(nvme, NVME_IDENTIFY_ACTIVE, 0);
	if (status == STATUS_OK) {
		memcpy(ids, nvme->admin.answer.memory, count * sizeof(*ids));
		return STATUS_OK;
	}
	for (unsigned i = 0; i < count; i++)
		ids[i] = i < nvme->namespaces_numbered ? i + 1 : 0;
	return nvme->admin.open ? STATUS_OK : status;
}

status_t nvme_namespaces_find(struct nvme *nvme)
{
	uint32_t ids[2 * DISK_BLOCKS_MAX];
	status_t status = ids_read(nvme, ids, ARRAY_LENGTH(ids));

	/* A list that does not rise ends there: names of disks are unique. */
	for (unsigned i = 0; status == STATUS_OK && i < ARRAY_LENGTH(ids) && ids[i] > (i > 0 ? ids[i - 1] : 0); i++)
		status = namespace_probe(nvme, ids[i]);
	if (status == STATUS_OK && nvme->common.block_count == 0)
		log_warn("%s: no namespace that can be used", nvme->common.name);
	return status;
}

void nvme_namespaces_free(struct nvme *nvme)
{
	while (nvme->common.block_count > 0)
		heap_free(driver_heap(nvme->common.function), nvme_namespace_at(&nvme->common, --nvme->common.block_count));
}
