/*
 * The key of this device: opened at start, in the helper thread where it is in
 * a TPM, again and again while the TPM does not answer. There is no session
 * before it is open; everything else goes on meanwhile.
 */
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/software.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

#define AGAIN_FIRST_MS 1000
#define AGAIN_MAX_MS 60000
/* A TPM that is not this device's does not become so by waiting; but somebody
 * may put the right one back. */
#define AGAIN_OTHER_MS 300000

bool
key_is_open(const struct keeper *keeper)
{
	return keeper->key.state == KEY_OPEN;
}

/* A device that has enrolled with a key file stays what it is, whatever the
 * configuration says now: its class never changes. */
static bool
has_key_file(const struct keeper *keeper, const char *folder)
{
	char path[PATH_MAX];
	struct stat st;

	if (!keeper->enrolled || keeper->site.class_ != PROOF_SOFTWARE)
		return false;
	snprintf(path, sizeof(path), "%.*s/" SOFTWARE_KEY_FILE,
	    (int)(sizeof(path) - sizeof("/" SOFTWARE_KEY_FILE)), folder);
	return stat(path, &st) == 0;
}

void
key_options(struct identity_options *options, const struct keeper *keeper,
    const char *folder)
{
	const struct keeper_options *given = &keeper->options;

	*options = (struct identity_options){
		.folder = folder,
		.tcti = given->tcti,
		.ek = given->tpm_p256 ? IDENTITY_P256 : IDENTITY_RSA,
		.key_file = given->key_file,
		.class_ =
		    given->key_file != NULL ? PROOF_ASSIGNED : PROOF_SOFTWARE,
	};
}

static enum proof_class
class_of(const struct identity_options *options)
{
	return options->tcti != NULL ? PROOF_TPM : options->class_;
}

enum proof_class
key_class(const struct keeper *keeper)
{
	return keeper->key.class_;
}

/* --- in words ------------------------------------------------------------- */

static const char *
words_of(int err)
{
	switch (err) {
	case 0:
		return "the TPM is being opened";
	case ERR_MISMATCH:
		return "the TPM is not the one that this device's key is in, "
		       "or it was cleared";
	case ERR_FULL:
		return "the TPM has no room for this device's counter";
	case ERR_BUSY:
		return "the TPM is in use by another program";
	case ERR_UNAVAILABLE:
		return "the TPM does not answer";
	default:
		return "the device's key cannot be used";
	}
}

void
key_trouble(char out[128], const struct keeper *keeper)
{
	const struct key *key = &keeper->key;

	out[0] = '\0';
	if (key->state == KEY_OPEN)
		return;
	text_copy(out, 128,
	    words_of(
		key->state == KEY_OPENING && key->err == 0 ? 0 : key->err));
}

/* --- opening -------------------------------------------------------------- */

struct opening {
	struct keeper *keeper;
	struct identity_options options;
	char folder[PATH_MAX];
	char site[64], tenant[64]; /* to bind to; "": none yet */
};

static void
show_trouble(struct keeper *keeper)
{
	char words[128];

	key_trouble(words, keeper);
	if (!keeper->enrolled) {
		log_warn("keeper", "%s", words);
		return;
	}
	session_trouble(keeper,
	    keeper->key.err == ERR_MISMATCH ? CAUSE_OTHER_TPM : CAUSE_TPM,
	    words);
}

/* In the thread. */
static int
work_open(void *ctx, struct identity **identity)
{
	struct opening *opening = ctx;
	struct identity *opened;

	if (*identity != NULL)
		return 0; /* an enrolment was faster */
	int err = identity_open_with(&opened, &opening->options);

	if (err < 0)
		return err;
	if (opening->site[0] != '\0')
		err = identity_bind(opened, opening->site, opening->tenant);
	if (err < 0) {
		identity_close(opened);
		return err;
	}
	*identity = opened;
	return 0;
}

