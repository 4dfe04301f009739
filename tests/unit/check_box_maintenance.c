/* Tokens that open a box: which count, once, and for how long. */
#include "shared/base/err.h"
#include "shared/box/maintenance.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <string.h>

#define MINUTE (INT64_C(60) * 1000)
#define NOW INT64_C(1795399800000)
#define SITE "site-abc"
#define BOX "box-00112233445566778899"

static uint8_t secret[TOKEN_SECRET_BYTES], owner[TOKEN_PUBLIC_BYTES];
static struct maintenance_memory memory;
static struct maintenance_room room;
static struct maintenance_grant asked, got;
static struct buf token;

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	crypto_sign_keypair(owner, secret);
	memset(&memory, 0, sizeof(memory));
	strcpy(memory.box, BOX);
	memset(&asked, 0, sizeof(asked));
	strcpy(asked.box, BOX);
	memset(asked.id, 7, sizeof(asked.id));
	strcpy(asked.site, SITE);
	strcpy(asked.reason, "the disk clicks");
	asked.minutes = 30;
	asked.issued_at = NOW;
	asked.not_after = NOW + 60 * MINUTE;
}

static void
teardown(void)
{
	buf_release(&token);
}

static void
sign(void)
{
	struct record_error error = { { 0 }, { 0 } };

	buf_release(&token);
	token.max = MAINTENANCE_TOKEN_MAX;
	ck_assert_int_eq(maintenance_sign(&token, &asked, secret, &error), 0);
}

static int
judge_at(int64_t wall)
{
	return maintenance_judge(&got, (const char *)token.data, token.len,
	    owner, SITE, &memory, wall);
}

static void
use_at(int64_t wall)
{
	struct maintenance_room next;

	maintenance_use(&memory, &next, &got, wall);
	memcpy(room.used, next.used, sizeof(room.used));
	memory.used.items = room.used;
}

START_TEST(the_owners_token_opens_his_box)
{
	sign();
	ck_assert_int_eq(judge_at(NOW + MINUTE), 0);
	ck_assert_uint_eq(got.minutes, 30);
	ck_assert_str_eq(got.reason, "the disk clicks");
}
END_TEST

START_TEST(a_token_counts_once)
{
	sign();
	ck_assert_int_eq(judge_at(NOW), 0);
	use_at(NOW);
	ck_assert_int_eq(judge_at(NOW), ERR_GONE);
	ck_assert_int_eq(judge_at(NOW + 59 * MINUTE), ERR_GONE);
	/* Another of the same owner does. */
	asked.id[0]++;
	sign();
	ck_assert_int_eq(judge_at(NOW), 0);
}
END_TEST

START_TEST(a_token_ends)
{
	sign();
	ck_assert_int_eq(judge_at(NOW + 60 * MINUTE - 1), 0);
	ck_assert_int_eq(judge_at(NOW + 60 * MINUTE), ERR_EXPIRED);
}
END_TEST

START_TEST(a_clock_turned_back_makes_nothing_good_again)
{
	sign();
	/* Root saw a later time, with nothing opened by then. */
	maintenance_use(&memory, &room, NULL, NOW + 61 * MINUTE);
	ck_assert_int_eq(judge_at(NOW + 60 * MINUTE), ERR_EXPIRED);
	ck_assert_int_eq(judge_at(NOW), ERR_CLOCK_TAMPERED);
	ck_assert_int_eq(judge_at(0), ERR_CLOCK_TAMPERED);
	ck_assert_int_eq(judge_at(-1), ERR_CLOCK_TAMPERED);

	/* One that is signed for the time that was seen waits for the clock. */
	asked.issued_at = NOW + 61 * MINUTE;
	asked.not_after = NOW + 90 * MINUTE;
	sign();
	ck_assert_int_eq(judge_at(NOW), ERR_CLOCK_TAMPERED);
	ck_assert_int_eq(judge_at(NOW + 55 * MINUTE), 0);
	use_at(NOW + 55 * MINUTE);
	/* The time that counts does not go back with the clock. */
	ck_assert_int_eq(memory.latest, NOW + 61 * MINUTE);

	/* Used, forgotten because it was over, and the clock put back. */
	maintenance_use(&memory, &room, NULL, NOW + 120 * MINUTE);
	ck_assert_uint_eq(memory.used.count, 0);
	ck_assert_int_eq(judge_at(NOW + 62 * MINUTE), ERR_CLOCK_TAMPERED);
	ck_assert_int_eq(judge_at(NOW + 119 * MINUTE), ERR_EXPIRED);
}
END_TEST

