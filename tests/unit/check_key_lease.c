/* Seats for programs without an agent, in a real ledger process: this test
 * plays the front that passes their HTTP calls on. */
#include "tests/unit/process_site.h"

#include "appliance/ledger/ledger.h"
#include "shared/journal/journal.h"
#include "shared/rpc/messages_key.h"
#include "shared/rpc/messages_key_lease.h"
#include "tests/unit/suite.h"

#include <inttypes.h>

#define CONN 4242

/* --- a program with a key ------------------------------------------------- */

struct program {
	char key[128];
	const char *again; /* Idempotency-Key, or NULL */
	const char *hostname; /* X-Hostname, or NULL */
};
static struct program ci, other;

static uint64_t
program_begin(const struct program *program, uint64_t conn, uint16_t op,
    const void *request)
{
	struct wire_caller caller = { .address = "192.0.2.7",
		.key = { program->key, (uint32_t)strlen(program->key) } };
	struct buf payload = { 0 };
	uint64_t tag = ++world.tag;

	if (program->again != NULL)
		snprintf(caller.idempotency_key, sizeof(caller.idempotency_key),
		    "%s", program->again);
	if (program->hostname != NULL)
		snprintf(caller.hostname, sizeof(caller.hostname), "%s",
		    program->hostname);
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, operation_get(op)->request, request);
	front_write(&world, WIRE_CALL, op, conn, tag, &payload);
	buf_release(&payload);
	return tag;
}

static int
program_ask(const struct program *program, void *reply, uint16_t op,
    const void *request, struct problem *problem)
{
	uint64_t tag = program_begin(program, CONN, op, request);

	return front_answer(&world, reply, op, tag, problem);
}

static struct seat_checkout
one_seat(void)
{
	return (struct seat_checkout){ .product = PRODUCT,
		.version = "8.1.0",
		.user = "build" };
}

static int
take(struct seat_lease *lease, const struct program *program,
    struct problem *problem)
{
	const struct seat_checkout asked = one_seat();

	return program_ask(program, lease, OP_SEAT_CHECKOUT, &asked, problem);
}

static int
give_back(const struct program *program, const char *id)
{
	struct seat_returned returned;
	struct seat_id asked = { "" };

	snprintf(asked.id, sizeof(asked.id), "%s", id);
	return program_ask(program, &returned, OP_SEAT_RETURN, &asked, NULL);
}

static int
renew(struct seat_renewed *renewed, const struct program *program,
    const char *id, const char *second, const uint8_t *nonce)
{
	struct seat_id ids[2] = { { "" }, { "" } };
	struct seat_renew asked = { .ids = { ids, second == NULL ? 1 : 2 } };

	snprintf(ids[0].id, sizeof(ids[0].id), "%s", id);
	if (second != NULL)
		snprintf(ids[1].id, sizeof(ids[1].id), "%s", second);
	if (nonce != NULL)
		memcpy(asked.nonce, nonce, sizeof(asked.nonce));
	return program_ask(program, renewed, OP_SEAT_RENEW, &asked, NULL);
}

static uint64_t
key_make(struct program *program, const char *first, const char *second)
{
	struct key_scope scopes[2] = { { "" }, { "" } };
	struct key_generate asked = { .app_name = "build",
		.app_type = KEY_CI_CD,
		.scopes = { scopes, second == NULL ? 1 : 2 } };
	struct key_generated made;
	uint64_t number = 0;

	snprintf(scopes[0].scope, sizeof(scopes[0].scope), "%s", first);
	if (second != NULL)
		snprintf(scopes[1].scope, sizeof(scopes[1].scope), "%s",
		    second);
	ck_assert_int_eq(admin_do(&world, &made, OP_KEY_GENERATE, &asked), 0);
	memset(program, 0, sizeof(*program));
	snprintf(program->key, sizeof(program->key), "%s", made.api_key);
	ck_assert_int_eq(sscanf(made.key_id, "key-%" SCNu64, &number), 1);
	return number;
}

static uint64_t ci_device;

static void
key_setup(void)
{
	set_up();
	ci_device = key_make(&ci, "license:checkout", "license:return");
	(void)key_make(&other, "license:checkout", "license:return");
}

/* --- taking and giving back ---------------------------------------------- */

