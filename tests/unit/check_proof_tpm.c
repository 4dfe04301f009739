/* Identities in a TPM, on swtpm: what works, what survives, what is said when
 * the TPM is not as it should be. */
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/identity.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_attacker.h"
#include "tests/unit/tpm_lab.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNTER_FIRST 0x0199ea00u

static struct lab_tpm tpm;
static char folder[128];
static struct identity *identity;
static uint8_t public_key[PROOF_KEY_MAX];
static size_t public_len;

static int
open_as(struct identity **out, const char *where, const char *tcti,
    enum identity_ek ek)
{
	struct identity_options options = {
		.folder = where,
		.tcti = tcti,
		.ek = ek,
	};

	return identity_open_with(out, &options);
}

static void
open_bound(enum identity_ek ek)
{
	ck_assert_int_eq(open_as(&identity, folder, tpm.tcti, ek), 0);
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	public_len = identity_public(public_key, identity);
	ck_assert_uint_eq(public_len, PROOF_KEY_BYTES_TPM);
}

static void
setup(void)
{
	lab_tpm_new(&tpm);
	snprintf(folder, sizeof(folder), "%s/id", tpm.dir);
	open_bound(IDENTITY_P256);
}

static void
remove_folder(const char *path)
{
	static const char *const names[] = { "tpm.json", "lock", "device.key",
		"counter.json" };
	char name[192];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", path, names[i]);
		unlink(name);
	}
	rmdir(path);
}

static void
teardown(void)
{
	identity_close(identity);
	identity = NULL;
	remove_folder(folder);
	lab_tpm_remove(&tpm);
}

static struct proof_subject
make_subject(const char *site)
{
	struct proof_subject subject = {
		.purpose = PROOF_LOGIN,
		.site = site,
		.tenant = "default",
		.device = 7,
	};

	memset(subject.nonce, 1, sizeof(subject.nonce));
	memset(subject.exporter, 2, sizeof(subject.exporter));
	return subject;
}

static struct proof
make_proof(void)
{
	struct proof_subject subject = make_subject("site-a");
	struct proof proof;

	ck_assert_int_eq(proof_make(&proof, identity, &subject), 0);
	ck_assert_int_eq(proof_verify(&proof, &subject, public_key, public_len),
	    0);
	return proof;
}

__attribute__((format(printf, 1, 2))) static void
run_tool(const char *format, ...)
{
	char words[300], command[600];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	snprintf(command, sizeof(command),
	    "TPM2TOOLS_TCTI=%s TSS2_LOG=all+none %s >/dev/null", tpm.tcti,
	    words);
	ck_assert_msg(system(command) == 0, "%s", words);
}

/* --- proofs --------------------------------------------------------------- */

START_TEST(proof_of_a_tpm_holds)
{
	struct proof proof = make_proof();

	ck_assert_int_eq(identity_class(identity), PROOF_TPM);
	ck_assert_uint_eq(proof.class_, PROOF_TPM);
	ck_assert_uint_ge(proof.counter, 1);
	ck_assert_uint_eq(proof.sequence, 0);
	ck_assert_uint_gt(proof.clock_ms, 0);
}
END_TEST

START_TEST(rsa_endorsement_key_does_the_same)
{
	identity_close(identity);
	remove_folder(folder);
	open_bound(IDENTITY_RSA);
	uint64_t counter = make_proof().counter;

	ck_assert_int_eq(identity_counter_raise(identity, counter + 1), 0);
	ck_assert_uint_eq(make_proof().counter, counter + 1);
}
END_TEST

START_TEST(proof_holds_for_no_other_subject_or_key)
{
	struct proof_subject subject = make_subject("site-a"), other;
	struct proof proof = make_proof();

	other = subject;
	other.purpose = PROOF_BORROW;
	ck_assert_int_eq(proof_verify(&proof, &other, public_key, public_len),
	    ERR_BAD_PROOF);
	other = subject;
	other.nonce[0] ^= 1;
	ck_assert_int_eq(proof_verify(&proof, &other, public_key, public_len),
	    ERR_BAD_PROOF);
	for (size_t i = 0; i < public_len; i++) {
		public_key[i] ^= 0x10;
		ck_assert_int_eq(proof_verify(&proof, &subject, public_key,
				     public_len),
		    ERR_BAD_PROOF);
		public_key[i] ^= 0x10;
	}
}
END_TEST

