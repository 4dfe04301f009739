/*
 * Pages that came free, given back to the file system. LMDB's file never gets
 * shorter; its free pages are listed, and their next use writes them whole. So a
 * hole is punched where they are: the file keeps its length and takes less of
 * the disk. Only pages that no reader and neither of LMDB's two last commits can
 * see are touched: those that LMDB itself would take for the next write.
 */
#include "appliance/ledger/store_private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* LMDB's table of free pages: the transaction that freed them, and a count
 * with their numbers, falling. */
#define FREE_TABLE 0
/* Nobody else writes meanwhile. */
#define TRIM_MS 10

struct trimming {
	int fd;
	size_t page; /* bytes of one */
	uint64_t bytes;
	bool refused; /* the file system has no holes */
};

/* A line for each reader: process, thread, transaction. */
static int
see_reader(const char *line, void *ctx)
{
	size_t *oldest = ctx;
	size_t id;

	if (sscanf(line, "%*d %*x %zu", &id) == 1 && id < *oldest)
		*oldest = id;
	return 0;
}

static void
punch(struct trimming *trimming, size_t first, size_t n)
{
	off_t at = (off_t)(first * trimming->page);
	off_t len = (off_t)(n * trimming->page);

	if (fallocate(trimming->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		at, len) == 0)
		trimming->bytes += (uint64_t)len;
	else
		trimming->refused = errno != EINTR;
}

static void
punch_all(struct trimming *trimming, const MDB_val *list)
{
	size_t n = 0, first = 0, run = 0;

	if (list->mv_size >= sizeof n)
		memcpy(&n, list->mv_data, sizeof n);
	if (n > list->mv_size / sizeof n - 1)
		return;
	for (size_t i = 1; i <= n && !trimming->refused; i++) {
		size_t page;

		memcpy(&page, (const char *)list->mv_data + i * sizeof page,
		    sizeof page);
		if (run > 0 && page + 1 == first) {
			first = page;
			run++;
			continue;
		}
		if (run > 0)
			punch(trimming, first, run);
		first = page;
		run = 1;
	}
	if (run > 0)
		punch(trimming, first, run);
}

/* From the free pages of transaction *at on. */
static int
trim_some(bool *more, size_t *at, struct trimming *trimming, MDB_txn *txn,
    size_t oldest)
{
	int64_t end = clock_boottime_ms() + TRIM_MS;
	MDB_val key = { sizeof *at, at }, list;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, FREE_TABLE, &cursor);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(cursor, &key, &list, MDB_SET_RANGE);
	*more = false;
	while (rc == 0 && key.mv_size == sizeof *at && !trimming->refused) {
		size_t freed;

		memcpy(&freed, key.mv_data, sizeof freed);
		if (freed >= oldest)
			break;
		if (clock_boottime_ms() >= end) {
			*at = freed;
			*more = true;
			break;
		}
		punch_all(trimming, &list);
		rc = mdb_cursor_get(cursor, &key, &list, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
store_trim(bool *more, struct store_trim *trim, struct store *store)
{
	struct trimming trimming = { .fd = -1 };
	struct store_txn txn;
	MDB_stat stat = { .ms_psize = 0 };
	MDB_txn *reader;
	size_t oldest;
	int err = store_begin(&txn, store, true);

	*more = false;
	if (err != 0)
		return err;
	oldest = mdb_txn_id(txn.txn) - 1;
	int rc = mdb_env_get_fd(store->env, &trimming.fd);

	if (rc == 0)
		rc = mdb_env_stat(store->env, &stat);
	if (rc == 0)
		rc = mdb_reader_list(store->env, see_reader, &oldest) < 0
		    ? EINVAL
		    : 0;
	trimming.page = stat.ms_psize;
	/* LMDB shows its free pages to readers alone; what this one sees stays
	 * true as long as the writer that we are writes nothing. */
	if (rc == 0)
		rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader);
	if (rc == 0) {
		rc = trim_some(more, &trim->at, &trimming, reader, oldest);
		mdb_txn_abort(reader);
	}
	store_abort(&txn);
	trim->bytes += trimming.bytes;
	if (trimming.refused)
		log_debug("store", "free pages stay on the disk: %s",
		    strerror(errno));
	return rc == 0 ? 0 : store_error(rc, "give free pages back");
}
