/*
 * Questions: the lists of the index that a question names are walked together,
 * each jumping to where the others are, so that the work follows the shortest
 * one and not the number of entries. See audit.h.
 */
#include "appliance/audit/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* A field with more values than this is looked at in the entries alone. */
#define LISTS_MAX 64

/* The values that one match asks for, ascending; 0 is none. */
struct wanted {
	enum audit_field field;
	uint64_t *values;
	uint32_t n;
	bool walked; /* by its lists; else only compared */
};

struct search {
	struct audit *audit;
	MDB_txn *txn;
	MDB_cursor *index, *entries;
	const struct audit_question *question;
	struct wanted wanted[AUDIT_FIELDS];
	uint32_t n;
	uint64_t low, high; /* rows between, both inclusive */
};

static uint8_t
sort_of(enum audit_field field)
{
	switch (field) {
	case AUDIT_USER:
		return WORD_SUBJECT + SUBJECT_USER;
	case AUDIT_HOST:
		return WORD_SUBJECT + SUBJECT_HOST;
	case AUDIT_ADDRESS:
		return WORD_SUBJECT + SUBJECT_ADDRESS;
	case AUDIT_PRINT:
		return WORD_PRINT;
	case AUDIT_PRODUCT:
	case AUDIT_RESULT:
	case AUDIT_WHAT:
		return WORD_TEXT;
	case AUDIT_ACTOR:
	case AUDIT_DEVICE:
	case AUDIT_FIELDS:
		break;
	}
	return WORD_NONE;
}

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* The values by which the index knows them; those that it does not fit no
 * entry. */
static int
find_values(struct wanted *out, const struct search *search,
    const struct audit_match *match)
{
	out->field = match->field;
	out->n = 0;
	out->values = calloc(match->n > 0 ? match->n : 1, sizeof(uint64_t));
	if (out->values == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < match->n; i++) {
		uint32_t ordinal;
		int err;

		if (match->numbers != NULL) {
			out->values[out->n++] = match->numbers[i];
			continue;
		}
		err = word_find(&ordinal, search->audit, search->txn,
		    sort_of(match->field), match->values[i].data,
		    match->values[i].len);
		if (err == 0)
			out->values[out->n++] = ordinal;
		else if (err != ERR_NOT_FOUND_INTERNAL)
			return err;
	}
	qsort(out->values, out->n, sizeof(uint64_t), compare_u64);
	out->walked = out->n <= LISTS_MAX;
	return 0;
}

/* --- places ------------------------------------------------------------------ */

