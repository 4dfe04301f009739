/* Whom a site trusts to certify TPMs: the bundle of CAs, and the list that says
 * which of them make chips. */
#include "tests/unit/proof_makers.h"

#include <openssl/x509.h>

/* --- who is listed -------------------------------------------------------- */

static void
open_with(const struct lab_ca *a, const char *a_word, const struct lab_ca *b,
    const char *b_word)
{
	proof_trust_close(trust);
	trust = NULL;
	ck_assert_int_eq(truncate(ca_file, 0), 0);
	ck_assert_int_eq(truncate(issuers_file, 0), 0);
	lab_ca_write(a, ca_file);
	lab_ca_write(b, ca_file);
	if (a_word != NULL)
		lab_ca_list(a, issuers_file, a_word);
	if (b_word != NULL)
		lab_ca_list(b, issuers_file, b_word);
	ck_assert_int_eq(proof_trust_open(&trust, ca_file, issuers_file), 0);
}

START_TEST(any_listed_ca_on_the_way_counts)
{
	struct lab_ca root, between;

	lab_ca_new(&root, "Root", NULL);
	lab_ca_new(&between, "Between", &root);
	open_with(&root, "hardware", &between, NULL);
	ck_assert_uint_eq(class_of(&between, NULL), PROOF_TPM);
	open_with(&root, NULL, &between, "hardware");
	ck_assert_uint_eq(class_of(&between, NULL), PROOF_TPM);
	open_with(&root, NULL, &between, NULL);
	ck_assert_uint_eq(class_of(&between, NULL), PROOF_VTPM);
	/* A maker of chips that certifies virtual ones by another CA. */
	open_with(&root, "hardware", &between, "virtual");
	ck_assert_uint_eq(class_of(&between, NULL), PROOF_VTPM);
	open_with(&between, "hardware", &root, "virtual");
	ck_assert_uint_eq(class_of(&between, NULL), PROOF_VTPM);
	/* The bundle need not go up to the root. */
	open_with(&between, "hardware", &chips, NULL);
	ck_assert_uint_eq(class_of(&between, NULL), PROOF_TPM);
	lab_ca_release(&root);
	lab_ca_release(&between);
}
END_TEST

START_TEST(ca_listed_twice_is_the_lesser)
{
	lab_ca_list(&chips, issuers_file, "virtual");
	proof_trust_close(trust);
	ck_assert_int_eq(proof_trust_open(&trust, ca_file, issuers_file), 0);
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_VTPM);
	lab_ca_list(&programs, issuers_file, "hardware");
	proof_trust_close(trust);
	ck_assert_int_eq(proof_trust_open(&trust, ca_file, issuers_file), 0);
	ck_assert_uint_eq(class_of(&programs, NULL), PROOF_VTPM);
}
END_TEST

START_TEST(without_files_every_tpm_is_virtual)
{
	proof_trust_close(trust);
	ck_assert_int_eq(proof_trust_open(&trust, NULL, issuers_file), 0);
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "no bundle"));
	proof_trust_close(trust);
	ck_assert_int_eq(proof_trust_open(&trust, ca_file, NULL), 0);
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_VTPM);
	proof_trust_close(trust);
	trust = NULL;
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_VTPM);
	ck_assert_ptr_nonnull(strstr(found.reason, "no bundle"));
}
END_TEST

/* --- the two files -------------------------------------------------------- */

static int
open_texts(const char *ca, const char *issuers)
{
	struct proof_trust *opened = NULL;
	int err;

	if (ca != NULL)
		ck_assert_int_eq(file_write(ca_file, ca, strlen(ca), 0600), 0);
	if (issuers != NULL)
		ck_assert_int_eq(file_write(issuers_file, issuers,
				     strlen(issuers), 0600),
		    0);
	err = proof_trust_open(&opened, ca_file, issuers_file);
	ck_assert((err == 0) == (opened != NULL));
	proof_trust_close(opened);
	return err;
}

#define HEX31 "0102030405060708091011121314151617181920212223242526272829303"
#define COLONS                                                            \
	"01:02:03:04:05:06:07:08:09:10:11:12:13:14:15:16:17:18:19:20:21:" \
	"22:23:24:25:26:27:28:29:30:aB:Cd"

