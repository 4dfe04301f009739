/* Old batches are given up, and what must go on does. */
#include "appliance/ledger/auditing.h"
#include "appliance/ledger/store.h"
#include "shared/rpc/messages_events.h"
#include "tests/unit/prune_world.h"
#include "tests/unit/suite.h"

#include <sys/stat.h>

#define PRODUCT "davinci-configurator-se"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 112);
	struct license license = world_license(&world, PRODUCT, 500, 500);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check(&world);
	world_free(&world);
}

static void
leases_come_and_go(int n, int64_t each_ms)
{
	for (int i = 0; i < n; i++) {
		uint64_t lease = world_lease(&world, device, PRODUCT);

		ck_assert_uint_ne(lease, 0);
		ck_assert_int_eq(world_return(&world, device, lease), 0);
		world.now += each_ms;
	}
}

static void
some_days(int n)
{
	leases_come_and_go(n, WORLD_DAY);
}

static void
some_leases(int n)
{
	leases_come_and_go(n, 1000);
}

static uint64_t
batches_there(void)
{
	struct ledger_view *view;
	uint64_t n = 0;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	struct ledger_beginning beginning;
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };
	uint8_t head[32];

	ck_assert_int_eq(ledger_beginning(&beginning, view), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	n = header.batch + 1 - beginning.batch;
	arena_release(&arena);
	ledger_view_close(view);
	return n;
}

static int
count_blob(void *ctx, const void *blob, size_t len)
{
	(void)blob;
	(void)len;
	++*(uint64_t *)ctx;
	return 0;
}

static uint64_t
blobs_there(void)
{
	struct ledger_view *view;
	uint64_t n = 0;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_each_batch(view, count_blob, &n), 0);
	ledger_view_close(view);
	return n;
}

/* --- what goes, what stays --------------------------------------------------- */

START_TEST(old_batches_go_and_the_rest_folds_to_the_same)
{
	uint8_t before[32], after[32];

	some_days(40);
	uint64_t all = blobs_there();
	uint64_t went = world_prune(&world, WORLD_NOW + 20 * WORLD_DAY);

	ck_assert_uint_gt(went, 40);
	/* One batch more says it. */
	ck_assert_uint_eq(blobs_there(), all + 1 - went);
	ck_assert_uint_eq(batches_there(), blobs_there());
	world_state_hash(before, &world);
	world_check_folded(&world);
	world_reopen(&world);
	world_state_hash(after, &world);
	ck_assert_mem_eq(before, after, 32);
	some_days(3);
	world_check_folded(&world);
}
END_TEST

START_TEST(nothing_goes_that_is_not_old)
{
	struct ledger_plan plan;
	struct problem problem;

	some_days(3);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW, &problem), 0);
	ck_assert_uint_eq(plan.row.before, 0);
	/* And never the newest. */
	uint64_t all = blobs_there();

	ck_assert_uint_eq(world_prune(&world, INT64_MAX), all - 1);
	ck_assert_uint_eq(blobs_there(), 2);
	world_check_folded(&world);
}
END_TEST

START_TEST(a_second_turn_rests_on_the_same_base_while_it_reaches)
{
	struct ledger_plan plan;
	struct problem problem;

	some_days(30);
	world_prune(&world, WORLD_NOW + 5 * WORLD_DAY);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 10 * WORLD_DAY,
			     &problem),
	    0);
	ck_assert(!plan.needs_base);
	ck_assert_uint_gt(plan.batches, 8);
	ck_assert_int_eq(world_give_up(&world, &plan), 0);
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), 0);
	world_check_folded(&world);
	some_days(30);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 50 * WORLD_DAY,
			     &problem),
	    0);
	ck_assert(plan.needs_base);
	ck_assert_int_eq(world_give_up(&world, &plan), 0);
	world_check_folded(&world);
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), 0);
	world_check_folded(&world);
}
END_TEST

