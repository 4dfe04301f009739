#include "appliance/ledger/guard.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that is read at once. */
struct look {
	struct system_tick tick;
	bool known; /* the store has a counter */
	bool witnessed; /* there is a witness, and it can be read */
	uint64_t witness;
	uint64_t rows; /* the highest tick of all journals */
	struct guard_report *report;
};

static int
step(const struct guard *guard, const char *name)
{
	return guard->fault == NULL ? 0 : guard->fault(guard->fault_ctx, name);
}

static void say(struct look *look, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first finding is the one that is told. */
static void
say(struct look *look, const char *format, ...)
{
	struct guard_report *report = look->report;
	va_list args;

	if (report->words[0] == '\0') {
		va_start(args, format);
		vsnprintf(report->words, sizeof report->words, format, args);
		va_end(args);
	}
	report->rolled_back = true;
}

void
guard_free_parts(struct guard *guard)
{
	free(guard->parts);
	guard->parts = NULL;
	guard->n_parts = 0;
}

/* --- looking ---------------------------------------------------------------- */

static int
read_all(struct look *look, const struct guard *guard)
{
	int err = system_tick_load(&look->tick, guard->system);

	if (err != 0 && err != ERR_NOT_FOUND)
		return err;
	look->known = err == 0;
	if (!look->known)
		look->tick = (struct system_tick){ 0 };
	err = witness_read(&look->witness, guard->witness);
	if (err != 0 && err != ERR_NOT_FOUND && err != ERR_CORRUPT)
		return err;
	look->witnessed = err == 0;
	for (size_t i = 0; i < guard->n_parts; i++) {
		struct ledger_view *view;

		err = ledger_view_open(&view, guard->parts[i].ledger);
		if (err != 0)
			return err;
		if (ledger_tick(view) > look->rows)
			look->rows = ledger_tick(view);
		ledger_view_close(view);
	}
	look->report->stored = look->tick.counter;
	look->report->witnessed = look->witnessed ? look->witness : 0;
	return 0;
}

static void
judge_counters(struct look *look, const struct guard *guard)
{
	const char *name = witness_name(guard->witness);
	uint64_t stored = look->tick.counter, witness = look->witness;
	char at[CLOCK_TEXT_SIZE];

	clock_format(at, look->tick.at);
	if (look->known && look->tick.counter > 0 &&
	    look->tick.witness != witness_class_of(guard->witness))
		say(look,
		    "the site's counter was in %s, and is to be in %s from now "
		    "on: whether the site's store is the newest cannot be "
		    "shown",
		    look->tick.witness == WITNESS_TPM ? "the box's TPM"
						      : "a file",
		    name);
	else if (!look->known && (look->witnessed || look->rows > 0))
		say(look,
		    "the site's store has no counter, and %s has: the store "
		    "was put back to a copy from before the site's first start",
		    look->witnessed ? name : "a journal");
	else if (look->tick.making && stored > 0)
		say(look, "%s was lost, and nobody has acknowledged it", name);
	else if (!look->known || look->tick.making)
		return;
	else if (!look->witnessed)
		say(look,
		    "%s is missing or damaged: whether the site's store is the "
		    "newest cannot be shown",
		    name);
	else if (stored < witness)
		say(look,
		    "the site's store was put back to an older copy: it is at "
		    "tick %" PRIu64 ", of %s, and the site was at tick %" PRIu64
		    " already",
		    stored, at, witness);
	else if (stored > witness + 1 || look->rows > witness + 1)
		say(look,
		    "%s was put back to an older copy: it is at tick %" PRIu64
		    ", and the site was at tick %" PRIu64 " already",
		    name, witness, stored > look->rows ? stored : look->rows);
}

static int
holds(const struct guard_part *part, const struct row_mark *mark,
    uint32_t *generation)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, part->ledger);

	if (err != 0)
		return err;
	err = ledger_holds(view, mark->batch, mark->head);
	*generation = ledger_generation(view);
	ledger_view_close(view);
	return err;
}

/* 1: the journal should hold it and does not. */
static int
is_missing(const struct guard_part *part, const struct row_mark *mark)
{
	uint32_t generation = 0;
	int err = holds(part, mark, &generation);

	return err == ERR_ROLLED_BACK ? 1 : err;
}

int
guard_is_proof(const struct guard_part *part, const struct row_mark *mark)
{
	uint32_t generation = 0;
	int err = holds(part, mark, &generation);

	if (err != ERR_ROLLED_BACK)
		return err;
	return mark->generation >= generation ? 1 : 0;
}

