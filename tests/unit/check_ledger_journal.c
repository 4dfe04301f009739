/* The journal: evidence, what clients know, batches, folding. */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 4);
	struct license license = world_license(&world, PRODUCT, 50, 50);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check(&world);
	world_free(&world);
}

/* --- evidence ---------------------------------------------------------- */

/* As a library checks a reply that came for `known`. */
static int
verify(const struct checkout_reply *reply, const struct journal_known *known)
{
	struct journal_header header;
	uint8_t head[32];

	ck_assert_int_eq(journal_header_verify(&header, head,
			     reply->header.data, reply->header.len,
			     world.site_public),
	    0);
	ck_assert_int_eq(journal_row_verify(&header, reply->row_number,
			     reply->row.data, reply->row.len, reply->path.data,
			     reply->path.len / 32),
	    0);
	return journal_continues(known, &header, head, reply->inclusion.data,
	    reply->inclusion.len / 32, reply->consistency.data,
	    reply->consistency.len / 32);
}

START_TEST(a_grant_stands_in_a_batch_that_continues_what_was_known)
{
	struct journal_known known[20];

	for (int i = 0; i < 20; i++) {
		known[i] = world_known(&world);
		for (int j = 0; j <= i; j += 3) {
			struct checkout body =
			    world_checkout_body(&world, PRODUCT, "alice");
			struct command command;

			body.known = known[j];
			ck_assert_int_eq(world_checkout(&world, &command,
					     device, &body),
			    0);
			ck_assert_int_eq(verify(&command.reply.checkout,
					     &known[j]),
			    0);
			arena_release(&command.arena);
		}
	}
}
END_TEST

START_TEST(grants_of_one_batch_share_its_header_and_have_their_paths)
{
	struct command commands[37], *list[37];
	struct checkout bodies[37];
	struct journal_known known = world_known(&world);

	for (int i = 0; i < 37; i++) {
		bodies[i] = world_checkout_body(&world, PRODUCT, "alice");
		bodies[i].known = known;
		commands[i] = world_command(&world, OP_LEASE_CHECKOUT,
		    ACTOR_DEVICE, device, &bodies[i]);
		list[i] = &commands[i];
	}
	ck_assert_int_eq(ledger_commit(world.ledger, list, 37, world.now, NULL),
	    0);
	for (int i = 0; i < 37; i++) {
		ck_assert_int_eq(commands[i].err, 0);
		ck_assert_int_eq(verify(&commands[i].reply.checkout, &known),
		    0);
	}
	for (int i = 0; i < 37; i++)
		arena_release(&commands[i].arena);
	ck_assert_uint_eq(world_known(&world).batch, known.batch + 1);
}
END_TEST

START_TEST(a_retry_proves_its_older_batch_to_who_knows_more)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;
	struct journal_header header, late;
	uint8_t head[32];

	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	arena_release(&command.arena);
	for (int i = 0; i < 9; i++)
		world_lease(&world, device, PRODUCT);
	body.known = world_known(&world);
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	const struct checkout_reply *reply = &command.reply.checkout;

	ck_assert_int_eq(journal_header_verify(&header, head,
			     reply->header.data, reply->header.len,
			     world.site_public),
	    0);
	ck_assert_uint_lt(header.batch, body.known.batch);
	struct journal_known early = { .batch = header.batch };

	memcpy(early.head, head, 32);
	memcpy(early.history, header.history, 32);
	late = header;
	late.batch = body.known.batch;
	memcpy(late.history, body.known.history, 32);
	ck_assert_int_eq(journal_continues(&early, &late, body.known.head,
			     reply->inclusion.data, reply->inclusion.len / 32,
			     reply->consistency.data,
			     reply->consistency.len / 32),
	    0);
	arena_release(&command.arena);
}
END_TEST

START_TEST(who_knows_a_journal_that_is_not_this_is_told)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	body.known = world_known(&world);
	body.known.batch++;
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_ROLLED_BACK);
	arena_release(&command.arena);
	body.known.batch--;
	body.known.head[0] ^= 1;
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_ROLLED_BACK);
	arena_release(&command.arena);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 0);
}
END_TEST

