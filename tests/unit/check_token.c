/* Signed documents: the official PASETO v4.public and PASERK vectors, and what
 * a stranger may send. */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "shared/token/token.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_SECRET                                                        \
	"b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a3774" \
	"1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2"
#define TEST_PAYLOAD                              \
	"{\"data\":\"this is a signed message\"," \
	"\"exp\":\"2022-01-01T00:00:00+00:00\"}"
#define TEST_FOOTER "{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}"
#define TEST_BODY                                                              \
	"v4.public."                                                           \
	"eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0w" \
	"MVQwMDowMDowMCswMDowMCJ9"
#define TEST_FOOTER_64                                                         \
	".eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGh" \
	"hTiJ9"

/* PASETO test vectors 4-S-1 to 4-S-3, so that a clone without the reference
 * data still checks. */
static const struct {
	const char *token;
	const char *footer;
	const char *implicit;
} known[] = {
	{ TEST_BODY "bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZ"
		    "DcAxFaSeef1QlXEFtkqxT1ciiQEDA",
	    "", "" },
	{ TEST_BODY "v3Jt8mx_TdM2ceTGoqwrh4yDFn0XsHvvV_D0DtwQxVrJEBMl0F2caAdg"
		    "npKlt4p7xBnx1HcO-SPo8FPp214HDw" TEST_FOOTER_64,
	    TEST_FOOTER, "" },
	{ TEST_BODY "NPWciuD3d0o5eXJXG5pJy-DiVEoyPYWs1YSTwWHNJq6DZD3je5gf-0M4"
		    "JR9ipdUSJbIovzmBECeaWmaqcaP0DQ" TEST_FOOTER_64,
	    TEST_FOOTER, "{\"test-vector\":\"4-S-3\"}" },
};

static void
from_hex(uint8_t *out, size_t size, const char *hex)
{
	size_t len;

	ck_assert_int_eq(text_from_hex(out, size, &len, hex, strlen(hex)), 0);
	ck_assert_uint_eq(len, size);
}

/* A key pair from a number: the same in every run. */
static const uint8_t *
test_keys(uint8_t secret[64], uint8_t number)
{
	uint8_t seed[32] = { number };
	uint8_t public_key[32];

	crypto_sign_seed_keypair(public_key, secret, seed);
	return secret + 32;
}

static void
check_vector(const char *token, const char *payload, const char *footer,
    const char *implicit, const uint8_t secret[64])
{
	struct buf made = { 0 };
	struct buf said = { 0 };
	struct buf foot = { 0 };

	ck_assert_int_eq(token_sign_raw(&made, payload, strlen(payload), footer,
			     strlen(footer), implicit, strlen(implicit),
			     secret),
	    0);
	ck_assert_str_eq(buf_text(&made), token);
	ck_assert_int_eq(token_verify_raw(&said, &foot, token, strlen(token),
			     implicit, strlen(implicit), secret + 32),
	    0);
	ck_assert_str_eq(buf_text(&said), payload);
	ck_assert_str_eq(buf_text(&foot), footer);
	buf_release(&made);
	buf_release(&said);
	buf_release(&foot);
}

START_TEST(embedded_paseto_vectors_hold)
{
	uint8_t secret[64];

	from_hex(secret, sizeof(secret), TEST_SECRET);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		check_vector(known[i].token, TEST_PAYLOAD, known[i].footer,
		    known[i].implicit, secret);
}
END_TEST

/* One test of the official file; strings unescaped, "" when absent. */
struct vector {
	char name[32];
	char public_key[80];
	char secret_key[144];
	char token[1024];
	char payload[512];
	char footer[256];
	char implicit[128];
	bool fails;
};