START_TEST(a_program_takes_a_seat_and_gives_it_back)
{
	struct seat_lease lease;
	struct site_view site;
	const struct empty empty = { 0 };
	int64_t now;

	install_license(&world, PRODUCT, 3, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	ck_assert_uint_eq(lease.status, SEAT_GRANTED);
	ck_assert_str_eq(lease.id, "lease-1");
	ck_assert_uint_eq(lease.lease, 1);
	ck_assert_uint_eq(lease.type, SEAT_KIND_COMMIT);
	ck_assert_uint_eq(lease.count, 1);
	ck_assert_uint_eq(lease.ttl_s, 120);
	ck_assert_uint_eq(lease.grace_s, 300);
	ck_assert_uint_eq(lease.renew_s, 40);
	ck_assert_uint_eq(lease.seats.total, 3);
	ck_assert_uint_eq(lease.seats.used, 1);
	ck_assert_uint_eq(lease.seats.free, 2);
	ck_assert_int_eq(lease.expires_at - lease.renew_by, 300000);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	now = site.time;
	ck_assert_int_le(lease.renew_by, now + 121000);
	ck_assert_int_ge(lease.renew_by, now + 110000);
	ck_assert_int_eq(give_back(&ci, lease.id), 0);
	ck_assert_int_eq(give_back(&ci, lease.id), ERR_GONE);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.leases, 0);
}
END_TEST

/* As an application does: header by the site's key, row by its path. */
START_TEST(its_evidence_holds_against_the_sites_key)
{
	struct seat_checkout asked = one_seat();
	struct seat_lease lease;
	struct site_view site;
	const struct empty empty = { 0 };
	struct journal_header header;
	uint8_t head[32];
	struct license_ref ref;
	struct license_file file;
	struct row row;

	install_license(&world, PRODUCT, 3, 120, 300);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	randombytes_buf(asked.nonce, sizeof(asked.nonce));
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     NULL),
	    0);
	const struct seat_evidence *e = &lease.evidence;

	ck_assert_mem_eq(e->nonce, asked.nonce, sizeof(asked.nonce));
	ck_assert_int_eq(journal_header_verify(&header, head, e->header.data,
			     e->header.len, site.site_key),
	    0);
	ck_assert_int_eq(journal_row_verify(&header, e->row_number, e->row.data,
			     e->row.len, e->path.data,
			     e->path.len / MERKLE_BYTES),
	    0);
	ck_assert_int_eq(row_read(&row, e->row_number, e->row.data, e->row.len,
			     &world.arena),
	    0);
	ck_assert_int_eq(row.kind, ROW_LEASE_GRANTED);
	ck_assert_uint_eq(row.u.lease_granted.device, ci_device);
	ck_assert_mem_eq(row.u.lease_granted.nonce, asked.nonce, NONCE_BYTES);
	ck_assert_mem_eq(row.u.lease_granted.license_digest, e->license_digest,
	    32);
	memcpy(ref.digest, e->license_digest, sizeof(ref.digest));
	ck_assert_int_eq(program_ask(&ci, &file, OP_SEAT_LICENSE, &ref, NULL),
	    0);
	ck_assert_uint_gt(file.license.len, 0);
}
END_TEST

START_TEST(a_retry_takes_no_second_seat_also_after_a_kill)
{
	struct seat_checkout more = one_seat();
	struct seat_lease first, again;
	char id[SEAT_ID_SIZE];

	install_license(&world, PRODUCT, 3, 120, 300);
	ci.again = other.again = "job-17";
	ck_assert_int_eq(take(&first, &ci, NULL), 0);
	snprintf(id, sizeof(id), "%s", first.id);
	ck_assert_int_eq(take(&again, &ci, NULL), 0);
	ck_assert_str_eq(again.id, id);
	ck_assert_uint_eq(again.evidence.row_number, first.evidence.row_number);
	/* Scoped to the key, and to what was asked. */
	ck_assert_int_eq(take(&again, &other, NULL), 0);
	ck_assert_str_ne(again.id, id);
	more.count = 2;
	ck_assert_int_eq(program_ask(&ci, &again, OP_SEAT_CHECKOUT, &more,
			     NULL),
	    ERR_CONFLICT);
	process_stop(&world, SIGKILL);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(take(&again, &ci, NULL), 0);
	ck_assert_str_eq(again.id, id);
	ck_assert_uint_eq(again.seats.used, 2);
	ck_assert_int_eq(give_back(&ci, id), 0);
	ck_assert_int_eq(take(&again, &ci, NULL), ERR_GONE);
	process_stop(&world, SIGKILL);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(take(&again, &ci, NULL), ERR_GONE);
}
END_TEST