START_TEST(a_session_learns_that_the_journal_goes_on)
{
	struct journal_known known[30];
	struct ledger_view *view;
	struct journal_header header;
	struct record_span token, inclusion, consistency;
	struct arena arena = { .chunks = NULL };
	uint8_t head[32];

	for (int i = 0; i < 30; i++) {
		known[i] = world_known(&world);
		world_lease(&world, device, PRODUCT);
	}
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	for (int i = 0; i < 30; i++) {
		ck_assert_int_eq(ledger_continue(&inclusion, &consistency, view,
				     &known[i], &arena),
		    0);
		ck_assert_int_eq(journal_continues(&known[i], &header, head,
				     inclusion.data, inclusion.len / 32,
				     consistency.data, consistency.len / 32),
		    0);
	}
	known[0].head[3] ^= 1;
	ck_assert_int_eq(ledger_continue(&inclusion, &consistency, view,
			     &known[0], &arena),
	    ERR_ROLLED_BACK);
	known[0] = (struct journal_known){ .batch = 0 };
	ck_assert_int_eq(ledger_continue(&inclusion, &consistency, view,
			     &known[0], &arena),
	    0);
	ck_assert_uint_eq(inclusion.len, 0);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

/* --- batches ----------------------------------------------------------- */

START_TEST(a_batch_without_rows_is_none)
{
	struct journal_known before = world_known(&world);

	ck_assert_uint_eq(world_lease(&world, device, "unknown"), 0);
	ck_assert_uint_eq(world_known(&world).batch, before.batch);
}
END_TEST

struct seen {
	int rows;
	int64_t time;
	uint64_t last;
};

static void
see(void *ctx, const struct row *row, int64_t time)
{
	struct seen *seen = ctx;

	ck_assert(seen->rows == 0 || row->number == seen->last + 1);
	seen->rows++;
	seen->last = row->number;
	seen->time = time;
}

START_TEST(the_observer_sees_each_row_after_the_commit)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "carol");
	struct command command = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, device, &body);
	struct command *list[] = { &command };
	struct seen seen = { 0 };
	struct ledger_observer observer = { &seen, see };

	world.fault_step = "commit";
	world.fault_err = ERR_FULL;
	ck_assert_int_eq(ledger_commit(world.ledger, list, 1, world.now,
			     &observer),
	    ERR_FULL);
	ck_assert_int_eq(seen.rows, 0);
	ck_assert_int_eq(ledger_commit(world.ledger, list, 1, world.now,
			     &observer),
	    0);
	ck_assert_int_eq(seen.rows, 2); /* carol, and her lease */
	ck_assert_int_eq(seen.time, world.now);
	arena_release(&command.arena);
}
END_TEST

START_TEST(time_does_not_go_back)
{
	struct command command;
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct ledger_view *view;
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };
	uint8_t head[32];

	world.now -= 5000;
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	arena_release(&command.arena);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	ck_assert_int_eq(header.time, WORLD_NOW);
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

START_TEST(a_correction_lets_the_next_batch_be_earlier)
{
	struct row_clock clock = { .event = CLOCK_CORRECTED,
		.held = world.now,
		.wall = world.now - 60000,
		.by = { ACTOR_ADMIN, 1 } };
	struct command command =
	    world_command(&world, LEDGER_CLOCK, ACTOR_ADMIN, 1, &clock);
	struct seen seen = { 0 };
	struct ledger_observer observer = { &seen, see };
	struct command *list[] = { &command };

	ck_assert_int_eq(ledger_commit(world.ledger, list, 1, world.now,
			     &observer),
	    0);
	ck_assert_int_eq(command.err, 0);
	ck_assert_int_eq(seen.time, WORLD_NOW);
	arena_release(&command.arena);
	struct ledger_start started = { .row.software = "test" };

	command = world_command(&world, LEDGER_START, ACTOR_SITE, 0, &started);
	ck_assert_int_eq(ledger_commit(world.ledger, list, 1, world.now - 90000,
			     &observer),
	    0);
	ck_assert_int_eq(seen.time, WORLD_NOW - 60000);
	arena_release(&command.arena);
	clock.wall = world.now + 1;
	command = world_command(&world, LEDGER_CLOCK, ACTOR_ADMIN, 1, &clock);
	ck_assert_int_eq(world_do(&world, &command), ERR_BAD_REQUEST);
	arena_release(&command.arena);
}
END_TEST

START_TEST(a_checkpoint_names_a_head_of_this_journal)
{
	struct ledger_view *view;
	struct journal_header header;
	struct row_checkpoint checkpoint;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_state_hash(checkpoint.state_hash, &header,
			     checkpoint.head, view),
	    0);
	checkpoint.batch = header.batch;
	ledger_view_close(view);
	struct command command = world_command(&world, LEDGER_CHECKPOINT,
	    ACTOR_SITE, 0, &checkpoint);

	ck_assert_int_eq(world_do(&world, &command), 0);
	ck_assert_mem_eq(command.reply.checkpoint.state_hash,
	    checkpoint.state_hash, 32);
	arena_release(&command.arena);
	checkpoint.head[5] ^= 1;
	command = world_command(&world, LEDGER_CHECKPOINT, ACTOR_SITE, 0,
	    &checkpoint);
	ck_assert_int_eq(world_do(&world, &command), ERR_CONFLICT);
	arena_release(&command.arena);
}
END_TEST

