/* Reports: what is shown is counted once, and every other report is refused by
 * its name. */
#include "tests/unit/report_world.h"
#include "tests/unit/suite.h"

static struct report_world *world;
static uint64_t lease;

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	world = report_world_new(1);
	lease = 0;
}

static void
teardown(void)
{
	report_world_release(world);
}

/* So many overage seats of a license, a batch each, from a number on. */
static void
use(uint64_t license, uint64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		world_commit(world, world_grant(++lease, license, from + i));
}

static enum report_answer
take(void)
{
	return hub_take_report(world);
}

static void
make(void)
{
	ck_assert_int_eq(world_report_as(world, "vector"), 0);
}

/* --- what is shown -------------------------------------------------------------- */

START_TEST(a_report_shows_each_overage_seat_once)
{
	use(1, 1, 3);
	use(3, 1, 2); /* another vendor's */
	use(2, 1, 1);
	world_commit(world, world_grant(++lease, 1, 0)); /* committed */
	make();
	ck_assert_uint_eq(world->report.rows, 6); /* with two licenses */
	ck_assert_uint_eq(world->report.seats, 4);
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.n_installed, 2);
	ck_assert_uint_eq(world->finding.n_overage, 4);
	ck_assert_uint_eq(world->finding.others, 2);
	ck_assert_str_eq(world->finding.overage[3].license_id, "lic-2");
	ck_assert_uint_eq(world->finding.overage[3].serial, 1);
	ck_assert_uint_eq(world->hub.seats, 4);
}
END_TEST

START_TEST(the_next_report_goes_on_where_the_last_one_ended)
{
	use(1, 1, 3);
	world_sync(world);
	use(1, 4, 2);
	use(2, 1, 1);
	world_sync(world);
	world_commit(world, maker_end(1, 1)); /* nothing to count */
	world_sync(world);
	ck_assert_uint_eq(world->hub.mark.sequence, 3);
	ck_assert_uint_eq(world->hub.seats, 6);
}
END_TEST

START_TEST(where_nothing_is_new_there_is_no_report)
{
	world_sync(world);
	ck_assert_int_eq(world_report_as(world, "vector"),
	    ERR_NOT_FOUND_INTERNAL);
}
END_TEST

START_TEST(a_long_absence_gives_several_reports_in_sequence)
{
	use(1, 1, 20);
	world->body_goal = 12000;
	for (uint64_t i = 1; world->acknowledged.batch + 1 < world->maker->n;
	     i++) {
		ck_assert_uint_lt(i, 20);
		make();
		ck_assert_uint_eq(world->report.sequence, i);
		ck_assert_uint_lt(world->body.len, 12000);
		ck_assert_int_eq(take(), REPORT_TAKEN);
		/* No receipt is waited for. */
		world->acknowledged = world->next;
	}
	ck_assert_uint_gt(world->hub.mark.sequence, 3);
	ck_assert_uint_eq(world->hub.seats, 20);
}
END_TEST

START_TEST(a_renewal_is_counted_by_its_own_serial)
{
	use(1, 1, 1);
	world_sync(world);
	world_commit(world, world_install(1, 2));
	struct row row = world_grant(++lease, 1, 2);

	world_digest(row.u.lease_granted.license_digest, 1, 2);
	world_commit(world, row);
	world_sync(world);
	ck_assert_uint_eq(world->finding.n_overage, 1);
	ck_assert_uint_eq(world->finding.overage[0].serial, 2);
}
END_TEST

START_TEST(a_device_has_one_name_a_vendor)
{
	uint8_t name[16], other[16];

	use(1, 1, 6);
	make();
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.n_devices, 3);
	report_pseudonym(name, world->tenant_key, "vector", 2);
	report_pseudonym(other, world->tenant_key, "other", 2);
	ck_assert_mem_eq(world->finding.devices[1].pseudonym, name, 16);
	ck_assert_mem_ne(name, other, 16);
}
END_TEST