START_TEST(list_of_issuers_is_read_strictly)
{
	ck_assert_int_eq(open_texts(NULL, ""), 0);
	ck_assert_int_eq(open_texts(NULL,
			     "# makers\n\n  hardware\t" HEX31
			     "1ab # one\r\nvirtual " COLONS),
	    0);
	ck_assert_int_eq(open_texts(NULL, "hardware " HEX31 "1a\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "hardware " HEX31 "1abc\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "hardware " HEX31 "1ag\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "hardwar " HEX31 "1ab\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "hardwares " HEX31 "1ab\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "virtually " HEX31 "1ab\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "virtua " HEX31 "1ab\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "\n   \t"), 0);
	ck_assert_int_eq(open_texts(NULL, "hardware "), ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "hardware"), ERR_BAD_REQUEST);
	ck_assert_int_eq(file_write(issuers_file, "# \0 #\n", 7, 0600), 0);
	ck_assert_int_eq(open_texts(NULL, NULL), ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "Hardware " HEX31 "1ab\n"),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, HEX31 "1ab\n"), ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "hardware\n"), ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts(NULL, "virtual " HEX31 "1ab more\n"),
	    ERR_BAD_REQUEST);
	char *colons = strdup("hardware " COLONS);

	*strchr(colons, ':') = '-';
	ck_assert_int_eq(open_texts(NULL, colons), ERR_BAD_REQUEST);
	free(colons);
}
END_TEST

START_TEST(fingerprints_are_read_as_tools_write_them)
{
	char text[256] = "hardware ", hex[3];
	uint8_t digest[32];

	ck_assert_int_eq(X509_digest(chips.certificate, EVP_sha256(), digest,
			     NULL),
	    1);
	for (size_t i = 0; i < 32; i++) {
		snprintf(hex, sizeof(hex), "%02X", digest[i]);
		strcat(text, hex);
		if (i < 31)
			strcat(text, ":");
	}
	ck_assert_int_eq(file_write(issuers_file, text, strlen(text), 0600), 0);
	proof_trust_close(trust);
	ck_assert_int_eq(proof_trust_open(&trust, ca_file, issuers_file), 0);
	ck_assert_uint_eq(class_of(&chips, NULL), PROOF_TPM);
}
END_TEST

START_TEST(bundle_is_read_strictly)
{
	struct proof_trust *none = NULL;
	struct lab_ca leaf = { 0 };
	FILE *file = fopen(ca_file, "a");

	ck_assert_ptr_nonnull(file);
	fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
	      "CERTIFICATE-----\n",
	    file);
	fclose(file);
	ck_assert_int_eq(proof_trust_open(&none, ca_file, NULL),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts("", ""), ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts("no PEM\n", ""), ERR_BAD_REQUEST);
	ck_assert_int_eq(open_texts("no PEM\n", "# none\n"), ERR_BAD_REQUEST);
	ck_assert_int_eq(truncate(ca_file, 0), 0);
	size_t len = lab_certify(der, &chips, rsa_ek, sizeof(rsa_ek), NULL);
	const unsigned char *at = der;

	leaf.certificate = d2i_X509(NULL, &at, (long)len);
	lab_ca_write(&leaf, ca_file);
	ck_assert_int_eq(proof_trust_open(&none, ca_file, NULL),
	    ERR_BAD_REQUEST);
	lab_ca_release(&leaf);
	ck_assert_int_eq(proof_trust_open(&none, "/nowhere", NULL),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(proof_trust_open(&none, NULL, "/nowhere"),
	    ERR_NOT_FOUND);
	ck_assert_ptr_null(none);
}
END_TEST

/* --- memory --------------------------------------------------------------- */

START_TEST(bundles_outlive_failing_memory)
{
	int failed = 0;

	for (long n = 0; n < 100000; n++) {
		struct proof_trust *opened = NULL;

		crypto_fault_in = n;
		int err = proof_trust_open(&opened, ca_file, issuers_file);
		bool struck = crypto_fault_struck();

		ck_assert((err == 0) == (opened != NULL));
		proof_trust_close(opened);
		if (!struck)
			break;
		failed += err != 0;
	}
	ck_assert_int_gt(failed, 5);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_trust");
	TCase *tc = tcase_create("trust");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, any_listed_ca_on_the_way_counts);
	tcase_add_test(tc, ca_listed_twice_is_the_lesser);
	tcase_add_test(tc, without_files_every_tpm_is_virtual);
	tcase_add_test(tc, list_of_issuers_is_read_strictly);
	tcase_add_test(tc, fingerprints_are_read_as_tools_write_them);
	tcase_add_test(tc, bundle_is_read_strictly);
	suite_add_tcase(s, tc);
	tc = tcase_create("memory");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_faults, teardown);
	tcase_add_test(tc, bundles_outlive_failing_memory);
	suite_add_tcase(s, tc);
	return s;
}
