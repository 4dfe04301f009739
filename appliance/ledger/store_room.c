/*
 * Room in the map and on the disk. LMDB's map has a size of its own; where it
 * may grow, the disk is the only bound. It is replaced while no transaction is
 * open: whoever wants to begin one waits, but never for long.
 */
#include "appliance/ledger/store_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

/* Less than a batch may need: no room. */
#define FULL_BYTES ((uint64_t)4 << 20)
/* A map with so little left may be what a batch failed on. */
#define MAP_SLACK_BYTES ((uint64_t)64 << 20)
/* 16 TiB: the address space is 128. */
#define MAP_BYTES_MAX ((uint64_t)16 << 40)
/* Readers end by themselves; then the next ones are kept waiting. */
#define QUIET_MS 1000
#define HOLD_MS 100
/* More than LMDB keeps in one page, so that new ones are needed. */
#define PROBE_BYTES ((size_t)64 << 10)

static const char probe_key[] = "probe";

void
store_enter(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	while (store->growing)
		pthread_cond_wait(&store->changed, &store->lock);
	store->inside++;
	pthread_mutex_unlock(&store->lock);
}

void
store_leave(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	if (--store->inside == 0)
		pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
}

bool
store_is_broken(const struct store *store)
{
	return atomic_load(&store->broken);
}

void
store_room(struct store_room *room, struct store *store)
{
	struct statvfs fs;
	MDB_envinfo info;
	MDB_stat stat;

	*room = (struct store_room){ 0 };
	pthread_mutex_lock(&store->lock);
	if (!atomic_load(&store->broken) &&
	    mdb_env_info(store->env, &info) == 0 &&
	    mdb_env_stat(store->env, &stat) == 0) {
		room->used_bytes =
		    (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
		room->map_bytes = info.me_mapsize;
	}
	pthread_mutex_unlock(&store->lock);
	if (fstatvfs(store->lock_fd, &fs) != 0)
		return;
	room->disk_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	room->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
}

bool
store_disk_is_full(const struct store *store)
{
	struct statvfs fs;

	return fstatvfs(store->lock_fd, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

/* --- growing -------------------------------------------------------------- */

/* Until nobody is inside, so many ms at most; holds the lock. */
static bool
wait_until_empty(struct store *store, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (store->inside > 0 &&
	    pthread_cond_timedwait(&store->changed, &store->lock, &until) == 0)
		;
	return store->inside == 0;
}

static int
replace_map(struct store *store, size_t bytes)
{
	int err = ERR_BUSY;

	pthread_mutex_lock(&store->lock);
	wait_until_empty(store, QUIET_MS);
	store->growing = true;
	if (wait_until_empty(store, HOLD_MS)) {
		int rc = mdb_env_set_mapsize(store->env, bytes);

		/* It has let go of the old map then. */
		if (rc != 0)
			atomic_store(&store->broken, true);
		err = rc != 0 ? store_error(rc, "make the map larger") : 0;
	}
	store->growing = false;
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
	return err;
}

int
store_grow(struct store *store)
{
	struct store_room room;

	store_room(&room, store);
	uint64_t step = room.map_bytes / 2 / 4096 * 4096;

	if (step < MAP_SLACK_BYTES)
		step = MAP_SLACK_BYTES;
	if (!store->map_grows || room.map_bytes == 0 ||
	    room.used_bytes + MAP_SLACK_BYTES < room.map_bytes ||
	    room.free_bytes < FULL_BYTES ||
	    room.map_bytes + step > MAP_BYTES_MAX)
		return ERR_FULL;
	int err = replace_map(store, (size_t)(room.map_bytes + step));

	if (err == 0)
		log_info("store", "the map has grown: MiB=%llu",
		    (unsigned long long)(room.map_bytes + step) >> 20);
	return err;
}

/* --- probing -------------------------------------------------------------- */

int
store_probe(struct store *store)
{
	static const uint8_t nothing[PROBE_BYTES];
	struct store_txn txn;
	int err = store_begin(&txn, store, true);

	if (err != 0)
		return err;
	err = store_put(&txn, STORE_META, probe_key, sizeof(probe_key), nothing,
	    sizeof(nothing));
	if (err == 0)
		err = store_commit(&txn);
	store_abort(&txn);
	if (err == 0)
		err = store_begin(&txn, store, true);
	if (err != 0)
		return err;
	err = store_delete(&txn, STORE_META, probe_key, sizeof(probe_key));
	if (err == 0)
		err = store_commit(&txn);
	store_abort(&txn);
	if (err == 0 && store_disk_is_full(store))
		err = ERR_FULL;
	return err;
}
