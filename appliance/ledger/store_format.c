/* The format of a store's values, and going from one to the next. See
 * STORE_FORMAT in store.h. */
#include "appliance/ledger/store_private.h"

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

static char format_key[] = "format";

static MDB_val
key_of(void)
{
	return (MDB_val){ sizeof(format_key) - 1, format_key };
}

/* Without a word it is of the first one. */
static int
format_read(uint32_t *format, MDB_txn *txn, MDB_dbi meta)
{
	MDB_val key = key_of(), value;
	int rc = mdb_get(txn, meta, &key, &value);

	*format = 1;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return store_error(rc, "read the format");
	if (value.mv_size != 4)
		return ERR_CORRUPT;
	*format = be32_read(value.mv_data);
	return 0;
}

/* The step from one format to the next belongs here, in the same transaction:
 * after a crash it is as before, or done. The first format has none. */
static int
format_write(MDB_txn *txn, MDB_dbi meta, uint32_t format)
{
	uint8_t bytes[4];
	MDB_val key = key_of(), value = { sizeof(bytes), bytes };

	be32_write(bytes, format);
	return store_error(mdb_put(txn, meta, &key, &value, 0),
	    "write the format");
}

int
store_format_settle(uint32_t *format, MDB_txn *txn, MDB_dbi meta,
    const struct store_options *options)
{
	const uint32_t own =
	    options->format != 0 ? options->format : STORE_FORMAT;
	uint32_t found;
	int err = format_read(&found, txn, meta);

	if (err != 0)
		return err;
	if (found > own) {
		log_error("store",
		    "%s is of format %u, and this version knows formats up to "
		    "%u: a newer version wrote it. Nothing was changed; start "
		    "that version, or put back a copy from before",
		    options->path, found, own);
		return ERR_CONFLICT;
	}
	*format = found;
	if (found == own || options->hold_format)
		return 0;
	err = format_write(txn, meta, own);
	*format = own;
	if (err == 0)
		log_info("store", "%s goes from format %u to %u", options->path,
		    found, own);
	return err;
}

uint32_t
store_format(const struct store *store)
{
	return store->format;
}
