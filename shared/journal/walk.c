/* A whole journal, batch after batch; see journal.h. */
#include "shared/journal/journal.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/journal/ticket.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One batch while it is looked at. */
struct walking {
	struct journal_walk *walk;
	struct journal_batch batch;
	struct journal_header header;
	uint8_t head[32];
	const uint8_t *key; /* that signed it */
	struct journal_totals totals;
	int64_t time; /* the next batch may not be before */
	uint64_t tick; /* of the last row that has one */
	bool generation; /* a row of it begins one */
	struct arena arena;
	char *error;
	size_t error_size;
};

static int fail(struct walking *w, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail(struct walking *w, int err, const char *format, ...)
{
	va_list args;
	int n = snprintf(w->error, w->error_size, "batch %" PRIu64 ": ",
	    w->walk->next_batch);

	if (n < 0 || (size_t)n >= w->error_size)
		return err;
	va_start(args, format);
	vsnprintf(w->error + n, w->error_size - (size_t)n, format, args);
	va_end(args);
	return err;
}

void
journal_walk_init(struct journal_walk *walk, const uint8_t site_key[32])
{
	memset(walk, 0, sizeof(*walk));
	memcpy(walk->site_key, site_key, 32);
	walk->next_row = 1;
}

void
journal_walk_trust(struct journal_walk *walk, const struct site_keys *keys)
{
	walk->keys = keys;
	/* What was begun behind is signed with the key that was named then. */
	if (walk->next_batch == 0)
		memcpy(walk->site_key, keys->key[0], 32);
}

const uint8_t *
journal_walk_key(const struct journal_walk *walk, const char *token, size_t len)
{
	return walk->keys != NULL ? site_keys_of(walk->keys, token, len)
				  : walk->site_key;
}

int
journal_walk_resume(struct journal_walk *walk, const uint8_t site_key[32],
    const char *token, size_t len, const uint8_t *frontier, size_t hashes)
{
	struct journal_header header;
	size_t used = 0;

	journal_walk_init(walk, site_key);
	int err =
	    journal_header_verify(&header, walk->head, token, len, site_key);

	if (err != 0)
		return err;
	walk->partial = true;
	walk->anchor = header.batch + 1;
	memcpy(walk->anchor_head, walk->head, 32);
	walk->next_batch = header.batch + 1;
	walk->next_row = header.first_row + header.rows;
	walk->totals = header.totals;
	walk->generation = header.generation;
	text_copy(walk->site, sizeof(walk->site), header.site);
	text_copy(walk->tenant, sizeof(walk->tenant), header.tenant);
	for (unsigned int level = 0; level < 64; level++) {
		if ((walk->next_batch >> level & 1) == 0)
			continue;
		if (used == hashes)
			return ERR_CORRUPT;
		memcpy(walk->frontier[level], frontier + used * MERKLE_BYTES,
		    MERKLE_BYTES);
		used++;
	}
	return used == hashes ? 0 : ERR_CORRUPT;
}

size_t
journal_walk_frontier(uint8_t *out, const struct journal_walk *walk)
{
	size_t used = 0;

	for (unsigned int level = 0; level < 64; level++)
		if ((walk->next_batch >> level & 1) != 0)
			memcpy(out + MERKLE_BYTES * used++,
			    walk->frontier[level], MERKLE_BYTES);
	return used;
}

/* --- the header ----------------------------------------------------------- */

static int
check_header(struct walking *w)
{
	const struct journal_walk *walk = w->walk;
	const struct journal_header *header = &w->header;
	struct record_span token = w->batch.header;

	w->key = journal_walk_key(walk, token.data, token.len);
	int err = journal_header_verify(&w->header, w->head, token.data,
	    token.len, w->key);

	if (err != 0)
		return fail(w, err, "header: %s", err_str(err));
	if (walk->keys != NULL && walk->next_batch != 0 &&
	    site_keys_find(walk->keys, w->key) <
		site_keys_find(walk->keys, walk->site_key))
		return fail(w, ERR_CORRUPT,
		    "is signed with a key of the site that was followed by "
		    "another before");
	if (header->batch != walk->next_batch)
		return fail(w, ERR_CORRUPT,
		    "its header is that of batch %" PRIu64, header->batch);
	if (walk->next_batch != 0 &&
	    (strcmp(header->site, walk->site) != 0 ||
		strcmp(header->tenant, walk->tenant) != 0))
		return fail(w, ERR_CORRUPT,
		    "is of site %s and tenant %s, not of %s and %s",
		    header->site, header->tenant, walk->site, walk->tenant);
	if (header->first_row != walk->next_row)
		return fail(w, ERR_CORRUPT,
		    "its rows begin at %" PRIu64 ", not at %" PRIu64,
		    header->first_row, walk->next_row);
	if (header->rows != w->batch.rows.count)
		return fail(w, ERR_CORRUPT,
		    "holds %" PRIu32 " rows, its header says %" PRIu32,
		    w->batch.rows.count, header->rows);
	if (header->time < walk->time)
		return fail(w, ERR_CORRUPT, "its time goes back");
	if (header->generation < walk->generation)
		return fail(w, ERR_CORRUPT, "its generation goes back");
	return 0;
}

static int
check_root(struct walking *w)
{
	const struct journal_row_bytes *rows = w->batch.rows.items;
	uint32_t n = w->batch.rows.count;
	uint8_t root[32];
	uint8_t *leaves = arena_alloc(&w->arena, (size_t)n * MERKLE_BYTES);

	if (leaves == NULL)
		return fail(w, ERR_NOMEM, "%s", err_str(ERR_NOMEM));
	for (uint32_t i = 0; i < n; i++)
		journal_row_leaf(leaves + (size_t)i * MERKLE_BYTES,
		    w->header.tenant, w->header.first_row + i,
		    rows[i].bytes.data, rows[i].bytes.len);
	merkle_root(root, &merkle_blake2b, leaves, n);
	if (memcmp(root, w->header.root, 32) != 0)
		return fail(w, ERR_CORRUPT, "root does not match its rows");
	return 0;
}

/* The frontier is all that is kept of the history: level l is in use when bit l
 * of the number of heads is set. */
static int
frontier_get(uint8_t out[MERKLE_BYTES], void *ctx, unsigned int level,
    uint64_t index)
{
	const struct journal_walk *walk = ctx;

	(void)index; /* only the newest of each level is ever asked for */
	memcpy(out, walk->frontier[level], MERKLE_BYTES);
	return 0;
}

static int
frontier_put(void *ctx, unsigned int level, uint64_t index,
    const uint8_t hash[MERKLE_BYTES])
{
	struct journal_walk *walk = ctx;

	/* A right child is used up at once; its place keeps the left one,
	 * which merkle_append still wants to read. */
	if ((index & 1) == 0)
		memcpy(walk->frontier[level], hash, MERKLE_BYTES);
	return 0;
}

static struct merkle_source
history_of(struct journal_walk *walk)
{
	return (struct merkle_source){ &merkle_blake2b, walk, frontier_get };
}

static int
check_history(struct walking *w)
{
	struct merkle_source history = history_of(w->walk);
	uint8_t root[32];
	int err = merkle_source_root(root, &history, w->walk->next_batch);

	if (err != 0)
		return fail(w, err, "%s", err_str(err));
	if (memcmp(root, w->header.history, 32) != 0)
		return fail(w, ERR_FORK,
		    "history does not match the batches before");
	return 0;
}

/* --- the rows ------------------------------------------------------------- */

static int
check_genesis(struct walking *w, const struct row *row)
{
	const struct row_genesis *genesis = &row->u.genesis;

	if (row->number == 1 && row->kind != ROW_GENESIS)
		return fail(w, ERR_CORRUPT, "does not begin with a genesis");
	if (row->kind != ROW_GENESIS)
		return 0;
	if (row->number != 1)
		return fail(w, ERR_CORRUPT, "row %" PRIu64 ": a second genesis",
		    row->number);
	if (strcmp(genesis->site, w->header.site) != 0 ||
	    strcmp(genesis->tenant, w->header.tenant) != 0 ||
	    memcmp(genesis->site_key, w->key, 32) != 0)
		return fail(w, ERR_CORRUPT,
		    "its genesis is of another site, tenant or key");
	return 0;
}

/* Overage seats have numbers of their own, without a gap. */
static int
check_overage(struct walking *w, const struct row *row, uint64_t license,
    uint64_t first, uint32_t count)
{
	struct journal_walk *walk = w->walk;

	if (count == 0)
		return 0;
	w->totals.overage += count;
	if (license > JOURNAL_WALK_LICENSES) {
		walk->overage_unchecked++;
		return 0;
	}
	uint64_t *last = &walk->overage[license - 1];

	if (first != *last + 1 && !(walk->partial && *last == 0))
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": overage seat %" PRIu64
		    " of license %" PRIu64 " follows number %" PRIu64,
		    row->number, first, license, *last);
	*last = first + count - 1;
	return 0;
}

