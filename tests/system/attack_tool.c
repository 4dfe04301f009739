/*
 * What an attacker does with a device's folder and TPM, one thing a call, for
 * tests/system/attacks: the words around it, and the wire, are theirs.
 *
 *   attack_tool WORK name=value...
 *
 * proof      an honest proof over any subject: folder, tcti, class, purpose,
 *            site, tenant, device, nonce, exporter, digest
 * show       what a device shows of itself: folder, tcti, site, tenant
 * answer     the secret of a challenge: folder, tcti, site, tenant,
 *            credential, seed
 * raise      the counter: folder, tcti, site, tenant, to
 * pretend    a TPM in software: public key, endorsement key and a proof of his
 *            own making: like proof, with ek (none: random), counter, clock_ms
 * digest     what a proof of a request is over: of=take|extend, json
 * request    an activation request of the site whose folder he has: state,
 *            tenant
 * forge      a grant that no site decided on, in a batch of his own beside the
 *            true one, signed with the key of the site whose folder he has, or
 *            with his own: state, header, row, row_number, lease, nonce
 * beat       the same for a beat: state, header, lease, nonce, ttl_s
 * index      puts another index in the counter's place, or beside it: folder,
 *            tcti, site, tenant, kind=ordinary|disguised|second|orderly|
 *            unguarded|again, value
 * statement  what the TPM signs of such an index, as the proof that it would
 *            be: like proof, with index=0 (the counter's) or 1 (the next)
 *
 * Bytes are base64url, as on the wire; so is what it says, in JSON. Without
 * `tcti` the identity is a key file.
 */
#include "appliance/setup/setup.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/license/license.h"
#include "shared/proof/identity.h"
#include "shared/proof/p256.h"
#include "shared/proof/template.h"
#include "shared/rpc/borrow.h"
#include "tests/unit/tpm_attacker.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 16384
/* TPMA_NV */
#define AUTHWRITE 0x4u
#define POLICYWRITE 0x8u
#define COUNTER 0x10u
#define AUTHREAD 0x40000u
#define NO_DA 0x2000000u
#define ORDERLY 0x4000000u

static void __attribute__((noreturn)) fail(const char *what, const char *why)
{
	fprintf(stderr, "attack_tool: %s: %s\n", what, why);
	exit(1);
}

static void
must(int err, const char *what)
{
	if (err != 0)
		fail(what, err_code(err));
}

/* NULL: it was not given. */
static const char *
word(char **args, const char *name)
{
	size_t len = strlen(name);

	for (char **at = args; *at != NULL; at++)
		if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
			return *at + len + 1;
	return NULL;
}

static const char *
need(char **args, const char *name)
{
	const char *value = word(args, name);

	if (value == NULL)
		fail(name, "not given");
	return value;
}

static size_t
bytes(char **args, uint8_t *out, size_t size, const char *name)
{
	const char *text = word(args, name);
	size_t len = 0;

	if (text != NULL &&
	    text_from_base64(out, size, &len, text, strlen(text)) != 0)
		fail(name, "not base64url");
	return len;
}

