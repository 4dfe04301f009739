/*
 * A workstation that borrows, for the keeper's tests: what its people and its
 * applications say, and what a library looks at.
 */
#ifndef TESTS_UNIT_KEEPER_BORROWER_H
#define TESTS_UNIT_KEEPER_BORROWER_H

#include "tests/unit/keeper_lender.h"

#include <sys/stat.h>

/* --- words ---------------------------------------------------------------- */

static inline struct local_borrow_take
wish(uint32_t count, uint32_t length_s)
{
	struct local_borrow_take ask = { .product = "p",
		.version = "1.0",
		.count = count,
		.length_s = length_s };

	randombytes_buf(ask.request, sizeof(ask.request));
	return ask;
}

static inline uint64_t
borrow(uint32_t count, uint32_t length_s)
{
	struct local_borrow_take ask = wish(count, length_s);
	struct local_borrow reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.count, count);
	ck_assert_uint_eq(reply.state, BORROW_LENT);
	return reply.lease;
}

static inline struct local_borrows
borrows(void)
{
	static const struct empty nothing = { 0 };
	struct local_borrows reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_LIST, &nothing,
			     &arena, &problem),
	    0);
	return reply;
}

static inline uint32_t
used(uint64_t lease)
{
	struct local_borrows all = borrows();
	const struct local_borrow *items = all.items.items;

	for (uint32_t i = 0; i < all.items.count; i++)
		if (items[i].lease == lease)
			return items[i].used;
	return UINT32_MAX;
}

static inline int
give_back(struct local_borrow_returned *reply, uint64_t lease, bool offline)
{
	const struct local_borrow_return ask = { .lease = lease,
		.all = lease == 0,
		.offline = offline };

	return world_call(reply, &world, LOCAL_BORROW_RETURN, &ask, &arena,
	    &problem);
}

static inline void
give_back_all(uint32_t count)
{
	struct local_borrow_returned reply;

	ck_assert_int_eq(give_back(&reply, 0, false), 0);
	ck_assert_uint_eq(reply.count, count);
	ck_assert(reply.proved);
}

/* The site is gone, and will not be there again by itself. */
static inline void
go_offline(void)
{
	world.offline = true;
	world_disconnect(&world);
	while (status().connected)
		world_serve_for(&world, 10);
}

/* At once: the attempts of before count for nothing. */
static inline void
come_back(void)
{
	world_kill_keeper(&world);
	world.offline = false;
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
}

/* What a library looks at: signature, nonce, and what is left. */
static inline void
expect_ticket(const struct local_checkout_reply *reply,
    const uint8_t nonce[NONCE_BYTES])
{
	struct proof_subject subject;
	struct row row;
	int64_t left_ms;
	struct ticket_now now = { .counter = reply->proof.counter,
		.clock_ms = reply->proof.clock_ms,
		.resets = reply->proof.resets,
		.wall_ms = clock_wall_ms() };

	ticket_subject(&subject, WORLD_SITE, "default", 3, nonce,
	    reply->row.data, reply->row.len);
	ck_assert_int_eq(proof_verify(&reply->proof, &subject, world.device_key,
			     world.device_key_len),
	    0);
	ck_assert_int_eq(row_read(&row, reply->row_number, reply->row.data,
			     reply->row.len, &arena),
	    0);
	ck_assert(row.kind == ROW_BORROWED || row.kind == ROW_BORROW_REISSUED);
	ck_assert_uint_eq(row.u.borrowed.grant.lease, reply->lease);
	ck_assert_int_eq(ticket_left_ms(&left_ms, &row.u.borrowed.ticket, &now),
	    0);
	ck_assert_uint_eq(reply->license.len, 13);
	ck_assert_uint_eq(reply->device, 3);
}

static inline uint64_t
use_seat(void)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply = take_seat(&ask);

	expect_ticket(&reply, ask.nonce);
	return reply.lease;
}

static inline int
renew(struct local_renew_reply *reply, uint64_t lease)
{
	struct local_renew ask = { .lease = lease };

	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	int err =
	    world_call(reply, &world, LOCAL_RENEW, &ask, &arena, &problem);

	if (err == 0)
		expect_ticket(&reply->ticket, ask.nonce);
	return err;
}

static inline void
expect_revoked(uint64_t lease)
{
	struct local_revoked notice;

	world_notice(&notice, &world, LOCAL_REVOKED);
	ck_assert_uint_eq(notice.lease, lease);
	ck_assert_str_eq(notice.code, "gone");
}

/* The keeper is killed where the site stands now, and another one starts. */
static inline void
crash(void)
{
	lender.silent_at = lender.dies_at = 0;
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
}

/* Say it, and serve the site until it was asked for so much. */
static inline void
begin_return(uint64_t lease, uint32_t until_op)
{
	const struct local_borrow_return ask = { .lease = lease,
		.all = lease == 0 };
	unsigned int before = world.asked[until_op];

	world_ask(&world, LOCAL_BORROW_RETURN, &ask);
	world_serve_until(&world, until_op, before + 1);
}

/* Parts of the keeper's folder, as they were. */
static inline void
copy_part(const char *from, const char *to)
{
	char words[256];

	snprintf(words, sizeof(words), "rm -rf %s/%s && cp -a %s/%s %s/%s",
	    world.folder, to, world.folder, from, world.folder, to);
	ck_assert_int_eq(system(words), 0);
}

/* False: the test cannot be several users. */
static inline bool
connect_as(uid_t uid)
{
	if (getuid() != 0) {
		test_skip("keeper borrow", "needs root to be several users");
		return false;
	}
	ck_assert_int_eq(chmod(world.folder, 0755), 0);
	ck_assert_int_eq(chmod(world.socket, 0666), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	world_connect_app(&world);
	borrows(); /* the keeper has looked who it is */
	ck_assert_int_eq(seteuid(0), 0);
	return true;
}

#endif
