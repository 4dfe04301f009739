/* What a site makes of an endorsement key's certificate, without a TPM: who
 * made it, and is it this one's? */
#include "tests/unit/proof_makers.h"

START_TEST(listed_maker_of_chips_makes_tpms)
{
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_TPM);
	ck_assert_str_eq(found.manufacturer, "LEAS");
	ck_assert_str_eq(found.issuer, "CN=Chips & S\\C3\\B6hne");
	ck_assert(!sodium_is_zero(found.certificate_id, 32));
	ck_assert(!sodium_is_zero(found.ek_id, 32));
}
END_TEST

START_TEST(elliptic_keys_are_certified_too)
{
	const struct proof_material material = {
		.ek = { p256_ek, sizeof(p256_ek) },
		.certificate = { der,
		    (uint32_t)lab_certify(der, &chips, p256_ek, sizeof(p256_ek),
			NULL) },
	};

	ck_assert_int_eq(proof_material_judge(&found, trust, &material,
			     p256_device, sizeof(p256_device), now_ms()),
	    0);
	ck_assert_uint_eq(found.class_, PROOF_TPM);
}
END_TEST

START_TEST(virtual_maker_makes_virtual_tpms)
{
	ck_assert_uint_eq(class_of(&programs, NULL), PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "virtual"));
	ck_assert(!sodium_is_zero(found.certificate_id, 32));
}
END_TEST

START_TEST(unlisted_maker_makes_virtual_tpms)
{
	ck_assert_uint_eq(class_of(&nobody, NULL), PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "not listed"));
}
END_TEST

START_TEST(unknown_maker_makes_virtual_tpms)
{
	ck_assert_uint_eq(class_of(&stranger, NULL), PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "chain"));
	ck_assert(sodium_is_zero(found.certificate_id, 32));
	ck_assert_str_eq(found.manufacturer, "");
}
END_TEST

START_TEST(long_names_are_cut)
{
	struct lab_ca ca;
	char name[121] = "";

	for (int i = 0; i < 60; i++)
		strcat(name, "ö");
	lab_ca_new(&ca, name, NULL);
	ck_assert_uint_eq(class_of(&ca, NULL), PROOF_VTPM);
	ck_assert_uint_eq(strlen(found.issuer), 127);
	lab_ca_release(&ca);
}
END_TEST

START_TEST(forger_with_the_makers_name_is_unknown)
{
	struct lab_ca forger;

	lab_ca_new(&forger, "Chips & Söhne", NULL);
	ck_assert_uint_eq(class_of(&forger, NULL), PROOF_VTPM);
	lab_ca_release(&forger);
}
END_TEST

/* What a chip's maker certified is no maker. */
START_TEST(endorsement_key_certifies_nobody)
{
	struct lab_ca leaf = { .key = EVP_EC_gen("P-256") };
	uint8_t point[65];
	size_t len;

	ck_assert_int_eq(EVP_PKEY_get_octet_string_param(leaf.key,
			     OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
			     &len),
	    1);
	len = lab_certify(der, &chips, point + 1, 64, NULL);
	const unsigned char *at = der;

	leaf.certificate = d2i_X509(NULL, &at, (long)len);
	ck_assert_ptr_nonnull(leaf.certificate);
	ck_assert_uint_eq(class_of(&leaf, NULL), PROOF_VTPM);
	lab_ca_release(&leaf);
}
END_TEST

START_TEST(missing_or_unreadable_certificate_is_virtual)
{
	size_t len = lab_certify(der, &chips, rsa_ek, sizeof(rsa_ek), NULL);

	ck_assert_int_eq(judge_der(0), 0);
	ck_assert_uint_eq(found.class_, PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "no certificate"));
	ck_assert_int_eq(judge_der(len - 1), 0);
	ck_assert_uint_eq(found.class_, PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "cannot be read"));
	der[len] = 0;
	ck_assert_int_eq(judge_der(len + 1), 0);
	ck_assert_uint_eq(found.class_, PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "cannot be read"));
}
END_TEST

START_TEST(changed_certificate_is_never_a_chips)
{
	size_t len = lab_certify(der, &chips, rsa_ek, sizeof(rsa_ek), NULL);

	for (size_t i = 0; i < len; i++) {
		der[i] ^= 0x20;
		int err = judge_der(len);

		ck_assert_msg(err == ERR_BAD_PROOF ||
			(err == 0 && found.class_ == PROOF_VTPM),
		    "byte %zu: %d, class %u", i, err, found.class_);
		der[i] ^= 0x20;
	}
}
END_TEST

