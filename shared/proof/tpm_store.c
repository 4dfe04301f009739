/* tpm.json; see tpm_store.h. */
#include "shared/proof/tpm_store.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/template.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_FILE "tpm.json"
#define STORE_FILE_MAX 32768

/* STORE_FILE */
struct tpm_file {
	struct record_span ek;
	uint8_t ak[64];
	struct record_span ak_private;
	struct record_list sites; /* tpm_site */
};

static const struct record_field tpm_site_fields[] = {
	R_TEXT(tpm_site, site, 1, 63, 0, "Id of the site."),
	R_TEXT(tpm_site, tenant, 0, 63, RECORD_OPTIONAL, "The tenant."),
	R_U32(tpm_site, index, TEMPLATE_COUNTER_FIRST,
	    TEMPLATE_COUNTER_FIRST + TEMPLATE_COUNTERS - 1, 0,
	    "Handle of its counter."),
	R_FIXED(tpm_site, secret, RECORD_SECRET, "Who knows it may count."),
	R_BOOL(tpm_site, bound, RECORD_OPTIONAL, "It is the one in use."),
};
static RECORD_DEFINE(tpm_site, 1, "A site's counter.");

static const struct record_field tpm_file_fields[] = {
	R_BLOB(tpm_file, ek, TEMPLATE_EK_P256_BYTES, TEMPLATE_EK_RSA_BYTES, 0,
	    "The endorsement key."),
	R_FIXED(tpm_file, ak, 0, "The attestation key."),
	R_BLOB(tpm_file, ak_private, 1, TPM_PRIVATE_MAX, RECORD_SECRET,
	    "Its other half, wrapped by the TPM."),
	R_LIST(tpm_file, sites, &tpm_site_record, 0, TPM_SITES_MAX,
	    RECORD_OPTIONAL, "A counter each."),
};
static RECORD_DEFINE(tpm_file, 1, "An identity in a TPM.");

static void
take_file(struct tpm_store *store, const struct tpm_file *file)
{
	memcpy(store->ek, file->ek.data, file->ek.len);
	store->ek_len = file->ek.len;
	memcpy(store->ak, file->ak, sizeof(store->ak));
	memcpy(store->ak_private, file->ak_private.data, file->ak_private.len);
	store->ak_private_len = file->ak_private.len;
	store->n_sites = file->sites.count;
	if (file->sites.count > 0) {
		size_t bytes = file->sites.count * sizeof(struct tpm_site);

		memcpy(store->sites, file->sites.items, bytes);
		sodium_memzero(file->sites.items, bytes);
	}
}

static bool
is_sound(const struct tpm_store *store)
{
	uint32_t bound = 0;

	for (uint32_t i = 0; i < store->n_sites; i++)
		bound += store->sites[i].bound;
	return bound <= 1 &&
	    (store->ek_len == TEMPLATE_EK_RSA_BYTES ||
		store->ek_len == TEMPLATE_EK_P256_BYTES);
}

int
tpm_store_read(struct tpm_store *store, const char *folder)
{
	struct arena arena = { .max_bytes = 2 * STORE_FILE_MAX };
	struct record_error error = { "", "" };
	struct tpm_file file;
	char path[PATH_MAX];
	uint8_t *data;
	size_t len;

	snprintf(path, sizeof(path), "%s/" STORE_FILE, folder);
	int err = file_read(&data, &len, path, STORE_FILE_MAX);

	if (err == ERR_NOT_FOUND)
		return err;
	if (err < 0) {
		log_error("proof", "cannot read %s: %s", path, err_str(err));
		return err;
	}
	err = record_read_json(&file, &tpm_file_record, (const char *)data, len,
	    &arena, &error);
	if (err == 0)
		take_file(store, &file);
	if (err < 0 || !is_sound(store)) {
		log_error("proof", "%s is damaged: %s %s", path, error.field,
		    error.reason);
		err = ERR_CORRUPT;
	}
	arena_release(&arena);
	sodium_memzero(data, len);
	free(data);
	return err;
}

int
tpm_store_write(struct tpm_store *store, const char *folder)
{
	struct tpm_file file = {
		.ek = { store->ek, store->ek_len },
		.ak_private = { store->ak_private, store->ak_private_len },
		.sites = { store->sites, store->n_sites },
	};
	struct buf text = { 0 };
	char path[PATH_MAX];

	memcpy(file.ak, store->ak, sizeof(file.ak));
	record_write_json_pretty(&text, &tpm_file_record, &file);
	buf_add_byte(&text, '\n');
	snprintf(path, sizeof(path), "%s/" STORE_FILE, folder);
	int err = text.failed ? ERR_NOMEM
			      : file_write(path, text.data, text.len, 0600);

	if (err < 0)
		log_error("proof", "cannot write %s: %s", path,
		    strerror(errno));
	if (text.data != NULL)
		sodium_memzero(text.data, text.len);
	buf_release(&text);
	return err;
}

/* --- sites ---------------------------------------------------------------- */

struct tpm_site *
tpm_store_find(struct tpm_store *store, const char *site, const char *tenant)
{
	for (uint32_t i = 0; i < store->n_sites; i++)
		if (strcmp(store->sites[i].site, site) == 0 &&
		    strcmp(store->sites[i].tenant, tenant) == 0)
			return &store->sites[i];
	return NULL;
}

struct tpm_site *
tpm_store_bound(struct tpm_store *store)
{
	for (uint32_t i = 0; i < store->n_sites; i++)
		if (store->sites[i].bound)
			return &store->sites[i];
	return NULL;
}

int
tpm_store_add(struct tpm_site **out, struct tpm_store *store, const char *site,
    const char *tenant)
{
	struct tpm_site *added = &store->sites[store->n_sites];

	if (store->n_sites == TPM_SITES_MAX) {
		log_error("proof",
		    "this identity counts for %d sites already; leave one",
		    TPM_SITES_MAX);
		return ERR_FULL;
	}
	memset(added, 0, sizeof(*added));
	if (!text_copy(added->site, sizeof(added->site), site) ||
	    !text_copy(added->tenant, sizeof(added->tenant), tenant)) {
		log_error("proof", "the site's name is too long");
		return ERR_TOO_LARGE;
	}
	randombytes_buf(added->secret, sizeof(added->secret));
	store->n_sites++;
	*out = added;
	return 0;
}

void
tpm_store_remove(struct tpm_store *store, struct tpm_site *site)
{
	struct tpm_site *last = &store->sites[--store->n_sites];

	if (site != last)
		*site = *last;
	sodium_memzero(last, sizeof(*last));
}
