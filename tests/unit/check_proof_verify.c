/* The verifier, without a TPM: statements that TPMs signed (tests/data/tpm) and
 * every change to them. */
#include "shared/base/err.h"
#include "shared/proof/p256.h"
#include "shared/proof/proof.h"
#include "shared/proof/statement.h"
#include "shared/proof/template.h"
#include "tests/unit/crypto_fault.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_record.h"

#include <openssl/err.h>
#include <sodium.h>
#include <string.h>

static struct recorded honest;
static struct proof proof;

static void
setup(void)
{
	recorded_read(&honest, "honest");
	ck_assert(attacker_proof(&proof, &honest.statement));
}

static int
verify(const struct proof *it)
{
	struct proof_subject subject = recorded_subject();

	return proof_verify(it, &subject, honest.public_key,
	    sizeof(honest.public_key));
}

START_TEST(recorded_statements_hold)
{
	ck_assert_int_eq(verify(&proof), 0);
	recorded_read(&honest, "honest_rsa");
	ck_assert(attacker_proof(&proof, &honest.statement));
	ck_assert_int_eq(verify(&proof), 0);
}
END_TEST

START_TEST(templates_are_the_tpms_own_bytes)
{
	struct proof_subject subject = recorded_subject();
	uint8_t attest[TEMPLATE_ATTEST_BYTES], qualifying[32];
	struct template_key key;

	proof_qualifying_data(qualifying, &subject);
	ck_assert(template_key_read(&key, honest.public_key,
	    sizeof(honest.public_key)));
	template_attest(attest, &proof, &key, qualifying);
	ck_assert_uint_eq(honest.statement.len, sizeof(attest));
	ck_assert_mem_eq(attest, honest.statement.attest, sizeof(attest));
}
END_TEST

/* Kept for the fuzzer, which begins with one that holds. */
START_TEST(seed_of_the_fuzzer_is_a_proof)
{
	const char *path = TESTS_FOLDER "/fuzz/seeds/proof/proof";
	struct buf packed = { 0 };
	uint8_t *seed;
	size_t len;

	buf_add_byte(&packed, 0);
	record_write_msgpack(&packed, &proof_record, &proof);
	if (getenv("LEASEHOLD_RECORD") != NULL)
		ck_assert_int_eq(file_write(path, packed.data, packed.len,
				     0644),
		    0);
	ck_assert_int_eq(file_read(&seed, &len, path, 1000), 0);
	ck_assert_uint_eq(len, packed.len);
	ck_assert_mem_eq(seed, packed.data, len);
	free(seed);
	buf_release(&packed);
}
END_TEST

/* Really signed by the machine's TPM, about something else. */
START_TEST(recorded_attacks_do_not_hold)
{
	static const char *const names[] = { "ordinary", "disguised", "second",
		"other_site", "orderly", "no_policy", "first_half", "last_half",
		"quote", "owner_key" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		recorded_read(&honest, names[i]);
		ck_assert_msg(statement_is_signed(&honest.statement, honest.ak),
		    "%s", names[i]);
		/* One of another size has no form that travels. */
		if (attacker_proof(&proof, &honest.statement))
			ck_assert_msg(verify(&proof) == ERR_BAD_PROOF, "%s",
			    names[i]);
		else
			ck_assert_uint_ne(honest.statement.len,
			    TEMPLATE_ATTEST_BYTES);
	}
}
END_TEST

#define FORGED(change)                                         \
	do {                                                   \
		struct proof bad = proof;                      \
		change;                                        \
		ck_assert_int_eq(verify(&bad), ERR_BAD_PROOF); \
	} while (0)

START_TEST(every_number_is_signed)
{
	for (int bit = 0; bit < 64; bit++) {
		FORGED(bad.counter ^= (uint64_t)1 << bit);
		FORGED(bad.clock_ms ^= (uint64_t)1 << bit);
		FORGED(bad.resets ^= (uint64_t)1 << bit);
		FORGED(bad.restarts ^= (uint64_t)1 << bit);
		FORGED(bad.sequence ^= (uint64_t)1 << bit);
		FORGED(bad.firmware[bit / 8] ^= (uint8_t)(1 << bit % 8));
	}
	FORGED(bad.clock_unsafe = !bad.clock_unsafe);
	FORGED(bad.counter = 0);
}
END_TEST