START_TEST(certificate_of_another_key_is_a_lie)
{
	uint8_t other[256];

	memcpy(other, rsa_ek, sizeof(other));
	other[100] ^= 1;
	ck_assert_int_eq(judge_der(lab_certify(der, &chips, other,
			     sizeof(other), NULL)),
	    ERR_BAD_PROOF);
	ck_assert_uint_ne(found.class_, PROOF_TPM);
	/* And of another kind. */
	ck_assert_int_eq(judge_der(lab_certify(der, &chips, p256_ek,
			     sizeof(p256_ek), NULL)),
	    ERR_BAD_PROOF);
	/* Even by a maker that nobody knows. */
	ck_assert_int_eq(judge_der(lab_certify(der, &stranger, other,
			     sizeof(other), NULL)),
	    ERR_BAD_PROOF);
}
END_TEST

START_TEST(certificates_have_their_time)
{
	const struct lab_leaf early = { .not_before_s = 3600 };
	const struct lab_leaf late = { .not_after_s = -60 };
	const struct lab_leaf now = { .not_before_s = -60, .not_after_s = 60 };

	ck_assert_uint_eq(class_of(&chips, &early), PROOF_VTPM);
	ck_assert_uint_eq(class_of(&chips, &late), PROOF_VTPM);
	ck_assert_uint_eq(class_of(&chips, &now), PROOF_TPM);
}
END_TEST

START_TEST(certificate_must_be_an_endorsement_keys)
{
	const struct lab_leaf leaves[] = {
		{ .no_manufacturer = true },
		{ .manufacturer = "LEAS" },
		{ .manufacturer = "id:4C45415" },
		{ .manufacturer = "id:4C45415X" },
		{ .manufacturer = "no:4C454153" },
		{ .manufacturer = "id:4C45415300" },
		{ .odd_key = true },
		{ .usage_twice = true },
		{ .usage_twice = true, .usage = "clientAuth" },
		{ .usage = "serverAuth" },
		{ .usage = "2.23.133.8.3" }, /* of an attestation key */
		{ .unknown_critical = true },
		{ .sha1 = true },
	};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		ck_assert_msg(class_of(&chips, &leaves[i]) == PROOF_VTPM,
		    "leaf %zu", i);
}
END_TEST

START_TEST(quirks_of_makers_are_understood)
{
	const struct lab_leaf leaves[] = {
		{ .critical_name = true },
		{ .usage = "" },
		{ .usage = "serverAuth,2.23.133.8.1" },
		{ .usage = "2.23.133.8.1,serverAuth" },
		{ .more_names = true },
		{ .manufacturer = "id:20202020" },
		{ .manufacturer = "id:41202020" },
		{ .manufacturer = "id:01020304" },
		{ .manufacturer = "id:00001014" },
		{ .manufacturer = "id:49465800" }, /* "IFX" */
		{ .manufacturer = "id:4e544300" },
	};
	static const char *const names[] = { "LEAS", "LEAS", "LEAS", "LEAS",
		"LEAS", "20202020", "A", "01020304", "00001014", "IFX", "NTC" };

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		ck_assert_msg(class_of(&chips, &leaves[i]) == PROOF_TPM,
		    "leaf %zu: %s", i, found.reason);
		ck_assert_str_eq(found.manufacturer, names[i]);
	}
}
END_TEST

START_TEST(certificate_is_known_by_issuer_and_number)
{
	struct lab_leaf leaf = { .serial = 41 };
	uint8_t first[32], bytes[4096];

	ck_assert_uint_eq(class_of(&chips, &leaf), PROOF_TPM);
	memcpy(first, found.certificate_id, 32);
	memcpy(bytes, der, sizeof(bytes));
	/* Signed again, so that its bytes differ: still the same one. */
	ck_assert_uint_eq(class_of(&chips, &leaf), PROOF_TPM);
	ck_assert_mem_ne(bytes, der, sizeof(bytes));
	ck_assert_mem_eq(first, found.certificate_id, 32);
	leaf.serial = 42;
	ck_assert_uint_eq(class_of(&chips, &leaf), PROOF_TPM);
	ck_assert_mem_ne(first, found.certificate_id, 32);
	leaf.serial = 41;
	ck_assert_uint_eq(class_of(&programs, &leaf), PROOF_VTPM);
	ck_assert_mem_ne(first, found.certificate_id, 32);
}
END_TEST

