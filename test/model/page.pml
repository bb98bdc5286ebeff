// SPDX-License-Identifier: BSD-2-Clause
/*
 * The life of one page, K, for spin: ACTORS actors do ROUNDS operations each, any of read, write, write back, evict, move, loan
 * and discard, in all interleavings, beginning with K not cached, clean or dirty. There are two frames, either of which may
 * hold K, another page, or nothing.
 *
 * A step here is one access to shared memory there, or a section under a lock that no other actor looks into. The names are those
 * of src/pagecache: page.c's contents, index.c's lookups, index_block.c, frame.c's moves and evictions, exclusive.c, writeback.c,
 * io.c, loan.c.
 * page->version changes in a step of its own. Hits, FAILED, MAIN and AHEAD are left out: nothing here depends on them.
 *
 * What a frame holds is the number of the write that made it. A write is made in two halves, so an actor that
 * looks at the page while another one writes to it can see half a write.
 *
 * BREAK and a word leaves out what is said there; then a run must find an error.
 */

#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAILURES
#define FAILURES 1
#endif
#ifndef ACTORS
#define ACTORS 3
#endif

/* Keys: each its own stripe. */
#define K     0
#define OTHER 1

#define NONE    2   /* no frame */
#define FOREIGN 99  /* what another page holds, or what is not known */

/* Contents. */
#define FREE      0
#define TAKEN     1
#define GONE      2
#define WRITING   3
#define READING   4 /* from here on pages can be pinned */
#define CLEAN     5
#define DIRTY     6
#define WRITEBACK 7

/* What a task sleeps on: stripe->changes, or the state of frame f. */
#define AWAKE      0
#define ON_CHANGES 1
#define ON(f)      (2 + (f))

/* struct page. An entry whose generation is right has `entry` set. */
byte content[2] = FREE;
byte pins[2];
bool listed[2];
byte key[2] = OTHER;
bool entry[2];
bool loaned[2]; /* its block is: GENERATION_LOANED */
bool gone[2]; /* its block's generation is another one by now */
bool loan[2]; /* its block is PAGEBLOCK_LOANED */
byte busy[2]; /* movers that have its block isolated, or hold it */
bool refill;  /* guarantee->refill, and the block of the first frame is isolated or loaned */
bool heap_lock; /* [R], where more than one step is taken under it */
byte next[2] = NONE;
byte version[2];

byte lo[2] = FOREIGN;
byte hi[2] = FOREIGN;

byte bucket = NONE;
bool stripe_lock[2];
bool volume_lock;
byte changes;
byte asleep[ACTORS] = AWAKE;

byte device;       /* the version that it holds */
byte acknowledged; /* the latest version that counts */
byte versions;
byte failures;

/* Steps ------------------------------------------------------------------------------------------------------------------- */

#define MAY_FOLLOW(from, to)                                                              \
	(from == to || (from == FREE && to == TAKEN) ||                                   \
	 (from == TAKEN && (to == FREE || to == READING || to == WRITING || to == CLEAN || to == DIRTY)) || \
	 (from == GONE && to == FREE) || (from == WRITING && (to == DIRTY || to == TAKEN)) || \
	 (from == READING && (to == CLEAN || to == GONE)) ||                              \
	 (from == CLEAN && (to == WRITING || to == TAKEN || to == FREE || to == GONE)) || \
	 (from == DIRTY && (to == WRITING || to == WRITEBACK || to == TAKEN || to == CLEAN)) || \
	 (from == WRITEBACK && (to == CLEAN || to == DIRTY)))

#define IS_LEGAL(f)                                                                       \
	((pins[f] == 0 || content[f] > TAKEN) &&                                          \
	 (pins[f] > 0 || (content[f] != GONE && content[f] != WRITING && content[f] != READING)) && \
	 (listed[f] == (content[f] == DIRTY) || content[f] == WRITING))

/* One change of the state word. */
inline change(f, to, new_pins, is_listed)
{
	assert(MAY_FOLLOW(content[f], to));
	content[f] = to;
	pins[f] = new_pins;
	listed[f] = is_listed;
	assert(IS_LEGAL(f))
}

inline lock(l)
{
	atomic { !l -> l = true }
}

