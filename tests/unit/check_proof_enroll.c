/* What a site checks when a TPM enrolls, without one: who made it, and the
 * challenge. Three makers: one of chips, one of programs, one that nobody
 * listed. */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/enroll.h"
#include "shared/proof/p256.h"
#include "shared/proof/template.h"
#include "tests/unit/crypto_fault.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct lab_ca chips, programs, nobody, stranger;
static char ca_file[64], issuers_file[64];
static struct proof_trust *trust;
static struct proof_endorsement found;
/* An EK of each kind, and the public key of a device that has it. */
static uint8_t rsa_ek[256], rsa_key[PROOF_KEY_BYTES_TPM];
static uint8_t p256_ek[64], p256_device[PROOF_KEY_BYTES_TPM];
static uint8_t der[4096];

static int64_t
now_ms(void)
{
	return (int64_t)time(NULL) * 1000;
}

static void
make_key(uint8_t out[PROOF_KEY_BYTES_TPM], const uint8_t *ek, size_t len)
{
	uint8_t public_area[TEMPLATE_PUBLIC_MAX], qualified[32], ak[64];
	struct template_key key = {
		.index = TEMPLATE_COUNTER_FIRST + 3,
		.ek_qualified = qualified,
		.x = ak,
		.y = ak + 32,
	};

	memset(ak, 7, sizeof(ak));
	template_ek_qualified(qualified, public_area,
	    template_ek_public(public_area, ek, len));
	template_key_write(out, &key);
}

static EVP_PKEY *
make_point(uint8_t out[64])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t point[65];
	size_t len;

	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(EVP_PKEY_get_octet_string_param(key,
			     OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
			     &len),
	    1);
	memcpy(out, point + 1, 64);
	return key;
}

static void
make_files(void)
{
	snprintf(ca_file, sizeof(ca_file), "/tmp/check_enroll.ca.XXXXXX");
	snprintf(issuers_file, sizeof(issuers_file),
	    "/tmp/check_enroll.issuers.XXXXXX");
	close(mkstemp(ca_file));
	close(mkstemp(issuers_file));
	lab_ca_write(&chips, ca_file);
	lab_ca_write(&programs, ca_file);
	lab_ca_write(&nobody, ca_file);
	lab_ca_list(&chips, issuers_file, "hardware");
	lab_ca_list(&programs, issuers_file, "virtual");
}

static void
setup(void)
{
	lab_ca_new(&chips, "Chips & Söhne", NULL);
	lab_ca_new(&programs, "Virtual Machines", NULL);
	lab_ca_new(&nobody, "Nobody's list", NULL);
	lab_ca_new(&stranger, "In no bundle", NULL);
	make_files();
	ck_assert_int_eq(proof_trust_open(&trust, ca_file, issuers_file), 0);
	randombytes_buf(rsa_ek, sizeof(rsa_ek));
	rsa_ek[0] |= 0x80;
	rsa_ek[255] |= 1;
	EVP_PKEY_free(make_point(p256_ek));
	make_key(rsa_key, rsa_ek, sizeof(rsa_ek));
	make_key(p256_device, p256_ek, sizeof(p256_ek));
}

static void
teardown(void)
{
	proof_trust_close(trust);
	lab_ca_release(&chips);
	lab_ca_release(&programs);
	lab_ca_release(&nobody);
	lab_ca_release(&stranger);
	unlink(ca_file);
	unlink(issuers_file);
}

/* --- the certificate ------------------------------------------------------ */

static int
judge_der(size_t len)
{
	const struct proof_material material = {
		.ek = { rsa_ek, sizeof(rsa_ek) },
		.certificate = { der, (uint32_t)len },
	};

	return proof_material_judge(&found, trust, &material, rsa_key,
	    sizeof(rsa_key), now_ms());
}

static uint32_t
class_of(const struct lab_ca *ca, const struct lab_leaf *leaf)
{
	size_t len = lab_certify(der, ca, rsa_ek, sizeof(rsa_ek), leaf);

	ck_assert_int_eq(judge_der(len), 0);
	/* Either it is a chip's or somebody is told why not. */
	ck_assert((found.class_ == PROOF_TPM) == (found.reason[0] == '\0'));
	return found.class_;
}

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

