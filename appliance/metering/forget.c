/* Hours of single users and hosts do not stay for ever. See metering.h. */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"

/* Hours that go in one transaction. */
#define FORGET_MAX 20000

struct forgetting {
	struct metering_txn *txn;
	MDB_cursor *names, *hours;
	uint32_t before; /* hour */
	uint32_t left;
};

/* Hours of a line lie side by side, in their order. */
static int
forget_line(struct forgetting *f, uint32_t line)
{
	uint8_t from[HOUR_KEY_BYTES];
	MDB_val key = { sizeof(from), from }, value;

	be32_write(from, line);
	be32_write(from + 4, 0);
	int rc = mdb_cursor_get(f->hours, &key, &value, MDB_SET_RANGE);

	while (rc == 0 && f->left > 0) {
		const uint8_t *at = key.mv_data;

		if (key.mv_size != HOUR_KEY_BYTES)
			return ERR_CORRUPT;
		if (be32_read(at) != line || be32_read(at + 4) >= f->before)
			return 0;
		rc = mdb_cursor_del(f->hours, 0);
		if (rc != 0)
			break;
		f->left--;
		key = (MDB_val){ sizeof(from), from };
		rc = mdb_cursor_get(f->hours, &key, &value, MDB_SET_RANGE);
	}
	return rc == MDB_NOTFOUND
	    ? 0
	    : metering_error(rc, "forget hours of users and hosts");
}

static int
forget_all(struct forgetting *f)
{
	uint8_t scope = METERING_USER;
	MDB_val key = { 1, &scope }, value;
	int rc = mdb_cursor_get(f->names, &key, &value, MDB_SET_RANGE);

	while (rc == 0 && f->left > 0) {
		const uint8_t *name = key.mv_data;

		if (key.mv_size == 0 || name[0] > METERING_HOST)
			return 0;
		if (value.mv_size != 4)
			return ERR_CORRUPT;
		int err = forget_line(f, be32_read(value.mv_data));

		if (err != 0)
			return err;
		rc = mdb_cursor_get(f->names, &key, &value, MDB_NEXT);
	}
	return rc == MDB_NOTFOUND
	    ? 0
	    : metering_error(rc, "look for users and hosts");
}

static int
forget(struct forgetting *f)
{
	const struct metering *metering = f->txn->metering;
	int rc = mdb_cursor_open(f->txn->txn,
	    metering->base.table[METERING_NAMES], &f->names);

	if (rc == 0) {
		rc = mdb_cursor_open(f->txn->txn,
		    metering->base.table[METERING_HOURS], &f->hours);
		if (rc != 0)
			mdb_cursor_close(f->names);
	}
	if (rc != 0)
		return metering_error(rc, "look for users and hosts");
	int err = forget_all(f);

	mdb_cursor_close(f->hours);
	mdb_cursor_close(f->names);
	return err;
}

int
metering_forget_people(bool *more, struct metering *metering, int64_t before)
{
	struct forgetting f = { .before = hour_of(before), .left = FORGET_MAX };
	int err = metering_begin(&f.txn, metering);

	*more = false;
	if (err != 0)
		return err;
	err = forget(&f);
	if (err != 0 || f.left == FORGET_MAX) {
		metering_abort(f.txn);
		return err;
	}
	err = metering_commit(f.txn);
	*more = err == 0 && f.left == 0;
	return err;
}
