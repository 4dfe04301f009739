/* A tenant's store made beside the one in use, and the two exchanged: what is
 * wrong with a copy, and what a crash at each step leaves. */
#include "appliance/ledger/keys.h"
#include "appliance/ledger/person_key.h"
#include "appliance/ledger/tenant_restore.h"
#include "appliance/setup/restore_beside.h"
#include "appliance/setup/tenant.h"
#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char state[64];
static struct ledger_process_options options;
static struct process *process;
static uint8_t site_secret[64], key[SETUP_KEY_BYTES];
static struct buf dump;

static bool
is_there(const char *name)
{
	char path[SETUP_PATH_MAX];

	ck_assert_int_eq(setup_path(path, state, name), 0);
	return access(path, F_OK) == 0;
}

/* --- the store in use ------------------------------------------------------- */

static struct ledger *
open_ledger(void)
{
	static char path[SETUP_PATH_MAX];
	struct ledger *ledger = NULL;

	ck_assert_int_eq(setup_path(path, state, "tenants/one/ledger"), 0);
	const struct ledger_options of = {
		.path = path,
		.site = "site-x",
		.tenant = "one",
		.site_public = site_secret + 32,
		.site_secret = site_secret,
		.tenant_key = key,
	};

	ck_assert_int_eq(ledger_open(&ledger, &of), 0);
	return ledger;
}

static struct row_mark
mark_now(void)
{
	struct ledger *ledger = open_ledger();
	struct ledger_view *view;
	struct row_mark mark;
	char words[200] = "";

	ck_assert_int_eq(ledger_view_open(&view, ledger), 0);
	ck_assert_int_eq(ledger_mark(&mark, view), 0);
	ck_assert_int_eq(ledger_check(view, words, sizeof(words)), 0);
	ledger_view_close(view);
	ledger_close(ledger);
	return mark;
}

/* Something happens there. */
static void
go_on(const char *name)
{
	struct ledger *ledger = open_ledger();
	char text[KEY_TEXT_SIZE];
	uint64_t device;

	ck_assert_int_eq(process_key_create(text, &device, ledger, "one", name,
			     SCOPE_BIT(SCOPE_READ), 1000),
	    0);
	ledger_close(ledger);
}

static int
put(void *ctx, const void *data, size_t len)
{
	buf_add(ctx, data, len);
	return 0;
}

static void
seal(struct dump_writer *out, const char *entry, const void *secret, size_t len)
{
	uint8_t sealed[256];

	ck_assert_uint_le(len + DUMP_SEALED_EXTRA, sizeof(sealed));
	ck_assert_int_eq(dump_seal(sealed, secret, len, "one", entry,
			     site_secret),
	    0);
	ck_assert_int_eq(dump_entry(out, entry, strlen(entry), sealed,
			     len + DUMP_SEALED_EXTRA),
	    0);
}

static void
take_dump(void)
{
	uint8_t *people = sodium_malloc(LEDGER_PERSON_KEY_BYTES);
	struct ledger *ledger = open_ledger();
	struct dump_writer out;
	struct ledger_view *view;

	buf_clear(&dump);
	ck_assert_int_eq(ledger_view_open(&view, ledger), 0);
	ck_assert_int_eq(ledger_person_key(people, view), 0);
	ck_assert_int_eq(dump_begin(&out, put, &dump), 0);
	ck_assert_int_eq(dump_table(&out, DUMP_KEY_TABLE), 0);
	seal(&out, DUMP_KEY, key, sizeof(key));
	seal(&out, DUMP_PEOPLE_KEY, people, LEDGER_PERSON_KEY_BYTES);
	ck_assert_int_eq(ledger_dump(&out, view), 0);
	ck_assert_int_eq(dump_end(&out), 0);
	ck_assert(!dump.failed);
	ledger_view_close(view);
	ledger_close(ledger);
	sodium_free(people);
}

