/* Ranges, hours and host names as people write them; see restrict.h. */
#include "appliance/ledger/restrict.h"

#include "shared/base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define MAPPED_BITS 96

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool
is_mapped(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof mapped) == 0;
}

bool
restrict_read_address(uint8_t address[16], const char *text)
{
	if (inet_pton(AF_INET6, text, address) == 1)
		return true;
	memcpy(address, mapped, sizeof mapped);
	return inet_pton(AF_INET, text, address + 12) == 1;
}

static bool
bits_are_equal(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool
has_bits_beyond(const struct restrict_range *range)
{
	for (uint32_t bit = range->bits; bit < 128; bit++)
		if ((range->address[bit / 8] >> (7 - bit % 8) & 1) != 0)
			return true;
	return false;
}

bool
restrict_read_range(struct restrict_range *range, const char *text,
    const char **reason)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char address[64];
	uint64_t bits;

	*reason = "is no range of addresses such as 192.0.2.0/24 or "
		  "2001:db8::/32";
	if (!text_copy_n(address, sizeof address, text, len) ||
	    !restrict_read_address(range->address, address))
		return false;
	bool v6 = strchr(address, ':') != NULL;
	uint32_t most = v6 ? 128 : 32;

	range->bits = 128;
	if (slash == NULL)
		return true;
	if (!text_to_u64(&bits, slash + 1, strlen(slash + 1)) || bits > most)
		return false;
	range->bits = (uint32_t)bits + (v6 ? 0 : MAPPED_BITS);
	/* 192.0.2.7/24 is a host to one and a net to another. */
	*reason = "has bits set beyond its prefix: write the first address of "
		  "the range";
	return !has_bits_beyond(range);
}

bool
restrict_in_range(const struct restrict_range *range, const uint8_t address[16])
{
	bool v4 = range->bits >= MAPPED_BITS && is_mapped(range->address);

	if (v4 != is_mapped(address))
		return false;
	return bits_are_equal(range->address, address, range->bits);
}

/* --- hours ---------------------------------------------------------------- */

static int
read_day(const char *text)
{
	static const char *const days[] = { "sun", "mon", "tue", "wed", "thu",
		"fri", "sat" };

	for (int i = 0; i < 7; i++)
		if (strncmp(text, days[i], 3) == 0)
			return i;
	return -1;
}

uint32_t
restrict_read_days(const char *text)
{
	uint32_t mask = 0;

	for (;;) {
		int first = read_day(text), last = first;

		if (first < 0)
			return 0;
		text += 3;
		if (*text == '-') {
			last = read_day(text + 1);
			if (last < 0)
				return 0;
			text += 4;
		}
		for (int day = first;; day = (day + 1) % 7) {
			mask |= 1u << day;
			if (day == last)
				break;
		}
		if (*text == '\0')
			return mask;
		if (*text++ != ',')
			return 0;
	}
}

int
restrict_read_minute(const char *text)
{
	if (strlen(text) != 5 || text[2] != ':' || !isdigit(text[0]) ||
	    !isdigit(text[1]) || !isdigit(text[3]) || !isdigit(text[4]))
		return -1;
	int hours = (text[0] - '0') * 10 + text[1] - '0';
	int minutes = (text[3] - '0') * 10 + text[4] - '0';
	int all = hours * 60 + minutes;

	return minutes < 60 && all <= 24 * 60 ? all : -1;
}

/* --- host names ----------------------------------------------------------- */

static bool
is_label(const char *text, size_t len)
{
	if (len == 0 || len > 63 || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') ||
			(text[i] >= '0' && text[i] <= '9') || text[i] == '-' ||
			text[i] == '_'))
			return false;
	return true;
}

bool
restrict_read_host(char out[128], const char *text)
{
	if (!text_copy(out, 128, text))
		return false;
	for (char *c = out; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	const char *at = strncmp(out, "*.", 2) == 0 ? out + 2 : out;

	for (;;) {
		size_t len = strcspn(at, ".");

		if (!is_label(at, len))
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

bool
restrict_host_fits(const char *pattern, const char *host)
{
	if (pattern[0] != '*')
		return strcmp(pattern, host) == 0;
	const char *suffix = pattern + 1; /* with its dot */
	size_t len = strlen(suffix), have = strlen(host);

	return have > len && strcmp(host + have - len, suffix) == 0;
}
