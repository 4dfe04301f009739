#include "appliance/setup/tls.h"

#include "appliance/setup/setup.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int
read_pem(uint8_t **data, size_t *len, const char *folder, const char *name,
    size_t max)
{
	char path[SETUP_PATH_MAX];
	int rc = setup_path(path, folder, name);

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
tls_page_reload(struct tls_page *page, const char *folder)
{
	uint8_t *cert = NULL, *key = NULL;
	size_t cert_len = 0, key_len = 0;
	int rc =
	    read_pem(&cert, &cert_len, folder, TLS_CERT_NAME, TLS_CERT_MAX);

	if (rc == 0)
		rc =
		    read_pem(&key, &key_len, folder, TLS_KEY_NAME, TLS_KEY_MAX);
	if (rc == 0) {
		sodium_memzero(page, sizeof(*page));
		memcpy(page->cert_pem, cert, cert_len);
		memcpy(page->key_pem, key, key_len);
	}
	free(cert);
	free_secret(key, key_len);
	return rc;
}

/* Mappings made from now on cannot be written, this one can. */
static struct tls_page *
map_sealed(int fd)
{
	struct tls_page *page;

	if (ftruncate(fd, sizeof(*page)) != 0)
		return NULL;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	if (page == MAP_FAILED)
		return NULL;
	if (fcntl(fd, F_ADD_SEALS,
		F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
		    F_SEAL_SEAL) == 0)
		return page;
	munmap(page, sizeof(*page));
	return NULL;
}

int
tls_page_new(struct tls_page **out, int *out_fd, const char *folder)
{
	int fd = memfd_create("tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct tls_page *page = fd < 0 ? NULL : map_sealed(fd);

	if (page == NULL) {
		log_error("setup", "cannot make the page of the TLS key: %s",
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return ERR_SYSTEM;
	}
	/* The key must reach neither swap nor a core file. */
	if (mlock(page, sizeof(*page)) != 0)
		log_debug("setup", "cannot lock the TLS key in memory: %s",
		    strerror(errno));
	madvise(page, sizeof(*page), MADV_DONTDUMP);
	int rc = tls_page_reload(page, folder);

	if (rc != 0) {
		tls_page_free(page, fd);
		return rc;
	}
	*out = page;
	*out_fd = fd;
	return 0;
}

int
tls_page_for_reading(const struct tls_page **out, struct tls_page *page, int fd)
{
	void *view = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
	int error = errno;

	tls_page_free(page, fd);
	if (view == MAP_FAILED) {
		log_error("setup", "cannot map the TLS key for reading: %s",
		    strerror(error));
		return ERR_SYSTEM;
	}
	madvise(view, sizeof(*page), MADV_DONTDUMP);
	*out = view;
	return 0;
}

void
tls_page_free(struct tls_page *page, int fd)
{
	if (page == NULL)
		return;
	munmap(page, sizeof(*page));
	close(fd);
}
