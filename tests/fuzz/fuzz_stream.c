/*
 * An agent that lies about form: what it writes on its socket is read by the
 * library as answers and notices, or ends the connection. First byte: the
 * operation asked; second: the size of writes.
 */
#include "tests/fuzz/fuzz.h"

#include "agent/lib/local.h"
#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listener = -1;
static char path[64];
static size_t notices;

static void
remove_socket(void)
{
	unlink(path);
}

static void
open_listener(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/dev/shm/fuzz-stream-%d.sock",
	    (int)getpid());
	memcpy(address.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fuzz_must(
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	fuzz_must(listen(listener, 4) == 0);
	atexit(remove_socket);
}

static void
on_notice(void *ctx, enum local_id id, const void *params)
{
	const struct local_operation *op = local_get(id);

	(void)ctx;
	fuzz_must(op != NULL && params != NULL);
	fuzz_must(record_check(op->request, params, NULL) == 0);
	notices++;
}

/* A request of the operation that its record allows. */
static void *
make_request(const struct local_operation *op, struct arena *arena)
{
	static const char *const texts[LOCAL_COUNT] = {
		[LOCAL_CHECKOUT] =
		    "{\"product\":\"p\",\"version\":\"1.0\","
		    "\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAAAAAAAAAAA\",\"request\":\"AAAAAAAAAAAAAAAA"
		    "AAAAAA\"}",
	};
	void *request =
	    calloc(1, op->request->size > 0 ? op->request->size : 1);
	const char *text = texts[op->id] != NULL ? texts[op->id] : "{}";

	fuzz_must(request != NULL);
	/* Where it is not, the zeros are refused by the library: fine. */
	(void)record_read_json(request, op->request, text, strlen(text), arena,
	    NULL);
	return request;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	const struct local_operation *op =
	    local_get(1 + fuzz_byte(&input) % (LOCAL_COUNT - 1));
	size_t step = 1 + (size_t)fuzz_byte(&input) * 64;
	struct local_waiter waiter = { 0 };
	struct arena arena = { .max_bytes = (size_t)16 << 20 };
	struct problem problem = { 0 };
	struct local *local = NULL;

	if (listener < 0)
		open_listener();
	fuzz_must(local_open(&local, path, 1000, &problem) == 0);
	int peer = accept(listener, NULL, NULL);

	fuzz_must(peer >= 0);
	local_on_notice(local, on_notice, NULL);
	void *request = make_request(op, &arena);
	void *reply = calloc(1, op->reply->size > 0 ? op->reply->size : 1);
	int err =
	    local_begin(&waiter, local, op->id, request, -1, 1000, &problem);
	bool asked = err == 0;

	while (input.size > 0) {
		const uint8_t *piece;
		size_t n = fuzz_take(&piece, &input, step);

		if (send(peer, piece, n, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    (ssize_t)n)
			break;
		if (asked && local_wait(local, -1, 0) != 0)
			break;
	}
	shutdown(peer, SHUT_WR);
	if (asked) {
		memset(&problem, 0, sizeof(problem));
		err = local_end(reply, &waiter, local, &arena, 1000, &problem);
		if (err == 0)
			fuzz_must(record_check(op->reply, reply, NULL) == 0);
		else
			fuzz_must(err < 0 && problem.code[0] != '\0' &&
			    memchr(problem.detail, '\0',
				sizeof(problem.detail)) != NULL);
	}
	local_close(local);
	close(peer);
	free(request);
	free(reply);
	arena_release(&arena);
	return 0;
}
