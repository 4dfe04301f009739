/*
 * What of a box only root may read, for the site's heir: its certificates and
 * what it is configured by. Root seals them to the heir's key, in
 * STATE/tls/box.sealed, when an heir is named and at every start; the ledger,
 * which cannot open that, takes it along into backups of the whole site; another
 * box opens it with the recovery key. The heir's key comes from STATE/tls, too,
 * and not from STATE/keys, where the ledger could put one of its own.
 */
#ifndef APPLIANCE_SETUP_BOX_FILES_H
#define APPLIANCE_SETUP_BOX_FILES_H

#include "appliance/setup/settings.h"
#include "shared/backup/archive.h"

#include <stddef.h>
#include <stdint.h>

/** Sealed, at most. */
#define BOX_FILES_MAX ((size_t)1 << 20)

/**
 * As root, or whoever owns STATE/tls. Without an heir nothing happens. What is
 * longer than a backup takes (64 KiB) is left out, with a warning.
 *
 * @param settings  Whose files go along as "etc/...", beside `config`, the file
 *                  they were read from; NULL: none.
 * @retval ERR_IO ...  Logged; what was sealed before is there still.
 * One after the other: who comes last seals for the heir that is named by then.
 */
int box_files_seal(const char *state, const struct settings *settings,
    const char *config);
/** Nothing is sealed any more: what there is was for another heir. Logged, with
 * what to do. */
void box_files_drop(const char *state);

/** What was sealed; the caller frees it. ERR_NOT_FOUND: nothing was. */
int box_files_read(uint8_t **sealed, size_t *len, const char *state);

/**
 * Each file in it, with its name in a backup: "tls/ca.pem", "etc/leaseholdd.ini".
 *
 * @param each  What it returns unless 0 ends this, and is returned.
 * @retval ERR_BAD_SIGNATURE  It was sealed for another heir, or changed.
 */
int box_files_open(const void *sealed, size_t len,
    const uint8_t heir_secret[64],
    int (*each)(void *ctx, const struct archive_file *file), void *ctx);

#endif