static uint64_t
number(char **args, const char *name)
{
	const char *text = word(args, name);

	return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static void
say_record(const struct record *record, const void *value)
{
	struct buf out = { 0 };

	record_write_json(&out, record, value);
	if (out.failed)
		fail("record", "no memory");
	printf("%.*s\n", (int)out.len, (const char *)out.data);
	buf_release(&out);
}

static void
say_bytes(const char *key, const void *data, size_t len, const char *end)
{
	char text[TEXT_MAX];

	text_to_base64(text, data, len);
	printf("\"%s\":\"%s\"%s", key, text, end);
}

/* --- the device ----------------------------------------------------------- */

static struct identity *
open_identity(char **args)
{
	struct identity_options options = {
		.folder = need(args, "folder"),
		.tcti = word(args, "tcti"),
		.class_ = PROOF_SOFTWARE,
		.ek = word(args, "p256") != NULL ? IDENTITY_P256 : IDENTITY_RSA,
	};
	struct identity *identity;

	if (word(args, "class") != NULL &&
	    strcmp(word(args, "class"), "assigned") == 0)
		options.class_ = PROOF_ASSIGNED;
	must(identity_open_with(&identity, &options), "identity");
	if (word(args, "site") != NULL)
		must(identity_bind(identity, need(args, "site"),
			 need(args, "tenant")),
		    "bind");
	return identity;
}

static void
read_subject(char **args, struct proof_subject *subject)
{
	const char *purpose = need(args, "purpose");

	*subject = (struct proof_subject){ .site = need(args, "site"),
		.tenant = need(args, "tenant"),
		.device = number(args, "device") };
	while (strcmp(proof_purpose_names[subject->purpose], purpose) != 0)
		if (proof_purpose_names[++subject->purpose] == NULL)
			fail("purpose", "there is no such");
	bytes(args, subject->nonce, 32, "nonce");
	bytes(args, subject->exporter, 32, "exporter");
	bytes(args, subject->request_digest, 32, "digest");
}

static void
do_proof(char **args)
{
	struct identity *identity = open_identity(args);
	struct proof_subject subject;
	struct proof proof;

	read_subject(args, &subject);
	must(proof_make(&proof, identity, &subject), "proof");
	say_record(&proof_record, &proof);
	identity_close(identity);
}

static void
do_show(char **args)
{
	struct identity *identity = open_identity(args);
	struct proof_material material;
	struct arena arena = { 0 };
	uint8_t key[PROOF_KEY_MAX];
	uint64_t counter;

	must(identity_enroll_material(&material, identity, &arena), "material");
	must(identity_counter_read(&counter, identity), "counter");
	printf("{\"counter\":%llu,", (unsigned long long)counter);
	say_bytes("public_key", key, identity_public(key, identity), ",");
	say_bytes("ek", material.ek.data, material.ek.len, ",");
	say_bytes("certificate", material.certificate.data,
	    material.certificate.len, "}\n");
	arena_release(&arena);
	identity_close(identity);
}

static void
do_answer(char **args)
{
	struct identity *identity = open_identity(args);
	uint8_t credential[512], seed[512], secret[PROOF_SECRET_BYTES];
	struct proof_challenge challenge = {
		{ credential,
		    (uint32_t)bytes(args, credential, 512, "credential") },
		{ seed, (uint32_t)bytes(args, seed, 512, "seed") },
	};

	must(identity_challenge_answer(secret, identity, &challenge), "answer");
	printf("{");
	say_bytes("secret", secret, sizeof(secret), "}\n");
	identity_close(identity);
}

static void
do_raise(char **args)
{
	struct identity *identity = open_identity(args);

	must(identity_counter_raise(identity, number(args, "to")), "raise");
	puts("{}");
	identity_close(identity);
}

/* --- what is asked -------------------------------------------------------- */

static void
do_digest(char **args)
{
	const char *json = need(args, "json");
	bool take = strcmp(need(args, "of"), "take") == 0;
	struct record_error error = { .field = "" };
	struct arena arena = { 0 };
	struct borrow_extend extend;
	struct borrow_take ask;
	uint8_t digest[32];
	int err = take ? record_read_json(&ask, &borrow_take_record, json,
			     strlen(json), &arena, &error)
		       : record_read_json(&extend, &borrow_extend_record, json,
			     strlen(json), &arena, &error);

	if (err != 0)
		fail(error.field, error.reason);
	must(take ? borrow_take_digest(digest, &ask)
		  : borrow_extend_digest(digest, &extend),
	    "digest");
	printf("{");
	say_bytes("digest", digest, sizeof(digest), "}\n");
	arena_release(&arena);
}

static void
do_request(char **args)
{
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);
	struct site_file site;
	struct buf token = { 0 };

	if (secret == NULL)
		fail("request", "no memory");
	must(setup_read(&site, need(args, "state")), "site");
	must(setup_site_key(secret, need(args, "state")), "site key");
	must(setup_request_sign(&token, &site, need(args, "tenant"),
		 clock_wall_ms(), secret, NULL,
		 &(struct succession){ { NULL, 0 } }),
	    "request");
	printf("%.*s\n", (int)token.len, (const char *)token.data);
	buf_release(&token);
	sodium_free(secret);
}

/* --- the site's key ------------------------------------------------------- */

