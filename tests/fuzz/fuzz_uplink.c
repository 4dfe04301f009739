/*
 * An uplink that was taken, on the keeper's channel: it says what it likes, as
 * a site or otherwise, and no lease comes of it, because it has no key of the
 * site. Input: lines, each of two bytes and a payload: kind and operation. JSON
 * is sent as the record that belongs there; tags and attempts are guessed
 * right.
 */
#include "tests/fuzz/fuzz.h"

#include "agent/keeper/private.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/ipc/ipc.h"

#include <event2/event.h>
#include <ftw.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURNS 6

static char folder[64];
static int listener;
static uint64_t attempt, last_tag;
static uint16_t last_op;

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
make_folder(void)
{
	struct enrolment site = {
		.url = "https://site.example:7443",
		.host = "site.example",
		.port = 7443,
		.site = "site-fuzz",
		.tenant = "default",
		.device = 7,
		.name = "fuzz",
	};
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct files files;
	char state[80];

	struct sockaddr_un address = { .sun_family = AF_UNIX };

	log_open("fuzz", LOG_ERROR + 1, 0);
	signal(SIGPIPE, SIG_IGN); /* as keeper_main does */
	fuzz_must(sodium_init() >= 0);
	snprintf(folder, sizeof(folder), "/dev/shm/fuzz-uplink-XXXXXX");
	fuzz_must(mkdtemp(folder) != NULL);
	atexit(remove_folder);
	snprintf(state, sizeof(state), "%s/state", folder);
	fuzz_must(files_open(&files, state) == 0);
	fuzz_must(crypto_sign_keypair(site.site_key, secret) == 0);
	fuzz_must(files_write_enrolment(&files, &site, "no CA\n") == 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket",
	    folder);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fuzz_must(
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(listener, 1) == 0);
}

/* What the keeper asks: so that an answer can be to something. */
static void
overhear(int fd)
{
	uint8_t bytes[65536];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (ssize_t at = 0; at + IPC_HEADER_BYTES <= n;) {
			const uint8_t *header = bytes + at;

			if (be16_read(header + 4) == UPLINK_CONNECT)
				attempt = be64_read(header + 8);
			if (be16_read(header + 4) == UPLINK_CALL) {
				last_op = be16_read(header + 6);
				last_tag = be64_read(header + 16);
			}
			at += IPC_HEADER_BYTES + (ssize_t)be32_read(header);
		}
}

static const struct record *
record_of(uint16_t kind, uint16_t op)
{
	const struct operation *operation = operation_get(op);

	if (kind == UPLINK_OPENED)
		return &uplink_peer_record;
	if (kind == UPLINK_PROBLEM)
		return &problem_record;
	if (operation == NULL)
		return NULL;
	return kind == UPLINK_NOTICE ? operation->request : operation->reply;
}

static void
dress(struct buf *out, const struct record *record, const uint8_t *data,
    size_t len)
{
	struct arena arena = { .max_bytes = (size_t)1 << 20 };
	void *value = calloc(1, record != NULL ? record->size + 1 : 1);

	fuzz_must(value != NULL);
	if (record != NULL && len > 0 && data[0] == '{' &&
	    record_read_json(value, record, (const char *)data, len, &arena,
		NULL) == 0)
		record_write_msgpack(out, record, value);
	else
		buf_add(out, data, len);
	if (record == &problem_record)
		buf_add_be32(out, (uint32_t)ERR_NO_SEATS);
	free(value);
	arena_release(&arena);
}

static bool
tell(int fd, uint16_t kind, uint16_t op, const uint8_t *data, size_t len)
{
	struct buf out = { 0 };

	buf_add_be32(&out, (uint32_t)len);
	buf_add_be16(&out, kind);
	buf_add_be16(&out, op);
	buf_add_be64(&out, attempt);
	buf_add_be64(&out, last_tag);
	buf_add(&out, data, len);
	bool sent = send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    (ssize_t)out.len;

	buf_release(&out);
	return sent;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct event_base *base = event_base_new();
	struct keeper_options options = { .admin_gid = (gid_t)-1 };
	struct keeper *keeper;
	char state[80];
	int pair[2];

	if (folder[0] == '\0')
		make_folder();
	snprintf(state, sizeof(state), "%s/state", folder);
	options.state = state;
	options.listen_fd = listener;
	fuzz_must(base != NULL && keeper_new(&keeper, base, &options) == 0);
	fuzz_must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	fuzz_must(keeper_add_uplink(keeper, pair[0]) == 0);
	while (input.size > 0) {
		uint16_t kind = fuzz_byte(&input);
		uint16_t op = fuzz_byte(&input);
		const uint8_t *line = input.data;
		const uint8_t *end =
		    input.size > 0 ? memchr(line, '\n', input.size) : NULL;
		size_t len = fuzz_take(&line, &input,
		    end != NULL ? (size_t)(end - line) : input.size);
		struct buf payload = { 0 };

		(void)fuzz_byte(&input);

		for (int i = 0; i < TURNS; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		overhear(pair[1]);
		/* Small numbers are sensible ones. */
		kind = kind < 128 ? kind % 8 + UPLINK_OPENED : kind;
		op = op < 128 ? last_op : op - 128;
		dress(&payload, record_of(kind, op), line, len);
		bool told = tell(pair[1], kind, op, payload.data, payload.len);

		buf_release(&payload);
		if (!told)
			break;
	}
	for (int i = 0; i < TURNS; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	fuzz_must(!session_is_up(keeper));
	fuzz_must(TAILQ_EMPTY(&keeper->leases.all));
	close(pair[1]);
	for (int i = 0; i < TURNS; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	keeper_free(keeper);
	event_base_free(base);
	return 0;
}
