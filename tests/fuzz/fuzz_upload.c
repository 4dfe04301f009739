/*
 * Stores that are sent to a running site, to be put in place of a tenant's: a
 * true dump, whose entries are left out, doubled, cut and changed at will, or
 * its bytes. It must be refused, or hold: then it opens, its state is what its
 * journal folds to, and it is this tenant's. And a refusal leaves nothing.
 */
#include "tests/fuzz/fuzz.h"

#include "appliance/ledger/keys.h"
#include "appliance/ledger/ledger.h"
#include "appliance/setup/making.h"
#include "appliance/setup/restore_beside.h"
#include "appliance/setup/tenant.h"
#include "shared/backup/dump.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char state[64];
static uint8_t secret[64], key[SETUP_KEY_BYTES];
static struct buf dump;

/* --- the true one ------------------------------------------------------------ */

static int
put(void *ctx, const void *data, size_t len)
{
	buf_add(ctx, data, len);
	return 0;
}

static void
seal(struct dump_writer *out, const char *entry, const void *what, size_t len)
{
	uint8_t sealed[256];

	fuzz_must(dump_seal(sealed, what, len, "one", entry, secret) == 0);
	fuzz_must(dump_entry(out, entry, strlen(entry), sealed,
		      len + DUMP_SEALED_EXTRA) == 0);
}

static struct ledger *
open_ledger(const char *path)
{
	struct ledger *ledger = NULL;
	const struct ledger_options options = {
		.path = path,
		.site = "site-x",
		.tenant = "one",
		.site_public = secret + 32,
		.site_secret = secret,
		.tenant_key = key,
	};

	fuzz_must(ledger_open(&ledger, &options) == 0);
	return ledger;
}

static void
take_dump(struct ledger *ledger)
{
	uint8_t people[LEDGER_PERSON_KEY_BYTES];
	struct dump_writer out;
	struct ledger_view *view;

	fuzz_must(ledger_view_open(&view, ledger) == 0);
	fuzz_must(ledger_person_key(people, view) == 0);
	fuzz_must(dump_begin(&out, put, &dump) == 0);
	fuzz_must(dump_table(&out, DUMP_KEY_TABLE) == 0);
	seal(&out, DUMP_KEY, key, sizeof(key));
	seal(&out, DUMP_PEOPLE_KEY, people, sizeof(people));
	fuzz_must(ledger_dump(&out, view) == 0);
	fuzz_must(dump_end(&out) == 0 && !dump.failed);
	ledger_view_close(view);
}

static void
leave(void)
{
	making_remove(state);
}

static void
make_folder(const char *name)
{
	char path[SETUP_PATH_MAX];

	fuzz_must(setup_path(path, state, name) == 0);
	fuzz_must(mkdir(path, 0700) == 0);
}