START_TEST(names_are_told_in_the_clear_only_where_it_is_said)
{
	static const char *const users = "BxBAx";

	for (unsigned int i = 0; i < 5; i++) {
		struct row row = world_grant(i + 1, 1, i + 1);

		row.u.lease_granted.user[0] = (uint8_t)users[i];
		row.u.lease_granted.host[0] = i == 0 ? 0 : 'h';
		world_commit(world, row);
	}
	make();
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.n_names, 0);
	ck_assert_uint_eq(world->finding.n_devices, 3);
	memset(&world->hub, 0, sizeof world->hub);
	world->people = world->says = REPORT_NOBODY;
	make();
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.n_names, 0);
	ck_assert_uint_eq(world->finding.n_devices, 0);
	memset(&world->hub, 0, sizeof world->hub);
	world->people = world->says = REPORT_CLEAR;
	make();
	ck_assert_int_eq(take(), REPORT_TAKEN);
	/* Each once, and nobody who was erased. */
	ck_assert_uint_eq(world->finding.n_names, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct report_name *name = &world->finding.names[i];

		ck_assert_int_eq(name->name[0], "ABh"[i]);
		ck_assert_int_eq(name->subject[0], "ABh"[i]);
		ck_assert_uint_eq(name->kind, i == 2);
	}
	/* And never more than it says. */
	memset(&world->hub, 0, sizeof world->hub);
	world->says = REPORT_PSEUDONYMS;
	make();
	ck_assert_int_eq(take(), REPORT_MALFORMED);
	world->says = REPORT_NOBODY;
	world->people = REPORT_PSEUDONYMS;
	make();
	ck_assert_int_eq(take(), REPORT_MALFORMED);
}
END_TEST

START_TEST(a_borrow_given_up_says_what_it_was_of)
{
	static struct row_slots slot = { 0, 1 };
	struct row row = { .kind = ROW_BORROW_ENDED };
	struct row_borrow_ended *end = &row.u.borrow_ended;

	end->lease = 2; /* of license 1: world_lent() */
	end->license = 1;
	end->device = 1;
	end->count = 1;
	end->reason = BORROW_WRITTEN_OFF;
	end->epoch = 1;
	end->until = MAKER_TIME * 2;
	end->slots = (struct record_list){ &slot, 1 };
	end->overage = 1;
	end->overage_count = 1;
	world_commit(world, row);
	world_sync(world);
	ck_assert_uint_eq(world->finding.n_overage, 1);
	ck_assert_str_eq(world->finding.overage[0].feature, "autosar");
	ck_assert_str_eq(world->finding.overage[0].license_id, "lic-1");
}
END_TEST

/* --- what is refused, by name ------------------------------------------------------ */

START_TEST(replayed_is_harmless)
{
	use(1, 1, 3);
	make();
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_int_eq(take(), REPORT_REPLAYED);
	ck_assert_uint_eq(world->hub.seats, 3);
	/* Nor is another one of that number, which knows more. */
	use(1, 4, 1);
	make();
	ck_assert_int_eq(take(), REPORT_REPLAYED);
	world->acknowledged = world->hub.mark;
	world_sync(world);
	ck_assert_uint_eq(world->hub.seats, 4);
}
END_TEST

START_TEST(gap_is_named)
{
	world_sync(world);
	use(1, 1, 1);
	make();
	world->acknowledged = world->next; /* it never arrives */
	use(1, 2, 1);
	make();
	ck_assert_int_eq(take(), REPORT_GAP);
	ck_assert_str_eq(world->finding.reason,
	    "it is number 3, and number 2 is not here yet");
	world->acknowledged = world->hub.mark;
	world_sync(world);
	ck_assert_uint_eq(world->hub.seats, 2);
}
END_TEST

START_TEST(a_report_that_grew_before_the_one_behind_it_leaves_a_gap)
{
	struct report_mark small;

	use(1, 1, 1);
	make();
	ck_assert_int_eq(take(), REPORT_TAKEN);
	small = world->hub.mark;
	use(1, 2, 1);
	make(); /* number 1 again, longer */
	world->acknowledged = world->next;
	use(1, 3, 1);
	make(); /* number 2 behind that */
	ck_assert_int_eq(take(), REPORT_GAP);
	world->acknowledged = small;
	world_sync(world);
	ck_assert_uint_eq(world->hub.seats, 3);
}
END_TEST

