/* Deliveries: what an alert owes, order, repetition and the end of it; where a
 * courier may go; what a mail looks like; what is believed of a courier. */
#include "appliance/courier/post.h"
#include "appliance/ledger/deliver.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct world world;

static void
set_up(void)
{
	ck_assert(sodium_init() >= 0);
	world_init(&world, 92);
}

static void
tear_down(void)
{
	world_free(&world);
}

/* --- the outbox ------------------------------------------------------------------ */

static int
run_command(uint32_t op, uint32_t kind, const void *request,
    struct command *command)
{
	*command = world_command(&world, op, kind, 1, request);
	int err = world_do(&world, command);

	arena_release(&command->arena);
	return err;
}

static uint64_t
add_channel(uint32_t least)
{
	struct channel_document document = { .name = "ops",
		.url = "https://plant.example/hook",
		.secret = "whsec_test" };
	struct buf bytes = { .len = 0 };
	struct command command;

	record_write_msgpack(&bytes, &channel_document_record, &document);
	const struct ledger_channel_add add = { CHANNEL_WEBHOOK, least,
		CHANNEL_ALERTS, { bytes.data, (uint32_t)bytes.len } };

	ck_assert_int_eq(run_command(LEDGER_CHANNEL_ADD, ACTOR_USER, &add,
			     &command),
	    0);
	buf_release(&bytes);
	return command.reply.channel.channel;
}

static void
happen(uint64_t key, bool over)
{
	const struct ledger_alert alert = {
		.subject = { ALERT_UNKNOWN_ADDRESS, ALERT_OF_KEY, key, 0 },
		.count = over ? 0 : 1,
		.over = over,
		.first_at = world.now,
		.last_at = world.now,
	};
	struct command command;

	ck_assert_int_eq(run_command(LEDGER_ALERT, ACTOR_SITE, &alert,
			     &command),
	    0);
}

struct gathered {
	struct state_delivery items[64];
	size_t n;
};

static int
gather(void *ctx, const struct state_delivery *delivery)
{
	struct gathered *gathered = ctx;

	ck_assert_uint_lt(gathered->n, 64);
	gathered->items[gathered->n++] = *delivery;
	return 0;
}

static struct gathered
outbox(void)
{
	struct gathered gathered = { .n = 0 };
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_each_delivery(view, gather, &gathered), 0);
	ledger_view_close(view);
	return gathered;
}

static void
report(const struct state_delivery *delivery, bool delivered, uint32_t most)
{
	struct ledger_delivered result = {
		.row = delivery->row,
		.channel = delivery->channel,
		.delivered = delivered,
		.status = 500,
		.error = "it answered 500",
		.due_at = world.now + 5000,
		.attempts_max = most,
	};
	struct command command;

	memcpy(result.id, delivery->id, sizeof result.id);
	ck_assert_int_eq(run_command(LEDGER_DELIVERED, ACTOR_SITE, &result,
			     &command),
	    0);
}

START_TEST(alert_owes_each_channel_that_it_is_bad_enough_for)
{
	add_channel(ALERT_INFO);
	add_channel(ALERT_CRITICAL); /* an unknown address is a warning */
	add_channel(ALERT_WARNING);
	happen(7, false);
	happen(7, false); /* counted, not told again */
	struct gathered all = outbox();

	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.items[0].channel, 1);
	ck_assert_uint_eq(all.items[1].channel, 3);
	ck_assert_mem_ne(all.items[0].id, all.items[1].id, DELIVERY_ID_BYTES);
	happen(7, true);
	all = outbox();
	ck_assert_uint_eq(all.n, 4);
	/* In order of what happened. */
	ck_assert_uint_eq(all.items[0].event, ALERT_EVENT_OPENED);
	ck_assert_uint_eq(all.items[1].event, ALERT_EVENT_OPENED);
	ck_assert_uint_eq(all.items[2].event, ALERT_EVENT_CLOSED);
	ck_assert_uint_gt(all.items[2].row, all.items[1].row);
}
END_TEST

