/*
 * An application that writes what it likes on the keeper's local socket: the
 * keeper says JSON lines, or hangs up. First byte: the size of writes; second:
 * whether it closes in the middle.
 */
#include "tests/fuzz/fuzz.h"

#include "agent/keeper/private.h"
#include "shared/base/log.h"
#include "shared/record/json.h"

#include <event2/event.h>
#include <ftw.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURNS 4

static struct event_base *base;
static struct keeper *keeper;
static char folder[64], socket_path[96];

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *at)
{
	(void)st;
	(void)what;
	(void)at;
	return remove(path);
}

static void
remove_folder(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
open_keeper(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct keeper_options options = { .admin_gid = (gid_t)-1 };
	char state[80];

	log_open("fuzz", LOG_ERROR + 1, 0);
	signal(SIGPIPE, SIG_IGN); /* as keeper_main does */
	fuzz_must(sodium_init() >= 0);
	snprintf(folder, sizeof(folder), "/dev/shm/fuzz-local-XXXXXX");
	fuzz_must(mkdtemp(folder) != NULL);
	atexit(remove_folder);
	snprintf(state, sizeof(state), "%s/state", folder);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	options.state = state;
	options.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fuzz_must(bind(options.listen_fd, (struct sockaddr *)&address,
		      sizeof(address)) == 0);
	fuzz_must(listen(options.listen_fd, 8) == 0);
	base = event_base_new();
	fuzz_must(base != NULL && keeper_new(&keeper, base, &options) == 0);
}

static void
turn(void)
{
	for (int i = 0; i < TURNS; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Every line that it says is a message of JSON-RPC. */
static void
hear(struct buf *got, int fd)
{
	char bytes[8192];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buf_add(got, bytes, (size_t)n);
	fuzz_must(!got->failed);
}

static void
check_lines(const struct buf *got)
{
	const char *text = (const char *)got->data;
	size_t left = got->len;

	while (left > 0) {
		const char *end = memchr(text, '\n', left);
		struct rpc_envelope envelope;
		size_t len = (size_t)(end - text);

		fuzz_must(end != NULL && len <= LOCAL_LINE_MAX);
		fuzz_must(rpc_read(&envelope, text, len, NULL) == 0);
		text = end + 1;
		left -= len + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct fuzz_input input = { data, size };
	size_t step = 1 + (size_t)fuzz_byte(&input) * 32;
	bool leaves = fuzz_byte(&input) % 4 == 0;
	struct buf got = { 0 };

	if (keeper == NULL)
		open_keeper();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, socket_path, strlen(socket_path));
	fuzz_must(fd >= 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	turn();
	while (input.size > 0) {
		const uint8_t *piece;
		size_t n = fuzz_take(&piece, &input, step);

		if (send(fd, piece, n, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    (ssize_t)n)
			break;
		turn();
		hear(&got, fd);
	}
	if (!leaves) {
		turn();
		hear(&got, fd);
		check_lines(&got);
	}
	close(fd);
	turn();
	fuzz_must(keeper->applications.count == 0);
	/* Not enrolled: nothing is held, and nobody waits for nobody. */
	fuzz_must(TAILQ_EMPTY(&keeper->leases.all));
	fuzz_must(TAILQ_EMPTY(&keeper->checkouts));
	buf_release(&got);
	return 0;
}
