/* A restored site with a key of its own: the recovery key opens the backup's
 * keys, and says once which key follows. See restore_inside.h. */
#include "appliance/setup/box_files.h"
#include "appliance/setup/restore_inside.h"

#include "shared/backup/passphrase.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

int
restoring_heir(struct restoring *restoring)
{
	struct passphrase text = { 0 };
	char error[700];
	int rc = passphrase_read(&text, restoring->asked->recovery_file, false,
	    error, sizeof(error));

	if (rc != 0) {
		log_error("restore", "%s", error);
		return rc;
	}
	restoring->heir = sodium_malloc(TOKEN_SECRET_BYTES);
	rc = restoring->heir == NULL
	    ? ERR_NOMEM
	    : setup_heir_secret(restoring->heir, text.text);
	passphrase_release(&text);
	if (rc == ERR_BAD_REQUEST)
		log_error("restore",
		    "%s holds no recovery key: 32 letters and digits, as "
		    "leaseholdd heir showed them",
		    restoring->asked->recovery_file);
	return rc;
}

int
restoring_new_key(struct restoring *restoring)
{
	struct making *making = restoring->making;
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, making->folder, "keys/site.key");

	if (rc == 0 && (rc = token_key_create(making->secret, path)) != 0)
		log_error("restore", "cannot make the site key %s: %s", path,
		    err_str(rc));
	if (rc == 0)
		restoring->has_key = true;
	return rc;
}

void
restoring_other_heir(void)
{
	log_error("restore",
	    "the recovery key is not the one that the site had when the "
	    "backup was made");
}

static int
say_other(struct restoring *restoring, int rc)
{
	restoring_other_heir();
	restoring->told = true;
	return rc;
}

/* The public half stays the same: the text in the safe is good for backups of
 * the new box as well. */
static int
write_files(const struct restoring *restoring,
    const struct succession *succession)
{
	char text[TOKEN_PUBLIC_TEXT + 1];
	struct buf json = { 0 };

	record_write_json_pretty(&json, &succession_record, succession);
	buf_add_byte(&json, '\n');
	int rc = json.failed
	    ? ERR_NOMEM
	    : making_write(restoring->making, "keys/succession.json", json.data,
		  json.len, 0644);

	buf_release(&json);
	token_public_format(text, restoring->heir + 32);
	text[TOKEN_PUBLIC_TEXT - 1] = '\n';
	if (rc == 0)
		rc = making_write(restoring->making, "keys/heir.key", text,
		    TOKEN_PUBLIC_TEXT, 0644);
	return rc == 0 ? making_write(restoring->making, "tls/heir.key", text,
			     TOKEN_PUBLIC_TEXT, 0644)
		       : rc;
}

/* A backup is good without them, too: then with other certificates. */
int
restoring_box(struct restoring *restoring, const void *sealed, size_t len)
{
	int rc;

	if (restoring->has_tls || restoring->file == NULL)
		return 0;
	rc = box_files_open(sealed, len, restoring->heir, restoring->file,
	    restoring);
	if (rc != ERR_BAD_SIGNATURE || restoring->told)
		return rc;
	log_warn("restore",
	    "certificates and configuration of the box are in the backup, and "
	    "not for this recovery key");
	return 0;
}

int
restoring_follow(struct restoring *restoring, const void *token, size_t len)
{
	const struct archive_header *header = archive_header(restoring->reader);
	const uint8_t *own = restoring->making->secret + 32;
	struct succession_step steps[SITE_KEYS_MAX];
	struct succession succession = { { steps,
	    header->succession.count + 1 } };
	uint8_t heir[TOKEN_PUBLIC_BYTES];
	struct buf word = { 0 };
	int rc =
	    succession_named(heir, header->site, header->site_key, token, len);

	if (rc != 0 || memcmp(heir, restoring->heir + 32, sizeof(heir)) != 0)
		return say_other(restoring, rc == 0 ? ERR_MISMATCH : rc);
	if (succession.steps.count > SITE_KEYS_MAX - 1) {
		log_error("restore",
		    "the site has had %d keys, and gets no more",
		    SITE_KEYS_MAX);
		restoring->told = true;
		return ERR_TOO_LARGE;
	}
	if (header->succession.count > 0)
		memcpy(steps, header->succession.items,
		    header->succession.count * sizeof(*steps));
	rc = succession_follow(&word, header->site, header->site_key, own,
	    clock_wall_ms(), restoring->heir);
	if (rc == 0) {
		steps[header->succession.count] = (struct succession_step){
			.heir = { token, (uint32_t)len },
			.word = { word.data, (uint32_t)word.len },
		};
		rc = succession_keys(&restoring->keys, header->site, NULL,
		    &succession.steps);
	}
	if (rc == 0)
		rc = write_files(restoring, &succession);
	buf_release(&word);
	return rc;
}