inline wake(word)
{
	atomic {
		if :: asleep[0] == word -> asleep[0] = AWAKE :: else fi;
		if :: asleep[1] == word -> asleep[1] = AWAKE :: else fi;
#if ACTORS > 2
		if :: asleep[2] == word -> asleep[2] = AWAKE :: else fi
#endif
	}
}

/* platform_wait on the state of a frame, if it still is what was seen. */
inline sleep_on_state(f)
{
	atomic {
		if
		:: content[f] == seen_content && pins[f] == seen_pins -> asleep[me] = ON(f)
		:: else
		fi
	}
	asleep[me] == AWAKE
}

inline see(f)
{
	atomic { seen_content = content[f]; seen_pins = pins[f] }
}

inline unpin(f)
{
	atomic { assert(pins[f] > 0); pins[f]--; seen_content = content[f]; seen_pins = pins[f] }
	if
	:: seen_content == WRITING && seen_pins == 1 ->
#ifndef BREAK_UNPIN_WAKES
		wake(ON(f))
#else
		skip
#endif
	:: seen_content == GONE && seen_pins == 0 -> atomic { change(f, FREE, 0, false) }
	:: else
	fi
}

/* index_wake */
inline writing_has_ended()
{
	atomic {
		changes++;
		if :: asleep[0] == ON_CHANGES -> asleep[0] = AWAKE :: else fi;
		if :: asleep[1] == ON_CHANGES -> asleep[1] = AWAKE :: else fi;
#if ACTORS > 2
		if :: asleep[2] == ON_CHANGES -> asleep[2] = AWAKE :: else fi
#endif
	}
}

/* After the change of content to TAKEN or WRITING, before what the frame holds changes. */
inline new_version(f)
{
#ifndef BREAK_VERSION
	version[f]++
#else
	skip
#endif
}

/* The link that leads to the frame leads on. Under the stripe's lock. */
inline lead_on(f, to)
{
	if
	:: key[f] == K ->
		if
		:: bucket == f -> bucket = to
		:: else -> assert(next[1 - f] == f && key[1 - f] == K); next[1 - f] = to
		fi
	:: else
	fi
}

inline unlink(f, to)
{
	lead_on(f, to);
	entry[f] = false
}

inline unlink_and_unlock(f, l)
{
	lead_on(f, next[f]);
	atomic { entry[f] = false; stripe_lock[l] = false }
}

/* page_leave_pinned: seen_pins says whether there were any. */
inline leave_pinned(f)
{
	atomic {
		assert(content[f] == CLEAN);
		seen_pins = pins[f];
		if
		:: pins[f] > 0 -> change(f, GONE, pins[f], false)
		:: else -> change(f, TAKEN, 0, false)
		fi
	}
	if :: seen_pins == 0 -> new_version(f) :: else fi
}

#define IS_CURRENT(f) (entry[f] && !gone[f])
#define IS_ENTRY(f)   (key[f] == K && IS_CURRENT(f))
#define IS_FREE(f)    (content[f] == FREE && !loaned[f] && !gone[f])

/* find_link_locked */
inline find(f)
{
	f = bucket;
	do
	:: f != NONE && !(IS_ENTRY(f) && content[f] >= WRITING) -> f = next[f]
	:: else -> break
	od
}

/* What each actor does ---------------------------------------------------------------------------------------------------- */

#define READ        0
#define WRITE       1
#define WRITE_WHOLE 2
#define DISCARD     3
#define WRITE_BACK  4
#define EVICT       5 /* what the first frame holds; 6: the second one */
#define MOVE        7
#define LOOK        9
#define LOAN        10 /* the block of the first frame */
#define OPERATIONS  11