START_TEST(what_an_alert_owes_is_there_exactly_when_the_alert_is)
{
	add_channel(ALERT_INFO);
	const struct ledger_alert alert = {
		.subject = { ALERT_UNKNOWN_ADDRESS, ALERT_OF_KEY, 7, 0 },
		.count = 1,
		.first_at = world.now,
		.last_at = world.now,
	};
	struct command command;

	world.fault_step = "commit";
	world.fault_err = ERR_IO;
	ck_assert_int_eq(run_command(LEDGER_ALERT, ACTOR_SITE, &alert,
			     &command),
	    ERR_IO);
	ck_assert_uint_eq(outbox().n, 0);
	/* A crash behind the commit. */
	world.fault_step = "committed";
	run_command(LEDGER_ALERT, ACTOR_SITE, &alert, &command);
	world_reopen(&world);
	struct gathered before = outbox();

	ck_assert_uint_eq(before.n, 1);
	world_reopen(&world);
	struct gathered after = outbox();

	ck_assert_mem_eq(before.items[0].id, after.items[0].id,
	    DELIVERY_ID_BYTES);
}
END_TEST

START_TEST(failure_is_counted_and_kept_and_success_ends_it)
{
	add_channel(ALERT_INFO);
	happen(7, false);
	struct gathered all = outbox();

	report(&all.items[0], false, 3);
	world_reopen(&world);
	all = outbox();
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.items[0].attempts, 1);
	ck_assert_int_eq(all.items[0].due_at, world.now + 5000);
	ck_assert_str_eq(all.items[0].error, "it answered 500");
	report(&all.items[0], true, 3);
	ck_assert_uint_eq(outbox().n, 0);
	/* It came twice. */
	report(&all.items[0], true, 3);
	report(&all.items[0], false, 3);
	ck_assert_uint_eq(outbox().n, 0);
}
END_TEST

START_TEST(result_of_another_delivery_changes_nothing)
{
	add_channel(ALERT_INFO);
	happen(7, false);
	struct gathered all = outbox();

	all.items[0].id[3] ^= 1;
	report(&all.items[0], true, 3);
	ck_assert_uint_eq(outbox().n, 1);
	ck_assert_uint_eq(outbox().items[0].attempts, 0);
}
END_TEST

START_TEST(what_is_given_up_is_retried_or_dropped_by_an_admin)
{
	struct delivery_ref ref;
	struct command command;

	add_channel(ALERT_INFO);
	happen(7, false);
	struct gathered all = outbox();

	report(&all.items[0], false, 2);
	report(&all.items[0], false, 2);
	all = outbox();
	ck_assert_uint_eq(all.items[0].state, DELIVERY_IS_DEAD);
	sodium_bin2hex(ref.delivery, sizeof ref.delivery, all.items[0].id,
	    DELIVERY_ID_BYTES);
	ck_assert_int_eq(run_command(OP_OUTBOX_RETRY, ACTOR_USER, &ref,
			     &command),
	    0);
	all = outbox();
	ck_assert_uint_eq(all.items[0].state, DELIVERY_WAITS);
	ck_assert_uint_eq(all.items[0].attempts, 0);
	ck_assert_int_eq(run_command(OP_OUTBOX_DROP, ACTOR_USER, &ref,
			     &command),
	    0);
	ck_assert_uint_eq(outbox().n, 0);
	ck_assert_int_eq(run_command(OP_OUTBOX_DROP, ACTOR_USER, &ref,
			     &command),
	    ERR_NOT_FOUND);
}
END_TEST

START_TEST(channel_that_is_removed_takes_with_it_what_it_was_owed)
{
	const struct channel_number number = { 1 };
	struct command command;

	add_channel(ALERT_INFO);
	add_channel(ALERT_INFO);
	for (uint64_t key = 1; key <= 10; key++)
		happen(key, false);
	ck_assert_uint_eq(outbox().n, 20);
	ck_assert_int_eq(run_command(OP_CHANNEL_REMOVE, ACTOR_USER, &number,
			     &command),
	    0);
	ck_assert_uint_eq(outbox().n, 10);
	ck_assert_int_eq(run_command(OP_CHANNEL_REMOVE, ACTOR_USER, &number,
			     &command),
	    ERR_NOT_FOUND);
	/* Its number is not given again. */
	ck_assert_uint_eq(add_channel(ALERT_INFO), 3);
}
END_TEST

