/* Attacks on proofs, on swtpm: who owns the machine has its TPM sign whatever
 * it will, and none of it passes for the counter that was enrolled. What a TPM
 * does not hold against is measured too: its README says so. */
#include "shared/base/err.h"
#include "shared/proof/enroll.h"
#include "shared/proof/identity.h"
#include "shared/proof/template.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_attacker.h"
#include "tests/unit/tpm_lab.h"
#include "tests/unit/tpm_record.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INDEX TEMPLATE_COUNTER_FIRST

/* TPMA_NV */
#define AUTHWRITE 0x4u
#define POLICYWRITE 0x8u
#define COUNTER 0x10u
#define AUTHREAD 0x40000u
#define NO_DA 0x2000000u
#define ORDERLY 0x4000000u

/* A machine: a TPM, the device's identity, and who owns it all. */
struct machine {
	struct lab_tpm tpm;
	char folder[128];
	struct identity *identity;
	struct tpm_identity *attacker;
	uint8_t key[PROOF_KEY_MAX];
	size_t key_len;
};

static struct machine ours, theirs;

static void
machine_open(struct machine *m, enum identity_ek ek)
{
	struct identity_options options = {
		.folder = m->folder,
		.tcti = m->tpm.tcti,
		.ek = ek,
	};

	ck_assert_int_eq(identity_open_with(&m->identity, &options), 0);
	ck_assert_int_eq(identity_bind(m->identity, "site-a", "default"), 0);
	m->key_len = identity_public(m->key, m->identity);
	m->attacker = attacker_open(m->folder, m->tpm.tcti);
}

static void
machine_new(struct machine *m, enum identity_ek ek)
{
	lab_tpm_new(&m->tpm);
	snprintf(m->folder, sizeof(m->folder), "%s/id", m->tpm.dir);
	machine_open(m, ek);
}

