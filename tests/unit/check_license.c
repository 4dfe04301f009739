/* Vendors' and sites' documents: the chain from root to site, and every way to
 * break it. */
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/license/license.h"
#include "shared/proof/proof.h"
#include "tests/unit/license_terms.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define NOW (20000 * DAY_MS)

/* Keys of everybody, from fixed seeds. */
struct keys {
	uint8_t root[64];
	uint8_t issuer[64];
	uint8_t site[64];
	uint8_t stranger[64];
};

static void
keys_make(struct keys *keys)
{
	uint8_t *const all[] = { keys->root, keys->issuer, keys->site,
		keys->stranger };

	for (uint8_t i = 0; i < 4; i++) {
		uint8_t seed[32] = { (uint8_t)(i + 1) };
		uint8_t public_key[32];

		crypto_sign_seed_keypair(public_key, all[i], seed);
	}
}

/* A license and an issuer as a vendor makes them; tests bend them. */
static void
documents_make(struct license *license, struct license_issuer *issuer,
    const struct keys *keys)
{
	struct license_terms terms;
	struct record_error error;

	ck_assert_int_eq(terms_read(&terms, TERMS, &error), 0);
	memset(license, 0, sizeof(*license));
	memset(issuer, 0, sizeof(*issuer));
	text_copy(issuer->vendor.id, sizeof(issuer->vendor.id), "vector");
	text_copy(issuer->vendor.name, sizeof(issuer->vendor.name),
	    "Vector Informatik");
	memcpy(issuer->key, keys->issuer + 32, 32);
	issuer->not_before = NOW - DAY_MS;
	issuer->not_after = NOW + DAY_MS;
	license->vendor = issuer->vendor;
	text_copy(license->license_id, sizeof(license->license_id),
	    "lic-vector-test-2024-001");
	license->serial = 1;
	text_copy(license->site, sizeof(license->site), "site-abc");
	text_copy(license->tenant, sizeof(license->tenant), "default");
	memcpy(license->site_key, keys->site + 32, 32);
	license->product = terms.product;
	license->entitlement = terms.entitlement;
	license->contract = terms.contract;
	license->terms = terms.terms;
	license->issued_at = NOW;
}

/* Sign both and verify them; what is to happen is for the caller. */
static int
sign_and_verify(struct license *out, const struct license *license,
    const struct license_issuer *issuer, const uint8_t issuer_signer[64],
    const uint8_t license_signer[64], const uint8_t *root,
    struct record_error *error)
{
	struct buf a = { 0 };
	struct buf b = { 0 };
	struct license_issuer seen;
	/* Its features live until the next one. */
	static struct arena arena;

	arena_release(&arena);
	memset(error, 0, sizeof(*error));
	ck_assert_int_eq(license_document_sign(&a, &license_issuer_record,
			     issuer, TOKEN_ISSUER, issuer_signer),
	    0);
	ck_assert_int_eq(license_document_sign(&b, &license_record, license,
			     TOKEN_LICENSE, license_signer),
	    0);
	int err = license_verify(out, &seen, buf_text(&a), a.len, buf_text(&b),
	    b.len, root, &arena, error);

	if (err == 0)
		ck_assert_mem_eq(seen.key, issuer->key, 32);
	else
		ck_assert_uint_eq(out->serial, 0);
	buf_release(&a);
	buf_release(&b);
	return err;
}

START_TEST(a_license_holds_from_root_to_site)
{
	struct keys keys;
	struct license license;
	struct license found;
	struct license_issuer issuer;
	struct record_error error;

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer, keys.root,
			     keys.issuer, keys.root + 32, &error),
	    0);
	ck_assert_str_eq(found.license_id, license.license_id);
	ck_assert_uint_eq(found.serial, 1);
	ck_assert_str_eq(found.vendor.name, "Vector Informatik");
	ck_assert_str_eq(found.product.version, ">=8.0.0");
	ck_assert_int_eq(found.entitlement.pricing.commit_fee_monthly, 500000);
	ck_assert_int_eq(found.entitlement.pricing.overage_per_use, 50000);
	ck_assert_uint_eq(found.terms.ttl_s, LICENSE_TTL_DEFAULT_S);
	ck_assert_int_eq(found.issued_at, NOW);
	ck_assert_int_eq(license_check_for(&found, "site-abc", "default",
			     keys.site + 32, &error),
	    0);
}
END_TEST

