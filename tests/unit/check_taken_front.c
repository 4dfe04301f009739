/*
 * A front that was taken over, played by the test: it says whatever it likes to
 * the ledger, well framed, with true records. It is believed about addresses,
 * exporter and certificates (appliance/ledger/wire.h), and about nothing else.
 */
#include "tests/unit/process_site.h"

#include "shared/rpc/messages_tenant.h"
#include "tests/unit/suite.h"

#define CONN 4242

static uint64_t
count_rows(void)
{
	const struct empty empty = { 0 };
	struct site_view site;

	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	return site.rows;
}

/* A call with what a front may say of who calls, and these bytes. */
static int
call_bytes(uint16_t op, const struct wire_caller *caller, const void *bytes,
    size_t len)
{
	struct buf payload = { 0 };
	uint64_t tag = ++world.tag;

	record_write_msgpack(&payload, &wire_caller_record, caller);
	buf_add(&payload, bytes, len);
	front_write(&world, WIRE_CALL, op, CONN, tag, &payload);
	buf_release(&payload);
	return front_answer(&world, NULL, op, tag, NULL);
}

static struct wire_caller
caller_with(const char *key)
{
	struct wire_caller caller = { .address = "127.0.0.1",
		.client_cn = "admin",
		.host = "localhost",
		.host_port = 443,
		.hostname = "localhost",
		.fingerprint = { 1 },
		.certificate = { 1 },
		.key = { key, (uint32_t)strlen(key) } };

	return caller;
}

/* What it says of the caller opens nothing, whatever it asks. */
START_TEST(no_call_is_done_without_a_credential)
{
	static const char *const keys[] = { "", "lhak_made_up",
		"clsk_default_x",
		"lhus_default_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
	const uint64_t before = count_rows();

	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);
		struct wire_caller caller;

		if (op->path == NULL || op->scope == SCOPE_OPEN)
			continue;
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			caller = caller_with(keys[i]);
			/* It says that too: nobody is held up by tries. */
			snprintf(caller.address, sizeof(caller.address),
			    "192.0.%u.%zu", id, i);
			/* Not a byte of the request is looked at before. */
			ck_assert_msg(call_bytes((uint16_t)id, &caller, "\xc1",
					  1) == ERR_UNAUTHENTICATED,
			    "%s with \"%s\"", op->name, keys[i]);
		}
	}
	ck_assert_uint_eq(count_rows(), before);
}
END_TEST

/* What agents do is not done by a call, what admins do by no connection. */
START_TEST(no_operation_is_reached_by_another_way)
{
	const uint64_t rows =
	    (agent_enroll(&world, &alice, "alice", 1), count_rows());
	const uint8_t byte = 0x90;
	struct heard heard;

	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);
		const struct wire_caller caller = caller_with(world.key);
		struct buf payload = { 0 };
		uint64_t tag = ++world.tag;

		if (op->path == NULL && op->kind != OPERATION_NOTICE) {
			int err = call_bytes((uint16_t)id, &caller, &byte, 1);

			ck_assert_msg(err == ERR_NOT_FOUND, "%s called: %s",
			    op->name, err_str(err));
		}
		if (op->path == NULL)
			continue;
		buf_add(&payload, &byte, 1);
		front_write(&world, WIRE_REQUEST, (uint16_t)id, 1, tag,
		    &payload);
		buf_release(&payload);
		ck_assert(
		    front_await(&world, &heard, WIRE_PROBLEM, 1, ANSWER_MS));
		ck_assert_int_eq((int32_t)be32_read(
				     world.payload + heard.len - 4),
		    id == OP_OPENAPI ? ERR_NOT_FOUND : ERR_UNAUTHENTICATED);
	}
	/* But for where alice speaks from, which is told in a while (acts.h):
	 * the address, and that it was seen. */
	ck_assert_uint_le(count_rows(), rows + 2);
}
END_TEST

static void
make_tenant(char key[160], const char *id)
{
	struct tenant_create create = { .partnerName = "Other" };
	struct tenant_created made;

	snprintf(create.tenantId, sizeof(create.tenantId), "%s", id);
	ck_assert_int_eq(admin_do(&world, &made, OP_TENANT_CREATE, &create), 0);
	ck_assert_uint_lt(made.tenant.apiSecret.len, 160);
	memcpy(key, made.tenant.apiSecret.data, made.tenant.apiSecret.len);
	key[made.tenant.apiSecret.len] = '\0';
}

/* A credential is of its tenant, whatever host the front says was asked; it
 * does nothing for another, and nothing of the site's. */
START_TEST(no_host_name_makes_a_key_another_tenant_s)
{
	const struct lease_query query = { .limit = 10 };
	struct tenant_ref ref = { .tenantId = "default" };
	struct buf request = { 0 }, show = { 0 };
	char key[160];

	make_tenant(key, "other");
	struct wire_caller caller = caller_with(key);

	record_write_msgpack(&request, &lease_query_record, &query);
	record_write_msgpack(&show, &tenant_ref_record, &ref);
	/* localhost is the default tenant's. */
	ck_assert_int_eq(call_bytes(OP_LEASE_LIST, &caller, request.data,
			     request.len),
	    ERR_WRONG_TENANT);
	memset(caller.host, 0, sizeof(caller.host));
	snprintf(caller.host, sizeof(caller.host), "other.localhost");
	ck_assert_int_eq(call_bytes(OP_LEASE_LIST, &caller, request.data,
			     request.len),
	    0);
	ck_assert_int_eq(call_bytes(OP_TENANT_SHOW, &caller, show.data,
			     show.len),
	    ERR_FORBIDDEN);
	buf_release(&request);
	buf_release(&show);
}
END_TEST