static void
machine_remove(struct machine *m)
{
	char path[192];

	attacker_close(m->attacker);
	identity_close(m->identity);
	snprintf(path, sizeof(path), "%s/tpm.json", m->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock", m->folder);
	unlink(path);
	rmdir(m->folder);
	lab_tpm_remove(&m->tpm);
}

static void
setup(void)
{
	machine_new(&ours, IDENTITY_P256);
}

static void
teardown(void)
{
	machine_remove(&ours);
}

static struct proof
make_proof(struct machine *m)
{
	struct proof_subject subject = recorded_subject();
	struct proof proof;

	ck_assert_int_eq(proof_make(&proof, m->identity, &subject), 0);
	ck_assert_int_eq(proof_verify(&proof, &subject, m->key, m->key_len), 0);
	return proof;
}

static void
qualify(uint8_t out[32])
{
	struct proof_subject subject = recorded_subject();

	proof_qualifying_data(out, &subject);
}

static int
verify(const struct proof *proof, const uint8_t *key)
{
	struct proof_subject subject = recorded_subject();

	return proof_verify(proof, &subject, key, PROOF_KEY_BYTES_TPM);
}

/* Signed by the TPM, for this nonce, and refused all the same. */
static void
expect_refused(const struct statement *statement, const uint8_t ak[64],
    const char *name)
{
	struct recorded r = { .statement = *statement };
	struct proof proof;

	memcpy(r.public_key, ours.key, sizeof(r.public_key));
	memcpy(r.ak, ak, 64);
	recorded_write(&r, name);
	ck_assert(statement_is_signed(statement, ak));
	if (attacker_proof(&proof, statement))
		ck_assert_int_eq(verify(&proof, ours.key), ERR_BAD_PROOF);
}

static void
expect_certified_refused(uint32_t index, uint16_t size, uint16_t offset,
    const char *name)
{
	struct statement statement;
	uint8_t qualifying[32];

	qualify(qualifying);
	ck_assert(attacker_certify(&statement, ours.attacker, index, size,
	    offset, qualifying));
	expect_refused(&statement, ours.key + 37, name);
}

/* --- what the TPM says ---------------------------------------------------- */

/* So that the others are refused for what they are. */
START_TEST(honest_statement_holds)
{
	struct recorded r = { 0 };
	struct proof proof;
	uint8_t qualifying[32];

	qualify(qualifying);
	ck_assert(attacker_certify(&r.statement, ours.attacker, INDEX, 8, 0,
	    qualifying));
	memcpy(r.public_key, ours.key, sizeof(r.public_key));
	memcpy(r.ak, ours.key + 37, 64);
	recorded_write(&r, "honest");
	ck_assert(statement_is_signed(&r.statement, r.ak));
	ck_assert(attacker_proof(&proof, &r.statement));
	ck_assert_int_eq(verify(&proof, ours.key), 0);
}
END_TEST

START_TEST(honest_statement_of_an_rsa_machine_holds)
{
	struct recorded r = { 0 };
	struct proof proof;
	uint8_t qualifying[32];

	machine_new(&theirs, IDENTITY_RSA);
	qualify(qualifying);
	ck_assert(attacker_certify(&r.statement, theirs.attacker, INDEX, 8, 0,
	    qualifying));
	memcpy(r.public_key, theirs.key, sizeof(r.public_key));
	memcpy(r.ak, theirs.key + 37, 64);
	recorded_write(&r, "honest_rsa");
	ck_assert(attacker_proof(&proof, &r.statement));
	ck_assert_int_eq(verify(&proof, theirs.key), 0);
	machine_remove(&theirs);
}
END_TEST

START_TEST(ordinary_index_is_no_counter)
{
	/* The same but for its type, so that any number can be written. */
	const struct attack_index ordinary = { INDEX,
		AUTHWRITE | AUTHREAD | NO_DA, 8, false };
	const struct attack_index disguised = { INDEX,
		AUTHWRITE | POLICYWRITE | AUTHREAD | NO_DA, 8, true };

	ck_assert(attacker_undefine(ours.attacker, INDEX));
	attacker_define(ours.attacker, &ordinary);
	attacker_write(ours.attacker, INDEX, 1);
	expect_certified_refused(INDEX, 8, 0, "ordinary");
	ck_assert(attacker_undefine(ours.attacker, INDEX));
	attacker_define(ours.attacker, &disguised);
	attacker_write(ours.attacker, INDEX, 1);
	expect_certified_refused(INDEX, 8, 0, "disguised");
}
END_TEST

START_TEST(second_counter_is_not_the_enrolled_one)
{
	const struct attack_index second = { INDEX + 1,
		AUTHWRITE | POLICYWRITE | COUNTER | AUTHREAD | NO_DA, 8, true };

	attacker_define(ours.attacker, &second);
	attacker_count(ours.attacker, INDEX + 1);
	expect_certified_refused(INDEX + 1, 8, 0, "second");
	/* Nor one of the very template, for another site. */
	ck_assert_int_eq(identity_bind(ours.identity, "site-b", "default"), 0);
	attacker_close(ours.attacker);
	ours.attacker = attacker_open(ours.folder, ours.tpm.tcti);
	expect_certified_refused(INDEX + 2, 8, 0, "other_site");
}
END_TEST

START_TEST(orderly_counter_is_not_the_templates)
{
	const struct attack_index orderly = { INDEX,
		AUTHWRITE | POLICYWRITE | COUNTER | AUTHREAD | NO_DA | ORDERLY,
		8, true };

	ck_assert(attacker_undefine(ours.attacker, INDEX));
	attacker_define(ours.attacker, &orderly);
	attacker_count(ours.attacker, INDEX);
	expect_certified_refused(INDEX, 8, 0, "orderly");
}
END_TEST

START_TEST(counter_without_the_policy_is_not_the_templates)
{
	const struct attack_index free_for_all = { INDEX,
		AUTHWRITE | COUNTER | AUTHREAD | NO_DA, 8, false };

	ck_assert(attacker_undefine(ours.attacker, INDEX));
	attacker_define(ours.attacker, &free_for_all);
	attacker_count(ours.attacker, INDEX);
	expect_certified_refused(INDEX, 8, 0, "no_policy");
}
END_TEST

START_TEST(counter_that_never_counted_says_nothing)
{
	const struct attack_index fresh = { INDEX,
		POLICYWRITE | COUNTER | AUTHREAD | NO_DA, 8, true };
	struct statement statement;
	uint8_t qualifying[32];

	qualify(qualifying);
	ck_assert(attacker_undefine(ours.attacker, INDEX));
	attacker_define(ours.attacker, &fresh);
	ck_assert(!attacker_certify(&statement, ours.attacker, INDEX, 8, 0,
	    qualifying));
}
END_TEST

START_TEST(part_of_the_counter_is_not_its_value)
{
	expect_certified_refused(INDEX, 4, 4, "last_half");
	expect_certified_refused(INDEX, 4, 0, "first_half");
}
END_TEST

START_TEST(statement_of_another_type_is_no_proof)
{
	struct statement statement;
	uint8_t qualifying[32];

	qualify(qualifying);
	attacker_quote(&statement, ours.attacker, qualifying);
	expect_refused(&statement, ours.key + 37, "quote");
}
END_TEST

/* Its clock would be obfuscated, and nobody activated it. */
START_TEST(key_of_the_owners_hierarchy_is_not_the_devices)
{
	struct statement statement;
	struct proof proof;
	uint8_t qualifying[32], ak[64], key[PROOF_KEY_BYTES_TPM];

	qualify(qualifying);
	attacker_certify_as_owner(&statement, ak, ours.attacker, INDEX,
	    qualifying);
	expect_refused(&statement, ak, "owner_key");
	/* Nor does it pass where the attacker enrolls with it, and says that
	 * it stands under his EK. */
	memcpy(key, ours.key, sizeof(key));
	memcpy(key + 37, ak, 64);
	ck_assert(attacker_proof(&proof, &statement));
	ck_assert_int_eq(verify(&proof, key), ERR_BAD_PROOF);
}
END_TEST

START_TEST(tpm_signs_no_statement_that_others_wrote)
{
	uint8_t attest[TEMPLATE_ATTEST_BYTES], digest[32], qualifying[32];
	struct template_key key;
	struct proof proof = make_proof(&ours);

	proof.counter += 100;
	qualify(qualifying);
	ck_assert(template_key_read(&key, ours.key, ours.key_len));
	template_attest(attest, &proof, &key, qualifying);
	crypto_hash_sha256(digest, attest, sizeof(attest));
	ck_assert(!attacker_sign(ours.attacker, digest));
}
END_TEST

/* --- the counter ---------------------------------------------------------- */

START_TEST(counter_that_is_gone_proves_nothing)
{
	struct proof_subject subject = recorded_subject();
	struct proof proof;
	uint64_t value;

	ck_assert(attacker_undefine(ours.attacker, INDEX));
	ck_assert_int_eq(proof_make(&proof, ours.identity, &subject),
	    ERR_MISMATCH);
	ck_assert_int_eq(identity_counter_read(&value, ours.identity),
	    ERR_MISMATCH);
	ck_assert_int_eq(identity_counter_raise(ours.identity, 2),
	    ERR_MISMATCH);
}
END_TEST

/* With the very template it begins above what it was: like a return. */
START_TEST(counter_defined_again_only_goes_up)
{
	const struct attack_index again = { INDEX,
		POLICYWRITE | COUNTER | AUTHREAD | NO_DA, 8, true };
	uint64_t before;

	for (uint64_t to = 2; to < 6; to++)
		ck_assert_int_eq(identity_counter_raise(ours.identity, to), 0);
	before = make_proof(&ours).counter;
	ck_assert_uint_eq(before, 5);
	ck_assert(attacker_undefine(ours.attacker, INDEX));
	attacker_define(ours.attacker, &again);
	/* The rightful bind counts it for the first time. */
	ck_assert_int_eq(identity_bind(ours.identity, "site-a", "default"), 0);
	ck_assert_uint_gt(make_proof(&ours).counter, before);
}
END_TEST

/* Who may use the TPM, the owner even, but has not the folder. */
START_TEST(others_on_the_machine_cannot_count)
{
	static const char *const commands[] = { "nvincrement -C $I",
		"nvincrement -C o", "nvread -C $I", "nvread -C o",
		"nvwritelock -C o" };
	char command[400];
	uint64_t before = make_proof(&ours).counter;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(command, sizeof(command),
		    "export TPM2TOOLS_TCTI=%s TSS2_LOG=all+none I=0x%x; "
		    "tpm2_%s -Q $I 2>/dev/null",
		    ours.tpm.tcti, INDEX, commands[i]);
		ck_assert_msg(system(command) != 0, "%s", commands[i]);
	}
	ck_assert_uint_eq(make_proof(&ours).counter, before);
}
END_TEST