START_TEST(tpm_is_known_by_its_endorsement_key)
{
	uint8_t first[32];

	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_TPM);
	memcpy(first, found.ek_id, 32);
	ck_assert_int_eq(judge_der(0), 0);
	ck_assert_mem_eq(first, found.ek_id, 32);
}
END_TEST

START_TEST(public_key_must_stand_under_the_endorsement_key)
{
	struct proof_material material = {
		.ek = { rsa_ek, sizeof(rsa_ek) },
	};
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[PROOF_SECRET_BYTES] = { 1 };

#define LIE(key, size)                                                    \
	do {                                                              \
		ck_assert_int_eq(proof_material_judge(&found, trust,      \
				     &material, (key), (size), now_ms()), \
		    ERR_BAD_PROOF);                                       \
		ck_assert_int_eq(proof_challenge_make(&challenge, &arena, \
				     secret, &material, (key), (size)),   \
		    ERR_BAD_PROOF);                                       \
		ck_assert_uint_eq(challenge.credential.len, 0);           \
	} while (0)

	LIE(p256_device, sizeof(p256_device));
	LIE(rsa_key, sizeof(rsa_key) - 1);
	LIE(rsa_key, 32); /* a key of class software */
	for (size_t i = 0; i < 37; i++) {
		if (i == 4)
			continue; /* another counter is of this TPM too */
		rsa_key[i] ^= 0x80;
		LIE(rsa_key, sizeof(rsa_key));
		rsa_key[i] ^= 0x80;
	}
	material.ek.len = 0;
	LIE(rsa_key, sizeof(rsa_key));
	material.ek.len = 255;
	LIE(rsa_key, sizeof(rsa_key));
	material.ek.len = 64;
	LIE(rsa_key, sizeof(rsa_key));
	/* One that stands under no EK at all. */
	make_key(rsa_key, rsa_ek, 0);
	material.ek.len = 0;
	LIE(rsa_key, sizeof(rsa_key));
	arena_release(&arena);
#undef LIE
}
END_TEST

/* --- memory --------------------------------------------------------------- */

START_TEST(verdicts_outlive_failing_memory)
{
	const struct lab_ca *makers[] = { &chips, &programs };
	int failed = 0;

	for (size_t i = 0; i < 2; i++) {
		size_t len = lab_certify(der, makers[i], rsa_ek, 256, NULL);

		ck_assert_int_eq(judge_der(len), 0);
		for (long n = 0; n < 100000; n++) {
			crypto_fault_in = n;
			int err = judge_der(len);

			if (!crypto_fault_struck())
				break;
			ck_assert(err == 0 || err == ERR_NOMEM ||
			    err == ERR_BAD_PROOF);
			/* A class is never won for want of memory. */
			ck_assert(
			    err != 0 || i == 0 || found.class_ == PROOF_VTPM);
			failed += err != 0;
		}
	}
	ck_assert_int_gt(failed, 5);
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_TPM);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_enroll");
	TCase *tc = tcase_create("makers");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, listed_maker_of_chips_makes_tpms);
	tcase_add_test(tc, elliptic_keys_are_certified_too);
	tcase_add_test(tc, virtual_maker_makes_virtual_tpms);
	tcase_add_test(tc, unlisted_maker_makes_virtual_tpms);
	tcase_add_test(tc, unknown_maker_makes_virtual_tpms);
	tcase_add_test(tc, long_names_are_cut);
	tcase_add_test(tc, forger_with_the_makers_name_is_unknown);
	tcase_add_test(tc, endorsement_key_certifies_nobody);
	tcase_add_test(tc, missing_or_unreadable_certificate_is_virtual);
	tcase_add_test(tc, changed_certificate_is_never_a_chips);
	tcase_add_test(tc, certificate_of_another_key_is_a_lie);
	tcase_add_test(tc, certificates_have_their_time);
	tcase_add_test(tc, certificate_must_be_an_endorsement_keys);
	tcase_add_test(tc, quirks_of_makers_are_understood);
	tcase_add_test(tc, certificate_is_known_by_issuer_and_number);
	tcase_add_test(tc, tpm_is_known_by_its_endorsement_key);
	tcase_add_test(tc, public_key_must_stand_under_the_endorsement_key);
	suite_add_tcase(s, tc);
	tc = tcase_create("memory");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_faults, teardown);
	tcase_add_test(tc, verdicts_outlive_failing_memory);
	suite_add_tcase(s, tc);
	return s;
}