static int
check_grant(struct walking *w, const struct row *row)
{
	struct row_lease_granted read;
	const struct row_lease_granted *grant = &read;
	int err = row_grant(&read, row, &w->arena);

	if (err != 0)
		return fail(w, err,
		    "row %" PRIu64 ": adopts what is no grant of that lease",
		    row->number);
	w->totals.grants++;
	if (!row_slots_are_sound(grant))
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": its seats do not add up: a %s lease of "
		    "%" PRIu32 ", %" PRIu32 " overage from number %" PRIu64,
		    row->number, seat_type_names[grant->type], grant->count,
		    grant->overage_count, grant->overage);
	return check_overage(w, row, grant->license, grant->overage,
	    grant->overage_count);
}

/* Seats are taken once, with the first ticket of a borrow. */
static int
check_ticket(struct walking *w, const struct row *row)
{
	const struct row_borrowed *borrowed = &row->u.borrowed;
	bool first = row->kind == ROW_BORROWED;
	int err = first ? check_grant(w, row) : 0;

	if (err != 0)
		return err;
	if (!ticket_is_sound(borrowed) ||
	    first != (borrowed->ticket.why == TICKET_TAKEN))
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": its ticket does not add up", row->number);
	return 0;
}

/* A borrow that was given up may bill seats. */
static int
check_borrow_end(struct walking *w, const struct row *row)
{
	const struct row_borrow_ended *end = &row->u.borrow_ended;

	if (!row_borrow_end_is_sound(end))
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": its seats do not add up: a borrow of "
		    "%" PRIu32 ", %" PRIu32 " overage from number %" PRIu64,
		    row->number, end->count, end->overage_count, end->overage);
	w->totals.ends++;
	return check_overage(w, row, end->license, end->overage,
	    end->overage_count);
}