START_TEST(forged_numbers_do_not_hold)
{
	struct proof honest = make_proof(&ours), bad;

#define FORGED(change)                                                   \
	do {                                                             \
		bad = honest;                                            \
		change;                                                  \
		ck_assert_int_eq(verify(&bad, ours.key), ERR_BAD_PROOF); \
	} while (0)

	FORGED(bad.counter++);
	FORGED(bad.counter--);
	FORGED(bad.counter += (uint64_t)1 << 32);
	FORGED(bad.clock_ms--);
	FORGED(bad.resets++);
	FORGED(bad.resets += (uint64_t)1 << 32);
	FORGED(bad.restarts++);
	FORGED(bad.restarts += (uint64_t)1 << 32);
	FORGED(bad.clock_unsafe = !bad.clock_unsafe);
	FORGED(bad.firmware[0] ^= 1);
	FORGED(bad.sequence = 1);
	FORGED(bad.signature[0] ^= 1);
	FORGED(bad.class_ = PROOF_VTPM);
	FORGED(bad.class_ = PROOF_SOFTWARE);
#undef FORGED
	ck_assert_int_eq(verify(&honest, ours.key), 0);
}
END_TEST

/* --- keys ----------------------------------------------------------------- */

START_TEST(signature_of_another_key_does_not_hold)
{
	struct proof proof;

	machine_new(&theirs, IDENTITY_P256);
	proof = make_proof(&theirs);
	ck_assert_int_eq(verify(&proof, ours.key), ERR_BAD_PROOF);
	machine_remove(&theirs);
}
END_TEST

