/* Each profile in a process of its own: what it needs works, what a taken
 * process would like to do ends it. */
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "shared/ipc/ipc.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <lmdb.h>
#include <netdb.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STRANGER 64001

static char folder[64];

static void
setup(void)
{
	text_copy(folder, sizeof(folder), "/tmp/check_sandbox.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	log_open("check", LOG_INFO, 0);
}

static void
teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* Runs it in a child inside the profile and returns the wait status. */
static int
inside(enum sandbox_profile profile, int (*run)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (chdir(folder) != 0 || sandbox_no_new_privileges() != 0 ||
		    sandbox_enter(profile) != 0)
			_exit(99);
		_exit(run());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* --- what is forbidden ------------------------------------------------------
 */

static int
try_exec(void)
{
	char *const arguments[] = { "true", NULL };

	return execv("/bin/true", arguments);
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return 0;
}

static int
try_socket_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int
try_socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static int
try_socket_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) < 0;
}

static int
try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0;
}

static int
try_open_to_write(void)
{
	return open("new", O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0;
}

static int
try_rename(void)
{
	return rename("a", "b");
}

static int
try_ptrace(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static int
try_kill(void)
{
	return kill(getppid(), 0);
}

static int
try_tgkill_other(void)
{
	return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static int
try_read_memory(void)
{
	return (
	    int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static int
try_pidfd_signal(void)
{
	return (int)syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0);
}

static int
try_exec_page(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int
try_mount(void)
{
	return mount("none", "/", "tmpfs", MS_REMOUNT, NULL);
}

static int
try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
try_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int
try_lower_limit(void)
{
	return (int)syscall(SYS_prlimit64, 0, 7, "\0\0\0\0\0\0\0\0", NULL);
}

static int
try_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}

static int
try_terminal_input(void)
{
	return (int)syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x");
}

struct forbidden {
	enum sandbox_profile profile;
	const char *what;
	int (*run)(void);
};

#define CHILD(what, run)                                                  \
	{ SANDBOX_FRONT, what, run }, { SANDBOX_LEDGER, what, run },      \
	    { SANDBOX_KEEPER, what, run }, { SANDBOX_UPLINK, what, run }, \
	{                                                                 \
		SANDBOX_COURIER, what, run                                \
	}

static const struct forbidden forbidden[] = {
	CHILD("exec", try_exec),
	CHILD("fork", try_fork),
	CHILD("ptrace", try_ptrace),
	CHILD("kill", try_kill),
	CHILD("tgkill", try_tgkill_other),
	CHILD("process_vm_readv", try_read_memory),
	CHILD("pidfd_send_signal", try_pidfd_signal),
	CHILD("mount", try_mount),
	CHILD("unshare", try_unshare),
	CHILD("bpf", try_bpf),
	CHILD("packet socket", try_socket_packet),
	CHILD("set a limit", try_lower_limit),
	CHILD("prctl", try_prctl),
	CHILD("TIOCSTI", try_terminal_input),
	{ SANDBOX_FRONT, "open", try_open },
	{ SANDBOX_FRONT, "unix socket", try_socket_unix },
	{ SANDBOX_FRONT, "inet socket", try_socket_inet },
	{ SANDBOX_FRONT, "executable page", try_exec_page },
	{ SANDBOX_LEDGER, "unix socket", try_socket_unix },
	{ SANDBOX_LEDGER, "inet socket", try_socket_inet },
	{ SANDBOX_LEDGER, "executable page", try_exec_page },
	{ SANDBOX_KEEPER, "inet socket", try_socket_inet },
	{ SANDBOX_UPLINK, "open to write", try_open_to_write },
	{ SANDBOX_UPLINK, "rename", try_rename },
	{ SANDBOX_COURIER, "open to write", try_open_to_write },
	{ SANDBOX_COURIER, "rename", try_rename },
	{ SANDBOX_PARENT, "exec", try_exec },
	{ SANDBOX_PARENT, "ptrace", try_ptrace },
	{ SANDBOX_PARENT, "process_vm_readv", try_read_memory },
	{ SANDBOX_PARENT, "mount", try_mount },
	{ SANDBOX_PARENT, "unshare", try_unshare },
	{ SANDBOX_PARENT, "bpf", try_bpf },
};

#define FORBIDDEN (sizeof(forbidden) / sizeof(forbidden[0]))

START_TEST(a_forbidden_call_kills)
{
	for (size_t i = 0; i < FORBIDDEN; i++) {
		int status = inside(forbidden[i].profile, forbidden[i].run);

		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		    "profile %d may %s: status %x", forbidden[i].profile,
		    forbidden[i].what, (unsigned)status);
	}
}
END_TEST

START_TEST(a_name_service_module_is_told_no_and_nothing_dies)
{
	ck_assert_int_eq(inside(SANDBOX_KEEPER, try_exec_page), 1 << 8);
	ck_assert_int_eq(inside(SANDBOX_UPLINK, try_exec_page), 1 << 8);
	ck_assert_int_eq(inside(SANDBOX_COURIER, try_exec_page), 1 << 8);
}
END_TEST

/* --- what is allowed --------------------------------------------------------
 */

static void
works(enum sandbox_profile profile, int (*run)(void))
{
	int status = inside(profile, run);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "profile %d: %s %d", profile,
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int
backwards(const void *a, const void *b)
{
	return memcmp(b, a, 100);
}

static int
do_common(void)
{
	uint8_t random[32];
	/* Above qsort's own buffer: it asks for the machine's memory. */
	char *large = calloc(2000, 100);
	void *secret = sodium_malloc(32);

	randombytes_buf(random, sizeof(random));
	if (large == NULL || secret == NULL)
		return 1;
	qsort(large, 2000, 100, backwards);
	char *larger = realloc(large, 20000000);

	if (larger == NULL)
		return 2;
	memset(larger, 1, 20000000);
	free(larger);
	sodium_free(secret);
	log_info("sandbox", "inside");
	printf("%s", "");
	fflush(stdout);
	usleep(1000);
	return sysconf(_SC_OPEN_MAX) > 0 ? 0 : 3;
}

static void
on_message(void *ctx, const struct ipc_message *message)
{
	event_base_loopbreak(ctx);
	(void)message;
}

static void
on_closed(void *ctx)
{
	(void)ctx;
}

static int socket_pair[2];
static int listener;
static struct event_base *base;

/* Everything that a core or an edge has before it enters. */
static void
make_sockets(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     socket_pair),
	    0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof(any)),
	    0);
	ck_assert_int_eq(listen(listener, 5), 0);
}

static int
do_ipc(void)
{
	const struct ipc_callbacks callbacks = { on_message, on_closed };
	struct ipc_message message = { .len = 3,
		.payload = (const uint8_t *)"abc" };

	base = event_base_new();
	struct ipc *a = ipc_new(base, socket_pair[0], &callbacks, base);
	struct ipc *b = ipc_new(base, socket_pair[1], &callbacks, base);

	if (a == NULL || b == NULL || ipc_send(a, &message) != 0)
		return 10;
	event_base_dispatch(base);
	ipc_flush(a, 10);
	ipc_free(a);
	ipc_free(b);
	event_base_free(base);
	return 0;
}

static int
do_front(void)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char byte;
	int err = do_common();

	if (err != 0 || do_ipc() != 0)
		return err + 20;
	int fd = accept4(listener, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	int on = 1;

	if (fd < 0 || send(fd, "x", 1, MSG_NOSIGNAL) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
		return 30;
	(void)!recv(fd, &byte, 1, 0);
	shutdown(fd, SHUT_RDWR);
	close(fd);
	return 0;
}

START_TEST(a_front_accepts_and_speaks)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	make_sockets();
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address,
			     &len),
	    0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, len), 0);
	works(SANDBOX_FRONT, do_front);
	close(fd);
	close(listener);
}
END_TEST

