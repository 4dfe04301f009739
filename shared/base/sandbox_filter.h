/*
 * The table of system calls: which profile may use which without looking at
 * arguments. Private to the sandbox. It must not know how a filter is made.
 */
#ifndef SHARED_BASE_SANDBOX_FILTER_H
#define SHARED_BASE_SANDBOX_FILTER_H

#include "shared/base/sandbox.h"

#include <stddef.h>
#include <stdint.h>

#define SANDBOX_BIT(profile) (1U << (profile))

struct sandbox_call {
	int number; /* negative where this machine has no such call */
	uint8_t profiles;
};

/** The table; its length goes to *n. */
const struct sandbox_call *sandbox_calls(size_t *n);

#endif
