/* The identity of a device: its folder, its locks, and who does the work; see
 * identity.h. */
#include "shared/proof/identity_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/quote.h"
#include "shared/proof/software.h"
#include "shared/proof/tpm_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE "lock"

/* --- opening -------------------------------------------------------------- */

static int
open_folder(struct identity *identity)
{
	char path[PATH_MAX];

	if (mkdir(identity->folder, 0700) < 0 && errno != EEXIST) {
		log_error("proof", "cannot make the folder %s: %s",
		    identity->folder, strerror(errno));
		return ERR_IO;
	}
	snprintf(path, sizeof(path), "%s/" LOCK_FILE, identity->folder);
	identity->folder_lock =
	    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (identity->folder_lock < 0) {
		log_error("proof", "cannot open %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (flock(identity->folder_lock, LOCK_EX | LOCK_NB) < 0) {
		log_error("proof", "another agent uses the identity in %s",
		    identity->folder);
		return ERR_BUSY;
	}
	return 0;
}

static void
show_public(struct identity *identity)
{
	uint8_t key[PROOF_KEY_MAX];
	size_t len = PROOF_KEY_BYTES_SOFTWARE;

	if (identity->tpm != NULL)
		len = tpm_identity_public(key, identity->tpm);
	else
		software_public(key, identity->software);
	pthread_mutex_lock(&identity->shown);
	memcpy(identity->public_key, key, len);
	identity->public_len = len;
	pthread_mutex_unlock(&identity->shown);
}

static int
open_half(struct identity *identity, const struct identity_options *options)
{
	int err;

	if (options->tcti != NULL && options->tcti[0] != '\0') {
		identity->class_ = PROOF_TPM;
		err = tpm_identity_open(&identity->tpm, identity->folder,
		    options);
	} else if (options->class_ == PROOF_SOFTWARE ||
	    options->class_ == PROOF_ASSIGNED) {
		identity->class_ = options->class_;
		err = software_open(&identity->software, identity->folder,
		    options->class_, options->key_file);
	} else {
		log_error("proof", "class %s needs a TPM: say which (tcti)",
		    proof_class_names[options->class_]);
		err = ERR_BAD_REQUEST;
	}
	if (err == 0)
		show_public(identity);
	return err;
}

int
identity_open_with(struct identity **out,
    const struct identity_options *options)
{
	struct identity *identity = calloc(1, sizeof(*identity));
	int err = 0;

	if (identity == NULL)
		return ERR_NOMEM;
	identity->folder_lock = -1;
	pthread_mutex_init(&identity->calls, NULL);
	pthread_mutex_init(&identity->shown, NULL);
	if (!text_copy(identity->folder, sizeof(identity->folder),
		options->folder)) {
		log_error("proof", "the name of the folder is too long");
		err = ERR_TOO_LARGE;
	}
	if (err == 0)
		err = open_folder(identity);
	if (err == 0)
		err = open_half(identity, options);
	if (err < 0) {
		identity_close(identity);
		return err;
	}
	*out = identity;
	return 0;
}

int
identity_open(struct identity **out, const char *folder, const char *tcti)
{
	struct identity_options options = { .folder = folder, .tcti = tcti };

	return identity_open_with(out, &options);
}

void
identity_close(struct identity *identity)
{
	if (identity == NULL)
		return;
	tpm_identity_close(identity->tpm);
	software_close(identity->software);
	if (identity->folder_lock >= 0)
		close(identity->folder_lock);
	pthread_mutex_destroy(&identity->calls);
	pthread_mutex_destroy(&identity->shown);
	free(identity);
}

void
identity_remove(const char *folder)
{
	static const char *const names[] = { SOFTWARE_KEY_FILE,
		SOFTWARE_COUNTER_FILE, TPM_IDENTITY_FILE, LOCK_FILE };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			log_warn("proof", "cannot remove %s: %s", path,
			    strerror(errno));
	}
	if (rmdir(folder) < 0 && errno != ENOENT)
		log_warn("proof", "cannot remove %s: %s", folder,
		    strerror(errno));
}

/* --- what never blocks ---------------------------------------------------- */

enum proof_class
identity_class(const struct identity *identity)
{
	return identity->class_;
}

size_t
identity_public(uint8_t out[PROOF_KEY_MAX], struct identity *identity)
{
	pthread_mutex_lock(&identity->shown);
	size_t len = identity->public_len;

	memcpy(out, identity->public_key, len);
	pthread_mutex_unlock(&identity->shown);
	return len;
}

