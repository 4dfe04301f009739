/* Spools, and the steps of a tenant's deletion as a crash leaves them. */
#include "appliance/ledger/tenant_delete.h"
#include "appliance/setup/tenant.h"
#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char state[64];
static struct ledger_process_options options;
static struct process *process;
static uint8_t site_secret[64];

static void
make_folder(const char *name)
{
	char path[SETUP_PATH_MAX];

	ck_assert_int_eq(setup_path(path, state, name), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static bool
is_there(const char *name)
{
	char path[SETUP_PATH_MAX];

	ck_assert_int_eq(setup_path(path, state, name), 0);
	return access(path, F_OK) == 0;
}

static void
setup(void)
{
	uint8_t public_key[32], hash_key[32] = { 1 };
	char path[SETUP_PATH_MAX];

	strcpy(state, "/tmp/check_vault.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(state));
	make_folder("keys");
	make_folder("system");
	make_folder("tenants");
	crypto_sign_keypair(public_key, site_secret);
	process = calloc(1, sizeof(*process));
	options = (struct ledger_process_options){ .state = state };
	process->options = &options;
	ck_assert_int_eq(setup_path(path, state, "system"), 0);
	ck_assert_int_eq(system_create(path), 0);
	ck_assert_int_eq(system_open(&process->system, path, hash_key), 0);
}

static void
teardown(void)
{
	system_close(process->system);
	free(process);
	test_remove(state);
}

static struct system_tenant
make_tenant(const char *name)
{
	struct system_tenant tenant = { .created_at = 1 };

	ck_assert_int_eq(setup_tenant_make(&(struct setup_tenant){
			     .state = state,
			     .name = name,
			     .site = "site-x",
			     .secret = site_secret,
			     .now_ms = 1,
			 }),
	    0);
	text_copy(tenant.name, sizeof(tenant.name), name);
	ck_assert_int_eq(system_tenant_begin(&tenant, process->system, NULL),
	    0);
	tenant.status = TENANT_ACTIVE;
	ck_assert_int_eq(system_tenant_put(process->system, &tenant, NULL, NULL,
			     0),
	    0);
	return tenant;
}

static void
note(struct system_tenant tenant)
{
	struct system_deletion deletion = { .number = tenant.number };

	text_copy(deletion.tenant, sizeof(deletion.tenant), tenant.name);
	text_copy(deletion.token, sizeof(deletion.token), "v4.public.x");
	tenant.status = TENANT_DELETING;
	ck_assert_int_eq(system_deletion_begin(process->system, &tenant,
			     &deletion),
	    0);
}

static int
count_one(void *ctx, const struct system_deletion *deletion)
{
	ck_assert_str_eq(deletion->token, "v4.public.x");
	++*(int *)ctx;
	return 0;
}

static int
certificates(void)
{
	int n = 0;

	ck_assert_int_eq(system_each_deletion(process->system, 0, count_one,
			     &n),
	    0);
	return n;
}

static void
is_gone(void)
{
	struct system_tenant tenant;

	ck_assert(!is_there("keys/one.key") && !is_there("tenants/one"));
	ck_assert_int_eq(system_tenant_load(&tenant, process->system, "one"),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(certificates(), 1);
	/* Its neighbour is not. */
	ck_assert(is_there("keys/two.key") && is_there("tenants/two/ledger"));
	ck_assert_int_eq(system_tenant_load(&tenant, process->system, "two"),
	    0);
	ck_assert_int_eq(tenant.status, TENANT_ACTIVE);
}

START_TEST(a_noted_deletion_is_ended)
{
	struct system_tenant one = make_tenant("one");

	make_tenant("two");
	note(one);
	/* Until its files are gone there is no certificate to show. */
	ck_assert_int_eq(certificates(), 0);
	ck_assert_int_eq(tenant_delete_end(process, "one"), 0);
	is_gone();
}
END_TEST

/* As kill -9 leaves it: after each of the steps, all of it once more. */
START_TEST(a_deletion_that_was_cut_off_is_ended_by_the_next_start)
{
	struct system_tenant one = make_tenant("one");

	make_tenant("two");
	note(one);
	if (_i >= 1)
		ck_assert_int_eq(setup_tenant_remove(state, "one"), 0);
	if (_i >= 2)
		ck_assert_int_eq(system_deletion_keep(process->system, "one"),
		    0);
	ck_assert_int_eq(tenant_delete_end(process, "one"), 0);
	is_gone();
	ck_assert_int_eq(tenant_delete_end(process, "one"), 0);
	is_gone();
}
END_TEST

START_TEST(keys_are_written_over_before_they_are_removed)
{
	char path[SETUP_PATH_MAX], other[SETUP_PATH_MAX];
	uint8_t *data;
	size_t len;

	make_tenant("one");
	/* A second name of the file shows what is left in it. */
	ck_assert_int_eq(setup_path(path, state, "keys/one.key"), 0);
	ck_assert_int_eq(setup_path(other, state, "keys/kept"), 0);
	ck_assert_int_eq(link(path, other), 0);
	ck_assert_int_eq(setup_tenant_remove(state, "one"), 0);
	ck_assert_int_eq(file_read(&data, &len, other, 256), 0);
	ck_assert_uint_ge(len, 64);
	ck_assert(sodium_is_zero(data, len));
	free(data);
}
END_TEST

START_TEST(a_name_may_be_used_again_and_has_its_own_certificate)
{
	note(make_tenant("one"));
	ck_assert_int_eq(tenant_delete_end(process, "one"), 0);
	note(make_tenant("one"));
	ck_assert_int_eq(tenant_delete_end(process, "one"), 0);
	ck_assert_int_eq(certificates(), 2);
}
END_TEST

START_TEST(spools_are_few_have_no_name_and_end_by_themselves)
{
	struct spools spools = { 0 };
	int fd;

	for (int i = 0; i < SPOOLS_MAX; i++) {
		ck_assert(spools_reserve(&spools));
		ck_assert_int_eq(spool_file(&fd, state), 0);
		ck_assert_ptr_nonnull(spools_add(&spools, fd, 0, 1000));
	}
	ck_assert(!spools_reserve(&spools));
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 0);
	struct spool *busy = spools_find(&spools, 3);

	busy->busy = 1;
	spools_expire(&spools, 1000 + SPOOL_IDLE_MS);
	ck_assert_uint_eq(spools.count, SPOOLS_MAX);
	spools_expire(&spools, 1001 + SPOOL_IDLE_MS);
	ck_assert_uint_eq(spools.count, 1);
	ck_assert_ptr_eq(spools_find(&spools, 3), busy);
	/* Numbers are not given again. */
	ck_assert(spools_reserve(&spools));
	ck_assert_int_eq(spool_file(&fd, state), 0);
	ck_assert_uint_eq(spools_add(&spools, fd, 0, 1)->number,
	    SPOOLS_MAX + 1);
	spools_release(&spools);
	ck_assert_uint_eq(spools.count, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("vault");
	TCase *tc = tcase_create("vault");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_noted_deletion_is_ended);
	tcase_add_loop_test(tc,
	    a_deletion_that_was_cut_off_is_ended_by_the_next_start, 0, 3);
	tcase_add_test(tc, keys_are_written_over_before_they_are_removed);
	tcase_add_test(tc,
	    a_name_may_be_used_again_and_has_its_own_certificate);
	tcase_add_test(tc, spools_are_few_have_no_name_and_end_by_themselves);
	suite_add_tcase(s, tc);
	return s;
}