/* The endorsement key of one, the attestation key of another. */
START_TEST(keys_of_two_tpms_make_no_device)
{
	uint8_t mixed[PROOF_KEY_BYTES_TPM], secret[32] = { 5 }, answer[32];
	struct proof_material material;
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	struct proof proof;

	machine_new(&theirs, IDENTITY_P256);
	memcpy(mixed, ours.key, sizeof(mixed));
	memcpy(mixed + 37, theirs.key + 37, 64);
	/* Neither TPM says that its key stands under the other's. */
	proof = make_proof(&ours);
	ck_assert_int_eq(verify(&proof, mixed), ERR_BAD_PROOF);
	proof = make_proof(&theirs);
	ck_assert_int_eq(verify(&proof, mixed), ERR_BAD_PROOF);
	/* And neither answers for both. */
	ck_assert_int_eq(identity_enroll_material(&material, ours.identity,
			     &arena),
	    0);
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, mixed, sizeof(mixed)),
	    0);
	ck_assert_int_eq(identity_challenge_answer(answer, ours.identity,
			     &challenge),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(identity_challenge_answer(answer, theirs.identity,
			     &challenge),
	    ERR_BAD_PROOF);
	arena_release(&arena);
	machine_remove(&theirs);
}
END_TEST

/* A key in software can sign any statement about itself: the proof alone holds,
 * and the challenge is why nobody is enrolled by it. */
START_TEST(key_in_software_cannot_answer)
{
	uint8_t key[PROOF_KEY_BYTES_TPM], qualifying[32];
	uint8_t secret[32] = { 5 }, answer[32];
	struct proof proof = make_proof(&ours);
	struct proof_material material;
	struct proof_challenge challenge;
	struct arena arena = { 0 };

	qualify(qualifying);
	ck_assert_int_eq(identity_enroll_material(&material, ours.identity,
			     &arena),
	    0);
	attacker_pretend(&proof, key, material.ek.data, material.ek.len,
	    qualifying);
	ck_assert_int_eq(verify(&proof, key), 0);
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, key, sizeof(key)),
	    0);
	ck_assert_int_eq(identity_challenge_answer(answer, ours.identity,
			     &challenge),
	    ERR_BAD_PROOF);
	arena_release(&arena);
}
END_TEST

/* --- enrolment ------------------------------------------------------------ */