/* --- what it saw pass ------------------------------------------------------ */

static int
say_prove(const struct prove *prove, uint64_t conn)
{
	struct prove_reply reply;

	return agent_ask(&world, &reply, conn, OP_SESSION_PROVE, prove, NULL);
}

/* The very bytes that opened a session open no other: not on another
 * connection, nor on the same once more, nor where it lies about the exporter.
 */
START_TEST(no_proof_is_good_twice)
{
	struct prove prove = { 0 };
	struct agent taken;

	agent_enroll(&world, &alice, "alice", 1);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	agent_proof(&prove.proof, &world, &alice, PROOF_LOGIN, NULL);
	ck_assert_int_eq(say_prove(&prove, 2), 0);
	ck_assert_int_ne(say_prove(&prove, 2), 0);
	taken = alice;
	for (uint64_t conn = 3; conn < 5; conn++) {
		struct wire_peer peer = { .address = "192.0.2.50" };
		struct buf payload = { 0 };

		memcpy(peer.exporter, alice.exporter, sizeof(peer.exporter));
		record_write_msgpack(&payload, &wire_peer_record, &peer);
		front_write(&world, WIRE_OPENED, 0, conn, 0, &payload);
		buf_release(&payload);
		taken.conn = conn;
		if (conn == 4)
			ck_assert_int_eq(agent_hello(&world, &taken, NULL,
					     NULL),
			    0);
		ck_assert_int_ne(say_prove(&prove, conn), 0);
		/* And what has not proved itself holds no seat. */
		ck_assert_int_eq(agent_ask(&world, NULL, conn, OP_LEASE_MINE,
				     &(struct lease_query){ .limit = 1 }, NULL),
		    ERR_UNAUTHENTICATED);
	}
}
END_TEST

/* A checkout that it saw, said again as often as it likes, by whatever
 * connection it likes. */
START_TEST(no_request_said_again_takes_a_second_seat)
{
	struct checkout ask = { .product = PRODUCT,
		.version = "8.1.0",
		.count = 1,
		.request = { 7 },
		.nonce = { 7 } };
	struct checkout_reply first, again;

	install_license(&world, PRODUCT, 5, 120, 300);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	ck_assert_int_eq(agent_ask(&world, &first, 1, OP_LEASE_CHECKOUT, &ask,
			     NULL),
	    0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(agent_ask(&world, &again, 1, OP_LEASE_CHECKOUT,
				     &ask, NULL),
		    0);
		ck_assert_uint_eq(again.lease, first.lease);
	}
	/* By another's connection it is another's: it takes a seat of his, and
	 * alice's stays hers. */
	const struct lease_return back = { .lease = first.lease,
		.reason = LEASE_RETURNED };

	ck_assert_int_ne(agent_ask(&world, NULL, 2, OP_LEASE_RETURN, &back,
			     NULL),
	    0);
	const struct lease_query query = { .limit = 10 };
	struct lease_page page;

	ck_assert_int_eq(admin_do(&world, &page, OP_LEASE_LIST, &query), 0);
	ck_assert_uint_eq(page.items.count, 1);
}
END_TEST

/* --- how much it says ------------------------------------------------------- */

/* Sessions beyond what a site is made for, all at once; calls whose requests
 * are as large as a message may be. */
START_TEST(no_amount_stops_the_site)
{
	const struct empty empty = { 0 };
	const struct wire_caller caller = caller_with(world.key);
	const size_t len = (size_t)1 << 20;
	uint8_t *nested = malloc(len);
	struct wire_peer peer = { .address = "192.0.2.50" };
	struct buf payload = { 0 };
	struct site_view site;
	struct heard heard;

	record_write_msgpack(&payload, &wire_peer_record, &peer);
	for (uint64_t conn = 1; conn <= 1000; conn++)
		front_write(&world, WIRE_OPENED, 0, conn, 0, &payload);
	buf_release(&payload);
	while (front_hear(&world, &heard, 0))
		;
	ck_assert_ptr_nonnull(nested);
	memset(nested, 0x91, len); /* arrays in arrays */
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(call_bytes(OP_LEASE_LIST, &caller, nested,
				     len - 4096),
		    ERR_BAD_REQUEST);
	free(nested);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.sessions, 0);
	/* Larger than a message may be: it is no front of ours any more. */
	uint8_t head[IPC_HEADER_BYTES] = { 0x7f, 0xff, 0xff, 0xff };
	char byte;

	ck_assert_int_eq(send(world.front, head, sizeof(head), 0),
	    sizeof(head));
	while (recv(world.front, &byte, 1, 0) > 0)
		;
	close(world.front);
	process_hand_front(&world);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("taken_front");
	TCase *who = tcase_create("who");
	TCase *again = tcase_create("again");
	TCase *much = tcase_create("much");

	tcase_add_test(who, no_call_is_done_without_a_credential);
	tcase_add_test(who, no_operation_is_reached_by_another_way);
	tcase_add_test(who, no_host_name_makes_a_key_another_tenant_s);
	tcase_add_test(again, no_proof_is_good_twice);
	tcase_add_test(again, no_request_said_again_takes_a_second_seat);
	tcase_add_test(much, no_amount_stops_the_site);
	process_case_add(suite, who);
	process_case_add(suite, again);
	process_case_add(suite, much);
	return suite;
}
