/* A person is erased: gone from every byte of the store, and the journal does
 * not notice; whatever step a crash comes at. */
#include "appliance/ledger/core.h"
#include "shared/journal/erasure.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PRODUCT "davinci-configurator-se"
#define NAME "Anneliese.Quandt"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 77);
	world.options.volatile_ = false;
	world_reopen(&world);
	struct license license = world_license(&world, PRODUCT, 50, 50);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check_folded(&world);
	world_free(&world);
}

static uint64_t
hold(const char *user)
{
	struct checkout checkout = world_checkout_body(&world, PRODUCT, user);
	struct command command;

	ck_assert_int_eq(world_checkout(&world, &command, device, &checkout),
	    0);
	uint64_t lease = command.reply.checkout.lease;

	arena_release(&command.arena);
	return lease;
}

static void
hold_once(const char *user)
{
	ck_assert_int_eq(world_return(&world, device, hold(user)), 0);
}

/* The outcome stays in *command, whose arena the caller releases. */
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
	struct person_erase request = { .name = "" };
	struct command command;

	snprintf(request.name, sizeof request.name, "%s", name);
	int err = erase_as(&command, &request);

	arena_release(&command.arena);
	return err;
}

static int
query(void *reply, uint32_t op, const void *request, struct arena *arena)
{
	struct ledger_view *view;
	struct problem problem;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err =
	    ledger_query(reply, view, op, request, world.now, arena, &problem);

	ledger_view_close(view);
	return err;
}

static uint32_t
find(const char *name, bool mentions, uint8_t id[SUBJECT_BYTES])
{
	struct person_query request = { .mentions = mentions };
	struct person_page page;
	struct arena arena = { .chunks = NULL };

	snprintf(request.name, sizeof request.name, "%s", name);
	ck_assert_int_eq(query(&page, OP_PERSON_FIND, &request, &arena), 0);
	uint32_t n = page.items.count;

	if (n > 0 && id != NULL)
		memcpy(id,
		    ((const struct person_subject *)page.items.items)->subject,
		    SUBJECT_BYTES);
	arena_release(&arena);
	return n;
}

static void
user_of(char user[128], uint64_t lease)
{
	struct lease_ref request = { .lease = lease };
	struct lease_view reply;
	struct arena arena = { .chunks = NULL };

	ck_assert_int_eq(query(&reply, OP_LEASE_SHOW, &request, &arena), 0);
	snprintf(user, 128, "%s", reply.user);
	arena_release(&arena);
}

/* --- bytes ---------------------------------------------------------------- */

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

static size_t
count_in_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	uint8_t *data = malloc((size_t)st.st_size + 1);
	ssize_t size = pread(fd, data, (size_t)st.st_size, 0);

	ck_assert_int_eq(size, st.st_size);
	const uint8_t *at = data, *end = data + size;

	while ((at = memmem(at, (size_t)(end - at), bytes, len)) != NULL) {
		at += len;
		n++;
	}
	free(data);
	close(fd);
	return n;
}

/* In all files of the store, freed pages and all. */
static size_t
count_in_store(const void *bytes, size_t len)
{
	DIR *dir = opendir(world.path);
	const struct dirent *entry;
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[400];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", world.path, entry->d_name);
		n += count_in_file(path, bytes, len);
	}
	closedir(dir);
	return n;
}

/* What a subject's entry looked like: its place in freed pages. */
static size_t
stored_entry(uint8_t out[256], const uint8_t id[SUBJECT_BYTES])
{
	struct ledger_view *view;
	struct record_span stored;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(store_get(&stored, &view->state.txn, STORE_SUBJECTS,
			     id, SUBJECT_BYTES),
	    0);
	ck_assert_uint_le(stored.len, 256);
	memcpy(out, stored.data, stored.len);
	size_t len = stored.len;

	ledger_view_close(view);
	return len;
}

