/*
 * Lines at hand: a batch touches the same few hundreds over and over, so they
 * are kept in memory until the commit, or until there are too many. See inside.h.
 */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"

#include <string.h>

static uint32_t
hash_bytes(const uint8_t *p, size_t len)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 16777619U;
	return hash ^ hash >> 15;
}

static uint32_t
hash_line(uint32_t line)
{
	return line * 2654435761U >> 8;
}

/* The slot of a line at hand, or the free one where it would be. */
static uint16_t *
slot_of_line(struct metering_txn *txn, uint32_t line)
{
	uint32_t i = hash_line(line) % HOT_SLOTS;

	while (
	    txn->by_line[i] != 0 && txn->hot[txn->by_line[i] - 1].line != line)
		i = (i + 1) % HOT_SLOTS;
	return &txn->by_line[i];
}

static uint16_t *
slot_of_name(struct metering_txn *txn, const uint8_t *name, size_t len)
{
	uint32_t i = hash_bytes(name, len) % HOT_SLOTS;

	for (; txn->by_name[i] != 0; i = (i + 1) % HOT_SLOTS) {
		const struct hot *hot = &txn->hot[txn->by_name[i] - 1];

		if (hot->name_len == len && memcmp(hot->name, name, len) == 0)
			break;
	}
	return &txn->by_name[i];
}

/* --- writing them down ------------------------------------------------------ */

static int
write_hour(struct metering_txn *txn, struct hot *hot)
{
	uint8_t key[HOUR_KEY_BYTES], bytes[HOUR_BYTES_MAX];

	if (!hot->hour_dirty)
		return 0;
	be32_write(key, hot->line);
	be32_write(key + 4, hot->at);
	hot->hour_dirty = false;
	return metering_put(txn, METERING_HOURS, key, sizeof(key), bytes,
	    hour_write(bytes, &hot->hour));
}

static int
write_state(struct metering_txn *txn, struct hot *hot)
{
	uint8_t key[4], bytes[LINE_BYTES];

	if (!hot->state_dirty)
		return 0;
	be32_write(key, hot->line);
	line_write(bytes, &hot->state);
	hot->state_dirty = false;
	return metering_put(txn, METERING_LINES, key, sizeof(key), bytes,
	    sizeof(bytes));
}

int
hot_flush(struct metering_txn *txn)
{
	int err = 0;

	for (uint32_t i = 0; i < txn->n_hot && err == 0; i++) {
		err = write_hour(txn, &txn->hot[i]);
		if (err == 0)
			err = write_state(txn, &txn->hot[i]);
	}
	txn->n_hot = 0;
	memset(txn->by_line, 0, sizeof(txn->by_line));
	memset(txn->by_name, 0, sizeof(txn->by_name));
	return err;
}

/* --- taking them up --------------------------------------------------------- */

int
hot_numbered(struct hot **out, struct metering_txn *txn, uint32_t line)
{
	uint16_t *slot = slot_of_line(txn, line);
	uint8_t key[4];
	MDB_val value;
	int err;

	if (*slot != 0) {
		*out = &txn->hot[*slot - 1];
		return 0;
	}
	if (txn->n_hot == HOT_LINES) {
		err = hot_flush(txn);
		if (err != 0)
			return err;
		slot = slot_of_line(txn, line);
	}
	struct hot *hot = &txn->hot[txn->n_hot];

	*hot = (struct hot){ .line = line,
		.state = { .since = INT64_MIN, .until = UINT32_MAX } };
	be32_write(key, line);
	err = metering_get(&value, txn, METERING_LINES, key, sizeof(key));
	if (err == 0 && !line_read(&hot->state, &value))
		err = ERR_CORRUPT;
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*slot = (uint16_t)++txn->n_hot;
	*out = hot;
	return 0;
}

static int
find_number(uint32_t *line, struct metering_txn *txn, const uint8_t *name,
    size_t len)
{
	uint8_t number[4];
	MDB_val value;
	int err = metering_get(&value, txn, METERING_NAMES, name, len);

	if (err == 0 && value.mv_size != sizeof(number))
		return ERR_CORRUPT;
	if (err == 0)
		*line = be32_read(value.mv_data);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (txn->next_line == UINT32_MAX)
		return ERR_TOO_LARGE;
	*line = txn->next_line++;
	be32_write(number, *line);
	return metering_put(txn, METERING_NAMES, name, len, number,
	    sizeof(number));
}

int
hot_named(struct hot **out, struct metering_txn *txn,
    const struct metering_line *line)
{
	uint8_t name[NAME_BYTES_MAX];
	size_t len = name_write(name, line);
	uint16_t *slot = slot_of_name(txn, name, len);
	uint32_t number;

	if (*slot != 0) {
		*out = &txn->hot[*slot - 1];
		return 0;
	}
	int err = find_number(&number, txn, name, len);

	if (err == 0)
		err = hot_numbered(out, txn, number);
	if (err != 0)
		return err;
	/* Taking it up may have thrown out all others. */
	slot = slot_of_name(txn, name, len);
	memcpy((*out)->name, name, len);
	(*out)->name_len = len;
	*slot = (uint16_t)(*out - txn->hot + 1);
	return 0;
}

/* --- hours ------------------------------------------------------------------ */

int
hot_enter(struct metering_txn *txn, struct hot *hot, uint32_t hour)
{
	uint8_t key[HOUR_KEY_BYTES];
	MDB_val value;

	if (hot->has_hour && hot->at == hour)
		return 0;
	int err = write_hour(txn, hot);

	if (err != 0)
		return err;
	hot->hour = (struct hour){ .seats = { .checkouts = 0 } };
	hot->has_hour = true;
	hot->at = hour;
	be32_write(key, hot->line);
	be32_write(key + 4, hour);
	err = metering_get(&value, txn, METERING_HOURS, key, sizeof(key));
	if (err == 0 && !hour_read(&hot->hour, &value))
		err = ERR_CORRUPT;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
hot_settle(struct metering_txn *txn, struct hot *hot, int64_t time)
{
	struct line_state *state = &hot->state;
	int err = 0;

	while (state->held != 0 && state->since < time && err == 0) {
		uint32_t at = hour_of(state->since);
		int64_t end = hour_start(at + 1);

		if (end > time || end <= state->since)
			end = time;
		err = hot_enter(txn, hot, at);
		uint64_t ms = (uint64_t)(end - state->since);

		hot->hour.seats.seat_ms += ms * state->held;
		hot->hour.seats.borrow_ms += ms * state->borrowed;
		if (state->held > hot->hour.seats.peak)
			hot->hour.seats.peak = state->held;
		hot->hour_dirty = true;
		state->since = end;
	}
	/* A clock that was put right counts no span twice. */
	if (time > state->since)
		state->since = time;
	hot->state_dirty = true;
	return err;
}