START_TEST(every_bit_of_the_signature_counts)
{
	for (size_t i = 0; i < 64; i++)
		for (int bit = 0; bit < 8; bit++)
			FORGED(bad.signature[i] ^= (uint8_t)(1 << bit));
	FORGED(memset(bad.signature, 0, 32));
	FORGED(memset(bad.signature + 32, 0, 32));
	FORGED(memset(bad.signature, 0, 64));
	FORGED(memset(bad.signature, 0xff, 64));
}
END_TEST

START_TEST(proof_has_one_class)
{
	ck_assert_uint_eq(proof.class_, PROOF_TPM);
	FORGED(bad.class_ = PROOF_VTPM);
	FORGED(bad.class_ = PROOF_SOFTWARE);
	FORGED(bad.class_ = PROOF_ASSIGNED);
	FORGED(bad.class_ = PROOF_KEY);
	FORGED(bad.class_ = 77);
}
END_TEST

/* n - s */
static void
mirror(uint8_t s[32])
{
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
		0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2,
		0xfc, 0x63, 0x25, 0x51 };
	int borrow = 0;

	for (int i = 31; i >= 0; i--) {
		int digit = order[i] - s[i] - borrow;

		borrow = digit < 0;
		s[i] = (uint8_t)digit;
	}
}

START_TEST(signature_has_one_form)
{
	struct statement other = honest.statement;
	struct proof bad = proof;

	/* With the other s it verifies as well, and is no proof. */
	mirror(other.signature + 32);
	ck_assert(statement_is_signed(&honest.statement, honest.ak));
	ck_assert(statement_is_signed(&other, honest.ak));
	mirror(bad.signature + 32);
	ck_assert_int_eq(verify(&bad), ERR_BAD_PROOF);
	p256_lower(bad.signature + 32);
	ck_assert_mem_eq(bad.signature, proof.signature, 64);
	p256_lower(bad.signature + 32);
	ck_assert_mem_eq(bad.signature, proof.signature, 64);
}
END_TEST

START_TEST(half_of_the_order_is_low)
{
	uint8_t s[32] = { 0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0x7f, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d, 0x56,
		0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31,
		0x92, 0xa8 };
	uint8_t above[32];

	ck_assert(p256_is_low(s));
	memcpy(above, s, 32);
	above[31]++;
	ck_assert(!p256_is_low(above));
	p256_lower(above);
	ck_assert_mem_eq(above, s, 32); /* n is odd */
}
END_TEST

START_TEST(subject_is_signed)
{
	struct proof_subject subject = recorded_subject(), bad;

#define OTHER(change)                                                          \
	do {                                                                   \
		bad = subject;                                                 \
		change;                                                        \
		ck_assert_int_eq(proof_verify(&proof, &bad, honest.public_key, \
				     sizeof(honest.public_key)),               \
		    ERR_BAD_PROOF);                                            \
	} while (0)
	OTHER(bad.purpose = PROOF_LOGIN);
	OTHER(bad.purpose = PROOF_RETURN);
	OTHER(bad.site = "site-b");
	OTHER(bad.tenant = "other");
	OTHER(bad.device = 8);
	OTHER(bad.nonce[0] ^= 1);
	OTHER(bad.exporter[0] ^= 1);
	OTHER(memset(bad.exporter, 0, 32));
	OTHER(bad.request_digest[31] ^= 1);
#undef OTHER
}
END_TEST

START_TEST(public_key_has_one_form)
{
	struct proof_subject subject = recorded_subject();
	uint8_t key[PROOF_KEY_BYTES_TPM + 1];

	memcpy(key, honest.public_key, PROOF_KEY_BYTES_TPM);
	for (size_t i = 0; i < PROOF_KEY_BYTES_TPM; i++) {
		key[i] ^= 1;
		ck_assert_int_eq(proof_verify(&proof, &subject, key,
				     PROOF_KEY_BYTES_TPM),
		    ERR_BAD_PROOF);
		key[i] ^= 1;
	}
	key[PROOF_KEY_BYTES_TPM] = 0;
	for (size_t len = 0; len <= sizeof(key); len++)
		ck_assert_int_eq(proof_verify(&proof, &subject, key, len),
		    len == PROOF_KEY_BYTES_TPM ? 0 : ERR_BAD_PROOF);
}
END_TEST