static void
try_later(struct keeper *keeper)
{
	struct key *key = &keeper->key;
	unsigned int doublings = key->failures < 6 ? key->failures : 6;
	int64_t ms = (int64_t)AGAIN_FIRST_MS << doublings;

	key->failures++;
	if (ms > AGAIN_MAX_MS)
		ms = AGAIN_MAX_MS;
	if (key->err == ERR_MISMATCH)
		ms = AGAIN_OTHER_MS;
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	if (event_add(key->again, &wait) < 0)
		log_error("keeper", "no memory for a timer");
}

void
key_opened(struct keeper *keeper)
{
	struct key *key = &keeper->key;

	key->state = KEY_OPEN;
	key->err = 0;
	key->failures = 0;
	event_del(key->again);
	borrows_key_opened(keeper);
	session_start(keeper);
}

static void
on_open(void *ctx, int err)
{
	struct opening *opening = ctx;
	struct keeper *keeper = opening->keeper;

	free(opening);
	if (err == ERR_CLOSED || key_is_open(keeper))
		return;
	if (err == 0) {
		log_info("keeper", "the TPM is open");
		key_opened(keeper);
		return;
	}
	keeper->key.state = KEY_CLOSED;
	keeper->key.err = err;
	show_trouble(keeper);
	/* Nobody waits for a key that is elsewhere. */
	if (err == ERR_MISMATCH && keeper->enrolled) {
		keeper->session.refused = ERR_BAD_PROOF;
		checkouts_refuse(keeper);
	}
	try_later(keeper);
}

static int
begin(struct keeper *keeper)
{
	struct opening *opening = calloc(1, sizeof(*opening));

	if (opening == NULL)
		return ERR_NOMEM;
	opening->keeper = keeper;
	files_identity_path(opening->folder, &keeper->files,
	    keeper->site.identity);
	key_options(&opening->options, keeper, opening->folder);
	if (keeper->enrolled) {
		memcpy(opening->site, keeper->site.site, sizeof(opening->site));
		memcpy(opening->tenant, keeper->site.tenant,
		    sizeof(opening->tenant));
	}
	keeper->key.state = KEY_OPENING;
	int err = proofs_run(keeper->proofs, work_open, on_open, opening);

	if (err < 0)
		free(opening);
	return err;
}

static void
on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;

	(void)fd;
	(void)what;
	if (!key_is_open(keeper) && begin(keeper) < 0)
		try_later(keeper);
}

/* A key file is opened here and now: it takes no time, and one that cannot be
 * used is worth not to start at all. */
static int
open_file(struct identity **identity, struct keeper *keeper,
    const struct identity_options *options)
{
	int err = identity_open_with(identity, options);

	if (err == 0 && keeper->enrolled)
		err = identity_bind(*identity, keeper->site.site,
		    keeper->site.tenant);
	return err;
}

int
key_open(struct keeper *keeper)
{
	struct key *key = &keeper->key;
	struct identity_options options;
	struct identity *identity = NULL;
	char folder[PATH_MAX];
	int err = 0;

	files_identity_path(folder, &keeper->files, keeper->site.identity);
	key_options(&options, keeper, folder);
	if (class_of(&options) != PROOF_SOFTWARE &&
	    has_key_file(keeper, folder)) {
		log_warn("keeper",
		    "this device has enrolled with a key file and goes on with "
		    "it; for another: leasehold enroll URL --token TOKEN "
		    "--new-key");
		options.tcti = NULL;
		options.key_file = NULL;
		options.class_ = PROOF_SOFTWARE;
	}
	key->class_ = class_of(&options);
	key->again = event_new(keeper->base, -1, 0, on_again, keeper);
	if (key->again == NULL)
		return ERR_NOMEM;
	if (options.tcti == NULL) {
		err = open_file(&identity, keeper, &options);
		key->state = KEY_OPEN;
	}
	if (err < 0) {
		identity_close(identity);
		return err;
	}
	err = proofs_new(&keeper->proofs, keeper->base, identity);
	if (err == 0 && options.tcti != NULL) {
		err = begin(keeper);
		show_trouble(keeper);
	}
	return err;
}

void
key_close(struct keeper *keeper)
{
	proofs_free(keeper->proofs);
	keeper->proofs = NULL;
	if (keeper->key.again != NULL)
		event_free(keeper->key.again);
	keeper->key.again = NULL;
}