/* That of a site whose folder he has; else a new one. */
static uint8_t *
signing_key(char **args)
{
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);
	uint8_t public_key[TOKEN_PUBLIC_BYTES];

	if (secret == NULL)
		fail("key", "no memory");
	if (word(args, "state") != NULL)
		must(setup_site_key(secret, word(args, "state")), "site key");
	else
		crypto_sign_keypair(public_key, secret);
	return secret;
}

static void
read_header(char **args, struct journal_header *header, uint8_t head[32])
{
	const char *token = need(args, "header");
	struct record_error error = { .field = "" };
	struct arena arena = { 0 };
	struct buf text = { 0 };

	must(token_peek(&text, token, strlen(token)), "header");
	must(record_read_json(header, &journal_header_record,
		 (const char *)text.data, text.len, &arena, &error),
	    "header");
	journal_head(head, text.data, text.len);
	buf_release(&text);
	arena_release(&arena);
}

static void
forge_row(char **args, struct buf *out, uint64_t row_number)
{
	uint8_t old[LEASE_ROW_MAX];
	size_t len = bytes(args, old, sizeof(old), "row");
	struct arena arena = { 0 };
	struct row row;

	must(row_read(&row, row_number, old, len, &arena), "row");
	bytes(args, row.u.lease_granted.nonce, NONCE_BYTES, "nonce");
	row.u.lease_granted.lease = number(args, "lease");
	row_write(out, &row);
	arena_release(&arena);
}

static void
do_forge(char **args)
{
	struct journal_header header;
	struct buf row = { 0 }, token = { 0 };
	uint8_t head[32], *secret = signing_key(args);

	read_header(args, &header, head);
	header.first_row = number(args, "row_number");
	header.rows = 1;
	forge_row(args, &row, header.first_row);
	journal_row_leaf(header.root, header.tenant, header.first_row, row.data,
	    row.len);
	must(journal_header_sign(&token, head, &header, secret), "header");
	printf("{\"header\":\"%.*s\",", (int)token.len,
	    (const char *)token.data);
	say_bytes("row", row.data, row.len, "}\n");
	buf_release(&row);
	buf_release(&token);
	sodium_free(secret);
}

static void
do_beat(char **args)
{
	struct journal_header header;
	struct journal_beat beat = { .count = 1 };
	struct buf token = { 0 };
	uint8_t of[32] = { 0 }, *secret = signing_key(args);

	read_header(args, &header, beat.head);
	beat.generation = header.generation;
	beat.batch = header.batch;
	beat.time = clock_wall_ms();
	text_copy(beat.site, sizeof(beat.site), header.site);
	text_copy(beat.tenant, sizeof(beat.tenant), header.tenant);
	bytes(args, of, sizeof(of), "nonce");
	journal_beat_leaf(beat.root, number(args, "lease"), of,
	    (uint32_t)number(args, "ttl_s"));
	must(license_document_sign(&token, &journal_beat_record, &beat,
		 TOKEN_BEAT, secret),
	    "beat");
	printf("{\"beat\":\"%.*s\",\"index\":0}\n", (int)token.len,
	    (const char *)token.data);
	buf_release(&token);
	sodium_free(secret);
}

/* --- the TPM -------------------------------------------------------------- */

static struct tpm_identity *
open_tpm(char **args)
{
	/* The identity's own folder, so that the attacker has its secrets. */
	return attacker_open(need(args, "folder"), need(args, "tcti"));
}

static void
do_pretend(char **args)
{
	struct proof proof = { .counter = number(args, "counter"),
		.clock_ms = number(args, "clock_ms") };
	uint8_t ek[PROOF_EK_MAX], key[PROOF_KEY_BYTES_TPM], qualifying[32];
	size_t len = bytes(args, ek, sizeof(ek), "ek");
	struct proof_subject subject;
	struct buf out = { 0 };

	if (len == 0) {
		len = TEMPLATE_EK_RSA_BYTES;
		randombytes_buf(ek, len);
		ek[0] |= 0x80;
		ek[len - 1] |= 1;
	}
	read_subject(args, &subject);
	proof_qualifying_data(qualifying, &subject);
	attacker_pretend(&proof, key, ek, len, qualifying);
	record_write_json(&out, &proof_record, &proof);
	printf("{\"proof\":%.*s,", (int)out.len, (const char *)out.data);
	say_bytes("public_key", key, sizeof(key), ",");
	say_bytes("ek", ek, len, "}\n");
	buf_release(&out);
}

