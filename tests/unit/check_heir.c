/* An heir of a site: named whole or not at all; and what only root may read,
 * sealed for him. */
#include "appliance/setup/box_files.h"
#include "tests/unit/setup_site.h"
#include "tests/unit/suite.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <unistd.h>

static char *
path_of(const char *name)
{
	static char path[192];

	snprintf(path, sizeof(path), "%s/%s", state, name);
	return path;
}

static void
keep_text(char out[128], const char *name)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(file_read(&data, &len, path_of(name), 127), 0);
	memcpy(out, data, len + 1);
	free(data);
}

/* A name that nothing can be written under. */
static void
block(const char *name)
{
	(void)unlink(path_of(name));
	ck_assert_int_eq(mkdir(path_of(name), 0700), 0);
}

/* --- naming him ---------------------------------------------------------- */

START_TEST(an_heir_that_root_cannot_note_is_none_for_the_ledger)
{
	char recovery[SETUP_RECOVERY_TEXT], was[128], now[128];

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_heir_make(recovery, state), 0);
	keep_text(was, "keys/heir.key");
	block("tls/heir.key");
	ck_assert_int_ne(setup_heir_make(recovery, state), 0);
	keep_text(now, "keys/heir.key");
	ck_assert_str_eq(was, now);
	ck_assert_str_eq(recovery, "");
}
END_TEST

START_TEST(an_heir_that_the_ledger_cannot_be_told_is_none_for_root)
{
	char recovery[SETUP_RECOVERY_TEXT], was[128], now[128];

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_heir_make(recovery, state), 0);
	keep_text(was, "tls/heir.key");
	block("keys/heir.key");
	ck_assert_int_ne(setup_heir_make(recovery, state), 0);
	keep_text(now, "tls/heir.key");
	ck_assert_str_eq(was, now);
	/* The first one of all leaves nobody. */
	ck_assert_int_eq(unlink(path_of("tls/heir.key")), 0);
	ck_assert_int_ne(setup_heir_make(recovery, state), 0);
	ck_assert_int_ne(access(path_of("tls/heir.key"), F_OK), 0);
}
END_TEST

/* --- what is sealed for him ---------------------------------------------- */

struct found {
	char names[512];
	bool ca; /* is the file's */
};

static int
note(void *ctx, const struct archive_file *file)
{
	struct found *found = ctx;
	uint8_t *data;
	size_t len, used = strlen(found->names);

	snprintf(found->names + used, sizeof(found->names) - used, "%s ",
	    file->name);
	if (strcmp(file->name, "tls/ca.key") != 0)
		return 0;
	ck_assert_int_eq(file_read(&data, &len, path_of(file->name), 65536), 0);
	found->ca =
	    len == file->data.len && memcmp(data, file->data.data, len) == 0;
	free(data);
	return 0;
}

START_TEST(he_alone_opens_what_is_sealed_for_him)
{
	char recovery[SETUP_RECOVERY_TEXT], other[SETUP_RECOVERY_TEXT];
	uint8_t secret[TOKEN_SECRET_BYTES], *sealed;
	struct found found = { .ca = false };
	size_t len;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(box_files_seal(state, NULL, NULL), 0);
	ck_assert_int_eq(box_files_read(&sealed, &len, state), ERR_NOT_FOUND);
	ck_assert_int_eq(setup_heir_make(recovery, state), 0);
	ck_assert_int_eq(box_files_seal(state, NULL, NULL), 0);
	ck_assert_int_eq(box_files_read(&sealed, &len, state), 0);
	ck_assert_int_eq(setup_heir_secret(secret, recovery), 0);
	ck_assert_int_eq(box_files_open(sealed, len, secret, note, &found), 0);
	ck_assert_str_eq(found.names,
	    "tls/ca.pem tls/ca.key tls/server.pem tls/server.key ");
	ck_assert(found.ca);
	for (size_t i = 0; i < len; i += 37) {
		sealed[i] ^= 1;
		ck_assert_int_eq(box_files_open(sealed, len, secret, note,
				     &found),
		    ERR_BAD_SIGNATURE);
		sealed[i] ^= 1;
		ck_assert_int_eq(box_files_open(sealed, i, secret, note,
				     &found),
		    ERR_BAD_SIGNATURE);
	}
	ck_assert_int_eq(setup_heir_make(other, state), 0);
	ck_assert_int_eq(setup_heir_secret(secret, other), 0);
	ck_assert_int_eq(box_files_open(sealed, len, secret, note, &found),
	    ERR_BAD_SIGNATURE);
	free(sealed);
	box_files_drop(state);
	ck_assert_int_eq(box_files_read(&sealed, &len, state), ERR_NOT_FOUND);
}
END_TEST