proctype actor(byte me; byte op)
{
	byte rounds, f, g, seen, floor, a, seen_content, seen_pins;

again:
	atomic {
		f = NONE; g = NONE; seen = 0; floor = 0; a = 0; seen_content = 0; seen_pins = 0;
		if :: rounds == ROUNDS -> goto finished :: else -> rounds++ fi;
		if
		:: rounds > 1 -> select(op : 0 .. OPERATIONS - 1)
		:: else
		fi;
		if
		:: op < WRITE_BACK -> goto pin
		:: op == WRITE_BACK -> goto write_back
		:: op == EVICT || op == EVICT + 1 -> f = op - EVICT; goto evict
		:: op == MOVE || op == MOVE + 1 -> f = op - MOVE; goto move
		:: op == LOOK -> goto look
		:: op == LOAN -> f = 0; goto make_loan
		fi
	}

	/* index_pin: the walk without the lock */
pin:
	f = bucket;
walk:
	if
	:: f == NONE -> goto pin_slowly
	:: f != NONE && key[f] != K -> f = next[f]; goto walk
	:: f != NONE && key[f] == K
	fi;
	atomic {
		if
		:: content[f] >= READING -> pins[f]++; floor = acknowledged; seen_pins = loaned[f] || gone[f]
		:: else -> goto pin_slowly
		fi
	}
#ifndef BREAK_LOOK_AGAIN
	if :: key[f] != K -> goto pinned_another :: else fi;
#ifndef BREAK_BLOCK_FIRST
	if :: !entry[f] || seen_pins -> goto pinned_another :: else fi;
#else
	if :: !entry[f] -> goto pinned_another :: else fi;
	if :: loaned[f] || gone[f] -> goto pinned_another :: else fi;
#endif
#endif
	goto pinned;
pinned_another:
	unpin(f);

pin_slowly:
	lock(stripe_lock[K]);
	seen = changes;
find_again:
	find(f);
	if
	:: f == NONE -> stripe_lock[K] = false; goto not_found
	:: f != NONE && content[f] == WRITING -> stripe_lock[K] = false; goto wait_for_changes
	:: else
	fi;
	atomic {
		if
		:: content[f] >= READING -> pins[f]++; floor = acknowledged
		:: else -> goto find_again
		fi
	}
	if
#ifndef BREAK_LOOK_AGAIN_LOCKED
	:: !IS_CURRENT(f) || loaned[f] ->
		unpin(f);
		if :: loaned[f] -> stripe_lock[K] = false; goto leave :: else -> goto find_again fi
#endif
	:: else
	fi;
	stripe_lock[K] = false;
	goto pinned;

wait_for_changes:
	atomic {
		if
		:: changes == seen -> asleep[me] = ON_CHANGES
		:: else
		fi
	}
	asleep[me] == AWAKE;
	goto pin;

	/* A miss: start_single_read, insert_writing */
not_found:
	if
	:: op == DISCARD -> goto again /* is_cached says no */
	:: true
	fi;
	atomic {
		if
		:: IS_FREE(0) -> g = 0
		:: IS_FREE(1) -> g = 1
		:: else -> goto again /* no memory */
		fi;
		change(g, TAKEN, 0, false)
	}
	new_version(g);
	atomic { lo[g] = FOREIGN; hi[g] = FOREIGN }
#ifndef BREAK_INSERT_LOOKS
	lock(stripe_lock[K]);
	find(f);
	if
	:: f != NONE -> stripe_lock[K] = false; atomic { change(g, FREE, 0, false) } goto pin
	:: else
	fi;
#else
	lock(stripe_lock[K]);
#endif
	atomic {
		f = g;
		assert(!entry[f]);
		key[f] = K;
		entry[f] = true;
		next[f] = bucket
	}
	atomic {
		floor = acknowledged;
		if
		:: op == WRITE_WHOLE || op == DISCARD -> change(f, WRITING, 1, false)
		:: else -> change(f, READING, 2, false)
		fi
	}
	bucket = f;
	stripe_lock[K] = false;
	if :: op == WRITE_WHOLE || op == DISCARD -> goto alone :: else fi;

	/* The device, and read_done */
	if
	:: atomic { lo[f] = device; hi[f] = device }
		atomic { change(f, CLEAN, pins[f], false) }
	:: atomic { failures < FAILURES -> failures++ }
		lock(stripe_lock[K]);
		unlink(f, next[f]);
		key[f] = OTHER; /* the status */
		atomic { change(f, GONE, pins[f], false) }
		stripe_lock[K] = false
	fi;
	wake(ON(f));
	unpin(f);

	/* page_wait_read */
pinned:
	see(f);
	if
	:: seen_content == READING -> sleep_on_state(f); goto pinned
	:: seen_content == GONE ->
		assert(key[f] != K); /* it has the status of a read that failed */
		unpin(f);
		if :: op == READ -> goto again :: else -> goto pin fi
	:: else
	fi;
	if :: op != READ -> goto begin_write :: else fi;
	atomic { assert(lo[f] == hi[f] && lo[f] != FOREIGN && lo[f] >= floor) }
	unpin(f);
	goto again;

begin_write:
	seen = changes;
	see(f);
	if
	:: seen_content == WRITING -> unpin(f); goto wait_for_changes
	:: seen_content == WRITEBACK -> sleep_on_state(f); goto begin_write
	:: else
	fi;
	atomic {
		if
		:: content[f] == seen_content && pins[f] == seen_pins -> change(f, WRITING, pins[f], listed[f])
		:: else -> goto begin_write
		fi
	}
	new_version(f);
alone:
#ifndef BREAK_WAIT_ALONE
	see(f);
	if
	:: seen_pins != 1 -> sleep_on_state(f); goto alone
	:: else
	fi;
#endif
	if :: op == DISCARD -> goto discard :: else fi;

	/* write_page, page_written */
	atomic {
		if :: versions == WRITES -> goto discard :: else -> versions++; a = versions fi;
		assert(op == WRITE_WHOLE || (lo[f] == hi[f] && lo[f] != FOREIGN && lo[f] >= acknowledged))
	}
	lo[f] = a;
	hi[f] = a;
	lock(volume_lock);
	atomic { change(f, DIRTY, pins[f], true); acknowledged = a; volume_lock = false }
	unpin(f);
	writing_has_ended();
	goto again;

discard:
	lock(stripe_lock[K]);
	lock(volume_lock);
	listed[f] = false; /* page_forget */
	volume_lock = false;
	atomic { assert(pins[f] == 1); change(f, TAKEN, 0, false); acknowledged = device }
	unlink(f, next[f]);
	stripe_lock[K] = false;
	writing_has_ended();
	atomic { change(f, FREE, 0, false) }
	goto again;

	/* writeback_start, write_done */
write_back:
	lock(volume_lock);
	atomic {
		if
		:: listed[0] && content[0] == DIRTY -> f = 0
		:: listed[1] && content[1] == DIRTY -> f = 1
		:: else -> volume_lock = false; goto again
		fi;
		change(f, WRITEBACK, pins[f], false)
	}
	volume_lock = false;
	atomic { a = lo[f]; assert(a == hi[f] && a >= device) }
	if
	:: device = a;
		lock(volume_lock);
		atomic { change(f, CLEAN, pins[f], false) }
	:: atomic { failures < FAILURES -> failures++ }
		lock(volume_lock);
		atomic { change(f, DIRTY, pins[f], true) }
	fi;
	wake(ON(f));
	volume_lock = false;
	goto again;

	/* page_evict, node_evict_page, index_evict_many: TAKEN, out of the index, FREE; then another page may get the frame */
evict:
	if :: content[f] != CLEAN -> goto again :: else fi;
evict_lock:
	a = key[f];
#ifndef BREAK_EVICT_LOCKS
	lock(stripe_lock[a]);
#endif
	if
	:: !entry[f] -> stripe_lock[a] = false; goto again
	:: entry[f] && key[f] != a -> stripe_lock[a] = false; goto evict_lock
	:: else
	fi;
	atomic {
		if
		:: content[f] == CLEAN && pins[f] == 0 -> change(f, TAKEN, 0, false)
		:: else ->
#ifndef BREAK_EVICT_LOCKS
			stripe_lock[a] = false;
#endif
			goto again
		fi
	}
#ifdef BREAK_UNLINK_BEFORE_FREE
	atomic { change(f, FREE, 0, false) }
#endif
#ifndef BREAK_EVICT_LOCKS
	unlink_and_unlock(f, a);
#else
	unlink(f, next[f]);
#endif
#ifdef BREAK_UNLINK_BEFORE_FREE
	goto again;
#endif
	if
	:: atomic { change(f, FREE, 0, false) }
	:: !loaned[f] && !gone[f] ->
		new_version(f);
		atomic { lo[f] = FOREIGN; hi[f] = FOREIGN }
		lock(stripe_lock[OTHER]);
		atomic { key[f] = OTHER; entry[f] = true }
		atomic { change(f, CLEAN, 0, false) }
		stripe_lock[OTHER] = false
	fi;
	goto again;

	/* page_move */
move:
	atomic {
		g = 1 - f;
		if
		:: IS_FREE(g) && (content[f] == CLEAN || content[f] == DIRTY) && !gone[f] && !(refill && f == 0) ->
			change(g, TAKEN, 0, false);
			busy[f]++
		:: else -> goto again
		fi
	}
	new_version(g);
	atomic {
		if
		:: (content[f] == CLEAN || content[f] == DIRTY) && pins[f] == 0 ->
			a = key[f];
#ifndef BREAK_MOVE_PINS
			change(f, content[f], 1, listed[f])
#else
			skip
#endif
		:: else -> goto not_moved
		fi
	}
	atomic { lo[g] = lo[f]; hi[g] = hi[f] }
	lock(stripe_lock[a]);
#ifdef BREAK_MOVE_PINS
	if :: (!IS_CURRENT(f) || key[f] != a) -> stripe_lock[a] = false; goto not_moved :: else fi;
#endif
	assert(key[f] == a && entry[f]);
	lock(volume_lock);
	atomic {
		if
#ifndef BREAK_MOVE_PINS
		:: (content[f] == CLEAN || content[f] == DIRTY) && pins[f] == 1 ->
#else
		:: (content[f] == CLEAN || content[f] == DIRTY) && pins[f] == 0 ->
#endif
			seen_content = content[f];
			change(f, TAKEN, 0, false)
		:: else ->
			volume_lock = false;
			stripe_lock[a] = false;
#ifndef BREAK_MOVE_PINS
			goto unpin_not_moved
#else
			goto not_moved
#endif
		fi
	}
#ifdef BREAK_ENTRY_BEFORE_STATE
	atomic { change(g, seen_content, 0, seen_content == DIRTY) }
#endif
	key[g] = a;
	entry[g] = true;
	next[g] = next[f];
	unlink(f, g);
	atomic {
#ifndef BREAK_ENTRY_BEFORE_STATE
		change(g, seen_content, 0, seen_content == DIRTY);
#endif
		volume_lock = false;
		stripe_lock[a] = false
	}
	atomic { change(f, FREE, 0, false); busy[f]-- }
	goto again;
unpin_not_moved:
	unpin(f);
not_moved:
	atomic { change(g, FREE, 0, false); busy[f]-- }
	goto again;

	/* leave_loaned */
leave:
	atomic {
		g = NONE;
		if
		:: IS_FREE(1 - f) -> g = 1 - f; change(g, TAKEN, 0, false)
		:: else
		fi
	}
	if
	:: g == NONE
	:: else ->
		new_version(g);
		atomic {
			seen = version[f];
			if :: content[f] != CLEAN -> goto not_left :: else fi;
			lo[g] = lo[f]
		}
		hi[g] = hi[f]
	fi;
leave_lock:
	a = key[f];
	atomic {
		!stripe_lock[a];
		if
		:: !entry[f] -> goto not_left
		:: entry[f] && key[f] != a -> goto leave_lock
		:: else -> stripe_lock[a] = true
		fi
	}
	atomic {
		!heap_lock;
		if
#ifndef BREAK_LEAVE_LOANS
		:: !loan[f] -> stripe_lock[a] = false; goto not_left
#endif
#ifndef BREAK_LEAVE_IS_CURRENT
		:: g != NONE && gone[f] -> stripe_lock[a] = false; goto not_left
#endif
		:: g != NONE && version[f] != seen -> stripe_lock[a] = false; goto not_left
		:: else -> heap_lock = true
		fi
	}
	leave_pinned(f);
	if
	:: g == NONE -> unlink(f, next[f])
	:: else ->
		key[g] = a;
		entry[g] = true;
		next[g] = next[f];
		unlink(f, g);
		atomic { change(g, CLEAN, 0, false) }
	fi;
	atomic { heap_lock = false; stripe_lock[a] = false }
	if :: seen_pins == 0 -> atomic { change(f, FREE, 0, false) } :: else fi;
	goto pin;
not_left:
	if :: g != NONE -> atomic { change(g, FREE, 0, false) } :: else fi;
	goto pin;

	/* index_snapshot, memcpy_unstable, page_snapshot_is_whole: without a pin */
look:
	f = bucket;
look_on:
	if
	:: f == NONE -> goto again
	:: f != NONE && key[f] != K -> f = next[f]; goto look_on
	:: f != NONE && key[f] == K
	fi;
	a = version[f];
	atomic {
		if
		:: content[f] >= CLEAN -> floor = acknowledged
		:: else -> goto again
		fi
	}
	if :: !IS_ENTRY(f) -> goto again :: else fi;
	seen = lo[f];
	g = hi[f];
	atomic {
		if
#ifndef BREAK_GENERATION
		:: version[f] == a && IS_CURRENT(f) -> assert(seen == g && seen != FOREIGN && seen >= floor)
#else
		:: version[f] == a -> assert(seen == g && seen != FOREIGN && seen >= floor)
#endif
		:: else
		fi
	}
	goto again;

	/* loan_group, then recall or revoke and reap */
make_loan:
	atomic {
		if
		:: !refill && busy[f] == 0 && content[f] == CLEAN && pins[f] == 0 && entry[f] -> refill = true
		:: else -> goto again
		fi
	}
	atomic { !heap_lock -> heap_lock = true; loaned[f] = true }
	atomic {
		heap_lock = false;
		if
#ifndef BREAK_LOAN_LOOKS
		:: !((content[f] == CLEAN && pins[f] == 0) || content[f] == FREE) ->
			loaned[f] = false;
			refill = false;
			goto again
#endif
		:: else -> loan[f] = true
		fi
	}
	if
	:: atomic { !heap_lock -> loaned[f] = false; loan[f] = false; refill = false } goto again
	:: atomic { gone[f] = true; loaned[f] = false }
	fi;
	lo[f] = FOREIGN; /* a device writes */
	hi[f] = FOREIGN;
reap:
	a = key[f];
	lock(stripe_lock[a]);
	if
	:: !entry[f] -> stripe_lock[a] = false; goto reaped
	:: entry[f] && key[f] != a -> stripe_lock[a] = false; goto reap
	:: else
	fi;
	leave_pinned(f); /* no other actor changes a role that is LOANED, once it is revoked */
	unlink_and_unlock(f, a);
	if :: seen_pins == 0 -> atomic { change(f, FREE, 0, false) } :: else fi;
reaped:
	atomic { loan[f] = false; gone[f] = false; refill = false }
	goto again;

finished:
	skip
}