struct maker {
	struct lab_ca ca;
	char ca_file[64], issuers_file[64];
	struct proof_trust *trust;
};

static void
maker_new(struct maker *maker)
{
	lab_ca_new(&maker->ca, "Chips", NULL);
	snprintf(maker->ca_file, sizeof(maker->ca_file), "/tmp/ca.XXXXXX");
	snprintf(maker->issuers_file, sizeof(maker->issuers_file),
	    "/tmp/issuers.XXXXXX");
	close(mkstemp(maker->ca_file));
	close(mkstemp(maker->issuers_file));
	lab_ca_write(&maker->ca, maker->ca_file);
	lab_ca_list(&maker->ca, maker->issuers_file, "hardware");
	ck_assert_int_eq(proof_trust_open(&maker->trust, maker->ca_file,
			     maker->issuers_file),
	    0);
}

static void
maker_remove(struct maker *maker)
{
	proof_trust_close(maker->trust);
	lab_ca_release(&maker->ca);
	unlink(maker->ca_file);
	unlink(maker->issuers_file);
}

static void
certify_machine(const struct maker *maker, const struct machine *m, size_t pad)
{
	struct proof_material material;
	struct arena arena = { 0 };
	uint8_t der[4096 + 64];

	ck_assert_int_eq(identity_enroll_material(&material, m->identity,
			     &arena),
	    0);
	ck_assert_uint_eq(material.certificate.len, 0);
	size_t len = lab_certify(der, &maker->ca, material.ek.data,
	    material.ek.len, NULL);

	memset(der + len, 0xff, pad);
	lab_tpm_put_certificate(&m->tpm, material.ek.len, der, len + pad);
	arena_release(&arena);
}

static int
enroll(struct proof_endorsement *found, const struct maker *maker,
    struct machine *m)
{
	uint8_t secret[PROOF_SECRET_BYTES], answer[PROOF_SECRET_BYTES];
	struct proof_material material;
	struct proof_challenge challenge;
	struct arena arena = { 0 };

	randombytes_buf(secret, sizeof(secret));
	make_proof(m);
	int err = identity_enroll_material(&material, m->identity, &arena);

	if (err == 0)
		err = proof_material_judge(found, maker->trust, &material,
		    m->key, m->key_len, (int64_t)time(NULL) * 1000);
	if (err == 0)
		err = proof_challenge_make(&challenge, &arena, secret,
		    &material, m->key, m->key_len);
	if (err == 0)
		err =
		    identity_challenge_answer(answer, m->identity, &challenge);
	if (err == 0 && sodium_memcmp(secret, answer, sizeof(secret)) != 0)
		err = ERR_BAD_PROOF;
	arena_release(&arena);
	return err;
}

/* Kept for the fuzzer: a maker, and a machine that it certified. */
static void
record_enrolment(const struct maker *maker, struct machine *m)
{
	const char *folder = getenv("LEASEHOLD_RECORD");
	struct proof_material material;
	struct arena arena = { 0 };
	char command[400], path[300];

	if (folder == NULL)
		return;
	ck_assert_int_eq(identity_enroll_material(&material, m->identity,
			     &arena),
	    0);
	snprintf(command, sizeof(command),
	    "cp %s %s/maker.pem; cp %s %s/"
	    "issuers.txt",
	    maker->ca_file, folder, maker->issuers_file, folder);
	ck_assert_int_eq(system(command), 0);
	snprintf(path, sizeof(path), "%s/enrolled.txt", folder);
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	record_line(file, "public_key", m->key, m->key_len);
	record_line(file, "ek", material.ek.data, material.ek.len);
	record_line(file, "certificate", material.certificate.data,
	    material.certificate.len);
	ck_assert_int_eq(fclose(file), 0);
	arena_release(&arena);
}

START_TEST(certified_tpm_enrolls)
{
	struct proof_endorsement found;
	struct maker maker;

	maker_new(&maker);
	ck_assert_int_eq(enroll(&found, &maker, &ours), 0);
	ck_assert_uint_eq(found.class_, PROOF_VTPM);
	certify_machine(&maker, &ours, 0);
	ck_assert_int_eq(enroll(&found, &maker, &ours), 0);
	ck_assert_uint_eq(found.class_, PROOF_TPM);
	ck_assert_str_eq(found.manufacturer, "LEAS");
	record_enrolment(&maker, &ours);
	/* Makers fill the index up. */
	machine_new(&theirs, IDENTITY_RSA);
	certify_machine(&maker, &theirs, 60);
	ck_assert_int_eq(enroll(&found, &maker, &theirs), 0);
	ck_assert_msg(found.class_ == PROOF_TPM, "%s", found.reason);
	machine_remove(&theirs);
	maker_remove(&maker);
}
END_TEST

