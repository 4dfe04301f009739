/* One person's data: API keys that name him are shown to him, and lose his name
 * when he is erased, though what they are bound to stays; and an export leaves
 * nothing out, however much of it stands in one place. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_key.h"
#include "appliance/ledger/person_key.h"
#include "appliance/ledger/restrict.h"
#include "shared/journal/erasure.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PRODUCT "davinci-configurator-se"
#define NAME "Anneliese.Quandt"
#define MANY 1000

static struct world world;

static void
set_up(void)
{
	world_init(&world, 91);
	world.options.volatile_ = false;
	world_reopen(&world);
}

static void
tear_down(void)
{
	world_check_folded(&world);
	world_free(&world);
}

/* --- makers ----------------------------------------------------------------- */

static uint64_t
put_key(const struct key_document *document)
{
	struct ledger_key_create request = { .scopes = SCOPE_BIT(SCOPE_READ) };
	struct buf bytes = { .len = 0 };

	world_random(&world, request.hash, sizeof request.hash);
	record_write_msgpack(&bytes, &key_document_record, document);
	ck_assert(!bytes.failed);
	snprintf(request.name, sizeof request.name, "%s", document->app_name);
	request.document =
	    (struct record_span){ bytes.data, (uint32_t)bytes.len };
	struct command command =
	    world_command(&world, LEDGER_KEY_CREATE, ACTOR_ADMIN, 1, &request);

	ck_assert_int_eq(world_do(&world, &command), 0);
	uint64_t device = command.reply.key.device;

	arena_release(&command.arena);
	buf_release(&bytes);
	return device;
}

static uint64_t
put_key_for(const char *app, const char *contact)
{
	struct key_document document = { .app_name = "" };

	snprintf(document.app_name, sizeof document.app_name, "%s", app);
	snprintf(document.metadata.contact, sizeof document.metadata.contact,
	    "%s", contact);
	return put_key(&document);
}

/* Bound to his machine, by name, address and certificate. */
static uint64_t
put_bound_key(const char *host, const char *address)
{
	struct key_host hosts[2] = { { "build.example" }, { "" } };
	struct key_range ranges[1] = { { "" } };
	struct key_document document = {
		.app_name = "desktop",
		.metadata = { .department = "tools" },
		.restrictions = { .allowed_hostnames = { hosts, 2 },
		    .allowed_ip_ranges = { ranges, 1 } },
	};

	snprintf(hosts[1].host, sizeof hosts[1].host, "%s", host);
	snprintf(ranges[0].range, sizeof ranges[0].range, "%s", address);
	snprintf(document.metadata.hostname, sizeof document.metadata.hostname,
	    "%s", host);
	snprintf(document.restrictions.client_cert_cn,
	    sizeof document.restrictions.client_cert_cn, "%s", host);
	return put_key(&document);
}

static struct person_erase
whom(const char *name, bool hosts, bool mentions)
{
	struct person_erase request = { .hosts = hosts,
		.mentions = mentions,
		.force = true };

	snprintf(request.name, sizeof request.name, "%s", name);
	return request;
}

static int
erase_as(struct command *command, const struct person_erase *request)
{
	*command =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, request);
	return world_do(&world, command);
}

static int
erase(const char *name)
{
	struct person_erase request = whom(name, false, false);
	struct command command;
	int err = erase_as(&command, &request);

	arena_release(&command.arena);
	return err;
}

/* The document's lists are in the arena. */
static void
read_key(struct key_document *document, struct ledger_key *key, uint64_t number,
    struct arena *arena)
{
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_key(key, view, number), 0);
	ck_assert_int_eq(ledger_key_document(document, view, key, arena), 0);
	ledger_view_close(view);
}

static void
is_called(uint64_t number, const char *app, const char *contact)
{
	struct key_document document;
	struct ledger_key key;
	struct arena arena = { .chunks = NULL };

	read_key(&document, &key, number, &arena);
	ck_assert_str_eq(document.app_name, app);
	ck_assert_str_eq(document.metadata.contact, contact);
	arena_release(&arena);
}

static size_t
count_in_store(const void *bytes, size_t len)
{
	DIR *dir = opendir(world.path);
	const struct dirent *entry;
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[400];
		struct stat st;

		snprintf(path, sizeof path, "%s/%s", world.path, entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (entry->d_name[0] == '.' || fd < 0)
			continue;
		ck_assert_int_eq(fstat(fd, &st), 0);
		uint8_t *data = malloc((size_t)st.st_size + 1);
		ssize_t size = pread(fd, data, (size_t)st.st_size, 0);
		const uint8_t *at = data, *end = data + size;

		ck_assert_int_eq(size, st.st_size);
		while (
		    (at = memmem(at, (size_t)(end - at), bytes, len)) != NULL) {
			at += len;
			n++;
		}
		free(data);
		close(fd);
	}
	closedir(dir);
	return n;
}