/* A key that says its counter is an index of its owner's choice. */
START_TEST(counters_have_their_range)
{
	struct template_key key;
	uint8_t bytes[PROOF_KEY_BYTES_TPM];

	memcpy(bytes, honest.public_key, sizeof(bytes));
	static const struct {
		uint32_t index;
		bool fits;
	} cases[] = { { 0, false }, { 0x01800000, false },
		{ TEMPLATE_COUNTER_FIRST - 1, false },
		{ TEMPLATE_COUNTER_FIRST, true },
		{ TEMPLATE_COUNTER_FIRST + TEMPLATE_COUNTERS - 1, true },
		{ TEMPLATE_COUNTER_FIRST + TEMPLATE_COUNTERS, false },
		{ 0x01c00002, false }, { UINT32_MAX, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		be32_write(bytes + 1, cases[i].index);
		ck_assert_msg(template_key_read(&key, bytes, sizeof(bytes)) ==
			cases[i].fits,
		    "0x%x", cases[i].index);
	}
	be32_write(bytes + 1, TEMPLATE_COUNTER_FIRST + 1);
	ck_assert(template_key_read(&key, bytes, sizeof(bytes)));
	uint8_t again[PROOF_KEY_BYTES_TPM];

	template_key_write(again, &key);
	ck_assert_mem_eq(again, bytes, sizeof(bytes));
}
END_TEST

/* What signs under a key of the right form and the wrong index: a software key
 * that says so. The index must be refused, not only fail to verify. */
START_TEST(template_knows_two_endorsement_keys)
{
	uint8_t out[TEMPLATE_PUBLIC_MAX], key[256] = { 1 };

	ck_assert_uint_eq(template_ek_public(out, key, 256), 314);
	ck_assert_uint_eq(template_ek_public(out, key, 64), 122);
	ck_assert_uint_eq(template_ek_public(out, key, 0), 0);
	/* To make one: zeros for the key. */
	ck_assert_uint_eq(template_ek_public(out, NULL, 256), 314);
	ck_assert(sodium_is_zero(out + 314 - 256, 256));
	ck_assert_uint_eq(template_ek_public(out, NULL, 64), 122);
	ck_assert(sodium_is_zero(out + 122 - 32, 32));
	ck_assert_uint_eq(template_ak_public(out, NULL, NULL), 88);
	ck_assert_uint_eq(template_ek_public(out, key, 32), 0);
	ck_assert_uint_eq(template_ek_public(out, key, 128), 0);
	ck_assert_uint_eq(template_ek_public(out, key, 255), 0);
}
END_TEST

START_TEST(policy_is_the_commands_of_the_tpm)
{
	uint8_t text[40], want[32], area[TEMPLATE_COUNTER_BYTES];

	/* Part 3: PolicyAuthValue, PolicyCommandCode(TPM_CC_NV_Increment). */
	memset(text, 0, 32);
	memcpy(text + 32, "\0\0\1\x6b", 4);
	crypto_hash_sha256(want, text, 36);
	memcpy(text, want, 32);
	memcpy(text + 32, "\0\0\1\x6c\0\0\1\x34", 8);
	crypto_hash_sha256(want, text, 40);
	template_counter_public(area, TEMPLATE_COUNTER_FIRST, true);
	ck_assert_mem_eq(area + 12, want, 32);
	ck_assert_uint_eq(be32_read(area + 6), 0x22040018);
	template_counter_public(area, TEMPLATE_COUNTER_FIRST, false);
	ck_assert_uint_eq(be32_read(area + 6), 0x02040018);
}
END_TEST

START_TEST(classes_fit_themselves)
{
	for (uint32_t said = 0; said <= PROOF_KEY; said++)
		for (uint32_t enrolled = 0; enrolled <= PROOF_KEY; enrolled++)
			ck_assert(proof_class_fits(said, enrolled) ==
			    (said == enrolled ||
				(said == PROOF_TPM && enrolled == PROOF_VTPM)));
}
END_TEST

/* The queue of errors is the thread's, and TLS looks into it. */
START_TEST(refusals_leave_no_errors_behind)
{
	ERR_clear_error();
	FORGED(bad.signature[40] ^= 1);
	FORGED(memset(bad.signature, 0, 64));
	honest.public_key[40] ^= 1; /* off the curve */
	ck_assert_int_eq(verify(&proof), ERR_BAD_PROOF);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

/* Out of memory is a refusal, and no crash. */
START_TEST(memory_that_fails_is_a_refusal)
{
	int refused = 0;

	crypto_fault_begin();
	ck_assert_int_eq(verify(&proof), 0); /* what is made once, is made */
	for (long n = 0; n < 10000; n++) {
		crypto_fault_in = n;
		int err = verify(&proof);

		if (!crypto_fault_struck())
			break;
		ck_assert(err == ERR_BAD_PROOF || err == 0);
		refused += err != 0;
	}
	ck_assert_int_gt(refused, 5);
	ck_assert_int_eq(verify(&proof), 0);
}
END_TEST

START_TEST(fingerprint_is_of_the_key)
{
	char a[PROOF_FINGERPRINT_SIZE], b[PROOF_FINGERPRINT_SIZE];

	proof_fingerprint(a, (const uint8_t *)"abc", 3);
	ck_assert_str_eq(a,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
	    "ad");
	proof_fingerprint(b, honest.public_key, sizeof(honest.public_key));
	ck_assert_str_ne(a, b);
}
END_TEST

/* --- class software ------------------------------------------------------- */

static uint8_t secret[64], soft_key[32];

static struct proof
sign_software(const struct proof *numbers)
{
	struct proof_subject subject = recorded_subject();
	uint8_t bytes[STATEMENT_BYTES];
	struct proof made = *numbers;

	statement_write(bytes, &made, &subject);
	crypto_sign_detached(made.signature, NULL, bytes, sizeof(bytes),
	    secret);
	return made;
}

static int
verify_software(const struct proof *it)
{
	struct proof_subject subject = recorded_subject();

	return proof_verify(it, &subject, soft_key, sizeof(soft_key));
}

START_TEST(software_says_only_what_it_signs)
{
	const struct proof good = { .class_ = PROOF_SOFTWARE,
		.counter = 3,
		.sequence = 9,
		.clock_ms = 5,
		.resets = 1 };
	struct proof made, numbers;

	crypto_sign_keypair(soft_key, secret);
	made = sign_software(&good);
	ck_assert_int_eq(verify_software(&made), 0);
	numbers = good;
	numbers.class_ = PROOF_ASSIGNED;
	made = sign_software(&numbers);
	ck_assert_int_eq(verify_software(&made), 0);
	/* Signed, and yet not to be believed. */
#define UNFIT(change)                                                    \
	do {                                                             \
		numbers = good;                                          \
		change;                                                  \
		made = sign_software(&numbers);                          \
		ck_assert_int_eq(verify_software(&made), ERR_BAD_PROOF); \
	} while (0)
	UNFIT(numbers.sequence = 0);
	UNFIT(numbers.counter = 0);
	UNFIT(numbers.restarts = 1);
	UNFIT(numbers.clock_unsafe = true);
	UNFIT(numbers.firmware[3] = 1);
	UNFIT(numbers.class_ = PROOF_TPM);
	UNFIT(numbers.class_ = PROOF_KEY);
#undef UNFIT
	made = sign_software(&good);
	made.class_ = PROOF_ASSIGNED;
	ck_assert_int_eq(verify_software(&made), ERR_BAD_PROOF);
	made = sign_software(&good);
	made.sequence++;
	ck_assert_int_eq(verify_software(&made), ERR_BAD_PROOF);
	struct proof_subject subject = recorded_subject();

	made = sign_software(&good);
	ck_assert_int_eq(proof_verify(&made, &subject, soft_key, 31),
	    ERR_BAD_PROOF);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_verify");
	TCase *tc = tcase_create("verify");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, recorded_statements_hold);
	tcase_add_test(tc, templates_are_the_tpms_own_bytes);
	tcase_add_test(tc, seed_of_the_fuzzer_is_a_proof);
	tcase_add_test(tc, recorded_attacks_do_not_hold);
	tcase_add_test(tc, every_number_is_signed);
	tcase_add_test(tc, every_bit_of_the_signature_counts);
	tcase_add_test(tc, proof_has_one_class);
	tcase_add_test(tc, signature_has_one_form);
	tcase_add_test(tc, half_of_the_order_is_low);
	tcase_add_test(tc, subject_is_signed);
	tcase_add_test(tc, public_key_has_one_form);
	tcase_add_test(tc, counters_have_their_range);
	tcase_add_test(tc, template_knows_two_endorsement_keys);
	tcase_add_test(tc, policy_is_the_commands_of_the_tpm);
	tcase_add_test(tc, classes_fit_themselves);
	tcase_add_test(tc, refusals_leave_no_errors_behind);
	tcase_add_test(tc, memory_that_fails_is_a_refusal);
	tcase_add_test(tc, fingerprint_is_of_the_key);
	tcase_add_test(tc, software_says_only_what_it_signs);
	suite_add_tcase(s, tc);
	return s;
}