/* --- the challenge -------------------------------------------------------- */

static void
hmac(uint8_t out[32], const uint8_t *key, size_t key_len, const void *a,
    size_t a_len, const void *b, size_t b_len)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, a, a_len);
	crypto_auth_hmacsha256_update(&state, b, b_len);
	crypto_auth_hmacsha256_final(&state, out);
}

/* What a TPM does with a credential once it has the seed: part 1, 24.4. */
static bool
open_credential(uint8_t secret[32], const struct record_span *credential,
    const uint8_t seed[32], const uint8_t device[PROOF_KEY_BYTES_TPM])
{
	const uint8_t *bytes = credential->data;
	uint8_t area[TEMPLATE_PUBLIC_MAX], name[TEMPLATE_NAME_BYTES];
	uint8_t key[32], text[256], plain[34];
	static const uint8_t iv[16];
	int len;

	ck_assert_uint_eq(credential->len, 68);
	template_name(name, area,
	    template_ak_public(area, device + 37, device + 69));
	hmac(key, seed, 32, "\0\0\0\1INTEGRITY\0", 14, "\0\0\1\0", 4);
	hmac(text, key, 32, bytes + 34, 34, name, sizeof(name));
	if (be16_read(bytes) != 32 || memcmp(text, bytes + 2, 32) != 0)
		return false;
	memcpy(text, name, sizeof(name));
	memcpy(text + sizeof(name), "\0\0\0\x80", 4);
	hmac(key, seed, 32, "\0\0\0\1STORAGE\0", 12, text, sizeof(name) + 4);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	ck_assert_int_eq(EVP_DecryptInit(ctx, EVP_aes_128_cfb128(), key, iv),
	    1);
	ck_assert_int_eq(EVP_DecryptUpdate(ctx, plain, &len, bytes + 34, 34),
	    1);
	EVP_CIPHER_CTX_free(ctx);
	ck_assert_uint_eq(be16_read(plain), 32);
	memcpy(secret, plain + 2, 32);
	return true;
}

/* A TPM in software: what it makes of the seed, part 1, C.6.4 and B.10.4. */
static bool
open_p256(uint8_t secret[32], EVP_PKEY *ek,
    const struct proof_challenge *challenge)
{
	const uint8_t *point = challenge->seed.data;
	uint8_t seed[32], z[32], text[128];
	size_t len = 32;

	if (challenge->seed.len != 68 || be16_read(point) != 32 ||
	    be16_read(point + 34) != 32)
		return false;
	EVP_PKEY *theirs = p256_key(point + 2, point + 36);

	if (theirs == NULL)
		return false;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);

	ck_assert_int_eq(EVP_PKEY_derive_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_derive_set_peer(ctx, theirs), 1);
	ck_assert_int_eq(EVP_PKEY_derive(ctx, z, &len), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	memcpy(text, "\0\0\0\1", 4);
	memcpy(text + 4, z, 32);
	memcpy(text + 36, "IDENTITY\0", 9);
	memcpy(text + 45, point + 2, 32);
	memcpy(text + 77, p256_ek, 32);
	crypto_hash_sha256(seed, text, 109);
	return open_credential(secret, &challenge->credential, seed,
	    p256_device);
}

static bool
open_rsa(uint8_t secret[32], EVP_PKEY *ek,
    const struct proof_challenge *challenge)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);
	uint8_t seed[256];
	size_t len = sizeof(seed);

	ck_assert_int_eq(EVP_PKEY_decrypt_init(ctx), 1);
	EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING);
	EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256());
	EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup("IDENTITY", 9), 9);
	bool opened = EVP_PKEY_decrypt(ctx, seed, &len, challenge->seed.data,
			  challenge->seed.len) == 1 &&
	    len == 32;

	EVP_PKEY_CTX_free(ctx);
	return opened &&
	    open_credential(secret, &challenge->credential, seed, rsa_key);
}

static EVP_PKEY *
make_p256_device(void)
{
	EVP_PKEY *ek = make_point(p256_ek);

	make_key(p256_device, p256_ek, 64);
	return ek;
}