/* A journal that was put back says so, once, in the batch where it goes on. */
static int
check_generation(struct walking *w, const struct row *row)
{
	const struct row_generation *generation = &row->u.generation;

	if (w->generation || generation->generation != w->header.generation)
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": generation %" PRIu32
		    " begins in a batch of generation %" PRIu32,
		    row->number, generation->generation, w->header.generation);
	if (generation->generation !=
	    row_generation_next(w->walk->generation, &generation->lost))
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": generation %" PRIu32
		    " follows generation %" PRIu32 ", with %" PRIu32 " lost",
		    row->number, generation->generation, w->walk->generation,
		    generation->lost.generation);
	w->generation = true;
	w->tick = generation->counter;
	return 0;
}

static int
check_tick(struct walking *w, const struct row *row)
{
	if (row->u.tick.counter <= w->tick)
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": the site's counter was at %" PRIu64
		    ", and is to reach %" PRIu64,
		    row->number, w->tick, row->u.tick.counter);
	w->tick = row->u.tick.counter;
	return 0;
}

/* What is given up lies before, is that very journal, and more each time. */
static int
check_pruned(struct walking *w, const struct row *row)
{
	const struct row_pruned *r = &row->u.pruned;
	struct journal_walk *walk = w->walk;

	if (r->before > w->header.batch || r->before <= walk->pruned ||
	    r->checkpoint < r->before || r->checkpoint >= w->header.batch)
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": it cannot give up batches before "
		    "%" PRIu64,
		    row->number, r->before);
	if (r->before == walk->anchor &&
	    memcmp(r->head, walk->anchor_head, 32) != 0)
		return fail(w, ERR_CORRUPT,
		    "row %" PRIu64 ": it gave up another journal than what "
		    "stands before this one",
		    row->number);
	walk->pruned = r->before;
	return 0;
}