START_TEST(hostname_and_fingerprint_come_by_header_or_body)
{
	struct seat_checkout asked = one_seat();
	struct seat_lease lease;
	struct lease_ref ref;
	struct lease_view view;
	struct problem problem;

	install_license(&world, PRODUCT, 3, 120, 300);
	ci.hostname = "ci-7";
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	ref.lease = lease.lease;
	ck_assert_int_eq(admin_do(&world, &view, OP_LEASE_SHOW, &ref), 0);
	ck_assert_str_eq(view.host, "ci-7");
	ck_assert_str_eq(view.user, "build");
	snprintf(asked.hostname, sizeof(asked.hostname), "ci-8");
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     &problem),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(problem.field, "hostname");
	asked.hostname[0] = '\0';
	memset(asked.app_fingerprint, 'g', 64);
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     &problem),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(problem.field, "app_fingerprint");
	memset(asked.app_fingerprint, 'a', 64);
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     NULL),
	    0);
}
END_TEST

START_TEST(several_seats_and_a_feature_are_one_lease)
{
	struct seat_checkout asked = one_seat();
	struct seat_lease lease;
	struct problem problem;

	install_license(&world, PRODUCT, 3, 120, 300);
	asked.count = 2;
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     NULL),
	    0);
	ck_assert_uint_eq(lease.count, 2);
	ck_assert_uint_eq(lease.seats.free, 1);
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     &problem),
	    ERR_NO_SEATS);
	asked.count = 4;
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     &problem),
	    ERR_MAX_REACHED);
	asked.count = 1;
	snprintf(asked.feature, sizeof(asked.feature), "none-such");
	ck_assert_int_eq(program_ask(&ci, &lease, OP_SEAT_CHECKOUT, &asked,
			     &problem),
	    ERR_NOT_ENTITLED);
}
END_TEST

/* --- renewals ------------------------------------------------------------ */

START_TEST(a_renewal_is_promised_and_signed_for_who_asks)
{
	struct seat_lease lease;
	struct seat_renewed renewed;
	struct site_view site;
	const struct empty empty = { 0 };
	struct journal_beat beat;
	struct record_error error;
	uint8_t nonce[32];

	install_license(&world, PRODUCT, 3, 120, 300);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	ck_assert_int_eq(renew(&renewed, &ci, "lease-1", NULL, NULL), 0);
	ck_assert_uint_eq(renewed.beat.len, 0);
	const struct seat_renewed_item *item = renewed.renewed.items;

	ck_assert_uint_eq(renewed.renewed.count, 1);
	ck_assert_str_eq(item->id, "lease-1");
	ck_assert_uint_eq(item->ttl_s, 120);
	ck_assert_int_ge(item->renew_by, lease.renew_by);
	randombytes_buf(nonce, sizeof(nonce));
	ck_assert_int_eq(renew(&renewed, &ci, "lease-4711", "1", nonce), 0);
	ck_assert_uint_eq(renewed.renewed.count, 1);
	ck_assert_uint_eq(renewed.refused.count, 1);
	const struct seat_refused_item *refused = renewed.refused.items;

	ck_assert_str_eq(refused->id, "lease-4711");
	ck_assert_str_eq(refused->code, "gone");
	ck_assert_int_eq(license_document_read(&beat, &journal_beat_record,
			     TOKEN_BEAT, renewed.beat.data, renewed.beat.len,
			     site.site_key, &world.arena, &error),
	    0);
	ck_assert_int_eq(journal_beat_verify(&beat, 1, nonce, 120, 0, NULL, 0),
	    0);
}
END_TEST