START_TEST(test_of_a_channel_goes_there_alone)
{
	const struct channel_number number = { 2 };
	struct command command;

	add_channel(ALERT_INFO);
	add_channel(ALERT_CRITICAL);
	ck_assert_int_eq(run_command(OP_CHANNEL_TEST, ACTOR_USER, &number,
			     &command),
	    0);
	struct gathered all = outbox();

	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.items[0].channel, 2);
	ck_assert_uint_eq(all.items[1].channel, 2);
}
END_TEST

START_TEST(job_is_signed_by_the_secret_of_its_channel)
{
	struct arena arena = { 0 };
	struct delivery_job job;
	struct courier_post post;
	struct ledger_view *view;
	char signature[128];

	add_channel(ALERT_INFO);
	happen(7, false);
	struct gathered all = outbox();

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_delivery_job(&job, view, &all.items[0],
			     world.now, &arena),
	    0);
	ledger_view_close(view);
	ck_assert_int_eq(job.kind, COURIER_POST);
	ck_assert_int_eq(record_read_msgpack(&post, &courier_post_record,
			     job.payload.data, job.payload.len, NULL, &arena,
			     NULL),
	    0);
	ck_assert_str_eq(post.url, "https://plant.example/hook");
	delivery_sign(signature, "whsec_test", world.now, post.body.data,
	    post.body.len);
	const struct courier_header *headers = post.headers.items;

	ck_assert_str_eq(headers[2].text + strlen("Leasehold-Signature: "),
	    signature);
	/* The secret itself goes nowhere. */
	ck_assert_ptr_null(
	    memmem(job.payload.data, job.payload.len, "whsec_test", 10));
	arena_release(&arena);
}
END_TEST

START_TEST(signature_is_that_of_the_known_vector)
{
	char signature[128];

	/* printf '1700000000.hello' | openssl dgst -sha256 -hmac key */
	delivery_sign(signature, "key", INT64_C(1700000000999), "hello", 5);
	ck_assert_str_eq(signature,
	    "t=1700000000,v1="
	    "4d583a269f4f276a3fa80ff31b5a01879a848096983222a17893d198418939aa");
}
END_TEST

START_TEST(wait_doubles_to_its_bound_and_never_to_nothing)
{
	const struct deliver_policy policy = { 1000, 60000, 10 };

	for (uint32_t n = 1; n < 40; n++) {
		int64_t least = deliver_backoff_ms(&policy, n, 0);
		int64_t most = deliver_backoff_ms(&policy, n, UINT32_MAX);
		int64_t whole = n < 7 ? INT64_C(1000) << (n - 1) : 60000;

		ck_assert_int_eq(least, whole / 2);
		ck_assert_int_eq(most, whole);
	}
}
END_TEST

/* --- where a courier may go -------------------------------------------------------- */

static struct sockaddr_storage
address_of(const char *text)
{
	struct sockaddr_storage out = { .ss_family = AF_INET };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		memcpy(&out, &v4, sizeof v4);
	else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		memcpy(&out, &v6, sizeof v6);
	else
		ck_abort_msg("%s is no address", text);
	return out;
}

static bool
may(const char *allow, const char *text)
{
	struct sockaddr_storage address = address_of(text);
	struct reach reach;
	char bad[64];

	ck_assert(reach_read(&reach, allow, bad));
	return reach_may(&reach, (const struct sockaddr *)&address);
}