/* --- export ------------------------------------------------------------------ */

struct whole {
	uint32_t subjects, users, keys, leases, rows, pages;
	uint64_t last_row, last_key, last_user;
};

static void
note_documents(struct whole *whole, const struct person_data *data)
{
	const struct person_document *items = data->documents.items;

	for (uint32_t i = 0; i < data->documents.count; i++) {
		bool key = strcmp(items[i].kind, "key") == 0;
		uint64_t *last = key ? &whole->last_key : &whole->last_user;

		ck_assert(key || strcmp(items[i].kind, "user") == 0);
		ck_assert_uint_gt(items[i].number, *last);
		*last = items[i].number;
		whole->keys += key;
		whole->users += !key;
	}
}

static struct whole export(struct person_export request)
{
	struct whole whole = { .pages = 0 };
	struct arena arena = { .chunks = NULL };
	struct person_data data;
	struct problem problem;

	do {
		struct ledger_view *view;

		arena_clear(&arena);
		ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
		ck_assert_int_eq(ledger_query(&data, view, OP_PERSON_EXPORT,
				     &request, world.now, &arena, &problem),
		    0);
		const struct person_row *rows = data.rows.items;

		for (uint32_t i = 0; i < data.rows.count; i++) {
			ck_assert_uint_gt(rows[i].row, whole.last_row);
			whole.last_row = rows[i].row;
		}
		note_documents(&whole, &data);
		whole.subjects += data.subjects.count;
		whole.leases += data.leases.count;
		whole.rows += data.rows.count;
		ck_assert_str_ne(data.cursor, request.cursor);
		memcpy(request.cursor, data.cursor, sizeof request.cursor);
		ck_assert_uint_lt(++whole.pages, 2000);
		ledger_view_close(view);
	} while (data.cursor[0] != '\0');
	arena_release(&arena);
	return whole;
}

static struct whole
export_of(const char *name, bool hosts, bool mentions)
{
	struct person_export request = { .hosts = hosts, .mentions = mentions };

	snprintf(request.name, sizeof request.name, "%s", name);
	return export(request);
}

/* More of one batch than a page holds. */
START_TEST(thousand_rows_of_one_batch_are_all_exported)
{
	static struct checkout asked[MANY];
	static struct command commands[MANY], *all[MANY];
	struct license license = world_license(&world, PRODUCT, MANY, 0);
	uint64_t device = 0;

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
	for (size_t i = 0; i < MANY; i++) {
		asked[i] = world_checkout_body(&world, PRODUCT, NAME);
		commands[i] = world_command(&world, OP_LEASE_CHECKOUT,
		    ACTOR_DEVICE, device, &asked[i]);
		all[i] = &commands[i];
	}
	ck_assert_int_eq(ledger_commit(world.ledger, all, MANY, world.now,
			     NULL),
	    0);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_int_eq(commands[i].err, 0);
		arena_release(&commands[i].arena);
	}
	struct whole whole = export_of(NAME, false, false);

	/* The row that introduced him, and a grant each. */
	ck_assert_uint_eq(whole.rows, MANY + 1);
	ck_assert_uint_eq(whole.leases, MANY);
	ck_assert_uint_eq(whole.subjects, 1);
}
END_TEST