/* Another journal of the same site, which was as the first until some batch. */
static void
rewrite_from(uint64_t batch)
{
	struct maker *maker = world->maker;

	for (uint64_t i = batch; i < maker->n; i++)
		buf_clear(&maker->blobs[i]);
	maker->next = maker->headers[batch];
	maker->next.totals =
	    batch > 0 ? maker->headers[batch - 1].totals : maker->next.totals;
	maker->n = batch;
}

START_TEST(fork_is_named)
{
	use(1, 1, 2);
	world_sync(world);
	rewrite_from(3);
	use(1, 2, 3);
	make();
	ck_assert_int_eq(take(), REPORT_FORK);
	ck_assert_uint_eq(world->hub.seats, 2);
}
END_TEST

START_TEST(a_mark_of_another_head_is_a_fork)
{
	use(1, 1, 2);
	world_sync(world);
	use(1, 3, 1);
	world->acknowledged.head[0] ^= 1;
	make();
	ck_assert_int_eq(take(), REPORT_FORK);
}
END_TEST

START_TEST(altered_is_named_wherever_it_was)
{
	use(1, 1, 2);
	make();
	for (size_t i = 10; i < world->token.len; i += 7) {
		world->token.data[i] ^= 1;
		enum report_answer answer = take();

		ck_assert_int_ne(answer, REPORT_TAKEN);
		/* The end of a token names the key. */
		ck_assert(answer == REPORT_ALTERED || answer == REPORT_FORGED);
		world->token.data[i] ^= 1;
	}
	for (size_t i = 0; i < world->body.len; i += 13) {
		world->body.data[i] ^= 1;
		ck_assert_int_eq(take(), REPORT_ALTERED);
		world->body.data[i] ^= 1;
	}
	ck_assert_int_eq(take(), REPORT_TAKEN);
}
END_TEST

START_TEST(forged_is_named)
{
	uint8_t public_key[32], seed[32] = { 99 };

	use(1, 1, 2);
	/* The journal is the site's, and somebody else reports it. */
	crypto_sign_seed_keypair(public_key, world->maker->secret, seed);
	make();
	ck_assert_int_eq(take(), REPORT_FORGED);
	/* All of it is somebody else's. */
	world_commit(world, world_grant(++lease, 1, 3));
	make();
	ck_assert_int_eq(take(), REPORT_FORGED);
}
END_TEST

START_TEST(wrong_vendor_is_named)
{
	use(3, 1, 2);
	ck_assert_int_eq(world_report_as(world, "other"), 0);
	ck_assert_uint_eq(world->report.seats, 2);
	ck_assert_int_eq(take(), REPORT_WRONG_VENDOR);
}
END_TEST

START_TEST(wrong_site_is_named)
{
	struct report_finding found;
	struct report_known known = {
		.site = "elsewhere",
		.tenant = "default",
		.vendor = "vector",
	};

	make();
	known.keys = site_keys_one(world->site_key);
	ck_assert_int_eq(report_verify(&found, &known,
			     (char *)world->token.data, world->token.len,
			     world->body.data, world->body.len, &world->arena),
	    0);
	ck_assert_int_eq(found.answer, REPORT_WRONG_SITE);
	known.site = "site-test";
	known.tenant = "another";
	ck_assert_int_eq(report_verify(&found, &known,
			     (char *)world->token.data, world->token.len,
			     world->body.data, world->body.len, &world->arena),
	    0);
	ck_assert_int_eq(found.answer, REPORT_WRONG_SITE);
}
END_TEST

