/* Sessions of people: how they end, how many there are. */
#include "appliance/ledger/user_sessions.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static struct user_sessions *sessions;
static int64_t now;

static void
set_up(void)
{
	sessions = user_sessions_new();
	ck_assert_ptr_nonnull(sessions);
	now = 1000000;
}

static void
tear_down(void)
{
	user_sessions_free(sessions);
}

static uint64_t
begin(char token[USER_TOKEN_TEXT], const char *tenant, uint64_t user)
{
	const struct user_session_start start = {
		.tenant = tenant,
		.login = "olga",
		.address = "10.0.0.1",
		.number = user_sessions_next(sessions),
		.user = user,
		.role = USER_ADMIN,
		.scopes = 7,
	};
	struct user_session *session =
	    user_sessions_add(token, sessions, &start, now, now + 5);

	ck_assert_ptr_nonnull(session);
	return session->number;
}

static const struct user_session *
find(const char *token)
{
	return user_sessions_find(sessions, token, strlen(token), now, now);
}

START_TEST(token_finds_its_session_and_nothing_else_does)
{
	char a[USER_TOKEN_TEXT], b[USER_TOKEN_TEXT], wrong[USER_TOKEN_TEXT];
	uint64_t number = begin(a, "acme", 3);

	begin(b, "acme", 4);
	ck_assert_int_eq(strncmp(a, "lhus_acme_", 10), 0);
	ck_assert_uint_eq(strlen(a), 53);
	ck_assert_uint_eq(find(a)->number, number);
	ck_assert_uint_eq(find(a)->user, 3);
	ck_assert_uint_eq(find(b)->user, 4);
	for (size_t i = 0; i < strlen(a); i++) {
		strcpy(wrong, a);
		wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
		ck_assert_ptr_null(find(wrong));
	}
	wrong[20] = '\0';
	ck_assert_ptr_null(find(wrong));
	ck_assert_ptr_null(find(""));
	memcpy(wrong, a, strlen(a));
	wrong[strlen(a)] = 'A';
	wrong[strlen(a) + 1] = '\0';
	ck_assert_ptr_null(find(wrong));
	ck_assert_ptr_nonnull(find(a));
}
END_TEST

START_TEST(it_ends_when_nobody_uses_it)
{
	char a[USER_TOKEN_TEXT];

	begin(a, "acme", 3);
	for (int i = 0; i < 5; i++) {
		now += USER_SESSION_IDLE_MS - 1;
		ck_assert_ptr_nonnull(find(a));
	}
	now += USER_SESSION_IDLE_MS;
	ck_assert_ptr_null(find(a));
	ck_assert_uint_eq(user_sessions_count(sessions), 0);
}
END_TEST

START_TEST(it_ends_after_half_a_day_however_it_is_used)
{
	char a[USER_TOKEN_TEXT];
	int64_t began = now;

	begin(a, "acme", 3);
	while (now + 60000 < began + USER_SESSION_MAX_MS) {
		now += 60000;
		ck_assert_ptr_nonnull(find(a));
	}
	now = began + USER_SESSION_MAX_MS;
	ck_assert_ptr_null(find(a));
}
END_TEST

START_TEST(all_of_a_user_end_but_one)
{
	char a[USER_TOKEN_TEXT], b[USER_TOKEN_TEXT], c[USER_TOKEN_TEXT],
	    d[USER_TOKEN_TEXT];
	uint64_t keep = begin(a, "acme", 3);

	begin(b, "acme", 3);
	begin(c, "acme", 4);
	begin(d, "other", 3);
	user_sessions_end_user(sessions, "acme", 3, keep);
	ck_assert_ptr_nonnull(find(a));
	ck_assert_ptr_null(find(b));
	ck_assert_ptr_nonnull(find(c));
	ck_assert_ptr_nonnull(find(d));
	user_sessions_end_user(sessions, "acme", 3, 0);
	ck_assert_ptr_null(find(a));
	user_sessions_end_tenant(sessions, "acme");
	ck_assert_ptr_null(find(c));
	ck_assert_ptr_nonnull(find(d));
}
END_TEST

START_TEST(one_user_has_so_many_and_the_least_used_gives_way)
{
	char tokens[USER_SESSIONS_EACH + 1][USER_TOKEN_TEXT];
	const struct user_session *list[64];

	for (int i = 0; i < USER_SESSIONS_EACH; i++) {
		begin(tokens[i], "acme", 3);
		now++;
	}
	ck_assert_ptr_nonnull(find(tokens[0]));
	begin(tokens[USER_SESSIONS_EACH], "acme", 3);
	ck_assert_ptr_nonnull(find(tokens[0]));
	ck_assert_ptr_null(find(tokens[1]));
	ck_assert_uint_eq(user_sessions_list(list, 64, sessions, "acme", 3,
			      now),
	    USER_SESSIONS_EACH);
	ck_assert_uint_eq(list[0]->number, find(tokens[0])->number);
	ck_assert_uint_eq(user_sessions_list(list, 2, sessions, "acme", 3, now),
	    2);
	ck_assert_uint_eq(user_sessions_list(list, 64, sessions, "acme", 9,
			      now),
	    0);
}
END_TEST