/* A page that is full where a batch ends goes on with the next one's first. */
START_TEST(pages_that_end_where_batches_do_lose_nothing)
{
	struct license license = world_license(&world, PRODUCT, 700, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	uint64_t device = world_device(&world, "ws-1");

	for (size_t i = 0; i < 600; i++) {
		struct checkout asked =
		    world_checkout_body(&world, PRODUCT, NAME);
		struct command command;

		ck_assert_int_eq(world_checkout(&world, &command, device,
				     &asked),
		    0);
		arena_release(&command.arena);
	}
	ck_assert_uint_eq(export_of(NAME, false, false).rows, 601);
}
END_TEST

START_TEST(more_accounts_and_keys_than_a_page_holds_are_exported)
{
	struct ledger_user request = {
		.what = LEDGER_USER_CREATE,
		.role = USER_VIEWER,
		.hash = "$argon2id$...",
		.name = NAME,
	};

	for (int i = 0; i < 2 * ERASURE_USERS_MAX + 3; i++) {
		struct command command;

		snprintf(request.login, sizeof request.login, "quandt-%d", i);
		command = world_command(&world, LEDGER_USER, ACTOR_ADMIN, 1,
		    &request);
		ck_assert_int_eq(world_do(&world, &command), 0);
		arena_release(&command.arena);
	}
	for (int i = 0; i < ERASURE_KEYS_MAX + 9; i++) {
		char app[32];

		snprintf(app, sizeof app, "program-%d", i);
		put_key_for(app, i % 2 == 0 ? NAME : "anneliese.quandt");
		put_key_for(app, "somebody else");
	}
	struct whole whole = export_of(NAME, false, false);

	ck_assert_uint_eq(whole.users, 2 * ERASURE_USERS_MAX + 3);
	ck_assert_uint_eq(whole.keys, ERASURE_KEYS_MAX + 9);
	ck_assert_uint_eq(whole.rows, 0);
}
END_TEST

START_TEST(keys_that_name_him_are_those_and_no_others)
{
	put_key_for("a", "Anneliese Quandt <a.quandt@plant.example>");
	put_key_for("b", "ba.quandt@plant.example");
	put_key_for("c", "ask Anneliese Quandt, or Bob");
	put_bound_key("quandt-pc.example", "192.0.2.7");
	ck_assert_uint_eq(export_of("a.quandt@plant.example", 0, 0).keys, 1);
	ck_assert_uint_eq(export_of("anneliese quandt", 0, 0).keys, 1);
	ck_assert_uint_eq(export_of("Anneliese", 0, 0).keys, 0);
	ck_assert_uint_eq(export_of("Anneliese", 0, 1).keys, 2);
	ck_assert_uint_eq(export_of("quandt", 0, 1).keys, 4);
	ck_assert_uint_eq(export_of("quandt-pc.example", 1, 0).keys, 1);
	ck_assert_uint_eq(export_of("192.0.2.7", 1, 0).keys, 1);
	ck_assert_uint_eq(export_of("192.0.2.7", 0, 0).keys, 0);
	ck_assert_uint_eq(export_of("tools", 0, 0).keys, 1);
	ck_assert_uint_eq(export_of("b", 0, 0).keys, 1);
}
END_TEST

/* --- erasure ------------------------------------------------------------------ */

START_TEST(key_that_named_him_goes_on_without_his_name)
{
	struct person_erase request = whom(NAME, false, false);
	uint64_t his = put_key_for("tool", NAME);
	uint64_t other = put_key_for("other", "bob");
	uint64_t called = put_key_for(NAME, "bob");
	struct ledger_key before, after;
	struct key_document document;
	struct erasure read;
	struct command command;
	struct arena arena = { .chunks = NULL };

	read_key(&document, &before, his, &arena);
	ck_assert_int_eq(erase_as(&command, &request), 0);
	const struct person_erased *reply = &command.reply.person_erased;

	ck_assert_uint_eq(reply->keys, 2);
	ck_assert_uint_eq(reply->contacts, 0);
	/* What a key is called by is also the name of the device that it is. */
	ck_assert_uint_eq(reply->subjects.count, 1);
	ck_assert_int_eq(erasure_verify(&read, reply->document.data,
			     reply->document.len, world.site_public, &arena,
			     NULL),
	    0);
	ck_assert_uint_eq(read.keys, 2);
	arena_release(&command.arena);
	is_called(his, "tool", "erased");
	is_called(called, "erased", "bob");
	is_called(other, "other", "bob");
	/* The key itself is as it was, but for its document. */
	read_key(&document, &after, his, &arena);
	ck_assert_mem_ne(before.document, after.document, 16);
	memcpy(after.document, before.document, sizeof after.document);
	ck_assert_uint_eq(before.scopes, after.scopes);
	ck_assert(!after.revoked);
	arena_release(&arena);
	world_reopen(&world);
	is_called(his, "tool", "erased");
	ck_assert_uint_eq(export_of(NAME, true, true).keys, 0);
	ck_assert_int_eq(erase(NAME), ERR_NOT_FOUND);
}
END_TEST

static int
ask(uint64_t number, const char *host, const char *address, const char *cn)
{
	static const uint8_t print[32] = { 1 };
	const struct restrict_facts facts = {
		.address = address,
		.hostname = host,
		.client_cn = cn,
		.certificate = print,
		.fingerprint = print,
		.lib_version = "",
		.now_ms = world.now,
	};
	struct key_document document;
	struct ledger_key key;
	struct restrict_rules *rules;
	struct record_error error = { .reason = "" };
	struct problem problem;
	enum restrict_print seen;
	struct arena arena = { .chunks = NULL };

	read_key(&document, &key, number, &arena);
	ck_assert_int_eq(restrict_compile(&rules, &document.restrictions,
			     &error),
	    0);
	int err = restrict_check(rules, &seen, &facts, &problem);

	restrict_free(rules);
	arena_release(&arena);
	return err;
}

START_TEST(key_that_was_bound_to_his_machine_gets_no_looser)
{
	static const struct {
		const char *name;
		int err;
	} steps[] = {
		{ "192.0.2.7", ERR_IP_NOT_ALLOWED },
		{ "quandt-pc.example", ERR_HOSTNAME_NOT_ALLOWED },
	};
	uint64_t key = put_bound_key("quandt-pc.example", "192.0.2.7");

	ck_assert_int_eq(ask(key, "quandt-pc.example", "192.0.2.7",
			     "quandt-pc.example"),
	    0);
	for (size_t i = 0; i < 2; i++) {
		struct person_erase request = whom(steps[i].name, true, false);
		struct command command;

		ck_assert_int_eq(erase_as(&command, &request), 0);
		ck_assert_uint_eq(command.reply.person_erased.keys, 1);
		arena_release(&command.arena);
		ck_assert_int_eq(ask(key, "quandt-pc.example", "192.0.2.7",
				     "quandt-pc.example"),
		    steps[i].err);
	}
	/* The mark is nothing that could be said. */
	ck_assert_int_eq(ask(key, "erased", "192.0.2.7", "erased"),
	    ERR_HOSTNAME_NOT_ALLOWED);
	ck_assert_int_eq(ask(key, "build.example", "erased", "erased"),
	    ERR_IP_NOT_ALLOWED);
	ck_assert_int_eq(ask(key, "build.example", "::", "erased"),
	    ERR_IP_NOT_ALLOWED);
}
END_TEST

START_TEST(certificate_that_named_him_is_nobodys)
{
	struct key_document document = { .app_name = "tool" };

	snprintf(document.restrictions.client_cert_cn,
	    sizeof document.restrictions.client_cert_cn, NAME);
	uint64_t key = put_key(&document);

	ck_assert_int_eq(ask(key, "", "192.0.2.7", NAME), 0);
	ck_assert_int_eq(erase(NAME), 0);
	ck_assert_int_eq(ask(key, "", "192.0.2.7", NAME),
	    ERR_CERTIFICATE_NOT_ALLOWED);
	ck_assert_int_eq(ask(key, "", "192.0.2.7", "erased"),
	    ERR_CERTIFICATE_NOT_ALLOWED);
}
END_TEST

START_TEST(more_keys_than_one_erasure_holds_take_another)
{
	struct person_erase request = whom(NAME, false, false);
	struct command command;

	for (int i = 0; i < ERASURE_KEYS_MAX + 5; i++)
		put_key_for("tool", NAME);
	ck_assert_int_eq(erase_as(&command, &request), 0);
	ck_assert_uint_eq(command.reply.person_erased.keys, ERASURE_KEYS_MAX);
	ck_assert(command.reply.person_erased.more);
	arena_release(&command.arena);
	ck_assert_int_eq(erase_as(&command, &request), 0);
	ck_assert_uint_eq(command.reply.person_erased.keys, 5);
	ck_assert(!command.reply.person_erased.more);
	arena_release(&command.arena);
	ck_assert_int_eq(erase(NAME), ERR_NOT_FOUND);
}
END_TEST

START_TEST(rehearsal_says_what_would_be_and_does_nothing)
{
	struct person_erase request = whom(NAME, false, false);
	uint64_t his = put_key_for("tool", NAME);
	uint8_t before[32], after[32];
	struct command command;

	world_state_hash(before, &world);
	command =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &request);
	command.rehearses = true;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	request = whom("nobody", false, false);
	command =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &request);
	command.rehearses = true;
	ck_assert_int_eq(world_do(&world, &command), ERR_NOT_FOUND);
	arena_release(&command.arena);
	world_state_hash(after, &world);
	ck_assert_mem_eq(before, after, 32);
	is_called(his, "tool", NAME);
	/* Who is only whom to call is somebody. */
	command =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &request);
	command.erases_contact = true;
	ck_assert_int_eq(world_do(&world, &command), 0);
	ck_assert_uint_eq(command.reply.person_erased.contacts, 1);
	arena_release(&command.arena);
}
END_TEST

