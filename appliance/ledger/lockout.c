#include "appliance/ledger/lockout.h"

#include "shared/base/err.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 16
#define WAYS 8
#define GUESS_SETS 1024
#define KNOWN_SETS 256

static const uint8_t magic[8] = { 'l', 'h', 'l', 'o', 'c', 'k', 0, 1 };
#define ENTRY_BYTES (1 + NAME_BYTES + 4 + 8 + 8)

/* What is counted: a login, an address, or a login at an address that is known
 * to it. */
enum what { NOTHING, LOGIN, ADDRESS, KNOWN };

struct entry {
	uint8_t what;
	uint8_t name[NAME_BYTES]; /* keyed hash */
	uint32_t failures;
	int64_t last; /* failure, or success of a known one */
	int64_t until; /* nothing goes before */
};

/* Known ones have their own: they come by success only, so that no flood of
 * strangers drives them out. */
struct lockout {
	uint8_t *key;
	bool dirty;
	struct entry guesses[GUESS_SETS][WAYS];
	struct entry known[KNOWN_SETS][WAYS];
};

struct lockout *
lockout_new(const uint8_t key[LOCKOUT_KEY_BYTES])
{
	struct lockout *lockout = calloc(1, sizeof(*lockout));

	if (lockout == NULL)
		return NULL;
	lockout->key = sodium_malloc(LOCKOUT_KEY_BYTES);
	if (lockout->key == NULL) {
		free(lockout);
		return NULL;
	}
	memcpy(lockout->key, key, LOCKOUT_KEY_BYTES);
	sodium_mprotect_readonly(lockout->key);
	return lockout;
}

void
lockout_free(struct lockout *lockout)
{
	if (lockout == NULL)
		return;
	sodium_free(lockout->key);
	free(lockout);
}

/* --- names --------------------------------------------------------------- */

/* Whoever has one IPv6 address has all of its network. */
static size_t
address_bytes(uint8_t out[64], const char *address)
{
	struct in6_addr six;

	if (inet_pton(AF_INET6, address, &six) == 1 &&
	    !IN6_IS_ADDR_V4MAPPED(&six)) {
		memcpy(out, &six, 8);
		return 8;
	}
	if (strncasecmp(address, "::ffff:", 7) == 0)
		address += 7;
	size_t len = strnlen(address, 64);

	memcpy(out, address, len);
	return len;
}

/* Lengths stand before the parts, so that no two names run into one. */
static void
hash_part(crypto_generichash_state *st, const void *data, size_t len)
{
	uint8_t head[4];

	be32_write(head, (uint32_t)len);
	crypto_generichash_update(st, head, sizeof(head));
	crypto_generichash_update(st, data, len);
}

static void
name_of(uint8_t name[NAME_BYTES], const struct lockout *lockout, enum what what,
    const struct lockout_try *try_)
{
	crypto_generichash_state st;
	uint8_t byte = (uint8_t)what, address[64];

	crypto_generichash_init(&st, lockout->key, LOCKOUT_KEY_BYTES,
	    NAME_BYTES);
	crypto_generichash_update(&st, &byte, 1);
	/* An address is the same to every tenant. */
	if (what != ADDRESS) {
		hash_part(&st, try_->tenant, strlen(try_->tenant));
		hash_part(&st, try_->login, strlen(try_->login));
	}
	if (what != LOGIN) {
		size_t len = address_bytes(address, try_->address);

		hash_part(&st, address, len);
	}
	crypto_generichash_final(&st, name, NAME_BYTES);
}

static struct entry *
set_of(struct lockout *lockout, enum what what, const uint8_t name[NAME_BYTES])
{
	uint32_t at = be32_read(name);

	return what == KNOWN ? lockout->known[at % KNOWN_SETS]
			     : lockout->guesses[at % GUESS_SETS];
}

static struct entry *
find(struct lockout *lockout, enum what what, const struct lockout_try *try_)
{
	uint8_t name[NAME_BYTES];

	name_of(name, lockout, what, try_);
	struct entry *set = set_of(lockout, what, name);

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].what == what &&
		    memcmp(set[i].name, name, NAME_BYTES) == 0)
			return &set[i];
	return NULL;
}