START_TEST(a_license_that_asks_for_reports_keeps_what_is_not_billed)
{
	struct license license = world_license(&world, "billed", 5, 5);
	struct ledger_plan plan;
	struct problem problem = { .code = "" };

	some_days(10);
	license.sync.reports = true;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 5 * WORLD_DAY,
			     &problem),
	    ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(problem.detail, "billed"));
}
END_TEST

START_TEST(a_license_that_asks_for_reports_meanwhile_keeps_it_too)
{
	struct license license = world_license(&world, "billed", 5, 5);
	struct ledger_plan plan;
	struct problem problem = { .code = "" };

	some_days(10);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 5 * WORLD_DAY,
			     &problem),
	    0);
	license.sync.reports = true;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(world_give_up(&world, &plan), ERR_CONFLICT);
	ck_assert_uint_eq(batches_there(), blobs_there());
	world_check_folded(&world);
}
END_TEST

/* --- leases that are held ------------------------------------------------------ */

START_TEST(a_lease_that_is_held_keeps_its_evidence)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct journal_header header;
	struct command command;
	uint8_t head[32];

	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	uint64_t lease = command.reply.checkout.lease;

	arena_release(&command.arena);
	some_days(20);
	world_prune(&world, WORLD_NOW + 15 * WORLD_DAY);
	ck_assert_uint_eq(blobs_there(), batches_there() + 1);
	world_reopen(&world);
	/* A retry gets it again, and what it knew is continued. */
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	const struct checkout_reply *reply = &command.reply.checkout;

	ck_assert_uint_eq(reply->lease, lease);
	ck_assert_int_eq(journal_header_verify(&header, head,
			     reply->header.data, reply->header.len,
			     world.site_public),
	    0);
	ck_assert_int_eq(journal_row_verify(&header, reply->row_number,
			     reply->row.data, reply->row.len, reply->path.data,
			     reply->path.len / 32),
	    0);
	arena_release(&command.arena);
	world_check_folded(&world);
	/* Once it is back, the next turn takes the batch too. */
	ck_assert_int_eq(world_return(&world, device, lease), 0);
	some_days(2);
	world_prune(&world, WORLD_NOW + 17 * WORLD_DAY);
	ck_assert_uint_eq(blobs_there(), batches_there());
	world_check_folded(&world);
}
END_TEST

/* --- who has an old header ------------------------------------------------------ */

START_TEST(who_knows_an_old_header_is_shown_that_it_goes_on)
{
	struct journal_known known[12];

	for (int i = 0; i < 12; i++) {
		known[i] = world_known(&world);
		some_days(1);
	}
	world_prune(&world, INT64_MAX);
	for (int i = 0; i < 12; i++) {
		struct checkout body =
		    world_checkout_body(&world, PRODUCT, "alice");
		struct journal_header header;
		struct command command;
		uint8_t head[32];

		body.known = known[i];
		ck_assert_int_eq(world_checkout(&world, &command, device,
				     &body),
		    0);
		const struct checkout_reply *r = &command.reply.checkout;

		ck_assert_int_eq(journal_header_verify(&header, head,
				     r->header.data, r->header.len,
				     world.site_public),
		    0);
		ck_assert_int_eq(journal_continues(&known[i], &header, head,
				     r->inclusion.data, r->inclusion.len / 32,
				     r->consistency.data,
				     r->consistency.len / 32),
		    0);
		arena_release(&command.arena);
	}
	/* And one that is not of this journal is told. */
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	body.known = known[3];
	body.known.head[7] ^= 1;
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_ROLLED_BACK);
	arena_release(&command.arena);
}
END_TEST

/* --- what can be verified -------------------------------------------------------- */

struct walked {
	struct journal_walk walk;
	bool batches;
	char error[200];
};