static bool
is_further(const struct row_mark *a, const struct row_mark *b)
{
	return a->generation > b->generation ||
	    (a->generation == b->generation && a->batch > b->batch);
}

static int
newest_batch(uint64_t *batch, const struct guard_part *part)
{
	struct ledger_view *view;
	struct row_mark mark;
	int err = ledger_view_open(&view, part->ledger);

	if (err != 0)
		return err;
	err = ledger_mark(&mark, view);
	*batch = mark.batch;
	ledger_view_close(view);
	return err;
}

static int
judge_part(struct look *look, const struct guard *guard,
    const struct guard_part *part)
{
	struct row_mark mark;
	char at[CLOCK_TEXT_SIZE];
	uint64_t batch = 0;
	int err = system_anchor_load(&mark, guard->system, part->tenant);
	int missing = err == 0 ? is_missing(part, &mark) : 0;

	if (missing == 0 && (err == 0 || err == ERR_NOT_FOUND)) {
		/* Where the right store is in place again, it proves nothing
		 * any more. */
		err = system_evidence_load(&mark, guard->system, part->tenant);
		missing = err == 0 ? guard_is_proof(part, &mark) : 0;
	}
	if (err != 0)
		return err == ERR_NOT_FOUND ? 0 : err;
	if (missing <= 0)
		return missing;
	err = newest_batch(&batch, part);
	if (err != 0)
		return err;
	clock_format(at, mark.time);
	say(look,
	    "the journal of tenant %s was put back to an older copy: it ends "
	    "with batch %" PRIu64 ", and batch %" PRIu64 " was written %s%s",
	    part->tenant, batch, mark.batch, at,
	    mark.batch <= batch ? ", another one than it holds" : "");
	return 0;
}

/* --- the start -------------------------------------------------------------- */

static int
save(const struct guard *guard, const struct system_tick *tick,
    const struct system_anchor *anchors,
    const struct system_generation *settled)
{
	return system_tick_save(guard->system, tick, anchors,
	    anchors != NULL ? guard->n_parts : 0, settled);
}

/* The store says so first: a crash before the end is known by it. */
static int
make_witness(uint64_t *counter, const struct guard *guard, uint64_t stored,
    uint64_t at_least, int64_t now)
{
	const struct system_tick tick = {
		.witness = witness_class_of(guard->witness),
		.counter = stored,
		.making = true,
		.base = witness_base(guard->witness),
		.at = now,
	};
	int err = step(guard, "making");

	if (err == 0)
		err = save(guard, &tick, NULL, NULL);
	if (err == 0)
		err = step(guard, "make");
	return err == 0 ? witness_make(counter, guard->witness, at_least) : err;
}

/* The journals' places, as they are now. */
static int
read_anchors(struct system_anchor **out, const struct guard *guard)
{
	struct system_anchor *anchors =
	    calloc(guard->n_parts + 1, sizeof *anchors);
	int err = anchors == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; i < guard->n_parts && err == 0; i++) {
		struct ledger_view *view;

		err = ledger_view_open(&view, guard->parts[i].ledger);
		if (err != 0)
			break;
		anchors[i].tenant = guard->parts[i].tenant;
		err = ledger_mark(&anchors[i].mark, view);
		ledger_view_close(view);
	}
	if (err != 0) {
		free(anchors);
		return err;
	}
	*out = anchors;
	return 0;
}

static int
save_tick(const struct guard *guard, uint64_t counter,
    const struct system_generation *settled, int64_t now)
{
	struct system_tick tick = {
		.witness = witness_class_of(guard->witness),
		.counter = counter,
		.base = witness_base(guard->witness),
		.at = now,
	};
	struct identity_clock clock;
	struct system_anchor *anchors;
	int err = witness_clock(&clock, guard->witness);

	if (err == 0)
		err = read_anchors(&anchors, guard);
	if (err != 0)
		return err;
	tick.clock_ms = clock.clock_ms;
	tick.resets = clock.resets;
	err = step(guard, "store");
	if (err == 0)
		err = save(guard, &tick, anchors, settled);
	free(anchors);
	return err;
}

static int
increment(const struct guard *guard, uint64_t to)
{
	uint64_t counter = 0;
	int err = step(guard, "increment");

	if (err == 0)
		err = witness_increment(&counter, guard->witness);
	if (err == 0)
		err = step(guard, "incremented");
	if (err != 0 || counter == to)
		return err;
	log_error("guard",
	    "%s reached %" PRIu64 " where %" PRIu64 " was expected",
	    witness_name(guard->witness), counter, to);
	return ERR_ROLLED_BACK;
}