/* Of one list: the row nearest to `row` that is not beyond it. 0: none. */
static int
seek_list(uint64_t *out, struct search *search, enum audit_field field,
    uint64_t value, uint64_t row)
{
	uint8_t bytes[INDEX_KEY_BYTES], at[INDEX_ROW_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, data = { sizeof(at), at };
	const bool up = search->question->oldest_first;

	*out = 0;
	index_key(bytes, field, value);
	index_row(at, row);
	int rc = mdb_cursor_get(search->index, &key, &data, MDB_GET_BOTH_RANGE);

	if (rc == 0 && (up || index_row_read(&data) == row)) {
		*out = index_row_read(&data);
		return 0;
	}
	if (rc == 0) {
		/* Above it: the one before. */
		rc = mdb_cursor_get(search->index, &key, &data, MDB_PREV_DUP);
	} else if (rc == MDB_NOTFOUND && !up) {
		key = (MDB_val){ sizeof(bytes), bytes };
		rc = mdb_cursor_get(search->index, &key, &data, MDB_SET);
		if (rc == 0)
			rc = mdb_cursor_get(search->index, &key, &data,
			    MDB_LAST_DUP);
	}
	if (rc == 0)
		*out = index_row_read(&data);
	return rc == MDB_NOTFOUND ? 0 : audit_error(rc, "read the index");
}

/* Of all its lists together. */
static int
seek_wanted(uint64_t *out, struct search *search, const struct wanted *wanted,
    uint64_t row)
{
	const bool up = search->question->oldest_first;
	int err = 0;

	*out = 0;
	for (uint32_t i = 0; i < wanted->n && err == 0; i++) {
		uint64_t found;

		err = seek_list(&found, search, wanted->field,
		    wanted->values[i], row);
		if (found != 0 &&
		    (*out == 0 || (up ? found < *out : found > *out)))
			*out = found;
	}
	return err;
}

static int
seek_entry(uint64_t *out, struct search *search, uint64_t row)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;
	const bool up = search->question->oldest_first;

	*out = 0;
	be64_write(bytes, row);
	int rc = mdb_cursor_get(search->entries, &key, &value, MDB_SET_RANGE);

	if (!up && rc == 0 && be64_read(key.mv_data) != row)
		rc = mdb_cursor_get(search->entries, &key, &value, MDB_PREV);
	else if (!up && rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(search->entries, &key, &value, MDB_LAST);
	if (rc == 0)
		*out = be64_read(key.mv_data);
	return rc == MDB_NOTFOUND ? 0 : audit_error(rc, "read the entries");
}

/* The nearest row, not beyond `row`, that stands in all lists. 0: none. */
static int
agree(uint64_t *out, struct search *search, uint64_t row, uint64_t *looks)
{
	uint32_t agreed = 0, at = 0, walked = 0;

	for (uint32_t i = 0; i < search->n; i++)
		walked += search->wanted[i].walked;
	*out = row;
	if (walked == 0)
		return seek_entry(out, search, row);
	while (agreed < walked) {
		const struct wanted *wanted = &search->wanted[at];
		uint64_t found;
		int err;

		at = (at + 1) % search->n;
		if (!wanted->walked)
			continue;
		*looks += wanted->n;
		err = seek_wanted(&found, search, wanted, *out);
		if (err != 0 || found == 0) {
			*out = 0;
			return err;
		}
		agreed = found == *out ? agreed + 1 : 1;
		*out = found;
		/* So that no question takes for ever: the caller goes on from
		 * here. */
		if (*looks > AUDIT_LOOK_MAX)
			return 0;
	}
	return 0;
}

/* --- entries ----------------------------------------------------------------- */

static bool
fits(const struct search *search, const struct stored *stored)
{
	const struct audit_question *question = search->question;

	if (stored->time < question->from || stored->time >= question->to)
		return false;
	for (uint32_t i = 0; i < search->n; i++) {
		const struct wanted *wanted = &search->wanted[i];
		uint64_t value = stored_value(stored, wanted->field);

		if (value == 0 ||
		    bsearch(&value, wanted->values, wanted->n, sizeof(value),
			compare_u64) == NULL)
			return false;
	}
	return true;
}

static int
get_text(char *out, size_t size, const struct search *search, uint32_t ordinal)
{
	uint8_t sort;
	MDB_val word;
	int err = word_get(&sort, &word, search->audit, search->txn, ordinal);

	if (err == 0)
		text_copy_n(out, size, word.mv_data, word.mv_size);
	return err;
}

static int
get_bytes(uint8_t *out, size_t size, bool *erased, const struct search *search,
    uint32_t ordinal)
{
	uint8_t sort;
	MDB_val word;

	if (ordinal == 0)
		return 0;
	int err = word_get(&sort, &word, search->audit, search->txn, ordinal);

	if (err == 0 && sort == WORD_NONE && erased != NULL)
		*erased = true;
	else if (err == 0 && word.mv_size == size)
		memcpy(out, word.mv_data, size);
	return err;
}

static int
open_entry(struct audit_entry *out, const struct search *search, uint64_t row,
    const struct stored *stored)
{
	*out = (struct audit_entry){
		.row = row,
		.time = stored->time,
		.by = { stored->by_kind, stored->by_id },
		.device = stored->device,
		.of_key = stored->of_key,
		.license = stored->license,
		.lease = stored->lease,
		.object = stored->object,
		.count = stored->count,
	};
	int err = get_text(out->what, sizeof(out->what), search, stored->what);

	if (err == 0)
		err = get_text(out->result, sizeof(out->result), search,
		    stored->result);
	if (err == 0 && stored->product != 0)
		err = get_text(out->product, sizeof(out->product), search,
		    stored->product);
	if (err == 0)
		err = get_bytes(out->user, SUBJECT_BYTES, &out->user_erased,
		    search, stored->user);
	if (err == 0)
		err = get_bytes(out->host, SUBJECT_BYTES, &out->host_erased,
		    search, stored->host);
	if (err == 0)
		err = get_bytes(out->address, SUBJECT_BYTES,
		    &out->address_erased, search, stored->address);
	if (err == 0)
		err = get_bytes(out->reason, SUBJECT_BYTES, &out->reason_erased,
		    search, stored->reason);
	if (err == 0)
		err = get_bytes(out->print, sizeof(out->print), NULL, search,
		    stored->print);
	return err;
}

/* One row of all lists; *took: it was given to `each`. */
static int
take(bool *took, struct search *search, uint64_t row,
    int (*each)(void *ctx, const struct audit_entry *entry), void *ctx)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;
	struct audit_entry entry;
	struct stored stored;

	*took = false;
	be64_write(bytes, row);
	int rc = mdb_get(search->txn, search->audit->base.table[AUDIT_ENTRIES],
	    &key, &value);

	if (rc == 0 && !stored_read(&stored, &value))
		rc = MDB_CORRUPTED;
	if (rc != 0)
		return audit_error(rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc,
		    "read an entry");
	if (!fits(search, &stored))
		return 0;
	*took = true;
	int err = open_entry(&entry, search, row, &stored);

	return err == 0 ? each(ctx, &entry) : err;
}