START_TEST(no_byte_of_the_files_gives_the_name_back)
{
	uint8_t before[PERSON_KEY_FILE_BYTES], after[PERSON_KEY_FILE_BYTES];
	uint8_t id[SUBJECT_BYTES], entry[256];
	const uint8_t *old = before + 8;

	hold_once(NAME);
	ck_assert_uint_eq(find(NAME, false, id), 1);
	size_t len = stored_entry(entry, id);

	read_key_file(before);
	/* The search finds what is there: the entry, and the key to it. */
	ck_assert_uint_ge(count_in_store(entry, len), 1);
	ck_assert_uint_eq(count_in_store(old, PERSON_KEY_BYTES), 1);
	ck_assert_uint_eq(count_in_store(NAME, strlen(NAME)), 0);

	ck_assert_int_eq(erase(NAME), 0);
	read_key_file(after);
	ck_assert_uint_eq(count_in_store(NAME, strlen(NAME)), 0);
	ck_assert_uint_eq(count_in_store(old, PERSON_KEY_BYTES), 0);
	ck_assert(sodium_is_zero(after + 8, PERSON_KEY_BYTES));
	ck_assert(!sodium_is_zero(after + 40, PERSON_KEY_BYTES));
	world_reopen(&world);
	ck_assert_uint_eq(count_in_store(old, PERSON_KEY_BYTES), 0);
	ck_assert_uint_eq(find(NAME, true, NULL), 0);
}
END_TEST

/* What an attacker has: the tenant's key, an old entry, the key file. */
START_TEST(the_tenants_key_alone_opens_no_old_entry)
{
	uint8_t id[SUBJECT_BYTES], entry[256], file[PERSON_KEY_FILE_BYTES];
	uint8_t root[32];
	struct person_key *key;
	struct subject subject;
	struct ledger_view *view;

	hold_once(NAME);
	ck_assert_uint_eq(find(NAME, false, id), 1);
	size_t len = stored_entry(entry, id);

	ck_assert_int_eq(erase(NAME), 0);
	world_reopen(&world);
	/* The old entry is put back where it was. */
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	read_key_file(file);
	ledger_view_close(view);
	struct state state;

	ck_assert_int_eq(state_begin(&state, world.ledger->store, true, NULL),
	    0);
	ck_assert_int_eq(store_put(&state.txn, STORE_SUBJECTS, id,
			     SUBJECT_BYTES, entry, len),
	    0);
	ck_assert_int_eq(subject_get(&subject, &state, world.ledger->keys, id),
	    ERR_CORRUPT);
	/* Nor with what a key is made of when the other place is empty. */
	ck_assert_int_eq(person_key_open(&key, world.path, false, false), 0);
	ck_assert_int_eq(person_key_root(root, key, 0, world.tenant_key),
	    ERR_CORRUPT);
	ck_assert_int_eq(person_key_root(root, key, 1, world.tenant_key), 0);
	struct subject_keys *keys = subject_keys_new(root);

	ck_assert_int_eq(subject_get(&subject, &state, keys, id), ERR_CORRUPT);
	subject_keys_free(keys);
	person_key_close(key);
	state_abort(&state);
}
END_TEST

/* --- what stays ------------------------------------------------------------- */

START_TEST(the_others_stay_who_they_were)
{
	uint8_t before[SUBJECT_BYTES], after[SUBJECT_BYTES];
	uint64_t bobs = hold("bob");
	char user[128];

	for (int i = 0; i < 600; i++) {
		snprintf(user, sizeof user, "user-%d", i);
		hold_once(user);
	}
	hold_once(NAME);
	ck_assert_uint_eq(find("bob", false, before), 1);
	ck_assert_int_eq(erase(NAME), 0);
	ck_assert_uint_eq(find("bob", false, after), 1);
	ck_assert_mem_eq(before, after, SUBJECT_BYTES);
	user_of(user, bobs);
	ck_assert_str_eq(user, "bob");
	for (int i = 0; i < 600; i += 37) {
		snprintf(user, sizeof user, "user-%d", i);
		ck_assert_uint_eq(find(user, false, NULL), 1);
	}
	/* Found by name as before: no second id. */
	world_reopen(&world);
	hold_once("bob");
	ck_assert_uint_eq(find("bob", false, after), 1);
	ck_assert_mem_eq(before, after, SUBJECT_BYTES);
}
END_TEST

