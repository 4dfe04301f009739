/* The registry of tenants, what the system store has of them, and the notes of
 * those that are closed: with a crash between the two stores at each step, and
 * with either of them put back. */
#include "appliance/ledger/guard.h"
#include "appliance/ledger/tenants.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "tests/unit/guard_world.h"
#include "tests/unit/suite.h"

#include <sys/stat.h>

#define COUNTER 5

static struct system_quiet quiet;
static bool was_quiet;

/* One more batch. */
static void
journal_goes_on(uint64_t tick)
{
	struct row_tick row = { .counter = tick };
	struct command command =
	    world_command(&world, LEDGER_TICK, ACTOR_SITE, 0, &row);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

static int
admit(void)
{
	return guard_admit(&report, &quiet, &was_quiet, &guard, COUNTER);
}

static bool
is_noted(void)
{
	struct system_quiet found;

	return system_quiet_load(&found, store, TENANT) == 0;
}

static struct row_mark
newest(void)
{
	struct ledger_view *view;
	struct row_mark mark = { 0 };

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_mark(&mark, view), 0);
	ledger_view_close(view);
	return mark;
}

/* --- notes of closed tenants ----------------------------------------------- */

START_TEST(a_tenant_closes_and_opens_where_it_was)
{
	struct row_mark end = newest();

	ck_assert_int_eq(guard_dismiss(&guard, COUNTER), 0);
	ck_assert(is_noted());
	ck_assert_int_eq(admit(), 0);
	ck_assert(was_quiet && !report.rolled_back);
	ck_assert_uint_eq(quiet.mark.batch, end.batch);
	ck_assert_uint_eq(quiet.tick, COUNTER);
	ck_assert_int_gt(quiet.time, 0);
	ck_assert(!is_noted());
	/* One that was not noted is looked at all the same. */
	ck_assert_int_eq(admit(), 0);
	ck_assert(!was_quiet && !report.rolled_back);
}
END_TEST

/* Wherever it breaks off, the note and the journal agree, or there is none. */
START_TEST(a_close_that_broke_off_is_none_or_done)
{
	static const char *const steps[] = { "dismiss", "dismissed" };

	crash_before = steps[_i];
	ck_assert_int_eq(guard_dismiss(&guard, COUNTER), ERR_IO);
	crash_before = NULL;
	ck_assert_int_eq(is_noted(), _i == 1);
	ck_assert_int_eq(admit(), 0);
	ck_assert_int_eq(was_quiet, _i == 1);
	ck_assert(!report.rolled_back);
}
END_TEST

START_TEST(an_opening_that_broke_off_finds_nothing_wrong_the_next_time)
{
	static const char *const steps[] = { "admit", "admitted" };

	ck_assert_int_eq(guard_dismiss(&guard, COUNTER), 0);
	crash_before = steps[_i];
	ck_assert_int_eq(admit(), ERR_IO);
	crash_before = NULL;
	/* The note is there, and nothing was written; or it is gone. */
	ck_assert_int_eq(is_noted(), _i == 0);
	ck_assert_int_eq(admit(), 0);
	ck_assert_int_eq(was_quiet, _i == 0);
	ck_assert(!report.rolled_back);
	/* Written to, and killed: it is not noted as quiet. */
	journal_goes_on(COUNTER + 1);
	ck_assert(!is_noted());
	ck_assert_int_eq(admit(), 0);
	ck_assert(!report.rolled_back);
}
END_TEST

START_TEST(a_journal_put_back_behind_its_note_is_found_and_stays_so)
{
	struct system_quiet note = { .tick = COUNTER };

	note.mark = newest();
	note.mark.batch += 3; /* that this journal does not have */
	memset(note.mark.head, 9, sizeof note.mark.head);
	ck_assert_int_eq(system_quiet_save(store, TENANT, &note), 0);
	ck_assert_int_eq(admit(), 0);
	ck_assert(report.rolled_back);
	ck_assert_msg(strstr(report.words, "put back") != NULL, "%s",
	    report.words);
	/* The next start looks at it, and knows without the note. */
	ck_assert(!is_noted());
	ck_assert_int_eq(guard_begin(&report, &guard, world.now), 0);
	ck_assert(report.rolled_back);
}
END_TEST