static int
walk_blob(void *ctx, const void *blob, size_t len)
{
	struct walked *walked = ctx;
	uint8_t key[8];

	be64_write(key, walked->walk.next_batch);
	return journal_walk_stored(&walked->walk, true, key, sizeof key, blob,
	    len, walked->error, sizeof walked->error);
}

/* As somebody with the site's key alone. */
static int
walk_all(struct walked *walked)
{
	struct ledger_view *view;
	struct journal_anchor anchor;

	memset(walked, 0, sizeof *walked);
	journal_walk_init(&walked->walk, world.site_public);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_anchor(&anchor, view), 0);
	int err = anchor.before == 0
	    ? 0
	    : journal_walk_anchor(&walked->walk, world.site_public, &anchor);

	if (err == 0)
		err = ledger_each_batch(view, walk_blob, walked);
	ledger_view_close(view);
	return err;
}

START_TEST(what_is_left_is_verified_from_the_sites_key_alone)
{
	struct walked *walked = calloc(1, sizeof *walked);

	some_days(20);
	world_prune(&world, WORLD_NOW + 9 * WORLD_DAY);
	ck_assert_int_eq(walk_all(walked), 0);
	ck_assert(journal_walk_is_explained(&walked->walk));
	ck_assert_uint_gt(walked->walk.anchor, 10);
	ck_assert_uint_eq(walked->walk.pruned, walked->walk.anchor);
	free(walked);
}
END_TEST

START_TEST(a_beginning_that_is_missing_without_a_word_is_not_believed)
{
	struct walked *walked = calloc(1, sizeof *walked);
	struct journal_walk *whole = calloc(1, sizeof *whole);
	struct ledger_view *view;
	uint8_t frontier[64 * 32];

	/* Somebody cuts it himself, with a header and a frontier that hold. */
	some_days(4);
	ck_assert_int_eq(walk_all(walked), 0);
	struct journal_known known = world_known(&world);
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, known.head, &token, view,
			     &arena),
	    0);
	size_t hashes = journal_walk_frontier(frontier, &walked->walk);
	struct journal_anchor anchor = { walked->walk.next_batch, token,
		{ frontier, (uint32_t)(hashes * 32) } };

	ck_assert_int_eq(journal_walk_anchor(whole, world.site_public, &anchor),
	    0);
	ck_assert(!journal_walk_is_explained(whole));
	anchor.before--;
	ck_assert_int_eq(journal_walk_anchor(whole, world.site_public, &anchor),
	    ERR_CORRUPT);
	ledger_view_close(view);
	arena_release(&arena);
	free(walked);
	free(whole);
}
END_TEST

/* --- others that read the journal ------------------------------------------------- */

static int
ask_batches(uint64_t from, struct batch_page *page, struct arena *arena,
    struct problem *problem)
{
	struct batch_query query = { .from = from, .limit = 1 };
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = ledger_query(page, view, OP_JOURNAL_BATCHES, &query,
	    world.now, arena, problem);

	ledger_view_close(view);
	return err;
}

START_TEST(a_page_of_what_is_gone_says_where_the_rest_begins)
{
	struct ledger_view *view;
	struct ledger_beginning beginning;
	struct arena arena = { .chunks = NULL };
	struct problem problem = { .code = "" };
	struct batch_page page;
	char words[32];

	some_days(10);
	world_prune(&world, WORLD_NOW + 5 * WORLD_DAY);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_beginning(&beginning, view), 0);
	ledger_view_close(view);
	ck_assert_int_eq(ask_batches(0, &page, &arena, &problem), ERR_GONE);
	snprintf(words, sizeof words, "before %u ",
	    (unsigned int)beginning.batch);
	ck_assert_ptr_nonnull(strstr(problem.detail, words));
	ck_assert_int_eq(ask_batches(beginning.batch, &page, &arena, &problem),
	    0);
	ck_assert_uint_eq(page.items.count, 1);
	arena_release(&arena);
}
END_TEST

