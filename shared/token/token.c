/* PASETO v4.public and the documents made of it; see token.h. */
#include "shared/token/token.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

#define PREFIX "v4.public."
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* The whole text of the longest token: prefix, payload and signature, dot,
 * footer. */
#define TEXT_MAX                                                              \
	(PREFIX_LEN +                                                         \
	    TEXT_BASE64_SIZE(TOKEN_PAYLOAD_MAX + TOKEN_SIGNATURE_BYTES) + 1 + \
	    TEXT_BASE64_SIZE(TOKEN_FOOTER_MAX))

#define KID_PREFIX "{\"kid\":\""
#define KID_SUFFIX "\"}"
#define KID_LEN ((size_t)TOKEN_KID_TEXT - 1)
/* The one footer that our documents have. */
#define KID_FOOTER_LEN \
	(sizeof(KID_PREFIX) - 1 + KID_LEN + sizeof(KID_SUFFIX) - 1)

static const char *const kind_names[] = {
#define X(name, text) [name] = (text),
	TOKEN_KIND_LIST(X)
#undef X
};

static const char *const kind_assertions[] = {
#define X(name, text) [name] = "leasehold.v1." text,
	TOKEN_KIND_LIST(X)
#undef X
};

const char *
token_kind_name(enum token_kind kind)
{
	return kind_names[kind];
}

const char *
token_kind_assertion(enum token_kind kind)
{
	return kind_assertions[kind];
}

/* --- PASETO --------------------------------------------------------------- */

/* PASETO section 2.2.1: lengths in PAE are 64-bit little-endian. */
static void
add_le64(struct buf *buf, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	buf_add(buf, bytes, sizeof(bytes));
}

static void
pae_add(struct buf *pae, const void *piece, size_t len)
{
	add_le64(pae, len);
	buf_add(pae, piece, len);
}

static void
pae_begin(struct buf *pae)
{
	add_le64(pae, 4);
	pae_add(pae, PREFIX, PREFIX_LEN);
}

static void
add_base64(struct buf *out, const uint8_t *data, size_t len)
{
	uint8_t *text = buf_extend(out, TEXT_BASE64_SIZE(len));

	if (text == NULL)
		return;
	text_to_base64((char *)text, data, len);
	out->len--; /* the NUL */
}

int
token_sign_raw(struct buf *out, const void *payload, size_t len,
    const char *footer, size_t footer_len, const void *implicit,
    size_t implicit_len, const uint8_t secret[TOKEN_SECRET_BYTES])
{
	struct buf pae = { 0 };
	struct buf body = { 0 };
	size_t start = out->len;

	if (len > TOKEN_PAYLOAD_MAX || footer_len > TOKEN_FOOTER_MAX)
		return ERR_TOO_LARGE;
	pae_begin(&pae);
	pae_add(&pae, payload, len);
	pae_add(&pae, footer, footer_len);
	pae_add(&pae, implicit, implicit_len);
	buf_add(&body, payload, len);
	uint8_t *signature = buf_extend(&body, TOKEN_SIGNATURE_BYTES);

	if (!pae.failed && signature != NULL) {
		crypto_sign_detached(signature, NULL, pae.data, pae.len,
		    secret);
		buf_add_str(out, PREFIX);
		add_base64(out, body.data, body.len);
		if (footer_len != 0) {
			buf_add_byte(out, '.');
			add_base64(out, (const uint8_t *)footer, footer_len);
		}
	}
	bool failed = pae.failed || signature == NULL || out->failed;

	if (failed)
		out->len = start;
	buf_release(&body);
	buf_release(&pae);
	return failed ? ERR_NOMEM : 0;
}

/* The two parts of a token's text, still encoded. */
struct token_text {
	const char *body;
	size_t body_len;
	const char *footer;
	size_t footer_len;
};