START_TEST(truncated_is_named)
{
	use(1, 1, 2);
	make();
	for (size_t len = 0; len < world->body.len; len += 11)
		ck_assert_int_eq(hub_take(world, world->token.data,
				     world->token.len, world->body.data, len),
		    REPORT_TRUNCATED);
	ck_assert_int_eq(hub_take(world, world->token.data,
			     world->token.len - 5, world->body.data,
			     world->body.len),
	    REPORT_ALTERED);
}
END_TEST

/* Sign again what somebody with the site's key wrote. */
static void
sign_again(const struct report_body *body)
{
	struct report *report = &world->report;

	buf_clear(&world->body);
	record_write_msgpack(&world->body, &report_body_record, body);
	report->body_bytes = (uint32_t)world->body.len;
	crypto_generichash(report->body_digest, 32, world->body.data,
	    world->body.len, NULL, 0);
	buf_clear(&world->token);
	ck_assert_int_eq(license_document_sign(&world->token, &report_record,
			     report, TOKEN_REPORT, world->maker->secret),
	    0);
}

/* What the report shows, to be bent; `copy` holds it. */
static struct report_batch *
body_open(struct report_body *body, struct buf *copy, struct arena *arena)
{
	buf_add(copy, world->body.data, world->body.len);
	ck_assert_int_eq(record_read_msgpack(body, &report_body_record,
			     copy->data, copy->len, NULL, arena, NULL),
	    0);
	return body->batches.items;
}

START_TEST(a_hole_shows_even_when_the_site_signs_it)
{
	struct report_body body;
	struct buf copy = { .data = NULL };
	struct arena arena = { .chunks = NULL };

	use(1, 1, 3);
	make();
	struct report_batch *batches = body_open(&body, &copy, &arena);

	/* Batches: the licenses, and a seat in each of three. The second seat
	 * stays untold. */
	ck_assert_uint_eq(body.batches.count, 4);
	batches[2] = batches[3];
	body.batches.count = 3;
	world->report.rows--;
	world->report.seats--;
	sign_again(&body);
	ck_assert_int_eq(take(), REPORT_HOLE);
	buf_release(&copy);
	arena_release(&arena);
}
END_TEST

START_TEST(a_seat_left_out_at_the_end_is_missing_in_the_next_report)
{
	struct report_body body;
	struct buf copy = { .data = NULL };
	struct arena arena = { .chunks = NULL };

	use(1, 1, 3);
	make();
	struct report_batch *batches = body_open(&body, &copy, &arena);

	batches[3].rows.count = 0;
	world->report.rows--;
	world->report.seats--;
	sign_again(&body);
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.others, 1);
	world->acknowledged = world->hub.mark;
	use(1, 4, 1);
	make();
	ck_assert_int_eq(take(), REPORT_HOLE);
	buf_release(&copy);
	arena_release(&arena);
}
END_TEST

START_TEST(a_row_of_elsewhere_is_refused)
{
	struct report_body body;
	struct buf copy = { .data = NULL };
	struct arena arena = { .chunks = NULL };

	use(1, 1, 2);
	make();
	struct report_batch *batches = body_open(&body, &copy, &arena);
	struct report_row *rows = batches[1].rows.items;
	struct row row = world_grant(9, 1, 1);
	struct buf bytes = { .data = NULL };

	row_write(&bytes, &row);
	rows[0].bytes = (struct record_span){ bytes.data, (uint32_t)bytes.len };
	sign_again(&body);
	ck_assert_int_eq(take(), REPORT_ALTERED);
	buf_release(&bytes);
	buf_release(&copy);
	arena_release(&arena);
}
END_TEST

