/* The devices of load generators (tests/bench/device.h): a site that is measured
 * with them checks all that it checks of true ones. */
#include "tests/bench/device.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	snprintf(folder, sizeof(folder), "/tmp/leasehold-device-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/0", folder);
	unlink(path);
	rmdir(folder);
}

static struct proof_subject
subject(void)
{
	struct proof_subject subject = { .purpose = PROOF_LOGIN,
		.site = "site-1",
		.tenant = "default",
		.device = 7 };

	memset(subject.nonce, 3, sizeof(subject.nonce));
	return subject;
}

static const uint32_t classes[] = { PROOF_SOFTWARE, PROOF_VTPM };

START_TEST(proofs_hold_and_those_that_were_altered_do_not)
{
	struct device device;
	struct proof_subject s = subject();
	struct proof proof;

	ck_assert_int_eq(device_open(&device, folder, 0, classes[_i]), 0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(device_prove(&proof, &device, &s), 0);
		ck_assert_int_eq(proof_verify(&proof, &s, device.key,
				     device.key_len),
		    0);
		ck_assert(proof_class_fits(proof.class_, classes[_i]));
		proof.counter++;
		ck_assert_int_eq(proof_verify(&proof, &s, device.key,
				     device.key_len),
		    ERR_BAD_PROOF);
	}
	device_close(&device);
}
END_TEST

START_TEST(a_device_that_comes_back_is_the_same)
{
	struct device device, again;

	ck_assert_int_eq(device_open(&device, folder, 0, classes[_i]), 0);
	device.number = 12;
	ck_assert_int_eq(device_remember(&device, folder, 0), 0);
	ck_assert_int_eq(device_open(&again, folder, 0, classes[_i]), 0);
	ck_assert_uint_eq(again.number, 12);
	ck_assert_uint_ge(again.counter, device.counter);
	ck_assert_uint_eq(again.key_len, device.key_len);
	ck_assert_mem_eq(again.key, device.key, device.key_len);
	device_close(&again);
	device_close(&device);
}
END_TEST

START_TEST(it_answers_its_own_challenge_and_no_other)
{
	struct device device, other;
	struct arena arena = { .chunks = NULL };
	struct proof_challenge challenge;
	struct proof_endorsement endorsement;
	uint8_t secret[PROOF_SECRET_BYTES], answer[PROOF_SECRET_BYTES];

	ck_assert_int_eq(device_open(&device, folder, 0, PROOF_VTPM), 0);
	ck_assert_int_eq(device_open(&other, folder, 1, PROOF_VTPM), 0);
	struct proof_material material = device_material(&device);
	struct proof_trust *trust;

	ck_assert_int_eq(proof_trust_open(&trust, NULL, NULL), 0);
	ck_assert_int_eq(proof_material_judge(&endorsement, trust, &material,
			     device.key, device.key_len, 1),
	    0);
	ck_assert_uint_eq(endorsement.class_, PROOF_VTPM);
	randombytes_buf(secret, sizeof(secret));
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, device.key, device.key_len),
	    0);
	ck_assert_int_eq(device_activate(answer, &device, &challenge), 0);
	ck_assert_mem_eq(answer, secret, sizeof(secret));
	ck_assert_int_ne(device_activate(answer, &other, &challenge), 0);
	proof_trust_close(trust);
	arena_release(&arena);
	device_close(&other);
	device_close(&device);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_device");
	TCase *tc = tcase_create("device");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, proofs_hold_and_those_that_were_altered_do_not,
	    0, 2);
	tcase_add_loop_test(tc, a_device_that_comes_back_is_the_same, 0, 2);
	tcase_add_test(tc, it_answers_its_own_challenge_and_no_other);
	suite_add_tcase(s, tc);
	return s;
}