START_TEST(events_are_followed_from_what_is_there)
{
	struct event_place place = { .row = 3 };
	struct arena arena = { .chunks = NULL };
	struct problem problem = { .code = "" };
	struct ledger_beginning beginning;
	struct event_page page;
	struct ledger_view *view;

	some_days(10);
	world_prune(&world, WORLD_NOW + 5 * WORLD_DAY);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_beginning(&beginning, view), 0);
	ck_assert_int_eq(ledger_events_begin(&place, view, true, &arena,
			     &problem),
	    ERR_GONE);
	place.row = beginning.row - 1;
	ck_assert_int_eq(ledger_events_begin(&place, view, true, &arena,
			     &problem),
	    0);
	ck_assert_int_eq(ledger_events(&page, &place, view, &arena), 0);
	ck_assert_uint_eq(((const struct event_item *)page.items.items)->row,
	    beginning.row);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

static struct audit_place
follow(struct audit *audit)
{
	struct audit_place place;
	struct ledger_view *view;
	bool more = true;

	while (more) {
		ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
		ck_assert_int_eq(auditing_follow(&more, audit, view, INT64_MIN),
		    0);
		ledger_view_close(view);
	}
	ck_assert_int_eq(audit_place(&place, audit), 0);
	return place;
}

START_TEST(an_audit_that_is_made_anew_begins_with_what_is_there)
{
	struct audit_place before, after;
	struct ledger_beginning beginning;
	struct ledger_view *view;
	struct audit *audit;
	char path[160];

	some_days(10);
	snprintf(path, sizeof path, "%s/audit", world.dir);
	ck_assert_int_eq(audit_open(&audit, path, (size_t)1 << 30, true), 0);
	before = follow(audit);
	world_prune(&world, WORLD_NOW + 5 * WORLD_DAY);
	/* What it has, it keeps. */
	after = follow(audit);
	ck_assert_uint_gt(after.entries, before.entries);
	ck_assert_uint_eq(after.pruned, 0);
	ck_assert_int_eq(audit_clear(audit), 0);
	after = follow(audit);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_beginning(&beginning, view), 0);
	ledger_view_close(view);
	ck_assert_uint_eq(after.pruned, beginning.row - 1);
	ck_assert_uint_lt(after.entries, before.entries);
	ck_assert_uint_gt(after.entries, 0);
	audit_close(audit);
	world_remove(path);
}
END_TEST

/* --- crashes ------------------------------------------------------------------------ */

START_TEST(a_crash_before_the_row_leaves_the_journal_as_it_was)
{
	struct ledger_plan plan;
	struct problem problem;
	struct ledger_base base;
	struct row_checkpoint row;
	struct ledger_view *view;

	some_days(12);
	uint64_t all = blobs_there();

	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 5 * WORLD_DAY,
			     &problem),
	    0);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_base_make(&base, &row, view), 0);
	ledger_view_close(view);
	world_reopen(&world);
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), 0);
	ck_assert_uint_eq(blobs_there(), all);
	world_check_folded(&world);
	/* Its batch is not committed. */
	world.fault_step = "commit";
	world.fault_err = ERR_IO;
	ck_assert_int_ne(world_give_up(&world, &plan), 0);
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), 0);
	ck_assert_uint_eq(blobs_there(), all);
	world_check_folded(&world);
	ck_assert_int_eq(world_give_up(&world, &plan), 0);
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), 0);
	ck_assert_uint_lt(blobs_there(), all);
	world_check_folded(&world);
}
END_TEST

