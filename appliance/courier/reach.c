#include "appliance/courier/reach.h"

#include "shared/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Those that are not of the public Internet: RFC 6890 and the registries that
 * go on from there. IPv4 within IPv6 is looked at as IPv4. */
static const char *const not_public[] = {
	"0.0.0.0/8",
	"10.0.0.0/8",
	"100.64.0.0/10",
	"127.0.0.0/8",
	"169.254.0.0/16",
	"172.16.0.0/12",
	"192.0.0.0/24",
	"192.0.2.0/24",
	"192.88.99.0/24",
	"192.168.0.0/16",
	"198.18.0.0/15",
	"198.51.100.0/24",
	"203.0.113.0/24",
	"224.0.0.0/3",
};
/* The other way round: only 2000::/3 is given out. */
static const char *const not_public_6[] = {
	"2001::/23", /* Teredo and others */
	"2001:db8::/32",
	"3fff::/20",
};

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };

static bool
read_address(uint8_t out[16], bool *v4, const char *text)
{
	*v4 = strchr(text, ':') == NULL;
	if (!*v4)
		return inet_pton(AF_INET6, text, out) == 1;
	memcpy(out, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, out + 12) == 1;
}

static bool
read_range(struct reach_range *range, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char address[64];
	uint64_t bits;
	bool v4;

	if (!text_copy_n(address, sizeof(address), text, len) ||
	    !read_address(range->address, &v4, address))
		return false;
	bits = v4 ? 32 : 128;
	if (slash != NULL &&
	    (!text_to_u64(&bits, slash + 1, strlen(slash + 1)) ||
		bits > (v4 ? 32 : 128)))
		return false;
	range->bits = (unsigned int)bits + (v4 ? 96 : 0);
	return true;
}

static bool
is_in(const struct reach_range *range, const uint8_t address[16])
{
	unsigned int whole = range->bits / 8, rest = range->bits % 8;

	if (memcmp(range->address, address, whole) != 0)
		return false;
	return rest == 0 ||
	    ((range->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool
reach_read(struct reach *reach, const char *text, char bad[64])
{
	char word[64];

	*reach = (struct reach){ .n = 0 };
	while (*(text += strspn(text, ", \t")) != '\0') {
		size_t len = strcspn(text, ", \t");

		if (!text_copy_n(word, sizeof(word), text, len))
			text_copy_n(word, sizeof(word), text, 63);
		if (reach->n == REACH_RANGES_MAX ||
		    !read_range(&reach->ranges[reach->n], word)) {
			text_copy(bad, 64, word);
			return false;
		}
		reach->n++;
		text += len;
	}
	return true;
}

/* IPv4 as mapped; false: of another family. */
static bool
read_socket(uint8_t out[16], const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof(v4));
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + 12, &v4.sin_addr, 4);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	struct sockaddr_in6 v6;

	memcpy(&v6, address, sizeof(v6));
	memcpy(out, &v6.sin6_addr, 16);
	return true;
}

static bool
is_among(const char *const *list, size_t n, const uint8_t address[16])
{
	struct reach_range range;

	for (size_t i = 0; i < n; i++)
		if (!read_range(&range, list[i]) || is_in(&range, address))
			return true;
	return false;
}

static bool
is_public(const uint8_t in[16])
{
	uint8_t address[16];

	memcpy(address, in, 16);
	if (memcmp(address, nat64, sizeof(nat64)) == 0) {
		memcpy(address, mapped, sizeof(mapped));
	} else if (address[0] == 0x20 && address[1] == 0x02) { /* 6to4 */
		memcpy(address + 12, in + 2, 4);
		memcpy(address, mapped, sizeof(mapped));
	}
	if (memcmp(address, mapped, sizeof(mapped)) == 0)
		return !is_among(not_public,
		    sizeof(not_public) / sizeof(not_public[0]), address);
	return (address[0] & 0xe0) == 0x20 &&
	    !is_among(not_public_6,
		sizeof(not_public_6) / sizeof(not_public_6[0]), address);
}

bool
reach_is_public(const struct sockaddr *address)
{
	uint8_t bytes[16];

	return read_socket(bytes, address) && is_public(bytes);
}

bool
reach_may(const struct reach *reach, const struct sockaddr *address)
{
	uint8_t bytes[16];

	if (!read_socket(bytes, address))
		return false;
	if (is_public(bytes))
		return true;
	for (size_t i = 0; i < reach->n; i++)
		if (is_in(&reach->ranges[i], bytes))
			return true;
	return false;
}
