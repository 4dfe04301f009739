/*
 * The counter in the box's TPM (shared/proof/identity.h): nobody who has the
 * disk makes it go back. A TPM counts by one and begins where it likes, so the
 * site's counter is the TPM's and a base, which the system store keeps beside
 * its own value: a store that is put back brings the same base with it.
 */
#include "appliance/ledger/witness_private.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* No tenant is called so: a counter of the site's own. */
#define TENANT ".site"
#define COUNTER_MAX (UINT64_C(1) << 53)

struct witness_tpm {
	struct witness base; /* first */
	struct identity *identity; /* borrowed */
	char site[64];
	/** A count to this failed, maybe behind the moment in which the TPM had
	 * it: it is not counted again. 0: none did. */
	uint64_t unsure;
	uint64_t offset; /* the site's counter less the TPM's */
};

/* One that is gone is as one that never was: making it anew is for guard.c to
 * say. */
static int
read_tpm(uint64_t *counter, struct witness *witness)
{
	struct witness_tpm *tpm = (struct witness_tpm *)witness;
	uint8_t key[PROOF_KEY_MAX];
	uint64_t value = 0;

	tpm->unsure = 0;
	if (identity_public(key, tpm->identity) == 0)
		return ERR_NOT_FOUND;
	int err = identity_counter_read(&value, tpm->identity);

	if (err != 0)
		return err == ERR_MISMATCH ? ERR_NOT_FOUND : err;
	if (value >= COUNTER_MAX - tpm->offset)
		return ERR_CORRUPT;
	*counter = value + tpm->offset;
	return 0;
}

static int
make_tpm(uint64_t *counter, struct witness *witness, uint64_t at_least)
{
	struct witness_tpm *tpm = (struct witness_tpm *)witness;
	uint64_t value = 0;
	int err = identity_bind(tpm->identity, tpm->site, TENANT);

	if (err == 0)
		err = identity_counter_read(&value, tpm->identity);
	if (err != 0)
		return err;
	if (value >= COUNTER_MAX || at_least >= COUNTER_MAX)
		return ERR_CORRUPT;
	if (tpm->offset >= COUNTER_MAX - value)
		tpm->offset = 0;
	if (value + tpm->offset < at_least)
		tpm->offset = at_least - value;
	*counter = value + tpm->offset;
	return 0;
}

static int
increment_tpm(uint64_t *counter, struct witness *witness)
{
	struct witness_tpm *tpm = (struct witness_tpm *)witness;
	uint64_t value = 0;
	int err = identity_counter_read(&value, tpm->identity);

	if (err != 0)
		return err;
	uint64_t next = value == tpm->unsure ? value : value + 1;

	err = identity_counter_raise(tpm->identity, next);
	tpm->unsure = err == 0 ? 0 : next;
	*counter = next + tpm->offset;
	return err;
}

static int
clock_of_tpm(struct identity_clock *clock, struct witness *witness)
{
	const struct witness_tpm *tpm = (struct witness_tpm *)witness;

	return identity_clock_read(clock, tpm->identity);
}

/* A TPM forgets no counter that the site still needs: the next one would begin
 * above it. */
static int
retire_tpm(struct witness *witness)
{
	(void)witness;
	return 0;
}

static uint64_t
base_of_tpm(const struct witness *witness)
{
	return ((const struct witness_tpm *)witness)->offset;
}

static void
close_tpm(struct witness *witness)
{
	free(witness);
}

static const struct witness_kind kind = {
	.class_ = WITNESS_TPM,
	.read = read_tpm,
	.make = make_tpm,
	.increment = increment_tpm,
	.clock = clock_of_tpm,
	.retire = retire_tpm,
	.base = base_of_tpm,
	.close = close_tpm,
};

int
witness_open_tpm(struct witness **out, struct identity *identity,
    const char *site, uint64_t base)
{
	struct witness_tpm *tpm = calloc(1, sizeof *tpm);

	if (tpm == NULL)
		return ERR_NOMEM;
	if (!text_copy(tpm->site, sizeof tpm->site, site)) {
		free(tpm);
		return ERR_TOO_LARGE;
	}
	tpm->base.kind = &kind;
	tpm->identity = identity;
	tpm->offset = base < COUNTER_MAX ? base : 0;
	snprintf(tpm->base.name, sizeof tpm->base.name, "the box's TPM");
	*out = &tpm->base;
	return 0;
}