START_TEST(the_same_name_is_somebody_new_afterwards)
{
	uint8_t before[SUBJECT_BYTES], after[SUBJECT_BYTES];
	char user[128];

	hold_once(NAME);
	ck_assert_uint_eq(find(NAME, false, before), 1);
	ck_assert_int_eq(erase(NAME), 0);
	ck_assert_uint_eq(find(NAME, false, NULL), 0);
	uint64_t lease = hold(NAME);

	ck_assert_uint_eq(find(NAME, false, after), 1);
	ck_assert_mem_ne(before, after, SUBJECT_BYTES);
	user_of(user, lease);
	ck_assert_str_eq(user, NAME);
	/* And may be erased as well. */
	ck_assert_int_eq(world_return(&world, device, lease), 0);
	ck_assert_int_eq(erase(NAME), 0);
	ck_assert_uint_eq(find(NAME, false, NULL), 0);
}
END_TEST

START_TEST(sealed_documents_stay_as_they_were)
{
	uint8_t id[SEALED_ID_BYTES], commitment[32], entropy[SEALED_ENTROPY];
	struct sealed sealed;
	struct state state;

	randombytes_buf(entropy, sizeof entropy);
	ck_assert_int_eq(state_begin(&state, world.ledger->store, true, NULL),
	    0);
	ck_assert_int_eq(sealed_put(id, commitment, &state,
			     world.ledger->sealed, SEALED_USER, "bob", 3,
			     entropy),
	    0);
	ck_assert_int_eq(state_commit(&state), 0);
	hold_once(NAME);
	ck_assert_int_eq(erase(NAME), 0);
	world_reopen(&world);
	ck_assert_int_eq(state_begin(&state, world.ledger->store, false, NULL),
	    0);
	ck_assert_int_eq(sealed_get(&sealed, &state, world.ledger->sealed,
			     SEALED_USER, id),
	    0);
	ck_assert_uint_eq(sealed.len, 3);
	ck_assert_mem_eq(sealed.data, "bob", 3);
	ck_assert_mem_eq(sealed.commitment, commitment, 32);
	state_abort(&state);
}
END_TEST

START_TEST(a_reader_with_an_older_snapshot_reads_on)
{
	struct ledger_view *view;
	uint8_t id[SUBJECT_BYTES];
	char user[128];

	hold_once(NAME);
	hold_once("bob");
	ck_assert_uint_eq(find("bob", false, id), 1);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(erase(NAME), 0);
	ck_assert_int_eq(view_subject(user, sizeof user, view, id), 0);
	ck_assert_str_eq(user, "bob");
	ledger_view_close(view);
}
END_TEST

START_TEST(a_copy_of_the_store_has_its_key_beside_it)
{
	uint8_t file[LEDGER_PERSON_KEY_BYTES], now[PERSON_KEY_FILE_BYTES];
	struct ledger_view *view;

	hold_once(NAME);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_person_key(file, view), 0);
	read_key_file(now);
	ck_assert_mem_eq(file, now, sizeof file);
	ck_assert_int_eq(erase(NAME), 0);
	/* That copy would hold names which nobody can read. */
	ck_assert_int_eq(ledger_person_key(file, view), ERR_BUSY);
	ledger_view_close(view);
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_person_key(file, view), 0);
	read_key_file(now);
	ck_assert_mem_eq(file, now, sizeof file);
	ledger_view_close(view);
}
END_TEST

