/*
 * A tenant's store on its way into a running site: pieces in order into a file
 * without a name, one at a time, so many bytes, forgotten when nothing came for
 * five minutes. What is done with it is tenant_restore.h's matter; it must not
 * know what is in the bytes.
 *
 * The bytes are the dump of one store as backup.h gave it out: the admin's
 * program decrypts the archive, so its passphrase never reaches the site, and
 * the keys in the dump are sealed to the site's own key still, so neither that
 * program nor a front sees them.
 */
#ifndef APPLIANCE_LEDGER_UPLOAD_H
#define APPLIANCE_LEDGER_UPLOAD_H

#include "appliance/ledger/inside.h"

/** One at a time: it needs the room of the store twice. */
#define UPLOADS_MAX 1
/** What is left to the site besides. */
#define UPLOAD_SPARE_BYTES ((uint64_t)64 << 20)

void restore_begin_asked(const struct request *request);
void restore_put_asked(const struct request *request);
void restore_drop_asked(const struct request *request);

#endif