static int
token_split(struct token_text *parts, const char *token, size_t len)
{
	if (len > TEXT_MAX)
		return ERR_TOO_LARGE;
	if (len < PREFIX_LEN || memcmp(token, PREFIX, PREFIX_LEN) != 0)
		return ERR_BAD_TOKEN;
	parts->body = token + PREFIX_LEN;
	parts->body_len = len - PREFIX_LEN;
	parts->footer = NULL;
	parts->footer_len = 0;

	const char *dot = memchr(parts->body, '.', parts->body_len);

	if (dot == NULL)
		return 0;
	parts->footer = dot + 1;
	parts->footer_len = (size_t)(token + len - parts->footer);
	parts->body_len = (size_t)(dot - parts->body);
	/* "v4.public.x." would be a second text of the same token. */
	return parts->footer_len == 0 ? ERR_BAD_TOKEN : 0;
}

/* Appends payload and signature as they stand in the body, payload_len bytes
 * and 64. `out` is as before when it fails. */
static int
token_decode_body(struct buf *out, size_t *payload_len,
    const struct token_text *parts)
{
	size_t start = out->len;
	size_t size = parts->body_len / 4 * 3 + parts->body_len % 4 * 3 / 4;
	size_t decoded;
	uint8_t *bytes = buf_extend(out, size);

	if (bytes == NULL)
		return ERR_NOMEM;
	if (text_from_base64(bytes, size, &decoded, parts->body,
		parts->body_len) != 0 ||
	    decoded != size || size < TOKEN_SIGNATURE_BYTES) {
		out->len = start;
		return ERR_BAD_TOKEN;
	}
	*payload_len = size - TOKEN_SIGNATURE_BYTES;
	if (*payload_len > TOKEN_PAYLOAD_MAX) {
		out->len = start;
		return ERR_TOO_LARGE;
	}
	return 0;
}

static int
token_decode_footer(uint8_t footer[TOKEN_FOOTER_MAX], size_t *footer_len,
    const struct token_text *parts)
{
	*footer_len = 0;
	if (parts->footer_len == 0)
		return 0;
	if (parts->footer_len >= TEXT_BASE64_SIZE(TOKEN_FOOTER_MAX))
		return ERR_TOO_LARGE;
	if (text_from_base64(footer, TOKEN_FOOTER_MAX, footer_len,
		parts->footer, parts->footer_len) != 0)
		return ERR_BAD_TOKEN;
	return 0;
}

/* `payload` gets the payload, if and only if the signature holds. */
static int
token_verify_parts(struct buf *payload, const struct token_text *parts,
    const uint8_t *footer, size_t footer_len, const void *implicit,
    size_t implicit_len, const uint8_t public_key[TOKEN_PUBLIC_BYTES])
{
	struct buf pae = { 0 };
	uint8_t signature[TOKEN_SIGNATURE_BYTES];
	size_t payload_len;

	/* The body is decoded in its place of the PAE: the signature comes
	 * out of the way again before the next piece. */
	pae_begin(&pae);
	add_le64(&pae, 0);
	size_t at = pae.len;
	int err = token_decode_body(&pae, &payload_len, parts);

	if (err != 0)
		goto out;
	memcpy(signature, pae.data + at + payload_len, sizeof(signature));
	pae.len = at - 8;
	add_le64(&pae, payload_len);
	pae.len = at + payload_len;
	pae_add(&pae, footer, footer_len);
	pae_add(&pae, implicit, implicit_len);
	if (pae.failed) {
		err = ERR_NOMEM;
		goto out;
	}
	if (crypto_sign_verify_detached(signature, pae.data, pae.len,
		public_key) != 0) {
		err = ERR_BAD_SIGNATURE;
		goto out;
	}
	buf_add(payload, pae.data + at, payload_len);
	err = payload->failed ? ERR_NOMEM : 0;
out:
	buf_release(&pae);
	return err;
}

