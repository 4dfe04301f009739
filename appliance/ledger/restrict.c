#include "appliance/ledger/restrict.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/zone.h"
#include "shared/rpc/rpc.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_ADMIN "ask the tenant's admin: leasehold key restrict KEY"
/* Zones change at whole minutes; so long one offset is not looked up again. */
#define OFFSET_KEPT_S 60
#define BITS_OF_NONE UINT32_MAX

struct known_print {
	uint8_t sha256[32];
	char lib_version[32];
};

struct restrict_rules {
	char hosts[KEY_HOSTS_MAX][128];
	size_t n_hosts;
	struct restrict_range ranges[KEY_RANGES_MAX];
	size_t n_ranges;
	bool certificate; /* one is to be shown */
	char cn[65];
	bool pinned;
	uint8_t certificate_sha256[32];
	uint32_t mode; /* enum key_prints */
	struct known_print known[KEY_PRINTS_MAX];
	size_t n_known;
	uint8_t blocked[KEY_BLOCKED_MAX][32];
	size_t n_blocked;
	struct bucket_rate requests, checkouts;
	struct zone *zone; /* NULL: any hour */
	uint32_t days;
	int from, to; /* minutes of the day */
	int64_t offset_minute; /* that it was looked up for */
	int32_t offset;
};

/* --- compiling ------------------------------------------------------------ */

static int fail(struct record_error *error, const char *field, uint32_t index,
    const char *reason) __attribute__((nonnull));

static int
fail(struct record_error *error, const char *field, uint32_t index,
    const char *reason)
{
	if (index == UINT32_MAX)
		snprintf(error->field, sizeof error->field, "%s", field);
	else
		snprintf(error->field, sizeof error->field, "%s[%u]", field,
		    index);
	snprintf(error->reason, sizeof error->reason, "%s", reason);
	return ERR_BAD_REQUEST;
}

static int
compile_hosts(struct restrict_rules *rules, const struct record_list *list,
    struct record_error *error)
{
	const struct key_host *hosts = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (strcmp(hosts[i].host, RESTRICT_ERASED) == 0)
			rules->hosts[i][0] = '\0';
		else if (!restrict_read_host(rules->hosts[i], hosts[i].host))
			return fail(error, "allowed_hostnames", i,
			    "is no host name, nor *. and one");
	rules->n_hosts = list->count;
	return 0;
}

static int
compile_ranges(struct restrict_rules *rules, const struct record_list *list,
    struct record_error *error)
{
	const struct key_range *ranges = list->items;
	const char *reason;

	for (uint32_t i = 0; i < list->count; i++)
		if (strcmp(ranges[i].range, RESTRICT_ERASED) == 0)
			rules->ranges[i].bits = BITS_OF_NONE;
		else if (!restrict_read_range(&rules->ranges[i],
			     ranges[i].range, &reason))
			return fail(error, "allowed_ip_ranges", i, reason);
	rules->n_ranges = list->count;
	return 0;
}

static bool
read_sha256(uint8_t out[32], const char *hex)
{
	size_t len;

	return text_from_hex(out, 32, &len, hex, strlen(hex)) == 0 &&
	    len == 32 && !sodium_is_zero(out, 32);
}

static int
compile_certificate(struct restrict_rules *rules,
    const struct key_restrictions *document, struct record_error *error)
{
	const char *sha256 = document->client_cert_sha256;

	rules->pinned = sha256[0] != '\0';
	if (rules->pinned && !read_sha256(rules->certificate_sha256, sha256))
		return fail(error, "client_cert_sha256", UINT32_MAX,
		    "is no SHA-256 of 64 hexadecimal digits");
	text_copy(rules->cn, sizeof rules->cn, document->client_cert_cn);
	rules->certificate =
	    document->require_mtls || rules->pinned || rules->cn[0] != '\0';
	return 0;
}

static int
compile_prints(struct restrict_rules *rules,
    const struct key_restrictions *document, struct record_error *error)
{
	const struct key_known *known = document->allowed_fingerprints.items;
	const struct key_print *blocked = document->blocked_fingerprints.items;

	rules->mode = document->fingerprint_mode;
	rules->n_known = document->allowed_fingerprints.count;
	rules->n_blocked = document->blocked_fingerprints.count;
	for (uint32_t i = 0; i < rules->n_known; i++) {
		if (!read_sha256(rules->known[i].sha256, known[i].fingerprint))
			return fail(error, "allowed_fingerprints", i,
			    "is no SHA-256 of 64 hexadecimal digits");
		text_copy(rules->known[i].lib_version,
		    sizeof rules->known[i].lib_version, known[i].lib_version);
	}
	for (uint32_t i = 0; i < rules->n_blocked; i++)
		if (!read_sha256(rules->blocked[i], blocked[i].fingerprint))
			return fail(error, "blocked_fingerprints", i,
			    "is no SHA-256 of 64 hexadecimal digits");
	return 0;
}