START_TEST(what_is_not_of_the_public_internet_is_refused)
{
	static const char *const refused[] = { "127.0.0.1", "127.255.255.254",
		"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.127.255.255", "0.0.0.0",
		"0.1.2.3", "224.0.0.1", "255.255.255.255", "192.0.2.1",
		"198.18.0.1", "198.19.255.255", "203.0.113.9", "::", "::1",
		"fc00::1", "fdff::1", "fe80::1", "fec0::1", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::a00:1",
		"2002:7f00:1::", "2002:c0a8:1::", "2001:db8::1", "2001::1",
		"100::1" };
	static const char *const open[] = { "8.8.8.8", "172.15.255.255",
		"172.32.0.1", "192.169.0.1", "100.63.255.255", "100.128.0.1",
		"223.255.255.255", "2606:4700::1111", "2a00:1450::1",
		"::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::" };

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ck_assert_msg(!may("", refused[i]), "%s", refused[i]);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		ck_assert_msg(may("", open[i]), "%s", open[i]);
}
END_TEST

START_TEST(what_is_allowed_is_reached_and_nothing_beside_it)
{
	ck_assert(may("10.1.0.0/16", "10.1.255.1"));
	ck_assert(!may("10.1.0.0/16", "10.2.0.1"));
	ck_assert(may("10.1.0.0/16", "::ffff:10.1.0.1"));
	ck_assert(may("fd00::/8, 127.0.0.1", "127.0.0.1"));
	ck_assert(!may("fd00::/8, 127.0.0.1", "127.0.0.2"));
	ck_assert(may("fd00::/8 127.0.0.1", "fd12::1"));
	ck_assert(!may("fd00::/8", "fe80::1"));
}
END_TEST

START_TEST(range_that_is_none_is_named)
{
	struct reach reach;
	char bad[64];

	ck_assert(!reach_read(&reach, "10.0.0.0/8 10.0.0.0/33", bad));
	ck_assert_str_eq(bad, "10.0.0.0/33");
	ck_assert(!reach_read(&reach, "localhost", bad));
	ck_assert(!reach_read(&reach, "1.2.3.4/x", bad));
	ck_assert(!reach_read(&reach, "::1/129", bad));
	ck_assert(reach_read(&reach, "", bad));
	ck_assert_uint_eq(reach.n, 0);
}
END_TEST

/* --- mail ------------------------------------------------------------------------- */

static const char *
mail_of(struct buf *out, const char *subject, const char *body)
{
	static struct courier_address to[2] = { { "a@plant.example" },
		{ "b@plant.example" } };
	struct courier_mail mail = {
		.id = "0123456789abcdef0123456789abcdef",
		.to = { to, 2 },
		.date = INT64_C(1763800000000),
		.body = { (const uint8_t *)body, (uint32_t)strlen(body) },
	};

	snprintf(mail.subject, sizeof mail.subject, "%s", subject);
	buf_clear(out);
	post_mail_write(out, "license@site.example", &mail);
	ck_assert(!out->failed);
	return buf_text(out);
}

START_TEST(nothing_in_a_mail_adds_a_header_or_ends_it)
{
	struct buf out = { .len = 0 };
	const char *text = mail_of(&out,
	    "x\r\nBcc: evil@example.com\r\n\r\nbody", ".\r\nQUIT\r\n");
	const char *end = strstr(text, "\r\n\r\n");

	ck_assert_ptr_nonnull(end);
	ck_assert_ptr_null(strstr(text, "Bcc:"));
	ck_assert_ptr_null(strstr(text, "evil"));
	ck_assert_ptr_null(strstr(text, "QUIT"));
	ck_assert_ptr_null(strstr(text, "\r\n.\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\nSubject: =?utf-8?B?"));
	for (const char *at = text; *at != '\0'; at++)
		ck_assert(
		    (*at >= 0x20 && *at < 0x7f) || *at == '\r' || *at == '\n');
	buf_release(&out);
}
END_TEST

