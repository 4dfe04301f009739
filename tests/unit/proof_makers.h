/*
 * Makers of TPMs for the tests of enrolment, without a TPM: one of chips, one
 * of programs, one that nobody listed, and one in no bundle. And an endorsement
 * key (EK) of each kind, to be certified by them.
 */
#ifndef TESTS_UNIT_PROOF_MAKERS_H
#define TESTS_UNIT_PROOF_MAKERS_H

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/enroll.h"
#include "shared/proof/template.h"
#include "tests/unit/crypto_fault.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* check runs each test in a process of its own, so these are one test's. */
static struct lab_ca chips, programs, nobody, stranger;
static char ca_file[64], issuers_file[64];
static struct proof_trust *trust;
static struct proof_endorsement found;
/* An EK of each kind, and the public key of a device that has it. */
static uint8_t rsa_ek[256], rsa_key[PROOF_KEY_BYTES_TPM];
static uint8_t p256_ek[64], p256_device[PROOF_KEY_BYTES_TPM];
static uint8_t der[4096];

static inline int64_t
now_ms(void)
{
	return (int64_t)time(NULL) * 1000;
}

static inline void
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

static inline EVP_PKEY *
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

static inline void
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

static inline void
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

static inline void
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

static inline int
judge_der(size_t len)
{
	const struct proof_material material = {
		.ek = { rsa_ek, sizeof(rsa_ek) },
		.certificate = { der, (uint32_t)len },
	};

	return proof_material_judge(&found, trust, &material, rsa_key,
	    sizeof(rsa_key), now_ms());
}

static inline uint32_t
class_of(const struct lab_ca *ca, const struct lab_leaf *leaf)
{
	size_t len = lab_certify(der, ca, rsa_ek, sizeof(rsa_ek), leaf);

	ck_assert_int_eq(judge_der(len), 0);
	/* Either it is a chip's or somebody is told why not. */
	ck_assert((found.class_ == PROOF_TPM) == (found.reason[0] == '\0'));
	return found.class_;
}

static inline void
setup_faults(void)
{
	crypto_fault_begin();
	setup();
}

#endif
