#include "appliance/setup/tls.h"

#include "appliance/setup/setup.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int
read_pem(uint8_t **data, size_t *len, const char *state, const char *name,
    size_t max)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, state, name);

	if (rc != 0)
		return rc;
	rc = file_read(data, len, path, max - 1);
	if (rc != 0)
		log_error("setup", "cannot read %s: %s", path,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
	return rc;
}

static void
free_secret(uint8_t *data, size_t len)
{
	if (data != NULL)
		sodium_memzero(data, len);
	free(data);
}

int
tls_page_reload(struct tls_page *page, const char *state)
{
	uint8_t *cert = NULL, *key = NULL;
	size_t cert_len = 0, key_len = 0;
	int rc =
	    read_pem(&cert, &cert_len, state, "tls/server.pem", TLS_CERT_MAX);

	if (rc == 0)
		rc = read_pem(&key, &key_len, state, "tls/server.key",
		    TLS_KEY_MAX);
	if (rc == 0) {
		sodium_memzero(page, sizeof(*page));
		memcpy(page->cert_pem, cert, cert_len);
		memcpy(page->key_pem, key, key_len);
	}
	free(cert);
	free_secret(key, key_len);
	return rc;
}

int
tls_page_new(struct tls_page **out, const char *state)
{
	struct tls_page *page = mmap(NULL, sizeof(*page),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return ERR_NOMEM;
	/* The key must reach neither swap nor a core file. */
	if (mlock(page, sizeof(*page)) != 0)
		log_debug("setup", "cannot lock the TLS key in memory: %s",
		    strerror(errno));
	madvise(page, sizeof(*page), MADV_DONTDUMP);
	int rc = tls_page_reload(page, state);

	if (rc != 0) {
		tls_page_free(page);
		return rc;
	}
	*out = page;
	return 0;
}

void
tls_page_free(struct tls_page *page)
{
	if (page != NULL)
		munmap(page, sizeof(*page));
}