/* --- bytes and crashes ---------------------------------------------------------- */

static size_t
stored_document(uint8_t out[20000], uint64_t number)
{
	struct key_document document;
	struct ledger_key key;
	struct ledger_view *view;
	struct record_span stored;
	struct arena arena = { .chunks = NULL };

	read_key(&document, &key, number, &arena);
	arena_release(&arena);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(store_get(&stored, &view->state.txn, STORE_SEALED,
			     key.document, sizeof key.document),
	    0);
	ck_assert_uint_le(stored.len, 20000);
	memcpy(out, stored.data, stored.len);
	size_t len = stored.len;

	ledger_view_close(view);
	return len;
}

static void
read_key_file(uint8_t file[PERSON_KEY_FILE_BYTES])
{
	char path[160];

	snprintf(path, sizeof path, "%s/" PERSON_KEY_FILE, world.path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, file, PERSON_KEY_FILE_BYTES),
	    PERSON_KEY_FILE_BYTES);
	close(fd);
}

/* Freed pages hold the old document: what opens it must be gone. */
START_TEST(no_byte_of_the_files_gives_the_contact_back)
{
	uint8_t document[20000], file[PERSON_KEY_FILE_BYTES];
	uint64_t key = put_key_for("tool", NAME);
	size_t len = stored_document(document, key);

	read_key_file(file);
	ck_assert_uint_ge(count_in_store(document, len), 1);
	ck_assert_uint_eq(count_in_store(file + 8, PERSON_KEY_BYTES), 1);
	ck_assert_int_eq(erase(NAME), 0);
	ck_assert_uint_eq(count_in_store(NAME, strlen(NAME)), 0);
	ck_assert_uint_eq(count_in_store(file + 8, PERSON_KEY_BYTES), 0);
	world_reopen(&world);
	ck_assert_uint_eq(count_in_store(file + 8, PERSON_KEY_BYTES), 0);
	is_called(key, "tool", "erased");
}
END_TEST

