/* show: what a document says, and whether its signature holds; see vendor.h. */
#include "appliance/vendor/vendor.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 8
#define PAYLOAD_DEPTH_MAX 32

/* A public key that is at hand, and where it is from. */
struct known_key {
	uint8_t key[TOKEN_PUBLIC_BYTES];
	char from[64];
};

struct showing {
	const struct vendor_call *call;
	struct known_key keys[KEYS_MAX];
	size_t n_keys;
	struct buf out;
	unsigned int documents;
	bool broken; /* a signature did not hold */
};

/* What is known of one token. */
struct shown {
	char kid[TOKEN_KID_TEXT];
	const char *kind; /* name, or "unknown" */
	const char *signature; /* "holds", "does not hold", "not checked" */
	const char *by; /* where the key is from, or "" */
};

static void
add_key(struct showing *s, const uint8_t key[TOKEN_PUBLIC_BYTES],
    const char *from)
{
	if (s->n_keys == KEYS_MAX)
		return;
	memcpy(s->keys[s->n_keys].key, key, TOKEN_PUBLIC_BYTES);
	text_copy(s->keys[s->n_keys].from, sizeof(s->keys[0].from), from);
	s->n_keys++;
}

/* --- one token
 * ------------------------------------------------------------------- */

/* Kinds by a field that only they have, while no key says it. */
static const char *
guess_kind(const struct buf *payload)
{
	static const struct {
		const char *key;
		enum token_kind kind;
	} marks[] = {
		{ "license_id", TOKEN_LICENSE },
		{ "not_after", TOKEN_ISSUER },
		{ "key_class", TOKEN_REQUEST },
		{ "first_row", TOKEN_BATCH },
		{ "count", TOKEN_BEAT },
		{ "state_hash", TOKEN_CHECKPOINT },
		{ "ca_sha256", TOKEN_JOIN },
	};
	struct json_reader reader;
	struct json_token token;

	json_open(&reader, (const char *)payload->data, payload->len,
	    PAYLOAD_DEPTH_MAX);
	if (json_next(&reader, &token) != 0 || token.type != JSON_OBJECT)
		return "unknown";
	while (
	    json_next_key(&reader, &token) == 0 && token.type == JSON_STRING) {
		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
			if (token.len == strlen(marks[i].key) &&
			    memcmp(token.text, marks[i].key, token.len) == 0)
				return token_kind_name(marks[i].kind);
		if (json_next(&reader, &token) != 0 ||
		    json_skip(&reader, &token) != 0)
			break;
	}
	return "unknown";
}

/* The kind is not in the token but in what was signed: try each. */
static bool
verify_any_kind(struct shown *shown, const char *token, size_t len,
    const uint8_t key[TOKEN_PUBLIC_BYTES])
{
	static const enum token_kind kinds[] = {
#define X(name, text) name,
		TOKEN_KIND_LIST(X)
#undef X
	};
	struct buf payload = { 0 };
	bool holds = false;

	for (size_t i = 0; !holds && i < sizeof(kinds) / sizeof(kinds[0]);
	     i++) {
		holds = token_verify(&payload, kinds[i], token, len, key) == 0;
		if (holds)
			shown->kind = token_kind_name(kinds[i]);
	}
	buf_release(&payload);
	return holds;
}

/* A request, and nothing else, is signed with the key that it names. */
static void
add_request_key(struct showing *s, const struct buf *payload)
{
	struct license_request request;
	struct arena arena = { 0 };

	if (record_read_json(&request, &license_request_record,
		(const char *)payload->data, payload->len, &arena, NULL) == 0)
		add_key(s, request.site_key, "the site key that it names");
	arena_release(&arena);
}

static void
examine(struct shown *shown, struct showing *s, const char *token, size_t len,
    const struct buf *payload)
{
	char kid[TOKEN_KID_TEXT];

	shown->kind = guess_kind(payload);
	shown->signature = "not checked";
	shown->by = "";
	for (size_t i = 0; i < s->n_keys; i++) {
		token_key_id(kid, s->keys[i].key);
		if (strcmp(kid, shown->kid) != 0)
			continue;
		shown->by = s->keys[i].from;
		if (verify_any_kind(shown, token, len, s->keys[i].key)) {
			shown->signature = "holds";
		} else {
			shown->signature = "does not hold";
			s->broken = true;
		}
		return;
	}
}

