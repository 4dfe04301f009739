/* See entry.h. */
#include "tests/bench/entry.h"

#include "shared/base/text.h"

#include <sodium.h>

int
entry_ask(struct entry *entry, enum operation_id op, const void *request)
{
	const struct operation *operation = operation_get(op);
	struct buf out = { 0 };
	int rc = -1;

	rpc_write_request(&out, ++entry->id, operation->name,
	    operation->request, request);
	if (!out.failed)
		rc = socket_send(&entry->socket, out.data, out.len);
	buf_release(&out);
	return rc;
}

int
entry_begin(struct entry *entry)
{
	struct hello hello = { .protocol = PROTOCOL_VERSION,
		.software = "load",
		.device = entry->device->number };

	entry->step = entry->device->number == 0 ? ENTRY_HELLO : ENTRY_LOGIN;
	return entry_ask(entry, OP_SESSION_HELLO, &hello);
}

struct proof_subject
entry_subject(const struct entry *entry)
{
	return (struct proof_subject){ .site = entry->site,
		.tenant = entry->tenant,
		.device = entry->device->number };
}

/* --- steps ----------------------------------------------------------------- */

static int
enroll(struct entry *entry, struct proof_subject *subject)
{
	const char *join = entry->join;
	struct device *device = entry->device;
	struct enroll enroll = { .material = device_material(device) };

	subject->purpose = PROOF_ENROLL;
	crypto_hash_sha256(subject->request_digest, (const unsigned char *)join,
	    strlen(join));
	if (device_prove(&enroll.proof, device, subject) != 0)
		return -1;
	enroll.class_ = enroll.proof.class_;
	enroll.join = (struct record_span){ join, (uint32_t)strlen(join) };
	enroll.public_key.data = device->key;
	enroll.public_key.len = (uint32_t)device->key_len;
	snprintf(enroll.name, sizeof(enroll.name), "load-%u", entry->number);
	text_copy(enroll.host, sizeof(enroll.host), "load");
	entry->step = ENTRY_ENROLL;
	return entry_ask(entry, OP_DEVICE_ENROLL, &enroll);
}

static int
enroll_or_prove(struct entry *entry, const struct hello_reply *reply)
{
	struct proof_subject subject;
	struct prove prove;

	memcpy(entry->site, reply->site, sizeof(entry->site));
	memcpy(entry->tenant, reply->tenant, sizeof(entry->tenant));
	subject = entry_subject(entry);
	memcpy(subject.nonce, reply->nonce, sizeof(subject.nonce));
	if (socket_exporter(subject.exporter, &entry->socket) != 0)
		return -1;
	if (entry->device->number == 0)
		return enroll(entry, &subject);
	subject.purpose = PROOF_LOGIN;
	if (device_prove(&prove.proof, entry->device, &subject) != 0)
		return -1;
	entry->step = ENTRY_PROVE;
	return entry_ask(entry, OP_SESSION_PROVE, &prove);
}

static int
activate(struct entry *entry, const struct proof_challenge *challenge)
{
	struct enroll_activate answer;

	if (entry->step != ENTRY_ENROLL ||
	    device_activate(answer.secret, entry->device, challenge) != 0)
		return -1;
	entry->step = ENTRY_ACTIVATE;
	return entry_ask(entry, OP_DEVICE_ACTIVATE, &answer);
}

static int
enrolled(struct entry *entry, const struct enroll_reply *reply)
{
	if (reply->device == 0)
		return activate(entry, &reply->challenge);
	entry->device->number = reply->device;
	if (device_remember(entry->device, entry->folder, entry->number) != 0)
		return -1;
	return entry_begin(entry);
}

static int
next_step(struct entry *entry, const struct rpc_envelope *envelope,
    struct arena *arena)
{
	struct record_error error;
	struct hello_reply hello;
	struct enroll_reply reply;
	const char *result = envelope->result;
	size_t len = envelope->result_len;

	switch (entry->step) {
	case ENTRY_HELLO:
	case ENTRY_LOGIN:
		if (record_read_json(&hello, &hello_reply_record, result, len,
			arena, &error) != 0)
			return -1;
		return enroll_or_prove(entry, &hello);
	case ENTRY_ENROLL:
	case ENTRY_ACTIVATE:
		if (record_read_json(&reply, &enroll_reply_record, result, len,
			arena, &error) != 0)
			return -1;
		return enrolled(entry, &reply);
	case ENTRY_PROVE:
		entry->step = ENTRY_INSIDE;
		return 1;
	case ENTRY_OUTSIDE:
	case ENTRY_INSIDE:
		break;
	}
	return -1;
}

int
entry_heard(struct entry *entry, const char *text, size_t len)
{
	struct rpc_envelope envelope;
	struct record_error error;
	struct arena arena = { 0 };
	int rc = -1;

	if (rpc_read(&envelope, text, len, &error) == 0) {
		if (envelope.id == 0)
			return 0; /* a notice */
		if (envelope.result != NULL)
			rc = next_step(entry, &envelope, &arena);
	}
	if (rc < 0)
		fprintf(stderr, "while logging in: %.*s\n", (int)len, text);
	arena_release(&arena);
	return rc;
}

int
entry_allow_files(unsigned int n)
{
	const struct rlimit files = { n, n };

	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return 0;
	fprintf(stderr, "%u open files: %s\n", n, strerror(errno));
	return -1;
}