START_TEST(a_site_without_a_pinned_root_may_look)
{
	struct keys keys;
	struct license license;
	struct license found;
	struct license_issuer issuer;
	struct record_error error;

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	/* Nobody can tell who signed the issuer; the license is its. */
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer,
			     keys.stranger, keys.issuer, NULL, &error),
	    0);
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer, keys.root,
			     keys.stranger, NULL, &error),
	    ERR_UNTRUSTED);
}
END_TEST

START_TEST(another_vendors_license_is_untrusted)
{
	struct keys keys;
	struct license license;
	struct license found;
	struct license_issuer issuer;
	struct record_error error;

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer,
			     keys.stranger, keys.issuer, keys.root + 32,
			     &error),
	    ERR_UNTRUSTED);
	ck_assert_str_eq(error.field, "issuer");
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer, keys.root,
			     keys.root, keys.root + 32, &error),
	    ERR_UNTRUSTED);
	ck_assert_str_eq(error.field, "license");
	text_copy(license.vendor.id, sizeof(license.vendor.id), "other");
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer, keys.root,
			     keys.issuer, keys.root + 32, &error),
	    ERR_UNTRUSTED);
	ck_assert_str_eq(error.field, "vendor.id");
}
END_TEST

START_TEST(a_license_from_outside_the_issuing_keys_time_is_refused)
{
	struct keys keys;
	struct license license;
	struct license found;
	struct license_issuer issuer;
	struct record_error error;
	const struct {
		int64_t at;
		int err;
	} cases[] = {
		{ NOW - DAY_MS - 1, ERR_EXPIRED },
		{ NOW - DAY_MS, 0 },
		{ NOW + DAY_MS, 0 },
		{ NOW + DAY_MS + 1, ERR_EXPIRED },
	};

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	for (size_t i = 0; i < 4; i++) {
		license.issued_at = cases[i].at;
		ck_assert_int_eq(sign_and_verify(&found, &license, &issuer,
				     keys.root, keys.issuer, keys.root + 32,
				     &error),
		    cases[i].err);
	}
	ck_assert_str_eq(error.field, "issued_at");
}
END_TEST