static const struct index_kind {
	const char *name;
	struct attack_index index;
	bool in_place; /* of the enrolled one */
	bool written; /* not counted */
} index_kinds[] = {
	{ "ordinary", { 0, AUTHWRITE | AUTHREAD | NO_DA, 8, false }, true,
	    true },
	{ "disguised",
	    { 0, AUTHWRITE | POLICYWRITE | AUTHREAD | NO_DA, 8, true }, true,
	    true },
	{ "second",
	    { 1, AUTHWRITE | POLICYWRITE | COUNTER | AUTHREAD | NO_DA, 8,
		true },
	    false, false },
	{ "orderly",
	    { 0, AUTHWRITE | POLICYWRITE | COUNTER | AUTHREAD | NO_DA | ORDERLY,
		8, true },
	    true, false },
	{ "unguarded", { 0, AUTHWRITE | COUNTER | AUTHREAD | NO_DA, 8, false },
	    true, false },
};

static uint32_t
enrolled_index(const struct tpm_identity *tpm)
{
	const struct tpm_site *site = tpm_store_bound(tpm->store);

	if (site == NULL)
		fail("index", "no site is bound");
	return site->index;
}

/* The very template, so that the rightful bind counts it for the first time. */
static void
define_again(struct tpm_identity *tpm, uint32_t at)
{
	const struct attack_index again = { at,
		POLICYWRITE | COUNTER | AUTHREAD | NO_DA, 8, true };

	if (!attacker_undefine(tpm, at))
		fail("index", "it is not there");
	attacker_define(tpm, &again);
}

static void
do_index(char **args)
{
	struct tpm_identity *tpm = open_tpm(args);
	const char *kind = need(args, "kind");
	uint32_t at = enrolled_index(tpm);

	if (strcmp(kind, "again") == 0) {
		define_again(tpm, at);
		goto out;
	}
	for (size_t i = 0; i < sizeof(index_kinds) / sizeof(index_kinds[0]);
	     i++) {
		struct attack_index index = index_kinds[i].index;

		if (strcmp(index_kinds[i].name, kind) != 0)
			continue;
		index.index += at;
		if (index_kinds[i].in_place && !attacker_undefine(tpm, at))
			fail(kind, "the counter is not there");
		attacker_define(tpm, &index);
		if (index_kinds[i].written)
			attacker_write(tpm, index.index, number(args, "value"));
		else
			attacker_count(tpm, index.index);
		goto out;
	}
	fail(kind, "there is no such index");
out:
	puts("{}");
	attacker_close(tpm);
}

static void
do_statement(char **args)
{
	struct tpm_identity *tpm = open_tpm(args);
	struct proof_subject subject;
	struct statement statement;
	struct proof proof;
	uint8_t qualifying[32];

	read_subject(args, &subject);
	proof_qualifying_data(qualifying, &subject);
	if (!attacker_certify(&statement, tpm,
		enrolled_index(tpm) + (uint32_t)number(args, "index"), 8, 0,
		qualifying))
		fail("statement", "the TPM refuses");
	if (!statement_is_signed(&statement, tpm->store->ak) ||
	    !attacker_proof(&proof, &statement))
		fail("statement", "it is no proof");
	say_record(&proof_record, &proof);
	attacker_close(tpm);
}

static const struct {
	const char *name;
	void (*work)(char **args);
} works[] = {
	{ "proof", do_proof },
	{ "show", do_show },
	{ "answer", do_answer },
	{ "raise", do_raise },
	{ "pretend", do_pretend },
	{ "digest", do_digest },
	{ "request", do_request },
	{ "forge", do_forge },
	{ "beat", do_beat },
	{ "index", do_index },
	{ "statement", do_statement },
};

int
main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	log_open("attack_tool", LOG_ERROR, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(works) / sizeof(works[0]);
	     i++)
		if (strcmp(works[i].name, argv[1]) == 0) {
			works[i].work(argv + 2);
			return 0;
		}
	fputs("usage: attack_tool proof|show|answer|raise|pretend|digest|"
	      "request|forge|beat|index|statement name=value...\n",
	    stderr);
	return 2;
}