static void
make_folder(const char *name)
{
	char path[SETUP_PATH_MAX];

	ck_assert_int_eq(setup_path(path, state, name), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void
setup(void)
{
	uint8_t public_key[32], hash_key[32] = { 1 };
	char path[SETUP_PATH_MAX];

	strcpy(state, "/tmp/check_restore.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(state));
	make_folder("keys");
	make_folder("system");
	make_folder("tenants");
	crypto_sign_keypair(public_key, site_secret);
	process = calloc(1, sizeof(*process));
	options = (struct ledger_process_options){ .state = state };
	process->options = &options;
	process->secret = site_secret;
	process->site_keys = site_keys_one(site_secret + 32);
	text_copy(process->site.site, sizeof(process->site.site), "site-x");
	ck_assert_int_eq(setup_path(path, state, "system"), 0);
	ck_assert_int_eq(system_create(path), 0);
	ck_assert_int_eq(system_open(&process->system, path, hash_key), 0);
	ck_assert_int_eq(setup_tenant_make(&(struct setup_tenant){
			     .state = state,
			     .name = "one",
			     .site = "site-x",
			     .secret = site_secret,
			     .now_ms = 1,
			 }),
	    0);
	ck_assert_int_eq(setup_key(key, state, "one"), 0);
	go_on("before");
	take_dump();
}

static void
teardown(void)
{
	buf_release(&dump);
	system_close(process->system);
	free(process);
	test_remove(state);
}

/* --- making it beside --------------------------------------------------------- */

static int
make_of(const char *site, const char *tenant, uint8_t *secret,
    const struct buf *bytes, const char *words)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
	ck_assert_int_eq(fflush(file), 0);
	struct setup_beside beside = {
		.state = state,
		.site = site,
		.secret = secret,
		.tenant = tenant,
		.fd = fileno(file),
		.bytes = bytes->len,
	};
	int err = setup_beside_make(&beside);

	fclose(file);
	ck_assert_msg(strstr(beside.words, words) != NULL, "%s: %s", words,
	    beside.words);
	/* All or nothing; and the one in use is never touched. */
	ck_assert_int_eq(is_there("tenants/one.restore"),
	    err == 0 && strcmp(tenant, "one") == 0);
	return err;
}

static int
make(const char *words)
{
	return make_of("site-x", "one", site_secret, &dump, words);
}

START_TEST(a_copy_is_made_beside_and_its_key_in_no_file)
{
	struct row_mark before = mark_now();

	ck_assert_int_eq(make(""), 0);
	ck_assert(is_there("tenants/one.restore/tenants/one/ledger/data.mdb"));
	ck_assert(!is_there("tenants/one.restore/keys"));
	ck_assert(!is_there("tenants/one.restore/folded"));
	ck_assert_mem_eq(before.head, mark_now().head, 32);
	/* What is left of an earlier attempt is no matter. */
	ck_assert_int_eq(make(""), 0);
	ck_assert_int_eq(setup_beside_clear(state, "one"), 0);
	ck_assert(!is_there("tenants/one.restore"));
}
END_TEST

START_TEST(a_copy_that_was_cut_off_or_changed_is_refused)
{
	struct buf bad = { 0 };

	for (int part = 1; part < 8; part++) {
		buf_clear(&bad);
		buf_add(&bad, dump.data, dump.len * (size_t)part / 8);
		ck_assert_int_ne(make_of("site-x", "one", site_secret, &bad,
				     ""),
		    0);
		buf_clear(&bad);
		buf_add(&bad, dump.data, dump.len);
		bad.data[bad.len * (size_t)part / 8] ^= 1;
		ck_assert_int_ne(make_of("site-x", "one", site_secret, &bad,
				     ""),
		    0);
	}
	buf_release(&bad);
}
END_TEST

START_TEST(a_copy_of_another_site_or_tenant_is_refused)
{
	uint8_t public_key[32], other[64];

	crypto_sign_keypair(public_key, other);
	ck_assert_int_ne(make_of("site-x", "one", other, &dump,
			     "not sealed by this site"),
	    0);
	ck_assert_int_ne(make_of("site-x", "two", site_secret, &dump,
			     "not sealed by this site for this tenant"),
	    0);
	ck_assert_int_ne(make_of("site-y", "one", site_secret, &dump,
			     "site site-x"),
	    0);
}
END_TEST

START_TEST(a_tenant_that_was_made_again_under_the_name_is_not_replaced)
{
	ck_assert_int_eq(setup_tenant_make(&(struct setup_tenant){
			     .state = state,
			     .name = "one",
			     .site = "site-x",
			     .secret = site_secret,
			     .now_ms = 2,
			 }),
	    0);
	ck_assert_int_eq(make("another key"), ERR_MISMATCH);
}
END_TEST

/* The same dump, but for one entry of one table: without it, or with one bit of
 * its value changed, from the end. */
struct forging {
	struct dump_writer out;
	char table[32];
	const char *wanted;
	size_t bit; /* 0: it is left out */
	bool changed;
};

static int
copy_table(void *ctx, const char *name)
{
	struct forging *forging = ctx;

	text_copy(forging->table, sizeof(forging->table), name);
	return dump_table(&forging->out, name);
}

static int
copy_entry(void *ctx, const void *k, size_t key_len, const void *v, size_t len)
{
	struct forging *forging = ctx;

	if (strcmp(forging->table, forging->wanted) == 0 && !forging->changed) {
		uint8_t copy[4096];

		forging->changed = true;
		if (forging->bit == 0 || forging->bit / 8 >= len)
			return 0;
		ck_assert_uint_le(len, sizeof(copy));
		memcpy(copy, v, len);
		copy[len - 1 - forging->bit / 8] ^=
		    (uint8_t)(1 << forging->bit % 8);
		return dump_entry(&forging->out, k, key_len, copy, len);
	}
	return dump_entry(&forging->out, k, key_len, v, len);
}

static void
forge(const char *table, size_t bit)
{
	struct forging forging = { .wanted = table, .bit = bit };
	const struct dump_callbacks callbacks = { &forging, copy_table,
		copy_entry };
	struct dump_reader *reader = dump_reader_new(&callbacks);
	struct buf forged = { 0 };

	ck_assert_int_eq(dump_begin(&forging.out, put, &forged), 0);
	ck_assert_int_eq(dump_feed(reader, dump.data, dump.len), 0);
	ck_assert_int_eq(dump_finish(reader), 0);
	ck_assert_int_eq(dump_end(&forging.out), 0);
	dump_reader_free(reader);
	ck_assert_msg(forging.changed, "there is no %s", table);
	ck_assert_msg(make_of("site-x", "one", site_secret, &forged, "") != 0,
	    "%s without bit %zu is taken", table, bit);
	buf_release(&forged);
}

START_TEST(a_store_that_its_journal_does_not_say_is_refused)
{
	static const char *const tables[] = { "devices", "keys", "key_hashes",
		"counters", "batches", DUMP_KEY_TABLE };

	forge(tables[_i], 0);
}
END_TEST

START_TEST(no_bit_of_a_keys_state_is_believed)
{
	for (size_t bit = 1; bit < 200; bit += 7)
		forge("keys", bit);
}
END_TEST

/* --- exchanging ----------------------------------------------------------------- */

static int
stop_at(void *ctx, const char *step)
{
	return strcmp(ctx, step) == 0 ? ERR_UNAVAILABLE : 0;
}

START_TEST(a_crash_at_each_step_leaves_the_old_or_the_new_store)
{
	static const struct {
		char step[16];
		bool is_new;
	} cases[] = { { "row", false }, { "carry", false }, { "note", false },
		{ "exchange", false }, { "settle", true }, { "", true } };
	bool is_new = cases[_i].is_new;
	char at[16];
	struct row_mark anchor;

	text_copy(at, sizeof(at), cases[_i].step);
	ck_assert_int_eq(make(""), 0);
	struct row_mark copied = mark_now();

	go_on("after");
	struct row_mark ticked = mark_now();

	/* As after a tick; what came behind it is lost too. */
	ck_assert_int_eq(system_restore_end(process->system, "one", &ticked),
	    0);
	go_on("behind");
	struct row_mark until_now = mark_now();

	struct tenant_exchange exchange = {
		.process = process,
		.name = "one",
		.key = key,
		.who = { .kind = ACTOR_ADMIN, .id = 1 },
		.reason = "a test",
		.counter = 7,
		.until_now = until_now,
		.fault = stop_at,
		.fault_ctx = at,
	};

	ck_assert_int_eq(tenant_exchange(&exchange),
	    at[0] == '\0' ? 0 : ERR_UNAVAILABLE);
	/* The next start. */
	ck_assert_int_eq(tenant_restore_clear(process, "one"), 0);
	ck_assert(!is_there("tenants/one.restore"));
	ck_assert_int_eq(system_restore_load(&anchor, process->system, "one"),
	    ERR_NOT_FOUND);
	struct row_mark now = mark_now();

	ck_assert_uint_eq(now.generation, is_new ? 2 : 1);
	ck_assert_mem_eq(now.head, is_new ? exchange.now.head : until_now.head,
	    32);
	/* What is in place is what the next start expects there. */
	ck_assert_int_eq(system_anchor_load(&anchor, process->system, "one"),
	    0);
	ck_assert_mem_eq(anchor.head, is_new ? now.head : ticked.head, 32);
	ck_assert_mem_eq(exchange.copied.head, copied.head, 32);
	if (is_new)
		ck_assert_mem_eq(exchange.lost.head, until_now.head, 32);
	/* And it is written to. */
	go_on("later");
}
END_TEST

static void
command_do(struct command *command, uint32_t op, const void *request)
{
	struct ledger *ledger = open_ledger();
	struct command *commands[] = { command };

	*command = (struct command){ .op = op,
		.who = { .kind = ACTOR_ADMIN, .id = 1 },
		.request = request };
	randombytes_buf(command->entropy, sizeof(command->entropy));
	ck_assert_int_eq(ledger_commit(ledger, commands, 1, 2000, NULL), 0);
	ck_assert_msg(command->err == 0, "%s", command->problem.detail);
	arena_release(&command->arena);
	ledger_close(ledger);
}

static void
revoke_one(uint64_t device, const char *reason)
{
	struct device_revoke request = { .device = device };
	struct command command;

	text_copy(request.reason, sizeof(request.reason), reason);
	command_do(&command, OP_DEVICE_REVOKE, &request);
}

static uint64_t
make_user(const char *login)
{
	struct ledger_user request = { .what = LEDGER_USER_CREATE,
		.role = USER_VIEWER,
		.hash = "$argon2id$none",
		.one_time = true };
	struct command command;

	text_copy(request.login, sizeof(request.login), login);
	text_copy(request.name, sizeof(request.name), login);
	command_do(&command, LEDGER_USER, &request);
	return command.reply.user_created.user.user;
}

static void
erase(const char *name)
{
	struct person_erase request = { .mentions = true };
	struct command command;

	text_copy(request.name, sizeof(request.name), name);
	command_do(&command, OP_PERSON_ERASE, &request);
}

static uint32_t
count_named(const char *name)
{
	struct person_query request = { .mentions = true };
	struct ledger *ledger = open_ledger();
	struct person_page page;
	struct problem problem;
	struct arena arena = { 0 };
	struct ledger_view *view;

	text_copy(request.name, sizeof(request.name), name);
	ck_assert_int_eq(ledger_view_open(&view, ledger), 0);
	ck_assert_int_eq(ledger_query(&page, view, OP_PERSON_FIND, &request,
			     3000, &arena, &problem),
	    0);
	ledger_view_close(view);
	ledger_close(ledger);
	uint32_t n = page.items.count;

	arena_release(&arena);
	return n;
}

static uint32_t
user_state(uint64_t user)
{
	struct ledger *ledger = open_ledger();
	struct ledger_login login = { 0 };
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, ledger), 0);
	int err = ledger_login_of(&login, view, user);

	ledger_view_close(view);
	ledger_close(ledger);
	return err == 0 ? login.state : USER_REMOVED;
}