START_TEST(hours_that_have_no_place_are_malformed)
{
	struct report_hour hours[2] = { { .license = "lic-1", .serial = 1 } };
	struct report_body body;
	struct buf copy = { .data = NULL };
	struct arena arena = { .chunks = NULL };

	world_sync(world);
	world->maker->next.time += 7200000;
	use(1, 1, 2);
	make();
	body_open(&body, &copy, &arena);
	hours[0].start =
	    world->maker->headers[world->maker->n - 1].time / 3600000 * 3600000;
	hours[0].checkouts = hours[0].seats = 2;
	hours[1] = hours[0];
	body.hours = (struct record_list){ hours, 2 };
	sign_again(&body);
	ck_assert_int_eq(take(), REPORT_MALFORMED); /* it is there twice */
	body.hours.count = 1;
	for (int i = 0; i < 2; i++) {
		hours[0].start += i == 0 ? 1 : 3600000; /* is to come */
		sign_again(&body);
		ck_assert_int_eq(take(), REPORT_MALFORMED);
		hours[0].start = hours[1].start;
	}
	sign_again(&body);
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.n_hours, 1);
	buf_release(&copy);
	arena_release(&arena);
}
END_TEST

START_TEST(hours_of_seats_go_on_where_the_last_report_ended)
{
	const struct report_hour *hour;
	const int64_t hour_ms = 3600000;

	world->features = 3;
	use(1, 1, 1);
	world_sync(world);
	const int64_t mark = world->hub.mark.time;

	ck_assert_int_eq(world->hours_to, mark);
	/* Nothing is written for three hours; then something is. */
	world->maker->next.time += 3 * hour_ms;
	use(1, 2, 1);
	world_sync(world);
	ck_assert_int_eq(world->hours_from, mark / hour_ms * hour_ms);
	ck_assert_int_eq(world->hours_to, world->hub.mark.time);
	ck_assert_uint_eq(world->finding.n_hours, 3 * 4);
	hour = world->finding.hours;
	ck_assert_str_eq(hour[0].feature, "f00000");
	ck_assert_uint_eq(hour[0].seat_ms, 3600000);
	ck_assert_uint_eq(hour[0].denied.count, 1);
	ck_assert_str_eq(((const struct report_denial *)hour[0].denied.items)
			     ->code,
	    "no_seats");
	/* A long silence is not told from its beginning. */
	world->maker->next.time += 60 * REPORT_SPAN_MS;
	use(1, 3, 1);
	world_sync(world);
	ck_assert_int_ge(world->hours_from,
	    world->hub.mark.time - REPORT_SPAN_MS - 2 * hour_ms);
}
END_TEST

START_TEST(hours_of_seats_never_keep_a_report_from_being_made)
{
	const int64_t hour_ms = 3600000;

	/* Too many for all hours: shorter spans, several reports. */
	world->features = 100;
	world->body_goal = 200000;
	for (uint64_t i = 1; i <= 48; i++) {
		world->maker->next.time += hour_ms;
		use(1, i, 1);
	}
	make();
	ck_assert_uint_lt(world->next.batch, world->maker->n - 1);
	ck_assert_uint_le(world->body.len, world->body_goal * 11 / 8);
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_gt(world->finding.n_hours, 100);
	world->acknowledged = world->hub.mark;
	/* Too many for a single one: none, and the rows are all there. */
	world->features = REPORT_HOURS_MAX;
	world_sync(world);
	ck_assert_uint_eq(world->finding.n_hours, 0);
	ck_assert_uint_eq(world->hub.seats, 48);
}
END_TEST

static void
track(uint64_t license, const char *metric, uint64_t amount)
{
	struct row row = { .kind = ROW_USAGE_TRACKED };
	struct row_usage_tracked *r = &row.u.usage_tracked;

	r->license = license;
	r->amount = amount;
	snprintf(r->metric, sizeof r->metric, "%s", metric);
	world_commit(world, row);
}

