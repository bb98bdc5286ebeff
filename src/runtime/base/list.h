// SPDX-License-Identifier: BSD-2-Clause
/*
 * Intrusive, circular, doubly linked list. The head is a link, too. A link that is in no list
 * points to itself after list_remove, so removing twice is harmless. No locking of its own.
 */
#pragma once

#include "types.h"

struct list {
	struct list *next;
	struct list *previous;
};

static inline void list_init(struct list *head)
{
	head->next = head;
	head->previous = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_after(struct list *position, struct list *link)
{
	link->next = position->next;
	link->previous = position;
	position->next->previous = link;
	position->next = link;
}

static inline void list_insert_first(struct list *head, struct list *link)
{
	list_insert_after(head, link);
}

static inline void list_insert_last(struct list *head, struct list *link)
{
	list_insert_after(head->previous, link);
}

static inline void list_remove(struct list *link)
{
	link->previous->next = link->next;
	/*
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the analyzer cannot know that no
	 * link is NULL.
	 */
	link->next->previous = link->previous;
	list_init(link);
}

/* The first link, or NULL when the list is empty. */
static inline struct list *list_first(const struct list *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

/* The link at that place, counted from 0; NULL when the list is shorter. */
static inline struct list *list_at(const struct list *head, unsigned place)
{
	struct list *link = head->next;

	while (link != head && place-- > 0)
		link = link->next;
	return link != head ? link : NULL;
}

/* Removes and returns the first link; NULL when the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *first = list_first(head);
	if (first)
		list_remove(first);
	return first;
}

#define list_for_each(link, head) for (struct list *link = (head)->next; (link) != (head); (link) = (link)->next)

/* Like list_for_each; the body may remove `link`. */
#define list_for_each_safe(link, head)                                                                                         \
	for (struct list *link = (head)->next, *link##_next = link->next; (link) != (head);                                    \
	     (link) = link##_next, link##_next = (link)->next)