static void
add_shown(struct showing *s, const struct shown *shown,
    const struct buf *payload)
{
	struct buf *out = &s->out;
	const char *json = (const char *)payload->data;

	if (!s->call->json) {
		buf_printf(out,
		    "%skind       %s\nsigned by  %s\nsignature  %s%s%s%s\n",
		    s->documents > 0 ? "\n\n" : "", shown->kind, shown->kid,
		    shown->signature, shown->by[0] != '\0' ? " (" : "",
		    shown->by[0] != '\0' ? shown->by
					 : ": the key is not here, see --key",
		    shown->by[0] != '\0' ? ")" : "");
		vendor_pretty(out, json, payload->len, 0);
		return;
	}
	buf_add_str(out, s->documents > 0 ? ",{" : "{");
	vendor_add_member(out, "kind", shown->kind);
	buf_add_byte(out, ',');
	vendor_add_member(out, "kid", shown->kid);
	buf_add_byte(out, ',');
	vendor_add_member(out, "signature", shown->signature);
	buf_add_byte(out, ',');
	vendor_add_member(out, "key_from", shown->by);
	buf_add_str(out, ",\"payload\":");
	buf_add(out, json, payload->len);
	buf_add_byte(out, '}');
}

static int
fail_show(const struct showing *s, int err, const char *words)
{
	return vendor_fail(s->call, err,
	    "It can show tokens (v4.public...), license files and keys", NULL,
	    "%s: %s", s->call->subject, words);
}

static int
show_token(struct showing *s, const char *token, size_t len)
{
	struct shown shown;
	struct buf payload = { 0 };
	int err = token_kid(shown.kid, token, len);

	if (err == 0)
		err = token_peek(&payload, token, len);
	if (err == 0 &&
	    json_check((const char *)payload.data, payload.len,
		PAYLOAD_DEPTH_MAX) != 0)
		err = ERR_BAD_TOKEN;
	if (err != 0) {
		buf_release(&payload);
		return fail_show(s, err, "is no signed document of Leasehold");
	}
	size_t known = s->n_keys;

	add_request_key(s, &payload);
	examine(&shown, s, token, len, &payload);
	add_shown(s, &shown, &payload);
	s->n_keys = known;
	s->documents++;
	buf_release(&payload);
	return VENDOR_DONE;
}

/* --- keys at hand
 * -------------------------------------------------------------- */

/* The key that an issuer's token names, if a key at hand vouches for it. */
static void
add_issuer_key(struct showing *s, const char *token, size_t len,
    const char *from)
{
	struct license_issuer issuer;
	struct arena arena = { 0 };

	for (size_t i = 0; i < s->n_keys; i++) {
		if (license_document_read(&issuer, &license_issuer_record,
			TOKEN_ISSUER, token, len, s->keys[i].key, &arena,
			NULL) != 0)
			continue;
		add_key(s, issuer.key, from);
		break;
	}
	arena_release(&arena);
}

static bool
read_public(uint8_t key[TOKEN_PUBLIC_BYTES], const char *path)
{
	uint8_t *text = NULL;
	size_t len;

	if (file_read(&text, &len, path, 4096) != 0)
		return false;
	text[strcspn((char *)text, "\r\n")] = '\0';
	bool good = token_public_parse(key, (char *)text) == 0;

	free(text);
	return good;
}

/* root.pub and issuer.token in the folder of what is shown. */
static void
add_keys_beside(struct showing *s)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];
	const char *slash = strrchr(s->call->subject, '/');
	uint8_t key[TOKEN_PUBLIC_BYTES];
	uint8_t *text = NULL;
	size_t len;

	if (slash == NULL)
		text_copy(folder, sizeof(folder), ".");
	else if (!text_copy_n(folder, sizeof(folder), s->call->subject,
		     (size_t)(slash - s->call->subject) + 1))
		return;
	if (vendor_path(path, folder, "root.pub") && read_public(key, path))
		add_key(s, key, "root.pub beside it");
	if (vendor_path(path, folder, "issuer.token") &&
	    file_read(&text, &len, path, VENDOR_FILE_MAX) == 0) {
		add_issuer_key(s, (char *)text, strcspn((char *)text, "\r\n"),
		    "issuer.token beside it");
		free(text);
	}
}

static int
add_key_option(struct showing *s)
{
	const char *value = vendor_option(s->call, "--key");
	uint8_t key[TOKEN_PUBLIC_BYTES];

	if (value == NULL)
		return VENDOR_DONE;
	if (token_public_parse(key, value) != 0 && !read_public(key, value))
		return vendor_fail(s->call, ERR_BAD_REQUEST,
		    "It must be a public key (k4.public...) or a file with one",
		    "leasehold-vendor show --help",
		    "--key %.128s: is no public key", value);
	add_key(s, key, "--key");
	return VENDOR_DONE;
}

/* --- files
 * ---------------------------------------------------------------------- */