START_TEST(metrics_are_told_once_by_the_hour_to_their_vendor_alone)
{
	const struct report_hour *hour;

	track(1, "api_calls", 5);
	track(3, "api_calls", 900); /* another vendor's */
	track(1, "api_calls", 9);
	track(1, "api_calls", 2);
	world_sync(world);
	ck_assert_uint_eq(world->finding.n_hours, 1);
	hour = world->finding.hours;
	ck_assert(hour->metric);
	ck_assert_str_eq(hour->license, "lic-1");
	ck_assert_str_eq(hour->feature, "api_calls");
	ck_assert_uint_eq(hour->serial, 1);
	ck_assert_uint_eq(hour->events, 3);
	ck_assert_uint_eq(hour->sum, 16);
	ck_assert_uint_eq(hour->max, 9);
	ck_assert_uint_eq(hour->last, 2);
	/* A renewal within the range divides them. */
	track(1, "api_calls", 1);
	world_commit(world, world_install(1, 2));
	track(1, "api_calls", 4);
	world_sync(world);
	hour = world->finding.hours;
	ck_assert_uint_eq(world->finding.n_hours, 3);
	ck_assert_uint_eq(hour[0].serial, 1);
	ck_assert_uint_eq(hour[0].sum, 1);
	ck_assert_uint_eq(hour[1].serial, 2);
	ck_assert_str_eq(hour[1].feature, "");
	ck_assert_uint_eq(hour[1].events, 0);
	ck_assert_uint_eq(hour[2].sum, 4);
	use(1, 1, 1);
	world_sync(world);
	ck_assert_uint_eq(world->finding.n_hours, 0);
}
END_TEST

START_TEST(metrics_that_contradict_themselves_are_malformed)
{
	struct report_hour hour = { .license = "lic-1",
		.serial = 1,
		.feature = "api_calls",
		.metric = true,
		.events = 2,
		.sum = 12,
		.max = 7,
		.last = 5 };
	const struct report_hour good = hour;
	struct report_body body;
	struct buf copy = { .data = NULL };
	struct arena arena = { .chunks = NULL };
	const int64_t hour_ms = 3600000;

	world->maker->next.time += 2 * hour_ms;
	use(1, 1, 1);
	world_sync(world);
	const int64_t mark = world->hub.mark.time / hour_ms * hour_ms;

	world->maker->next.time += 2 * hour_ms;
	use(1, 2, 1);
	make();
	body_open(&body, &copy, &arena);
	body.hours = (struct record_list){ &hour, 1 };
	for (int i = 0; i < 8; i++) {
		hour = good;
		hour.start = mark;
		if (i == 0)
			hour.max = 13; /* more than all */
		if (i == 1)
			hour.last = 8; /* more than the highest */
		if (i == 2)
			hour.events = 0;
		if (i == 3)
			hour.seats = 1;
		if (i == 4)
			hour.start = mark - hour_ms; /* was reported */
		if (i == 5)
			hour.start = mark + 3 * hour_ms; /* is to come */
		if (i == 6)
			hour.start++;
		if (i == 7)
			hour.feature[0] = '\0';
		sign_again(&body);
		ck_assert_int_eq(take(), REPORT_MALFORMED);
	}
	hour = good;
	hour.start = mark;
	sign_again(&body);
	ck_assert_int_eq(take(), REPORT_TAKEN);
	ck_assert_uint_eq(world->finding.n_hours, 1);
	buf_release(&copy);
	arena_release(&arena);
}
END_TEST

/* --- put back ----------------------------------------------------------------------- */

static void
acknowledge(uint32_t generation, uint64_t lost)
{
	struct row row = { .kind = ROW_GENERATION };
	struct row_generation *r = &row.u.generation;

	r->generation = generation;
	r->lost.generation = generation - 1;
	r->lost.batch = lost;
	r->counter = 100;
	r->next_lease = 1000;
	r->next_device = 1000;
	world->maker->next.generation = generation;
	world->restart = world->maker->n;
	world_commit(world, row);
}

START_TEST(a_journal_that_was_put_back_goes_on_and_is_told)
{
	use(1, 1, 5);
	world_sync(world);
	rewrite_from(4); /* with two of five */
	acknowledge(2, 6);
	use(1, 3, 2);
	world_sync(world);
	ck_assert(world->finding.restarted);
	ck_assert_uint_eq(world->hub.rollbacks, 1);
	ck_assert_uint_eq(world->hub.seats, 7); /* all that was granted */
	use(1, 5, 1);
	world_sync(world);
	ck_assert_uint_eq(world->hub.seats, 8);
}
END_TEST