/* --- one call at a time --------------------------------------------------- */

int
identity_bind(struct identity *identity, const char *site, const char *tenant)
{
	int err = 0;

	pthread_mutex_lock(&identity->calls);
	if (identity->tpm != NULL)
		err = tpm_identity_bind(identity->tpm, site, tenant);
	show_public(identity);
	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
identity_unbind(struct identity *identity, const char *site, const char *tenant)
{
	int err = 0;

	pthread_mutex_lock(&identity->calls);
	if (identity->tpm != NULL)
		err = tpm_identity_unbind(identity->tpm, site, tenant);
	show_public(identity);
	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
proof_make(struct proof *proof, struct identity *identity,
    const struct proof_subject *subject)
{
	memset(proof, 0, sizeof(*proof));
	pthread_mutex_lock(&identity->calls);
	int err = identity->tpm != NULL
	    ? tpm_identity_make(proof, identity->tpm, subject)
	    : software_make(proof, identity->software, subject);

	pthread_mutex_unlock(&identity->calls);
	if (err < 0)
		memset(proof, 0, sizeof(*proof));
	return err;
}

int
identity_counter_read(uint64_t *value, struct identity *identity)
{
	int err = 0;

	pthread_mutex_lock(&identity->calls);
	if (identity->tpm != NULL)
		err = tpm_identity_counter_read(value, identity->tpm);
	else
		*value = software_counter(identity->software);
	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
identity_counter_raise(struct identity *identity, uint64_t to)
{
	pthread_mutex_lock(&identity->calls);
	int err = identity->tpm != NULL
	    ? tpm_identity_counter_raise(identity->tpm, to)
	    : software_counter_raise(identity->software, to);

	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
identity_clock_read(struct identity_clock *clock, struct identity *identity)
{
	int err = 0;

	*clock = (struct identity_clock){ 0 };
	pthread_mutex_lock(&identity->calls);
	if (identity->tpm != NULL)
		err = tpm_identity_clock_read(clock, identity->tpm);
	else
		software_clock(clock, identity->software);
	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
identity_quote(struct quote *quote, struct identity *identity,
    const uint8_t qualifying[32])
{
	memset(quote, 0, sizeof(*quote));
	if (identity->tpm == NULL)
		return ERR_UNAVAILABLE;
	pthread_mutex_lock(&identity->calls);
	int err = tpm_identity_quote(quote, identity->tpm, qualifying);

	pthread_mutex_unlock(&identity->calls);
	if (err != 0)
		memset(quote, 0, sizeof(*quote));
	return err;
}

int
identity_enroll_material(struct proof_material *out, struct identity *identity,
    struct arena *arena)
{
	int err = 0;

	*out = (struct proof_material){ 0 };
	pthread_mutex_lock(&identity->calls);
	if (identity->tpm != NULL)
		err = tpm_identity_material(out, identity->tpm, arena);
	pthread_mutex_unlock(&identity->calls);
	return err;
}

static int
refuse_without_tpm(const char *what)
{
	log_error("proof", "%s needs a TPM, and this identity is a key file",
	    what);
	return ERR_UNAVAILABLE;
}

int
identity_challenge_answer(uint8_t secret[PROOF_SECRET_BYTES],
    struct identity *identity, const struct proof_challenge *challenge)
{
	if (identity->tpm == NULL)
		return refuse_without_tpm("the site's challenge");
	pthread_mutex_lock(&identity->calls);
	int err = tpm_identity_answer(secret, identity->tpm, challenge);

	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
identity_seal(struct buf *blob, struct identity *identity, const void *secret,
    size_t len, uint32_t pcrs)
{
	if (identity->tpm == NULL)
		return refuse_without_tpm("sealing");
	pthread_mutex_lock(&identity->calls);
	int err = tpm_identity_seal(blob, identity->tpm, secret, len, pcrs);

	pthread_mutex_unlock(&identity->calls);
	return err;
}

int
identity_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct identity *identity, const void *blob, size_t blob_len)
{
	if (identity->tpm == NULL)
		return refuse_without_tpm("unsealing");
	pthread_mutex_lock(&identity->calls);
	int err =
	    tpm_identity_unseal(secret, len, identity->tpm, blob, blob_len);

	pthread_mutex_unlock(&identity->calls);
	return err;
}