START_TEST(what_is_given_up_during_a_sweep_goes_with_it)
{
	struct ledger_sweep sweep;
	struct ledger_plan plan;
	struct problem problem;
	bool more = true, due = true;

	some_days(12);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 5 * WORLD_DAY,
			     &problem),
	    0);
	ck_assert_int_eq(world_give_up(&world, &plan), 0);
	ck_assert_int_eq(ledger_sweep_begin(&sweep, world.ledger), 0);
	ck_assert_int_eq(ledger_sweep_step(&more, &sweep, world.ledger), 0);
	ck_assert(more);
	uint64_t first = plan.row.before;

	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 8 * WORLD_DAY,
			     &problem),
	    0);
	ck_assert_uint_gt(plan.row.before, first);
	ck_assert_int_eq(world_give_up(&world, &plan), 0);
	while (more)
		ck_assert_int_eq(ledger_sweep_step(&more, &sweep, world.ledger),
		    0);
	ledger_sweep_end(&sweep);
	ck_assert_int_eq(ledger_sweep_is_due(&due, world.ledger), 0);
	ck_assert(!due);
	ck_assert_uint_eq(batches_there(), blobs_there());
	world_check_folded(&world);
}
END_TEST

START_TEST(a_sweep_that_was_cut_short_goes_on)
{
	struct ledger_plan plan;
	struct problem problem;

	some_days(200);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 180 * WORLD_DAY,
			     &problem),
	    0);
	ck_assert_uint_gt(plan.batches, 2 * LEDGER_SWEEP_BATCHES);
	ck_assert_int_eq(world_give_up(&world, &plan), 0);
	world_check_folded(&world);
	ck_assert_int_eq(world_sweep(&world, 1), 0);
	uint64_t some = blobs_there();

	ck_assert_uint_gt(some, batches_there());
	world_check_folded(&world);
	world_reopen(&world);
	world.fault_step = "sweep";
	world.fault_err = ERR_FULL;
	world.fault_skip = 1;
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), ERR_FULL);
	ck_assert_uint_lt(blobs_there(), some);
	world_check_folded(&world);
	ck_assert_int_eq(world_sweep(&world, SIZE_MAX), 0);
	ck_assert_uint_eq(blobs_there(), batches_there());
	world_check_folded(&world);
}
END_TEST

START_TEST(a_base_that_was_altered_is_not_folded_on)
{
	struct ledger_plan plan;
	struct problem problem;
	struct ledger_options to = world.options;
	struct ledger_prune request = { .based = true };
	struct ledger_view *view;
	char path[160];

	some_days(12);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 5 * WORLD_DAY,
			     &problem),
	    0);
	request.row = plan.row;
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_base_make(&request.base, &request.checkpoint,
			     view),
	    0);
	ledger_view_close(view);
	request.row.checkpoint = request.base.batch;
	request.base.hash[4] ^= 1;
	struct command command =
	    world_command(&world, LEDGER_PRUNE, ACTOR_ADMIN, 1, &request);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	snprintf(path, sizeof path, "%s/folded", world.dir);
	to.path = path;
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_refold(view, &to), ERR_CORRUPT);
	ledger_view_close(view);
	world_remove(path);
}
END_TEST

START_TEST(what_rests_on_nothing_is_not_given_up)
{
	struct ledger_plan plan;
	struct problem problem;
	struct ledger_prune request = { .based = false };

	some_days(12);
	ck_assert_int_eq(world_plan(&world, &plan, WORLD_NOW + 5 * WORLD_DAY,
			     &problem),
	    0);
	request.row = plan.row;
	struct command command =
	    world_command(&world, LEDGER_PRUNE, ACTOR_ADMIN, 1, &request);

	ck_assert_int_eq(world_do(&world, &command), ERR_CONFLICT);
	arena_release(&command.arena);
	/* Nor with pieces that are not there, nor under another head. */
	request.based = true;
	request.row.checkpoint = request.base.batch = request.checkpoint.batch =
	    plan.row.before + 1;
	request.base.chunks = 1;
	command = world_command(&world, LEDGER_PRUNE, ACTOR_ADMIN, 1, &request);
	ck_assert_int_eq(world_do(&world, &command), ERR_CONFLICT);
	arena_release(&command.arena);
	plan.row.head[3] ^= 1;
	ck_assert_int_eq(world_give_up(&world, &plan), ERR_CONFLICT);
	command =
	    world_command(&world, LEDGER_PRUNE, ACTOR_DEVICE, device, &request);
	ck_assert_int_eq(world_do(&world, &command), ERR_FORBIDDEN);
	arena_release(&command.arena);
	ck_assert_uint_eq(batches_there(), blobs_there());
	world_check_folded(&world);
}
END_TEST