START_TEST(a_lease_that_goes_on_after_that_is_counted_once)
{
	struct row_slots slot = { 0, 1 };
	struct row granted, row = { .kind = ROW_LEASE_ADOPTED };
	struct row_lease_adopted *r = &row.u.lease_adopted;
	struct buf bytes = { .data = NULL };

	use(1, 1, 5);
	granted = world_grant(5, 1, 5);
	row_write(&bytes, &granted);
	r->lease = 5;
	r->license = 1;
	r->device = granted.u.lease_granted.device;
	r->count = 1;
	r->slots = (struct record_list){ &slot, 1 };
	r->type = SEAT_OVERAGE;
	r->overage = 3;
	r->overage_count = 1;
	r->origin.generation = 1;
	r->origin.batch = world->maker->n - 1;
	r->origin.row_number = world->maker->next.first_row - 1;
	r->row = (struct record_span){ bytes.data, (uint32_t)bytes.len };
	world_sync(world);
	rewrite_from(4);
	acknowledge(2, 6);
	world_commit(world, row);
	world_sync(world);
	ck_assert_uint_eq(world->finding.n_overage, 1);
	ck_assert(world->finding.overage[0].again);
	ck_assert_uint_eq(world->hub.seats, 5);
	buf_release(&bytes);
}
END_TEST

START_TEST(another_journal_without_a_word_of_it_is_a_fork)
{
	use(1, 1, 5);
	world_sync(world);
	rewrite_from(4);
	world->maker->next.generation = 2;
	world->restart = 4;
	use(1, 3, 2);
	make();
	ck_assert_int_eq(take(), REPORT_FORK);
}
END_TEST

/* --- receipts and files ---------------------------------------------------------------- */

START_TEST(a_receipt_is_for_one_site_and_of_one_key)
{
	uint8_t public_key[32], secret[64], seed[32] = { 5 };
	struct report_receipt receipt = { .site = "site-test",
		.tenant = "default",
		.vendor = "vector",
		.report = 3 };
	struct report_receipt read;
	struct buf token = { .data = NULL };
	struct record_error error;

	crypto_sign_seed_keypair(public_key, secret, seed);
	ck_assert_int_eq(license_document_sign(&token, &report_receipt_record,
			     &receipt, TOKEN_RECEIPT, secret),
	    0);
	ck_assert_int_eq(report_receipt_verify(&read, (char *)token.data,
			     token.len, public_key, "site-test", "default",
			     "vector", &error),
	    0);
	ck_assert_uint_eq(read.report, 3);
	ck_assert_int_eq(report_receipt_verify(&read, (char *)token.data,
			     token.len, public_key, "site-test", "default",
			     "other", &error),
	    ERR_MISMATCH);
	ck_assert_str_eq(error.field, "vendor");
	ck_assert_int_eq(report_receipt_verify(&read, (char *)token.data,
			     token.len, world->site_key, "site-test", "default",
			     "vector", &error),
	    ERR_UNTRUSTED);
	buf_release(&token);
}
END_TEST