static void
vector_field(struct vector *v, const struct json_token *key,
    const struct json_token *value)
{
	const struct {
		const char *key;
		char *out;
		size_t size;
	} fields[] = {
		{ "name", v->name, sizeof(v->name) },
		{ "public-key", v->public_key, sizeof(v->public_key) },
		{ "secret-key", v->secret_key, sizeof(v->secret_key) },
		{ "token", v->token, sizeof(v->token) },
		{ "payload", v->payload, sizeof(v->payload) },
		{ "footer", v->footer, sizeof(v->footer) },
		{ "implicit-assertion", v->implicit, sizeof(v->implicit) },
	};
	size_t len;

	if (key->len == strlen("expect-fail") &&
	    memcmp(key->text, "expect-fail", key->len) == 0)
		v->fails = value->type == JSON_TRUE;
	if (value->type != JSON_STRING)
		return;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (key->len != strlen(fields[i].key) ||
		    memcmp(key->text, fields[i].key, key->len) != 0)
			continue;
		ck_assert_uint_lt(value->len, fields[i].size);
		ck_assert_int_eq(json_unescape(fields[i].out, &len, value), 0);
		fields[i].out[len] = '\0';
	}
}

/* Next object of the list "tests"; false at its end. */
static bool
vector_next(struct vector *v, struct json_reader *reader)
{
	struct json_token key;
	struct json_token value;

	memset(v, 0, sizeof(*v));
	ck_assert_int_eq(json_next(reader, &value), 0);
	if (value.type == JSON_END)
		return false;
	ck_assert_int_eq(value.type, JSON_OBJECT);
	for (;;) {
		ck_assert_int_eq(json_next_key(reader, &key), 0);
		if (key.type == JSON_END)
			return true;
		ck_assert_int_eq(json_next(reader, &value), 0);
		vector_field(v, &key, &value);
		ck_assert_int_eq(json_skip(reader, &value), 0);
	}
}

static void
vectors_enter(struct json_reader *reader, const char *text, size_t len)
{
	struct json_token token;

	json_open(reader, text, len, 8);
	ck_assert_int_eq(json_next(reader, &token), 0);
	ck_assert_int_eq(token.type, JSON_OBJECT);
	for (;;) {
		ck_assert_int_eq(json_next_key(reader, &token), 0);
		ck_assert_int_ne(token.type, JSON_END);
		bool tests = token.len == 5 && !memcmp(token.text, "tests", 5);

		ck_assert_int_eq(json_next(reader, &token), 0);
		if (tests)
			break;
		ck_assert_int_eq(json_skip(reader, &token), 0);
	}
	ck_assert_int_eq(token.type, JSON_ARRAY);
}

/* A vector that must fail: under its own key if it names a public one. */
static void
check_failing(const struct vector *v)
{
	uint8_t key[32] = { 1 };
	struct buf said = { 0 };
	struct buf foot = { 0 };

	if (v->public_key[0] != '\0')
		from_hex(key, sizeof(key), v->public_key);
	ck_assert_int_ne(token_verify_raw(&said, &foot, v->token,
			     strlen(v->token), v->implicit, strlen(v->implicit),
			     key),
	    0);
	ck_assert_uint_eq(said.len, 0);
	ck_assert_uint_eq(foot.len, 0);
	buf_release(&said);
	buf_release(&foot);
}

START_TEST(official_paseto_vectors_hold)
{
	char path[512];
	uint8_t *text;
	size_t len;
	struct json_reader reader;
	struct vector v;
	int good = 0;
	int bad = 0;

	if (test_data() == NULL) {
		test_skip("official_paseto_vectors_hold",
		    "LEASEHOLD_DATA is not set");
		return;
	}
	snprintf(path, sizeof(path), "%s/paseto-v4.json", test_data());
	ck_assert_int_eq(file_read(&text, &len, path, 1 << 20), 0);
	vectors_enter(&reader, (const char *)text, len);
	while (vector_next(&v, &reader)) {
		uint8_t secret[64];

		if (v.fails) {
			/* Every one that must fail, the v4.local ones too:
			 * they are no v4.public token. */
			check_failing(&v);
			bad++;
		} else if (strncmp(v.name, "4-S-", 4) == 0) {
			from_hex(secret, sizeof(secret), v.secret_key);
			check_vector(v.token, v.payload, v.footer, v.implicit,
			    secret);
			good++;
		}
	}
	ck_assert_int_eq(good, 3);
	ck_assert_int_ge(bad, 5);
	free(text);
}
END_TEST

