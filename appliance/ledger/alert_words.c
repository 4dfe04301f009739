#include "appliance/ledger/alert_words.h"

#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

/* Bytes of a character that turns the direction of what follows (Unicode's
 * Bidi_Control); 0: it is none. */
static size_t
turns(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (at[0] == 0xd8 && at[1] == 0x9c)
		return 2;
	if (at[0] != 0xe2)
		return 0;
	if (at[1] == 0x80 &&
	    (at[2] == 0x8e || at[2] == 0x8f ||
		(at[2] >= 0xaa && at[2] <= 0xae)))
		return 3;
	return at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9 ? 3 : 0;
}

void
alert_clean(char *text)
{
	const bool printable = text_is_printable(text, strlen(text));

	for (char *at = text; *at != '\0'; at++) {
		size_t n = turns(at);

		if (n > 0)
			memset(at, '?', n);
		else if ((unsigned char)*at < 0x20 || *at == 0x7f ||
		    (!printable && (unsigned char)*at >= 0x80))
			*at = '?';
	}
}

static void
write_about(struct alert_view *view, const struct alert_subject *subject,
    const char *tenant)
{
	if (subject->about == ALERT_OF_SITE)
		text_copy(view->about, sizeof view->about, "site");
	else if (subject->about == ALERT_OF_TENANT)
		snprintf(view->about, sizeof view->about, "tenant %.64s",
		    tenant);
	else
		snprintf(view->about, sizeof view->about, "%s-%llu",
		    alert_about_names[subject->about],
		    (unsigned long long)subject->id);
}

bool
alert_is_worse(uint32_t severity, int64_t last_at, uint32_t than,
    int64_t than_last_at)
{
	return severity != than ? severity > than : last_at > than_last_at;
}

uint32_t
alert_severity_of(const struct alert_subject *subject)
{
	switch ((enum alert_kind)subject->kind) {
	case ALERT_ROLLBACK:
	case ALERT_CLOCK:
	case ALERT_DISK:
	case ALERT_MAP:
		return ALERT_CRITICAL;
	case ALERT_QUOTA:
	case ALERT_USAGE_LIMIT:
		return ALERT_STAGE_PERCENT(subject->stage) >= 100
		    ? ALERT_CRITICAL
		    : ALERT_WARNING;
	case ALERT_LICENSE_EXPIRING:
	case ALERT_ISSUER_EXPIRING:
		return subject->stage <= 1 ? ALERT_CRITICAL : ALERT_WARNING;
	case ALERT_LICENSE_OVERRUN:
		return subject->stage == ALERT_OVERRUN_CONTRACT ? ALERT_CRITICAL
								: ALERT_WARNING;
	case ALERT_LICENSE_STATUS:
		return ALERT_CRITICAL;
	case ALERT_UNSYNCED:
		return subject->stage >= 100 ? ALERT_CRITICAL : ALERT_WARNING;
	case ALERT_TEST:
		return ALERT_INFO;
	case ALERT_UNKNOWN_ADDRESS:
	case ALERT_UNKNOWN_HOST:
	case ALERT_UNKNOWN_FINGERPRINT:
	case ALERT_NO_CERTIFICATE:
	case ALERT_UNUSUAL_RATE:
	case ALERT_OUT_OF_HOURS:
	case ALERT_SYNC:
	case ALERT_KINDS:
		break;
	}
	return ALERT_WARNING;
}

static const char *
key_words(enum alert_kind kind)
{
	switch (kind) {
	case ALERT_UNKNOWN_ADDRESS:
		return "came from an unknown address";
	case ALERT_UNKNOWN_HOST:
		return "came from an unknown host";
	case ALERT_UNKNOWN_FINGERPRINT:
		return "came from an unknown or blocked application";
	case ALERT_NO_CERTIFICATE:
		return "came without its client certificate";
	case ALERT_UNUSUAL_RATE:
		return "is used more often than it may be";
	case ALERT_OUT_OF_HOURS:
		return "was used outside its hours";
	case ALERT_QUOTA:
	case ALERT_LICENSE_EXPIRING:
	case ALERT_ROLLBACK:
	case ALERT_CLOCK:
	case ALERT_DISK:
	case ALERT_MAP:
	case ALERT_TEST:
	case ALERT_LICENSE_OVERRUN:
	case ALERT_USAGE_LIMIT:
	case ALERT_LICENSE_STATUS:
	case ALERT_SYNC:
	case ALERT_UNSYNCED:
	case ALERT_ISSUER_EXPIRING:
	case ALERT_KINDS:
		break;
	}
	return "was refused";
}