static int
compile_hours(struct restrict_rules *rules, const struct key_hours *hours,
    struct record_error *error)
{
	if (hours->days[0] == '\0')
		return 0;
	rules->days = restrict_read_days(hours->days);
	rules->from = restrict_read_minute(hours->from);
	rules->to = restrict_read_minute(hours->to);
	if (rules->days == 0)
		return fail(error, "working_hours.days", UINT32_MAX,
		    "is no list of days such as mon-fri or mon,wed,fri");
	if (rules->from < 0 || rules->from == 24 * 60)
		return fail(error, "working_hours.from", UINT32_MAX,
		    "is no time of day such as 07:00");
	if (rules->to < 0)
		return fail(error, "working_hours.to", UINT32_MAX,
		    "is no time of day such as 19:00");
	int err = zone_open(&rules->zone, hours->zone);

	if (err == ERR_BAD_REQUEST || err == ERR_NOT_FOUND)
		return fail(error, "working_hours.zone", UINT32_MAX,
		    "is no time zone that this system knows, such as "
		    "Europe/Berlin");
	rules->offset_minute = INT64_MIN;
	return err == ERR_CORRUPT ? ERR_UNAVAILABLE : err;
}

int
restrict_compile(struct restrict_rules **out,
    const struct key_restrictions *document, struct record_error *error)
{
	struct restrict_rules *rules = NULL;
	struct record_error ignored;
	int err = record_check(&key_restrictions_record, document,
	    error != NULL ? error : &ignored);

	if (error == NULL)
		error = &ignored;
	if (err != 0)
		return err;
	rules = calloc(1, sizeof *rules);
	if (rules == NULL)
		return ERR_NOMEM;
	rules->requests = (struct bucket_rate){
		document->requests_per_hour != 0 ? document->requests_per_hour
						 : KEY_REQUESTS_DEFAULT,
		BUCKET_HOUR_US,
	};
	rules->checkouts = (struct bucket_rate){
		document->checkouts_per_minute != 0
		    ? document->checkouts_per_minute
		    : KEY_CHECKOUTS_DEFAULT,
		BUCKET_MINUTE_US,
	};
	err = compile_hosts(rules, &document->allowed_hostnames, error);
	if (err == 0)
		err =
		    compile_ranges(rules, &document->allowed_ip_ranges, error);
	if (err == 0)
		err = compile_certificate(rules, document, error);
	if (err == 0)
		err = compile_prints(rules, document, error);
	if (err == 0)
		err = compile_hours(rules, &document->working_hours, error);
	if (err != 0) {
		restrict_free(rules);
		return err;
	}
	*out = rules;
	return 0;
}

void
restrict_free(struct restrict_rules *rules)
{
	if (rules == NULL)
		return;
	zone_free(rules->zone);
	free(rules);
}

/* --- checking ------------------------------------------------------------- */

static int
check_host(const struct restrict_rules *rules,
    const struct restrict_facts *facts, struct problem *problem)
{
	char host[128];

	if (rules->n_hosts == 0)
		return 0;
	if (facts->hostname[0] == '\0') {
		problem_set(problem, ERR_HOSTNAME_NOT_ALLOWED,
		    "send the host's name in the header X-Hostname",
		    "this key is bound to hosts, and the request names none");
		return ERR_HOSTNAME_NOT_ALLOWED;
	}
	bool good = restrict_read_host(host, facts->hostname);

	for (size_t i = 0; good && i < rules->n_hosts; i++)
		if (rules->hosts[i][0] != '\0' &&
		    restrict_host_fits(rules->hosts[i], host))
			return 0;
	problem_set(problem, ERR_HOSTNAME_NOT_ALLOWED, ASK_ADMIN " --host NAME",
	    "this key may not be used on host %s", facts->hostname);
	return ERR_HOSTNAME_NOT_ALLOWED;
}

static int
check_address(const struct restrict_rules *rules,
    const struct restrict_facts *facts, struct problem *problem)
{
	uint8_t address[16];

	if (rules->n_ranges == 0)
		return 0;
	bool good = restrict_read_address(address, facts->address);

	for (size_t i = 0; good && i < rules->n_ranges; i++)
		if (rules->ranges[i].bits != BITS_OF_NONE &&
		    restrict_in_range(&rules->ranges[i], address))
			return 0;
	problem_set(problem, ERR_IP_NOT_ALLOWED, ASK_ADMIN " --address RANGE",
	    "this key may not be used from address %s", facts->address);
	return ERR_IP_NOT_ALLOWED;
}