static EVP_PKEY *
make_rsa_device(void)
{
	EVP_PKEY *ek = EVP_RSA_gen(2048);
	BIGNUM *n = NULL;

	ck_assert_int_eq(EVP_PKEY_get_bn_param(ek, OSSL_PKEY_PARAM_RSA_N, &n),
	    1);
	ck_assert_int_eq(BN_bn2binpad(n, rsa_ek, 256), 256);
	BN_free(n);
	make_key(rsa_key, rsa_ek, 256);
	return ek;
}

START_TEST(elliptic_challenge_opens_with_the_endorsement_key)
{
	EVP_PKEY *ek = make_p256_device();
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32], opened[32];

	randombytes_buf(secret, sizeof(secret));
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, p256_device, sizeof(p256_device)),
	    0);
	ck_assert(open_p256(opened, ek, &challenge));
	ck_assert_mem_eq(opened, secret, 32);
	p256_device[40] ^= 1; /* for another attestation key */
	ck_assert(!open_p256(opened, ek, &challenge));
	EVP_PKEY_free(ek);
	arena_release(&arena);
}
END_TEST

START_TEST(rsa_challenge_opens_with_the_endorsement_key)
{
	EVP_PKEY *ek = make_rsa_device();
	struct proof_material material = { .ek = { rsa_ek, 256 } };
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32], opened[32];

	randombytes_buf(secret, sizeof(secret));
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, rsa_key, sizeof(rsa_key)),
	    0);
	ck_assert(open_rsa(opened, ek, &challenge));
	ck_assert_mem_eq(opened, secret, 32);
	rsa_key[40] ^= 1;
	ck_assert(!open_rsa(opened, ek, &challenge));
	EVP_PKEY_free(ek);
	arena_release(&arena);
}
END_TEST

START_TEST(no_two_challenges_are_alike)
{
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge a, b;
	struct arena arena = { 0 };
	uint8_t secret[32] = { 9 };

	ck_assert_int_eq(proof_challenge_make(&a, &arena, secret, &material,
			     p256_device, sizeof(p256_device)),
	    0);
	ck_assert_int_eq(proof_challenge_make(&b, &arena, secret, &material,
			     p256_device, sizeof(p256_device)),
	    0);
	ck_assert_mem_ne(a.seed.data, b.seed.data, a.seed.len);
	ck_assert_mem_ne(a.credential.data, b.credential.data,
	    a.credential.len);
	arena_release(&arena);
}
END_TEST

START_TEST(what_is_no_key_gets_no_challenge)
{
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32] = { 9 };

	p256_ek[63] ^= 1; /* off the curve */
	make_key(p256_device, p256_ek, 64);
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, p256_device, sizeof(p256_device)),
	    ERR_BAD_PROOF);
	ck_assert_ptr_null(challenge.seed.data);
	memset(rsa_ek, 0, sizeof(rsa_ek));
	make_key(rsa_key, rsa_ek, sizeof(rsa_ek));
	material.ek = (struct record_span){ rsa_ek, sizeof(rsa_ek) };
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, rsa_key, sizeof(rsa_key)),
	    ERR_BAD_PROOF);
	arena_release(&arena);
}
END_TEST

START_TEST(challenge_needs_room)
{
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge challenge;
	uint8_t secret[32] = { 9 };
	int refused = 0;

	for (size_t most = 1; most < 1000; most += 8) {
		struct arena arena = { .max_bytes = most };
		int err = proof_challenge_make(&challenge, &arena, secret,
		    &material, p256_device, sizeof(p256_device));

		ck_assert(err == 0 || err == ERR_NOMEM);
		ck_assert((err == 0) ==
		    (challenge.credential.data != NULL &&
			challenge.seed.data != NULL));
		ck_assert((err == 0) == (challenge.credential.len != 0));
		refused += err != 0;
		arena_release(&arena);
	}
	ck_assert_int_gt(refused, 8);
}
END_TEST