static uint64_t
create_user(const char *login, const char *mail, uint32_t role)
{
	struct ledger_user request = {
		.what = LEDGER_USER_CREATE,
		.role = role,
		.scopes = SCOPES_SITE,
	};
	struct command command;

	snprintf(request.login, sizeof request.login, "%s", login);
	snprintf(request.mail, sizeof request.mail, "%s", mail);
	snprintf(request.hash, sizeof request.hash, "$argon2id$...");
	command = world_command(&world, LEDGER_USER, ACTOR_ADMIN, 1, &request);
	ck_assert_int_eq(world_do(&world, &command), 0);
	uint64_t user = command.reply.user_created.user.user;

	arena_release(&command.arena);
	return user;
}

static int
user_by(const char *login, uint64_t *user)
{
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err = user_find(user, &view->state, world.ledger->users, login);

	ledger_view_close(view);
	return err;
}

START_TEST(an_account_goes_with_its_person)
{
	struct person_erase request = { .name = "a.quandt@plant.example" };
	uint64_t owner = create_user("owner", "", USER_OWNER), found;
	uint64_t user =
	    create_user("quandt", "a.quandt@plant.example", USER_VIEWER);
	const struct row_number *gone;
	struct command command;

	ck_assert_int_eq(erase_as(&command, &request), 0);
	ck_assert_uint_eq(command.reply.person_erased.users.count, 1);
	gone = command.reply.person_erased.users.items;
	ck_assert_uint_eq(gone->number, user);
	arena_release(&command.arena);
	ck_assert_int_eq(user_by("quandt", &found), ERR_NOT_FOUND_INTERNAL);
	/* The others are found, by an index of another key. */
	ck_assert_int_eq(user_by("owner", &found), 0);
	ck_assert_uint_eq(found, owner);
	world_reopen(&world);
	ck_assert_int_eq(user_by("owner", &found), 0);
	ck_assert_int_eq(user_by("quandt", &found), ERR_NOT_FOUND_INTERNAL);
	/* The login is free again. */
	ck_assert_uint_ne(create_user("quandt", "", USER_VIEWER), user);
}
END_TEST

START_TEST(the_last_owner_is_not_erased)
{
	uint64_t owner = create_user("owner", "", USER_OWNER), found;

	hold_once("owner");
	ck_assert_int_eq(erase("owner"), ERR_CONFLICT);
	ck_assert_int_eq(user_by("owner", &found), 0);
	ck_assert_uint_eq(found, owner);
	ck_assert_uint_eq(find("owner", false, NULL), 1);
}
END_TEST

START_TEST(an_answer_that_was_kept_is_unreadable_afterwards)
{
	struct idempotency asked;
	enum idempotency_found found;
	struct record_span answer;
	struct arena arena = { .chunks = NULL };
	struct state state;

	idempotency_init(&asked, OP_LEASE_SHOW, ACTOR_ADMIN, 1, "key", NAME,
	    strlen(NAME), &lease_view_record);
	ck_assert_int_eq(state_begin(&state, world.ledger->store, true, NULL),
	    0);
	ck_assert_int_eq(idempotency_put(&state, world.ledger->sealed, &asked,
			     world.now, NAME, strlen(NAME)),
	    0);
	ck_assert_int_eq(state_commit(&state), 0);
	ck_assert_uint_eq(count_in_store(NAME, strlen(NAME)), 0);
	ck_assert_uint_eq(count_in_store(asked.digest, 16), 0);
	ck_assert_int_eq(idempotency_find(&found, &answer, world.ledger, &asked,
			     world.now, &arena),
	    0);
	ck_assert_int_eq(found, IDEMPOTENCY_SAME);
	ck_assert_mem_eq(answer.data, NAME, strlen(NAME));
	hold_once(NAME);
	ck_assert_int_eq(erase(NAME), 0);
	world_reopen(&world);
	ck_assert_int_eq(idempotency_find(&found, &answer, world.ledger, &asked,
			     world.now, &arena),
	    0);
	ck_assert_int_eq(found, IDEMPOTENCY_GONE);
	arena_release(&arena);
}
END_TEST

