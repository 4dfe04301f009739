/* Event logs of a TPM, made here: what they give, and what is refused. */
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/proof/event_log.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <string.h>

static struct buf text;
static struct event_log found;

static void
add_le(uint32_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_add_byte(&text, (uint8_t)(value >> 8 * i));
}

static void
add_head(uint32_t algorithms)
{
	const uint8_t zero[20] = { 0 };

	add_le(0, 4);
	add_le(3, 4);
	buf_add(&text, zero, 20);
	add_le(16 + 8 + 4 + 4 * algorithms + 1, 4);
	buf_add(&text, "Spec ID Event03", 16);
	buf_add(&text, zero, 8);
	add_le(algorithms, 4);
	add_le(4, 2); /* SHA-1 */
	add_le(20, 2);
	if (algorithms > 1) {
		add_le(0x0b, 2);
		add_le(32, 2);
	}
	buf_add_byte(&text, 0);
}

static void
add_event(uint32_t pcr, uint32_t type, uint8_t fill, const void *event,
    uint32_t len)
{
	uint8_t digest[32];

	memset(digest, fill, sizeof digest);
	add_le(pcr, 4);
	add_le(type, 4);
	add_le(2, 4);
	add_le(4, 2);
	buf_add(&text, digest, 20);
	add_le(0x0b, 2);
	buf_add(&text, digest, 32);
	add_le(len, 4);
	buf_add(&text, event, len);
}

static int
replay(void)
{
	return event_log_replay(&found, text.data, text.len);
}

static void
setup(void)
{
	buf_clear(&text);
	add_head(2);
}

static void
teardown(void)
{
	buf_release(&text);
}

static void
extended(uint8_t out[32], const uint8_t before[32], uint8_t fill)
{
	uint8_t both[64];

	memcpy(both, before, 32);
	memset(both + 32, fill, 32);
	crypto_hash_sha256(out, both, sizeof both);
}

START_TEST(events_extend_their_pcr_in_order)
{
	const uint8_t zero[32] = { 0 };
	uint8_t once[32], twice[32];

	add_event(4, 0x80000003, 7, "efi", 3);
	add_event(4, 0x80000003, 8, "", 0);
	ck_assert_int_eq(replay(), 0);
	extended(once, zero, 7);
	extended(twice, once, 8);
	ck_assert_mem_eq(found.pcrs[4], twice, 32);
	ck_assert_mem_eq(found.pcrs[7], zero, 32);
	ck_assert_uint_eq(found.events, 2);
}
END_TEST

START_TEST(locality_is_where_pcr_0_begins)
{
	const uint8_t event[17] = "StartupLocality\0\3";
	uint8_t begin[32] = { 0 }, once[32];

	begin[31] = 3;
	add_event(0, 3, 0, event, sizeof event);
	add_event(0, 8, 5, "", 0);
	ck_assert_int_eq(replay(), 0);
	extended(once, begin, 5);
	ck_assert_mem_eq(found.pcrs[0], once, 32);
}
END_TEST

START_TEST(forged_event_gives_another_pcr)
{
	uint8_t true_one[32];

	add_event(7, 0x80000001, 7, "", 0);
	ck_assert_int_eq(replay(), 0);
	memcpy(true_one, found.pcrs[7], 32);
	setup();
	add_event(7, 0x80000001, 6, "", 0);
	ck_assert_int_eq(replay(), 0);
	ck_assert_mem_ne(found.pcrs[7], true_one, 32);
}
END_TEST

START_TEST(log_cut_anywhere_but_between_events_is_refused)
{
	const size_t head = text.len;

	add_event(4, 1, 7, "abc", 3);
	const size_t first = text.len, all = text.len * 2 - head;

	add_event(5, 1, 8, "def", 3);
	ck_assert_uint_eq(text.len, all);
	for (size_t len = 0; len < all; len++) {
		int err = event_log_replay(&found, text.data, len);

		if (len == head || len == first)
			ck_assert_int_eq(err, 0);
		else
			ck_assert_int_eq(err, ERR_CORRUPT);
	}
}
END_TEST

START_TEST(log_without_sha256_is_refused)
{
	buf_clear(&text);
	add_head(1);
	ck_assert_int_eq(replay(), ERR_CORRUPT);
}
END_TEST

START_TEST(unknown_pcrs_and_algorithms_are_refused)
{
	const size_t head = text.len;

	add_event(24, 1, 7, "", 0);
	ck_assert_int_eq(replay(), ERR_CORRUPT);
	text.len = head;
	add_event(4, 1, 7, "", 0);
	text.data[head + 12] = 0x0c; /* SHA-384, that the head does not name */
	ck_assert_int_eq(replay(), ERR_CORRUPT);
	text.len = head;
	add_event(4, 1, 7, "", 0);
	text.data[head + 8] = 3; /* more digests than there are algorithms */
	ck_assert_int_eq(replay(), ERR_CORRUPT);
}
END_TEST

START_TEST(endless_log_is_refused)
{
	for (int i = 0; i <= EVENT_LOG_EVENTS_MAX; i++)
		add_event(4, 1, 7, "", 0);
	ck_assert_int_eq(replay(), ERR_TOO_LARGE);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("event_log");
	TCase *tc = tcase_create("event_log");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, events_extend_their_pcr_in_order);
	tcase_add_test(tc, locality_is_where_pcr_0_begins);
	tcase_add_test(tc, forged_event_gives_another_pcr);
	tcase_add_test(tc, log_cut_anywhere_but_between_events_is_refused);
	tcase_add_test(tc, log_without_sha256_is_refused);
	tcase_add_test(tc, unknown_pcrs_and_algorithms_are_refused);
	tcase_add_test(tc, endless_log_is_refused);
	suite_add_tcase(s, tc);
	return s;
}
