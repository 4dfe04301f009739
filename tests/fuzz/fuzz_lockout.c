/* The file of waits after wrong passwords, as somebody with the disk might have
 * written it, and tries after it. What is taken writes back to itself, no wait
 * is above its bound, and whoever is let in waits for nothing. Input: steps (how
 * many, then a byte each); then figures for the entries that these made, for
 * only their names can be hit; then a whole file behind its mark. */
#include "appliance/ledger/lockout.h"
#include "shared/base/err.h"
#include "tests/fuzz/fuzz.h"

#include <sodium.h>

#define NOW_MS INT64_C(1800000000000)

static void
write_again(struct lockout *lockout, const uint8_t *key)
{
	struct lockout *other = lockout_new(key);
	struct buf one = { .len = 0 }, two = { .len = 0 };

	fuzz_must(other != NULL);
	lockout_write(&one, lockout);
	fuzz_must(!one.failed && !lockout_is_dirty(lockout));
	fuzz_must(lockout_read(other, one.data, one.len) == 0);
	lockout_write(&two, other);
	fuzz_must(
	    one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	buf_release(&one);
	buf_release(&two);
	lockout_free(other);
}

static void
step(struct lockout *lockout, uint8_t byte, int64_t *now)
{
	static const char *const logins[] = { "", "olga", "anna", "o" };
	static const char *const addresses[] = { "192.0.2.7", "2001:db8::1",
		"::ffff:192.0.2.7", "" };
	const struct lockout_try try_ = {
		.tenant = "default",
		.login = logins[byte & 3],
		.address = addresses[byte >> 2 & 3],
	};
	int64_t wait = lockout_begin(lockout, &try_, *now);

	fuzz_must(wait >= 0 && wait <= LOCKOUT_ADDRESS_MAX_MS);
	switch (byte >> 4 & 3) {
	case 0:
		*now += wait;
		fuzz_must(
		    wait == 0 || lockout_begin(lockout, &try_, *now) == 0);
		break;
	case 1:
		lockout_undo(lockout, &try_, *now);
		break;
	case 2:
		lockout_passed(lockout, &try_, *now);
		fuzz_must(lockout_begin(lockout, &try_, *now) == 0);
		break;
	default:
		lockout_clear(lockout, try_.tenant, try_.login);
	}
	/* Also backwards. */
	*now += (byte & 0x80) != 0 ? -INT64_C(86400000) : INT64_C(400000);
}

/* As it was written, with other figures: a byte says for which entries. */
static void
change(struct buf *file, struct fuzz_input *input)
{
	const size_t mark = 8, entry = 1 + 16 + 4 + 8 + 8;

	for (size_t at = mark; at + entry <= file->len; at += entry) {
		const uint8_t *figures;

		if ((fuzz_byte(input) & 1) == 0)
			continue;
		size_t n = fuzz_take(&figures, input, 20);

		if (n > 0)
			memcpy(file->data + at + 17, figures, n);
	}
}

static struct lockout *
read_back(const struct buf *file, const uint8_t *key)
{
	struct lockout *lockout = lockout_new(key);

	fuzz_must(lockout != NULL);
	if (lockout_read(lockout, file->data, file->len) == 0)
		write_again(lockout, key);
	return lockout;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[LOCKOUT_KEY_BYTES] = { 7 };
	struct fuzz_input input = { data, size };
	struct lockout *lockout = sodium_init() >= 0 ? lockout_new(key) : NULL;
	struct buf file = { .len = 0 };
	const uint8_t *steps;
	int64_t now = NOW_MS;
	size_t n = fuzz_take(&steps, &input, fuzz_byte(&input) % 64);

	fuzz_must(lockout != NULL);
	lockout_write(&file, lockout);
	buf_add(&file, input.data, input.size);
	/* A file of the input's own, and the input as it is. */
	lockout_free(read_back(&file, key));
	(void)lockout_read(lockout, input.data, input.size);
	for (size_t i = 0; i < n; i++)
		step(lockout, steps[i], &now);
	buf_clear(&file);
	lockout_write(&file, lockout);
	lockout_free(lockout);
	change(&file, &input);
	lockout = read_back(&file, key);
	for (size_t i = 0; i < n; i++)
		step(lockout, steps[i], &now);
	write_again(lockout, key);
	buf_release(&file);
	lockout_free(lockout);
	return 0;
}
