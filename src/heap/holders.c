#include "holders.h"

#include "block_search.h"
#include "runtime/base/format.h"

static struct holder holder_make(const struct owner *owner, uint64_t blocks)
{
	struct holder holder = { .owner = owner, .blocks = blocks, .movable = owner->movable };

	format_text(holder.name, sizeof(holder.name), "%s", owner->name);
	return holder;
}

/* Puts it where it belongs; the last one goes if there is no room. */
static unsigned insert(struct holder holders[HOLDERS_MAX], unsigned count, const struct holder *holder)
{
	unsigned place = count;

	while (place > 0 && holders[place - 1].blocks < holder->blocks) {
		if (place < HOLDERS_MAX)
			holders[place] = holders[place - 1];
		place--;
	}
	if (place == HOLDERS_MAX)
		return count;
	holders[place] = *holder;
	return MIN(count + 1, HOLDERS_MAX);
}

unsigned holders_get(struct block_heap *heap, struct holder holders[HOLDERS_MAX])
{
	unsigned count = 0;

	spinlock_lock(&heap->lock);
	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);
		const struct holder holder = holder_make(owner, owner->blocks);

		count = insert(holders, count, &holder);
	}
	spinlock_unlock(&heap->lock);
	return count;
}

static uint64_t blocks_of(const struct block_heap *heap, struct span span, const struct owner *owner)
{
	uint64_t blocks = 0;

	for (uint64_t i = span.first; i < span.end; i++)
		blocks += heap->blocks[i].owner == owner;
	return blocks;
}

unsigned holders_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest,
			struct holder holders[HOLDERS_MAX])
{
	const struct span span = span_of(heap, lowest, highest);
	unsigned count = 0;

	spinlock_lock(&heap->lock);
	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);
		const struct holder holder = holder_make(owner, blocks_of(heap, span, owner));

		if (holder.blocks > 0)
			count = insert(holders, count, &holder);
	}
	spinlock_unlock(&heap->lock);
	return count;
}

/* The window being looked at. */
struct sum {
	uint64_t fixed;
	uint64_t cost;
};

/* What a block adds. Costs change meanwhile, so one that leaves may take less away than it added, or more: seen_cost knows. */
static struct sum block_sum(const struct block *block)
{
	struct sum sum = { 0 };

	if (block->taken && block->owner->movable)
		sum.cost = block->seen_cost;
	else if (block->taken)
		sum.fixed = 1;
	return sum;
}

static bool is_better(const struct sum *sum, const struct sum *best)
{
	return sum->fixed != best->fixed ? sum->fixed < best->fixed : sum->cost < best->cost;
}

bool holders_best_window(struct block_heap *heap, uint64_t blocks, const struct block_constraints *constraints,
			 struct stretch *best)
{
	const struct span span = span_of(heap, constraints->lowest, constraints->highest);
	struct sum sum = { 0 }, least = { UINT64_MAX, UINT64_MAX };
	uint64_t stretch = span.first, start;

	spinlock_lock(&heap->lock);
	for (uint64_t i = span.first; i < span.end; i++) {
		struct block *block = &heap->blocks[i];

		if (!block->present) {
			stretch = i + 1;
			sum = (struct sum){ 0 };
			continue;
		}
		block->seen_cost = 1ull + atomic_load_explicit(&block->cost, memory_order_relaxed);
		sum.fixed += block_sum(block).fixed;
		sum.cost += block_sum(block).cost;
		if (i + 1 - stretch < blocks)
			continue;
		const uint64_t first = i + 1 - blocks;
		if (is_better(&sum, &least) &&
		    span_place(heap, (struct span){ first, i + 1 }, blocks, constraints, false, &start)) {
			least = sum;
			*best = (struct stretch){ block_address(heap, &heap->blocks[first]), sum.fixed, sum.cost };
		}
		sum.fixed -= block_sum(&heap->blocks[first]).fixed;
		sum.cost -= block_sum(&heap->blocks[first]).cost;
	}
	spinlock_unlock(&heap->lock);
	return least.fixed != UINT64_MAX;
}
