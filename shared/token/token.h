/*
 * Signed documents: PASETO v4.public (Ed25519 by libsodium), the key's id in
 * the footer, an implicit assertion that names the kind, so that no kind
 * passes for another (DESIGN 8). Source: PASETO specification, Version 4, and
 * PASERK (k4.public, k4.pid). It must not know what the payloads say.
 */
#ifndef SHARED_TOKEN_TOKEN_H
#define SHARED_TOKEN_TOKEN_H

#include "shared/base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_PUBLIC_BYTES 32
#define TOKEN_SECRET_BYTES 64
#define TOKEN_SIGNATURE_BYTES 64
/** Longer payloads and footers are refused before any work; bytes. */
#define TOKEN_PAYLOAD_MAX ((size_t)1 << 20)
#define TOKEN_FOOTER_MAX 512
/** "k4.public." and 43 characters, with the NUL. */
#define TOKEN_PUBLIC_TEXT 54
/** "k4.pid." and 44 characters, with the NUL. */
#define TOKEN_KID_TEXT 52

/** The kinds of documents; the name is in the implicit assertion. */
#define TOKEN_KIND_LIST(X)                  \
	X(TOKEN_ISSUER, "issuer")           \
	X(TOKEN_LICENSE, "license")         \
	X(TOKEN_REQUEST, "request")         \
	X(TOKEN_BATCH, "batch")             \
	X(TOKEN_BEAT, "beat")               \
	X(TOKEN_CHECKPOINT, "checkpoint")   \
	X(TOKEN_JOIN, "join")               \
	X(TOKEN_ERASURE, "erasure")         \
	X(TOKEN_DELETION, "deletion")       \
	X(TOKEN_CHANGE, "license_change")   \
	X(TOKEN_REPORT, "report")           \
	X(TOKEN_RECEIPT, "receipt")         \
	X(TOKEN_LINE, "line")               \
	X(TOKEN_CREDIT, "credit")           \
	X(TOKEN_MAINTENANCE, "maintenance") \
	X(TOKEN_HEIR, "heir")               \
	X(TOKEN_SUCCESSION, "succession")

enum token_kind {
#define X(name, text) name,
	TOKEN_KIND_LIST(X)
#undef X
};

const char *token_kind_name(enum token_kind kind);

/** The implicit assertion of a kind: "leasehold.v1.license". Static. */
const char *token_kind_assertion(enum token_kind kind);

/**
 * Append "v4.public.<...>.<footer>" to `out`; the footer is {"kid":"k4.pid..."}
 * of the public half of `secret`.
 * @param payload  JSON object; at most 1 MiB
 * @param secret   Ed25519 secret key as libsodium keeps it (seed || public)
 * Returns 0, ERR_TOO_LARGE or ERR_NOMEM.
 */
int token_sign(struct buf *out, enum token_kind kind, const void *payload,
    size_t len, const uint8_t secret[TOKEN_SECRET_BYTES]);

/**
 * Verify with one key. On 0 `payload` holds the payload's bytes (appended to
 * an empty buf), else it is as before. The text is canonical: one token has
 * one text (no padding, stray bits or white space). Returns ERR_BAD_TOKEN (not one), ERR_BAD_SIGNATURE,
 * ERR_TOO_LARGE. The footer's kid must be that of the key: ERR_UNTRUSTED.
 */
int token_verify(struct buf *payload, enum token_kind kind, const char *token,
    size_t len, const uint8_t public_key[TOKEN_PUBLIC_BYTES]);

/** The kid that the footer names, unverified, to choose the key. */
int token_kid(char kid[TOKEN_KID_TEXT], const char *token, size_t len);

/** The payload unverified, for `show` and for tokens that arrive on a trusted
 * path and carry the means of verification (join). */
int token_peek(struct buf *payload, const char *token, size_t len);

/** The bare PASETO operations, for the official vectors. */
int token_sign_raw(struct buf *out, const void *payload, size_t len,
    const char *footer, size_t footer_len, const void *implicit,
    size_t implicit_len, const uint8_t secret[TOKEN_SECRET_BYTES]);
int token_verify_raw(struct buf *payload, struct buf *footer, const char *token,
    size_t len, const void *implicit, size_t implicit_len,
    const uint8_t public_key[TOKEN_PUBLIC_BYTES]);

/** PASERK text of a public key and back; the id of a key. */
void token_public_format(char out[TOKEN_PUBLIC_TEXT],
    const uint8_t public_key[TOKEN_PUBLIC_BYTES]);
int token_public_parse(uint8_t public_key[TOKEN_PUBLIC_BYTES],
    const char *text);
void token_key_id(char kid[TOKEN_KID_TEXT],
    const uint8_t public_key[TOKEN_PUBLIC_BYTES]);

/**
 * Key files: one line of PASERK text, "k4.secret.<base64url>" with mode 0600.
 * `secret` must be sodium_malloc'd by the caller. Reading refuses a file that
 * group or others may read (ERR_FORBIDDEN) and one whose public half does not
 * match its seed (ERR_CORRUPT). Creating refuses to overwrite (ERR_CONFLICT).
 * errno is set with ERR_IO, ERR_FULL and ERR_NOT_FOUND. On an error `secret`
 * is wiped. Nothing is logged: the caller knows what the key was for.
 */
int token_key_create(uint8_t secret[TOKEN_SECRET_BYTES], const char *path);
int token_key_read(uint8_t secret[TOKEN_SECRET_BYTES], const char *path);

#endif