static int
walk(uint64_t *next, struct search *search,
    int (*each)(void *ctx, const struct audit_entry *entry), void *ctx)
{
	const bool up = search->question->oldest_first;
	uint64_t row = up ? search->low : search->high;
	uint64_t looks = 0;
	uint32_t taken = 0;
	int err = 0;

	*next = 0;
	while (err == 0 && row >= search->low && row <= search->high) {
		bool took;

		looks++;
		err = agree(&row, search, row, &looks);
		if (err != 0 || row == 0 || row < search->low ||
		    row > search->high)
			break;
		if (looks > AUDIT_LOOK_MAX) {
			/* This row was not looked at: from before it. */
			*next = up ? row - 1 : row + 1;
			break;
		}
		err = take(&took, search, row, each, ctx);
		taken += took;
		if (taken >= search->question->limit) {
			*next = row;
			break;
		}
		row = up ? row + 1 : row - 1;
	}
	return err;
}

/* --- the time ------------------------------------------------------------------ */

/* Rows that may have been in that span of time: by the hours, whose rows follow
 * one another unless the clock was set back. */
static int
find_span(struct search *search)
{
	const struct audit_question *question = search->question;
	MDB_dbi hours = search->audit->base.table[AUDIT_HOURS];
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor;
	uint64_t end = hour_of(question->to);
	int rc;

	search->low = 1;
	search->high = (UINT64_C(1) << 48) - 1;
	if (question->from == INT64_MIN && question->to == INT64_MAX)
		return 0;
	rc = mdb_cursor_open(search->txn, hours, &cursor);
	if (rc != 0)
		return audit_error(rc, "read the hours");
	search->low = UINT64_MAX;
	search->high = 0;
	be64_write(bytes, hour_of(question->from));
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (rc == 0 && be64_read(key.mv_data) <= end) {
		uint64_t first = be64_read(value.mv_data);
		uint64_t last = be64_read((const uint8_t *)value.mv_data + 8);

		search->low = first < search->low ? first : search->low;
		search->high = last > search->high ? last : search->high;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : audit_error(rc, "read the hours");
}

static void
begin_after(struct search *search)
{
	uint64_t after = search->question->after;

	if (after == 0)
		return;
	if (search->question->oldest_first && after + 1 > search->low)
		search->low = after + 1;
	if (!search->question->oldest_first && after - 1 < search->high)
		search->high = after - 1;
}

/* --- all of it ------------------------------------------------------------------ */

static int
prepare(struct search *search)
{
	const struct audit_question *question = search->question;
	int rc = mdb_txn_begin(search->audit->base.env, NULL, MDB_RDONLY,
	    &search->txn);

	if (rc == 0)
		rc = mdb_cursor_open(search->txn,
		    search->audit->base.table[AUDIT_INDEX], &search->index);
	if (rc == 0)
		rc = mdb_cursor_open(search->txn,
		    search->audit->base.table[AUDIT_ENTRIES], &search->entries);
	int err = audit_error(rc, "begin to search");

	if (err == 0 && question->n_matches > AUDIT_FIELDS)
		err = ERR_BAD_REQUEST;
	for (uint32_t i = 0; err == 0 && i < question->n_matches; i++)
		err = find_values(&search->wanted[search->n++], search,
		    &question->matches[i]);
	return err == 0 ? find_span(search) : err;
}

int
audit_search(uint64_t *next, struct audit *audit,
    const struct audit_question *question,
    int (*each)(void *ctx, const struct audit_entry *entry), void *ctx)
{
	struct search search = { .audit = audit, .question = question };
	int err = prepare(&search);

	*next = 0;
	if (err == 0) {
		begin_after(&search);
		err = walk(next, &search, each, ctx);
	}
	for (uint32_t i = 0; i < search.n; i++)
		free(search.wanted[i].values);
	if (search.index != NULL)
		mdb_cursor_close(search.index);
	if (search.entries != NULL)
		mdb_cursor_close(search.entries);
	if (search.txn != NULL)
		mdb_txn_abort(search.txn);
	return err;
}

int
audit_each_subject(struct audit *audit, enum subject_kind kind,
    int (*each)(void *ctx, const uint8_t id[SUBJECT_BYTES]), void *ctx)
{
	uint8_t sort = (uint8_t)(WORD_SUBJECT + kind);
	MDB_val key = { 1, &sort }, value;
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc = mdb_txn_begin(audit->base.env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return audit_error(rc, "begin to read");
	rc = mdb_cursor_open(txn, audit->base.table[AUDIT_WORDS], &cursor);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return audit_error(rc, "read subjects");
	}
	int err = 0;

	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (rc == 0 && err == 0 && key.mv_size == 1 + SUBJECT_BYTES &&
	    *(const uint8_t *)key.mv_data == sort) {
		err = each(ctx, (const uint8_t *)key.mv_data + 1);
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (err != 0)
		return err;
	return rc == MDB_NOTFOUND ? 0 : audit_error(rc, "read subjects");
}