/* --- seats held ------------------------------------------------------------- */

START_TEST(who_holds_a_seat_is_erased_by_force_only)
{
	struct person_erase request = { .name = NAME };
	struct command command;
	uint64_t lease = hold(NAME);
	char user[128];

	ck_assert_int_eq(erase_as(&command, &request), ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(command.problem.detail, "lease-"));
	ck_assert_ptr_nonnull(strstr(command.problem.hint, "--force"));
	arena_release(&command.arena);
	ck_assert_uint_eq(find(NAME, false, NULL), 1);
	request.force = true;
	ck_assert_int_eq(erase_as(&command, &request), 0);
	arena_release(&command.arena);
	user_of(user, lease);
	ck_assert_str_eq(user, "erased");
	ck_assert_int_eq(world_return(&world, device, lease), 0);
}
END_TEST

START_TEST(a_seat_granted_in_the_same_batch_is_held_too)
{
	struct checkout checkout = world_checkout_body(&world, PRODUCT, NAME);
	struct person_erase request = { .name = NAME };
	struct command take = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, device, &checkout);
	struct command gone =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &request);
	struct command *all[] = { &take, &gone };

	hold_once(NAME);
	ck_assert_int_eq(ledger_commit(world.ledger, all, 2, world.now, NULL),
	    0);
	ck_assert_int_eq(take.err, 0);
	ck_assert_int_eq(gone.err, ERR_CONFLICT);
	arena_release(&take.arena);
	arena_release(&gone.arena);
}
END_TEST

START_TEST(two_at_once_are_one_after_the_other)
{
	struct person_erase first = { .name = NAME },
			    second = { .name = "bob" };
	struct command one =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &first);
	struct command two =
	    world_command(&world, OP_PERSON_ERASE, ACTOR_ADMIN, 1, &second);
	struct checkout checkout = world_checkout_body(&world, PRODUCT, NAME);
	struct command back = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, device, &checkout);
	struct command *all[] = { &one, &two, &back };

	hold_once(NAME);
	hold_once("bob");
	ck_assert_int_eq(ledger_commit(world.ledger, all, 3, world.now, NULL),
	    0);
	ck_assert_int_eq(one.err, 0);
	ck_assert_int_eq(two.err, ERR_BUSY);
	/* Who comes back in the same batch is somebody new. */
	ck_assert_int_eq(back.err, 0);
	arena_release(&one.arena);
	arena_release(&two.arena);
	arena_release(&back.arena);
	ck_assert_uint_eq(find(NAME, false, NULL), 1);
	ck_assert_int_eq(erase("bob"), 0);
	world_reopen(&world);
	ck_assert_uint_eq(find(NAME, false, NULL), 1);
}
END_TEST

START_TEST(nobody_is_not_found)
{
	ck_assert_int_eq(erase("nobody"), ERR_NOT_FOUND);
	hold_once("somebody");
	ck_assert_int_eq(erase("SOMEBODY"), ERR_NOT_FOUND);
}
END_TEST