START_TEST(a_signed_license_with_impossible_terms_is_refused)
{
	struct keys keys;
	struct license license;
	struct license found;
	struct license_issuer issuer;
	struct record_error error;

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	license.entitlement.max_overage = 14;
	ck_assert_int_eq(sign_and_verify(&found, &license, &issuer, keys.root,
			     keys.issuer, keys.root + 32, &error),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(error.field, "entitlement.total_licenses");
}
END_TEST

START_TEST(one_altered_byte_of_either_token_is_refused)
{
	struct keys keys;
	struct license license;
	struct license_issuer issuer;
	struct license_issuer seen;
	struct record_error error;
	struct arena arena = { 0 };
	struct buf tokens[2] = { { 0 }, { 0 } };

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	ck_assert_int_eq(license_document_sign(&tokens[0],
			     &license_issuer_record, &issuer, TOKEN_ISSUER,
			     keys.root),
	    0);
	ck_assert_int_eq(license_document_sign(&tokens[1], &license_record,
			     &license, TOKEN_LICENSE, keys.issuer),
	    0);
	for (size_t t = 0; t < 2; t++) {
		for (size_t i = 0; i < tokens[t].len; i++) {
			struct license found;

			tokens[t].data[i] ^= 1;
			ck_assert_int_ne(license_verify(&found, &seen,
					     (const char *)tokens[0].data,
					     tokens[0].len,
					     (const char *)tokens[1].data,
					     tokens[1].len, keys.root + 32,
					     &arena, &error),
			    0);
			ck_assert_str_ne(error.reason, "");
			tokens[t].data[i] ^= 1;
		}
	}
	/* And neither stands in for the other. */
	ck_assert_int_ne(license_verify(&license, &seen,
			     (const char *)tokens[1].data, tokens[1].len,
			     (const char *)tokens[0].data, tokens[0].len,
			     keys.root + 32, &arena, &error),
	    0);
	arena_release(&arena);
	buf_release(&tokens[0]);
	buf_release(&tokens[1]);
}
END_TEST

START_TEST(a_license_for_another_site_names_the_difference)
{
	struct keys keys;
	struct license license;
	struct license_issuer issuer;
	struct record_error error;

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	ck_assert_int_eq(license_check_for(&license, "site-xyz", "default",
			     keys.site + 32, &error),
	    ERR_MISMATCH);
	ck_assert_str_eq(error.field, "site");
	ck_assert_ptr_nonnull(strstr(error.reason, "site-abc"));
	ck_assert_ptr_nonnull(strstr(error.reason, "site-xyz"));
	ck_assert_int_eq(license_check_for(&license, "site-abc", "blue",
			     keys.site + 32, &error),
	    ERR_MISMATCH);
	ck_assert_str_eq(error.field, "tenant");
	ck_assert_int_eq(license_check_for(&license, "site-abc", "default",
			     keys.root + 32, &error),
	    ERR_MISMATCH);
	ck_assert_str_eq(error.field, "site_key");
}
END_TEST

START_TEST(a_contract_runs_from_its_first_to_the_end_of_its_last_day)
{
	struct keys keys;
	struct license license;
	struct license_issuer issuer;
	struct record_error error;
	int64_t start;
	int64_t end;

	keys_make(&keys);
	documents_make(&license, &issuer, &keys);
	ck_assert_int_eq(clock_parse(&start, "2024-10-01T00:00:00Z", 20), 0);
	ck_assert_int_eq(clock_parse(&end, "2024-11-01T00:00:00Z", 20), 0);
	ck_assert_int_eq(license_check_dates(&license, start, &error), 0);
	ck_assert_int_eq(license_check_dates(&license, end - 1, &error), 0);
	ck_assert_int_eq(license_check_dates(&license, start - 1, &error),
	    ERR_LICENSE_EXPIRED);
	ck_assert_str_eq(error.reason,
	    "the contract has not begun: it starts on 2024-10-01");
	ck_assert_int_eq(license_check_dates(&license, end, &error),
	    ERR_LICENSE_EXPIRED);
	ck_assert_str_eq(error.reason,
	    "the contract is over: it ended on 2024-10-31");
}
END_TEST

/* --- the other documents -------------------------------------------------- */

START_TEST(a_request_is_read_as_it_was_signed)
{
	struct keys keys;
	struct arena arena = { 0 };
	struct buf token = { 0 };
	struct record_error error;
	struct license_request found;
	struct license_request request = { .site = "site-abc",
		.name = "Mercedes-Benz, Halle 4",
		.tenant = "default",
		.key_class = "file",
		.software = "leaseholdd 0.1.0",
		.created_at = NOW };

	keys_make(&keys);
	memcpy(request.site_key, keys.site + 32, 32);
	ck_assert_int_eq(license_document_sign(&token, &license_request_record,
			     &request, TOKEN_REQUEST, keys.site),
	    0);
	ck_assert_int_eq(license_document_read(&found, &license_request_record,
			     TOKEN_REQUEST, buf_text(&token), token.len,
			     request.site_key, &arena, &error),
	    0);
	ck_assert_mem_eq(&found, &request, sizeof(request));
	ck_assert_int_eq(license_document_read(&found, &license_request_record,
			     TOKEN_JOIN, buf_text(&token), token.len,
			     request.site_key, &arena, &error),
	    ERR_BAD_SIGNATURE);
	buf_release(&token);
	arena_release(&arena);
}
END_TEST

START_TEST(a_join_token_names_its_class_and_hosts)
{
	struct keys keys;
	struct arena arena = { 0 };
	struct buf token = { 0 };
	struct buf payload = { 0 };
	struct record_error error;
	struct license_join found;
	struct license_host_pattern hosts[] = { { "ws-*.plant.example" },
		{ "build" } };
	struct license_join join = { .site = "site-abc",
		.tenant = "default",
		.join = 7,
		.id = { 1, 2, 3 },
		.uses = 1,
		.expires_at = NOW,
		.class_ = PROOF_SOFTWARE,
		.hosts = { hosts, 2 },
		.ca_sha256 = { 9 } };

	keys_make(&keys);
	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, keys.site),
	    0);
	ck_assert_int_eq(token_peek(&payload, buf_text(&token), token.len), 0);
	ck_assert_ptr_nonnull(strstr(buf_text(&payload),
	    "\"class\":\"software\",\"hosts\":[\"ws-*.plant.example\","
	    "\"build\"]"));
	ck_assert_int_eq(license_document_read(&found, &license_join_record,
			     TOKEN_JOIN, buf_text(&token), token.len,
			     keys.site + 32, &arena, &error),
	    0);
	ck_assert_uint_eq(found.hosts.count, 2);
	const struct license_host_pattern *read = found.hosts.items;

	ck_assert_str_eq(read[1].pattern, "build");
	ck_assert_uint_eq(found.class_, PROOF_SOFTWARE);
	buf_release(&token);
	buf_release(&payload);
	arena_release(&arena);
}
END_TEST

