/* The audit projection: questions against a plain model, rows and what they
 * teach, erasure, retention, crashes. */
#include "appliance/audit/audit.h"
#include "appliance/ledger/acts.h"
#include "appliance/ledger/denials.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW INT64_C(1780000000000)
#define MINUTE INT64_C(60000)
#define MANY 3000

static char folder[64];
static struct audit *audit;
static struct audit_txn *txn;
static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void
set_up(void)
{
	snprintf(folder, sizeof(folder), "/tmp/audit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(audit_open(&audit, folder, 1 << 28, true), 0);
	seed = 7;
}

static void
tear_down(void)
{
	char name[128];

	audit_close(audit);
	snprintf(name, sizeof(name), "%s/data.mdb", folder);
	unlink(name);
	snprintf(name, sizeof(name), "%s/lock.mdb", folder);
	unlink(name);
	rmdir(folder);
}

static void
begin(void)
{
	ck_assert_int_eq(audit_begin(&txn, audit), 0);
}

static void
commit(void)
{
	ck_assert_int_eq(audit_commit(txn), 0);
}

static void
reopen(void)
{
	audit_close(audit);
	ck_assert_int_eq(audit_open(&audit, folder, 1 << 28, true), 0);
}

/* An id that is told by its first byte. */
static void
set_id(uint8_t id[SUBJECT_BYTES], uint64_t which)
{
	memset(id, 0, SUBJECT_BYTES);
	id[0] = (uint8_t)which;
	id[1] = which == 0 ? 0 : 1;
}

/* --- what comes back --------------------------------------------------------- */

struct found {
	uint64_t rows[MANY];
	size_t n;
	struct audit_entry last;
};

static int
collect(void *ctx, const struct audit_entry *entry)
{
	struct found *found = ctx;

	ck_assert_uint_lt(found->n, MANY);
	found->rows[found->n++] = entry->row;
	found->last = *entry;
	return 0;
}

/* All pages of it. */
static void
ask(struct found *found, struct audit_question question)
{
	uint64_t next = 0;

	found->n = 0;
	do {
		question.after = next;
		ck_assert_int_eq(audit_search(&next, audit, &question, collect,
				     found),
		    0);
	} while (next != 0);
}

static struct audit_question
any(void)
{
	return (struct audit_question){ .from = INT64_MIN,
		.to = INT64_MAX,
		.limit = 100 };
}

static void
ask_number(struct found *found, enum audit_field field, uint64_t number)
{
	struct audit_match match = { .field = field,
		.numbers = &number,
		.n = 1 };
	struct audit_question question = any();

	question.matches = &match;
	question.n_matches = 1;
	ask(found, question);
}

static void
ask_bytes(struct found *found, enum audit_field field, const void *data,
    uint32_t len)
{
	struct record_span span = { data, len };
	struct audit_match match = { .field = field, .values = &span, .n = 1 };
	struct audit_question question = any();

	question.matches = &match;
	question.n_matches = 1;
	ask(found, question);
}

static void
ask_text(struct found *found, enum audit_field field, const char *text)
{
	ask_bytes(found, field, text, (uint32_t)strlen(text));
}

/* --- a model ------------------------------------------------------------------ */

static struct audit_entry model[MANY];

static void
make_model(void)
{
	static const char *const results[] = { "granted", "no_seats", "done" };

	for (uint64_t i = 0; i < MANY; i++) {
		struct audit_entry *entry = &model[i];

		*entry = (struct audit_entry){ .row = 3 * i + 1,
			.time = NOW + (int64_t)i * MINUTE,
			.by = { ACTOR_DEVICE, 1 + draw(20) },
			.count = 1 };
		entry->device = entry->by.id;
		snprintf(entry->what, sizeof(entry->what), "lease.granted");
		snprintf(entry->result, sizeof(entry->result), "%s",
		    results[draw(3)]);
		if (draw(4) > 0)
			snprintf(entry->product, sizeof(entry->product),
			    "tool-%d", (int)draw(5));
		set_id(entry->user, draw(40));
		set_id(entry->host, draw(10));
		set_id(entry->address, draw(200));
	}
}

static void
put_model(void)
{
	for (size_t i = 0; i < MANY; i++) {
		if (i % 500 == 0)
			begin();
		ck_assert_int_eq(audit_put(txn, &model[i]), 0);
		if (i % 500 == 499)
			commit();
	}
}

static bool
is_one_of(const struct audit_match *match, const void *data, size_t len)
{
	for (uint32_t i = 0; i < match->n; i++)
		if (match->values[i].len == len &&
		    memcmp(match->values[i].data, data, len) == 0)
			return true;
	return false;
}

static bool
model_fits(const struct audit_entry *entry, const struct audit_match *match)
{
	if (match->field == AUDIT_DEVICE)
		return entry->device == match->numbers[0];
	if (match->field == AUDIT_USER)
		return entry->user[0] != 0 &&
		    is_one_of(match, entry->user, SUBJECT_BYTES);
	if (match->field == AUDIT_ADDRESS)
		return entry->address[0] != 0 &&
		    is_one_of(match, entry->address, SUBJECT_BYTES);
	if (match->field == AUDIT_PRODUCT)
		return is_one_of(match, entry->product, strlen(entry->product));
	ck_assert_int_eq(match->field, AUDIT_RESULT);
	return is_one_of(match, entry->result, strlen(entry->result));
}

static void
compare(const struct audit_question *question, size_t from)
{
	static struct found found;
	size_t n = 0;

	ask(&found, *question);
	for (size_t i = from; i < MANY; i++) {
		size_t at = question->oldest_first ? i : MANY - 1 - i + from;
		const struct audit_entry *entry = &model[at];
		bool fit =
		    entry->time >= question->from && entry->time < question->to;

		for (uint32_t j = 0; fit && j < question->n_matches; j++)
			fit = model_fits(entry, &question->matches[j]);
		if (!fit)
			continue;
		ck_assert_uint_lt(n, found.n);
		ck_assert_uint_eq(found.rows[n], entry->row);
		n++;
	}
	ck_assert_uint_eq(n, found.n);
}

/* Any question, of one to four fields. */
static void
ask_anything(size_t from)
{
	static uint8_t ids[300][SUBJECT_BYTES];
	struct record_span user, many[300], product, result;
	struct audit_match matches[5];
	struct audit_question question = any();
	uint64_t device = 1 + draw(22);
	char name[16];
	uint32_t n = 0;

	if (draw(2) == 0)
		matches[n++] =
		    (struct audit_match){ AUDIT_DEVICE, &device, NULL, 1 };
	if (draw(2) == 0) {
		set_id(ids[0], 1 + draw(42));
		user = (struct record_span){ ids[0], SUBJECT_BYTES };
		matches[n++] =
		    (struct audit_match){ AUDIT_USER, NULL, &user, 1 };
	}
	if (draw(2) == 0) {
		/* Sometimes more than are walked by their lists. */
		uint32_t k = (uint32_t)draw(150);

		for (uint32_t i = 0; i < k; i++) {
			set_id(ids[1 + i], 1 + draw(200));
			many[i] =
			    (struct record_span){ ids[1 + i], SUBJECT_BYTES };
		}
		matches[n++] =
		    (struct audit_match){ AUDIT_ADDRESS, NULL, many, k };
	}
	if (draw(2) == 0) {
		snprintf(name, sizeof(name), "tool-%d", (int)draw(6));
		product = (struct record_span){ name, (uint32_t)strlen(name) };
		matches[n++] =
		    (struct audit_match){ AUDIT_PRODUCT, NULL, &product, 1 };
	}
	if (draw(3) == 0) {
		result = (struct record_span){ "no_seats", 8 };
		matches[n++] =
		    (struct audit_match){ AUDIT_RESULT, NULL, &result, 1 };
	}
	if (draw(3) == 0) {
		question.from = NOW + (int64_t)draw(MANY) * MINUTE;
		question.to = question.from + (int64_t)draw(MANY) * MINUTE;
	}
	question.matches = matches;
	question.n_matches = n;
	question.oldest_first = draw(2) == 0;
	question.limit = 1 + (uint32_t)draw(200);
	compare(&question, from);
}

START_TEST(any_question_finds_what_a_plain_look_at_all_entries_finds)
{
	make_model();
	put_model();
	for (int i = 0; i < 400; i++)
		ask_anything(0);
	reopen();
	for (int i = 0; i < 50; i++)
		ask_anything(0);
}
END_TEST

START_TEST(old_entries_are_given_up_with_their_index)
{
	struct audit_place place;
	uint64_t given_up;

	make_model();
	put_model();
	begin();
	ck_assert_int_eq(audit_prune(&given_up, txn, NOW + 1000 * MINUTE, 600),
	    0);
	ck_assert_uint_eq(given_up, 600);
	commit();
	begin();
	ck_assert_int_eq(audit_prune(&given_up, txn, NOW + 1000 * MINUTE, 600),
	    0);
	ck_assert_uint_eq(given_up, 400);
	commit();
	ck_assert_int_eq(audit_place(&place, audit), 0);
	ck_assert_uint_eq(place.entries, MANY - 1000);
	ck_assert_uint_eq(place.pruned, model[999].row);
	for (int i = 0; i < 200; i++)
		ask_anything(1000);
}
END_TEST

START_TEST(what_was_not_committed_is_not_there_and_comes_again)
{
	static const uint8_t head[32] = { 9 };
	static struct found found;
	struct audit_place place;

	make_model();
	begin();
	ck_assert_int_eq(audit_put(txn, &model[0]), 0);
	audit_batch(txn, 4, head, 1);
	commit();
	begin();
	ck_assert_int_eq(audit_put(txn, &model[1]), 0);
	audit_batch(txn, 5, head, 4);
	audit_abort(txn);
	reopen();
	ck_assert_int_eq(audit_place(&place, audit), 0);
	ck_assert_uint_eq(place.batch, 5);
	ck_assert_uint_eq(place.row, 1);
	ck_assert_uint_eq(place.entries, 1);
	ck_assert_mem_eq(place.head, head, 32);
	begin();
	ck_assert_int_eq(audit_put(txn, &model[1]), 0);
	commit();
	ask(&found, any());
	ck_assert_uint_eq(found.n, 2);
}
END_TEST

START_TEST(all_is_thrown_away_and_made_again)
{
	static struct found found;
	struct audit_place place;

	make_model();
	put_model();
	ck_assert_int_eq(audit_clear(audit), 0);
	ck_assert_int_eq(audit_place(&place, audit), 0);
	ck_assert_uint_eq(place.batch, 0);
	ck_assert_uint_eq(place.entries, 0);
	ask(&found, any());
	ck_assert_uint_eq(found.n, 0);
	put_model();
	for (int i = 0; i < 50; i++)
		ask_anything(0);
}
END_TEST

START_TEST(damaged_file_is_made_anew)
{
	char name[128];
	FILE *file;
	struct audit_place place;

	make_model();
	put_model();
	audit_close(audit);
	snprintf(name, sizeof(name), "%s/data.mdb", folder);
	file = fopen(name, "r+");
	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 8192; i++)
		fputc('x', file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(audit_open(&audit, folder, 1 << 28, true), 0);
	ck_assert_int_eq(audit_place(&place, audit), 0);
	ck_assert_uint_eq(place.entries, 0);
}
END_TEST

/* --- rows ---------------------------------------------------------------------- */

static uint64_t next_row;

static void
tell(struct row *row)
{
	row->number = ++next_row;
	ck_assert_int_eq(audit_row(txn, row, NOW + (int64_t)row->number), 0);
}

static void
tell_key(uint64_t device)
{
	struct row row = { .kind = ROW_KEY_CREATED };

	row.u.key_created.device = device;
	row.u.key_created.by = (struct row_actor){ ACTOR_ADMIN, 3 };
	tell(&row);
}

static void
tell_grant(uint64_t lease, uint64_t device, uint64_t user)
{
	struct row row = { .kind = ROW_LEASE_GRANTED };
	struct row_lease_granted *grant = &row.u.lease_granted;

	grant->lease = lease;
	grant->license = 2;
	grant->device = device;
	grant->count = 5;
	snprintf(grant->product, sizeof(grant->product), "davinci");
	set_id(grant->user, user);
	set_id(grant->host, 50 + user);
	memset(grant->application, 0xab, 32);
	tell(&row);
}

static void
tell_end(uint64_t lease, uint32_t reason)
{
	struct row row = { .kind = ROW_LEASE_ENDED };

	row.u.lease_ended.lease = lease;
	row.u.lease_ended.license = 2;
	row.u.lease_ended.reason = reason;
	row.u.lease_ended.by = (struct row_actor){ ACTOR_USER, 4 };
	tell(&row);
}

static void
start_rows(void)
{
	next_row = 0;
	begin();
}

START_TEST(grant_is_found_by_everything_it_says)
{
	static struct found found;
	uint8_t id[SUBJECT_BYTES], print[32];

	start_rows();
	tell_grant(1, 7, 1);
	tell_grant(2, 8, 2);
	commit();
	ask_number(&found, AUDIT_DEVICE, 7);
	ck_assert_uint_eq(found.n, 1);
	ck_assert_str_eq(found.last.what, "lease.granted");
	ck_assert_str_eq(found.last.result, "granted");
	ck_assert_str_eq(found.last.product, "davinci");
	ck_assert_uint_eq(found.last.lease, 1);
	ck_assert_uint_eq(found.last.license, 2);
	ck_assert_uint_eq(found.last.count, 1); /* one grant, not five */
	ck_assert_uint_eq(found.last.by.kind, ACTOR_DEVICE);
	ck_assert_uint_eq(found.last.by.id, 7);
	ck_assert(!found.last.of_key);
	ask_number(&found, AUDIT_ACTOR, audit_actor(ACTOR_DEVICE, 8));
	ck_assert_uint_eq(found.n, 1);
	set_id(id, 2);
	ask_bytes(&found, AUDIT_USER, id, sizeof(id));
	ck_assert_uint_eq(found.n, 1);
	set_id(id, 51);
	ask_bytes(&found, AUDIT_HOST, id, sizeof(id));
	ck_assert_uint_eq(found.n, 1);
	memset(print, 0xab, sizeof(print));
	ask_bytes(&found, AUDIT_PRINT, print, sizeof(print));
	ck_assert_uint_eq(found.n, 2);
	ask_text(&found, AUDIT_PRODUCT, "davinci");
	ck_assert_uint_eq(found.n, 2);
	ask_text(&found, AUDIT_PRODUCT, "davinc");
	ck_assert_uint_eq(found.n, 0);
	ask_text(&found, AUDIT_WHAT, "lease.granted");
	ck_assert_uint_eq(found.n, 2);
}
END_TEST

START_TEST(end_of_a_lease_says_whose_it_was)
{
	static struct found found;
	uint8_t id[SUBJECT_BYTES];

	start_rows();
	tell_grant(1, 7, 1);
	tell_end(1, LEASE_RELEASED);
	commit();
	set_id(id, 1);
	ask_bytes(&found, AUDIT_USER, id, sizeof(id));
	ck_assert_uint_eq(found.n, 2);
	ask_text(&found, AUDIT_RESULT, "released");
	ck_assert_uint_eq(found.n, 1);
	ck_assert_uint_eq(found.last.device, 7);
	ck_assert_str_eq(found.last.product, "davinci");
	ck_assert_uint_eq(found.last.by.kind, ACTOR_USER);
	ck_assert_uint_eq(found.last.by.id, 4);
}
END_TEST

START_TEST(seat_of_a_key_names_the_key)
{
	static struct found found;

	start_rows();
	tell_key(9);
	tell_grant(1, 9, 1);
	commit();
	ask_text(&found, AUDIT_WHAT, "lease.granted");
	ck_assert_uint_eq(found.n, 1);
	ck_assert(found.last.of_key);
	ck_assert_uint_eq(found.last.device, 9);
}
END_TEST

START_TEST(refusals_keep_their_code_and_their_count)
{
	static struct found found;
	struct row row = { .kind = ROW_KEY_DENIED };
	struct row_key_denied *denied = &row.u.key_denied;
	uint8_t id[SUBJECT_BYTES];

	denied->denied.device = 9;
	denied->denied.count = 250;
	snprintf(denied->denied.code, 32, "ip_not_allowed");
	set_id(denied->address, 77);
	start_rows();
	tell_key(9);
	tell(&row);
	commit();
	set_id(id, 77);
	ask_bytes(&found, AUDIT_ADDRESS, id, sizeof(id));
	ck_assert_uint_eq(found.n, 1);
	ck_assert_str_eq(found.last.result, "ip_not_allowed");
	ck_assert_uint_eq(found.last.count, 250);
	ck_assert(found.last.of_key);
}
END_TEST

START_TEST(pulse_and_names_are_no_entries)
{
	static struct found found;
	struct row tick = { .kind = ROW_TICK };
	struct row name = { .kind = ROW_SUBJECT_ADDED };

	start_rows();
	tell(&tick);
	tell(&name);
	commit();
	ask(&found, any());
	ck_assert_uint_eq(found.n, 0);
}
END_TEST

static int
count_subjects(void *ctx, const uint8_t id[SUBJECT_BYTES])
{
	(void)id;
	(*(int *)ctx)++;
	return 0;
}

static int
users_known(void)
{
	int n = 0;

	ck_assert_int_eq(audit_each_subject(audit, SUBJECT_USER, count_subjects,
			     &n),
	    0);
	return n;
}

START_TEST(erased_person_leaves_the_index_and_shows_as_erased)
{
	static struct found found;
	struct row_subject gone[2];
	struct row row = { .kind = ROW_ERASURE };
	uint8_t id[SUBJECT_BYTES];

	start_rows();
	tell_grant(1, 7, 1);
	tell_grant(2, 7, 2);
	commit();
	ck_assert_int_eq(users_known(), 2);
	set_id(gone[0].subject, 1);
	set_id(gone[1].subject, 51); /* and the host */
	row.u.erasure.subjects = (struct record_list){ gone, 2 };
	row.u.erasure.erasure = 1;
	begin();
	tell(&row);
	commit();
	ck_assert_int_eq(users_known(), 1);
	set_id(id, 1);
	ask_bytes(&found, AUDIT_USER, id, sizeof(id));
	ck_assert_uint_eq(found.n, 0);
	set_id(id, 2);
	ask_bytes(&found, AUDIT_USER, id, sizeof(id));
	ck_assert_uint_eq(found.n, 1);
	ck_assert(!found.last.user_erased);
	struct audit_question question = any();

	question.oldest_first = true;
	question.limit = 1;
	found.n = 0;
	ck_assert_int_eq(audit_search(&(uint64_t){ 0 }, audit, &question,
			     collect, &found),
	    0);
	ck_assert_uint_eq(found.last.lease, 1);
	ck_assert(found.last.user_erased);
	ck_assert(found.last.host_erased);
	ck_assert(!found.last.address_erased);
}
END_TEST

START_TEST(clock_that_was_set_back_hides_nothing)
{
	static struct found found;
	struct audit_question question = any();

	make_model();
	begin();
	model[0].time = NOW + 100 * 60 * MINUTE;
	model[1].time = NOW;
	model[2].time = NOW + 50 * 60 * MINUTE;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(audit_put(txn, &model[i]), 0);
	commit();
	question.from = NOW + 50 * 60 * MINUTE;
	question.to = question.from + 1;
	ask(&found, question);
	ck_assert_uint_eq(found.n, 1);
	ck_assert_uint_eq(found.rows[0], model[2].row);
	question.from = NOW;
	question.to = NOW + 51 * 60 * MINUTE;
	ask(&found, question);
	ck_assert_uint_eq(found.n, 2);
}
END_TEST

START_TEST(device_speaks_from_where_it_was_seen_last)
{
	static struct found found;
	struct row row = { .kind = ROW_ACT };
	uint8_t id[SUBJECT_BYTES];

	snprintf(row.u.act.operation, sizeof(row.u.act.operation),
	    "device.seen");
	snprintf(row.u.act.code, sizeof(row.u.act.code), "done");
	row.u.act.by = (struct row_actor){ ACTOR_DEVICE, 7 };
	row.u.act.device = 7;
	row.u.act.count = 1;
	set_id(row.u.act.address, 90);
	start_rows();
	tell(&row);
	tell_grant(1, 7, 1);
	set_id(row.u.act.address, 91);
	tell(&row);
	tell_grant(2, 7, 1);
	tell_grant(3, 8, 1);
	commit();
	for (uint64_t i = 0; i < 2; i++) {
		set_id(id, 90 + i);
		ask_bytes(&found, AUDIT_ADDRESS, id, sizeof(id));
		ck_assert_uint_eq(found.n, 2);
		ck_assert_uint_eq(found.rows[0], 2 * i + 2);
	}
	ask_text(&found, AUDIT_WHAT, "device.seen");
	ck_assert_uint_eq(found.n, 2);
	ck_assert_str_eq(found.last.result, "done");
}
END_TEST

/* --- operations ------------------------------------------------------------------ */

/* Those whose success is a row by itself, or is nothing that stays: a renewed
 * lease is as it was, and who leaves the queue had nothing. */
static bool
says_itself(uint32_t op)
{
	static const uint32_t known[] = { OP_DEVICE_ENROLL, OP_DEVICE_ACTIVATE,
		OP_LEASE_CHECKOUT, OP_LEASE_RETURN, OP_BORROW_TAKE,
		OP_BORROW_EXTEND, OP_BORROW_PREPARE, OP_BORROW_RETURN,
		OP_SEAT_CHECKOUT, OP_SEAT_RENEW, OP_SEAT_CANCEL, OP_SEAT_RETURN,
		OP_USAGE_MINE, OP_USAGE_TRACK,
		/* a piece: that it began is told, and what it was for */
		OP_UPDATE_PUT };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == op)
			return true;
	return false;
}

