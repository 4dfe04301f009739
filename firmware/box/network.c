/* See network.h. */
#include "firmware/box/network.h"

#include "shared/base/config.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct said {
	char address[256];
	char gateway[128];
	char dns[256];
	char ntp[1024];
	char mac[32];
};

#define KEY(name_, doc_)                                                   \
	{                                                                  \
		.section = "network", .name = #name_, .type = CONFIG_TEXT, \
		.offset = offsetof(struct said, name_),                    \
		.size = sizeof(((struct said *)0)->name_), .doc = doc_     \
	}
static const struct config_key keys[] = {
	KEY(address, "192.168.1.7/24, several with commas; or dhcp"),
	KEY(gateway, "192.168.1.1"),
	KEY(dns, "addresses of name servers, with commas"),
	KEY(ntp, "names or addresses of time servers, with commas"),
	KEY(mac, "of the interface meant, where there are several"),
	{ .name = NULL },
};

struct reading {
	struct network *network;
	const char *name; /* of the file */
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 3, 4)))
refuse(const struct reading *reading, const char *key, const char *format, ...)
{
	va_list args;
	int n = snprintf(reading->error, reading->error_size,
	    "%s: %s: ", reading->name, key);

	if (n < 0 || (size_t)n >= reading->error_size)
		return ERR_BAD_REQUEST;
	va_start(args, format);
	vsnprintf(reading->error + n, reading->error_size - (size_t)n, format,
	    args);
	va_end(args);
	return ERR_BAD_REQUEST;
}

/* --- addresses ------------------------------------------------------------ */

static unsigned int
family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static unsigned int
bit_of(const struct network_address *address, unsigned int i)
{
	return (unsigned int)address->bytes[i / 8] >> (7 - i % 8) & 1u;
}

/* The host's part of an address: all zeros, all ones, or neither. */
static bool
host_bits_are(const struct network_address *address, unsigned int value)
{
	for (unsigned int i = address->bits; i < family_bits(address->family);
	     i++)
		if (bit_of(address, i) != value)
			return false;
	return true;
}

static bool
same_prefix(const struct network_address *a, const struct network_address *b,
    unsigned int bits)
{
	for (unsigned int i = 0; i < bits; i++)
		if (bit_of(a, i) != bit_of(b, i))
			return false;
	return true;
}

static bool
is_link_local(const struct network_address *address)
{
	return address->family == AF_INET6 && address->bytes[0] == 0xfe &&
	    (address->bytes[1] & 0xc0) == 0x80;
}

/* Can it be of one machine that others reach? */
static bool
is_unicast(const struct network_address *address)
{
	static const uint8_t zero[16], loopback[16] = { [15] = 1 };
	const uint8_t *bytes = address->bytes;

	if (address->family == AF_INET)
		return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224;
	return memcmp(bytes, zero, 16) != 0 &&
	    memcmp(bytes, loopback, 16) != 0 && bytes[0] != 0xff &&
	    memcmp(bytes, zero, 12) != 0 && /* of no use for long */
	    !(memcmp(bytes, zero, 10) == 0 && bytes[10] == 0xff);
}

static bool
address_parse(struct network_address *out, const char *text)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, out->bytes) == 1)
		out->family = AF_INET;
	else if (inet_pton(AF_INET6, text, out->bytes) == 1)
		out->family = AF_INET6;
	return out->family != 0;
}

static void
address_format(char out[INET6_ADDRSTRLEN],
    const struct network_address *address)
{
	if (inet_ntop(address->family, address->bytes, out, INET6_ADDRSTRLEN) ==
	    NULL)
		out[0] = '\0';
}

/* --- lists ---------------------------------------------------------------- */

/* The next word of a list with commas, white space around it gone. Returns
 * false at the end; a word between two commas is empty. */
static bool
next_word(char *out, size_t size, const char **at)
{
	const char *from = *at;

	if (from == NULL || *from == '\0')
		return false;
	size_t len = strcspn(from, ",");

	*at = from[len] == ',' ? from + len + 1 : NULL;
	while (len > 0 && (*from == ' ' || *from == '\t')) {
		from++;
		len--;
	}
	while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\t'))
		len--;
	/* Too long for anything that it could be. */
	if (!text_copy_n(out, size, from, len))
		text_copy(out, size, "?");
	return true;
}