static void
say_key(struct alert_view *view, enum alert_kind kind)
{
	int n = snprintf(view->text, sizeof view->text, "%s %s", view->about,
	    key_words(kind));
	size_t at = n > 0 ? (size_t)n : 0;

	if (view->address[0] != '\0' && at < sizeof view->text)
		at += (size_t)snprintf(view->text + at, sizeof view->text - at,
		    ", from %s", view->address);
	if (view->host[0] != '\0' && at < sizeof view->text)
		snprintf(view->text + at, sizeof view->text - at,
		    ", host \"%s\"", view->host);
	snprintf(view->answer, sizeof view->answer, "leasehold key revoke %s",
	    view->about);
}

#define SAY(...) snprintf(view->text, sizeof view->text, __VA_ARGS__)
#define ANSWER(...) snprintf(view->answer, sizeof view->answer, __VA_ARGS__)

static void
say_license(struct alert_view *view, const struct alert_subject *subject)
{
	if (subject->stage == 0)
		SAY("the contract of %s is over", view->about);
	else
		SAY("the contract of %s ends within %u %s", view->about,
		    subject->stage, subject->stage == 1 ? "day" : "days");
	ANSWER("leasehold license install FILE");
}

static void
say_issuer(struct alert_view *view, const struct alert_subject *subject)
{
	if (subject->stage == 0)
		SAY("the issuing key of %s is over: no license and no receipt "
		    "is signed any more",
		    view->about);
	else
		SAY("the issuing key of %s ends within %u %s; after that no "
		    "license and no receipt is signed",
		    view->about, subject->stage,
		    subject->stage == 1 ? "day" : "days");
	ANSWER("leasehold hub key make");
}

static void
say_overrun(struct alert_view *view, const struct alert_subject *subject)
{
	if (subject->stage == ALERT_OVERRUN_CONTRACT)
		SAY("the contract of %s is over and it still grants seats, as "
		    "its terms allow: each checkout is billed as overage",
		    view->about);
	else
		SAY("more seats of %s are held than it has, as its terms "
		    "allow: those beyond its committed ones are billed as "
		    "overage",
		    view->about);
	ANSWER(subject->stage == ALERT_OVERRUN_CONTRACT
		? "leasehold license install FILE"
		: "leasehold leases");
}

static void
say_unsynced(struct alert_view *view, const struct alert_subject *subject,
    unsigned long long days, unsigned long long most)
{
	if (subject->stage >= 100)
		SAY("no receipt of its vendor came for %s in %llu days: "
		    "nothing is granted any more",
		    view->about, most);
	else
		SAY("no receipt of its vendor came for %s in %llu days; after "
		    "%llu nothing is granted any more",
		    view->about, days, most);
	ANSWER("leasehold sync status");
}

static void
say_quota(struct alert_view *view, const struct alert_subject *subject,
    unsigned long long found, unsigned long long most, const char *tenant)
{
	static const struct {
		const char *what, *option;
	} quotas[ALERT_QUOTAS] = {
		[ALERT_QUOTA_CALLS] = { "requests of today",
		    "--calls-per-day" },
		[ALERT_QUOTA_DEVICES] = { "devices", "--devices" },
		[ALERT_QUOTA_KEYS] = { "API keys", "--keys" },
		[ALERT_QUOTA_USERS] = { "users", "--users" },
	};
	uint32_t quota = ALERT_STAGE_WHICH(subject->stage);

	if (quota >= ALERT_QUOTAS)
		quota = ALERT_QUOTA_CALLS;
	SAY("%s has used %u %% of its %llu %s: %llu", view->about,
	    ALERT_STAGE_PERCENT(subject->stage), most, quotas[quota].what,
	    found);
	ANSWER("leasehold tenant set %.64s %s N", tenant, quotas[quota].option);
}