START_TEST(key_and_counter_survive_reopening)
{
	uint8_t before[PROOF_KEY_MAX];
	uint64_t counter = make_proof().counter;

	memcpy(before, public_key, public_len);
	identity_close(identity);
	ck_assert_int_eq(identity_open(&identity, folder, tpm.tcti), 0);
	ck_assert_uint_eq(identity_public(public_key, identity), public_len);
	ck_assert_mem_eq(before, public_key, public_len);
	ck_assert_uint_eq(make_proof().counter, counter);
}
END_TEST

START_TEST(proof_travels_as_a_record)
{
	struct proof_subject subject = make_subject("site-a");
	struct proof proof = make_proof(), back;
	struct buf text = { 0 }, packed = { 0 };
	struct arena arena = { 0 };

	record_write_json(&text, &proof_record, &proof);
	ck_assert_int_eq(record_read_json(&back, &proof_record, buf_text(&text),
			     text.len, &arena, NULL),
	    0);
	ck_assert_int_eq(proof_verify(&back, &subject, public_key, public_len),
	    0);
	record_write_msgpack(&packed, &proof_record, &proof);
	ck_assert_uint_le(packed.len, 120);
	ck_assert_int_eq(record_read_msgpack(&back, &proof_record, packed.data,
			     packed.len, NULL, &arena, NULL),
	    0);
	ck_assert_int_eq(proof_verify(&back, &subject, public_key, public_len),
	    0);
	arena_release(&arena);
	buf_release(&text);
	buf_release(&packed);
}
END_TEST

static void *
prove_often(void *ctx)
{
	struct proof_subject subject = make_subject("site-a");
	struct proof proof;

	(void)ctx;
	for (int i = 0; i < 10; i++)
		if (proof_make(&proof, identity, &subject) != 0 ||
		    proof_verify(&proof, &subject, public_key, public_len) != 0)
			return &tpm;
	return NULL;
}

START_TEST(threads_take_turns)
{
	pthread_t threads[3];
	void *failed;

	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, prove_often,
				     NULL),
		    0);
	for (int i = 0; i < 1000; i++) {
		uint8_t key[PROOF_KEY_MAX];

		ck_assert_uint_eq(identity_public(key, identity), public_len);
	}
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
}
END_TEST

/* --- counters ------------------------------------------------------------- */

START_TEST(counter_is_raised_by_one_and_once)
{
	uint64_t first, now;

	ck_assert_int_eq(identity_counter_read(&first, identity), 0);
	ck_assert_int_eq(identity_counter_raise(identity, first), 0);
	ck_assert_int_eq(identity_counter_read(&now, identity), 0);
	ck_assert_uint_eq(now, first);
	ck_assert_int_eq(identity_counter_raise(identity, first + 1), 0);
	ck_assert_int_eq(identity_counter_raise(identity, first + 1), 0);
	ck_assert_int_eq(identity_counter_read(&now, identity), 0);
	ck_assert_uint_eq(now, first + 1);
	ck_assert_uint_eq(make_proof().counter, first + 1);
	ck_assert_int_eq(identity_counter_raise(identity, first), ERR_CONFLICT);
	ck_assert_int_eq(identity_counter_raise(identity, first + 3),
	    ERR_CONFLICT);
	ck_assert_int_eq(identity_counter_raise(identity, 0), ERR_CONFLICT);
	ck_assert_int_eq(identity_counter_read(&now, identity), 0);
	ck_assert_uint_eq(now, first + 1);
}
END_TEST

START_TEST(each_site_has_a_counter_of_its_own)
{
	struct proof_subject a = make_subject("site-a");
	struct proof_subject b = make_subject("site-b");
	uint8_t key_b[PROOF_KEY_MAX];
	struct proof proof;
	uint64_t at_a, at_b;

	ck_assert_int_eq(identity_counter_read(&at_a, identity), 0);
	ck_assert_int_eq(identity_bind(identity, "site-b", "default"), 0);
	ck_assert_uint_eq(identity_public(key_b, identity), public_len);
	ck_assert_mem_ne(key_b, public_key, public_len);
	ck_assert_int_eq(proof_make(&proof, identity, &a), ERR_MISMATCH);
	ck_assert_uint_eq(proof.counter, 0);
	ck_assert_int_eq(identity_counter_read(&at_b, identity), 0);
	ck_assert_int_eq(identity_counter_raise(identity, at_b + 1), 0);
	ck_assert_int_eq(proof_make(&proof, identity, &b), 0);
	ck_assert_uint_eq(proof.counter, at_b + 1);
	ck_assert_int_eq(proof_verify(&proof, &b, key_b, public_len), 0);
	ck_assert_int_eq(proof_verify(&proof, &b, public_key, public_len),
	    ERR_BAD_PROOF);
	/* The same names in another tenant are another counter. */
	ck_assert_int_eq(identity_bind(identity, "site-b", "other"), 0);
	ck_assert_int_eq(proof_make(&proof, identity, &b), ERR_MISMATCH);
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	ck_assert_uint_eq(make_proof().counter, at_a);
}
END_TEST