START_TEST(a_file_opens_for_its_receiver_alone)
{
	uint8_t public_key[32], secret[64], seed[32] = { 6 };
	uint8_t other_public[32], other_secret[64], other_seed[32] = { 7 };
	struct sync_box box = { .site = "site-test" }, read;
	struct buf file = { .data = NULL }, clear = { .data = NULL };

	crypto_sign_seed_keypair(public_key, secret, seed);
	crypto_sign_seed_keypair(other_public, other_secret, other_seed);
	make();
	struct sync_report report = {
		{ world->token.data, (uint32_t)world->token.len },
		{ world->body.data, (uint32_t)world->body.len },
	};

	box.reports = (struct record_list){ &report, 1 };
	ck_assert_int_eq(sync_box_seal(&file, &box, public_key), 0);
	ck_assert_int_eq(sync_box_open(&read, &clear, file.data, file.len,
			     public_key, secret, &world->arena),
	    0);
	ck_assert_str_eq(read.site, "site-test");
	const struct sync_report *got = read.reports.items;

	ck_assert_uint_eq(got->body.len, world->body.len);
	ck_assert_mem_eq(got->body.data, world->body.data, world->body.len);
	ck_assert_int_eq(sync_box_open(&read, &clear, file.data, file.len,
			     other_public, other_secret, &world->arena),
	    ERR_MISMATCH);
	for (size_t len = 0; len < file.len; len += 7)
		ck_assert_int_eq(sync_box_open(&read, &clear, file.data, len,
				     public_key, secret, &world->arena),
		    len == 0 ? ERR_BAD_TOKEN : ERR_CLOSED);
	for (size_t at = 60; at < file.len; at += 17) {
		file.data[at] ^= 4;
		ck_assert_int_eq(sync_box_open(&read, &clear, file.data,
				     file.len, public_key, secret,
				     &world->arena),
		    ERR_BAD_SIGNATURE);
		file.data[at] ^= 4;
	}
	buf_add_byte(&file, 0);
	ck_assert_int_eq(sync_box_open(&read, &clear, file.data, file.len,
			     public_key, secret, &world->arena),
	    ERR_TOO_LARGE);
	ck_assert_int_eq(sync_box_open(&read, &clear, (const uint8_t *)"hello",
			     5, public_key, secret, &world->arena),
	    ERR_BAD_TOKEN);
	buf_release(&file);
	buf_release(&clear);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("report");
	TCase *tcase = tcase_create("report");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_report_shows_each_overage_seat_once);
	tcase_add_test(tcase, the_next_report_goes_on_where_the_last_one_ended);
	tcase_add_test(tcase, where_nothing_is_new_there_is_no_report);
	tcase_add_test(tcase, a_long_absence_gives_several_reports_in_sequence);
	tcase_add_test(tcase, a_renewal_is_counted_by_its_own_serial);
	tcase_add_test(tcase, a_device_has_one_name_a_vendor);
	tcase_add_test(tcase,
	    names_are_told_in_the_clear_only_where_it_is_said);
	tcase_add_test(tcase, a_borrow_given_up_says_what_it_was_of);
	tcase_add_test(tcase, replayed_is_harmless);
	tcase_add_test(tcase, gap_is_named);
	tcase_add_test(tcase,
	    a_report_that_grew_before_the_one_behind_it_leaves_a_gap);
	tcase_add_test(tcase, fork_is_named);
	tcase_add_test(tcase, a_mark_of_another_head_is_a_fork);
	tcase_add_test(tcase, altered_is_named_wherever_it_was);
	tcase_add_test(tcase, forged_is_named);
	tcase_add_test(tcase, wrong_vendor_is_named);
	tcase_add_test(tcase, wrong_site_is_named);
	tcase_add_test(tcase, truncated_is_named);
	tcase_add_test(tcase, a_hole_shows_even_when_the_site_signs_it);
	tcase_add_test(tcase,
	    a_seat_left_out_at_the_end_is_missing_in_the_next_report);
	tcase_add_test(tcase, a_row_of_elsewhere_is_refused);
	tcase_add_test(tcase, hours_that_have_no_place_are_malformed);
	tcase_add_test(tcase, hours_of_seats_go_on_where_the_last_report_ended);
	tcase_add_test(tcase,
	    hours_of_seats_never_keep_a_report_from_being_made);
	tcase_add_test(tcase,
	    metrics_are_told_once_by_the_hour_to_their_vendor_alone);
	tcase_add_test(tcase, metrics_that_contradict_themselves_are_malformed);
	tcase_add_test(tcase, a_journal_that_was_put_back_goes_on_and_is_told);
	tcase_add_test(tcase, a_lease_that_goes_on_after_that_is_counted_once);
	tcase_add_test(tcase, another_journal_without_a_word_of_it_is_a_fork);
	tcase_add_test(tcase, a_receipt_is_for_one_site_and_of_one_key);
	tcase_add_test(tcase, a_file_opens_for_its_receiver_alone);
	suite_add_tcase(suite, tcase);
	return suite;
}