static void
say_clock(struct alert_view *view, const struct alert_subject *subject)
{
	if (subject->stage == ALERT_CLOCK_BEHIND) {
		SAY("the wall clock is behind the site's time: set it right");
		ANSWER("timedatectl");
		return;
	}
	SAY("the wall clock jumped ahead; the site goes on with its own time "
	    "until an admin confirms or the clock is set right");
	ANSWER("leasehold site clock confirm");
}

static void
say_rollback(struct alert_view *view, const struct alert_subject *subject)
{
	if (subject->about == ALERT_OF_DEVICE)
		SAY("%s has seen a journal that this is not a continuation of: "
		    "the store was put back to an older copy, or the device is "
		    "wrong",
		    view->about);
	else
		SAY("the site's store was put back to an older copy: nothing "
		    "is granted until an admin acknowledges it");
	ANSWER(subject->about == ALERT_OF_DEVICE
		? "leasehold site show"
		: "leasehold site acknowledge-rollback --reason TEXT");
}

void
alert_words(struct alert_view *view, const struct alert_subject *subject,
    uint64_t value, uint64_t limit, const char *tenant)
{
	const unsigned long long found = value, most = limit;

	view->kind = subject->kind;
	view->stage = subject->stage;
	view->severity = alert_severity_of(subject);
	view->answer[0] = '\0';
	alert_clean(view->address);
	alert_clean(view->host);
	write_about(view, subject, tenant);
	switch ((enum alert_kind)subject->kind) {
	case ALERT_UNKNOWN_ADDRESS:
	case ALERT_UNKNOWN_HOST:
	case ALERT_UNKNOWN_FINGERPRINT:
	case ALERT_NO_CERTIFICATE:
	case ALERT_UNUSUAL_RATE:
	case ALERT_OUT_OF_HOURS:
		say_key(view, (enum alert_kind)subject->kind);
		return;
	case ALERT_QUOTA:
		say_quota(view, subject, found, most, tenant);
		return;
	case ALERT_LICENSE_EXPIRING:
		say_license(view, subject);
		return;
	case ALERT_ROLLBACK:
		say_rollback(view, subject);
		return;
	case ALERT_CLOCK:
		say_clock(view, subject);
		return;
	case ALERT_DISK:
		SAY("the disk of the site's store is full to %llu %%", found);
		ANSWER("df -h");
		return;
	case ALERT_MAP:
		SAY("the store of %s uses %llu %% of its map: give [store] "
		    "map_gib more, and restart",
		    view->about, found);
		ANSWER("leasehold site show");
		return;
	case ALERT_TEST:
		SAY("a test of %s: nothing is wrong", view->about);
		return;
	case ALERT_LICENSE_OVERRUN:
		say_overrun(view, subject);
		return;
	case ALERT_USAGE_LIMIT:
		SAY("%u %% of what limit %u of %s allows are used: %llu of "
		    "%llu",
		    ALERT_STAGE_PERCENT(subject->stage),
		    ALERT_STAGE_WHICH(subject->stage) + 1, view->about, found,
		    most);
		ANSWER("leasehold usage current");
		return;
	case ALERT_LICENSE_STATUS:
		SAY("%s was %s by its vendor: nothing new is granted",
		    view->about,
		    subject->stage == LICENSE_IS_CANCELLED ? "cancelled"
							   : "suspended");
		ANSWER("leasehold license show %llu",
		    (unsigned long long)subject->id);
		return;
	case ALERT_SYNC:
		SAY("%s: %llu tries in a row to send usage to a vendor's hub "
		    "came to nothing",
		    view->about, found);
		ANSWER("leasehold sync status");
		return;
	case ALERT_UNSYNCED:
		say_unsynced(view, subject, found, most);
		return;
	case ALERT_ISSUER_EXPIRING:
		say_issuer(view, subject);
		return;
	case ALERT_KINDS:
		break;
	}
	SAY("%s", view->about);
}