START_TEST(crash_at_any_step_leaves_him_whole_or_gone)
{
	static const char *const steps[] = { "begin", "decide", "next_key",
		"fold", "append", "commit", "committed" };
	struct person_erase request = whom(NAME, false, false);
	const size_t n = sizeof steps / sizeof *steps;

	for (size_t i = 0; i < 2 * n; i++) {
		uint64_t key = put_key_for("tool", NAME);
		uint8_t before[32], after[32];
		struct command command;

		world_state_hash(before, &world);
		world.fault_step = steps[i / 2];
		world.fault_err = ERR_IO;
		ck_assert_int_eq(erase_as(&command, &request), ERR_IO);
		ck_assert_ptr_null(world.fault_step);
		arena_release(&command.arena);
		/* After the commit nothing goes on without a restart. */
		if (i % 2 == 1 || i / 2 == n - 1)
			world_reopen(&world);
		if (i / 2 == n - 1) {
			is_called(key, "tool", "erased");
			ck_assert_int_eq(erase(NAME), ERR_NOT_FOUND);
			continue;
		}
		world_state_hash(after, &world);
		ck_assert_mem_eq(before, after, 32);
		is_called(key, "tool", NAME);
		ck_assert_int_eq(erase(NAME), 0);
		is_called(key, "tool", "erased");
		ck_assert_uint_eq(count_in_store(NAME, strlen(NAME)), 0);
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("person");
	TCase *t = tcase_create("person");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, thousand_rows_of_one_batch_are_all_exported);
	tcase_add_test(t, pages_that_end_where_batches_do_lose_nothing);
	tcase_add_test(t,
	    more_accounts_and_keys_than_a_page_holds_are_exported);
	tcase_add_test(t, keys_that_name_him_are_those_and_no_others);
	tcase_add_test(t, key_that_named_him_goes_on_without_his_name);
	tcase_add_test(t, key_that_was_bound_to_his_machine_gets_no_looser);
	tcase_add_test(t, certificate_that_named_him_is_nobodys);
	tcase_add_test(t, more_keys_than_one_erasure_holds_take_another);
	tcase_add_test(t, rehearsal_says_what_would_be_and_does_nothing);
	tcase_add_test(t, no_byte_of_the_files_gives_the_contact_back);
	tcase_add_test(t, crash_at_any_step_leaves_him_whole_or_gone);
	suite_add_tcase(s, t);
	return s;
}
