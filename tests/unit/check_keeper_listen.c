/* The place of the local socket: whose it may be, and whose it is left to. */
#include "shared/base/listen.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96];
static char error[512];

static void
setup(void)
{
	strcpy(folder, "/tmp/check-listen-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/run/agent.sock", folder);
}

static void
teardown(void)
{
	char run[80];

	snprintf(run, sizeof(run), "%s/run", folder);
	unlink(path);
	rmdir(run);
	rmdir(folder);
}

static int
open_one(void)
{
	int fd = -1;

	ck_assert_msg(listen_local(&fd, error, sizeof(error), path) == 0, "%s",
	    error);
	return fd;
}

static bool
connects(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	bool connected =
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return connected;
}

START_TEST(folder_and_socket_are_made_for_everybody)
{
	struct stat st;

	umask(077);
	int fd = open_one();

	ck_assert(connects());
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	/* And what is made next is as it was asked for. */
	ck_assert_uint_eq(umask(0), 077);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(fd);
}
END_TEST

START_TEST(socket_of_an_agent_that_ended_is_taken_over)
{
	close(open_one());
	ck_assert(!connects());
	int fd = open_one();

	ck_assert(connects());
	close(fd);
}
END_TEST

START_TEST(socket_of_another_agent_is_left_to_it)
{
	int mine = open_one(), fd = -1;

	ck_assert_int_eq(listen_local(&fd, error, sizeof(error), path),
	    ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(error, "another process listens there"));
	ck_assert_int_eq(fd, -1);
	ck_assert(connects());
	close(mine);
}
END_TEST

START_TEST(what_is_no_socket_is_not_removed)
{
	int fd = -1;
	struct stat st;

	close(open_one());
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(listen_local(&fd, error, sizeof(error), path),
	    ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(error, "no socket"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(place_that_cannot_be_is_named)
{
	char longer[200];
	int fd = -1;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(listen_local(&fd, error, sizeof(error), longer),
	    ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(error, "too long"));
	snprintf(path, sizeof(path), "%s/no/such/agent.sock", folder);
	ck_assert_int_eq(listen_local(&fd, error, sizeof(error), path),
	    ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(error, folder));
	ck_assert_int_eq(fd, -1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper listen");
	TCase *tc = tcase_create("listen");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, folder_and_socket_are_made_for_everybody);
	tcase_add_test(tc, socket_of_an_agent_that_ended_is_taken_over);
	tcase_add_test(tc, socket_of_another_agent_is_left_to_it);
	tcase_add_test(tc, what_is_no_socket_is_not_removed);
	tcase_add_test(tc, place_that_cannot_be_is_named);
	suite_add_tcase(s, tc);
	return s;
}