static void
set_user(uint64_t user, enum user_state to)
{
	struct ledger_user request = { .what = LEDGER_USER_STATE,
		.user = user,
		.state = to };
	struct command command;

	command_do(&command, LEDGER_USER, &request);
}

START_TEST(who_was_erased_or_revoked_since_stays_so)
{
	uint64_t quandt, weiss, lang;

	/* In the copy: three devices of class key (one of setup), of which one
	 * was revoked for a reason that names somebody; three accounts. */
	go_on("second");
	go_on("third");
	revoke_one(2, "was Quandt's");
	quandt = make_user("quandt");
	weiss = make_user("weiss");
	lang = make_user("lang");
	take_dump();
	/* And since. */
	erase("quandt");
	revoke_one(3, "it leaked");
	set_user(weiss, USER_REMOVED);
	set_user(lang, USER_DISABLED);
	ck_assert_int_eq(make(""), 0);
	struct tenant_exchange exchange = {
		.process = process,
		.name = "one",
		.key = key,
		.who = { .kind = ACTOR_ADMIN, .id = 1 },
		.reason = "a test",
		.counter = 7,
		.until_now = mark_now(),
	};

	ck_assert_int_eq(tenant_exchange(&exchange), 0);
	ck_assert_uint_eq(mark_now().generation, 2);
	ck_assert_uint_eq(exchange.carried.subjects, 1);
	ck_assert_uint_eq(exchange.carried.erased_users, 1);
	ck_assert_uint_eq(exchange.carried.users, 2);
	ck_assert_uint_eq(exchange.carried.keys, 1);
	ck_assert_uint_eq(exchange.carried.devices, 0);
	ck_assert_uint_eq(count_named("quandt"), 0);
	ck_assert_uint_eq(user_state(quandt), USER_REMOVED);
	ck_assert_uint_eq(user_state(weiss), USER_REMOVED);
	ck_assert_uint_eq(user_state(lang), USER_DISABLED);
	/* Its journal says all of it: a copy of it is what it folds to. */
	ck_assert_int_eq(setup_beside_clear(state, "one"), 0);
	take_dump();
	ck_assert_int_eq(make(""), 0);
	/* And it is erased in a copy that is put back once more. */
	exchange.until_now = mark_now();
	ck_assert_int_eq(tenant_exchange(&exchange), 0);
	ck_assert_uint_eq(exchange.carried.subjects, 0);
	ck_assert_uint_eq(exchange.carried.keys, 0);
	ck_assert_uint_eq(count_named("quandt"), 0);
}
END_TEST

