/*
 * The file that a backup is: what it says of itself in the clear, and the
 * frames behind it, encrypted with a passphrase (README.md has the format byte
 * by byte). Written whole or not at all; read frame by frame in bounded memory,
 * whoever made the file. What the frames mean to a store is dump.h's matter; it
 * must not know of sites that run, nor of how a passphrase is asked for.
 */
#ifndef SHARED_BACKUP_ARCHIVE_H
#define SHARED_BACKUP_ARCHIVE_H

#include "shared/license/succession.h"
#include "shared/record/record.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARCHIVE_MAGIC "leasehold-backup 1\n"
#define ARCHIVE_HEADER_MAX ((uint32_t)4 << 20)
/** Bytes of one item at most; longer data is cut into several. */
#define ARCHIVE_ITEM_MAX ((uint32_t)1 << 20)
#define ARCHIVE_TENANTS_MAX 8192
#define ARCHIVE_PASSPHRASE_MIN 8
#define ARCHIVE_PASSPHRASE_MAX 1024
/** What a reader spends on a stranger's file: memory and passes of Argon2id.
 */
#define ARCHIVE_MEMORY_MAX ((uint64_t)1 << 30)
#define ARCHIVE_PASSES_MAX 16
#define ARCHIVE_SALT_BYTES 16
#define ARCHIVE_CHECK_BYTES 16
#define ARCHIVE_STREAM_BYTES 24

/** Where a tenant's journal ends in this backup. */
struct archive_tenant {
	char tenant[64];
	uint32_t generation;
	uint64_t batch;
	uint64_t rows;
	uint8_t head[32];
};

/** What everybody may read. Only the end of the file proves it. */
struct archive_header {
	char site[64];
	char name[128]; /* of the site, for people */
	uint8_t site_key[32]; /* public */
	char software[32];
	int64_t made_at;
	bool whole; /* the site; else one tenant */
	struct record_list succession; /* succession_step: of its key */
	bool heir; /* whoever has the recovery key can make a box of it */
	bool box; /* for him, too: certificates and configuration of the box */
	bool keys; /* it can be restored without another copy of the site's
		      key */
	struct record_list tenants; /* archive_tenant */
	/* how it is encrypted; filled in by the writer */
	uint32_t passes;
	uint64_t memory; /* bytes */
	uint8_t salt[ARCHIVE_SALT_BYTES];
	uint8_t check[ARCHIVE_CHECK_BYTES]; /* is it this passphrase? */
	uint8_t stream[ARCHIVE_STREAM_BYTES];
};
extern const struct record archive_tenant_record, archive_header_record;

/** Kinds of items; on disk, so never renumbered. */
enum archive_item {
	ARCHIVE_PART = 1, /* a store begins: struct archive_part, MessagePack */
	ARCHIVE_DATA = 2, /* bytes of its dump */
	ARCHIVE_FILE = 3, /* a small file of the site's folder: archive_file */
	ARCHIVE_END = 4, /* nothing follows; made and checked here */
};

/** Whose store begins. */
struct archive_part {
	char tenant[64]; /* "": that of the site as a whole */
};
struct archive_file {
	char name[64]; /* "keys/site.key" */
	struct record_span data;
};
extern const struct record archive_part_record, archive_file_record;

/** What Argon2id costs; zeros: as much as libsodium calls moderate. */
struct archive_cost {
	uint32_t passes;
	uint64_t memory;
};

/* --- writing --------------------------------------------------------------- */

struct archive_writer;

/**
 * Begin PATH, under another name until archive_finish. `header` needs its
 * tenants already, by name; the rest of them may be filled in until the end.
 *
 * @retval ERR_CONFLICT  PATH is there already; nothing was touched.
 * Others: ERR_FULL, ERR_IO (errno set), ERR_NOMEM, ERR_BAD_REQUEST (passphrase
 * too short or too long).
 */
int archive_create(struct archive_writer **writer, const char *path,
    const struct archive_header *header, const char *passphrase,
    size_t passphrase_len, const struct archive_cost *cost);
/** 1 to ARCHIVE_ITEM_MAX bytes. */
int archive_put(struct archive_writer *writer, enum archive_item item,
    const void *data, size_t len);
/** The end, the header as it is now, on disk, under its name. The writer is
 * gone, whatever is returned; on an error the file too. */
int archive_finish(struct archive_writer *writer,
    const struct archive_header *header);
/** Give up: nothing is left. Takes NULL. */
void archive_cancel(struct archive_writer *writer);

/* --- reading --------------------------------------------------------------- */

struct archive_reader;

/**
 * Read what it says of itself. `file` is borrowed and read on from where it
 * stands. On every error *reader is valid still, for archive_error; free it.
 *
 * @retval ERR_BAD_REQUEST  Not such a file, or of another version, or what it
 *                          asks for is more than a reader spends.
 */
int archive_open(struct archive_reader **reader, FILE *file);
/** Its tenants live as long as the reader. */
const struct archive_header *archive_header(
    const struct archive_reader *reader);
/** Takes as long as its Argon2id. ERR_FORBIDDEN: it is another passphrase. */
int archive_unlock(struct archive_reader *reader, const char *passphrase,
    size_t passphrase_len);
/**
 * The next item; `data` lasts until the next call. ARCHIVE_END, with no data,
 * once and last: then all that was read is what was written, in its order, and
 * so is the header. Nothing is to be believed for good before it.
 *
 * @retval ERR_CORRUPT  Changed, cut off, out of order, or bytes behind the end;
 *                      archive_error tells which, and where.
 */
int archive_next(enum archive_item *item, struct record_span *data,
    struct archive_reader *reader);
/** What is wrong, for people; "" where nothing is. */
const char *archive_error(const struct archive_reader *reader);
/** Wipes its keys. Takes NULL. */
void archive_close(struct archive_reader *reader);

#endif