START_TEST(hosts_and_words_of_admins_go_when_asked_for)
{
	struct device_revoke revoke = { .device = device };
	struct person_erase request = { .name = NAME };
	struct command command;
	struct device_number number = { .device = device };
	struct device_view shown;
	struct arena arena = { .chunks = NULL };

	hold_once(NAME);
	snprintf(revoke.reason, sizeof revoke.reason,
	    "the machine of anneliese.quandt was stolen");
	command =
	    world_command(&world, OP_DEVICE_REVOKE, ACTOR_ADMIN, 1, &revoke);
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
	ck_assert_uint_eq(find(NAME, false, NULL), 1);
	ck_assert_uint_eq(find(NAME, true, NULL), 2);
	request.mentions = true;
	ck_assert_int_eq(erase_as(&command, &request), 0);
	ck_assert_uint_eq(command.reply.person_erased.subjects.count, 2);
	arena_release(&command.arena);
	ck_assert_int_eq(query(&shown, OP_DEVICE_SHOW, &number, &arena), 0);
	ck_assert_str_eq(shown.reason, "erased");
	ck_assert_str_eq(shown.name, "ws-1");
	arena_release(&arena);
	request = (struct person_erase){ .name = "ws-1", .hosts = true };
	ck_assert_int_eq(erase_as(&command, &request), 0);
	arena_release(&command.arena);
	ck_assert_int_eq(query(&shown, OP_DEVICE_SHOW, &number, &arena), 0);
	ck_assert_str_eq(shown.name, "erased");
	ck_assert_str_eq(shown.host, "erased");
	arena_release(&arena);
}
END_TEST

/* --- what says so ----------------------------------------------------------- */

START_TEST(the_document_can_be_checked_without_the_site)
{
	struct person_erase request = { .name = NAME };
	const struct person_erased *reply;
	struct command command;
	struct erasure read;
	struct arena arena = { .chunks = NULL };
	struct erasure_query list = { .limit = 0 };
	struct erasure_page page;
	uint8_t id[SUBJECT_BYTES];

	hold_once(NAME);
	ck_assert_uint_eq(find(NAME, false, id), 1);
	ck_assert_int_eq(erase_as(&command, &request), 0);
	reply = &command.reply.person_erased;
	ck_assert(reply->wiped);
	ck_assert(!reply->more);
	ck_assert_str_ne(reply->remains, "");
	ck_assert_int_eq(erasure_verify(&read, reply->document.data,
			     reply->document.len, world.site_public, &arena,
			     NULL),
	    0);
	ck_assert_str_eq(read.site, "site-test");
	ck_assert_str_eq(read.tenant, "default");
	ck_assert_uint_eq(read.erasure, 1);
	ck_assert_uint_eq(read.by.id, 1);
	ck_assert_uint_eq(read.batch, reply->batch);
	ck_assert_uint_eq(read.subjects.count, 1);
	ck_assert_mem_eq(((const struct erased_subject *)read.subjects.items)
			     ->subject,
	    id, SUBJECT_BYTES);
	/* No name in it, and not one byte of it may change. */
	ck_assert_ptr_null(memmem(reply->document.data, reply->document.len,
	    NAME, strlen(NAME)));
	char *copy = malloc(reply->document.len);

	memcpy(copy, reply->document.data, reply->document.len);
	copy[40] = copy[40] == 'A' ? 'B' : 'A';
	ck_assert_int_ne(erasure_verify(&read, copy, reply->document.len,
			     world.site_public, &arena, NULL),
	    0);
	free(copy);
	ck_assert_int_eq(query(&page, OP_ERASURE_LIST, &list, &arena), 0);
	ck_assert_uint_eq(page.items.count, 1);
	const struct erasure_view *item = page.items.items;

	ck_assert_uint_eq(item->document.len, reply->document.len);
	ck_assert_mem_eq(item->document.data, reply->document.data,
	    reply->document.len);
	ck_assert_uint_eq(item->subjects, 1);
	arena_release(&arena);
	arena_release(&command.arena);
}
END_TEST