int
token_verify_raw(struct buf *payload, struct buf *footer, const char *token,
    size_t len, const void *implicit, size_t implicit_len,
    const uint8_t public_key[TOKEN_PUBLIC_BYTES])
{
	struct token_text parts;
	uint8_t footer_bytes[TOKEN_FOOTER_MAX];
	size_t footer_len;
	int err = token_split(&parts, token, len);

	if (err == 0)
		err = token_decode_footer(footer_bytes, &footer_len, &parts);
	if (err == 0)
		err = token_verify_parts(payload, &parts, footer_bytes,
		    footer_len, implicit, implicit_len, public_key);
	if (err != 0)
		return err;
	buf_add(footer, footer_bytes, footer_len);
	return footer->failed ? ERR_NOMEM : 0;
}

/* --- documents ------------------------------------------------------------ */

static void
kid_footer(char footer[KID_FOOTER_LEN + 1], const char kid[TOKEN_KID_TEXT])
{
	memcpy(footer, KID_PREFIX, sizeof(KID_PREFIX) - 1);
	memcpy(footer + sizeof(KID_PREFIX) - 1, kid, KID_LEN);
	memcpy(footer + sizeof(KID_PREFIX) - 1 + KID_LEN, KID_SUFFIX,
	    sizeof(KID_SUFFIX));
}

int
token_sign(struct buf *out, enum token_kind kind, const void *payload,
    size_t len, const uint8_t secret[TOKEN_SECRET_BYTES])
{
	char kid[TOKEN_KID_TEXT];
	char footer[KID_FOOTER_LEN + 1];
	const char *assertion = token_kind_assertion(kind);

	/* libsodium's secret key is seed || public. */
	token_key_id(kid, secret + TOKEN_SECRET_BYTES - TOKEN_PUBLIC_BYTES);
	kid_footer(footer, kid);
	return token_sign_raw(out, payload, len, footer, KID_FOOTER_LEN,
	    assertion, strlen(assertion), secret);
}

/* Splits a token and takes the kid out of its footer, which must be the one
 * our documents have, byte for byte. */
static int
token_open(struct token_text *parts, uint8_t footer[TOKEN_FOOTER_MAX],
    char kid[TOKEN_KID_TEXT], const char *token, size_t len)
{
	char expected[KID_FOOTER_LEN + 1];
	size_t footer_len;
	int err = token_split(parts, token, len);

	if (err == 0)
		err = token_decode_footer(footer, &footer_len, parts);
	if (err != 0)
		return err;
	if (footer_len != KID_FOOTER_LEN)
		return ERR_BAD_TOKEN;
	memcpy(kid, footer + sizeof(KID_PREFIX) - 1, KID_LEN);
	kid[KID_LEN] = '\0';
	kid_footer(expected, kid);
	if (memcmp(expected, footer, KID_FOOTER_LEN) != 0 ||
	    !text_is_printable(kid, KID_LEN))
		return ERR_BAD_TOKEN;
	return 0;
}

int
token_verify(struct buf *payload, enum token_kind kind, const char *token,
    size_t len, const uint8_t public_key[TOKEN_PUBLIC_BYTES])
{
	struct token_text parts;
	uint8_t footer[TOKEN_FOOTER_MAX];
	char kid[TOKEN_KID_TEXT];
	char expected[TOKEN_KID_TEXT];
	const char *assertion = token_kind_assertion(kind);
	int err = token_open(&parts, footer, kid, token, len);

	if (err != 0)
		return err;
	token_key_id(expected, public_key);
	if (memcmp(kid, expected, TOKEN_KID_TEXT) != 0)
		return ERR_UNTRUSTED;
	return token_verify_parts(payload, &parts, footer, KID_FOOTER_LEN,
	    assertion, strlen(assertion), public_key);
}

int
token_kid(char kid[TOKEN_KID_TEXT], const char *token, size_t len)
{
	struct token_text parts;
	uint8_t footer[TOKEN_FOOTER_MAX];

	return token_open(&parts, footer, kid, token, len);
}

int
token_peek(struct buf *payload, const char *token, size_t len)
{
	struct token_text parts;
	size_t payload_len;
	size_t start = payload->len;
	int err = token_split(&parts, token, len);

	if (err == 0)
		err = token_decode_body(payload, &payload_len, &parts);
	if (err == 0)
		payload->len = start + payload_len;
	return err;
}