/* --- nothing of it stays in memory ---------------------------------------- */

#define NEEDLE 64
#define WINDOW 65536
#define MAP_MOST ((uint64_t)256 << 20)

static uint8_t masked[NEEDLE]; /* so that it is not found here */
static uint8_t window[WINDOW];

static bool
is_needle(const uint8_t *at)
{
	for (size_t i = 0; i < NEEDLE; i++)
		if (at[i] != (masked[i] ^ 0xa5))
			return false;
	return true;
}

static size_t
search_map(int memory, uint64_t from, uint64_t end)
{
	size_t n = 0;

	for (uint64_t at = from; at < end; at += WINDOW - NEEDLE) {
		size_t want = end - at < WINDOW ? (size_t)(end - at) : WINDOW;
		ssize_t got = pread(memory, window, want, (off_t)at);

		for (ssize_t i = 0; i + NEEDLE <= got; i++)
			n += window[i] == (masked[0] ^ 0xa5) &&
			    is_needle(window + i);
		sodium_memzero(window, sizeof(window));
	}
	return n;
}

/* Places of our own memory that hold it. */
static size_t
search_memory(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char line[512], rights[8];
	uint64_t from, end;
	size_t n = 0;

	ck_assert(maps != NULL && memory >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &end,
			rights) != 3 ||
		    rights[1] != 'w' || end - from > MAP_MOST ||
		    ((uintptr_t)window >= from && (uintptr_t)window < end))
			continue;
		n += search_map(memory, from, end);
	}
	close(memory);
	fclose(maps);
	return n;
}

static void
write_needle(const char *name)
{
	int fd = open(path_of(name), O_WRONLY | O_TRUNC | O_CLOEXEC);

	ck_assert(fd >= 0);
	randombytes_buf(window, NEEDLE);
	for (size_t i = 0; i < NEEDLE; i++)
		masked[i] = window[i] ^ 0xa5;
	ck_assert_int_eq(write(fd, window, NEEDLE), NEEDLE);
	sodium_memzero(window, sizeof(window));
	close(fd);
}

START_TEST(no_key_stays_in_the_memory_that_fronts_are_made_of)
{
	char recovery[SETUP_RECOVERY_TEXT];
	uint8_t *held;
	size_t len;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_heir_make(recovery, state), 0);
	write_needle("tls/ca.key");
	/* It would be found. */
	ck_assert_int_eq(file_read(&held, &len, path_of("tls/ca.key"), 4096),
	    0);
	ck_assert_uint_ge(search_memory(), 1);
	sodium_memzero(held, len);
	free(held);
	ck_assert_uint_eq(search_memory(), 0);
	ck_assert_int_eq(box_files_seal(state, NULL, NULL), 0);
	ck_assert_uint_eq(search_memory(), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *out = suite_create("heir");
	TCase *tc = tcase_create("heir");

	tcase_add_test(tc,
	    an_heir_that_root_cannot_note_is_none_for_the_ledger);
	tcase_add_test(tc,
	    an_heir_that_the_ledger_cannot_be_told_is_none_for_root);
	tcase_add_test(tc, he_alone_opens_what_is_sealed_for_him);
	tcase_add_test(tc, no_key_stays_in_the_memory_that_fronts_are_made_of);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	suite_add_tcase(out, tc);
	return out;
}