START_TEST(an_export_holds_every_row_that_names_him)
{
	struct person_export request = { .name = NAME };
	struct person_data data;
	struct arena arena = { .chunks = NULL };
	uint32_t rows = 0, leases = 0, subjects = 0, pages = 0;
	uint64_t last = 0;

	hold_once("bob");
	for (int i = 0; i < 700; i++)
		hold_once(NAME);
	hold(NAME);
	hold("bob");
	do {
		arena_clear(&arena);
		ck_assert_int_eq(query(&data, OP_PERSON_EXPORT, &request,
				     &arena),
		    0);
		const struct person_row *items = data.rows.items;

		for (uint32_t i = 0; i < data.rows.count; i++) {
			ck_assert_uint_gt(items[i].row, last);
			last = items[i].row;
		}
		rows += data.rows.count;
		leases += data.leases.count;
		subjects += data.subjects.count;
		memcpy(request.cursor, data.cursor, sizeof request.cursor);
		ck_assert_uint_lt(++pages, 1000);
	} while (data.cursor[0] != '\0');
	/* The row that introduced him, and a grant each. */
	ck_assert_uint_eq(rows, 702);
	ck_assert_uint_eq(leases, 1);
	ck_assert_uint_eq(subjects, 1);
	arena_release(&arena);
}
END_TEST

START_TEST(a_cursor_that_was_never_given_is_refused)
{
	static const char *const bad[] = { "x", "batch-", "lease--1",
		"batch-99999999999999999999", "lease-1x" };
	struct arena arena = { .chunks = NULL };
	struct person_data data;

	hold_once(NAME);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct person_export request = { .name = NAME };

		snprintf(request.cursor, sizeof request.cursor, "%s", bad[i]);
		ck_assert_int_eq(query(&data, OP_PERSON_EXPORT, &request,
				     &arena),
		    ERR_BAD_REQUEST);
	}
	arena_release(&arena);
}
END_TEST

/* --- crashes ---------------------------------------------------------------- */

START_TEST(a_crash_before_the_commit_erases_nothing)
{
	static const char *const steps[] = { "begin", "decide", "next_key",
		"fold", "append", "commit" };
	struct person_erase request = { .name = NAME };
	uint8_t before[SUBJECT_BYTES], after[SUBJECT_BYTES];
	uint8_t hash[32], same[32], file[PERSON_KEY_FILE_BYTES];

	hold_once(NAME);
	ck_assert_uint_eq(find(NAME, false, before), 1);
	world_state_hash(hash, &world);
	for (size_t i = 0; i < 2 * sizeof steps / sizeof *steps; i++) {
		struct command command;

		world.fault_step = steps[i / 2];
		world.fault_err = ERR_IO;
		ck_assert_int_eq(erase_as(&command, &request), ERR_IO);
		ck_assert_ptr_null(world.fault_step);
		arena_release(&command.arena);
		/* It goes on at once, or after a restart. */
		if (i % 2 == 1)
			world_reopen(&world);
		world_state_hash(same, &world);
		ck_assert_mem_eq(hash, same, 32);
		ck_assert_uint_eq(find(NAME, false, after), 1);
		ck_assert_mem_eq(before, after, SUBJECT_BYTES);
		read_key_file(file);
		ck_assert(sodium_is_zero(file + 40, PERSON_KEY_BYTES));
	}
	ck_assert_int_eq(erase(NAME), 0);
}
END_TEST

