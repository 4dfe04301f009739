/* A new site: what goes into its folder (making.h). */
#include "appliance/ledger/system.h"
#include "appliance/setup/box_files.h"
#include "appliance/setup/certificates.h"
#include "appliance/setup/making.h"
#include "appliance/setup/tenant.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/rpc/operations.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* --- what goes into it --------------------------------------------------- */

static int
make_site_key(struct making *making)
{
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
	char path[SETUP_PATH_MAX];
	uint8_t hash[32];
	int rc = setup_path(path, making->folder, "keys/site.key");

	if (rc == 0 && (rc = token_key_create(making->secret, path)) != 0)
		log_error("setup", "cannot make the site key %s: %s", path,
		    err_str(rc));
	if (rc != 0)
		return rc;
	crypto_generichash(hash, sizeof(hash), making->secret + 32,
	    TOKEN_PUBLIC_BYTES, NULL, 0);
	struct site_file *site = &making->site;

	text_copy(site->site, sizeof(site->site), "site-");
	for (size_t i = 0; i < 13; i++) {
		size_t bit = i * 5;
		unsigned int pair =
		    (unsigned int)hash[bit / 8] << 8 | hash[bit / 8 + 1];

		site->site[5 + i] = alphabet[(pair >> (11 - bit % 8)) & 31];
	}
	site->format = SETUP_FORMAT;
	site->created_at = clock_wall_ms();
	if (text_copy(site->name, sizeof(site->name), making->options->name) &&
	    site->name[0] != '\0' &&
	    text_is_printable(site->name, strlen(site->name)))
		return 0;
	log_error("setup", "a site's name is 1 to 127 printable characters");
	return ERR_BAD_REQUEST;
}

/* A random key into making->key and keys/NAME.key. */
static int
make_key(const struct making *making, const char *name)
{
	char *text = sodium_malloc(2 * SETUP_KEY_BYTES + 2);
	char file[96];

	if (text == NULL)
		return ERR_NOMEM;
	randombytes_buf(making->key, SETUP_KEY_BYTES);
	text_to_hex(text, making->key, SETUP_KEY_BYTES);
	text[2 * SETUP_KEY_BYTES] = '\n';
	text[2 * SETUP_KEY_BYTES + 1] = '\0';
	snprintf(file, sizeof(file), "keys/%s.key", name);
	int rc = making_write(making, file, text, strlen(text), 0600);

	sodium_free(text);
	return rc;
}

static int
write_pem(const struct making *making, const char *name, struct buf *pem,
    unsigned int mode)
{
	int rc = pem->failed
	    ? ERR_NOMEM
	    : making_write(making, name, pem->data, pem->len, mode);

	if (pem->data != NULL)
		sodium_memzero(pem->data, pem->size);
	buf_release(pem);
	return rc;
}

static int
write_certificate(const struct making *making, const char *name,
    const struct certificate *certificate, const struct certificate *ca)
{
	char cert_name[64], key_name[64];
	struct buf pem = { 0 };

	snprintf(cert_name, sizeof(cert_name), "tls/%s.pem", name);
	snprintf(key_name, sizeof(key_name), "tls/%s.key", name);
	int rc = certificate_write(&pem, certificate);

	if (rc == 0 && ca != NULL)
		rc = certificate_write(&pem, ca);
	if (rc == 0)
		rc = write_pem(making, cert_name, &pem, 0644);
	if (rc == 0)
		rc = certificate_write_key(&pem, certificate);
	if (rc == 0)
		rc = write_pem(making, key_name, &pem, 0600);
	buf_release(&pem);
	return rc;
}

int
making_certificates(const struct making *making)
{
	struct certificate ca = { 0 }, server = { 0 };
	int rc = certificate_make_ca(&ca, making->site.site, making->site.name);

	if (rc == 0)
		rc = certificate_make_server(&server, &ca,
		    making->options->hosts);
	if (rc == 0)
		rc = write_certificate(making, "ca", &ca, NULL);
	if (rc == 0)
		rc = write_certificate(making, "server", &server, &ca);
	certificate_release(&server);
	certificate_release(&ca);
	return rc;
}

static int
make_system(const struct making *making, char admin_key[96])
{
	char path[SETUP_PATH_MAX];
	struct system_store *system = NULL;
	int rc = make_key(making, "system");

	if (rc == 0)
		rc = setup_path(path, making->folder, "system");
	if (rc == 0)
		rc = system_create(path);
	if (rc == 0)
		rc = system_open(&system, path, making->key);
	if (rc == 0)
		rc = system_tenant_add(system, SETUP_TENANT,
		    making->site.created_at);
	if (rc == 0)
		rc = system_key_add(admin_key, system, SETUP_TENANT,
		    "first admin key", SCOPES_SITE, making->site.created_at);
	system_close(system);
	return rc;
}

static int
make_tenant(const struct making *making)
{
	return setup_tenant_make(&(struct setup_tenant){
	    .state = making->folder,
	    .name = SETUP_TENANT,
	    .site = making->site.site,
	    .secret = making->secret,
	    .now_ms = making->site.created_at,
	});
}

/* --- the whole ----------------------------------------------------------- */

static int
fill_folder(struct making *making, void *ctx)
{
	char *admin_key = ctx;
	int rc = making_add_folders(making);

	if (rc == 0)
		rc = make_site_key(making);
	if (rc == 0)
		rc = making_certificates(making);
	if (rc == 0)
		rc = make_system(making, admin_key);
	if (rc == 0)
		rc = make_tenant(making);
	if (rc == 0)
		rc = making_write_site(making);
	if (rc == 0 && making->options->recovery != NULL)
		rc = setup_heir_make(making->options->recovery, making->folder);
	if (rc == 0 && making->options->recovery != NULL)
		rc = box_files_seal(making->folder, NULL, NULL);
	return rc;
}

int
setup_create(char admin_key[96], const struct setup_options *options)
{
	int rc = making_run(options, fill_folder, admin_key);

	if (rc != 0)
		sodium_memzero(admin_key, 96);
	if (rc != 0 && options->recovery != NULL)
		sodium_memzero(options->recovery, SETUP_RECOVERY_TEXT);
	return rc;
}
