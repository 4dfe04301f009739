/*
 * What an API key is bound to, compiled once from its document and then asked
 * for every request: host names, address ranges, client certificate,
 * applications, hours; and its rates. Each check refuses by itself, with a code
 * of its own. It must not know keys, stores or requests.
 */
#ifndef APPLIANCE_LEDGER_RESTRICT_H
#define APPLIANCE_LEDGER_RESTRICT_H

#include "appliance/ledger/buckets.h"
#include "shared/rpc/messages.h"
#include "shared/rpc/messages_key.h"

struct restrict_rules;

/** Where a name stood that was erased (subjects.h has the word): a host, range
 * or common name that nothing fits, so that the key gets no looser. */
#define RESTRICT_ERASED "erased"

/** What a request says, and what is known of it. */
struct restrict_facts {
	const char *address; /* of the peer, as its front saw it */
	const char *hostname; /* X-Hostname, a claim; or "" */
	const char *client_cn; /* of a verified certificate, or "" */
	const uint8_t *certificate; /* its SHA-256, 32; zero: it showed none */
	const uint8_t *fingerprint; /* X-App-Fingerprint, 32; zero: none */
	const char *lib_version; /* X-Lib-Version, or "" */
	int64_t now_ms; /* site time */
};

/** What an application is to a key. */
enum restrict_print {
	RESTRICT_PRINT_FINE, /* known, or nobody asks */
	RESTRICT_PRINT_NEW, /* to be learned: the alert is the caller's */
	RESTRICT_PRINT_STRANGE, /* refused, because nobody knows it */
	RESTRICT_PRINT_BLOCKED,
};

/**
 * Check a document and make rules of it.
 *
 * @retval ERR_BAD_REQUEST  With the field and what is wrong with it.
 * @retval ERR_UNAVAILABLE  The system has lost the time zone.
 */
int restrict_compile(struct restrict_rules **rules,
    const struct key_restrictions *document, struct record_error *error);
void restrict_free(struct restrict_rules *rules);

/**
 * May this request be? 0; ERR_HOSTNAME_NOT_ALLOWED, ERR_IP_NOT_ALLOWED,
 * ERR_CERTIFICATE_NOT_ALLOWED, ERR_FINGERPRINT_BLOCKED, ERR_OUTSIDE_HOURS,
 * tried in that order, with words in `problem`. They do not say what would be
 * allowed: who holds a stolen key is told nothing. Not for two threads at once.
 */
int restrict_check(struct restrict_rules *rules, enum restrict_print *print,
    const struct restrict_facts *facts, struct problem *problem);

const struct bucket_rate *restrict_requests(const struct restrict_rules *rules);
const struct bucket_rate *restrict_checkouts(
    const struct restrict_rules *rules);

/* --- restrict_parse.c: the parts, for tests and fuzzers -------------------- */

struct restrict_range {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint32_t bits; /* of it that count */
};
/** "192.0.2.0/24", "2001:db8::/32", one address. Bits beyond the prefix must be
 * zero. False: it is none; `reason` says why. */
bool restrict_read_range(struct restrict_range *range, const char *text,
    const char **reason);
bool restrict_read_address(uint8_t address[16], const char *text);
/** An IPv4 address is in ranges of IPv4 only, and in those of mapped ones:
 * "::/0" is every IPv6 address and no other. */
bool restrict_in_range(const struct restrict_range *range,
    const uint8_t address[16]);

/** "mon-fri,sun": a bit a day, Sunday is 0. 0: it is none. */
uint32_t restrict_read_days(const char *text);
/** "07:30" to minutes, 24:00 at most; -1: it is none. */
int restrict_read_minute(const char *text);
/** A host name, or "*." and one; lower case. False: it is none. */
bool restrict_read_host(char out[128], const char *text);
bool restrict_host_fits(const char *pattern, const char *host);

#endif