/* paseto-standard/test-vectors, PASERK/k4.pid.json and k4.public.json */
START_TEST(paserk_vectors_hold)
{
	static const struct {
		const char *key;
		const char *text;
		const char *kid;
	} vectors[] = {
		{ "000000000000000000000000000000000000000000000000000000000000"
		  "0000",
		    "k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		    "k4.pid.S_XQmeEwHbbvRmiyfXfHYpLGjXGzjTRSDoT1YtTakWFE" },
		{ "707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d"
		  "8e8f",
		    "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8",
		    "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs" },
		{ "707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d"
		  "8e90",
		    "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjpA",
		    "k4.pid.-nyvbaTz8U6TQz7OZWW-iB3va31iAxIpUgzUcVQVmW9A" },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t key[32];
		uint8_t parsed[32];
		char text[TOKEN_PUBLIC_TEXT];
		char kid[TOKEN_KID_TEXT];

		from_hex(key, sizeof(key), vectors[i].key);
		token_public_format(text, key);
		ck_assert_str_eq(text, vectors[i].text);
		token_key_id(kid, key);
		ck_assert_str_eq(kid, vectors[i].kid);
		ck_assert_int_eq(token_public_parse(parsed, text), 0);
		ck_assert_mem_eq(parsed, key, 32);
	}
}
END_TEST

START_TEST(malformed_public_keys_are_refused)
{
	static const char *const bad[] = {
		"",
		"k4.public.",
		"k3.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"k4.secret.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
		"k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"k4.public.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+A",
	};
	uint8_t key[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(token_public_parse(key, bad[i]),
		    ERR_BAD_REQUEST);
}
END_TEST

START_TEST(a_document_says_what_was_signed)
{
	uint8_t secret[64];
	const uint8_t *key = test_keys(secret, 1);
	char kid[TOKEN_KID_TEXT];
	char expected[TOKEN_KID_TEXT];
	struct buf token = { 0 };
	struct buf said = { 0 };

	ck_assert_int_eq(token_sign(&token, TOKEN_LICENSE, "{\"a\":1}", 7,
			     secret),
	    0);
	const char *text = buf_text(&token);

	ck_assert_int_eq(token_verify(&said, TOKEN_LICENSE, text, token.len,
			     key),
	    0);
	ck_assert_str_eq(buf_text(&said), "{\"a\":1}");
	buf_clear(&said);
	ck_assert_int_eq(token_peek(&said, text, token.len), 0);
	ck_assert_str_eq(buf_text(&said), "{\"a\":1}");
	ck_assert_int_eq(token_kid(kid, text, token.len), 0);
	token_key_id(expected, key);
	ck_assert_str_eq(kid, expected);
	buf_release(&token);
	buf_release(&said);
}
END_TEST

START_TEST(no_kind_passes_for_another)
{
	static const enum token_kind kinds[] = {
#define X(name, text) name,
		TOKEN_KIND_LIST(X)
#undef X
	};
	const size_t n = sizeof(kinds) / sizeof(kinds[0]);
	uint8_t secret[64];
	const uint8_t *key = test_keys(secret, 2);

	for (size_t i = 0; i < n; i++) {
		struct buf token = { 0 };

		ck_assert_int_eq(token_sign(&token, kinds[i], "{}", 2, secret),
		    0);
		for (size_t j = 0; j < n; j++) {
			struct buf said = { 0 };
			int err = token_verify(&said, kinds[j],
			    buf_text(&token), token.len, key);

			ck_assert_int_eq(err, i == j ? 0 : ERR_BAD_SIGNATURE);
			ck_assert_uint_eq(said.len, i == j ? 2 : 0);
			buf_release(&said);
		}
		buf_release(&token);
	}
}
END_TEST

START_TEST(another_key_is_untrusted)
{
	uint8_t secret[64];
	uint8_t other[64];
	struct buf token = { 0 };
	struct buf said = { 0 };

	test_keys(secret, 3);
	const uint8_t *key = test_keys(other, 4);

	ck_assert_int_eq(token_sign(&token, TOKEN_BATCH, "{}", 2, secret), 0);
	ck_assert_int_eq(token_verify(&said, TOKEN_BATCH, buf_text(&token),
			     token.len, key),
	    ERR_UNTRUSTED);
	ck_assert_uint_eq(said.len, 0);
	buf_release(&token);
	buf_release(&said);
}
END_TEST

START_TEST(a_foreign_signature_under_our_key_id_is_refused)
{
	uint8_t secret[64];
	uint8_t other[64];
	const uint8_t *key = test_keys(secret, 5);
	char kid[TOKEN_KID_TEXT];
	char footer[80];
	const char *assertion = token_kind_assertion(TOKEN_BATCH);
	struct buf token = { 0 };
	struct buf said = { 0 };

	test_keys(other, 6);
	token_key_id(kid, key);
	snprintf(footer, sizeof(footer), "{\"kid\":\"%s\"}", kid);
	ck_assert_int_eq(token_sign_raw(&token, "{}", 2, footer, strlen(footer),
			     assertion, strlen(assertion), other),
	    0);
	ck_assert_int_eq(token_verify(&said, TOKEN_BATCH, buf_text(&token),
			     token.len, key),
	    ERR_BAD_SIGNATURE);
	buf_release(&token);
	buf_release(&said);
}
END_TEST

START_TEST(any_altered_character_is_refused)
{
	uint8_t secret[64];
	const uint8_t *key = test_keys(secret, 7);
	struct buf token = { 0 };
	struct buf said = { 0 };

	/* Lengths 1 to 3: with and without stray bits at the end. */
	for (size_t len = 1; len <= 3; len++) {
		buf_clear(&token);
		ck_assert_int_eq(token_sign(&token, TOKEN_BEAT, "abc", len,
				     secret),
		    0);
		char *text = (char *)token.data;

		for (size_t i = 0; i < token.len; i++) {
			char was = text[i];

			for (int c = 0; c < 256; c++) {
				if ((char)c == was)
					continue;
				text[i] = (char)c;
				ck_assert_int_ne(token_verify(&said, TOKEN_BEAT,
						     text, token.len, key),
				    0);
				ck_assert_uint_eq(said.len, 0);
			}
			text[i] = was;
		}
		for (size_t i = 0; i < token.len; i++)
			ck_assert_int_ne(token_verify(&said, TOKEN_BEAT, text,
					     i, key),
			    0);
		ck_assert_int_eq(token_verify(&said, TOKEN_BEAT, text,
				     token.len, key),
		    0);
		buf_clear(&said);
	}
	buf_release(&token);
	buf_release(&said);
}
END_TEST

START_TEST(a_token_has_one_text_only)
{
	uint8_t secret[64];
	const uint8_t *key = test_keys(secret, 8);
	static const char *const tails[] = { "=", "\n", " ", ".", "A", "==" };
	struct buf token = { 0 };
	struct buf said = { 0 };
	struct buf foot = { 0 };
	struct buf raw = { 0 };

	ck_assert_int_eq(token_sign(&token, TOKEN_JOIN, "{}", 2, secret), 0);
	ck_assert_int_eq(token_sign_raw(&raw, "{}", 2, "", 0, "", 0, secret),
	    0);
	size_t len = token.len;
	size_t raw_len = raw.len;

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		buf_add_str(&token, tails[i]);
		buf_add_str(&raw, tails[i]);
		ck_assert_int_eq(token_verify(&said, TOKEN_JOIN,
				     buf_text(&token), token.len, key),
		    ERR_BAD_TOKEN);
		ck_assert_int_ne(token_verify_raw(&said, &foot, buf_text(&raw),
				     raw.len, "", 0, key),
		    0);
		token.len = len;
		raw.len = raw_len;
	}
	buf_release(&token);
	buf_release(&said);
	buf_release(&foot);
	buf_release(&raw);
}
END_TEST

START_TEST(a_footer_of_another_shape_is_no_document)
{
	static const char *const footers[] = {
		"",
		"{}",
		"{\"kid\": \"%s\"}",
		"{\"kid\":\"%s\",\"x\":1}",
		"%s",
		"{\"kid\":\"k4.pid.short\"}",
	};
	uint8_t secret[64];
	const uint8_t *key = test_keys(secret, 9);
	const char *assertion = token_kind_assertion(TOKEN_LICENSE);
	char kid[TOKEN_KID_TEXT];

	token_key_id(kid, key);
	for (size_t i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
		char footer[128];
		const char *mark = strstr(footers[i], "%s");
		struct buf token = { 0 };
		struct buf said = { 0 };

		if (mark == NULL)
			text_copy(footer, sizeof(footer), footers[i]);
		else
			snprintf(footer, sizeof(footer), "%.*s%s%s",
			    (int)(mark - footers[i]), footers[i], kid,
			    mark + 2);
		ck_assert_int_eq(token_sign_raw(&token, "{}", 2, footer,
				     strlen(footer), assertion,
				     strlen(assertion), secret),
		    0);
		ck_assert_int_eq(token_verify(&said, TOKEN_LICENSE,
				     buf_text(&token), token.len, key),
		    ERR_BAD_TOKEN);
		buf_release(&token);
		buf_release(&said);
	}
}
END_TEST

START_TEST(oversize_is_refused)
{
	uint8_t secret[64];
	const uint8_t *key = test_keys(secret, 10);
	struct buf payload = { 0 };
	struct buf token = { 0 };
	struct buf said = { 0 };
	uint8_t *bytes = buf_extend(&payload, TOKEN_PAYLOAD_MAX + 1);

	ck_assert_ptr_nonnull(bytes);
	memset(bytes, 'x', payload.len);
	ck_assert_int_eq(token_sign(&token, TOKEN_BATCH, bytes,
			     TOKEN_PAYLOAD_MAX + 1, secret),
	    ERR_TOO_LARGE);
	ck_assert_uint_eq(token.len, 0);
	ck_assert_int_eq(token_sign(&token, TOKEN_BATCH, bytes,
			     TOKEN_PAYLOAD_MAX, secret),
	    0);
	ck_assert_int_eq(token_verify(&said, TOKEN_BATCH, buf_text(&token),
			     token.len, key),
	    0);
	ck_assert_uint_eq(said.len, TOKEN_PAYLOAD_MAX);
	/* The length alone: nothing behind the pointer is looked at. */
	ck_assert_int_eq(token_verify(&said, TOKEN_BATCH, "v4.public.",
			     (size_t)64 << 20, key),
	    ERR_TOO_LARGE);
	buf_release(&payload);
	buf_release(&token);
	buf_release(&said);
}
END_TEST

START_TEST(a_key_of_small_order_verifies_nothing)
{
	/* With this key a zero signature would hold for many messages. */
	uint8_t key[32] = { 1 };
	uint8_t body[2 + 64] = { '{', '}', 1 };
	char text[128] = "v4.public.";
	struct buf said = { 0 };
	struct buf foot = { 0 };

	text_to_base64(text + strlen(text), body, sizeof(body));
	ck_assert_int_eq(token_verify_raw(&said, &foot, text, strlen(text), "",
			     0, key),
	    ERR_BAD_SIGNATURE);
	buf_release(&said);
	buf_release(&foot);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("token");
	TCase *tc = tcase_create("token");

	tcase_add_test(tc, embedded_paseto_vectors_hold);
	tcase_add_test(tc, official_paseto_vectors_hold);
	tcase_add_test(tc, paserk_vectors_hold);
	tcase_add_test(tc, malformed_public_keys_are_refused);
	tcase_add_test(tc, a_document_says_what_was_signed);
	tcase_add_test(tc, no_kind_passes_for_another);
	tcase_add_test(tc, another_key_is_untrusted);
	tcase_add_test(tc, a_foreign_signature_under_our_key_id_is_refused);
	tcase_add_test(tc, any_altered_character_is_refused);
	tcase_add_test(tc, a_token_has_one_text_only);
	tcase_add_test(tc, a_footer_of_another_shape_is_no_document);
	tcase_add_test(tc, oversize_is_refused);
	tcase_add_test(tc, a_key_of_small_order_verifies_nothing);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