/* Made once, in memory where there is such a place: it is synced often. */
static void
make_site(void)
{
	const struct setup_tenant one = { state, "one", "site-x", secret, 1 };
	char path[SETUP_PATH_MAX], text[KEY_TEXT_SIZE];
	uint8_t public_key[32];
	uint64_t device;

	fuzz_must(sodium_init() >= 0);
	snprintf(state, sizeof(state), "%s/fuzz_upload.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	fuzz_must(mkdtemp(state) != NULL);
	atexit(leave);
	make_folder("keys");
	make_folder("tenants");
	crypto_sign_keypair(public_key, secret);
	fuzz_must(setup_tenant_make(&one) == 0);
	fuzz_must(setup_key(key, state, "one") == 0);
	fuzz_must(setup_path(path, state, "tenants/one/ledger") == 0);
	struct ledger *ledger = open_ledger(path);

	for (int i = 0; i < 3; i++)
		fuzz_must(process_key_create(text, &device, ledger, "one",
			      "name", SCOPE_BIT(SCOPE_READ), 1000 + i) == 0);
	take_dump(ledger);
	ledger_close(ledger);
}

/* --- a forged one -------------------------------------------------------------- */

struct forging {
	struct fuzz_input input;
	struct dump_writer out;
	struct buf bytes;
	unsigned int until; /* entries before the next change */
};

static int
copy_table(void *ctx, const char *name)
{
	struct forging *forging = ctx;

	return dump_table(&forging->out, name);
}

static int
copy_entry(void *ctx, const void *k, size_t key_len, const void *v, size_t len)
{
	struct forging *forging = ctx;
	uint8_t value[65536], change;

	if (forging->input.size == 0 || forging->until-- > 0 ||
	    len > sizeof(value))
		return dump_entry(&forging->out, k, key_len, v, len);
	change = fuzz_byte(&forging->input);
	forging->until = fuzz_byte(&forging->input);
	memcpy(value, v, len);
	switch (change % 4) {
	case 0:
		return 0;
	case 1:
		if (dump_entry(&forging->out, k, key_len, v, len) != 0)
			return ERR_CORRUPT;
		break;
	case 2:
		len -= len > 0 ? fuzz_byte(&forging->input) % len : 0;
		break;
	default:
		if (len > 0)
			value[(size_t)fuzz_byte(&forging->input) * 7 % len] ^=
			    fuzz_byte(&forging->input);
	}
	return dump_entry(&forging->out, k, key_len, value, len);
}

static void
forge(struct forging *forging)
{
	const struct dump_callbacks callbacks = { forging, copy_table,
		copy_entry };
	struct dump_reader *reader = dump_reader_new(&callbacks);

	fuzz_must(reader != NULL);
	forging->until = fuzz_byte(&forging->input);
	fuzz_must(dump_begin(&forging->out, put, &forging->bytes) == 0);
	if (dump_feed(reader, dump.data, dump.len) == 0)
		dump_end(&forging->out);
	dump_reader_free(reader);
}

static void
change_bytes(struct forging *forging)
{
	struct fuzz_input *input = &forging->input;

	buf_add(&forging->bytes, dump.data, dump.len);
	fuzz_must(!forging->bytes.failed);
	while (input->size > 2) {
		size_t at = (size_t)fuzz_byte(input) << 8 | fuzz_byte(input);

		forging->bytes.data[at % dump.len] ^= fuzz_byte(input);
	}
}

/* --- and what becomes of it ------------------------------------------------------ */

static bool
is_left(void)
{
	char path[SETUP_PATH_MAX];

	fuzz_must(setup_path(path, state, "tenants/one.restore") == 0);
	return access(path, F_OK) == 0;
}

static void
check_made(void)
{
	char path[SETUP_PATH_MAX], words[200];
	struct ledger_view *view;

	fuzz_must(setup_beside_path(path, state, "one") == 0);
	struct ledger *ledger = open_ledger(path);

	fuzz_must(ledger_view_open(&view, ledger) == 0);
	fuzz_must(ledger_check(view, words, sizeof(words)) == 0);
	ledger_view_close(view);
	ledger_close(ledger);
	fuzz_must(setup_beside_clear(state, "one") == 0);
}

static void
send(const struct buf *bytes)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	struct setup_beside beside = {
		.state = state,
		.site = "site-x",
		.secret = secret,
		.tenant = "one",
		.fd = fd,
		.bytes = bytes->len,
	};

	fuzz_must(fd >= 0);
	fuzz_must(write(fd, bytes->data, bytes->len) == (ssize_t)bytes->len);
	if (setup_beside_make(&beside) == 0)
		check_made();
	fuzz_must(!is_left());
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forging forging = { .input = { data, size } };

	if (dump.len == 0)
		make_site();
	if (fuzz_byte(&forging.input) % 4 == 0)
		change_bytes(&forging);
	else
		forge(&forging);
	fuzz_must(!forging.bytes.failed);
	if (forging.bytes.len > 0)
		send(&forging.bytes);
	buf_release(&forging.bytes);
	return 0;
}
