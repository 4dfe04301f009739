/*
 * An agent that lies, for tests and the demo: it stands between an application
 * and the true agent and alters what the application is told of its lease.
 *
 *   liar_tool --socket NEW --agent TRUE --lie journal|site|replay
 *
 * journal  the grant is changed after the fact: it stands in no journal
 * site     a site of the liar's own answers, with the true license shown
 * replay   every application gets the first one's grant
 *
 * It knows the protocol as well as the true agent does; it only lacks keys.
 */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/local.h"
#include "shared/rpc/rpc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct liar {
	const char *lie;
	struct buf first; /* the first grant as JSON, for replay */
	uint8_t site_key[TOKEN_SECRET_BYTES];
};

/* Another lease number and a commit seat instead of an overage one. */
static int
lie_about_journal(struct local_checkout_reply *reply, struct buf *bytes)
{
	struct arena arena = { 0 };
	struct row row;
	int err = row_read(&row, reply->row_number, reply->row.data,
	    reply->row.len, &arena);

	if (err == 0) {
		row.u.lease_granted.lease += 1000;
		reply->lease = row.u.lease_granted.lease;
		row_write(bytes, &row);
		reply->row.data = bytes->data;
		reply->row.len = (uint32_t)bytes->len;
	}
	arena_release(&arena);
	return err;
}

/* The same row in a batch of one, signed by the liar's key. */
static int
lie_about_site(struct liar *liar, struct local_checkout_reply *reply,
    struct buf *token)
{
	struct journal_header header;
	struct record_error error;
	struct arena arena = { 0 };
	struct buf payload = { 0 };
	uint8_t head[32];
	int err = token_peek(&payload, reply->header.data, reply->header.len);

	if (err == 0)
		err = record_read_json(&header, &journal_header_record,
		    (const char *)payload.data, payload.len, &arena, &error);
	if (err == 0) {
		uint8_t leaf[32];

		journal_row_leaf(leaf, header.tenant, reply->row_number,
		    reply->row.data, reply->row.len);
		header.first_row = reply->row_number;
		header.rows = 1;
		memcpy(header.root, leaf, 32);
		err = journal_header_sign(token, head, &header, liar->site_key);
		reply->path.len = 0;
		reply->header.data = token->data;
		reply->header.len = (uint32_t)token->len;
	}
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

/* The agent's line as the application will see it. */
static void
alter(struct buf *out, struct liar *liar, const char *line, size_t len)
{
	struct rpc_envelope envelope;
	struct record_error error;
	struct local_checkout_reply reply;
	struct arena arena = { 0 };
	struct buf scratch = { 0 };
	int err = rpc_read(&envelope, line, len, &error);

	if (err != 0 || envelope.result == NULL ||
	    record_read_json(&reply, &local_checkout_reply_record,
		envelope.result, envelope.result_len, &arena, &error) != 0) {
		buf_add(out, line, len);
		goto out;
	}
	/* There is no point in lying about a place. */
	if (reply.lease == 0) {
		buf_add(out, line, len);
		goto out;
	}
	if (strcmp(liar->lie, "replay") == 0) {
		if (liar->first.len == 0)
			buf_add(&liar->first, envelope.result,
			    envelope.result_len);
		record_read_json(&reply, &local_checkout_reply_record,
		    (const char *)liar->first.data, liar->first.len, &arena,
		    &error);
	} else if (strcmp(liar->lie, "journal") == 0) {
		err = lie_about_journal(&reply, &scratch);
	} else {
		err = lie_about_site(liar, &reply, &scratch);
	}
	if (err != 0)
		fprintf(stderr, "liar: %s\n", err_str(err));
	rpc_write_result(out, envelope.id, &local_checkout_reply_record,
	    &reply);
out:
	buf_release(&scratch);
	arena_release(&arena);
}

/* A listening socket takes its name only once it listens, so that whoever sees
 * the name can connect. */
static int
open_socket(const char *path, bool server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s%s",
	    path, server ? ".new" : "");

	if (fd < 0 || n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -1;
	if (!server)
		return connect(fd, (struct sockaddr *)&address,
			   sizeof(address)) == 0
		    ? fd
		    : -1;
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 16) != 0 || rename(address.sun_path, path) != 0)
		return -1;
	return fd;
}

static bool
send_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* Whole lines from the agent, altered, to the application. */
static bool
forward_lines(struct liar *liar, struct buf *kept, int app)
{
	for (;;) {
		uint8_t *end =
		    kept->len == 0 ? NULL : memchr(kept->data, '\n', kept->len);
		struct buf out = { 0 };
		size_t len;
		bool sent;

		if (end == NULL)
			return true;
		len = (size_t)(end - kept->data);
		alter(&out, liar, (const char *)kept->data, len);
		if (out.len == 0 || out.data[out.len - 1] != '\n')
			buf_add_byte(&out, '\n');
		sent = send_all(app, out.data, out.len);
		buf_release(&out);
		memmove(kept->data, end + 1, kept->len - len - 1);
		kept->len -= len + 1;
		if (!sent)
			return false;
	}
}

static void
serve(struct liar *liar, int app, int agent)
{
	struct pollfd fds[2] = { { .fd = app, .events = POLLIN },
		{ .fd = agent, .events = POLLIN } };
	struct buf kept = { 0 };
	char chunk[65536];

	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents != 0) {
			ssize_t n = read(app, chunk, sizeof(chunk));

			if (n <= 0 || !send_all(agent, chunk, (size_t)n))
				break;
		}
		if (fds[1].revents != 0) {
			ssize_t n = read(agent, chunk, sizeof(chunk));

			if (n <= 0)
				break;
			buf_add(&kept, chunk, (size_t)n);
			if (kept.failed || !forward_lines(liar, &kept, app))
				break;
		}
	}
	buf_release(&kept);
}

int
main(int argc, char **argv)
{
	struct liar liar = { 0 };
	uint8_t public_key[TOKEN_PUBLIC_BYTES];
	const char *path = NULL, *agent = NULL;
	int listener;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--socket") == 0)
			path = argv[i + 1];
		else if (strcmp(argv[i], "--agent") == 0)
			agent = argv[i + 1];
		else if (strcmp(argv[i], "--lie") == 0)
			liar.lie = argv[i + 1];
	}
	if (path == NULL || agent == NULL || liar.lie == NULL) {
		fputs("usage: liar_tool --socket NEW --agent TRUE --lie "
		      "journal|site|replay\n",
		    stderr);
		return 2;
	}
	if (sodium_init() < 0)
		return 1;
	crypto_sign_keypair(public_key, liar.site_key);
	listener = open_socket(path, true);
	if (listener < 0) {
		perror(path);
		return 1;
	}
	for (;;) {
		int app = accept(listener, NULL, NULL);
		int true_agent = app < 0 ? -1 : open_socket(agent, false);

		if (true_agent < 0) {
			perror(agent);
			return 1;
		}
		serve(&liar, app, true_agent);
		close(app);
		close(true_agent);
	}
}