START_TEST(a_lease_of_another_key_is_neither_renewed_nor_returned)
{
	struct seat_lease lease;
	struct seat_renewed renewed;

	install_license(&world, PRODUCT, 3, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	ck_assert_int_eq(renew(&renewed, &other, "lease-1", NULL, NULL),
	    ERR_GONE);
	ck_assert_int_eq(give_back(&other, "lease-1"), ERR_NOT_FOUND);
	ck_assert_int_eq(give_back(&ci, "lease-one"), ERR_BAD_REQUEST);
	ck_assert_int_eq(renew(&renewed, &ci, "lease-1", NULL, NULL), 0);
	ck_assert_int_eq(give_back(&ci, "lease-1"), 0);
	ck_assert_int_eq(renew(&renewed, &ci, "lease-1", NULL, NULL), ERR_GONE);
}
END_TEST

/* One second of span and one of grace, ten of skew, a second of ticks. */
START_TEST(a_seat_that_nobody_renews_comes_back)
{
	struct seat_lease lease, next;
	struct seat_renewed renewed;
	int64_t began;

	install_license(&world, PRODUCT, 1, 1, 1);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	usleep(500000);
	ck_assert_int_eq(renew(&renewed, &ci, lease.id, NULL, NULL), 0);
	began = clock_boottime_ms();
	while (take(&next, &other, NULL) != 0) {
		ck_assert_int_lt(clock_boottime_ms() - began,
		    2000 + LEDGER_SKEW_MS + 3000);
		usleep(400000);
	}
	ck_assert_int_ge(clock_boottime_ms() - began, 2000 + LEDGER_SKEW_MS);
	ck_assert_int_eq(renew(&renewed, &ci, lease.id, NULL, NULL), ERR_GONE);
}
END_TEST

/* --- waiting ------------------------------------------------------------- */

static uint64_t
begin_wait(const struct program *program, uint64_t conn, uint32_t wait_s,
    uint32_t hold_s)
{
	struct seat_checkout asked = one_seat();

	asked.wait_s = wait_s;
	asked.hold_s = hold_s;
	return program_begin(program, conn, OP_SEAT_CHECKOUT, &asked);
}

static uint64_t
waiting_now(void)
{
	const struct empty empty = { 0 };
	struct site_view site;

	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	return site.waiting;
}

/* The queue is joined, and left, a moment after the question. */
static void
await_waiting(uint64_t n)
{
	for (int i = 0; waiting_now() != n; i++) {
		ck_assert_int_lt(i, 300);
		usleep(10000);
	}
}

START_TEST(who_waits_gets_the_seat_that_comes_free)
{
	struct seat_lease lease, waited;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	uint64_t tag = begin_wait(&other, 5, 60, 0);

	await_waiting(1);
	ck_assert_int_eq(give_back(&ci, "lease-1"), 0);
	ck_assert_int_eq(front_answer(&world, &waited, OP_SEAT_CHECKOUT, tag,
			     NULL),
	    0);
	ck_assert_str_eq(waited.id, "lease-2");
	await_waiting(0);
	/* A newcomer does not get it. */
	ck_assert_int_eq(take(&lease, &ci, NULL), ERR_NO_SEATS);
}
END_TEST

START_TEST(a_wait_that_outlives_a_request_keeps_its_place)
{
	struct seat_lease lease, waited;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	other.again = "job-3";
	uint64_t tag = begin_wait(&other, 5, 60, 1);

	ck_assert_int_eq(front_answer(&world, &waited, OP_SEAT_CHECKOUT, tag,
			     NULL),
	    0);
	ck_assert_uint_eq(waited.status, SEAT_WAITING);
	ck_assert(seat_is_waiting(&waited));
	ck_assert_uint_eq(waited.queue.place, 1);
	ck_assert_uint_eq(waited.queue.length, 1);
	ck_assert_uint_eq(waited.lease, 0);
	await_waiting(1);
	/* Nobody asks at the moment: the seat is kept for it. */
	ck_assert_int_eq(give_back(&ci, "lease-1"), 0);
	ck_assert_int_eq(take(&lease, &ci, NULL), ERR_NO_SEATS);
	tag = begin_wait(&other, 6, 60, 1);
	ck_assert_int_eq(front_answer(&world, &waited, OP_SEAT_CHECKOUT, tag,
			     NULL),
	    0);
	ck_assert_uint_eq(waited.status, SEAT_GRANTED);
	await_waiting(0);
}
END_TEST

START_TEST(a_wait_without_a_key_for_it_ends_in_a_refusal)
{
	struct seat_lease lease;
	struct problem problem;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	uint64_t tag = begin_wait(&other, 5, 60, 1);

	ck_assert_int_eq(front_answer(&world, &lease, OP_SEAT_CHECKOUT, tag,
			     &problem),
	    ERR_NO_SEATS);
	ck_assert_str_eq(problem.code, "no_seats");
	await_waiting(0);
}
END_TEST

START_TEST(who_hangs_up_gets_no_seat)
{
	struct seat_lease lease, waited;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	uint64_t tag = begin_wait(&other, 5, 60, 0);

	await_waiting(1);
	front_write(&world, WIRE_ABANDONED, OP_SEAT_CHECKOUT, 5, tag, NULL);
	await_waiting(0);
	ck_assert_int_eq(give_back(&ci, "lease-1"), 0);
	ck_assert_int_eq(take(&waited, &ci, NULL), 0);
	/* One that can ask again keeps its place for a while. */
	other.again = "job-4";
	tag = begin_wait(&other, 5, 60, 0);
	await_waiting(1);
	front_write(&world, WIRE_ABANDONED, OP_SEAT_CHECKOUT, 5, tag, NULL);
	ck_assert_uint_eq(waiting_now(), 1);
	ck_assert_int_eq(give_back(&ci, waited.id), 0);
	tag = begin_wait(&other, 6, 60, 0);
	ck_assert_int_eq(front_answer(&world, &waited, OP_SEAT_CHECKOUT, tag,
			     NULL),
	    0);
	ck_assert_uint_eq(waited.status, SEAT_GRANTED);
}
END_TEST

START_TEST(the_same_wait_on_another_connection_takes_over)
{
	struct seat_lease first, second, lease;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	other.again = "job-5";
	uint64_t one = begin_wait(&other, 5, 60, 0);

	await_waiting(1);
	uint64_t two = begin_wait(&other, 6, 60, 0);

	ck_assert_int_eq(front_answer(&world, &first, OP_SEAT_CHECKOUT, one,
			     NULL),
	    0);
	ck_assert_uint_eq(first.status, SEAT_WAITING);
	ck_assert_int_eq(give_back(&ci, "lease-1"), 0);
	ck_assert_int_eq(front_answer(&world, &second, OP_SEAT_CHECKOUT, two,
			     NULL),
	    0);
	ck_assert_uint_eq(second.status, SEAT_GRANTED);
}
END_TEST

START_TEST(a_stop_answers_who_hangs)
{
	struct seat_lease lease;
	struct problem problem;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	uint64_t tag = begin_wait(&other, 5, 60, 0);

	await_waiting(1);
	kill(world.pid, SIGTERM);
	ck_assert_int_eq(front_answer(&world, &lease, OP_SEAT_CHECKOUT, tag,
			     &problem),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(process_stop(&world, 0), 0);
	process_start(&world);
	process_await_ready(&world);
}
END_TEST

/* --- the end of a key ---------------------------------------------------- */

START_TEST(a_revoked_key_holds_nothing_and_waits_for_nothing)
{
	struct seat_lease lease;
	struct seat_renewed renewed;
	struct key_revoke asked = { .reason = "was copied" };
	struct program admin = { .again = NULL };
	struct key_ref gone;
	struct problem problem;
	struct site_view site;
	const struct empty empty = { 0 };

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	uint64_t tag = begin_wait(&ci, 5, 60, 0);

	await_waiting(1);
	snprintf(asked.key_id, sizeof(asked.key_id), "key-%" PRIu64, ci_device);
	snprintf(admin.key, sizeof(admin.key), "%s", world.key);
	uint64_t revoke = program_begin(&admin, 8, OP_KEY_REVOKE, &asked);

	ck_assert_int_eq(front_answer(&world, &lease, OP_SEAT_CHECKOUT, tag,
			     &problem),
	    ERR_DEVICE_REVOKED);
	ck_assert_int_eq(front_answer(&world, &gone, OP_KEY_REVOKE, revoke,
			     NULL),
	    0);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.leases, 0);
	ck_assert_int_eq(renew(&renewed, &ci, "lease-1", NULL, NULL),
	    ERR_UNAUTHENTICATED);
	/* Its program may not have heard: the seat lingers. */
	ck_assert_int_eq(take(&lease, &other, NULL), ERR_NO_SEATS);
}
END_TEST

START_TEST(a_suspended_tenants_key_waits_for_nothing)
{
	struct seat_lease lease;
	struct tenant_change change = { .tenantId = "default",
		.status = "suspended",
		.reason = "it did not pay" };
	struct tenant_changed changed;
	struct problem problem;

	install_license(&world, PRODUCT, 1, 120, 300);
	ck_assert_int_eq(take(&lease, &ci, NULL), 0);
	uint64_t tag = begin_wait(&other, 5, 60, 0);

	await_waiting(1);
	struct program admin = { .again = NULL };

	snprintf(admin.key, sizeof(admin.key), "%s", world.key);
	uint64_t suspended =
	    program_begin(&admin, 8, OP_TENANT_CHANGE, &change);

	ck_assert_int_eq(front_answer(&world, &lease, OP_SEAT_CHECKOUT, tag,
			     &problem),
	    ERR_TENANT_SUSPENDED);
	ck_assert_int_eq(front_answer(&world, &changed, OP_TENANT_CHANGE,
			     suspended, NULL),
	    0);
	await_waiting(0);
	/* Giving back is allowed, and brings nobody a seat. */
	ck_assert_int_eq(give_back(&ci, "lease-1"), 0);
	ck_assert_int_eq(take(&lease, &other, NULL), ERR_TENANT_SUSPENDED);
	snprintf(change.status, sizeof(change.status), "active");
	ck_assert_int_eq(admin_do(&world, &changed, OP_TENANT_CHANGE, &change),
	    0);
	ck_assert_int_eq(take(&lease, &other, NULL), 0);
}
END_TEST

/* --- who may ------------------------------------------------------------- */

START_TEST(only_keys_with_the_scope_hold_seats)
{
	struct seat_lease lease;
	struct program admin = { .key = "" };

	install_license(&world, PRODUCT, 1, 120, 300);
	snprintf(admin.key, sizeof(admin.key), "%s", world.key);
	ck_assert_int_eq(take(&lease, &admin, NULL), ERR_FORBIDDEN);
	snprintf(admin.key, sizeof(admin.key), "clsk_default_nobody");
	ck_assert_int_eq(take(&lease, &admin, NULL), ERR_UNAUTHENTICATED);
	(void)key_make(&admin, "license:return", NULL);
	ck_assert_int_eq(take(&lease, &admin, NULL), ERR_FORBIDDEN);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("key_lease");
	TCase *seats = tcase_create("seats");
	TCase *waits = tcase_create("waits");
	TCase *both[] = { seats, waits };

	tcase_add_test(seats, a_program_takes_a_seat_and_gives_it_back);
	tcase_add_test(seats, its_evidence_holds_against_the_sites_key);
	tcase_add_test(seats, a_retry_takes_no_second_seat_also_after_a_kill);
	tcase_add_test(seats, hostname_and_fingerprint_come_by_header_or_body);
	tcase_add_test(seats, several_seats_and_a_feature_are_one_lease);
	tcase_add_test(seats, a_renewal_is_promised_and_signed_for_who_asks);
	tcase_add_test(seats,
	    a_lease_of_another_key_is_neither_renewed_nor_returned);
	tcase_add_test(seats, a_seat_that_nobody_renews_comes_back);
	tcase_add_test(seats, only_keys_with_the_scope_hold_seats);
	tcase_add_test(waits, who_waits_gets_the_seat_that_comes_free);
	tcase_add_test(waits, a_wait_that_outlives_a_request_keeps_its_place);
	tcase_add_test(waits, a_wait_without_a_key_for_it_ends_in_a_refusal);
	tcase_add_test(waits, who_hangs_up_gets_no_seat);
	tcase_add_test(waits, the_same_wait_on_another_connection_takes_over);
	tcase_add_test(waits, a_stop_answers_who_hangs);
	tcase_add_test(waits, a_suspended_tenants_key_waits_for_nothing);
	tcase_add_test(waits,
	    a_revoked_key_holds_nothing_and_waits_for_nothing);
	for (size_t i = 0; i < 2; i++) {
		tcase_add_checked_fixture(both[i], key_setup, tear_down);
		tcase_set_timeout(both[i], PROCESS_TEST_S);
		suite_add_tcase(s, both[i]);
	}
	return s;
}