__attribute__((format(printf, 2, 3))) static void
write_text(const char *path, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ck_assert_int_eq(file_write(path, text, strlen(text), 0600), 0);
}

/* As libvirt makes one, with swtpm's own tools: a persistent RSA key, and its
 * certificate by a CA of the host's below a root. */
static void
set_up_as_a_host(struct machine *m, const char *dir)
{
	char path[200], command[500];

	snprintf(path, sizeof(path), "%s/local.conf", dir);
	write_text(path,
	    "statedir = %s/ca\nsigningkey = %s/ca/signkey.pem\n"
	    "issuercert = %s/ca/issuercert.pem\ncertserial = %s/ca/serial\n",
	    dir, dir, dir, dir);
	snprintf(path, sizeof(path), "%s/none", dir);
	write_text(path, "# none\n");
	snprintf(path, sizeof(path), "%s/setup.conf", dir);
	write_text(path,
	    "create_certs_tool = /usr/bin/swtpm_localca\n"
	    "create_certs_tool_config = %s/local.conf\n"
	    "create_certs_tool_options = %s/none\n",
	    dir, dir);
	lab_tpm_new(&m->tpm);
	lab_tpm_kill(&m->tpm);
	snprintf(command, sizeof(command),
	    "mkdir %s/ca; swtpm_setup --tpm2 --tpmstate %s --overwrite "
	    "--create-ek-cert --config %s/setup.conf >%s/log 2>&1 && "
	    "cat %s/ca/*cert.pem >%s/bundle.pem",
	    dir, m->tpm.dir, dir, dir, dir, dir);
	ck_assert_msg(system(command) == 0, "see %s/log", dir);
	lab_tpm_start(&m->tpm);
	snprintf(m->folder, sizeof(m->folder), "%s/id", m->tpm.dir);
}

START_TEST(tpm_of_a_virtual_machine_is_what_its_host_is_called)
{
	static const char *const words[] = { "virtual", "hardware" };
	char dir[] = "/tmp/leasehold-host.XXXXXX", command[500];
	struct proof_endorsement found;
	struct maker maker = { 0 };

	ck_assert_ptr_nonnull(mkdtemp(dir));
	set_up_as_a_host(&theirs, dir);
	machine_open(&theirs, IDENTITY_RSA);
	snprintf(maker.ca_file, sizeof(maker.ca_file), "%s/bundle.pem", dir);
	snprintf(maker.issuers_file, sizeof(maker.issuers_file), "%s/issuers",
	    dir);
	for (size_t i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
		    "openssl x509 -in %s/ca/issuercert.pem -noout -sha256 "
		    "-fingerprint | sed 's/.*=/%s /' >%s",
		    dir, words[i], maker.issuers_file);
		ck_assert_int_eq(system(command), 0);
		ck_assert_int_eq(proof_trust_open(&maker.trust, maker.ca_file,
				     maker.issuers_file),
		    0);
		ck_assert_int_eq(enroll(&found, &maker, &theirs), 0);
		ck_assert_msg(found.class_ == (i ? PROOF_TPM : PROOF_VTPM),
		    "%s", found.reason);
		ck_assert_str_eq(found.manufacturer, "00001014");
		ck_assert_str_eq(found.issuer, "CN=swtpm-localca");
		proof_trust_close(maker.trust);
	}
	machine_remove(&theirs);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(certificate_of_another_tpm_is_refused)
{
	struct proof_endorsement found;
	struct proof_material material;
	struct arena arena = { 0 };
	struct maker maker;
	uint8_t der[4096];

	maker_new(&maker);
	machine_new(&theirs, IDENTITY_P256);
	ck_assert_int_eq(identity_enroll_material(&material, theirs.identity,
			     &arena),
	    0);
	size_t len = lab_certify(der, &maker.ca, material.ek.data,
	    material.ek.len, NULL);

	lab_tpm_put_certificate(&ours.tpm, 64, der, len);
	ck_assert_int_eq(enroll(&found, &maker, &ours), ERR_BAD_PROOF);
	arena_release(&arena);
	machine_remove(&theirs);
	maker_remove(&maker);
}
END_TEST