static int
check_row(struct walking *w, const struct row *row)
{
	int err = check_genesis(w, row);

	if (err != 0)
		return err;
	if (row->kind == ROW_LEASE_GRANTED || row->kind == ROW_LEASE_ADOPTED)
		return check_grant(w, row);
	if (row->kind == ROW_BORROWED || row->kind == ROW_BORROW_REISSUED)
		return check_ticket(w, row);
	if (row->kind == ROW_BORROW_ENDED)
		return check_borrow_end(w, row);
	if (row->kind == ROW_GENERATION)
		return check_generation(w, row);
	if (row->kind == ROW_TICK)
		return check_tick(w, row);
	if (row->kind == ROW_PRUNED)
		return check_pruned(w, row);
	if (row->kind == ROW_LEASE_ENDED)
		w->totals.ends++;
	/* The one way back: a mistake of the clock, undone in the open. */
	if (row->kind == ROW_CLOCK && row->u.clock.event == CLOCK_CORRECTED &&
	    row->u.clock.wall < w->time)
		w->time = row->u.clock.wall;
	return 0;
}

static int
check_rows(struct walking *w,
    int (*see)(void *ctx, const struct row *row, int64_t time), void *ctx)
{
	const struct journal_row_bytes *bytes = w->batch.rows.items;
	struct row row;

	w->time = w->header.time;
	w->tick = w->walk->tick;
	for (uint32_t i = 0; i < w->batch.rows.count; i++) {
		uint64_t number = w->header.first_row + i;
		int err = row_read(&row, number, bytes[i].bytes.data,
		    bytes[i].bytes.len, &w->arena);

		if (err != 0)
			return fail(w, err, "row %" PRIu64 ": %s", number,
			    err_str(err));
		err = check_row(w, &row);
		if (err == 0 && see != NULL)
			err = see(ctx, &row, w->header.time);
		if (err != 0)
			return err;
	}
	/* The first of a journal begins it in whatever generation it is. */
	if (w->walk->next_batch != 0 && !w->generation &&
	    w->header.generation != w->walk->generation)
		return fail(w, ERR_CORRUPT,
		    "is of generation %" PRIu32 ", and no row begins it",
		    w->header.generation);
	if (w->walk->next_batch != 0 && !w->generation &&
	    memcmp(w->key, w->walk->site_key, 32) != 0)
		return fail(w, ERR_CORRUPT,
		    "is signed with another key, and begins no generation");
	if (memcmp(&w->totals, &w->header.totals, sizeof(w->totals)) != 0)
		return fail(w, ERR_CORRUPT, "totals do not match the rows");
	return 0;
}

static int
walk_advance(struct walking *w)
{
	struct journal_walk *walk = w->walk;
	struct merkle_source history = history_of(walk);
	uint8_t leaf[32];

	journal_head_leaf(leaf, w->head);
	int err = merkle_append(&history, frontier_put, walk->next_batch, leaf);

	if (err != 0)
		return fail(w, err, "%s", err_str(err));
	text_copy(walk->site, sizeof(walk->site), w->header.site);
	text_copy(walk->tenant, sizeof(walk->tenant), w->header.tenant);
	memcpy(walk->head, w->head, 32);
	memmove(walk->site_key, w->key, 32);
	walk->totals = w->totals;
	walk->time = w->time;
	walk->generation = w->header.generation;
	walk->tick = w->tick;
	walk->next_row += w->header.rows;
	walk->next_batch++;
	return 0;
}

int
journal_walk_batch(struct journal_walk *walk, const uint8_t *blob, size_t len,
    int (*row)(void *ctx, const struct row *row, int64_t time), void *ctx,
    char *error, size_t error_size)
{
	struct walking w = {
		.walk = walk,
		.totals = walk->totals,
		.error = error,
		.error_size = error_size,
	};
	struct record_error why = { "", "" };

	if (error_size != 0)
		error[0] = '\0';
	int err = record_read_msgpack(&w.batch, &journal_batch_record, blob,
	    len, NULL, &w.arena, &why);

	if (err != 0) {
		if (err == ERR_BAD_REQUEST)
			err = ERR_CORRUPT;
		fail(&w, err, "is no batch: %s %s", why.field, why.reason);
		goto out;
	}
	err = check_header(&w);
	if (err == 0)
		err = check_root(&w);
	if (err == 0)
		err = check_history(&w);
	if (err == 0)
		err = check_rows(&w, row, ctx);
	if (err == 0)
		err = walk_advance(&w);
out:
	arena_release(&w.arena);
	return err;
}
