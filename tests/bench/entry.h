/*
 * How a load generator's device comes in: over its own connection, hello, then
 * enrolment when the site does not know it yet, then the proof. What it does
 * once it is in is its user's. It must not know how many there are.
 */
#ifndef TESTS_BENCH_ENTRY_H
#define TESTS_BENCH_ENTRY_H

#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"
#include "tests/bench/device.h"
#include "tests/bench/socket.h"

#include <sys/resource.h>

enum entry_step {
	ENTRY_OUTSIDE, /* connecting */
	ENTRY_HELLO, /* to enroll */
	ENTRY_ENROLL,
	ENTRY_ACTIVATE, /* the answer to the challenge of a TPM */
	ENTRY_LOGIN, /* hello, to log in */
	ENTRY_PROVE,
	ENTRY_INSIDE,
};

struct entry {
	struct socket socket; /* first: what the loop knows of it */
	struct device *device;
	const char *join; /* token, for devices that are new */
	const char *folder;
	unsigned int number; /* of the device in its folder */
	enum entry_step step;
	uint64_t id; /* of its last question */
	char site[64], tenant[64]; /* as the site said */
};

/** Send a question. 0 or -1. */
int entry_ask(struct entry *entry, enum operation_id op, const void *request);

/** The connection is open. 0 or -1. */
int entry_begin(struct entry *entry);

/** An answer came while it was not inside: 1 when it is now, 0 when it goes on,
 * -1 when it was refused or cannot be understood, said on stderr. */
int entry_heard(struct entry *entry, const char *text, size_t len);

/** What proofs of this device to this site are over; the rest is zero. */
struct proof_subject entry_subject(const struct entry *entry);

/** So many open files. 0, or -1, said on stderr. */
int entry_allow_files(unsigned int n);

#endif