START_TEST(left_site_leaves_no_counter)
{
	uint8_t key[PROOF_KEY_MAX];

	run_tool("tpm2_nvreadpublic 0x%x", COUNTER_FIRST);
	ck_assert_int_eq(identity_unbind(identity, "site-a", "default"), 0);
	run_tool("sh -c '! tpm2_nvreadpublic 0x%x 2>/dev/null'", COUNTER_FIRST);
	ck_assert_uint_eq(identity_public(key, identity), 0);
	ck_assert_int_eq(identity_unbind(identity, "site-a", "default"),
	    ERR_NOT_FOUND);
	/* Who comes back counts on: no number is shown twice. */
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	ck_assert_uint_ge(make_proof().counter, 2);
}
END_TEST

START_TEST(unbound_identity_proves_nothing)
{
	struct proof_subject subject = make_subject("site-a");
	struct proof proof;
	uint64_t value;

	ck_assert_int_eq(identity_unbind(identity, "site-a", "default"), 0);
	ck_assert_int_eq(proof_make(&proof, identity, &subject), ERR_MISMATCH);
	ck_assert_int_eq(identity_counter_read(&value, identity), ERR_MISMATCH);
	ck_assert_int_eq(identity_counter_raise(identity, 1), ERR_MISMATCH);
}
END_TEST

START_TEST(identities_share_a_tpm)
{
	char other_folder[160];
	struct identity *other;
	uint8_t key[PROOF_KEY_MAX];
	uint64_t mine, theirs;

	snprintf(other_folder, sizeof(other_folder), "%s2", folder);
	ck_assert_int_eq(open_as(&other, other_folder, tpm.tcti, IDENTITY_RSA),
	    0);
	ck_assert_int_eq(identity_bind(other, "site-a", "default"), 0);
	ck_assert_uint_eq(identity_public(key, other), public_len);
	ck_assert_mem_ne(key + 1, public_key + 1, 4); /* another index */
	ck_assert_int_eq(identity_counter_read(&mine, identity), 0);
	ck_assert_int_eq(identity_counter_read(&theirs, other), 0);
	ck_assert_int_eq(identity_counter_raise(other, theirs + 1), 0);
	ck_assert_uint_eq(make_proof().counter, mine);
	identity_close(other);
	remove_folder(other_folder);
}
END_TEST

START_TEST(sites_are_many_but_bounded)
{
	char site[16];

	for (int i = 1; i < 8; i++) {
		snprintf(site, sizeof(site), "s%d", i);
		ck_assert_int_eq(identity_bind(identity, site, ""), 0);
	}
	char long_site[80];

	memset(long_site, 'a', sizeof(long_site));
	long_site[sizeof(long_site) - 1] = '\0';
	ck_assert_int_eq(identity_bind(identity, long_site, ""), ERR_TOO_LARGE);
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	make_proof();
}
END_TEST

/* The file says that there is a counter, and then the machine stopped. */
START_TEST(counter_that_was_not_made_yet_is_made)
{
	struct tpm_identity *attacker = attacker_open(folder, tpm.tcti);

	ck_assert(attacker_undefine(attacker, COUNTER_FIRST));
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	ck_assert_uint_ge(make_proof().counter, 2);
	attacker_close(attacker);
}
END_TEST

START_TEST(counter_that_has_not_counted_yet_counts)
{
	const struct attack_index half = { COUNTER_FIRST, 0x02040018, 8, true };
	struct tpm_identity *attacker = attacker_open(folder, tpm.tcti);

	ck_assert(attacker_undefine(attacker, COUNTER_FIRST));
	attacker_define(attacker, &half);
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	make_proof();
	attacker_close(attacker);
}
END_TEST

