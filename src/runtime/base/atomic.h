// SPDX-License-Identifier: BSD-2-Clause
/*
 * Atomic operations. In C this is <stdatomic.h>. C++ lacks that before C++23, so there it is done
 * here, for the inline functions of Weir's headers: an atomic object has the same size and place,
 * and is accessed by the same instructions. A program in C++ includes the headers within extern
 * "C".
 */
#pragma once

#ifndef __cplusplus
#include <stdatomic.h>
#else

#define _Atomic volatile

enum memory_order {
	memory_order_relaxed = __ATOMIC_RELAXED,
	memory_order_consume = __ATOMIC_CONSUME,
	memory_order_acquire = __ATOMIC_ACQUIRE,
	memory_order_release = __ATOMIC_RELEASE,
	memory_order_acq_rel = __ATOMIC_ACQ_REL,
	memory_order_seq_cst = __ATOMIC_SEQ_CST,
};

extern "C++" {

template <typename T> inline T atomic_load_explicit(const volatile T *object, int order)
{
	return __atomic_load_n(object, order);
}

template <typename T, typename V> inline void atomic_store_explicit(volatile T *object, V value, int order)
{
	__atomic_store_n(object, (T)value, order);
}

template <typename T, typename V> inline T atomic_exchange_explicit(volatile T *object, V value, int order)
{
	return __atomic_exchange_n(object, (T)value, order);
}

template <typename T, typename V> inline T atomic_fetch_add_explicit(volatile T *object, V value, int order)
{
	return __atomic_fetch_add(object, value, order);
}

template <typename T, typename V> inline T atomic_fetch_sub_explicit(volatile T *object, V value, int order)
{
	return __atomic_fetch_sub(object, value, order);
}

template <typename T, typename V> inline T atomic_fetch_or_explicit(volatile T *object, V value, int order)
{
	return __atomic_fetch_or(object, value, order);
}

template <typename T, typename V> inline T atomic_fetch_and_explicit(volatile T *object, V value, int order)
{
	return __atomic_fetch_and(object, value, order);
}

template <typename T, typename V>
inline bool atomic_compare_exchange_strong_explicit(volatile T *object, T *expected, V value, int success, int failure)
{
	return __atomic_compare_exchange_n(object, expected, (T)value, false, success, failure);
}

template <typename T, typename V>
inline bool atomic_compare_exchange_weak_explicit(volatile T *object, T *expected, V value, int success, int failure)
{
	return __atomic_compare_exchange_n(object, expected, (T)value, true, success, failure);
}

template <typename T> inline T atomic_load(const volatile T *object)
{
	return __atomic_load_n(object, __ATOMIC_SEQ_CST);
}

template <typename T, typename V> inline void atomic_store(volatile T *object, V value)
{
	__atomic_store_n(object, (T)value, __ATOMIC_SEQ_CST);
}

template <typename T, typename V> inline T atomic_fetch_add(volatile T *object, V value)
{
	return __atomic_fetch_add(object, value, __ATOMIC_SEQ_CST);
}

template <typename T, typename V> inline bool atomic_compare_exchange_weak(volatile T *object, T *expected, V value)
{
	return __atomic_compare_exchange_n(object, expected, (T)value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

template <typename T, typename V> inline void atomic_init(volatile T *object, V value)
{
	*object = (T)value;
}

inline void atomic_thread_fence(int order)
{
	__atomic_thread_fence(order);
}

inline void atomic_signal_fence(int order)
{
	__atomic_signal_fence(order);
}
}

#endif
