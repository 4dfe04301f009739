#include "appliance/setup/tenant.h"

#include "appliance/ledger/ledger.h"
#include "appliance/setup/certificates.h"
#include "appliance/setup/restore_beside.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX ((size_t)64 << 10)

static int
io_failed(const char *verb, const char *path)
{
	int rc = errno == ENOSPC || errno == EDQUOT ? ERR_FULL
	    : errno == ENOMEM                       ? ERR_NOMEM
						    : ERR_IO;

	log_error("setup", "cannot %s %s: %s", verb, path, strerror(errno));
	return rc;
}

/* STATE/FOLDER/NAMEend */
static int
path_of(char out[SETUP_PATH_MAX], const char *state, const char *folder,
    const char *name, const char *end)
{
	char part[128];

	snprintf(part, sizeof(part), "%s/%s%s", folder, name, end);
	return setup_path(out, state, part);
}

/* Names in it survive a power cut. */
static int
sync_folder(const char *state, const char *name)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, name);

	if (rc != 0)
		return rc;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	rc = fd >= 0 && fsync(fd) == 0 ? 0 : io_failed("sync", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* --- making ---------------------------------------------------------------- */

static int
make_key(uint8_t key[SETUP_KEY_BYTES], const struct setup_tenant *tenant)
{
	char *text = sodium_malloc(2 * SETUP_KEY_BYTES + 2);
	char path[SETUP_PATH_MAX];
	int rc = path_of(path, tenant->state, "keys", tenant->name, ".key");

	if (rc != 0 || text == NULL) {
		sodium_free(text);
		return rc != 0 ? rc : ERR_NOMEM;
	}
	randombytes_buf(key, SETUP_KEY_BYTES);
	text_to_hex(text, key, SETUP_KEY_BYTES);
	text[2 * SETUP_KEY_BYTES] = '\n';
	text[2 * SETUP_KEY_BYTES + 1] = '\0';
	if (file_write(path, text, strlen(text), 0600) != 0)
		rc = io_failed("write", path);
	sodium_free(text);
	return rc;
}

static int
make_folder(const struct setup_tenant *tenant, const char *end)
{
	char path[SETUP_PATH_MAX];
	int rc = path_of(path, tenant->state, "tenants", tenant->name, end);

	if (rc == 0 && mkdir(path, 0700) != 0)
		rc = io_failed("make", path);
	return rc;
}

static int
make_journal(const struct setup_tenant *tenant, const uint8_t *key)
{
	char path[SETUP_PATH_MAX];
	int rc =
	    path_of(path, tenant->state, "tenants", tenant->name, "/ledger");

	if (rc != 0)
		return rc;
	const struct ledger_options options = {
		.path = path,
		.site = tenant->site,
		.tenant = tenant->name,
		.site_public = tenant->secret + 32,
		.site_secret = tenant->secret,
		.tenant_key = key,
	};

	rc = ledger_create(&options, tenant->now_ms);
	if (rc != 0)
		log_error("setup", "cannot make the journal in %s: %s", path,
		    err_str(rc));
	return rc;
}

int
setup_tenant_make(const struct setup_tenant *tenant)
{
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES);
	int rc = key == NULL ? ERR_NOMEM
			     : setup_tenant_remove(tenant->state, tenant->name);

	if (rc == 0)
		rc = make_key(key, tenant);
	if (rc == 0)
		rc = make_folder(tenant, "");
	if (rc == 0)
		rc = make_folder(tenant, "/ledger");
	if (rc == 0)
		rc = make_journal(tenant, key);
	if (rc == 0)
		rc = sync_folder(tenant->state, "keys");
	if (rc == 0)
		rc = sync_folder(tenant->state, "tenants");
	sodium_free(key);
	return rc;
}

/* --- removing -------------------------------------------------------------- */

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

/* Written over first: on most disks nothing of it stays. */
int
setup_remove_key(const char *path)
{
	static const uint8_t nothing[256];
	struct stat st;
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : io_failed("open", path);
	bool wiped = fstat(fd, &st) == 0 &&
	    st.st_size <= (off_t)sizeof(nothing) &&
	    pwrite(fd, nothing, (size_t)st.st_size, 0) == st.st_size &&
	    fsync(fd) == 0;
	int rc = wiped ? 0 : io_failed("wipe", path);

	close(fd);
	if (rc == 0 && unlink(path) != 0)
		rc = io_failed("remove", path);
	return rc;
}

int
setup_tenant_remove(const char *state, const char *name)
{
	char path[SETUP_PATH_MAX];
	int rc = path_of(path, state, "keys", name, ".key");

	if (rc != 0)
		return rc;
	/* The keys first: what is left of the rest cannot be read without. */
	rc = setup_remove_key(path);
	if (rc == 0)
		rc = path_of(path, state, "tenants", name,
		    "/ledger/" LEDGER_PERSON_KEY_NAME);
	if (rc == 0)
		rc = setup_remove_key(path);
	if (rc != 0)
		return rc;
	rc = path_of(path, state, "tenants", name, "");
	if (rc != 0)
		return rc;
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 &&
	    errno != ENOENT)
		return io_failed("remove", path);
	return setup_beside_clear(state, name);
}

/* --- host names ------------------------------------------------------------- */

int
setup_each_host(const char *state, int (*each)(void *ctx, const char *host),
    void *ctx)
{
	char path[SETUP_PATH_MAX];
	uint8_t *pem = NULL;
	size_t len;
	int rc = setup_path(path, state, "tls/server.pem");

	if (rc != 0)
		return rc;
	rc = file_read(&pem, &len, path, PEM_MAX);
	if (rc == 0)
		rc = certificate_each_host(pem, len, each, ctx);
	free(pem);
	if (rc != 0)
		log_error("setup", "cannot read the host names in %s: %s", path,
		    err_str(rc));
	return rc;
}