START_TEST(what_stands_for_a_certificate_may_be_anything)
{
	static const uint8_t junk[][6] = { { 0 }, { 0x30, 0x82, 0xff, 0xff },
		{ 0x30, 0x03, 2, 1, 1 }, { 0x30, 0x81, 3, 2, 1, 1 } };
	struct proof_endorsement found;
	struct maker maker;

	maker_new(&maker);
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		lab_tpm_put_certificate(&ours.tpm, 64, junk[i], 6);
		ck_assert_int_eq(enroll(&found, &maker, &ours), 0);
		ck_assert_uint_eq(found.class_, PROOF_VTPM);
	}
	maker_remove(&maker);
}
END_TEST

/* A modulus of the attacker's own for an EK, in the place of his TPM's. */
START_TEST(endorsement_key_in_software_is_no_chips)
{
	uint8_t ek[256], area[TEMPLATE_PUBLIC_MAX], qualified[32];
	uint8_t key[PROOF_KEY_BYTES_TPM], der[4096];
	struct proof_endorsement found;
	struct template_key parts;
	struct maker maker;

	maker_new(&maker);
	randombytes_buf(ek, sizeof(ek));
	ek[0] |= 0x80;
	ek[255] |= 1;
	ck_assert(template_key_read(&parts, ours.key, ours.key_len));
	template_ek_qualified(qualified, area,
	    template_ek_public(area, ek, sizeof(ek)));
	parts.ek_qualified = qualified;
	template_key_write(key, &parts);
	struct proof_material material = { .ek = { ek, sizeof(ek) } };

	/* No maker's word for it: class vtpm at best, as for any program. */
	ck_assert_int_eq(proof_material_judge(&found, maker.trust, &material,
			     key, sizeof(key), (int64_t)time(NULL) * 1000),
	    0);
	ck_assert_uint_eq(found.class_, PROOF_VTPM);
	/* The certificate of a true chip does not help. */
	uint8_t true_ek[256];

	randombytes_buf(true_ek, sizeof(true_ek));
	true_ek[0] |= 0x80;
	true_ek[255] |= 1;
	material.certificate.data = der;
	material.certificate.len =
	    (uint32_t)lab_certify(der, &maker.ca, true_ek, 256, NULL);
	ck_assert_int_eq(proof_material_judge(&found, maker.trust, &material,
			     key, sizeof(key), (int64_t)time(NULL) * 1000),
	    ERR_BAD_PROOF);
	/* His real TPM's key does not prove under it either. */
	struct proof proof = make_proof(&ours);

	ck_assert_int_eq(verify(&proof, key), ERR_BAD_PROOF);
	maker_remove(&maker);
}
END_TEST

START_TEST(changed_challenge_is_not_answered)
{
	uint8_t secret[32] = { 5 }, answer[32];
	struct proof_material material;
	struct proof_challenge challenge;
	struct arena arena = { 0 };

	ck_assert_int_eq(identity_enroll_material(&material, ours.identity,
			     &arena),
	    0);
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, ours.key, ours.key_len),
	    0);
	uint8_t credential[68], seed[68];

	for (size_t i = 0; i < 68; i += 7) {
		memcpy(credential, challenge.credential.data, 68);
		memcpy(seed, challenge.seed.data, 68);
		struct proof_challenge bad = { { credential, 68 },
			{ seed, 68 } };

		credential[i] ^= 1;
		ck_assert_int_eq(identity_challenge_answer(answer,
				     ours.identity, &bad),
		    ERR_BAD_PROOF);
		credential[i] ^= 1;
		seed[i] ^= 1;
		ck_assert_int_eq(identity_challenge_answer(answer,
				     ours.identity, &bad),
		    ERR_BAD_PROOF);
		bad.seed.len = (uint32_t)i;
		ck_assert_int_eq(identity_challenge_answer(answer,
				     ours.identity, &bad),
		    ERR_BAD_PROOF);
	}
	struct proof_challenge large = { challenge.credential,
		{ ours.key, 5000 } };

	ck_assert_int_eq(identity_challenge_answer(answer, ours.identity,
			     &large),
	    ERR_BAD_PROOF);
	ck_assert_int_eq(identity_challenge_answer(answer, ours.identity,
			     &challenge),
	    0);
	ck_assert_mem_eq(answer, secret, 32);
	arena_release(&arena);
}
END_TEST

