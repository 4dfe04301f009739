/*
 * The witness of the site's own counter: a number outside the stores that only
 * goes up. The store keeps the same number; where the two part, the store was
 * put back to an older copy (guard.h). It must not know of stores, journals or
 * what is counted.
 *
 * What each class holds against:
 *
 *   file  STATE.witness/SITE. Stores that are put back while this file stays:
 *         one of them, or all. Not against somebody who puts it back with
 *         them, or writes what he likes into it: he needs no more than the
 *         ledger's user has. What agents have seen shows that too, as soon as
 *         one of them comes (session.hello). Called weaker wherever it shows.
 *   tpm   A counter in the TPM of the box (shared/proof): whoever has the disk
 *         cannot make it go back. A virtual TPM goes back with its disk.
 *
 * Reading and counting may take a second: not in a loop. One thread at a time.
 */
#ifndef APPLIANCE_LEDGER_WITNESS_H
#define APPLIANCE_LEDGER_WITNESS_H

#include "shared/journal/rows.h"
#include "shared/proof/identity.h"

struct witness;

/** The site's file in `folder`, which is there and ours to write. */
int witness_open_file(struct witness **witness, const char *folder,
    const char *site);

/**
 * A counter of its own in the identity's TPM, which is borrowed and has
 * no other; witness_make binds it. `base`: what the site's counter is ahead of the TPM's, as
 * witness_base() said last; 0 when none was said.
 */
int witness_open_tpm(struct witness **witness, struct identity *identity,
    const char *site, uint64_t base);
void witness_close(struct witness *witness);

enum witness_class witness_class_of(const struct witness *witness);
/** For people: "the file /var/lib/leasehold.witness/site-x". */
const char *witness_name(const struct witness *witness);

/**
 * @retval ERR_NOT_FOUND  There is none: never made, or lost.
 * @retval ERR_CORRUPT    There is something else in its place.
 * Others: ERR_IO and the like; logged, and to be tried again.
 */
int witness_read(uint64_t *counter, struct witness *witness);

/**
 * Make it, in place of none, of a damaged one, or of one that was put back.
 *
 * @param at_least  Where a file begins. A TPM begins where no counter of its
 *                  has been, and is left as it is when there is one.
 */
int witness_make(uint64_t *counter, struct witness *witness, uint64_t at_least);

/** To be kept in the store with the counter. It changes in witness_make only.
 */
uint64_t witness_base(const struct witness *witness);

/** Its clock, which runs while the machine is on; zero: it has none. */
int witness_clock(struct identity_clock *clock, struct witness *witness);

/** Another one is in its place: what would be believed again is removed. */
int witness_retire(struct witness *witness);

/** One more; durable when it returns. */
int witness_increment(uint64_t *counter, struct witness *witness);

#endif