static int
check_certificate(const struct restrict_rules *rules,
    const struct restrict_facts *facts, struct problem *problem)
{
	const char *words = NULL;

	if (!rules->certificate)
		return 0;
	if (sodium_is_zero(facts->certificate, 32))
		words = "this key is used with a client certificate, and the "
			"connection shows none";
	else if (strcmp(rules->cn, RESTRICT_ERASED) == 0 ||
	    (rules->cn[0] != '\0' &&
		strcmp(rules->cn, facts->client_cn) != 0) ||
	    (rules->pinned &&
		sodium_memcmp(rules->certificate_sha256, facts->certificate,
		    32) != 0))
		words = "the client certificate is not the one that this key "
			"is bound to";
	if (words == NULL)
		return 0;
	problem_set(problem, ERR_CERTIFICATE_NOT_ALLOWED, NULL, "%s", words);
	return ERR_CERTIFICATE_NOT_ALLOWED;
}

static bool
is_known(const struct restrict_rules *rules, const struct restrict_facts *facts)
{
	for (size_t i = 0; i < rules->n_known; i++) {
		const struct known_print *known = &rules->known[i];

		if (memcmp(known->sha256, facts->fingerprint, 32) == 0 &&
		    (known->lib_version[0] == '\0' ||
			strcmp(known->lib_version, facts->lib_version) == 0))
			return true;
	}
	return false;
}

static int
check_print(const struct restrict_rules *rules, enum restrict_print *print,
    const struct restrict_facts *facts, struct problem *problem)
{
	bool none = sodium_is_zero(facts->fingerprint, 32);

	*print = RESTRICT_PRINT_FINE;
	for (size_t i = 0; !none && i < rules->n_blocked; i++)
		if (memcmp(rules->blocked[i], facts->fingerprint, 32) == 0)
			*print = RESTRICT_PRINT_BLOCKED;
	if (*print == RESTRICT_PRINT_FINE && rules->mode != KEY_PRINTS_OFF &&
	    (none || !is_known(rules, facts))) {
		if (rules->mode == KEY_PRINTS_ENFORCE)
			*print = RESTRICT_PRINT_STRANGE;
		else if (!none)
			*print = RESTRICT_PRINT_NEW;
	}
	if (*print == RESTRICT_PRINT_FINE || *print == RESTRICT_PRINT_NEW)
		return 0;
	problem_set(problem, ERR_FINGERPRINT_BLOCKED,
	    none ? "send the SHA-256 of the application in the header "
		   "X-App-Fingerprint"
		 : ASK_ADMIN " --fingerprint SHA256",
	    "%s",
	    *print == RESTRICT_PRINT_BLOCKED
		? "this application is blocked for this key"
		: none ? "this key is bound to applications, and the request "
			 "names none"
		       : "this key is bound to applications, and this is none "
			 "of them");
	return ERR_FINGERPRINT_BLOCKED;
}

static int64_t
local_minute(struct restrict_rules *rules, int64_t now_ms)
{
	int64_t now_s = now_ms / 1000;

	if (now_s / OFFSET_KEPT_S != rules->offset_minute) {
		rules->offset_minute = now_s / OFFSET_KEPT_S;
		rules->offset = zone_offset(rules->zone, now_s);
	}
	return (now_s + rules->offset) / 60;
}

static int
check_hours(struct restrict_rules *rules, const struct restrict_facts *facts,
    struct problem *problem)
{
	if (rules->zone == NULL)
		return 0;
	int64_t local = local_minute(rules, facts->now_ms);
	int minute = (int)(local % (24 * 60));
	/* 1970 began on a Thursday, 4 from Sunday on. */
	int day = (int)((local / (24 * 60) + 4) % 7);
	bool today = (rules->days >> day & 1) != 0;
	bool yesterday = (rules->days >> (day + 6) % 7 & 1) != 0;
	bool good = rules->from < rules->to
	    ? today && minute >= rules->from && minute < rules->to
	    : (today && minute >= rules->from) ||
		(yesterday && minute < rules->to);

	if (good)
		return 0;
	problem_set(problem, ERR_OUTSIDE_HOURS, ASK_ADMIN " --hours HOURS",
	    "this key may not be used at this hour");
	return ERR_OUTSIDE_HOURS;
}

int
restrict_check(struct restrict_rules *rules, enum restrict_print *print,
    const struct restrict_facts *facts, struct problem *problem)
{
	int err = check_host(rules, facts, problem);

	*print = RESTRICT_PRINT_FINE;
	if (err == 0)
		err = check_address(rules, facts, problem);
	if (err == 0)
		err = check_certificate(rules, facts, problem);
	if (err == 0)
		err = check_print(rules, print, facts, problem);
	return err == 0 ? check_hours(rules, facts, problem) : err;
}

const struct bucket_rate *
restrict_requests(const struct restrict_rules *rules)
{
	return &rules->requests;
}

const struct bucket_rate *
restrict_checkouts(const struct restrict_rules *rules)
{
	return &rules->checkouts;
}