START_TEST(a_system_store_put_back_behind_a_journal_is_found)
{
	ck_assert_int_eq(guard_dismiss(&guard, COUNTER), 0);
	journal_goes_on(COUNTER); /* after the note was taken away, once */
	ck_assert_int_eq(admit(), 0);
	ck_assert(report.rolled_back);
	ck_assert_msg(strstr(report.words, "site's store was put back") != NULL,
	    "%s", report.words);
	/* Until somebody acknowledges it: then the note goes with it. */
	ck_assert(is_noted());
	ck_assert_int_eq(admit(), 0);
	ck_assert(report.rolled_back);
	const struct system_tick tick = { .counter = COUNTER, .at = world.now };
	const struct system_anchor anchor = { TENANT, newest() };
	const struct system_generation settled = { .counter = COUNTER };
	ck_assert_int_eq(system_tick_save(store, &tick, &anchor, 1, &settled),
	    0);
	ck_assert(!is_noted());
	ck_assert_int_eq(admit(), 0);
	ck_assert_msg(!report.rolled_back, "%s", report.words);
}
END_TEST

START_TEST(a_journal_ahead_of_the_counter_shows_that_the_witness_was_put_back)
{
	journal_goes_on(COUNTER + 2);
	ck_assert_int_eq(admit(), 0);
	ck_assert(report.rolled_back);
}
END_TEST

START_TEST(a_corrected_clock_is_owed_to_those_that_sleep)
{
	const struct row_clock row = {
		.event = CLOCK_CORRECTED,
		.held = WORLD_NOW + WORLD_DAY,
		.wall = WORLD_NOW,
		.by = { .kind = ACTOR_ADMIN, .id = 1 },
	};
	struct system_quiet note = { .tick = COUNTER,
		.time = WORLD_NOW + WORLD_DAY,
		.mark = newest() };

	ck_assert_int_eq(system_tenant_add(store, "other", 1), 0);
	ck_assert_int_eq(system_tenant_add(store, "awake", 1), 0);
	ck_assert_int_eq(system_quiet_save(store, "other", &note), 0);
	ck_assert_int_eq(system_quiet_correct(store, &row), 0);
	ck_assert_int_eq(system_quiet_load(&note, store, "other"), 0);
	ck_assert(note.owes_clock);
	ck_assert_int_eq(note.time, WORLD_NOW);
	ck_assert_int_eq(note.clock.wall, WORLD_NOW);
	ck_assert_int_eq(system_quiet_load(&note, store, "awake"),
	    ERR_NOT_FOUND);
}
END_TEST

/* --- the system store --------------------------------------------------------- */

