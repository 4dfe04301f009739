/*
 * TPMs for system tests: makers of TPMs, and their certificates in a swtpm.
 *
 *   tpm_tool maker DIR NAME [hardware|virtual]
 *       a CA in DIR/NAME.pem with its key in DIR/NAME.key, added to
 *       DIR/bundle.pem, and to DIR/issuers.txt when a word says what it makes
 *   tpm_tool certify DIR NAME TCTI [rsa|p256]
 *       the maker certifies the swtpm's endorsement key, into the swtpm
 */
#include "shared/proof/identity.h"
#include "tests/unit/tpm_lab.h"

#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
usage(void)
{
	fputs("usage: tpm_tool maker DIR NAME [hardware|virtual]\n"
	      "       tpm_tool certify DIR NAME TCTI [rsa|p256]\n"
	      "       tpm_tool extend TCTI PCR WORD\n",
	    stderr);
	return 2;
}

static FILE *
open_in(const char *dir, const char *name, const char *ending, const char *mode)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s%s", dir, name, ending);
	FILE *file = fopen(path, mode);

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	return file;
}

static int
make_maker(const char *dir, const char *name, const char *word)
{
	struct lab_ca ca;
	char path[512];

	lab_ca_new(&ca, name, NULL);
	FILE *file = open_in(dir, name, ".key", "we");

	PEM_write_PrivateKey(file, ca.key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	file = open_in(dir, name, ".pem", "we");
	fclose(file);
	snprintf(path, sizeof(path), "%s/%s.pem", dir, name);
	lab_ca_write(&ca, path);
	snprintf(path, sizeof(path), "%s/bundle.pem", dir);
	lab_ca_write(&ca, path);
	if (word != NULL) {
		snprintf(path, sizeof(path), "%s/issuers.txt", dir);
		lab_ca_list(&ca, path, word);
	}
	lab_ca_release(&ca);
	return 0;
}

static void
read_maker(struct lab_ca *ca, const char *dir, const char *name)
{
	FILE *file = open_in(dir, name, ".key", "re");

	ca->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	file = open_in(dir, name, ".pem", "re");
	ca->certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (ca->key == NULL || ca->certificate == NULL) {
		fprintf(stderr, "tpm_tool: %s/%s is no maker\n", dir, name);
		exit(1);
	}
}

/* An identity of a moment tells the endorsement key. */
static int
certify(const char *dir, const char *name, const char *tcti, const char *kind)
{
	char folder[] = "/tmp/tpm_tool.XXXXXX", command[100];
	struct identity_options options = {
		.folder = folder,
		.tcti = tcti,
		.ek = strcmp(kind, "p256") == 0 ? IDENTITY_P256 : IDENTITY_RSA,
	};
	struct proof_material material;
	struct arena arena = { 0 };
	struct identity *identity;
	struct lab_tpm tpm = { 0 };
	struct lab_ca ca;
	uint8_t der[4096];

	read_maker(&ca, dir, name);
	if (mkdtemp(folder) == NULL ||
	    identity_open_with(&identity, &options) != 0)
		return 1;
	int err = identity_enroll_material(&material, identity, &arena);

	identity_close(identity);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0 || err != 0)
		return 1;
	size_t len =
	    lab_certify(der, &ca, material.ek.data, material.ek.len, NULL);

	snprintf(tpm.tcti, sizeof(tpm.tcti), "%s", tcti);
	lab_tpm_put_certificate(&tpm, material.ek.len, der, len);
	arena_release(&arena);
	lab_ca_release(&ca);
	return 0;
}

/* A PCR, with the hash of a word. */
static int
extend(const char *tcti, const char *pcr, const char *word)
{
	struct lab_tpm tpm = { 0 };
	uint8_t digest[32];

	snprintf(tpm.tcti, sizeof(tpm.tcti), "%s", tcti);
	crypto_hash_sha256(digest, (const uint8_t *)word, strlen(word));
	lab_tpm_extend(&tpm, (uint32_t)atoi(pcr), digest);
	return 0;
}

int
main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	if (argc >= 4 && argc <= 5 && strcmp(argv[1], "maker") == 0)
		return make_maker(argv[2], argv[3], argc == 5 ? argv[4] : NULL);
	if (argc >= 5 && argc <= 6 && strcmp(argv[1], "certify") == 0)
		return certify(argv[2], argv[3], argv[4],
		    argc == 6 ? argv[5] : "rsa");
	if (argc == 5 && strcmp(argv[1], "extend") == 0)
		return extend(argv[2], argv[3], argv[4]);
	return usage();
}