START_TEST(nothing_is_lost_where_the_copy_is_the_newest)
{
	ck_assert_int_eq(make(""), 0);
	struct tenant_exchange exchange = {
		.process = process,
		.name = "one",
		.key = key,
		.who = { .kind = ACTOR_ADMIN, .id = 1 },
		.reason = "a test",
		.counter = 7,
		.until_now = mark_now(),
	};

	ck_assert_int_eq(tenant_exchange(&exchange), 0);
	ck_assert_uint_eq(exchange.lost.generation, 0);
	ck_assert_uint_eq(mark_now().generation, 2);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("restore");
	TCase *tc = tcase_create("restore");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_copy_is_made_beside_and_its_key_in_no_file);
	tcase_add_test(tc, a_copy_that_was_cut_off_or_changed_is_refused);
	tcase_add_test(tc, a_copy_of_another_site_or_tenant_is_refused);
	tcase_add_test(tc,
	    a_tenant_that_was_made_again_under_the_name_is_not_replaced);
	tcase_add_loop_test(tc,
	    a_store_that_its_journal_does_not_say_is_refused, 0, 6);
	tcase_add_test(tc, no_bit_of_a_keys_state_is_believed);
	tcase_add_loop_test(tc,
	    a_crash_at_each_step_leaves_the_old_or_the_new_store, 0, 6);
	tcase_add_test(tc, who_was_erased_or_revoked_since_stays_so);
	tcase_add_test(tc, nothing_is_lost_where_the_copy_is_the_newest);
	suite_add_tcase(s, tc);
	return s;
}
