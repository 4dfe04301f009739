/* A directory that answers what it likes, and the records between ledger and
 * courier. A server on a Unix socket answers every request of libldap with the
 * next piece of the input, as it is or in the envelope that belongs to it; what
 * comes of that must be what the ledger takes: no owner, no text that is none.
 * Input: a byte of modes, a login, then pieces: a byte of kind, two of length. */
#include "appliance/courier/directory.h"
#include "tests/fuzz/fuzz.h"

#include "shared/base/log.h"
#include "shared/base/text.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_MAX 4096

/* libldap 2.5 loses the envelope of an answer that it cannot read. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* One server for all inputs; the one at hand is under the lock. */
static struct {
	pthread_mutex_t lock;
	struct fuzz_input input;
	char path[64];
	int fd;
	struct directory_options options;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* --- the server ------------------------------------------------------------ */

static size_t
next_piece(uint8_t *kind, uint8_t out[PIECE_MAX])
{
	const uint8_t *from;

	pthread_mutex_lock(&server.lock);
	*kind = fuzz_byte(&server.input);
	size_t want = fuzz_byte(&server.input);

	want |= (size_t)fuzz_byte(&server.input) << 8;
	size_t n = fuzz_take(&from, &server.input, want % PIECE_MAX);

	if (n > 0)
		memcpy(out, from, n);
	pthread_mutex_unlock(&server.lock);
	return n;
}

/* SEQUENCE { INTEGER id, ... }: RFC 4511, section 4.1.1. */
static bool
send_piece(int fd, const uint8_t *piece, size_t n, uint8_t kind, uint8_t id)
{
	uint8_t head[7] = { 0x30, 0x82 };
	size_t len = n + 3;

	head[2] = (uint8_t)(len >> 8);
	head[3] = (uint8_t)len;
	head[4] = 2;
	head[5] = 1;
	head[6] = id;
	if ((kind & 1) != 0 &&
	    send(fd, head, sizeof(head), MSG_NOSIGNAL) != sizeof(head))
		return false;
	return n == 0 || send(fd, piece, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* An unbind has no answer. */
static bool
is_farewell(const uint8_t *request, ssize_t n)
{
	return n >= 7 && request[5] == 0x42;
}

/* A request is one read, for the client waits; `kind` says how many pieces it
 * gets. At the end of the input the line goes down. */
static void *
serve(void *ctx)
{
	uint8_t request[8192], piece[PIECE_MAX], kind = 0, id = 0;
	int fd = (int)(intptr_t)ctx;
	bool open = true;
	ssize_t got;

	while (open && (got = recv(fd, request, sizeof(request), 0)) > 0 &&
	    !is_farewell(request, got)) {
		id++;
		do {
			size_t n = next_piece(&kind, piece);

			open = n > 0 && send_piece(fd, piece, n, kind, id);
		} while (open && (kind & 2) != 0);
	}
	close(fd);
	return NULL;
}

/* The service's line stays open beside the person's own. */
static void *
server_main(void *ctx)
{
	int fd;

	while ((fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		/* Who waits for the rest of an answer gets none. */
		const struct timeval patience = { .tv_usec = 50000 };
		pthread_t thread;

		fuzz_must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			      sizeof(patience)) == 0);
		fuzz_must(pthread_create(&thread, NULL, serve,
			      (void *)(intptr_t)fd) == 0);
		pthread_detach(thread);
	}
	return ctx;
}

static void
remove_socket(void)
{
	unlink(server.path);
}

static void
start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;

	if (server.fd >= 0)
		return;
	server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(server.path, sizeof(server.path), "/tmp/fuzz-directory-%d",
	    (int)getpid());
	memcpy(address.sun_path, server.path, strlen(server.path) + 1);
	unlink(server.path);
	fuzz_must(
	    bind(server.fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	atexit(remove_socket);
	/* As in the courier: libldap writes to whoever hung up. */
	fuzz_must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	fuzz_must(listen(server.fd, 8) == 0);
	fuzz_must(pthread_create(&thread, NULL, server_main, NULL) == 0);
	pthread_detach(thread);
	server.options = (struct directory_options){ .plain = true,
		.timeout_s = 1,
		.base = "dc=x",
		.filter = "(uid={login})",
		.service_dn = "cn=reader",
		.groups = { "cn=a,dc=x", "cn=o,dc=x", "", "cn=v,dc=x" } };
	snprintf(server.options.url, sizeof(server.options.url),
	    "ldapi://%%2ftmp%%2ffuzz-directory-%d", (int)getpid());
	log_open("fuzz", LOG_ERROR + 1, 0);
	fuzz_must(directory_open(&server.options) == 0);
}

/* --- records --------------------------------------------------------------- */

static void
try_record(const struct record *record, const uint8_t *data, size_t size)
{
	struct arena arena = { .max_bytes = (size_t)1 << 20 };
	struct buf packed = { .len = 0 };
	void *value = malloc(record->size);

	fuzz_must(value != NULL);
	if (record_read_msgpack(value, record, data, size, NULL, &arena,
		NULL) == 0) {
		record_write_msgpack(&packed, record, value);
		fuzz_must(!packed.failed && packed.len == size &&
		    memcmp(packed.data, data, size) == 0);
	}
	free(value);
	buf_release(&packed);
	arena_release(&arena);
}

/* What the ledger is told. */
static void
look_at(const struct courier_bound *bound)
{
	struct buf packed = { .len = 0 };
	struct arena arena = { .chunks = NULL };
	struct courier_bound again;

	fuzz_must(bound->outcome <= COURIER_UNAVAILABLE);
	fuzz_must(bound->role > USER_OWNER && bound->role < USER_ROLES);
	fuzz_must(text_is_printable(bound->name, strlen(bound->name)));
	fuzz_must(text_is_printable(bound->mail, strlen(bound->mail)));
	record_write_msgpack(&packed, &courier_bound_record, bound);
	fuzz_must(!packed.failed);
	fuzz_must(record_read_msgpack(&again, &courier_bound_record,
		      packed.data, packed.len, NULL, &arena, NULL) == 0);
	fuzz_must(
	    again.role == bound->role && strcmp(again.name, bound->name) == 0);
	buf_release(&packed);
	arena_release(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct directory_line line = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.fd = -1 };
	struct courier_bind job = { .password = { "a password", 10 } };
	struct courier_bound bound;
	const uint8_t *login;

	try_record(&courier_bind_record, data, size);
	try_record(&courier_bound_record, data, size);
	start();
	uint8_t modes = fuzz_byte(&input);
	size_t n = fuzz_take(&login, &input, modes >> 3 & 31);

	if (n > 0)
		memcpy(job.login, login, n);
	job.login[strnlen(job.login, n)] = '\0';
	pthread_mutex_lock(&server.lock);
	server.input = input;
	pthread_mutex_unlock(&server.lock);
	struct directory_options options = server.options;

	if ((modes & 1) != 0)
		snprintf(options.bind_dn, sizeof(options.bind_dn),
		    "uid={login},dc=x");
	directory_ask(&bound, &options, "secret", &job, &line);
	look_at(&bound);
	return 0;
}