START_TEST(mail_has_the_id_of_its_delivery_and_lines_that_are_short)
{
	struct buf out = { .len = 0 };
	const char *text = mail_of(&out,
	    "\xc3\xa4\xc3\xb6\xc3\xbc \xe6\x97\xa5\xe6\x9c\xac "
	    "\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6"
	    "\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac",
	    "hello");

	ck_assert_ptr_nonnull(strstr(text,
	    "Message-ID: <0123456789abcdef0123456789abcdef@site.example>\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(text, "Date: Sat, 22 Nov 2025 08:26:40 +0000\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(text, "To: a@plant.example,\r\n b@plant.example\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\n\r\naGVsbG8=\r\n"));
	for (const char *at = text; at != NULL && *at != '\0';) {
		const char *line = strstr(at, "\r\n");

		ck_assert(line != NULL && line - at <= 90);
		at = line + 2;
	}
	text = mail_of(&out, "warning: key-7", "hello");
	ck_assert_ptr_nonnull(strstr(text, "\r\nSubject: warning: key-7\r\n"));
	buf_release(&out);
}
END_TEST

START_TEST(address_is_one_or_it_is_refused)
{
	static const char *const bad[] = { "", "@", "a@", "@b", "a", "a@b@c",
		"a b@c", "a@b\r\nRCPT TO:<c@d>", "<a@b>", "a@b,c@d", "-a@b",
		"a@b\"", "\xc3\xa4@b" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!post_is_address(bad[i]), "%s", bad[i]);
	ck_assert(post_is_address("ops+license@plant.example"));
}
END_TEST

/* --- what a courier says ------------------------------------------------------------ */

START_TEST(courier_that_lies_is_believed_no_further_than_its_record)
{
	struct courier_posted said = { COURIER_FAILED, 500, "fine" }, read;
	struct buf bytes = { .len = 0 };

	record_write_msgpack(&bytes, &courier_posted_record, &said);
	ck_assert_int_eq(courier_posted_read(&read, bytes.data, bytes.len), 0);
	ck_assert_str_eq(read.error, "fine");
	for (size_t len = 0; len < bytes.len; len++)
		ck_assert_int_eq(courier_posted_read(&read, bytes.data, len),
		    ERR_UNAVAILABLE);
	ck_assert_uint_eq(read.outcome, COURIER_FAILED);
	buf_clear(&bytes);
	snprintf(said.error, sizeof said.error, "x\x1b[2J");
	record_write_msgpack(&bytes, &courier_posted_record, &said);
	if (courier_posted_read(&read, bytes.data, bytes.len) == 0)
		ck_assert_ptr_null(strchr(read.error, '\x1b'));
	buf_release(&bytes);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("deliver");
	TCase *outbox_case = tcase_create("outbox");
	TCase *courier = tcase_create("courier");

	tcase_add_checked_fixture(outbox_case, set_up, tear_down);
	tcase_set_timeout(outbox_case, 60);
	tcase_add_test(outbox_case,
	    alert_owes_each_channel_that_it_is_bad_enough_for);
	tcase_add_test(outbox_case,
	    what_an_alert_owes_is_there_exactly_when_the_alert_is);
	tcase_add_test(outbox_case,
	    failure_is_counted_and_kept_and_success_ends_it);
	tcase_add_test(outbox_case, result_of_another_delivery_changes_nothing);
	tcase_add_test(outbox_case,
	    what_is_given_up_is_retried_or_dropped_by_an_admin);
	tcase_add_test(outbox_case,
	    channel_that_is_removed_takes_with_it_what_it_was_owed);
	tcase_add_test(outbox_case, test_of_a_channel_goes_there_alone);
	tcase_add_test(outbox_case, job_is_signed_by_the_secret_of_its_channel);
	suite_add_tcase(suite, outbox_case);
	tcase_add_test(courier, signature_is_that_of_the_known_vector);
	tcase_add_test(courier, wait_doubles_to_its_bound_and_never_to_nothing);
	tcase_add_test(courier, what_is_not_of_the_public_internet_is_refused);
	tcase_add_test(courier,
	    what_is_allowed_is_reached_and_nothing_beside_it);
	tcase_add_test(courier, range_that_is_none_is_named);
	tcase_add_test(courier, nothing_in_a_mail_adds_a_header_or_ends_it);
	tcase_add_test(courier,
	    mail_has_the_id_of_its_delivery_and_lines_that_are_short);
	tcase_add_test(courier, address_is_one_or_it_is_refused);
	tcase_add_test(courier,
	    courier_that_lies_is_believed_no_further_than_its_record);
	suite_add_tcase(suite, courier);
	return suite;
}