/* --- the TPM goes and comes ----------------------------------------------- */

START_TEST(tpm_that_comes_back_is_opened_again)
{
	struct proof_subject subject = make_subject("site-a");
	struct proof first = make_proof(), proof;

	lab_tpm_kill(&tpm);
	ck_assert_int_eq(proof_make(&proof, identity, &subject),
	    ERR_UNAVAILABLE);
	lab_tpm_start(&tpm);
	proof = make_proof();
	ck_assert_uint_eq(proof.counter, first.counter);
	ck_assert_uint_eq(proof.resets, first.resets + 1);
	ck_assert(proof.clock_unsafe);
}
END_TEST

START_TEST(clock_is_that_of_the_proofs)
{
	struct identity_clock clock;
	struct proof proof = make_proof();

	ck_assert_int_eq(identity_clock_read(&clock, identity), 0);
	ck_assert_uint_ge(clock.clock_ms, proof.clock_ms);
	ck_assert_uint_le(clock.clock_ms, proof.clock_ms + 60000);
	ck_assert_uint_eq(clock.resets, proof.resets);
	ck_assert_uint_eq(clock.restarts, proof.restarts);
}
END_TEST

START_TEST(another_tpm_is_not_this_device)
{
	struct proof_subject subject = make_subject("site-a");
	struct identity *opened = NULL;
	struct lab_tpm other;
	struct proof proof;
	char command[256];

	lab_tpm_new(&other);
	snprintf(command, sizeof(command), "%s2", folder);
	ck_assert_int_eq(identity_open(&opened, command, other.tcti), 0);
	ck_assert_int_eq(identity_bind(opened, "site-a", "default"), 0);
	identity_close(opened);
	opened = NULL;
	remove_folder(command);
	/* Its state in the place of ours. */
	lab_tpm_kill(&other);
	lab_tpm_kill(&tpm);
	snprintf(command, sizeof(command), "cp %s/tpm2-00.permall %s/",
	    other.dir, tpm.dir);
	ck_assert_int_eq(system(command), 0);
	lab_tpm_start(&tpm);
	ck_assert_int_eq(proof_make(&proof, identity, &subject), ERR_MISMATCH);
	identity_close(identity);
	identity = NULL;
	ck_assert_int_eq(identity_open(&opened, folder, tpm.tcti),
	    ERR_MISMATCH);
	lab_tpm_remove(&other);
}
END_TEST

START_TEST(cleared_tpm_has_forgotten_the_device)
{
	struct proof_subject subject = make_subject("site-a");
	struct proof proof;

	run_tool("tpm2_clear -c p");
	ck_assert_int_lt(proof_make(&proof, identity, &subject), 0);
	identity_close(identity);
	identity = NULL;
	ck_assert_int_eq(identity_open(&identity, folder, tpm.tcti),
	    ERR_MISMATCH);
}
END_TEST

START_TEST(nothing_stays_in_the_tpm)
{
	uint8_t secret[IDENTITY_SEAL_MAX] = { 1 }, opened[IDENTITY_SEAL_MAX];
	struct buf blob = { 0 };
	struct arena arena = { 0 };
	struct proof_material material;
	uint64_t value;
	size_t len;

	make_proof();
	ck_assert_int_eq(identity_counter_read(&value, identity), 0);
	ck_assert_int_eq(identity_counter_raise(identity, value + 1), 0);
	ck_assert_int_eq(identity_counter_raise(identity, value + 9),
	    ERR_CONFLICT);
	ck_assert_int_eq(identity_enroll_material(&material, identity, &arena),
	    0);
	ck_assert_int_eq(identity_seal(&blob, identity, secret, 64, 1), 0);
	ck_assert_int_eq(identity_unseal(opened, &len, identity, blob.data,
			     blob.len),
	    0);
	blob.data[blob.len - 1] ^= 1;
	ck_assert_int_lt(identity_unseal(opened, &len, identity, blob.data,
			     blob.len),
	    0);
	ck_assert_int_eq(identity_bind(identity, "site-b", ""), 0);
	ck_assert_int_eq(identity_unbind(identity, "site-b", ""), 0);
	static const char *const kinds[] = { "transient", "loaded-session",
		"saved-session" };

	for (size_t i = 0; i < 3; i++)
		run_tool("sh -c 'left=$(tpm2_getcap handles-%s) && "
			 "test -z \"$left\"'",
		    kinds[i]);
	buf_release(&blob);
	arena_release(&arena);
}
END_TEST