static int
do_store(void)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi dbi;
	MDB_val key = { 3, "key" };
	MDB_val value = { 5, "value" };

	if (mkdir("store", 0700) != 0 || mdb_env_create(&env) != 0 ||
	    mdb_env_set_mapsize(env, (size_t)1 << 30) != 0 ||
	    mdb_env_open(env, "store", MDB_NOTLS, 0600) != 0)
		return 40;
	for (int i = 0; i < 3; i++) {
		if (mdb_txn_begin(env, NULL, 0, &txn) != 0 ||
		    mdb_dbi_open(txn, NULL, 0, &dbi) != 0 ||
		    mdb_put(txn, dbi, &key, &value, 0) != 0 ||
		    mdb_txn_commit(txn) != 0)
			return 41;
	}
	mdb_env_close(env);
	if (file_write("file", "x", 1, 0600) != 0 || unlink("file") != 0)
		return 42;
	return 0;
}

static int
do_ledger(void)
{
	int err = do_common();

	if (err == 0)
		err = do_ipc();
	return err != 0 ? err : do_store();
}

START_TEST(a_ledger_commits)
{
	make_sockets();
	works(SANDBOX_LEDGER, do_ledger);
	close(listener);
}
END_TEST

static int
do_keeper(void)
{
	struct passwd entry;
	struct passwd *found;
	char room[4096];
	uint8_t *data;
	size_t len;
	int err = do_common();

	if (err != 0)
		return err;
	int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);

	if (fd < 0 || readlink("/proc/self/exe", room, sizeof(room)) < 0)
		return 50;
	close(fd);
	if (file_read(&data, &len, "/proc/self/stat", 4096) != 0)
		return 51;
	free(data);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || file_write("state", "x", 1, 0600) != 0)
		return 52;
	close(fd);
	/* A stranger's number asks every name service that is set up. */
	(void)getpwuid_r(STRANGER, &entry, room, sizeof(room), &found);
	return 0;
}

