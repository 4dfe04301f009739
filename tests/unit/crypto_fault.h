/*
 * libcrypto with an allocator that fails when told: each allocation of a call
 * in turn. To be set before libcrypto allocates anything in the process.
 */
#ifndef TESTS_UNIT_CRYPTO_FAULT_H
#define TESTS_UNIT_CRYPTO_FAULT_H

#include <check.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>

/* Allocations until one fails; below zero: none does. */
static long crypto_fault_in = -1;

static inline bool
crypto_fault_now(void)
{
	return crypto_fault_in >= 0 && crypto_fault_in-- == 0;
}

static inline void *
crypto_fault_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return crypto_fault_now() ? NULL : malloc(size);
}

static inline void *
crypto_fault_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return crypto_fault_now() ? NULL : realloc(old, size);
}

static inline void
crypto_fault_free(void *old, const char *file, int line)
{
	(void)file;
	(void)line;
	free(old);
}

static inline void
crypto_fault_begin(void)
{
	ck_assert_int_eq(CRYPTO_set_mem_functions(crypto_fault_malloc,
			     crypto_fault_realloc, crypto_fault_free),
	    1);
}

/* Was there an allocation to fail? Then try the next. */
static inline bool
crypto_fault_struck(void)
{
	bool struck = crypto_fault_in < 0;

	crypto_fault_in = -1;
	return struck;
}

#endif