START_TEST(a_token_of_tomorrow_waits_for_its_day)
{
	sign();
	ck_assert_int_eq(judge_at(NOW - 11 * MINUTE), ERR_EXPIRED);
	ck_assert_int_eq(judge_at(NOW - 9 * MINUTE), 0);
}
END_TEST

START_TEST(another_box_is_not_opened)
{
	strcpy(asked.site, "site-abd");
	sign();
	ck_assert_int_eq(judge_at(NOW), ERR_MISMATCH);
	/* The same site on another box, as after a restore. */
	strcpy(asked.site, SITE);
	strcpy(asked.box, "box-00112233445566778890");
	sign();
	ck_assert_int_eq(judge_at(NOW), ERR_MISMATCH);
}
END_TEST

static void
note(enum maintenance_step step)
{
	struct maintenance_event event = { .step = step, .at = NOW };
	struct maintenance_room next;

	maintenance_note(&memory, &next, &event);
	memcpy(room.events, next.events, sizeof(room.events));
	memory.events.items = room.events;
}

START_TEST(nothing_opens_while_something_is_open)
{
	sign();
	ck_assert_ptr_null(maintenance_open(&memory.events));
	note(MAINTENANCE_OPENED);
	note(MAINTENANCE_REFUSED);
	ck_assert_uint_eq(maintenance_open(&memory.events)->event, 1);
	ck_assert_int_eq(judge_at(NOW), ERR_CONFLICT);
	note(MAINTENANCE_ENDED);
	ck_assert_ptr_null(maintenance_open(&memory.events));
	ck_assert_int_eq(judge_at(NOW), 0);
}
END_TEST

START_TEST(refusals_push_no_opening_out)
{
	note(MAINTENANCE_OPENED);
	note(MAINTENANCE_ENDED);
	for (int i = 0; i < 3 * MAINTENANCE_EVENTS_MAX; i++)
		note(MAINTENANCE_REFUSED);
	ck_assert_uint_eq(memory.events.count, MAINTENANCE_EVENTS_MAX);
	ck_assert_uint_eq(room.events[0].event, 1);
	ck_assert_uint_eq(room.events[1].step, MAINTENANCE_ENDED);
	ck_assert_uint_eq(room.events[MAINTENANCE_EVENTS_MAX - 1].event,
	    memory.events_made);
}
END_TEST

START_TEST(every_box_has_an_id_of_its_own)
{
	struct maintenance_memory one, two;

	maintenance_begin(&one);
	maintenance_begin(&two);
	ck_assert_uint_eq(strlen(one.box), MAINTENANCE_BOX_TEXT - 1);
	ck_assert_str_ne(one.box, two.box);
	ck_assert_int_eq(record_check(&maintenance_memory_record, &one, NULL),
	    0);
}
END_TEST

START_TEST(a_forged_token_is_refused)
{
	uint8_t stranger[TOKEN_SECRET_BYTES], his[TOKEN_PUBLIC_BYTES];
	struct record_error error;
	struct buf payload = { .max = 4096 };

	sign();
	for (size_t i = 0; i < token.len; i++) {
		token.data[i] ^= 1;
		ck_assert_int_ne(judge_at(NOW), 0);
		token.data[i] ^= 1;
	}
	ck_assert_int_eq(judge_at(NOW), 0);
	for (size_t cut = 0; cut < token.len; cut++)
		ck_assert_int_ne(maintenance_judge(&got,
				     (const char *)token.data, cut, owner, SITE,
				     &memory, NOW),
		    0);

	crypto_sign_keypair(his, stranger);
	buf_clear(&token);
	ck_assert_int_eq(maintenance_sign(&token, &asked, stranger, &error), 0);
	ck_assert_int_eq(judge_at(NOW), ERR_UNTRUSTED);

	/* Another document that the owner signed, with the same words. */
	record_write_json(&payload, &maintenance_grant_record, &asked);
	buf_clear(&token);
	ck_assert_int_eq(token_sign(&token, TOKEN_JOIN, payload.data,
			     payload.len, secret),
	    0);
	ck_assert_int_eq(judge_at(NOW), ERR_BAD_SIGNATURE);
	buf_release(&payload);
}
END_TEST