static int
show_file(struct showing *s, const char *text, size_t len)
{
	struct license_file file;
	struct arena arena = { 0 };
	struct record_error why = { "", "" };
	char words[320];
	int status;

	if (record_read_json(&file, &license_file_record, text, len, &arena,
		&why) != 0) {
		snprintf(words, sizeof(words), "is no license file: %s %s",
		    why.field, why.reason);
		arena_release(&arena);
		return fail_show(s, ERR_BAD_REQUEST, words);
	}
	status = show_token(s, file.issuer.data, file.issuer.len);
	if (status == VENDOR_DONE) {
		size_t known = s->n_keys;

		add_issuer_key(s, file.issuer.data, file.issuer.len,
		    "the issuer above");
		/* Without the root the license can still be held against the
		 * issuer that came with it; the words say no more. */
		if (s->n_keys == known) {
			struct buf payload = { 0 };
			struct license_issuer issuer;

			if (token_peek(&payload, file.issuer.data,
				file.issuer.len) == 0 &&
			    record_read_json(&issuer, &license_issuer_record,
				(const char *)payload.data, payload.len, &arena,
				NULL) == 0)
				add_key(s, issuer.key,
				    "the issuer above, itself not checked");
			buf_release(&payload);
		}
		status = show_token(s, file.license.data, file.license.len);
	}
	arena_release(&arena);
	return status;
}

static void
add_public(struct showing *s, const uint8_t key[TOKEN_PUBLIC_BYTES],
    const char *kind)
{
	char text[TOKEN_PUBLIC_TEXT];
	char kid[TOKEN_KID_TEXT];

	token_public_format(text, key);
	token_key_id(kid, key);
	if (s->call->json) {
		buf_add_byte(&s->out, '{');
		vendor_add_member(&s->out, "kind", kind);
		buf_add_byte(&s->out, ',');
		vendor_add_member(&s->out, "kid", kid);
		buf_add_byte(&s->out, ',');
		vendor_add_member(&s->out, "public", text);
		buf_add_byte(&s->out, '}');
	} else {
		buf_printf(&s->out, "kind    %s\nid      %s\npublic  %s", kind,
		    kid, text);
	}
}

static int
show_public(struct showing *s, char *text, size_t len)
{
	uint8_t key[TOKEN_PUBLIC_BYTES];

	text[len] = '\0';
	if (token_public_parse(key, text) != 0)
		return fail_show(s, ERR_BAD_REQUEST, "is no whole public key");
	add_public(s, key, "public key");
	return VENDOR_DONE;
}

/* Its public half; the secret never reaches the screen. */
static int
show_secret(struct showing *s)
{
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);
	int err = secret != NULL ? token_key_read(secret, s->call->subject)
				 : ERR_NOMEM;

	if (err == 0)
		add_public(s, secret + 32, "secret key (not shown)");
	sodium_free(secret);
	return err == 0 ? VENDOR_DONE : fail_show(s, err, vendor_reason(err));
}

static int
show_text(struct showing *s, char *text, size_t len)
{
	int status;

	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	if (strncmp(text, "k4.secret.", 10) == 0)
		return show_secret(s);
	if (strncmp(text, "k4.public.", 10) == 0)
		return show_public(s, text, len);
	status = add_key_option(s);
	if (status != VENDOR_DONE)
		return status;
	add_keys_beside(s);
	if (s->call->json)
		buf_add_str(&s->out, "{\"documents\":[");
	status = text[strspn(text, " \t\r\n")] == '{'
	    ? show_file(s, text, len)
	    : show_token(s, text, len);
	if (s->call->json)
		buf_add_str(&s->out, "]}");
	return status;
}

static int
run_show(struct vendor_call *call)
{
	struct showing s = { .call = call };
	uint8_t *text = NULL;
	size_t len;
	int err = file_read(&text, &len, call->subject, 2 * VENDOR_FILE_MAX);

	if (err != 0)
		return fail_show(&s, err, vendor_reason(err));
	int status = show_text(&s, (char *)text, len);

	if (status == VENDOR_DONE)
		status = vendor_print(call, &s.out);
	if (status == VENDOR_DONE && s.broken)
		status = vendor_fail(call, ERR_BAD_SIGNATURE,
		    "It was altered, or signed by somebody else under this "
		    "key's id: do not use it",
		    NULL, "%s: a signature does not hold", call->subject);
	buf_release(&s.out);
	sodium_memzero(text, len);
	free(text);
	return status;
}

static const struct vendor_option show_options[] = {
	{ "--key", "KEY", "a public key, or a file with one, to check with",
	    false },
	{ NULL, NULL, NULL, false },
};
const struct vendor_command vendor_show_command = { "show", "FILE",
	"Show a request, license, token or key, and check it",
	"leasehold-vendor show davinci.lic --key vendor/root.pub", show_options,
	run_show };