START_TEST(a_keeper_looks_at_processes)
{
	works(SANDBOX_KEEPER, do_keeper);
}
END_TEST

static int
do_uplink(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	struct sockaddr_in nobody = { .sin_family = AF_INET,
		.sin_port = htons(1) };
	int err = do_common();

	if (err != 0)
		return err;
	if (getaddrinfo("localhost", "7443", &hints, &found) != 0)
		return 60;
	freeaddrinfo(found);
	if (getaddrinfo("::1", "7443", &hints, &found) != 0)
		return 61;
	freeaddrinfo(found);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
	    (connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)) != 0 &&
		errno != ECONNREFUSED && errno != EINPROGRESS))
		return 62;
	close(fd);
	return 0;
}

START_TEST(an_uplink_and_a_courier_find_and_connect)
{
	works(SANDBOX_UPLINK, do_uplink);
	works(SANDBOX_COURIER, do_uplink);
}
END_TEST

/* As libwebsockets does once a day, from where there is no /etc. */
static int
do_local_time(void)
{
	struct tm day = { .tm_year = 126, .tm_mon = 10, .tm_mday = 22 };
	time_t time = mktime(&day);

	/* Else glibc looks for its file each time. */
	return time == -1 || localtime(&time) == NULL || getenv("TZ") == NULL;
}

START_TEST(local_time_looks_for_no_file)
{
	char root[] = "/tmp/leasehold-sandbox-XXXXXX";
	int status;

	ck_assert_ptr_nonnull(mkdtemp(root));
	for (int p = SANDBOX_PARENT; p <= SANDBOX_COURIER; p++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			unsetenv("TZ");
			if ((geteuid() == 0 && chroot(root) != 0) ||
			    chdir("/") != 0 ||
			    sandbox_no_new_privileges() != 0 ||
			    sandbox_enter((enum sandbox_profile)p) != 0)
				_exit(99);
			_exit(do_local_time());
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(status == 0, "profile %d: %x", p,
		    (unsigned)status);
	}
	ck_assert_int_eq(rmdir(root), 0);
}
END_TEST

static int
do_abort(void)
{
	abort();
}

START_TEST(an_assertion_ends_as_one)
{
	for (int p = SANDBOX_PARENT; p <= SANDBOX_COURIER; p++) {
		int status = inside((enum sandbox_profile)p, do_abort);

		ck_assert(WIFSIGNALED(status));
		ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tcase = tcase_create("sandbox");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
#ifdef SANDBOX_LOG
	(void)a_forbidden_call_kills;
	test_skip("sandbox:a_forbidden_call_kills",
	    "this build's filter logs only");
#else
	tcase_add_test(tcase, a_forbidden_call_kills);
#endif
	tcase_add_test(tcase,
	    a_name_service_module_is_told_no_and_nothing_dies);
	tcase_add_test(tcase, a_front_accepts_and_speaks);
	tcase_add_test(tcase, a_ledger_commits);
	tcase_add_test(tcase, a_keeper_looks_at_processes);
	tcase_add_test(tcase, an_uplink_and_a_courier_find_and_connect);
	tcase_add_test(tcase, local_time_looks_for_no_file);
	tcase_add_test(tcase, an_assertion_ends_as_one);
	suite_add_tcase(s, tcase);
	return s;
}