/* Nothing was ever granted. */
static int
begin_first(struct look *look, const struct guard *guard, int64_t now)
{
	uint64_t counter = look->witness;
	int err = 0;

	if (!look->witnessed)
		err = make_witness(&counter, guard, 0, 1, now);
	if (err == 0)
		err = save_tick(guard, counter, NULL, now);
	look->report->first = true;
	look->report->counter = counter;
	return err;
}

static int
settle_start(struct look *look, const struct guard *guard, int64_t now)
{
	struct guard_report *report = look->report;

	report->counter = look->witness;
	if (report->rolled_back)
		return 0;
	if (!look->known || look->tick.making)
		return begin_first(look, guard, now);
	if (look->tick.counter == look->witness)
		return 0;
	report->interrupted = true;
	report->counter = look->tick.counter;
	int err = increment(guard, report->counter);

	/* A full disk has no room for a file, and the site can be read. What is
	 * tried next is the same tick. */
	if (err == ERR_FULL) {
		report->interrupted = false;
		report->counter = look->witness;
		err = 0;
	}
	return err;
}

int
guard_begin(struct guard_report *report, const struct guard *guard, int64_t now)
{
	struct look look = { .report = report };

	*report = (struct guard_report){ 0 };
	int err = read_all(&look, guard);

	if (err != 0)
		return err;
	judge_counters(&look, guard);
	for (size_t i = 0; i < guard->n_parts && err == 0; i++)
		err = judge_part(&look, guard, &guard->parts[i]);
	return err == 0 ? settle_start(&look, guard, now) : err;
}

/* --- a tenant that was closed --------------------------------------------- */

/* The note was taken away before anything was written after it. */
static int
judge_quiet(struct look *look, const struct guard *guard,
    const struct guard_part *part, const struct system_quiet *quiet, bool *keep)
{
	struct ledger_view *view;
	struct row_mark now;
	int err = ledger_view_open(&view, part->ledger);

	if (err != 0)
		return err;
	err = ledger_mark(&now, view);
	if (err == 0)
		err = ledger_holds(view, quiet->mark.batch, quiet->mark.head);
	ledger_view_close(view);
	if (err == ERR_ROLLED_BACK) {
		/* So that the next start knows without the note. */
		err = system_evidence_save(guard->system, part->tenant,
		    &quiet->mark);
		return err == 0 ? judge_part(look, guard, part) : err;
	}
	/* The note stays until somebody acknowledges: it is what shows it. */
	*keep = err == 0 && now.batch > quiet->mark.batch;
	if (*keep)
		say(look,
		    "the site's store was put back to an older copy: it says "
		    "that the journal of tenant %s ends with batch %" PRIu64
		    ", and it ends with %" PRIu64,
		    part->tenant, quiet->mark.batch, now.batch);
	return err;
}

int
guard_admit(struct guard_report *report, struct system_quiet *quiet,
    bool *was_quiet, const struct guard *guard, uint64_t counter)
{
	const struct guard_part *part = &guard->parts[0];
	struct look look = { .report = report };
	struct ledger_view *view;
	bool keep = false;

	*report = (struct guard_report){ .counter = counter };
	int err = system_quiet_load(quiet, guard->system, part->tenant);

	*was_quiet = err == 0;
	if (err == ERR_NOT_FOUND)
		err = 0;
	if (err == 0)
		err = ledger_view_open(&view, part->ledger);
	if (err != 0)
		return err;
	look.rows = ledger_tick(view);
	ledger_view_close(view);
	if (look.rows > counter + 1)
		say(&look,
		    "%s was put back to an older copy: it is at tick %" PRIu64
		    ", and tenant %s was at tick %" PRIu64 " already",
		    witness_name(guard->witness), counter, part->tenant,
		    look.rows);
	err = judge_part(&look, guard, part);
	if (err == 0 && *was_quiet && !report->rolled_back)
		err = judge_quiet(&look, guard, part, quiet, &keep);
	if (err == 0)
		err = step(guard, "admit");
	/* From here on its journal may be written to. */
	if (err == 0 && *was_quiet && !keep)
		err = system_quiet_clear(guard->system, part->tenant);
	return err == 0 ? step(guard, "admitted") : err;
}