static int
read_one_address(const struct reading *reading, char *word)
{
	struct network *network = reading->network;
	struct network_address *address = &network->address[network->n_address];
	char *slash = strchr(word, '/');
	uint64_t bits;

	if (network->n_address == NETWORK_LIST_MAX)
		return refuse(reading, "address", "more than %d of them",
		    NETWORK_LIST_MAX);
	if (slash == NULL)
		return refuse(reading, "address",
		    "'%.40s' has no prefix; write it as 192.168.1.7/24", word);
	*slash = '\0';
	if (!address_parse(address, word))
		return refuse(reading, "address",
		    "'%.40s' is no address; write it as 192.168.1.7/24", word);
	if (!text_to_u64(&bits, slash + 1, strlen(slash + 1)) || bits == 0 ||
	    bits > family_bits(address->family))
		return refuse(reading, "address",
		    "the prefix of %.40s must be 1 to %u", word,
		    family_bits(address->family));
	address->bits = (unsigned int)bits;
	if (!is_unicast(address))
		return refuse(reading, "address",
		    "%.40s cannot be a box's own address", word);
	/* Of /31 and /32 every address is a machine (RFC 3021). */
	if (address->family == AF_INET && bits < 31 &&
	    (host_bits_are(address, 0) || host_bits_are(address, 1)))
		return refuse(reading, "address",
		    "%.40s/%u is the whole network's, not a machine's", word,
		    address->bits);
	network->n_address++;
	return 0;
}

static int
read_addresses(const struct reading *reading, const char *list)
{
	char word[64];

	if (strcmp(list, "dhcp") == 0 || list[0] == '\0')
		return 0;
	while (next_word(word, sizeof(word), &list)) {
		int rc = read_one_address(reading, word);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static bool
is_reached(const struct network *network, const struct network_address *gateway)
{
	for (size_t i = 0; i < network->n_address; i++) {
		const struct network_address *own = &network->address[i];

		if (own->family == gateway->family &&
		    (is_link_local(gateway) ||
			same_prefix(own, gateway, own->bits)))
			return true;
	}
	return false;
}

static int
read_gateways(const struct reading *reading, const char *list)
{
	struct network *network = reading->network;
	char word[64];

	while (next_word(word, sizeof(word), &list)) {
		struct network_address gateway;

		if (network->n_address == 0)
			return refuse(reading, "gateway",
			    "comes from DHCP; it needs an address of the box");
		if (!address_parse(&gateway, word) || !is_unicast(&gateway))
			return refuse(reading, "gateway",
			    "'%.40s' is no address of a gateway", word);
		if (!is_reached(network, &gateway))
			return refuse(reading, "gateway",
			    "%.40s is in the network of none of the box's "
			    "addresses",
			    word);
		if (network->n_gateway == 2 ||
		    (network->n_gateway == 1 &&
			network->gateway[0].family == gateway.family))
			return refuse(reading, "gateway",
			    "one for IPv4 and one for IPv6, no more");
		network->gateway[network->n_gateway++] = gateway;
	}
	return 0;
}

static int
read_dns(const struct reading *reading, const char *list)
{
	struct network *network = reading->network;
	char word[64];

	while (next_word(word, sizeof(word), &list)) {
		if (network->n_dns == NETWORK_LIST_MAX)
			return refuse(reading, "dns", "more than %d of them",
			    NETWORK_LIST_MAX);
		struct network_address *dns = &network->dns[network->n_dns];

		if (!address_parse(dns, word) || !is_unicast(dns))
			return refuse(reading, "dns",
			    "'%.40s' is no address of a name server", word);
		network->n_dns++;
	}
	return 0;
}

/* RFC 1123: labels of letters, digits and inner hyphens. */
static bool
is_host_name(const char *name)
{
	size_t label = 0;

	for (size_t i = 0;; i++) {
		char c = name[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > 63 || name[i - 1] == '-')
				return false;
			if (c == '\0')
				return true;
			label = 0;
			continue;
		}
		bool inner = c == '-' && label > 0;
		bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || inner;

		if (!fits)
			return false;
		label++;
	}
}

static int
read_ntp(const struct reading *reading, const char *list)
{
	struct network *network = reading->network;
	char word[NETWORK_NAME_MAX + 1];

	while (next_word(word, sizeof(word), &list)) {
		struct network_address address;

		if (network->n_ntp == NETWORK_LIST_MAX)
			return refuse(reading, "ntp", "more than %d of them",
			    NETWORK_LIST_MAX);
		bool good = address_parse(&address, word) ? is_unicast(&address)
							  : is_host_name(word);

		if (!good)
			return refuse(reading, "ntp",
			    "'%.40s' is no name and no address of a time "
			    "server",
			    word);
		text_copy(network->ntp[network->n_ntp++],
		    sizeof(network->ntp[0]), word);
	}
	return 0;
}

static int
read_mac(const struct reading *reading, const char *text)
{
	struct network *network = reading->network;
	uint8_t *mac = network->mac;
	size_t len = strlen(text);

	if (len == 0)
		return 0;
	for (size_t i = 0; len == 17 && i < 6; i++) {
		size_t n;

		if (text_from_hex(&mac[i], 1, &n, text + 3 * i, 2) != 0 ||
		    (i < 5 && text[3 * i + 2] != ':'))
			len = 0;
	}
	if (len != 17 || (mac[0] & 1) != 0)
		return refuse(reading, "mac",
		    "'%.40s' is none; write it as 52:54:00:12:34:56", text);
	network->has_mac = true;
	return 0;
}

/* --- the file ------------------------------------------------------------- */

/* Words of it end in messages. */
static bool
is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') ||
		    c == 0x7f)
			return false;
	}
	return text_is_utf8(text, len);
}