/* Of two, the one to forget: fewer failures, then the older one. */
static bool
matters_less(const struct entry *a, const struct entry *b)
{
	if (a->what == NOTHING || b->what == NOTHING)
		return a->what == NOTHING && b->what != NOTHING;
	if (a->what != KNOWN && a->failures != b->failures)
		return a->failures < b->failures;
	return a->last < b->last;
}

static struct entry *
place(struct lockout *lockout, enum what what, const uint8_t name[NAME_BYTES])
{
	struct entry *set = set_of(lockout, what, name), *least = set;

	for (size_t i = 1; i < WAYS; i++)
		if (matters_less(&set[i], least))
			least = &set[i];
	*least = (struct entry){ .what = (uint8_t)what };
	memcpy(least->name, name, NAME_BYTES);
	return least;
}

static struct entry *
find_or_add(struct lockout *lockout, enum what what,
    const struct lockout_try *try_)
{
	struct entry *entry = find(lockout, what, try_);
	uint8_t name[NAME_BYTES];

	if (entry != NULL)
		return entry;
	name_of(name, lockout, what, try_);
	return place(lockout, what, name);
}

/* --- waits --------------------------------------------------------------- */

static int64_t
longest(const struct entry *entry)
{
	return entry->what == ADDRESS ? LOCKOUT_ADDRESS_MAX_MS
				      : LOCKOUT_LOGIN_MAX_MS;
}

static int64_t
wait_after(const struct entry *entry)
{
	uint32_t costless =
	    entry->what == ADDRESS ? LOCKOUT_ADDRESS_FREE : LOCKOUT_LOGIN_FREE;

	if (entry->failures < costless)
		return 0;
	uint32_t doubled = entry->failures - costless;
	int64_t wait = doubled > 20 ? INT64_MAX : INT64_C(1000) << doubled;

	return wait < longest(entry) ? wait : longest(entry);
}

static void
forgive(struct entry *entry, int64_t now)
{
	/* The clock was set back: a wait is not longer for that. */
	if (entry->last > now)
		entry->last = now;
	if (entry->until > now + wait_after(entry))
		entry->until = now + wait_after(entry);
	int64_t some = (now - entry->last) / LOCKOUT_FORGIVE_MS;

	if (some <= 0 || entry->what == KNOWN)
		return;
	entry->failures =
	    some < entry->failures ? entry->failures - (uint32_t)some : 0;
	entry->last += some * LOCKOUT_FORGIVE_MS;
}

static int64_t
wait_left(struct entry *entry, int64_t now)
{
	if (entry == NULL)
		return 0;
	forgive(entry, now);
	return entry->until > now ? entry->until - now : 0;
}

static void
charge(struct entry *entry, int64_t now)
{
	forgive(entry, now);
	if (entry->failures < UINT32_MAX)
		entry->failures++;
	entry->until = now + wait_after(entry);
	if (entry->what != KNOWN)
		entry->last = now;
}

static void
refund(struct entry *entry, int64_t now)
{
	if (entry == NULL || entry->failures == 0)
		return;
	entry->failures--;
	if (entry->until > now + wait_after(entry))
		entry->until = now + wait_after(entry);
}

/* NULL when it is not known, or not any more. */
static struct entry *
find_known(struct lockout *lockout, const struct lockout_try *try_, int64_t now)
{
	struct entry *entry = find(lockout, KNOWN, try_);

	if (entry == NULL || now - entry->last > LOCKOUT_KNOWN_MS)
		return NULL;
	return entry;
}

int64_t
lockout_begin(struct lockout *lockout, const struct lockout_try *try_,
    int64_t now_ms)
{
	struct entry *known = find_known(lockout, try_, now_ms);

	if (known != NULL) {
		int64_t wait = wait_left(known, now_ms);

		if (wait > 0)
			return wait;
		charge(known, now_ms);
		lockout->dirty = true;
		return 0;
	}
	int64_t login = wait_left(find(lockout, LOGIN, try_), now_ms);
	int64_t address = wait_left(find(lockout, ADDRESS, try_), now_ms);

	if (login > 0 || address > 0)
		return login > address ? login : address;
	charge(find_or_add(lockout, LOGIN, try_), now_ms);
	charge(find_or_add(lockout, ADDRESS, try_), now_ms);
	lockout->dirty = true;
	return 0;
}

