/* The connection to the agent: lines, deadlines, many callers at once. */
#include "agent/lib/local.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/rpc.h"
#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char path[64];
static int listener, peer;
static struct local *local;
static struct problem problem;

/* The other end is in the same thread: what is sent fits the socket. */
static void
setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/check-local-%d.sock", getpid());
	text_copy(address.sun_path, sizeof(address.sun_path), path);
	unlink(path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_eq(listen(listener, 4), 0);
	ck_assert_int_eq(local_open(&local, path, 1000, &problem), 0);
	peer = accept(listener, NULL, NULL);
	ck_assert_int_ge(peer, 0);
}

static void
teardown(void)
{
	local_close(local);
	close(peer);
	close(listener);
	unlink(path);
}

static void
say(const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(send(peer, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void
answer(uint64_t id, uint32_t count)
{
	char line[128];

	snprintf(line, sizeof(line),
	    "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"count\":%u}}\n",
	    (unsigned long long)id, count);
	say(line);
}

static int
begin(struct local_waiter *waiter)
{
	struct local_return request = { .lease = 1 };

	return local_begin(waiter, local, LOCAL_RETURN, &request, -1, 1000,
	    &problem);
}

/* The count that was answered, or the error. */
static int
end(struct local_waiter *waiter, int timeout_ms)
{
	struct local_returned reply;
	struct arena arena = { 0 };
	int err =
	    local_end(&reply, waiter, local, &arena, timeout_ms, &problem);

	arena_release(&arena);
	return err == 0 ? (int)reply.count : err;
}

START_TEST(questions_are_single_lines_of_json_rpc)
{
	struct rpc_envelope envelope;
	struct local_waiter waiter;
	char line[512];

	ck_assert_int_eq(begin(&waiter), 0);
	ssize_t n = recv(peer, line, sizeof(line), 0);

	ck_assert_int_gt(n, 0);
	ck_assert_ptr_eq(memchr(line, '\n', (size_t)n), line + n - 1);
	ck_assert_int_eq(rpc_read(&envelope, line, (size_t)n - 1, NULL), 0);
	ck_assert_uint_eq(envelope.id, waiter.id);
	ck_assert_int_eq((int)envelope.method_len, 12);
	ck_assert_int_eq(strncmp(envelope.method, "lease.return", 12), 0);
	answer(waiter.id, 3);
	ck_assert_int_eq(end(&waiter, 1000), 3);
}
END_TEST

START_TEST(answers_find_their_questions_in_any_order)
{
	struct local_waiter waiters[8];

	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(begin(&waiters[i]), 0);
	for (int i = 7; i >= 0; i--)
		answer(waiters[i].id, (uint32_t)i + 1);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(end(&waiters[i], 1000), i + 1);
}
END_TEST

START_TEST(answer_may_come_in_pieces)
{
	struct local_waiter waiter;

	ck_assert_int_eq(begin(&waiter), 0);
	say("{\"jsonrpc\":\"2.0\",\"id\":1,");
	ck_assert_int_eq(local_wait(local, -1, 20), 0);
	say("\"result\":{\"count\":");
	ck_assert_int_eq(local_wait(local, -1, 20), 0);
	ck_assert(!local_done(local, &waiter));
	say("5}}\n{\"jsonrpc\"");
	ck_assert_int_eq(end(&waiter, 1000), 5);
}
END_TEST

START_TEST(late_answer_is_passed_over)
{
	struct local_waiter waiter;
	int64_t began = clock_boottime_ms();

	ck_assert_int_eq(begin(&waiter), 0);
	ck_assert_int_eq(end(&waiter, 50), ERR_TIMEOUT);
	ck_assert_int_ge(clock_boottime_ms() - began, 50);
	ck_assert_int_lt(clock_boottime_ms() - began, 500);
	answer(1, 9);
	ck_assert_int_eq(begin(&waiter), 0);
	answer(2, 4);
	ck_assert_int_eq(end(&waiter, 1000), 4);
	ck_assert_int_eq(local_error(local), 0);
}
END_TEST

START_TEST(refusal_keeps_its_words)
{
	struct local_waiter waiter;
	struct buf line = { 0 };
	struct problem sent;

	ck_assert_int_eq(begin(&waiter), 0);
	problem_set(&sent, ERR_NO_SEATS, "leasehold leases", "all taken");
	rpc_write_error(&line, waiter.id, ERR_NO_SEATS, &sent);
	buf_add_byte(&line, '\n');
	say(buf_text(&line));
	ck_assert_int_eq(end(&waiter, 1000), ERR_NO_SEATS);
	ck_assert_str_eq(problem.code, "no_seats");
	ck_assert_str_eq(problem.detail, "all taken");
	ck_assert_str_eq(problem.hint, "leasehold leases");
	ck_assert_int_eq(local_error(local), 0);
	buf_release(&line);
}
END_TEST

START_TEST(nonsense_ends_the_connection)
{
	static const char *const lines[] = { "\n", "{\n", "[]\n",
		"{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{}"
		"}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}\n",
		"{\"jsonrpc\":\"2.0\",\"method\":\"lease.revoked\","
		"\"params\":{\"lease\":-1}}\n" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct local_waiter waiter;

		ck_assert_int_eq(begin(&waiter), 0);
		say(lines[i]);
		ck_assert_int_eq(end(&waiter, 1000), ERR_CORRUPT);
		ck_assert_str_ne(problem.detail, "");
		ck_assert_int_eq(local_error(local), ERR_CORRUPT);
		ck_assert_int_eq(begin(&waiter), ERR_CORRUPT);
		teardown();
		setup();
	}
}
END_TEST

START_TEST(line_above_the_limit_ends_the_connection)
{
	struct local_waiter waiter;
	char *line = malloc(LOCAL_LINE_MAX + 2);

	memset(line, ' ', LOCAL_LINE_MAX + 1);
	line[LOCAL_LINE_MAX + 1] = '\0';
	ck_assert_int_eq(begin(&waiter), 0);
	say(line);
	ck_assert_int_eq(end(&waiter, 1000), ERR_CORRUPT);
	free(line);
}
END_TEST

START_TEST(line_of_the_limit_is_read)
{
	static const char words[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"count\":6}}";
	struct local_waiter waiter;
	char *line = malloc(LOCAL_LINE_MAX + 2);

	memset(line, ' ', LOCAL_LINE_MAX);
	memcpy(line, words, sizeof(words) - 1);
	memcpy(line + LOCAL_LINE_MAX, "\n", 2);
	ck_assert_int_eq(begin(&waiter), 0);
	say(line);
	ck_assert_int_eq(end(&waiter, 1000), 6);
	free(line);
}
END_TEST

START_TEST(question_above_the_limit_is_not_sent)
{
	static char join[LOCAL_LINE_MAX];
	struct local_enroll request = { .url = "https://x",
		.join = { join, sizeof(join) } };
	struct local_waiter waiter;

	memset(join, 'x', sizeof(join));
	ck_assert_int_eq(local_begin(&waiter, local, LOCAL_ENROLL, &request, -1,
			     1000, &problem),
	    ERR_TOO_LARGE);
	ck_assert_int_eq(begin(&waiter), 0);
	answer(2, 1);
	ck_assert_int_eq(end(&waiter, 1000), 1);
}
END_TEST

START_TEST(hanging_up_answers_everybody)
{
	struct local_waiter waiters[3];

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(begin(&waiters[i]), 0);
	shutdown(peer, SHUT_RDWR);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(end(&waiters[i], 1000), ERR_CLOSED);
	/* Nor does writing raise a signal. */
	ck_assert_int_eq(begin(&waiters[0]), ERR_CLOSED);
	ck_assert_int_eq(local_wait(local, -1, 1000), ERR_CLOSED);
}
END_TEST

START_TEST(agent_that_does_not_read_is_given_up)
{
	static char join[LOCAL_LINE_MAX / 2];
	struct local_enroll request = { .url = "https://x",
		.join = { join, sizeof(join) } };
	struct local_waiter waiters[64];
	int64_t began = clock_boottime_ms();
	int n = 0, err = 0;

	memset(join, 'x', sizeof(join));
	while (n < 64 &&
	    (err = local_begin(&waiters[n], local, LOCAL_ENROLL, &request, -1,
		 100, &problem)) == 0)
		n++;
	ck_assert_int_lt(n, 64);
	ck_assert_int_eq(err, ERR_CLOSED);
	ck_assert_int_lt(clock_boottime_ms() - began, 1000);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(end(&waiters[i], 0), ERR_CLOSED);
}
END_TEST

static struct {
	int n;
	uint64_t lease;
	char code[32];
} noticed;

static void
on_notice(void *ctx, enum local_id id, const void *params)
{
	const struct local_revoked *revoked = params;

	ck_assert_ptr_eq(ctx, &noticed);
	ck_assert_int_eq((int)id, LOCAL_REVOKED);
	noticed.n++;
	noticed.lease = revoked->lease;
	text_copy(noticed.code, sizeof(noticed.code), revoked->code);
}

START_TEST(notices_come_while_waiting_and_calling)
{
	static const char notice[] =
	    "{\"jsonrpc\":\"2.0\",\"method\":\"lease.revoked\","
	    "\"params\":{\"lease\":7,\"code\":\"gone\"}}\n";
	struct local_waiter waiter;

	local_on_notice(local, on_notice, &noticed);
	say(notice);
	ck_assert_int_eq(local_wait(local, -1, 20), 0);
	ck_assert_int_eq(noticed.n, 1);
	ck_assert_uint_eq(noticed.lease, 7);
	ck_assert_str_eq(noticed.code, "gone");
	/* One that this library does not know says nothing to it. */
	say("{\"jsonrpc\":\"2.0\",\"method\":\"agent.tired\",\"params\":{}}\n");
	ck_assert_int_eq(begin(&waiter), 0);
	say(notice);
	answer(waiter.id, 2);
	ck_assert_int_eq(end(&waiter, 1000), 2);
	ck_assert_int_eq(noticed.n, 2);
}
END_TEST

START_TEST(waiting_ends_when_woken)
{
	int wake = eventfd(1, 0);
	int64_t began = clock_boottime_ms();

	ck_assert_int_eq(local_wait(local, wake, 5000), 0);
	ck_assert_int_lt(clock_boottime_ms() - began, 1000);
	close(wake);
}
END_TEST

START_TEST(answer_wakes_who_asked)
{
	int wake = eventfd(0, EFD_NONBLOCK);
	struct local_return request = { .lease = 1 };
	struct local_waiter waiter;
	int64_t began = clock_boottime_ms();

	ck_assert_int_eq(local_begin(&waiter, local, LOCAL_RETURN, &request,
			     wake, 1000, &problem),
	    0);
	answer(waiter.id, 8);
	ck_assert_int_eq(local_wait(local, wake, 5000), 0);
	ck_assert_int_lt(clock_boottime_ms() - began, 1000);
	ck_assert(local_done(local, &waiter));
	ck_assert_int_eq(end(&waiter, 0), 8);
	close(wake);
}
END_TEST

/* --- threads ---------------------------------------------------------------
 */

static _Atomic int done;

static void *
ask_often(void *arg)
{
	int *wrong = arg;

	for (int i = 0; i < 200; i++) {
		struct local_waiter waiter;
		struct local_return request = { .lease = 1 };
		struct local_returned reply;

		if (local_begin(&waiter, local, LOCAL_RETURN, &request, -1,
			5000, NULL) != 0) {
			(*wrong)++;
			break;
		}
		uint64_t id = waiter.id;

		if (local_end(&reply, &waiter, local, NULL, 5000, NULL) != 0 ||
		    reply.count != (uint32_t)id)
			(*wrong)++;
	}
	done++;
	return NULL;
}

static void *
wait_for_notices(void *arg)
{
	int *wake = arg;

	while (done < 4)
		if (local_wait(local, *wake, 5) != 0)
			return NULL;
	return NULL;
}

/* Each question is answered with its own id as the count. */
static void *
answer_all(void *arg)
{
	static char in[1 << 16];
	size_t len = 0;
	ssize_t n;

	(void)arg;
	while ((n = recv(peer, in + len, sizeof(in) - len, 0)) > 0) {
		char *end_of_line;

		len += (size_t)n;
		while ((end_of_line = memchr(in, '\n', len)) != NULL) {
			size_t line = (size_t)(end_of_line + 1 - in);
			struct rpc_envelope envelope;

			if (rpc_read(&envelope, in, line - 1, NULL) != 0)
				return NULL;
			answer(envelope.id, (uint32_t)envelope.id);
			len -= line;
			memmove(in, in + line, len);
		}
	}
	return NULL;
}

START_TEST(threads_get_their_own_answers)
{
	pthread_t askers[4], waiter, agent;
	int wrong[4] = { 0 }, wake = eventfd(0, EFD_NONBLOCK);

	pthread_create(&agent, NULL, answer_all, NULL);
	pthread_create(&waiter, NULL, wait_for_notices, &wake);
	for (int i = 0; i < 4; i++)
		pthread_create(&askers[i], NULL, ask_often, &wrong[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(askers[i], NULL);
		ck_assert_int_eq(wrong[i], 0);
	}
	pthread_join(waiter, NULL);
	shutdown(peer, SHUT_RDWR);
	pthread_join(agent, NULL);
	close(wake);
}
END_TEST

START_TEST(nobody_listens)
{
	struct local *other;
	char longer[200];

	ck_assert_int_eq(local_open(&other, "/tmp/no-such-agent", 100,
			     &problem),
	    ERR_CLOSED);
	ck_assert_ptr_nonnull(strstr(problem.detail, "/tmp/no-such-agent"));
	memset(longer, 'x', sizeof(longer));
	longer[199] = '\0';
	ck_assert_int_eq(local_open(&other, longer, 100, NULL), ERR_CLOSED);
	setenv("LEASEHOLD_SOCKET", "/tmp/of-environment", 1);
	ck_assert_str_eq(local_default_path(), "/tmp/of-environment");
	unsetenv("LEASEHOLD_SOCKET");
	ck_assert_str_eq(local_default_path(), LOCAL_SOCKET_DEFAULT);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib local");
	TCase *tc = tcase_create("lib local");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, questions_are_single_lines_of_json_rpc);
	tcase_add_test(tc, answers_find_their_questions_in_any_order);
	tcase_add_test(tc, answer_may_come_in_pieces);
	tcase_add_test(tc, late_answer_is_passed_over);
	tcase_add_test(tc, refusal_keeps_its_words);
	tcase_add_test(tc, nonsense_ends_the_connection);
	tcase_add_test(tc, line_above_the_limit_ends_the_connection);
	tcase_add_test(tc, line_of_the_limit_is_read);
	tcase_add_test(tc, question_above_the_limit_is_not_sent);
	tcase_add_test(tc, hanging_up_answers_everybody);
	tcase_add_test(tc, agent_that_does_not_read_is_given_up);
	tcase_add_test(tc, notices_come_while_waiting_and_calling);
	tcase_add_test(tc, waiting_ends_when_woken);
	tcase_add_test(tc, answer_wakes_who_asked);
	tcase_add_test(tc, threads_get_their_own_answers);
	tcase_add_test(tc, nobody_listens);
	suite_add_tcase(s, tc);
	return s;
}
