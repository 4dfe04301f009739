/* Proofs of class software: what holds, and every lie about one. */
#include "shared/proof/identity.h"

#include "shared/base/err.h"
#include "shared/token/token.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct identity *identity;
static uint8_t public_key[PROOF_KEY_MAX];
static size_t public_len;

static struct proof_subject
make_subject(void)
{
	struct proof_subject subject = {
		.purpose = PROOF_LOGIN,
		.site = "site-a",
		.tenant = "default",
		.device = 7,
	};

	memset(subject.nonce, 1, sizeof(subject.nonce));
	memset(subject.exporter, 2, sizeof(subject.exporter));
	memset(subject.request_digest, 3, sizeof(subject.request_digest));
	return subject;
}

static void
open_identity(void)
{
	ck_assert_int_eq(identity_open(&identity, folder, NULL), 0);
	public_len = identity_public(public_key, identity);
}

static void
setup(void)
{
	strcpy(folder, "/tmp/check_proof.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	strcat(folder, "/id");
	open_identity();
}

static void
teardown(void)
{
	static const char *const names[] = { "device.key", "counter.json",
		"lock" };
	char path[128];

	identity_close(identity);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	*strrchr(folder, '/') = '\0';
	rmdir(folder);
}

static struct proof
make_proof(const struct proof_subject *subject)
{
	struct proof proof;

	ck_assert_int_eq(proof_make(&proof, identity, subject), 0);
	return proof;
}

#define ASSERT_REFUSED(proof, subject)                                  \
	ck_assert_int_eq(proof_verify(&(proof), &(subject), public_key, \
			     public_len),                               \
	    ERR_BAD_PROOF)

START_TEST(proof_over_the_same_subject_holds)
{
	struct proof_subject subject = make_subject();
	struct proof proof = make_proof(&subject);

	ck_assert_int_eq(identity_class(identity), PROOF_SOFTWARE);
	ck_assert_int_eq(proof_verify(&proof, &subject, public_key, public_len),
	    0);
}
END_TEST

START_TEST(proof_holds_for_no_other_subject)
{
	struct proof_subject subject = make_subject();
	struct proof proof = make_proof(&subject);
	struct proof_subject other = subject;

	other.purpose = PROOF_ENROLL;
	ASSERT_REFUSED(proof, other);
	other = subject;
	other.site = "site-b";
	ASSERT_REFUSED(proof, other);
	other = subject;
	other.tenant = "other";
	ASSERT_REFUSED(proof, other);
	other = subject;
	other.device = 8;
	ASSERT_REFUSED(proof, other);
	other = subject;
	other.nonce[31] ^= 1;
	ASSERT_REFUSED(proof, other);
	other = subject;
	other.exporter[0] ^= 1;
	ASSERT_REFUSED(proof, other);
	memset(other.exporter, 0, sizeof(other.exporter));
	ASSERT_REFUSED(proof, other);
	other = subject;
	other.request_digest[0] ^= 1;
	ASSERT_REFUSED(proof, other);
}
END_TEST

START_TEST(fields_do_not_run_into_each_other)
{
	struct proof_subject a = make_subject(), b = make_subject();
	uint8_t digest_a[32], digest_b[32];

	a.site = "ab";
	a.tenant = "c";
	b.site = "a";
	b.tenant = "bc";
	proof_qualifying_data(digest_a, &a);
	proof_qualifying_data(digest_b, &b);
	ck_assert_mem_ne(digest_a, digest_b, 32);
	/* An exporter alone is not a request digest alone. */
	a = b = make_subject();
	memset(a.exporter, 9, 32);
	memset(a.request_digest, 0, 32);
	memset(b.exporter, 0, 32);
	memset(b.request_digest, 9, 32);
	proof_qualifying_data(digest_a, &a);
	proof_qualifying_data(digest_b, &b);
	ck_assert_mem_ne(digest_a, digest_b, 32);
}
END_TEST

START_TEST(altered_statement_is_refused)
{
	struct proof_subject subject = make_subject();
	struct proof proof = make_proof(&subject);
	struct proof bad = proof;

	bad.counter++;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.sequence++;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.clock_ms++;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.resets++;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.signature[5] ^= 4;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.class_ = PROOF_TPM;
	ASSERT_REFUSED(bad, subject);
	bad.class_ = PROOF_ASSIGNED;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.restarts = 1;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.clock_unsafe = true;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	bad.firmware[7] = 1;
	ASSERT_REFUSED(bad, subject);
	bad = proof;
	public_key[3] ^= 1;
	ASSERT_REFUSED(proof, subject);
	public_key[3] ^= 1;
	public_len--;
	ASSERT_REFUSED(proof, subject);
}
END_TEST

START_TEST(sequence_rises_and_survives_reopening)
{
	struct proof_subject subject = make_subject();
	uint64_t first = make_proof(&subject).sequence;
	struct proof second = make_proof(&subject);
	uint8_t before[PROOF_KEY_MAX];

	ck_assert_uint_eq(first, 1);
	ck_assert_uint_eq(second.sequence, 2);
	memcpy(before, public_key, sizeof(before));
	identity_close(identity);
	open_identity();
	ck_assert_mem_eq(before, public_key, 32);
	struct proof third = make_proof(&subject);

	ck_assert_uint_eq(third.sequence, 3);
	ck_assert_uint_eq(third.counter, 1);
	ck_assert_uint_eq(third.resets, 0);
	ck_assert_uint_ge(third.clock_ms, second.clock_ms);
}
END_TEST

static void
write_counter(const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/counter.json", folder);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(another_boot_counts_as_a_reset)
{
	struct proof_subject subject = make_subject();

	identity_close(identity);
	write_counter("{\"counter\":7,\"sequence\":41,\"resets\":2,"
		      "\"clock_ms\":1,\"boot\":\"another\"}");
	open_identity();
	struct proof proof = make_proof(&subject);

	ck_assert_uint_eq(proof.sequence, 42);
	ck_assert_uint_eq(proof.counter, 7);
	ck_assert_uint_eq(proof.resets, 3);
	ck_assert_uint_eq(make_proof(&subject).resets, 3);
}
END_TEST

START_TEST(clock_that_went_back_counts_as_a_reset)
{
	struct proof_subject subject = make_subject();
	char boot[64] = "";
	char text[192];
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

	if (file != NULL) {
		ck_assert_ptr_nonnull(fgets(boot, sizeof(boot), file));
		fclose(file);
		boot[strcspn(boot, "\n")] = '\0';
	}
	identity_close(identity);
	snprintf(text, sizeof(text),
	    "{\"counter\":1,\"resets\":0,\"clock_ms\":9000000000000,"
	    "\"boot\":\"%s\"}",
	    boot);
	write_counter(text);
	open_identity();
	ck_assert_uint_eq(make_proof(&subject).resets, 1);
}
END_TEST

START_TEST(damaged_counter_is_not_a_new_one)
{
	identity_close(identity);
	identity = NULL;
	write_counter("{\"counter\":");
	ck_assert_int_eq(identity_open(&identity, folder, NULL), ERR_CORRUPT);
	write_counter("");
	ck_assert_int_eq(identity_open(&identity, folder, NULL), ERR_CORRUPT);
	ck_assert_ptr_null(identity);
}
END_TEST

START_TEST(key_that_others_can_read_is_refused)
{
	char path[128];

	identity_close(identity);
	identity = NULL;
	snprintf(path, sizeof(path), "%s/device.key", folder);
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(identity_open(&identity, folder, NULL), ERR_FORBIDDEN);
}
END_TEST

START_TEST(folder_has_one_user_at_a_time)
{
	struct identity *second = NULL;

	ck_assert_int_eq(identity_open(&second, folder, NULL), ERR_BUSY);
	ck_assert_ptr_null(second);
}
END_TEST

START_TEST(tpm_is_said_to_be_missing)
{
	struct identity *tpm = NULL;

	identity_close(identity);
	identity = NULL;
	ck_assert_int_eq(identity_open(&tpm, folder, "device:/dev/no-tpm"),
	    ERR_UNAVAILABLE);
	ck_assert_ptr_null(tpm);
}
END_TEST

START_TEST(proof_travels_as_a_record)
{
	struct proof_subject subject = make_subject();
	struct proof proof = make_proof(&subject), back;
	struct buf text = { 0 };
	struct arena arena = { 0 };

	record_write_json(&text, &proof_record, &proof);
	ck_assert_ptr_nonnull(
	    strstr(buf_text(&text), "\"class\":\"software\""));
	ck_assert_int_eq(record_read_json(&back, &proof_record, buf_text(&text),
			     text.len, &arena, NULL),
	    0);
	ck_assert_int_eq(proof_verify(&back, &subject, public_key, public_len),
	    0);
	arena_release(&arena);
	buf_release(&text);
}
END_TEST

/* --- counter -------------------------------------------------------------- */

START_TEST(counter_rises_by_returns_only)
{
	struct proof_subject subject = make_subject();
	uint64_t value;

	ck_assert_uint_eq(make_proof(&subject).counter, 1);
	ck_assert_uint_eq(make_proof(&subject).counter, 1);
	ck_assert_int_eq(identity_counter_raise(identity, 3), ERR_CONFLICT);
	ck_assert_int_eq(identity_counter_raise(identity, 0), ERR_CONFLICT);
	ck_assert_int_eq(identity_counter_raise(identity, 2), 0);
	ck_assert_int_eq(identity_counter_raise(identity, 2), 0);
	ck_assert_int_eq(identity_counter_raise(identity, 1), ERR_CONFLICT);
	ck_assert_uint_eq(make_proof(&subject).counter, 2);
	identity_close(identity);
	open_identity();
	ck_assert_int_eq(identity_counter_read(&value, identity), 0);
	ck_assert_uint_eq(value, 2);
}
END_TEST

START_TEST(clock_is_that_of_the_proofs)
{
	struct proof_subject subject = make_subject();
	struct proof proof = make_proof(&subject);
	struct identity_clock clock;

	ck_assert_int_eq(identity_clock_read(&clock, identity), 0);
	ck_assert_uint_ge(clock.clock_ms, proof.clock_ms);
	ck_assert_uint_le(clock.clock_ms, proof.clock_ms + 60000);
	ck_assert_uint_eq(clock.resets, proof.resets);
	ck_assert(!clock.clock_unsafe);
}
END_TEST

START_TEST(file_of_before_goes_on)
{
	struct proof_subject subject = make_subject();

	identity_close(identity);
	write_counter("{\"counter\":41,\"resets\":0,\"clock_ms\":1}");
	open_identity();
	ck_assert_uint_eq(make_proof(&subject).sequence, 42);
}
END_TEST

START_TEST(key_file_has_nothing_of_a_tpm)
{
	struct proof_material material;
	struct proof_challenge challenge = { { "", 0 }, { "", 0 } };
	struct arena arena = { 0 };
	struct buf blob = { 0 };
	uint8_t secret[64] = { 0 };
	size_t len;

	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	ck_assert_int_eq(identity_unbind(identity, "site-a", "default"), 0);
	ck_assert_int_eq(identity_enroll_material(&material, identity, &arena),
	    0);
	ck_assert_uint_eq(material.ek.len + material.certificate.len, 0);
	ck_assert_int_eq(identity_challenge_answer(secret, identity,
			     &challenge),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(identity_seal(&blob, identity, secret, 64, 0),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(identity_unseal(secret, &len, identity, secret, 64),
	    ERR_UNAVAILABLE);
}
END_TEST

/* --- class assigned ------------------------------------------------------- */

static char key_file[96];

static int
open_assigned(void)
{
	struct identity_options options = {
		.folder = folder,
		.class_ = PROOF_ASSIGNED,
		.key_file = key_file,
	};

	identity_close(identity);
	identity = NULL;
	int err = identity_open_with(&identity, &options);

	if (err == 0)
		public_len = identity_public(public_key, identity);
	return err;
}

static void
hand_over_key(uint8_t secret[TOKEN_SECRET_BYTES])
{
	snprintf(key_file, sizeof(key_file), "%s/handed.key", folder);
	ck_assert_int_eq(token_key_create(secret, key_file), 0);
}

START_TEST(assigned_key_is_the_device)
{
	uint8_t secret[TOKEN_SECRET_BYTES];
	struct proof_subject subject = make_subject();
	char approved[PROOF_FINGERPRINT_SIZE], shown[PROOF_FINGERPRINT_SIZE];

	hand_over_key(secret);
	proof_fingerprint(approved, secret + 32, 32);
	ck_assert_int_eq(open_assigned(), 0);
	ck_assert_int_eq(identity_class(identity), PROOF_ASSIGNED);
	proof_fingerprint(shown, public_key, public_len);
	ck_assert_str_eq(shown, approved);
	struct proof proof = make_proof(&subject);

	ck_assert_int_eq(proof_verify(&proof, &subject, public_key, public_len),
	    0);
	ck_assert(proof_class_fits(proof.class_, PROOF_ASSIGNED));
	ck_assert(!proof_class_fits(proof.class_, PROOF_SOFTWARE));
	/* The class is signed with the rest. */
	proof.class_ = PROOF_SOFTWARE;
	ASSERT_REFUSED(proof, subject);
	unlink(key_file);
}
END_TEST

START_TEST(assigned_key_is_never_made_up)
{
	snprintf(key_file, sizeof(key_file), "%s/missing.key", folder);
	ck_assert_int_eq(open_assigned(), ERR_NOT_FOUND);
	ck_assert_int_ne(access(key_file, F_OK), 0);
}
END_TEST

START_TEST(thrown_away_container_goes_on_above)
{
	uint8_t secret[TOKEN_SECRET_BYTES];
	struct proof_subject subject = make_subject();
	char path[128];
	uint64_t last;

	hand_over_key(secret);
	ck_assert_int_eq(open_assigned(), 0);
	for (int i = 0; i < 3; i++)
		last = make_proof(&subject).sequence;
	snprintf(path, sizeof(path), "%s/counter.json", folder);
	ck_assert_int_eq(unlink(path), 0);
	usleep(20000);
	ck_assert_int_eq(open_assigned(), 0);
	ck_assert_uint_gt(make_proof(&subject).sequence, last);
	unlink(key_file);
}
END_TEST

START_TEST(class_of_a_tpm_needs_one)
{
	struct identity_options options = { .folder = folder };
	static const enum proof_class classes[] = { PROOF_TPM, PROOF_VTPM,
		PROOF_KEY };

	identity_close(identity);
	identity = NULL;
	for (size_t i = 0; i < 3; i++) {
		options.class_ = classes[i];
		ck_assert_int_eq(identity_open_with(&identity, &options),
		    ERR_BAD_REQUEST);
		ck_assert_ptr_null(identity);
	}
}
END_TEST

static TCase *
make_more(void)
{
	TCase *tc = tcase_create("more");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, counter_rises_by_returns_only);
	tcase_add_test(tc, clock_is_that_of_the_proofs);
	tcase_add_test(tc, file_of_before_goes_on);
	tcase_add_test(tc, key_file_has_nothing_of_a_tpm);
	tcase_add_test(tc, assigned_key_is_the_device);
	tcase_add_test(tc, assigned_key_is_never_made_up);
	tcase_add_test(tc, thrown_away_container_goes_on_above);
	tcase_add_test(tc, class_of_a_tpm_needs_one);
	return tc;
}

Suite *
suite(void)
{
	Suite *s = suite_create("proof");
	TCase *tc = tcase_create("proof");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, proof_over_the_same_subject_holds);
	tcase_add_test(tc, proof_holds_for_no_other_subject);
	tcase_add_test(tc, fields_do_not_run_into_each_other);
	tcase_add_test(tc, altered_statement_is_refused);
	tcase_add_test(tc, sequence_rises_and_survives_reopening);
	tcase_add_test(tc, another_boot_counts_as_a_reset);
	tcase_add_test(tc, clock_that_went_back_counts_as_a_reset);
	tcase_add_test(tc, damaged_counter_is_not_a_new_one);
	tcase_add_test(tc, key_that_others_can_read_is_refused);
	tcase_add_test(tc, folder_has_one_user_at_a_time);
	tcase_add_test(tc, tpm_is_said_to_be_missing);
	tcase_add_test(tc, proof_travels_as_a_record);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, make_more());
	return s;
}