/* The key of the next generation is there, and the power fails. */
START_TEST(a_key_that_was_written_for_nothing_is_wiped_at_the_start)
{
	uint8_t file[PERSON_KEY_FILE_BYTES], junk[PERSON_KEY_BYTES];
	char path[160];

	hold_once(NAME);
	ledger_close(world.ledger);
	snprintf(path, sizeof path, "%s/" PERSON_KEY_FILE, world.path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	memset(junk, 0x5a, sizeof junk);
	ck_assert_int_eq(pwrite(fd, junk, sizeof junk, 40), sizeof junk);
	close(fd);
	world_open(&world);
	read_key_file(file);
	ck_assert(sodium_is_zero(file + 40, PERSON_KEY_BYTES));
	ck_assert_uint_eq(find(NAME, false, NULL), 1);
}
END_TEST

START_TEST(a_crash_after_the_commit_has_erased_him)
{
	struct person_erase request = { .name = NAME };
	uint8_t file[PERSON_KEY_FILE_BYTES];
	struct command command;

	hold_once(NAME);
	world.fault_step = "committed";
	world.fault_err = ERR_IO;
	ck_assert_int_eq(erase_as(&command, &request), ERR_IO);
	arena_release(&command.arena);
	read_key_file(file);
	ck_assert(!sodium_is_zero(file + 8, PERSON_KEY_BYTES));
	world_reopen(&world);
	read_key_file(file);
	ck_assert(sodium_is_zero(file + 8, PERSON_KEY_BYTES));
	ck_assert_uint_eq(find(NAME, true, NULL), 0);
	ck_assert_int_eq(erase(NAME), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_key_that_could_not_be_wiped_is_told_and_wiped_later)
{
	struct person_erase request = { .name = NAME };
	uint8_t file[PERSON_KEY_FILE_BYTES];
	struct command command;

	hold_once(NAME);
	world.fault_step = "wipe";
	world.fault_err = ERR_IO;
	ck_assert_int_eq(erase_as(&command, &request), 0);
	ck_assert(!command.reply.person_erased.wiped);
	arena_release(&command.arena);
	read_key_file(file);
	ck_assert(!sodium_is_zero(file + 8, PERSON_KEY_BYTES));
	hold_once("bob");
	read_key_file(file);
	ck_assert(sodium_is_zero(file + 8, PERSON_KEY_BYTES));
}
END_TEST

START_TEST(a_store_without_its_key_is_not_opened)
{
	char path[160], aside[160];
	struct ledger *ledger;

	hold_once(NAME);
	ledger_close(world.ledger);
	world.ledger = NULL;
	snprintf(path, sizeof path, "%s/" PERSON_KEY_FILE, world.path);
	snprintf(aside, sizeof aside, "%s/aside", world.dir);
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert_int_eq(ledger_open(&ledger, &world.options), ERR_CORRUPT);
	ck_assert_int_eq(rename(aside, path), 0);
	world_open(&world);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("erasure");
	TCase *t = tcase_create("erasure");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_byte_of_the_files_gives_the_name_back);
	tcase_add_test(t, the_tenants_key_alone_opens_no_old_entry);
	tcase_add_test(t, the_others_stay_who_they_were);
	tcase_add_test(t, the_same_name_is_somebody_new_afterwards);
	tcase_add_test(t, sealed_documents_stay_as_they_were);
	tcase_add_test(t, a_reader_with_an_older_snapshot_reads_on);
	tcase_add_test(t, a_copy_of_the_store_has_its_key_beside_it);
	tcase_add_test(t, an_account_goes_with_its_person);
	tcase_add_test(t, the_last_owner_is_not_erased);
	tcase_add_test(t, an_answer_that_was_kept_is_unreadable_afterwards);
	tcase_add_test(t, who_holds_a_seat_is_erased_by_force_only);
	tcase_add_test(t, a_seat_granted_in_the_same_batch_is_held_too);
	tcase_add_test(t, two_at_once_are_one_after_the_other);
	tcase_add_test(t, nobody_is_not_found);
	tcase_add_test(t, hosts_and_words_of_admins_go_when_asked_for);
	tcase_add_test(t, the_document_can_be_checked_without_the_site);
	tcase_add_test(t, an_export_holds_every_row_that_names_him);
	tcase_add_test(t, a_cursor_that_was_never_given_is_refused);
	tcase_add_test(t, a_crash_before_the_commit_erases_nothing);
	tcase_add_test(t,
	    a_key_that_was_written_for_nothing_is_wiped_at_the_start);
	tcase_add_test(t, a_crash_after_the_commit_has_erased_him);
	tcase_add_test(t,
	    a_key_that_could_not_be_wiped_is_told_and_wiped_later);
	tcase_add_test(t, a_store_without_its_key_is_not_opened);
	suite_add_tcase(s, t);
	return s;
}