int
network_read(struct network *network, const char *name, const char *text,
    size_t len, char *error, size_t error_size)
{
	struct said said = { 0 };
	const struct reading reading = { network, name, error, error_size };
	char copy[NETWORK_FILE_MAX + 1];

	memset(network, 0, sizeof(*network));
	if (len > NETWORK_FILE_MAX)
		return refuse(&reading, "file", "more than %d bytes",
		    NETWORK_FILE_MAX);
	if (!is_plain(text, len))
		return refuse(&reading, "file",
		    "is no plain text; save it as UTF-8 without formatting");
	memcpy(copy, text, len);
	copy[len] = '\0';
	int rc = config_read_text(&said, keys, name, copy, error, error_size);

	if (rc == 0)
		rc = read_addresses(&reading, said.address);
	if (rc == 0)
		rc = read_gateways(&reading, said.gateway);
	if (rc == 0)
		rc = read_dns(&reading, said.dns);
	if (rc == 0)
		rc = read_ntp(&reading, said.ntp);
	if (rc == 0)
		rc = read_mac(&reading, said.mac);
	/* It cites the file, in which there may be tabs. */
	for (char *c = error; rc != 0 && *c != '\0'; c++)
		if ((uint8_t)*c < 0x20)
			*c = ' ';
	return rc;
}

static void
add_address(struct buf *out, const char *key,
    const struct network_address *address)
{
	char text[INET6_ADDRSTRLEN];

	address_format(text, address);
	buf_printf(out, "%s=%s", key, text);
	if (address->bits != 0)
		buf_printf(out, "/%u", address->bits);
	buf_add_byte(out, '\n');
}

void
network_write_unit(struct buf *out, const struct network *network)
{
	const uint8_t *mac = network->mac;

	buf_add_str(out,
	    "# Made from network.ini; it is written anew when "
	    "that is read again.\n[Match]\n");
	if (network->has_mac)
		buf_printf(out, "MACAddress=%02x:%02x:%02x:%02x:%02x:%02x\n",
		    mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	buf_add_str(out, "Type=ether\nKind=!*\n\n[Network]\n");
	buf_printf(out, "DHCP=%s\n", network->n_address == 0 ? "yes" : "no");
	/* What a stranger on the wire announces is believed where a person has
	 * not said the address. */
	buf_printf(out,
	    "IPv6AcceptRA=%s\nLLMNR=no\nMulticastDNS=no\n"
	    "LinkLocalAddressing=ipv6\n",
	    network->n_address == 0 ? "yes" : "no");
	for (size_t i = 0; i < network->n_address; i++)
		add_address(out, "Address", &network->address[i]);
	for (size_t i = 0; i < network->n_gateway; i++)
		add_address(out, "Gateway", &network->gateway[i]);
	for (size_t i = 0; i < network->n_dns; i++)
		add_address(out, "DNS", &network->dns[i]);
	/* As the image's own: it asks no more of a server than an address. */
	if (network->n_address == 0)
		buf_add_str(out,
		    "\n[DHCPv4]\nClientIdentifier=mac\n"
		    "UseHostname=no\nUseNTP=no\nSendHostname=no\n"
		    "\n[DHCPv6]\nDUIDType=link-layer\nUseNTP=no\n");
}

void
network_write_ntp(struct buf *out, const struct network *network)
{
	for (size_t i = 0; i < network->n_ntp; i++)
		buf_printf(out, "%s\n", network->ntp[i]);
}

void
network_describe(struct buf *out, const struct network *network)
{
	char text[INET6_ADDRSTRLEN];

	if (network->n_address == 0)
		buf_add_str(out, "DHCP");
	for (size_t i = 0; i < network->n_address; i++) {
		address_format(text, &network->address[i]);
		buf_printf(out, "%s%s/%u", i > 0 ? ", " : "", text,
		    network->address[i].bits);
	}
	for (size_t i = 0; i < network->n_gateway; i++) {
		address_format(text, &network->gateway[i]);
		buf_printf(out, "%s%s", i > 0 ? " and " : " by ", text);
	}
}
