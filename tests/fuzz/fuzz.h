/*
 * For the fuzzers that build a small true world with the headers of the unit
 * tests: check's words as asserts, and input taken apart. Include it first.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/* In the place of check.h: there is no suite here. */
#define CHECK_H
typedef struct Suite Suite;

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Holds, or this input is a finding. */
#define fuzz_must(condition)                                             \
	do {                                                             \
		if (!(condition)) {                                      \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
			    __LINE__, #condition);                       \
			abort();                                         \
		}                                                        \
	} while (0)
#define ck_assert(condition) fuzz_must(condition)
#define ck_assert_msg(condition, ...) fuzz_must(condition)
#define ck_abort_msg(...) fuzz_must(0)
#define ck_assert_ptr_nonnull(a) fuzz_must((a) != NULL)
#define ck_assert_ptr_eq(a, b) fuzz_must((a) == (b))
#define ck_assert_int_eq(a, b) fuzz_must((a) == (b))
#define ck_assert_int_ge(a, b) fuzz_must((a) >= (b))
#define ck_assert_int_gt(a, b) fuzz_must((a) > (b))
#define ck_assert_uint_eq(a, b) fuzz_must((a) == (b))
#define ck_assert_uint_le(a, b) fuzz_must((a) <= (b))
#define ck_assert_uint_lt(a, b) fuzz_must((a) < (b))

struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/** The next byte, 0 at the end. */
static inline uint8_t
fuzz_byte(struct fuzz_input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/** Up to `want` bytes. */
static inline size_t
fuzz_take(const uint8_t **out, struct fuzz_input *input, size_t want)
{
	size_t n = want < input->size ? want : input->size;

	*out = input->data;
	input->data += n;
	input->size -= n;
	return n;
}

#endif