START_TEST(all_together_are_bounded)
{
	char token[USER_TOKEN_TEXT], first[USER_TOKEN_TEXT];

	begin(first, "acme", 1);
	for (uint64_t i = 2; i <= USER_SESSIONS_ALL + 50; i++)
		begin(token, "acme", i);
	ck_assert_uint_eq(user_sessions_count(sessions), USER_SESSIONS_ALL);
	ck_assert_ptr_null(find(first));
	ck_assert_ptr_nonnull(find(token));
}
END_TEST

START_TEST(session_is_ended_by_its_number)
{
	char a[USER_TOKEN_TEXT], b[USER_TOKEN_TEXT];
	uint64_t number = begin(a, "acme", 3);

	begin(b, "acme", 3);
	user_sessions_end(sessions, user_sessions_get(sessions, number, now));
	ck_assert_ptr_null(user_sessions_get(sessions, number, now));
	ck_assert_ptr_null(find(a));
	ck_assert_ptr_nonnull(find(b));
}
END_TEST

struct ends {
	uint64_t numbers[8];
	size_t n;
};

static void
note_end(void *ctx, const struct user_session *session)
{
	struct ends *ends = ctx;

	ck_assert_uint_lt(ends->n, 8);
	ends->numbers[ends->n++] = session->number;
}

START_TEST(end_of_each_is_told_once_however_it_comes)
{
	char token[USER_TOKEN_TEXT];
	struct ends ends = { .n = 0 };

	user_sessions_on_end(sessions, note_end, &ends);
	uint64_t one = begin(token, "acme", 3);
	uint64_t two = begin(token, "acme", 3);
	uint64_t three = begin(token, "other", 3);

	user_sessions_end_user(sessions, "acme", 3, two);
	ck_assert_uint_eq(ends.n, 1);
	ck_assert_uint_eq(ends.numbers[0], one);
	user_sessions_end(sessions, user_sessions_get(sessions, two, now));
	user_sessions_end_tenant(sessions, "other");
	ck_assert_uint_eq(ends.n, 3);
	ck_assert_uint_eq(ends.numbers[1], two);
	ck_assert_uint_eq(ends.numbers[2], three);
	ck_assert_uint_eq(user_sessions_count(sessions), 0);
}
END_TEST

/* What follows events asks nothing, so nothing else finds that it ran out. */
START_TEST(what_ran_out_ends_though_nobody_asks)
{
	char idle[USER_TOKEN_TEXT], busy[USER_TOKEN_TEXT];
	struct ends ends = { .n = 0 };
	int64_t start = now;

	user_sessions_on_end(sessions, note_end, &ends);
	uint64_t left = begin(idle, "acme", 3), used = begin(busy, "acme", 4);

	now = start + USER_SESSION_IDLE_MS - 1;
	user_sessions_tick(sessions, now);
	ck_assert_uint_eq(ends.n, 0);
	ck_assert_ptr_nonnull(find(busy));
	now++;
	user_sessions_tick(sessions, now);
	ck_assert_uint_eq(ends.n, 1);
	ck_assert_uint_eq(ends.numbers[0], left);
	while ((now += USER_SESSION_IDLE_MS / 2) < start + USER_SESSION_MAX_MS)
		ck_assert_ptr_nonnull(find(busy));
	now = start + USER_SESSION_MAX_MS;
	user_sessions_tick(sessions, now);
	ck_assert_uint_eq(ends.n, 2);
	ck_assert_uint_eq(ends.numbers[1], used);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("user_sessions");
	TCase *tcase = tcase_create("user_sessions");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, token_finds_its_session_and_nothing_else_does);
	tcase_add_test(tcase, it_ends_when_nobody_uses_it);
	tcase_add_test(tcase, it_ends_after_half_a_day_however_it_is_used);
	tcase_add_test(tcase, all_of_a_user_end_but_one);
	tcase_add_test(tcase,
	    one_user_has_so_many_and_the_least_used_gives_way);
	tcase_add_test(tcase, all_together_are_bounded);
	tcase_add_test(tcase, session_is_ended_by_its_number);
	tcase_add_test(tcase, end_of_each_is_told_once_however_it_comes);
	tcase_add_test(tcase, what_ran_out_ends_though_nobody_asks);
	suite_add_tcase(suite, tcase);
	return suite;
}