START_TEST(an_owner_cannot_sign_beyond_the_bounds)
{
	struct record_error error;
	struct buf out = { .max = 4096 };

	asked.minutes = MAINTENANCE_MINUTES_MAX + 1;
	ck_assert_int_eq(maintenance_sign(&out, &asked, secret, &error),
	    ERR_BAD_REQUEST);
	asked.minutes = 0;
	ck_assert_int_eq(maintenance_sign(&out, &asked, secret, &error),
	    ERR_BAD_REQUEST);
	asked.minutes = 1;
	asked.not_after = NOW + MAINTENANCE_VALID_MAX_MS + 1;
	ck_assert_int_eq(maintenance_sign(&out, &asked, secret, &error),
	    ERR_BAD_REQUEST);
	asked.not_after = NOW;
	ck_assert_int_eq(maintenance_sign(&out, &asked, secret, &error),
	    ERR_BAD_REQUEST);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* The bounds hold at the box, too, whatever the owner's tool let through. */
START_TEST(a_box_does_not_take_a_token_beyond_the_bounds)
{
	static const char *const odd[] = {
		"{\"id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"site\":\"" SITE
		"\",\"box\":\"" BOX "\",\"minutes\":241,\"reason\":\"x\","
		"\"issued_at\":\"2026-11-23T02:00:00Z\","
		"\"not_after\":\"2026-11-23T03:00:00Z\"}",
		"{\"id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"site\":\"" SITE
		"\",\"box\":\"" BOX "\",\"minutes\":1,\"reason\":\"x\","
		"\"issued_at\":\"2026-11-23T02:00:00Z\","
		"\"not_after\":\"2027-11-23T03:00:00Z\"}",
		"{}",
		"",
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		buf_release(&token);
		token.max = MAINTENANCE_TOKEN_MAX;
		ck_assert_int_eq(token_sign(&token, TOKEN_MAINTENANCE, odd[i],
				     strlen(odd[i]), secret),
		    0);
		ck_assert_int_eq(judge_at(NOW), ERR_BAD_TOKEN);
	}
}
END_TEST

START_TEST(the_memory_is_bounded)
{
	for (int i = 0; i < MAINTENANCE_USED_MAX; i++) {
		asked.id[0] = (uint8_t)i;
		asked.id[1] = 1;
		sign();
		ck_assert_int_eq(judge_at(NOW), 0);
		use_at(NOW);
	}
	asked.id[1] = 2;
	sign();
	ck_assert_int_eq(judge_at(NOW), ERR_BUSY);
	/* Nothing was forgotten for it. */
	asked.id[1] = 1;
	asked.id[0] = 0;
	sign();
	ck_assert_int_eq(judge_at(NOW), ERR_GONE);
	/* They are over. */
	asked.issued_at = NOW + 61 * MINUTE;
	asked.not_after = NOW + 70 * MINUTE;
	asked.id[1] = 3;
	sign();
	ck_assert_int_eq(judge_at(NOW + 61 * MINUTE), 0);
	use_at(NOW + 61 * MINUTE);
	ck_assert_uint_eq(memory.used.count, 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("box_maintenance");
	TCase *tcase = tcase_create("maintenance");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_owners_token_opens_his_box);
	tcase_add_test(tcase, a_token_counts_once);
	tcase_add_test(tcase, a_token_ends);
	tcase_add_test(tcase, a_clock_turned_back_makes_nothing_good_again);
	tcase_add_test(tcase, a_token_of_tomorrow_waits_for_its_day);
	tcase_add_test(tcase, another_box_is_not_opened);
	tcase_add_test(tcase, a_forged_token_is_refused);
	tcase_add_test(tcase, an_owner_cannot_sign_beyond_the_bounds);
	tcase_add_test(tcase, a_box_does_not_take_a_token_beyond_the_bounds);
	tcase_add_test(tcase, the_memory_is_bounded);
	tcase_add_test(tcase, nothing_opens_while_something_is_open);
	tcase_add_test(tcase, refusals_push_no_opening_out);
	tcase_add_test(tcase, every_box_has_an_id_of_its_own);
	suite_add_tcase(s, tcase);
	return s;
}
