/* What an admin does to a site that is there: a new server certificate, one
 * more admin key. */
#include "appliance/ledger/system.h"
#include "appliance/setup/certificates.h"
#include "appliance/setup/setup.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/rpc/operations.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX ((size_t)64 << 10)

static int
read_file(uint8_t **data, size_t *len, const char *state, const char *name)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, name);

	if (rc != 0)
		return rc;
	rc = file_read(data, len, path, PEM_MAX);
	if (rc != 0)
		log_error("setup", "cannot read %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	return rc;
}

static int
read_ca(struct certificate *ca, const char *state)
{
	uint8_t *pem = NULL, *key = NULL;
	size_t len = 0, key_len = 0;
	int rc = read_file(&pem, &len, state, "tls/ca.pem");

	if (rc == 0)
		rc = read_file(&key, &key_len, state, "tls/ca.key");
	if (rc == 0 && (rc = certificate_read(ca, pem, len, key, key_len)) != 0)
		log_error("setup", "the site's CA in %s/tls is damaged", state);
	if (key != NULL)
		sodium_memzero(key, key_len);
	free(key);
	free(pem);
	return rc;
}

static int
write_pem(struct buf *pem, const char *state, const char *name,
    unsigned int mode)
{
	char path[SETUP_PATH_MAX];
	int rc = pem->failed ? ERR_NOMEM : setup_path(path, state, name);

	if (rc == 0 && (rc = file_write(path, pem->data, pem->len, mode)) != 0)
		log_error("setup", "cannot write %s: %s", path,
		    strerror(errno));
	if (pem->data != NULL)
		sodium_memzero(pem->data, pem->size);
	buf_release(pem);
	return rc;
}

/* Between the two writes key and certificate do not fit; a front that is told
 * to reload just then keeps what it has, and the command can be repeated. */
static int
write_server(const struct certificate *server, const struct certificate *ca,
    const char *state)
{
	struct buf key = { 0 }, chain = { 0 };
	int rc = certificate_write_key(&key, server);

	if (rc == 0)
		rc = certificate_write(&chain, server);
	if (rc == 0)
		rc = certificate_write(&chain, ca);
	if (rc == 0)
		rc = write_pem(&key, state, "tls/server.key", 0600);
	if (rc == 0)
		rc = write_pem(&chain, state, "tls/server.pem", 0644);
	if (key.data != NULL)
		sodium_memzero(key.data, key.size);
	buf_release(&key);
	buf_release(&chain);
	return rc;
}

int
setup_renew(const char *state, const char *const *hosts)
{
	struct certificate ca = { 0 }, server = { 0 };
	int rc = read_ca(&ca, state);

	if (rc == 0)
		rc = certificate_make_server(&server, &ca, hosts);
	if (rc == 0)
		rc = write_server(&server, &ca, state);
	certificate_release(&server);
	certificate_release(&ca);
	return rc;
}

int
setup_add_key(char admin_key[96], const char *state, const char *name)
{
	struct system_store *system = NULL;
	char path[SETUP_PATH_MAX];
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES);
	struct site_file site;
	int rc = key == NULL ? ERR_NOMEM : setup_read(&site, state);

	if (rc == 0)
		rc = setup_key(key, state, "system");
	if (rc == 0)
		rc = setup_path(path, state, "system");
	if (rc == 0)
		rc = system_open(&system, path, key);
	if (rc == 0)
		rc = system_key_add(admin_key, system, SETUP_TENANT, name,
		    SCOPES_SITE, clock_wall_ms());
	if (rc == ERR_BAD_REQUEST)
		log_error("setup", "a key's name is at most 63 bytes");
	system_close(system);
	sodium_free(key);
	return rc;
}
