/* A whole site, made anew; see restore.h. */
#include "appliance/setup/certificates.h"
#include "appliance/setup/restore_inside.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- the site's own files -------------------------------------------------- */

/* The copy from the safe, in the form that the file has. */
static int
take_site_key(struct restoring *restoring)
{
	const char *from = restoring->asked->site_key;
	uint8_t *data = NULL;
	size_t len;

	if (from == NULL)
		return 0;
	int rc = restoring_site_key(restoring, from);

	if (rc != 0)
		return rc;
	if (file_read(&data, &len, from, 4096) != 0)
		return making_failed("read", from);
	rc = making_write(restoring->making, "keys/site.key", data, len, 0600);
	sodium_memzero(data, len);
	free(data);
	return rc;
}

/* What the old box was configured by, for people to compare. */
static int
take_etc(struct restoring *restoring, const struct archive_file *file)
{
	const char *name = file->name + strlen("etc/");

	if (name[0] == '\0' || name[0] == '.' ||
	    name[strspn(name,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-")] != '\0') {
		log_error("restore", "no file is called %s", file->name);
		return ERR_CORRUPT;
	}
	int rc = restoring->has_etc
	    ? 0
	    : making_add_folder(restoring->making, "etc", 0700);

	restoring->has_etc = true;
	return rc == 0 ? making_write(restoring->making, file->name,
			     file->data.data, file->data.len, 0600)
		       : rc;
}

static int
on_file(void *ctx, const struct archive_file *file)
{
	static const struct {
		const char *name;
		unsigned int mode;
	} known[] = {
		{ "keys/site.key", 0600 },
		{ "tls/ca.pem", 0644 },
		{ "tls/ca.key", 0600 },
		{ "tls/server.pem", 0644 },
		{ "tls/server.key", 0600 },
	};
	struct restoring *restoring = ctx;
	char path[SETUP_PATH_MAX];

	if (strncmp(file->name, "etc/", 4) == 0) {
		int rc = take_etc(restoring, file);

		restoring->told |= rc != 0;
		return rc;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(file->name, known[i].name) != 0)
			continue;
		if (i == 0 && restoring->has_key)
			return 0;
		restoring->has_tls |= strcmp(file->name, "tls/ca.key") == 0;
		int rc = making_write(restoring->making, file->name,
		    file->data.data, file->data.len, known[i].mode);

		if (rc == 0 && i == 0)
			rc = setup_path(path, restoring->making->folder,
			    file->name);
		if (rc == 0 && i == 0)
			rc = restoring_site_key(restoring, path);
		restoring->told |= rc != 0;
		return rc;
	}
	log_error("restore",
	    "the backup has a file %s, which belongs to no "
	    "site that this release knows",
	    file->name);
	restoring->told = true;
	return ERR_CORRUPT;
}

/* --- the whole ------------------------------------------------------------- */

struct names {
	const char *all[CERTIFICATE_HOSTS_MAX + 1]; /* ends with NULL */
	size_t n;
	struct arena arena; /* those that were there */
};

static int
add_name(void *ctx, const char *host)
{
	struct names *names = ctx;

	for (size_t i = 0; i < names->n; i++)
		if (strcasecmp(names->all[i], host) == 0)
			return 0;
	if (names->n == CERTIFICATE_HOSTS_MAX) {
		log_warn("restore",
		    "the certificate has %d names: %s is none of them any more",
		    CERTIFICATE_HOSTS_MAX, host);
		return 0;
	}
	names->all[names->n] =
	    arena_copy(&names->arena, host, strlen(host) + 1);
	return names->all[names->n++] == NULL ? ERR_NOMEM : 0;
}

/* The new box may be found by others than the lost one was: it has those, too,
 * signed by the same CA. */
static int
add_hosts(const struct restoring *restoring)
{
	const char *const *hosts = restoring->asked->options.hosts;
	const char *folder = restoring->making->folder;
	struct names names = { .n = 0 };
	char path[SETUP_PATH_MAX];
	uint8_t *pem = NULL;
	size_t len = 0, before;
	int rc = setup_path(path, folder, "tls/server.pem");

	if (rc == 0 && file_read(&pem, &len, path, 65536) != 0)
		rc = making_failed("read", path);
	if (rc == 0 &&
	    (rc = certificate_each_name(pem, len, add_name, &names)) != 0)
		log_error("restore",
		    "the server's certificate in the backup is damaged");
	before = names.n;
	for (size_t i = 0; hosts[i] != NULL && rc == 0; i++)
		rc = add_name(&names, hosts[i]);
	if (rc == 0 && names.n > before)
		rc = setup_renew(folder, names.all);
	free(pem);
	arena_release(&names.arena);
	return rc;
}

/* The agents pin the CA: with another one they would have to enroll again. */
static int
make_certificates(const struct restoring *restoring)
{
	if (restoring->has_tls)
		return restoring->asked->options.hosts[0] != NULL
		    ? add_hosts(restoring)
		    : 0;
	if (restoring->asked->options.hosts[0] == NULL) {
		log_error("restore",
		    "the site's certificates are not in the backup: name the "
		    "names or addresses that agents use, with --host HOST");
		return ERR_BAD_REQUEST;
	}
	log_warn("restore",
	    "the site's certificates are not in the backup: it has a new CA, "
	    "which agents and programs are to be given (tls/ca.pem)");
	return making_certificates(restoring->making);
}

static int
fill_folder(struct making *making, void *ctx)
{
	struct restoring *restoring = ctx;
	const struct archive_header *header = archive_header(restoring->reader);
	struct backup_summary summary;

	restoring->making = making;
	memcpy(making->site.site, header->site, sizeof(making->site.site));
	text_copy(making->site.name, sizeof(making->site.name),
	    header->name[0] != '\0' ? header->name : header->site);
	making->site.format = SETUP_FORMAT;
	making->site.created_at = clock_wall_ms();
	int rc = making_add_folders(making);

	if (rc == 0)
		rc = restoring->heir != NULL ? restoring_new_key(restoring)
					     : take_site_key(restoring);
	if (rc == 0)
		rc = restoring_walk(restoring, &summary);
	if (rc == 0)
		rc = make_certificates(restoring);
	return rc == 0 ? making_write_site(making) : rc;
}

/* What can be said before anything is made. */
static int
check_asked(const struct archive_header *header,
    const struct setup_restore *asked)
{
	if (!header->whole) {
		log_error("restore",
		    "%s is of one tenant: it is restored into its site, while "
		    "that is stopped, with --tenant NAME",
		    asked->file);
		return ERR_BAD_REQUEST;
	}
	if (asked->recovery_file != NULL && asked->site_key != NULL) {
		log_error("restore",
		    "--recovery-file makes a new key for the site, and "
		    "--site-key names the old one: one of them");
		return ERR_BAD_REQUEST;
	}
	if (asked->recovery_file != NULL && !header->heir) {
		log_error("restore",
		    "%s was made before the site had a recovery key "
		    "(leaseholdd heir): name the copy of keys/site.key that "
		    "was kept in a safe, with --site-key FILE",
		    asked->file);
		return ERR_NOT_FOUND;
	}
	if (asked->recovery_file != NULL)
		return 0;
	if (!header->keys && asked->site_key == NULL) {
		log_error("restore",
		    "the site's own key is not in %s: name the copy of "
		    "keys/site.key that was kept in a safe, with --site-key "
		    "FILE%s",
		    asked->file,
		    header->heir ? "; or its recovery key, with "
				   "--recovery-file FILE: then this box gets a "
				   "key of its own"
				 : "");
		return ERR_NOT_FOUND;
	}
	if (!header->keys && asked->options.hosts[0] == NULL) {
		log_error("restore",
		    "the site's certificates are not in %s: name the names or "
		    "addresses that agents use, with --host HOST",
		    asked->file);
		return ERR_BAD_REQUEST;
	}
	return 0;
}

int
setup_restore(struct archive_header *made, const struct setup_restore *asked)
{
	struct restoring restoring = { .asked = asked, .file = on_file };
	FILE *file = fopen(asked->file, "re");

	if (file == NULL) {
		log_error("restore", "cannot read %s: %s", asked->file,
		    strerror(errno));
		return ERR_NOT_FOUND;
	}
	int rc = restoring_open(&restoring, file, check_asked);

	if (rc == 0 && asked->recovery_file != NULL)
		rc = restoring_heir(&restoring);

	if (rc == 0)
		rc = making_run(&asked->options, fill_folder, &restoring);
	if (rc == 0) {
		*made = *archive_header(restoring.reader);
		made->tenants.items = NULL;
		made->succession.items = NULL;
	}
	sodium_free(restoring.heir);
	archive_close(restoring.reader);
	fclose(file);
	return rc;
}