int
guard_dismiss(const struct guard *guard, uint64_t counter)
{
	const struct guard_part *part = &guard->parts[0];
	struct system_quiet quiet = { .tick = counter };
	struct ledger_view *view;
	int err = ledger_view_open(&view, part->ledger);

	if (err != 0)
		return err;
	err = ledger_mark(&quiet.mark, view);
	quiet.time = ledger_time(view);
	ledger_view_close(view);
	if (err == 0)
		err = ledger_stop_clean(part->ledger);
	if (err == 0)
		err = step(guard, "dismiss");
	if (err == 0)
		err = system_quiet_save(guard->system, part->tenant, &quiet);
	return err == 0 ? step(guard, "dismissed") : err;
}

/* --- another witness ------------------------------------------------------ */

int
guard_move(struct guard_report *report, struct guard *guard,
    struct witness *witness, int64_t now)
{
	struct witness *before = guard->witness;
	uint64_t counter = 0;
	int err = step(guard, "move");

	if (err == 0)
		err = witness_make(&counter, witness, report->counter);
	if (err != 0)
		return err;
	/* One write: before it the old witness counts, after it the new. */
	guard->witness = witness;
	err = save_tick(guard, counter, NULL, now);
	if (err != 0) {
		guard->witness = before;
		return err;
	}
	report->counter = counter;
	err = step(guard, "moved");
	return err == 0 ? witness_retire(before) : err;
}

/* --- ticks ------------------------------------------------------------------ */

int
guard_tick(uint64_t *counter, const struct guard *guard, int64_t now)
{
	int err = save_tick(guard, *counter + 1, NULL, now);

	if (err == 0)
		err = increment(guard, *counter + 1);
	if (err == 0)
		++*counter;
	return err;
}

/* --- acknowledgement -------------------------------------------------------- */

int
guard_prepare(struct guard_report *report, const struct guard *guard,
    int64_t now)
{
	struct guard_report unused = { 0 };
	struct look look = { .report = &unused };
	int err = read_all(&look, guard);

	if (err != 0)
		return err;
	uint64_t above =
	    look.rows > look.tick.counter ? look.rows : look.tick.counter;

	report->counter = look.witness;
	if (look.witnessed && look.witness + 1 >= above)
		return 0;
	/* Lost, or put back itself: to where neither store nor journals could
	 * take it for theirs. */

	return make_witness(&report->counter, guard, above > 0 ? above : 1,
	    above + 2, now);
}

int
guard_lost(struct row_mark *lost, const struct guard *guard,
    const struct guard_part *part)
{
	struct row_mark mark;
	int err = system_anchor_load(&mark, guard->system, part->tenant);
	int missing = err == 0 ? is_missing(part, &mark) : 0;

	*lost = (struct row_mark){ 0 };
	if (missing < 0 || (err != 0 && err != ERR_NOT_FOUND))
		return missing < 0 ? missing : err;
	if (missing > 0)
		*lost = mark;
	err = system_evidence_load(&mark, guard->system, part->tenant);
	if (err != 0)
		return err == ERR_NOT_FOUND ? 0 : err;
	missing = guard_is_proof(part, &mark);
	if (missing > 0 && is_further(&mark, lost))
		*lost = mark;
	return missing < 0 ? missing : 0;
}

int
guard_settle(struct guard_report *report, const struct guard *guard,
    const struct system_generation *settled, int64_t now)
{
	uint64_t counter = report->counter + 1;
	struct system_generation generation = *settled;

	generation.counter = counter;
	int err = save_tick(guard, counter, &generation, now);

	if (err == 0)
		err = increment(guard, counter);
	if (err == 0)
		*report = (struct guard_report){ .counter = counter };
	return err;
}

int
guard_evidence(struct guard_report *report, const struct guard *guard,
    const struct guard_part *part, const struct row_mark *mark)
{
	struct row_mark before;
	int proof = guard_is_proof(part, mark);

	if (proof <= 0)
		return proof;
	int err = system_evidence_load(&before, guard->system, part->tenant);
	/* What is kept may have been acknowledged since. */
	int keep = err == 0 ? guard_is_proof(part, &before) : 0;

	if (keep < 0)
		return keep;
	if (err == ERR_NOT_FOUND ||
	    (err == 0 && (keep == 0 || is_further(mark, &before))))
		err = system_evidence_save(guard->system, part->tenant, mark);
	if (err != 0)
		return err;
	struct look look = { .report = report };

	err = judge_part(&look, guard, part);
	return err == 0 ? 1 : err;
}
