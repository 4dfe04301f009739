/* The TPM of a site's box: the counter that witnesses what the site counts, and
 * the site key that is sealed to it, with a crash at every step of the way
 * there. */
#include "appliance/ledger/guard.h"
#include "appliance/setup/setup.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SITE "site-x"

static struct lab_tpm tpm;
static char dir[64];
static struct identity *identity;
/* Calls of fsync until one fails; below zero: none does. */
static int fsync_fails_in = -1;

/* In place of libc's: all files are written by it. */
int
fsync(int fd)
{
	if (fsync_fails_in >= 0 && fsync_fails_in-- == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static void
open_identity(const struct lab_tpm *from)
{
	char folder[128];
	const struct identity_options options = { .folder = folder,
		.tcti = from->tcti,
		.ek = IDENTITY_P256 };

	snprintf(folder, sizeof folder, "%s/tpm", dir);
	ck_assert_int_eq(identity_open_with(&identity, &options), 0);
}

static void
setup(void)
{
	log_open("test", LOG_ERROR + 1, 0);
	snprintf(dir, sizeof dir, "/tmp/site-tpm-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	lab_tpm_new(&tpm);
	open_identity(&tpm);
}

static void
teardown(void)
{
	char command[128];

	identity_close(identity);
	lab_tpm_remove(&tpm);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

/* --- the witness ---------------------------------------------------------- */

START_TEST(counter_that_was_never_made_is_none)
{
	struct witness *witness;
	uint64_t counter = 0;

	ck_assert_int_eq(witness_open_tpm(&witness, identity, SITE, 0), 0);
	ck_assert_int_eq(witness_read(&counter, witness), ERR_NOT_FOUND);
	ck_assert_int_eq(witness_make(&counter, witness, 1), 0);
	uint64_t first = counter;

	ck_assert_int_eq(witness_increment(&counter, witness), 0);
	ck_assert_uint_eq(counter, first + 1);
	ck_assert_int_eq(witness_read(&counter, witness), 0);
	ck_assert_uint_eq(counter, first + 1);
	ck_assert_uint_eq(witness_class_of(witness), WITNESS_TPM);
	witness_close(witness);
}
END_TEST

START_TEST(counter_goes_on_from_where_another_stood)
{
	struct witness *witness;
	uint64_t counter = 0, base;

	ck_assert_int_eq(witness_open_tpm(&witness, identity, SITE, 0), 0);
	ck_assert_int_eq(witness_make(&counter, witness, 5000), 0);
	ck_assert_uint_eq(counter, 5000);
	base = witness_base(witness);
	ck_assert_uint_gt(base, 4000);
	ck_assert_int_eq(witness_increment(&counter, witness), 0);
	witness_close(witness);
	/* The store keeps the base. */
	ck_assert_int_eq(witness_open_tpm(&witness, identity, SITE, base), 0);
	ck_assert_int_eq(witness_read(&counter, witness), 0);
	ck_assert_uint_eq(counter, 5001);
	/* One that is high enough is left as it is. */
	ck_assert_int_eq(witness_make(&counter, witness, 10), 0);
	ck_assert_uint_eq(counter, 5001);
	witness_close(witness);
}
END_TEST

START_TEST(counter_whose_tpm_is_away_is_not_lost)
{
	struct witness *witness;
	uint64_t before = 0, counter = 0;

	ck_assert_int_eq(witness_open_tpm(&witness, identity, SITE, 0), 0);
	ck_assert_int_eq(witness_make(&before, witness, 1), 0);
	lab_tpm_kill(&tpm);
	ck_assert_int_eq(witness_read(&counter, witness), ERR_UNAVAILABLE);
	ck_assert_int_eq(witness_increment(&counter, witness), ERR_UNAVAILABLE);
	lab_tpm_start(&tpm);
	ck_assert_int_eq(witness_increment(&counter, witness), 0);
	ck_assert_uint_eq(counter, before + 1);
	witness_close(witness);
}
END_TEST

/* --- from a file to a TPM -------------------------------------------------- */

static const char *crash_at;

static int
crash(void *ctx, const char *step)
{
	(void)ctx;
	return crash_at != NULL && strcmp(step, crash_at) == 0 ? ERR_IO : 0;
}

struct site {
	struct world world;
	struct system_store *system;
	struct witness *file, *chip;
	struct guard_part part;
	struct guard guard;
	struct guard_report report;
	char folder[160];
};

static void
site_open(struct site *site)
{
	static const uint8_t key[32] = { 7 };
	struct system_tick tick = { .counter = 0 };

	ck_assert_int_eq(system_open(&site->system, site->folder, key), 0);
	(void)system_tick_load(&tick, site->system);
	ck_assert_int_eq(witness_open_file(&site->file, dir, SITE), 0);
	ck_assert_int_eq(witness_open_tpm(&site->chip, identity, SITE,
			     tick.base),
	    0);
	site->part = (struct guard_part){ "default", site->world.ledger };
	site->guard = (struct guard){ .system = site->system,
		.witness = tick.counter > 0 && tick.witness == WITNESS_TPM
		    ? site->chip
		    : site->file,
		.parts = &site->part,
		.n_parts = 1,
		.fault = crash };
}

static void
site_close(struct site *site)
{
	system_close(site->system);
	witness_close(site->file);
	witness_close(site->chip);
}

static void
site_new(struct site *site)
{
	memset(site, 0, sizeof *site);
	crash_at = NULL;
	world_init(&site->world, 5);
	snprintf(site->folder, sizeof site->folder, "%s/system", dir);
	ck_assert_int_eq(mkdir(site->folder, 0700), 0);
	ck_assert_int_eq(system_create(site->folder), 0);
	site_open(site);
	ck_assert_int_eq(guard_begin(&site->report, &site->guard, WORLD_NOW),
	    0);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(guard_tick(&site->report.counter, &site->guard,
				     WORLD_NOW),
		    0);
}

START_TEST(crash_on_the_way_to_the_tpm_is_no_rollback)
{
	static const char *const steps[] = { "move", "store", "moved", NULL };
	struct site site;
	char path[160];

	site_new(&site);
	crash_at = steps[_i];
	int err = guard_move(&site.report, &site.guard, site.chip, WORLD_NOW);

	ck_assert_int_eq(err, crash_at != NULL ? ERR_IO : 0);
	crash_at = NULL;
	site_close(&site);
	site_open(&site);
	ck_assert_int_eq(guard_begin(&site.report, &site.guard, WORLD_NOW), 0);
	ck_assert(!site.report.rolled_back);
	ck_assert(!site.report.first);
	if (site.guard.witness == site.file)
		ck_assert_int_eq(guard_move(&site.report, &site.guard,
				     site.chip, WORLD_NOW),
		    0);
	ck_assert_uint_ge(site.report.counter, 41);
	ck_assert_int_eq(guard_tick(&site.report.counter, &site.guard,
			     WORLD_NOW),
	    0);
	site_close(&site);
	site_open(&site);
	ck_assert_ptr_eq(site.guard.witness, site.chip);
	ck_assert_int_eq(guard_begin(&site.report, &site.guard, WORLD_NOW), 0);
	ck_assert(!site.report.rolled_back);
	/* The file is gone, or goes with the next start (tick.c). */
	snprintf(path, sizeof path, "%s/" SITE, dir);
	ck_assert(_i == 2 || access(path, F_OK) != 0);
	site_close(&site);
	world_free(&site.world);
}
END_TEST

START_TEST(way_back_to_a_file_is_found)
{
	struct site site;
	uint64_t before;

	site_new(&site);
	ck_assert_int_eq(guard_move(&site.report, &site.guard, site.chip,
			     WORLD_NOW),
	    0);
	before = site.report.counter;
	site.guard.witness = site.file;
	ck_assert_int_eq(guard_begin(&site.report, &site.guard, WORLD_NOW), 0);
	ck_assert(site.report.rolled_back);
	ck_assert_ptr_nonnull(strstr(site.report.words, "the box's TPM"));
	/* An admin acknowledges it. */
	ck_assert_int_eq(guard_prepare(&site.report, &site.guard, WORLD_NOW),
	    0);
	ck_assert_int_eq(guard_settle(&site.report, &site.guard,
			     &(struct system_generation){ .witness = 0 },
			     WORLD_NOW),
	    0);
	ck_assert_uint_gt(site.report.counter, before);
	ck_assert_int_eq(guard_begin(&site.report, &site.guard, WORLD_NOW), 0);
	ck_assert(!site.report.rolled_back);
	site_close(&site);
	world_free(&site.world);
}
END_TEST

/* --- the key --------------------------------------------------------------- */

static uint8_t made[TOKEN_SECRET_BYTES];

static const char *
key_path(const char *name)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/keys/%s", dir, name);
	return path;
}

static void
make_key(void)
{
	char folder[128];

	snprintf(folder, sizeof folder, "%s/keys", dir);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(token_key_create(made, key_path("site.key")), 0);
}

static int
read_key(uint32_t pcrs)
{
	uint8_t secret[TOKEN_SECRET_BYTES];
	int err = setup_site_key_in_tpm(secret, dir, identity, pcrs);

	if (err == 0)
		ck_assert_mem_eq(secret, made, sizeof secret);
	else
		ck_assert(sodium_is_zero(secret, sizeof secret));
	return err;
}

/* Wherever a write stops: the key is there, sealed or not, and the next start
 * goes on. */
START_TEST(crash_on_the_way_leaves_a_key_that_opens)
{
	make_key();
	fsync_fails_in = _i;
	int err = read_key(0);
	bool failed = fsync_fails_in < 0 && err != 0;

	fsync_fails_in = -1;
	ck_assert(err == 0 || failed);
	ck_assert(access(key_path("site.key"), F_OK) == 0 ||
	    access(key_path("site.key.sealed"), F_OK) == 0);
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_ne(access(key_path("site.key"), F_OK), 0);
	ck_assert_int_eq(read_key(0), 0);
	ck_assert(setup_site_key_is_sealed(dir));
}
END_TEST

START_TEST(plain_key_that_is_half_wiped_is_not_missed)
{
	make_key();
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_eq(file_write(key_path("site.key"), "k4.sec\0\0\0", 9,
			     0600),
	    0);
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_ne(access(key_path("site.key"), F_OK), 0);
}
END_TEST

START_TEST(other_tpm_opens_nothing_and_seals_what_it_is_given)
{
	struct lab_tpm other;
	char command[160];
	uint8_t *copy;
	size_t len;

	make_key();
	ck_assert_int_eq(file_read(&copy, &len, key_path("site.key"), 256), 0);
	ck_assert_int_eq(read_key(0), 0);
	identity_close(identity);
	lab_tpm_new(&other);
	snprintf(command, sizeof command, "rm -rf '%s/tpm'", dir);
	ck_assert_int_eq(system(command), 0);
	open_identity(&other);
	ck_assert_int_eq(read_key(0), ERR_MISMATCH);
	/* The copy out of the safe. */
	ck_assert_int_eq(file_write(key_path("site.key"), copy, len, 0600), 0);
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_ne(access(key_path("site.key"), F_OK), 0);
	ck_assert_int_eq(read_key(0), 0);
	free(copy);
	lab_tpm_remove(&other);
}
END_TEST

START_TEST(two_keys_are_not_taken_for_one)
{
	uint8_t other[TOKEN_SECRET_BYTES];

	make_key();
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_eq(token_key_create(other, key_path("site.key")), 0);
	ck_assert_int_eq(read_key(0), ERR_CONFLICT);
	ck_assert_int_eq(access(key_path("site.key"), F_OK), 0);
	ck_assert_int_eq(unlink(key_path("site.key")), 0);
	ck_assert_int_eq(read_key(0), 0);
}
END_TEST

START_TEST(key_is_sealed_anew_to_other_pcrs)
{
	uint8_t *first, *second;
	size_t first_len, second_len;

	make_key();
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_eq(file_read(&first, &first_len,
			     key_path("site.key.sealed"), 8192),
	    0);
	ck_assert_int_eq(read_key(1u << 7), 0);
	ck_assert_int_eq(file_read(&second, &second_len,
			     key_path("site.key.sealed"), 8192),
	    0);
	ck_assert(
	    first_len != second_len || memcmp(first, second, first_len) != 0);
	ck_assert_int_eq(read_key(1u << 7), 0);
	free(first);
	free(second);
}
END_TEST

START_TEST(damaged_sealed_key_is_said_to_be)
{
	make_key();
	ck_assert_int_eq(read_key(0), 0);
	ck_assert_int_eq(file_write(key_path("site.key.sealed"), "{}\n", 3,
			     0600),
	    0);
	ck_assert_int_eq(read_key(0), ERR_CORRUPT);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("site_tpm");
	TCase *witness = tcase_create("witness");
	TCase *key = tcase_create("key");

	tcase_set_timeout(witness, 60);
	tcase_set_timeout(key, 60);
	tcase_add_checked_fixture(witness, setup, teardown);
	tcase_add_checked_fixture(key, setup, teardown);
	tcase_add_test(witness, counter_that_was_never_made_is_none);
	tcase_add_test(witness, counter_goes_on_from_where_another_stood);
	tcase_add_test(witness, counter_whose_tpm_is_away_is_not_lost);
	tcase_add_loop_test(witness, crash_on_the_way_to_the_tpm_is_no_rollback,
	    0, 4);
	tcase_add_test(witness, way_back_to_a_file_is_found);
	tcase_add_loop_test(key, crash_on_the_way_leaves_a_key_that_opens, 0,
	    7);
	tcase_add_test(key, plain_key_that_is_half_wiped_is_not_missed);
	tcase_add_test(key, other_tpm_opens_nothing_and_seals_what_it_is_given);
	tcase_add_test(key, two_keys_are_not_taken_for_one);
	tcase_add_test(key, key_is_sealed_anew_to_other_pcrs);
	tcase_add_test(key, damaged_sealed_key_is_said_to_be);
	suite_add_tcase(s, witness);
	suite_add_tcase(s, key);
	return s;
}