/* --- room ----------------------------------------------------------------------------- */

START_TEST(pages_that_came_free_are_used_again)
{
	struct store_room before, after;

	some_leases(400);
	world_prune(&world, INT64_MAX);
	ledger_room(&before, world.ledger);
	for (int i = 0; i < 4; i++) {
		some_leases(400);
		world_prune(&world, INT64_MAX);
	}
	ledger_room(&after, world.ledger);
	/* Without pruning it would have grown four times over. */
	ck_assert_uint_lt(after.used_bytes, 2 * before.used_bytes);
	world_check_folded(&world);
}
END_TEST

static uint64_t
bytes_on_disk(void)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof path, "%s/data.mdb", world.path);
	ck_assert_int_eq(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

START_TEST(what_came_free_goes_back_to_the_disk)
{
	struct ledger_view *view;

	some_leases(1000);
	uint64_t before = bytes_on_disk();

	/* Somebody reads meanwhile, and sees what he saw. */
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	world_prune(&world, INT64_MAX);
	uint64_t read = 0;

	ck_assert_int_eq(ledger_each_batch(view, count_blob, &read), 0);
	ck_assert_uint_gt(read, 2000);
	ck_assert_uint_gt(bytes_on_disk(), before / 2);
	ledger_view_close(view);
	some_leases(10);
	world_prune(&world, INT64_MAX);
	ck_assert_uint_lt(bytes_on_disk(), before / 2);
	world_reopen(&world);
	world_check_folded(&world);
	some_leases(300);
	world_check_folded(&world);
}
END_TEST

static void
add_reading(Suite *s)
{
	TCase *t = tcase_create("prune_reading");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_knows_an_old_header_is_shown_that_it_goes_on);
	tcase_add_test(t, what_is_left_is_verified_from_the_sites_key_alone);
	tcase_add_test(t,
	    a_beginning_that_is_missing_without_a_word_is_not_believed);
	tcase_add_test(t, a_page_of_what_is_gone_says_where_the_rest_begins);
	tcase_add_test(t, events_are_followed_from_what_is_there);
	tcase_add_test(t, an_audit_that_is_made_anew_begins_with_what_is_there);
	suite_add_tcase(s, t);
}

Suite *
suite(void)
{
	Suite *s = suite_create("prune");
	TCase *t = tcase_create("prune");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, old_batches_go_and_the_rest_folds_to_the_same);
	tcase_add_test(t, nothing_goes_that_is_not_old);
	tcase_add_test(t,
	    a_second_turn_rests_on_the_same_base_while_it_reaches);
	tcase_add_test(t,
	    a_license_that_asks_for_reports_keeps_what_is_not_billed);
	tcase_add_test(t,
	    a_license_that_asks_for_reports_meanwhile_keeps_it_too);
	tcase_add_test(t, a_lease_that_is_held_keeps_its_evidence);
	tcase_add_test(t, a_crash_before_the_row_leaves_the_journal_as_it_was);
	tcase_add_test(t, what_is_given_up_during_a_sweep_goes_with_it);
	tcase_add_test(t, a_sweep_that_was_cut_short_goes_on);
	tcase_add_test(t, a_base_that_was_altered_is_not_folded_on);
	tcase_add_test(t, what_rests_on_nothing_is_not_given_up);
	tcase_add_test(t, pages_that_came_free_are_used_again);
	tcase_add_test(t, what_came_free_goes_back_to_the_disk);
	suite_add_tcase(s, t);
	add_reading(s);
	return s;
}
