/*
 * What must hold although a tenant is put back to an older copy: who was erased
 * since stays erased, and keys, devices, accounts and enrolment tokens that were
 * taken away since stay away. Both stores are at hand then, the newer one to be
 * read, the copy to be written to: by commands of the core, so that its journal
 * says all of it once more.
 *
 * It goes by numbers and ids. Those of devices and keys mean the same in both,
 * for no generation gives a number again that another gave (decide_generation.c);
 * ids of subjects and tokens are random; users are compared by when they were
 * made too. It must not know of processes, nor which store is put in place.
 */
#ifndef APPLIANCE_LEDGER_CARRY_H
#define APPLIANCE_LEDGER_CARRY_H

#include "appliance/ledger/ledger.h"

struct carried {
	uint64_t subjects; /* erased */
	uint64_t erased_users;
	uint64_t users; /* removed, or locked */
	uint64_t keys;
	uint64_t devices;
	uint64_t joins;
};

/** Commits to `copy`; nothing when there is nothing. An error is a fault, or
 * that one of them was refused: then the copy is not to be used. */
int ledger_carry(struct carried *out, struct ledger *copy, struct ledger *newer,
    const struct principal *who, int64_t now);

#endif
