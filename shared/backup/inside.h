/* Between the files of this part: the keys that come from a passphrase. */
#ifndef SHARED_BACKUP_INSIDE_H
#define SHARED_BACKUP_INSIDE_H

#include "shared/backup/archive.h"

/** be32 length of the ciphertext and be64 number of the frame. */
#define ARCHIVE_FRAME_HEAD 12
/** The kind before, and what secretstream adds. */
#define ARCHIVE_FRAME_EXTRA (1 + 17)

/** From the passphrase and header->salt: the stream's key into guarded memory
 * of 32 bytes, and `check`. ERR_NOMEM. */
int archive_derive(uint8_t key[32], uint8_t check[ARCHIVE_CHECK_BYTES],
    const struct archive_header *header, const char *passphrase,
    size_t passphrase_len);
/** What the last frame holds: BLAKE2b-256 of the header's bytes. */
void archive_header_hash(uint8_t hash[32], const void *bytes, size_t len);

#endif