/* A program that was killed in its work. */
START_TEST(slots_left_full_are_emptied)
{
	for (int i = 0; i < 3; i++)
		run_tool("tpm2_createprimary -Q -G ecc -C n");
	run_tool("sh -c '! tpm2_createprimary -Q -G ecc -C n 2>/dev/null'");
	make_proof();
	struct tpm_identity *attacker = attacker_open(folder, tpm.tcti);

	attacker_fill_sessions(attacker);
	attacker_close(attacker);
	make_proof();
}
END_TEST

START_TEST(locked_tpm_still_proves)
{
	run_tool("tpm2_dictionarylockout -s -n 1 -t 1000 -l 1000");
	run_tool("tpm2_nvdefine -Q 0x1500000 -s 8 -p secret -a "
		 "authread\\|authwrite");
	for (int i = 0; i < 3; i++)
		run_tool(
		    "sh -c '! tpm2_nvread -Q 0x1500000 -P no 2>/dev/null'");
	run_tool("sh -c 'tpm2_getcap properties-variable | grep -q "
		 "\"inLockout: *1\"'");
	make_proof();
	ck_assert_int_eq(identity_counter_raise(identity,
			     make_proof().counter + 1),
	    0);
}
END_TEST

/* --- passwords ------------------------------------------------------------ */