/* What always holds while no actor is changing it ---------------------------------------------------------------------------- */

#define HOLDS_NEW(f)                                                                      \
	(IS_ENTRY(f) && (content[f] == DIRTY || content[f] == WRITEBACK || (content[f] == WRITING && listed[f])) && \
	 lo[f] >= acknowledged && lo[f] != FOREIGN)
#define IS_LOST       (device < acknowledged && !HOLDS_NEW(0) && !HOLDS_NEW(1))
#define IS_JUNK(f)    (IS_ENTRY(f) && content[f] == CLEAN && lo[f] == FOREIGN)
#define IS_THERE(f)   (IS_ENTRY(f) && content[f] >= WRITING)

proctype monitor()
{
end:
	atomic {
		!stripe_lock[K] && !volume_lock && (IS_LOST || IS_JUNK(0) || IS_JUNK(1) || (IS_THERE(0) && IS_THERE(1))) ->
		assert(!IS_LOST);
		assert(!IS_JUNK(0) && !IS_JUNK(1));
		assert(!(IS_THERE(0) && IS_THERE(1)))
	}
}

/*
 * K lies in the first frame, if anywhere, another page may lie in a frame, too; and which of the actors does what does not
 * matter: so they are in order.
 */
init {
	byte first, second, third;

	atomic {
		if
		:: skip
		:: content[0] = CLEAN
		:: content[0] = DIRTY; listed[0] = true; versions = 1; acknowledged = 1
		fi;
		if
		:: content[0] != FREE -> key[0] = K; entry[0] = true; bucket = 0; lo[0] = versions; hi[0] = versions
		:: content[0] == FREE -> content[0] = CLEAN; entry[0] = true
		:: content[0] == CLEAN -> key[0] = K; entry[0] = true; bucket = 0; lo[0] = 0; hi[0] = 0; content[1] = CLEAN; entry[1] = true
		:: content[0] == FREE
		fi;
		select(first : 0 .. OPERATIONS - 1);
		select(second : first .. OPERATIONS - 1);
		run monitor();
		run actor(0, first);
		run actor(1, second);
#if ACTORS > 2
		select(third : second .. OPERATIONS - 1);
		run actor(2, third);
#endif
		first = 0;
		second = 0;
		third = 0
	}
}