START_TEST(material_and_challenge_travel_as_records)
{
	uint32_t len = (uint32_t)lab_certify(der, &chips, rsa_ek, 256, NULL);
	struct proof_material material = { { rsa_ek, 256 }, { der, len } };
	struct proof_material back;
	struct arena arena = { 0 };
	struct buf text = { 0 };

	record_write_json(&text, &proof_material_record, &material);
	ck_assert_int_eq(record_read_json(&back, &proof_material_record,
			     buf_text(&text), text.len, &arena, NULL),
	    0);
	ck_assert_uint_eq(back.certificate.len, len);
	ck_assert_mem_eq(back.certificate.data, der, len);
	/* Without a TPM it is empty, and so may be read. */
	buf_clear(&text);
	material = (struct proof_material){ 0 };
	record_write_json(&text, &proof_material_record, &material);
	ck_assert_str_eq(buf_text(&text), "{}");
	buf_release(&text);
	arena_release(&arena);
}
END_TEST

/* --- memory --------------------------------------------------------------- */

static void
setup_faults(void)
{
	crypto_fault_begin();
	setup();
}

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

/* One that was made all the same must be what the TPM can open: a seed that
 * was never shared would be known to anybody. */
static void
fail_challenges(EVP_PKEY *ek, const struct proof_material *material,
    const uint8_t *key,
    bool (*open)(uint8_t *, EVP_PKEY *, const struct proof_challenge *))
{
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32], opened[32];
	int failed = 0;

	for (long n = 0; n < 100000; n++) {
		randombytes_buf(secret, sizeof(secret));
		crypto_fault_in = n;
		int err = proof_challenge_make(&challenge, &arena, secret,
		    material, key, PROOF_KEY_BYTES_TPM);

		if (!crypto_fault_struck())
			break;
		ck_assert((err == 0) == (challenge.seed.len != 0));
		failed += err != 0;
		if (err != 0)
			continue;
		ck_assert_msg(open(opened, ek, &challenge), "%ld", n);
		ck_assert_mem_eq(opened, secret, 32);
	}
	ck_assert_int_gt(failed, 5);
	arena_release(&arena);
}

START_TEST(challenges_outlive_failing_memory)
{
	EVP_PKEY *p256 = make_p256_device(), *rsa = make_rsa_device();
	struct proof_material material = { .ek = { p256_ek, 64 } };

	fail_challenges(p256, &material, p256_device, open_p256);
	material.ek = (struct record_span){ rsa_ek, 256 };
	fail_challenges(rsa, &material, rsa_key, open_rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(rsa);
}
END_TEST

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

static TCase *
make_faults(void)
{
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_faults, teardown);
	tcase_add_test(tc, verdicts_outlive_failing_memory);
	tcase_add_test(tc, challenges_outlive_failing_memory);
	tcase_add_test(tc, bundles_outlive_failing_memory);
	return tc;
}

static TCase *
make_challenges(void)
{
	TCase *tc = tcase_create("challenge");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, elliptic_challenge_opens_with_the_endorsement_key);
	tcase_add_test(tc, rsa_challenge_opens_with_the_endorsement_key);
	tcase_add_test(tc, no_two_challenges_are_alike);
	tcase_add_test(tc, what_is_no_key_gets_no_challenge);
	tcase_add_test(tc, challenge_needs_room);
	tcase_add_test(tc, material_and_challenge_travel_as_records);
	return tc;
}

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
	tcase_add_test(tc, any_listed_ca_on_the_way_counts);
	tcase_add_test(tc, ca_listed_twice_is_the_lesser);
	tcase_add_test(tc, without_files_every_tpm_is_virtual);
	tcase_add_test(tc, missing_or_unreadable_certificate_is_virtual);
	tcase_add_test(tc, changed_certificate_is_never_a_chips);
	tcase_add_test(tc, certificate_of_another_key_is_a_lie);
	tcase_add_test(tc, certificates_have_their_time);
	tcase_add_test(tc, certificate_must_be_an_endorsement_keys);
	tcase_add_test(tc, quirks_of_makers_are_understood);
	tcase_add_test(tc, certificate_is_known_by_issuer_and_number);
	tcase_add_test(tc, tpm_is_known_by_its_endorsement_key);
	tcase_add_test(tc, public_key_must_stand_under_the_endorsement_key);
	tcase_add_test(tc, list_of_issuers_is_read_strictly);
	tcase_add_test(tc, fingerprints_are_read_as_tools_write_them);
	tcase_add_test(tc, bundle_is_read_strictly);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, make_challenges());
	suite_add_tcase(s, make_faults());
	return s;
}