/* --- what does not hold --------------------------------------------------- */

/* A virtual TPM is a file: put back, it counts from there again, and signs it.
 * Only who remembers a higher number can tell. That is class vtpm. */
START_TEST(virtual_tpm_put_back_proves_old_numbers)
{
	lab_tpm_kill(&ours.tpm);
	lab_tpm_save(&ours.tpm, "saved");
	lab_tpm_start(&ours.tpm);
	ck_assert_int_eq(identity_counter_raise(ours.identity, 2), 0);
	ck_assert_uint_eq(make_proof(&ours).counter, 2);
	lab_tpm_kill(&ours.tpm);
	lab_tpm_restore(&ours.tpm, "saved");
	lab_tpm_start(&ours.tpm);
	ck_assert_uint_eq(make_proof(&ours).counter, 1);
}
END_TEST

/* The folder alone, on a machine with another TPM, is worth nothing. */
START_TEST(copied_folder_is_no_device)
{
	struct identity *copy = NULL;
	char command[300], folder[160];

	machine_new(&theirs, IDENTITY_P256);
	snprintf(folder, sizeof(folder), "%s/copy", theirs.tpm.dir);
	snprintf(command, sizeof(command), "cp -r %s %s", ours.folder, folder);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(identity_open(&copy, folder, theirs.tpm.tcti),
	    ERR_MISMATCH);
	ck_assert_ptr_null(copy);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
	machine_remove(&theirs);
}
END_TEST

static TCase *
make_enrolments(void)
{
	TCase *tc = tcase_create("enrolments");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, keys_of_two_tpms_make_no_device);
	tcase_add_test(tc, key_in_software_cannot_answer);
	tcase_add_test(tc, certified_tpm_enrolls);
	tcase_add_test(tc, tpm_of_a_virtual_machine_is_what_its_host_is_called);
	tcase_add_test(tc, certificate_of_another_tpm_is_refused);
	tcase_add_test(tc, what_stands_for_a_certificate_may_be_anything);
	tcase_add_test(tc, endorsement_key_in_software_is_no_chips);
	tcase_add_test(tc, changed_challenge_is_not_answered);
	tcase_add_test(tc, copied_folder_is_no_device);
	return tc;
}

Suite *
suite(void)
{
	Suite *s = suite_create("proof_attacks");
	TCase *tc = tcase_create("attacks");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, honest_statement_holds);
	tcase_add_test(tc, honest_statement_of_an_rsa_machine_holds);
	tcase_add_test(tc, ordinary_index_is_no_counter);
	tcase_add_test(tc, second_counter_is_not_the_enrolled_one);
	tcase_add_test(tc, orderly_counter_is_not_the_templates);
	tcase_add_test(tc, counter_without_the_policy_is_not_the_templates);
	tcase_add_test(tc, counter_that_never_counted_says_nothing);
	tcase_add_test(tc, part_of_the_counter_is_not_its_value);
	tcase_add_test(tc, statement_of_another_type_is_no_proof);
	tcase_add_test(tc, key_of_the_owners_hierarchy_is_not_the_devices);
	tcase_add_test(tc, tpm_signs_no_statement_that_others_wrote);
	tcase_add_test(tc, counter_that_is_gone_proves_nothing);
	tcase_add_test(tc, counter_defined_again_only_goes_up);
	tcase_add_test(tc, others_on_the_machine_cannot_count);
	tcase_add_test(tc, forged_numbers_do_not_hold);
	tcase_add_test(tc, signature_of_another_key_does_not_hold);
	tcase_add_test(tc, virtual_tpm_put_back_proves_old_numbers);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, make_enrolments());
	return s;
}