void
lockout_undo(struct lockout *lockout, const struct lockout_try *try_,
    int64_t now_ms)
{
	struct entry *known = find_known(lockout, try_, now_ms);

	lockout->dirty = true;
	if (known != NULL) {
		refund(known, now_ms);
		return;
	}
	refund(find(lockout, LOGIN, try_), now_ms);
	refund(find(lockout, ADDRESS, try_), now_ms);
}

/* His address is not forgiven what others tried there: only this attempt. */
void
lockout_passed(struct lockout *lockout, const struct lockout_try *try_,
    int64_t now_ms)
{
	struct entry *login = find(lockout, LOGIN, try_);

	if (find_known(lockout, try_, now_ms) == NULL) {
		refund(find(lockout, ADDRESS, try_), now_ms);
		if (login != NULL)
			*login = (struct entry){ .what = NOTHING };
	}
	struct entry *known = find_or_add(lockout, KNOWN, try_);

	known->failures = 0;
	known->until = 0;
	known->last = now_ms;
	lockout->dirty = true;
}

void
lockout_clear(struct lockout *lockout, const char *tenant, const char *login)
{
	const struct lockout_try try_ = {
		.tenant = tenant,
		.login = login,
		.address = "",
	};
	struct entry *entry = find(lockout, LOGIN, &try_);

	if (entry == NULL)
		return;
	*entry = (struct entry){ .what = NOTHING };
	lockout->dirty = true;
}

/* --- the file ------------------------------------------------------------ */

bool
lockout_is_dirty(const struct lockout *lockout)
{
	return lockout->dirty;
}

static void
write_set(struct buf *out, const struct entry *set)
{
	for (size_t i = 0; i < WAYS; i++) {
		const struct entry *entry = &set[i];

		if (entry->what == NOTHING ||
		    (entry->what != KNOWN && entry->failures == 0))
			continue;
		buf_add_byte(out, entry->what);
		buf_add(out, entry->name, NAME_BYTES);
		buf_add_be32(out, entry->failures);
		buf_add_be64(out, (uint64_t)entry->last);
		buf_add_be64(out, (uint64_t)entry->until);
	}
}

void
lockout_write(struct buf *out, struct lockout *lockout)
{
	buf_add(out, magic, sizeof(magic));
	for (size_t i = 0; i < GUESS_SETS; i++)
		write_set(out, lockout->guesses[i]);
	for (size_t i = 0; i < KNOWN_SETS; i++)
		write_set(out, lockout->known[i]);
	lockout->dirty = false;
}

/* Times before 1970 were never written, and would not bear a difference. */
static bool
is_sound(const uint8_t *entry)
{
	const uint8_t *times = entry + 1 + NAME_BYTES + 4;

	return entry[0] >= LOGIN && entry[0] <= KNOWN &&
	    be64_read(times) <= INT64_MAX && be64_read(times + 8) <= INT64_MAX;
}

int
lockout_read(struct lockout *lockout, const uint8_t *data, size_t len)
{
	if (len < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0 ||
	    (len - sizeof(magic)) % ENTRY_BYTES != 0)
		return ERR_CORRUPT;
	for (size_t at = sizeof(magic); at < len; at += ENTRY_BYTES)
		if (!is_sound(data + at))
			return ERR_CORRUPT;
	for (size_t at = sizeof(magic); at < len; at += ENTRY_BYTES) {
		const uint8_t *p = data + at + 1 + NAME_BYTES;
		struct entry *entry =
		    place(lockout, (enum what)data[at], data + at + 1);

		entry->failures = be32_read(p);
		entry->last = (int64_t)be64_read(p + 4);
		entry->until = (int64_t)be64_read(p + 12);
	}
	return 0;
}