START_TEST(owner_with_a_password_is_asked_for_it)
{
	struct identity_options options = {
		.folder = folder,
		.tcti = tpm.tcti,
		.owner_auth = "open sesame",
	};

	run_tool("tpm2_changeauth -c o 'open sesame'");
	make_proof(); /* needs no owner */
	ck_assert_int_eq(identity_bind(identity, "site-b", ""),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
	identity_close(identity);
	identity = NULL;
	ck_assert_int_eq(identity_open_with(&identity, &options), 0);
	ck_assert_int_eq(identity_bind(identity, "site-b", ""), 0);
	ck_assert_int_eq(identity_unbind(identity, "site-b", ""), 0);
}
END_TEST

START_TEST(endorsement_password_is_told)
{
	identity_close(identity);
	identity = NULL;
	run_tool("tpm2_changeauth -c e secret");
	ck_assert_int_eq(identity_open(&identity, folder, tpm.tcti),
	    ERR_UNAVAILABLE);
	ck_assert_ptr_null(identity);
}
END_TEST

/* --- which TPM ------------------------------------------------------------ */

START_TEST(only_tpms_of_this_machine_can_be_named)
{
	static const char *const refused[] = {
		"tabrmd:",
		"device:",
		"device:/etc/passwd",
		"device:/dev/../etc/passwd",
		"swtpm:",
		"swtpm:path=relative",
		"swtpm:path=/a,host=b",
		"swtpm:host=tpm.example,port=2321",
		"swtpm:host=127.0.0.1,port=0",
		"swtpm:host=127.0.0.1,port=65535",
		"swtpm:host=127.0.0.1,port=2321,more",
		"mssim:host=10.0.0.1,port=2321",
		"mssim:path=/tmp/socket",
		"libtss2-tcti-cmd.so.0:sh",
		"cmd:sh",
		"/dev/tpmrm0",
	};
	struct identity *none = NULL;
	char other[160];

	snprintf(other, sizeof(other), "%s2", folder);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ck_assert_msg(identity_open(&none, other, refused[i]) ==
			ERR_BAD_REQUEST,
		    "%s", refused[i]);
	ck_assert_int_eq(identity_open(&none, other, "device:/dev/none"),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(identity_open(&none, other, "swtpm:path=/none"),
	    ERR_UNAVAILABLE);
	ck_assert_int_eq(identity_open(&none, other,
			     "mssim:host=127.0.0.1,port=1"),
	    ERR_UNAVAILABLE);
	ck_assert_ptr_null(none);
	remove_folder(other);
}
END_TEST

START_TEST(persistent_endorsement_key_is_used)
{
	char other[160];
	struct identity *second;
	struct proof_subject subject = make_subject("s");
	uint8_t key[PROOF_KEY_MAX];
	struct proof proof;

	snprintf(other, sizeof(other), "%s2", folder);
	run_tool("tpm2_createek -Q -c 0x81010016 -G ecc");
	ck_assert_int_eq(open_as(&second, other, tpm.tcti, IDENTITY_P256), 0);
	ck_assert_int_eq(identity_bind(second, "s", "default"), 0);
	identity_public(key, second);
	ck_assert_mem_eq(key + 5, public_key + 5, 32); /* the same EK */
	ck_assert_int_eq(proof_make(&proof, second, &subject), 0);
	ck_assert_int_eq(proof_verify(&proof, &subject, key, public_len), 0);
	/* It is taken away, and then another key stands there. */
	run_tool("tpm2_evictcontrol -Q -c 0x81010016");
	ck_assert_int_eq(proof_make(&proof, second, &subject), 0);
	ck_assert_int_eq(proof_verify(&proof, &subject, key, public_len), 0);
	identity_close(second);
	run_tool("sh -c 'tpm2_createprimary -Q -C o -G ecc -c /tmp/ek.$$ && "
		 "tpm2_evictcontrol -Q -C o -c /tmp/ek.$$ 0x81010016; "
		 "rm /tmp/ek.$$; tpm2_flushcontext -t'");
	ck_assert_int_eq(identity_open(&second, other, tpm.tcti), 0);
	ck_assert_int_eq(proof_make(&proof, second, &subject), 0);
	ck_assert_int_eq(proof_verify(&proof, &subject, key, public_len), 0);
	identity_close(second);
	remove_folder(other);
}
END_TEST

START_TEST(damaged_file_is_not_a_new_device)
{
	static const char *const texts[] = { "", "{", "{}",
		"{\"ek\":\"AAAA\",\"ak\":\"AA\",\"ak_private\":\"AA\"}" };
	char path[192];

	identity_close(identity);
	identity = NULL;
	snprintf(path, sizeof(path), "%s/tpm.json", folder);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_int_eq(file_write(path, texts[i], strlen(texts[i]),
				     0600),
		    0);
		ck_assert_int_eq(identity_open(&identity, folder, tpm.tcti),
		    ERR_CORRUPT);
	}
}
END_TEST

START_TEST(folder_tells_others_nothing)
{
	char path[192];
	struct stat st;

	snprintf(path, sizeof(path), "%s/tpm.json", folder);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(folder, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_tpm");
	TCase *tc = tcase_create("tpm");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, proof_of_a_tpm_holds);
	tcase_add_test(tc, rsa_endorsement_key_does_the_same);
	tcase_add_test(tc, proof_holds_for_no_other_subject_or_key);
	tcase_add_test(tc, key_and_counter_survive_reopening);
	tcase_add_test(tc, proof_travels_as_a_record);
	tcase_add_test(tc, threads_take_turns);
	tcase_add_test(tc, counter_is_raised_by_one_and_once);
	tcase_add_test(tc, each_site_has_a_counter_of_its_own);
	tcase_add_test(tc, left_site_leaves_no_counter);
	tcase_add_test(tc, unbound_identity_proves_nothing);
	tcase_add_test(tc, identities_share_a_tpm);
	tcase_add_test(tc, sites_are_many_but_bounded);
	tcase_add_test(tc, counter_that_was_not_made_yet_is_made);
	tcase_add_test(tc, counter_that_has_not_counted_yet_counts);
	tcase_add_test(tc, tpm_that_comes_back_is_opened_again);
	tcase_add_test(tc, clock_is_that_of_the_proofs);
	tcase_add_test(tc, another_tpm_is_not_this_device);
	tcase_add_test(tc, cleared_tpm_has_forgotten_the_device);
	tcase_add_test(tc, nothing_stays_in_the_tpm);
	tcase_add_test(tc, slots_left_full_are_emptied);
	tcase_add_test(tc, locked_tpm_still_proves);
	tcase_add_test(tc, owner_with_a_password_is_asked_for_it);
	tcase_add_test(tc, endorsement_password_is_told);
	tcase_add_test(tc, only_tpms_of_this_machine_can_be_named);
	tcase_add_test(tc, persistent_endorsement_key_is_used);
	tcase_add_test(tc, damaged_file_is_not_a_new_device);
	tcase_add_test(tc, folder_tells_others_nothing);
	suite_add_tcase(s, tc);
	return s;
}