START_TEST(a_deleted_tenant_leaves_nothing_and_its_number_is_not_given_again)
{
	struct tenant_profile profile = { .partnerName = "Mercedes-Benz" };
	struct system_tenant tenant = { .name = "mercedes", .created_at = 1 };
	const struct tenant_host_name host = { "lic.mercedes.test" };
	struct system_usage_item item = { .tenant = "mercedes", .day = 20000 };
	struct system_usage usage;
	struct system_key found;
	char key[SYSTEM_KEY_TEXT];

	ck_assert_int_eq(system_tenant_begin(&tenant, store, &profile), 0);
	ck_assert_uint_eq(tenant.status, TENANT_PROVISIONING);
	ck_assert_int_eq(system_tenant_begin(&tenant, store, &profile),
	    ERR_CONFLICT);
	ck_assert_int_eq(system_key_add(key, store, "mercedes", "x", 1, 1), 0);
	tenant.status = TENANT_ACTIVE;
	ck_assert_int_eq(system_tenant_put(store, &tenant, NULL, &host, 1), 0);
	item.usage.calls = 3;
	ck_assert_int_eq(system_usage_save(store, &item, 1), 0);
	memset(&profile, 0, sizeof profile);
	ck_assert_int_eq(system_profile_load(&profile, store, "mercedes"), 0);
	ck_assert_str_eq(profile.partnerName, "Mercedes-Benz");
	uint64_t number = tenant.number;

	ck_assert_int_eq(system_tenant_delete(store, "mercedes"), 0);
	ck_assert_int_eq(system_tenant_load(&tenant, store, "mercedes"),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(system_profile_load(&profile, store, "mercedes"),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(system_key_find(&found, store, key, strlen(key)),
	    ERR_UNAUTHENTICATED);
	ck_assert_int_eq(system_usage_load(&usage, store, "mercedes", 20000),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(system_tenant_begin(&tenant, store, &profile), 0);
	ck_assert_uint_gt(tenant.number, number);
	/* Its host name was free again. */
	ck_assert_int_eq(system_tenant_put(store, &tenant, NULL, &host, 1), 0);
}
END_TEST

START_TEST(a_host_name_is_one_tenants)
{
	const struct tenant_host_name hosts[] = { { "a.test" }, { "b.test" } };
	struct system_tenant one = { .name = "one" }, two = { .name = "two" };

	ck_assert_int_eq(system_tenant_begin(&one, store, NULL), 0);
	ck_assert_int_eq(system_tenant_begin(&two, store, NULL), 0);
	ck_assert_int_eq(system_tenant_put(store, &one, NULL, hosts, 2), 0);
	ck_assert_int_eq(system_tenant_put(store, &two, NULL, hosts, 1),
	    ERR_CONFLICT);
	/* Those that are given replace all. */
	ck_assert_int_eq(system_tenant_put(store, &one, NULL, hosts + 1, 1), 0);
	ck_assert_int_eq(system_tenant_put(store, &two, NULL, hosts, 1), 0);
}
END_TEST

static void
add_contact(const char *tenant, const char *name, const char *mail)
{
	struct tenant_profile profile = { .partnerName = "Audi",
		.tier = "gold" };
	struct system_tenant facts = { .created_at = 1 };

	snprintf(facts.name, sizeof facts.name, "%s", tenant);
	snprintf(profile.contactInfo.name, sizeof profile.contactInfo.name,
	    "%s", name);
	snprintf(profile.contactInfo.email, sizeof profile.contactInfo.email,
	    "%s", mail);
	strcpy(profile.contactInfo.phone, "+49 711 1");
	strcpy(profile.contactInfo.address, "Stuttgart");
	ck_assert_int_eq(system_tenant_begin(&facts, store, &profile), 0);
}

START_TEST(a_contact_is_found_by_his_whole_name_or_mail_and_by_no_part_of_it)
{
	static const char *const his[] = { "Erika Mustermann",
		"erika mustermann", " ERIKA MUSTERMANN ", "E.M@Audi.test" };
	static const char *const others[] = { "", " ", "Erika", "Mustermann",
		"Erika Mustermanne", "rika Mustermann", "e.m@audi.tes",
		"+49 711 1", "Stuttgart", "Audi", "gold" };
	struct tenant_contact found;

	add_contact("audi", "Erika Mustermann", "e.m@audi.test");
	add_contact("empty", "", "");
	for (size_t i = 0; i < sizeof his / sizeof his[0]; i++) {
		memset(&found, 0, sizeof found);
		ck_assert_int_eq(system_contact_find(&found, store, "audi",
				     his[i]),
		    0);
		ck_assert_str_eq(found.phone, "+49 711 1");
		ck_assert_int_eq(system_contact_find(&found, store, "empty",
				     his[i]),
		    ERR_NOT_FOUND);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		ck_assert_int_eq(system_contact_find(&found, store, "audi",
				     others[i]),
		    ERR_NOT_FOUND);
		ck_assert_int_eq(system_contact_find(&found, store, "empty",
				     others[i]),
		    ERR_NOT_FOUND);
		ck_assert_int_eq(system_contact_erase(store, "audi", others[i]),
		    ERR_NOT_FOUND);
	}
	ck_assert_int_eq(system_contact_find(&found, store, "nobody", his[0]),
	    ERR_NOT_FOUND);
}
END_TEST

START_TEST(an_erased_contact_is_gone_alone_and_stays_so_when_it_is_said_again)
{
	static const struct tenant_change change = { .tier = "silver" };
	struct tenant_profile profile;
	struct tenant_contact found;
	struct system_tenant facts;

	add_contact("audi", "Erika Mustermann", "e.m@audi.test");
	add_contact("bmw", "Erika Mustermann", "other@bmw.test");
	ck_assert_int_eq(system_contact_erase(store, "audi", "e.m@audi.test"),
	    0);
	ck_assert_int_eq(system_contact_erase(store, "audi", "e.m@audi.test"),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(system_contact_find(&found, store, "audi",
			     "Erika Mustermann"),
	    ERR_NOT_FOUND);
	/* What else is known of the tenant stays, and a later change of that
	 * brings nobody back. */
	ck_assert_int_eq(system_tenant_load(&facts, store, "audi"), 0);
	ck_assert_int_eq(system_tenant_put(store, &facts, &change, NULL, 0), 0);
	memset(&profile, 0, sizeof profile);
	ck_assert_int_eq(system_profile_load(&profile, store, "audi"), 0);
	ck_assert_str_eq(profile.partnerName, "Audi");
	ck_assert_str_eq(profile.tier, "silver");
	ck_assert_str_eq(profile.contactInfo.name, "");
	ck_assert_str_eq(profile.contactInfo.email, "");
	ck_assert_str_eq(profile.contactInfo.phone, "");
	ck_assert_str_eq(profile.contactInfo.address, "");
	ck_assert_int_eq(system_contact_find(&found, store, "bmw",
			     "Erika Mustermann"),
	    0);
}
END_TEST

/* --- rows that a journal is owed ---------------------------------------------- */

static uint64_t seen[SYSTEM_OWED_MAX + 1];
static size_t n_seen;

static int
see(void *ctx, const struct system_owed *owed)
{
	(void)ctx;
	ck_assert_uint_lt(n_seen, sizeof seen / sizeof seen[0]);
	ck_assert_str_eq(owed->reason, "Erika has not paid");
	ck_assert_uint_eq(owed->by.id, 7);
	seen[n_seen++] = owed->revision;
	return 0;
}

static size_t
owed_after(const char *name, uint64_t revision)
{
	n_seen = 0;
	ck_assert_int_eq(system_each_owed(store, name, revision, see, NULL), 0);
	for (size_t i = 0; i < n_seen; i++)
		ck_assert_uint_eq(seen[i], seen[0] + i);
	return n_seen;
}

static int
owe(const char *name, uint64_t revision)
{
	struct system_owed owed = { .revision = revision,
		.at = 1,
		.status = TENANT_SUSPENDED,
		.reason = "Erika has not paid",
		.by = { ACTOR_ADMIN, 7 } };
	struct system_tenant tenant;

	ck_assert_int_eq(system_tenant_load(&tenant, store, name), 0);
	tenant.revision = revision;
	return system_tenant_change(store, &tenant, NULL, NULL, 0, &owed);
}

START_TEST(rows_that_are_owed_come_in_order_and_of_one_tenant_alone)
{
	struct system_tenant tenant;

	/* Names that begin alike. */
	ck_assert_int_eq(system_tenant_add(store, "a", 1), 0);
	ck_assert_int_eq(system_tenant_add(store, "a-b", 1), 0);
	ck_assert_int_eq(system_tenant_add(store, "a0", 1), 0);
	ck_assert_uint_eq(owed_after("a", 0), 0);
	for (uint64_t i = 1; i <= SYSTEM_OWED_MAX; i++)
		ck_assert_int_eq(owe("a", i), 0);
	ck_assert_int_eq(owe("a-b", 3), 0);
	/* Too many: nothing is written. */
	ck_assert_int_eq(owe("a", SYSTEM_OWED_MAX + 1), ERR_BUSY);
	ck_assert_int_eq(system_tenant_load(&tenant, store, "a"), 0);
	ck_assert_uint_eq(tenant.revision, SYSTEM_OWED_MAX);
	ck_assert_uint_eq(owed_after("a", 0), SYSTEM_OWED_MAX);
	ck_assert_uint_eq(owed_after("a", 60), SYSTEM_OWED_MAX - 60);
	ck_assert_uint_eq(seen[0], 61);
	ck_assert_int_eq(system_owed_done(store, "a", 60), 0);
	ck_assert_int_eq(system_owed_done(store, "a", 60), 0);
	ck_assert_uint_eq(owed_after("a", 0), SYSTEM_OWED_MAX - 60);
	ck_assert_uint_eq(owed_after("a0", 0), 0);
	ck_assert_int_eq(system_tenant_delete(store, "a"), 0);
	ck_assert_uint_eq(owed_after("a", 0), 0);
	ck_assert_uint_eq(owed_after("a-b", 0), 1);
	ck_assert_uint_eq(owed_after("a-b", 3), 0);
}
END_TEST

/* --- the registry --------------------------------------------------------------- */

static struct tenant_entry *
add(struct tenants *tenants, const char *name)
{
	struct system_tenant facts = { .status = TENANT_ACTIVE };
	struct tenant_entry *entry;

	snprintf(facts.name, sizeof facts.name, "%s", name);
	ck_assert_int_eq(tenants_add(&entry, tenants, &facts), 0);
	return entry;
}

START_TEST(a_host_name_leads_to_its_tenant_and_any_other_to_default)
{
	struct tenants tenants = { .first = NULL };
	struct tenant_entry *plain = add(&tenants, "default");
	struct tenant_entry *mercedes = add(&tenants, "mercedes");

	ck_assert_int_eq(tenants_add_site_host(&tenants, "Site.Example"), 0);
	ck_assert_int_eq(tenants_add_site_host(&tenants, "*.site.example"), 0);
	ck_assert_int_eq(tenants_add_site_host(&tenants, "127.0.0.1"), 0);
	ck_assert_uint_eq(tenants.n_site_hosts, 1);
	ck_assert_int_eq(tenants_set_host(&tenants, mercedes,
			     "Lic.Mercedes.test"),
	    0);
	static const char *const its[] = { "mercedes.site.example",
		"MERCEDES.SITE.EXAMPLE.", "lic.mercedes.test" };
	static const char *const others[] = { "", ".", "site.example",
		"x.site.example", "mercedes", "mercedes.example",
		"a.mercedes.site.example", "mercedes.site.example.org",
		".site.example", "mercedes.site.example.." };

	for (size_t i = 0; i < sizeof its / sizeof its[0]; i++)
		ck_assert_ptr_eq(tenants_by_host(&tenants, its[i]), mercedes);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_ptr_eq(tenants_by_host(&tenants, others[i]), plain);
	tenants_remove(&tenants, mercedes);
	ck_assert_ptr_eq(tenants_by_host(&tenants, its[0]), plain);
	ck_assert_ptr_eq(tenants_by_host(&tenants, its[2]), plain);
	ck_assert_ptr_null(tenants_find(&tenants, "mercedes"));
	tenants_release(&tenants);
}
END_TEST

START_TEST(a_thousand_names_are_found_and_taken_out_in_any_order)
{
	struct tenants tenants = { .first = NULL };
	char name[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "tenant-%d", i);
		add(&tenants, name);
	}
	ck_assert_uint_eq(tenants.count, 1000);
	for (int i = 999; i >= 0; i -= 2) {
		snprintf(name, sizeof name, "tenant-%d", i);
		tenants_remove(&tenants, tenants_find(&tenants, name));
	}
	size_t n = 0;

	for (struct tenant_entry *e = tenants.first; e != NULL;
	     e = e->following)
		n++;
	ck_assert_uint_eq(n, 500);
	add(&tenants, "tenant-999");
	ck_assert_ptr_nonnull(tenants_find(&tenants, "tenant-998"));
	ck_assert_ptr_nonnull(tenants_find(&tenants, "tenant-999"));
	ck_assert_ptr_null(tenants_find(&tenants, "tenant-997"));
	tenants_release(&tenants);
}
END_TEST

START_TEST(names_that_could_be_anything_else_are_none)
{
	static const char *const good[] = { "a", "mercedes-benz", "7",
		"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd" };
	static const char *const bad[] = { "", "-a", "A", "a.b", "a/b", "..",
		"a b", "a_b", "\xc3\xa4",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddx" };

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert(system_tenant_is_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert(!system_tenant_is_valid(bad[i]));
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("tenants");
	TCase *tc = tcase_create("tenants");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_tenant_closes_and_opens_where_it_was);
	tcase_add_loop_test(tc, a_close_that_broke_off_is_none_or_done, 0, 2);
	tcase_add_loop_test(tc,
	    an_opening_that_broke_off_finds_nothing_wrong_the_next_time, 0, 2);
	tcase_add_test(tc,
	    a_journal_put_back_behind_its_note_is_found_and_stays_so);
	tcase_add_test(tc, a_system_store_put_back_behind_a_journal_is_found);
	tcase_add_test(tc,
	    a_journal_ahead_of_the_counter_shows_that_the_witness_was_put_back);
	tcase_add_test(tc, a_corrected_clock_is_owed_to_those_that_sleep);
	tcase_add_test(tc,
	    a_deleted_tenant_leaves_nothing_and_its_number_is_not_given_again);
	tcase_add_test(tc, a_host_name_is_one_tenants);
	tcase_add_test(tc,
	    rows_that_are_owed_come_in_order_and_of_one_tenant_alone);
	tcase_add_test(tc,
	    a_contact_is_found_by_his_whole_name_or_mail_and_by_no_part_of_it);
	tcase_add_test(tc,
	    an_erased_contact_is_gone_alone_and_stays_so_when_it_is_said_again);
	tcase_add_test(tc,
	    a_host_name_leads_to_its_tenant_and_any_other_to_default);
	tcase_add_test(tc,
	    a_thousand_names_are_found_and_taken_out_in_any_order);
	tcase_add_test(tc, names_that_could_be_anything_else_are_none);
	suite_add_tcase(s, tc);
	return s;
}