START_TEST(every_operation_that_changes_something_leaves_an_entry)
{
	int written = 0;

	for (uint32_t id = 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);
		bool writes = op->kind == OPERATION_COMMAND ||
		    (op->path != NULL && strcmp(op->method, "GET") != 0);

		if (!writes)
			continue;
		written++;
		ck_assert_msg(acts_want_done(op) || says_itself(id),
		    "%s leaves nothing when it is done", op->name);
		/* No seat: its denial says product and license. A renewal is
		 * refused lease by lease, in its answer. */
		ck_assert_msg(acts_want_refusal(op, ERR_FORBIDDEN) ||
			(denials_want(ERR_FORBIDDEN) &&
			    (id == OP_LEASE_CHECKOUT || id == OP_BORROW_TAKE ||
				id == OP_SEAT_CHECKOUT)) ||
			(op->kind == OPERATION_SOFT &&
			    op->scope == SCOPE_CHECKOUT),
		    "%s leaves nothing when it is refused", op->name);
		ck_assert(!acts_want_refusal(op, ERR_UNAVAILABLE));
		ck_assert(!acts_want_refusal(op, ERR_FULL));
	}
	ck_assert_int_gt(written, 50);
}
END_TEST

START_TEST(looks_at_people_leave_an_entry_and_other_looks_none)
{
	ck_assert(acts_want_done(operation_get(OP_PERSON_EXPORT)));
	ck_assert(acts_want_done(operation_get(OP_PERSON_FIND)));
	ck_assert(acts_want_done(operation_get(OP_SUBJECT_SHOW)));
	ck_assert(acts_want_done(operation_get(OP_EXPORT_BEGIN)));
	ck_assert(acts_want_done(operation_get(OP_AUDIT_SEARCH)));
	ck_assert(!acts_want_done(operation_get(OP_LICENSE_LIST)));
	ck_assert(!acts_want_done(operation_get(OP_METRICS)));
	ck_assert(!acts_want_done(operation_get(OP_HEALTHZ)));
}
END_TEST

