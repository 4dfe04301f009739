/* Quotes of a TPM's PCRs: what holds, and what must not. */
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/quote.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct lab_tpm tpm;
static char dir[64];
static struct identity *identity;
static uint8_t key[PROOF_KEY_MAX];
static size_t key_len;
static const uint8_t subject[32] = { 1, 2, 3 };

static struct identity *
open_in(const char *name, const char *tcti)
{
	struct identity_options options = { .tcti = tcti,
		.ek = IDENTITY_P256,
		.class_ = PROOF_SOFTWARE };
	struct identity *out;
	char folder[128];

	snprintf(folder, sizeof folder, "%s/%s", dir, name);
	options.folder = folder;
	ck_assert_int_eq(identity_open_with(&out, &options), 0);
	return out;
}

static void
setup(void)
{
	log_open("test", LOG_ERROR + 1, 0);
	ck_assert_int_ge(sodium_init(), 0);
	snprintf(dir, sizeof dir, "/tmp/quote-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	lab_tpm_new(&tpm);
	identity = open_in("tpm", tpm.tcti);
	ck_assert_int_eq(identity_bind(identity, "site-x", ".site"), 0);
	key_len = identity_public(key, identity);
	ck_assert_uint_eq(key_len, PROOF_KEY_BYTES_TPM);
}

static void
teardown(void)
{
	identity_close(identity);
	lab_tpm_remove(&tpm);
	test_remove(dir);
}

static struct quote
quote_now(void)
{
	struct quote quote;

	ck_assert_int_eq(identity_quote(&quote, identity, subject), 0);
	return quote;
}

START_TEST(quote_holds_over_what_it_was_asked_for)
{
	struct quote quote = quote_now();

	ck_assert_int_eq(quote_verify(&quote, subject, key, key_len), 0);
	/* swtpm measures nothing by itself. */
	ck_assert(sodium_is_zero(quote.pcrs, sizeof quote.pcrs));
}
END_TEST

START_TEST(replayed_quote_does_not_hold)
{
	struct quote quote = quote_now();
	const uint8_t other[32] = { 1, 2, 4 };

	ck_assert_int_eq(quote_verify(&quote, other, key, key_len),
	    ERR_BAD_PROOF);
}
END_TEST

START_TEST(one_extend_is_seen_in_its_pcr_alone)
{
	const uint8_t digest[32] = { 9 };
	uint8_t chain[64] = { 0 }, expected[32];

	lab_tpm_extend(&tpm, 11, digest);
	struct quote quote = quote_now();

	memcpy(chain + 32, digest, 32);
	crypto_hash_sha256(expected, chain, sizeof chain);
	ck_assert_int_eq(quote_verify(&quote, subject, key, key_len), 0);
	for (uint32_t i = 0; i < QUOTE_PCRS; i++) {
		const uint8_t *value = quote.pcrs + i * QUOTE_PCR_BYTES;

		if (quote_pcr(i) == 11)
			ck_assert_mem_eq(value, expected, 32);
		else
			ck_assert(sodium_is_zero(value, 32));
	}
}
END_TEST

START_TEST(no_bit_of_a_quote_may_change)
{
	struct quote quote = quote_now();
	uint8_t *parts[] = { quote.pcrs, quote.firmware, quote.signature };
	const size_t sizes[] = { sizeof quote.pcrs, sizeof quote.firmware,
		sizeof quote.signature };

	for (int p = 0; p < 3; p++)
		for (size_t i = 0; i < sizes[p]; i++) {
			parts[p][i] ^= 1;
			ck_assert_int_eq(quote_verify(&quote, subject, key,
					     key_len),
			    ERR_BAD_PROOF);
			parts[p][i] ^= 1;
		}
	uint64_t *numbers[] = { &quote.clock_ms, &quote.resets,
		&quote.restarts };

	for (int n = 0; n < 3; n++)
		for (int bit = 0; bit < 64; bit += 7) {
			*numbers[n] ^= UINT64_C(1) << bit;
			ck_assert_int_eq(quote_verify(&quote, subject, key,
					     key_len),
			    ERR_BAD_PROOF);
			*numbers[n] ^= UINT64_C(1) << bit;
		}
	quote.clock_unsafe = !quote.clock_unsafe;
	ck_assert_int_eq(quote_verify(&quote, subject, key, key_len),
	    ERR_BAD_PROOF);
	quote.clock_unsafe = !quote.clock_unsafe;
	ck_assert_int_eq(quote_verify(&quote, subject, key, key_len), 0);
}
END_TEST

START_TEST(quote_of_another_tpm_does_not_hold)
{
	struct lab_tpm other;

	lab_tpm_new(&other);
	struct identity *stranger = open_in("other", other.tcti);
	struct quote quote;

	ck_assert_int_eq(identity_bind(stranger, "site-x", ".site"), 0);
	ck_assert_int_eq(identity_quote(&quote, stranger, subject), 0);
	ck_assert_int_eq(quote_verify(&quote, subject, key, key_len),
	    ERR_BAD_PROOF);
	identity_close(stranger);
	lab_tpm_remove(&other);
}
END_TEST

START_TEST(proof_is_no_quote_and_quote_no_proof)
{
	const struct proof_subject about = { .purpose = PROOF_BORROW,
		.site = "site-x",
		.tenant = ".site" };
	struct proof proof;
	struct quote quote = quote_now();
	uint8_t qualifying[32];

	ck_assert_int_eq(proof_make(&proof, identity, &about), 0);
	proof_qualifying_data(qualifying, &about);
	memcpy(quote.signature, proof.signature, sizeof quote.signature);
	ck_assert_int_eq(quote_verify(&quote, qualifying, key, key_len),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(identity_quote(&quote, identity, qualifying), 0);
	memcpy(proof.signature, quote.signature, sizeof proof.signature);
	ck_assert_int_eq(proof_verify(&proof, &about, key, key_len),
	    ERR_BAD_PROOF);
}
END_TEST

START_TEST(key_file_quotes_nothing)
{
	struct identity *plain = open_in("plain", NULL);
	uint8_t plain_key[PROOF_KEY_MAX];
	struct quote quote;

	ck_assert_int_eq(identity_quote(&quote, plain, subject),
	    ERR_UNAVAILABLE);
	ck_assert(sodium_is_zero(quote.signature, sizeof quote.signature));
	quote = quote_now();
	size_t len = identity_public(plain_key, plain);

	ck_assert_int_eq(quote_verify(&quote, subject, plain_key, len),
	    ERR_BAD_PROOF);
	identity_close(plain);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("quote");
	TCase *tc = tcase_create("quote");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, quote_holds_over_what_it_was_asked_for);
	tcase_add_test(tc, replayed_quote_does_not_hold);
	tcase_add_test(tc, one_extend_is_seen_in_its_pcr_alone);
	tcase_add_test(tc, no_bit_of_a_quote_may_change);
	tcase_add_test(tc, quote_of_another_tpm_does_not_hold);
	tcase_add_test(tc, proof_is_no_quote_and_quote_no_proof);
	tcase_add_test(tc, key_file_quotes_nothing);
	suite_add_tcase(s, tc);
	return s;
}
