/* Do the tables of borrows agree among themselves and with leases and pools?
 * See borrow.h. */
#include "appliance/ledger/borrow.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Sums of the walks; borrows of one device stand side by side. */
struct borrows {
	const struct state *state;
	uint64_t borrows; /* as they are */
	uint64_t counted; /* as the borrowers count them */
	uint64_t leases; /* that live by tickets */
	uint64_t seats, on_loan;
	char *error;
	size_t error_size;
};

static int broken(struct borrows *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
broken(struct borrows *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(b->error, b->error_size, format, args);
	va_end(args);
	return ERR_CORRUPT;
}

static int
check_borrow(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct borrows *b = ctx;
	struct state_borrower borrower;
	struct state_borrow borrow;
	struct state_lease lease;

	if (state_borrow_read(&borrow, key, value) != 0)
		return broken(b, "a borrow cannot be read");
	b->borrows++;
	if (state_lease(&lease, b->state, borrow.lease) != 0 ||
	    lease.device != borrow.device || lease.license != borrow.license ||
	    !lease_is_borrow(&lease))
		return broken(b, "borrow-%" PRIu64 " is no lease of its device",
		    borrow.lease);
	b->seats += lease.count;
	if (state_borrower(&borrower, b->state, borrow.device) != 0 ||
	    borrower.borrows == 0)
		return broken(b, "borrow-%" PRIu64 " has no borrower",
		    borrow.lease);
	/* What was proved closes everything below, unless a fence is due. */
	if (borrow_epoch(&borrow) < borrower.proven &&
	    !borrower_is_held_up(&borrower, b->state->counters.generation))
		return broken(b,
		    "borrow-%" PRIu64 " is of epoch %" PRIu64
		    ", and its device proved %" PRIu64,
		    borrow.lease, borrow_epoch(&borrow), borrower.proven);
	if (borrow.next.epoch != 0 &&
	    (borrow.next.epoch <= borrow.now.epoch ||
		borrow.next.epoch > borrower.target))
		return broken(b,
		    "borrow-%" PRIu64 " has a replacement for nothing",
		    borrow.lease);
	return 0;
}

static int
check_borrower(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct state_borrow borrows[BORROW_DEVICE_MAX];
	struct borrows *b = ctx;
	struct state_borrower borrower;
	uint32_t n;

	if (state_borrower_read(&borrower, key, value) != 0 ||
	    state_borrows_of(borrows, &n, b->state, borrower.device) != 0)
		return broken(b, "a borrower cannot be read");
	if (n != borrower.borrows)
		return broken(b,
		    "device-%" PRIu64 " has %u borrows and counts %u",
		    borrower.device, n, borrower.borrows);
	if ((borrower.target != 0 && borrower.target <= borrower.proven) ||
	    (borrower.owed != 0 && borrower.owed < borrower.proven))
		return broken(b, "device-%" PRIu64 " owes what it has proved",
		    borrower.device);
	b->counted += n;
	return 0;
}

static int
check_lease(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct borrows *b = ctx;
	struct state_lease lease;

	if (state_lease_read(&lease, key, value) != 0)
		return broken(b, "a lease cannot be read");
	b->leases += lease_is_borrow(&lease);
	return 0;
}

static int
check_on_loan(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct borrows *b = ctx;
	struct codec_reader r = codec_reader_of(value);

	(void)key;
	b->on_loan += codec_get_u32(&r);
	return codec_end(&r, "count of seats on loan");
}

int
borrows_check(const struct state *state, char *error, size_t error_size)
{
	struct borrows b = { .state = state,
		.error = error,
		.error_size = error_size };
	const struct store_txn *txn = &state->txn;
	int err = store_each(txn, STORE_BORROWS, NULL, 0, check_borrow, &b);

	if (err == 0)
		err = store_each(txn, STORE_BORROWERS, NULL, 0, check_borrower,
		    &b);
	if (err == 0)
		err = store_each(txn, STORE_LEASES, NULL, 0, check_lease, &b);
	if (err == 0)
		err =
		    store_each(txn, STORE_ON_LOAN, NULL, 0, check_on_loan, &b);
	if (err != 0)
		return err;
	if (b.borrows != b.counted || b.borrows != b.leases)
		return broken(&b,
		    "%" PRIu64 " borrows, %" PRIu64 " of borrowers, %" PRIu64
		    " leases that live by tickets",
		    b.borrows, b.counted, b.leases);
	if (b.seats != b.on_loan)
		return broken(&b,
		    "%" PRIu64 " seats are borrowed, and %" PRIu64 " on loan",
		    b.seats, b.on_loan);
	return 0;
}