START_TEST(more_than_a_batch_holds_is_put_off_command_by_command)
{
	struct row_denied denied = { .device = 1,
		.product = PRODUCT,
		.code = "no_seats",
		.count = 1,
		.minute = WORLD_NOW };
	size_t n = JOURNAL_BATCH_ROWS_MAX + 5;
	struct command *commands = calloc(n, sizeof *commands);
	struct command **list = calloc(n, sizeof *list);

	for (size_t i = 0; i < n; i++) {
		commands[i] = world_command(&world, LEDGER_DENIED, ACTOR_SITE,
		    0, &denied);
		list[i] = &commands[i];
	}
	ck_assert_int_eq(ledger_commit(world.ledger, list, n, world.now, NULL),
	    0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(commands[i].err,
		    i < JOURNAL_BATCH_ROWS_MAX ? 0 : ERR_BUSY);
	free(commands);
	free(list);
}
END_TEST

/* --- folding ----------------------------------------------------------- */

START_TEST(folding_the_journal_gives_the_same_state)
{
	struct ledger_options to = world.options;
	char path[128];
	struct ledger_view *view;
	struct ledger *ledger = world.ledger;
	uint8_t ours[32], theirs[32];

	for (int i = 0; i < 60; i++)
		world_lease(&world, device, PRODUCT);
	for (uint64_t i = 1; i < 60; i += 2)
		ck_assert_int_eq(world_return(&world, device, i), 0);
	snprintf(path, sizeof path, "%s/folded", world.dir);
	to.path = path;
	ck_assert_int_eq(ledger_view_open(&view, ledger), 0);
	ck_assert_int_eq(ledger_refold(view, &to), 0);
	ck_assert_int_eq(ledger_refold(view, &to), ERR_CONFLICT);
	ledger_view_close(view);
	world_state_hash(ours, &world);
	/* It is a whole store: it opens, and goes on. */
	ck_assert_int_eq(ledger_open(&world.ledger, &to), 0);
	world_state_hash(theirs, &world);
	ck_assert_mem_eq(ours, theirs, 32);
	world_check(&world);
	ck_assert_uint_eq(world_lease(&world, device, PRODUCT), 61);
	world_check(&world);
	ledger_close(world.ledger);
	world.ledger = ledger;
	world_remove(path);
}
END_TEST

START_TEST(a_grant_changes_the_states_hash)
{
	uint8_t before[32], after[32];

	world_state_hash(before, &world);
	world_lease(&world, device, PRODUCT);
	world_state_hash(after, &world);
	ck_assert_mem_ne(before, after, 32);
}
END_TEST

START_TEST(rows_name_no_people)
{
	struct ledger_view *view;
	struct batch_query query = { .from = 0, .limit = 100 };
	struct batch_page page;
	struct problem problem;
	struct arena arena = { .chunks = NULL };

	world_lease(&world, device, PRODUCT);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_JOURNAL_BATCHES, &query,
			     world.now, &arena, &problem),
	    0);
	const struct batch_item *items = page.items.items;

	ck_assert_uint_ge(page.items.count, 4);
	ck_assert_uint_eq(page.next, 0);
	for (uint32_t i = 0; i < page.items.count; i++) {
		const struct record_span *blob = &items[i].blob;

		ck_assert_ptr_null(memmem(blob->data, blob->len, "alice", 5));
		ck_assert_ptr_null(memmem(blob->data, blob->len, "ws-1", 4));
	}
	ledger_view_close(view);
	arena_release(&arena);
}
END_TEST

static TCase *
case_of_batches(void)
{
	TCase *t = tcase_create("ledger_journal");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t,
	    a_grant_stands_in_a_batch_that_continues_what_was_known);
	tcase_add_test(t,
	    grants_of_one_batch_share_its_header_and_have_their_paths);
	tcase_add_test(t, a_retry_proves_its_older_batch_to_who_knows_more);
	tcase_add_test(t, who_knows_a_journal_that_is_not_this_is_told);
	tcase_add_test(t, a_session_learns_that_the_journal_goes_on);
	tcase_add_test(t, a_batch_without_rows_is_none);
	tcase_add_test(t, the_observer_sees_each_row_after_the_commit);
	tcase_add_test(t, time_does_not_go_back);
	tcase_add_test(t, a_correction_lets_the_next_batch_be_earlier);
	tcase_add_test(t, a_checkpoint_names_a_head_of_this_journal);
	tcase_add_test(t,
	    more_than_a_batch_holds_is_put_off_command_by_command);
	return t;
}

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_journal");
	TCase *t = case_of_batches();

	tcase_add_test(t, folding_the_journal_gives_the_same_state);
	tcase_add_test(t, a_grant_changes_the_states_hash);
	tcase_add_test(t, rows_name_no_people);
	suite_add_tcase(s, t);
	return s;
}