START_TEST(act_names_what_its_path_names)
{
	struct row_act act = { .count = 0 };
	struct device_number device = { .device = 9 };
	struct key_revoke key = { .key_id = "key-17" };
	struct tenant_delete tenant = { .force = true };

	acts_fill(&act, operation_get(OP_DEVICE_APPROVE), &device);
	ck_assert_str_eq(act.operation, "device.approve");
	ck_assert_uint_eq(act.device, 9);
	act = (struct row_act){ .count = 0 };
	acts_fill(&act, operation_get(OP_KEY_REVOKE), &key);
	ck_assert_uint_eq(act.device, 17);
	act = (struct row_act){ .count = 0 };
	snprintf(tenant.tenantId, sizeof(tenant.tenantId), "acme");
	acts_fill(&act, operation_get(OP_TENANT_DELETE), &tenant);
	ck_assert_str_eq(act.about, "acme");
	/* Its record could not be read. */
	act = (struct row_act){ .count = 0 };
	acts_fill(&act, operation_get(OP_TENANT_DELETE), NULL);
	ck_assert_str_eq(act.about, "");
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("audit");
	TCase *tcase = tcase_create("audit");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase,
	    any_question_finds_what_a_plain_look_at_all_entries_finds);
	tcase_add_test(tcase, old_entries_are_given_up_with_their_index);
	tcase_add_test(tcase,
	    what_was_not_committed_is_not_there_and_comes_again);
	tcase_add_test(tcase, all_is_thrown_away_and_made_again);
	tcase_add_test(tcase, damaged_file_is_made_anew);
	tcase_add_test(tcase, grant_is_found_by_everything_it_says);
	tcase_add_test(tcase, end_of_a_lease_says_whose_it_was);
	tcase_add_test(tcase, seat_of_a_key_names_the_key);
	tcase_add_test(tcase, refusals_keep_their_code_and_their_count);
	tcase_add_test(tcase, pulse_and_names_are_no_entries);
	tcase_add_test(tcase,
	    erased_person_leaves_the_index_and_shows_as_erased);
	tcase_add_test(tcase, clock_that_was_set_back_hides_nothing);
	tcase_add_test(tcase, device_speaks_from_where_it_was_seen_last);
	tcase_add_test(tcase,
	    every_operation_that_changes_something_leaves_an_entry);
	tcase_add_test(tcase,
	    looks_at_people_leave_an_entry_and_other_looks_none);
	tcase_add_test(tcase, act_names_what_its_path_names);
	suite_add_tcase(suite, tcase);
	return suite;
}