START_TEST(a_document_with_an_unknown_field_is_refused)
{
	struct keys keys;
	struct arena arena = { 0 };
	struct buf token = { 0 };
	struct record_error error;
	struct license_issuer found;
	static const char payload[] =
	    "{\"vendor\":{\"id\":\"v\",\"name\":\"V\"},\"admin\":true}";

	keys_make(&keys);
	ck_assert_int_eq(token_sign(&token, TOKEN_ISSUER, payload,
			     strlen(payload), keys.root),
	    0);
	ck_assert_int_eq(license_document_read(&found, &license_issuer_record,
			     TOKEN_ISSUER, buf_text(&token), token.len,
			     keys.root + 32, &arena, &error),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(error.field, "admin");
	buf_release(&token);
	arena_release(&arena);
}
END_TEST

START_TEST(a_digest_names_one_token_text)
{
	uint8_t a[32];
	uint8_t b[32];
	char hex[65];

	license_digest(a, "v4.public.x", 11);
	license_digest(b, "v4.public.y", 11);
	ck_assert_mem_ne(a, b, 32);
	/* printf 'v4.public.x' | b2sum -l 256 */
	text_to_hex(hex, a, 32);
	ck_assert_str_eq(hex,
	    "029ed263b9d888f009dc2af33981bb089d09c19d065d8e0016b4f3a81cae630a");
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("license");
	TCase *tc = tcase_create("license");

	tcase_add_test(tc, a_license_holds_from_root_to_site);
	tcase_add_test(tc, a_site_without_a_pinned_root_may_look);
	tcase_add_test(tc, another_vendors_license_is_untrusted);
	tcase_add_test(tc,
	    a_license_from_outside_the_issuing_keys_time_is_refused);
	tcase_add_test(tc, a_signed_license_with_impossible_terms_is_refused);
	tcase_add_test(tc, one_altered_byte_of_either_token_is_refused);
	tcase_add_test(tc, a_license_for_another_site_names_the_difference);
	tcase_add_test(tc,
	    a_contract_runs_from_its_first_to_the_end_of_its_last_day);
	tcase_add_test(tc, a_request_is_read_as_it_was_signed);
	tcase_add_test(tc, a_join_token_names_its_class_and_hosts);
	tcase_add_test(tc, a_document_with_an_unknown_field_is_refused);
	tcase_add_test(tc, a_digest_names_one_token_text);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
