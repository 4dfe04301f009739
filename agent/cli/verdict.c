#include "agent/cli/verdict.h"

#include "shared/base/text.h"
#include "shared/record/record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define OPT RECORD_OPTIONAL
#define MINUTE_MS INT64_C(60000)
#define DAY_MS INT64_C(86400000)
/* A certificate that ends sooner is worth a word. */
#define CERTIFICATE_DAYS 14

static const struct record_field verdict_fields[] = {
	R_BOOL(verdict, ok, 0, "All is well."),
	R_TEXT(verdict, code, 1, 31, 0, "Stable: what is wrong."),
	R_TEXT(verdict, summary, 1, 383, 0, "What is so."),
	R_TEXT(verdict, meaning, 0, 383, OPT, "What it means."),
	R_TEXT(verdict, next, 0, 383, OPT, "What to type."),
	R_U32(verdict, status, 0, 255, 0, "The exit status."),
};
RECORD_DEFINE(verdict, 1, "How this workstation is.");

static const struct record_field warning_fields[] = {
	R_TEXT(warning, code, 1, 31, 0, "Stable: what about."),
	R_TEXT(warning, summary, 1, 255, 0, "What is so."),
	R_TEXT(warning, next, 0, 255, OPT, "What to do."),
};
RECORD_DEFINE(warning, 1, "What may become a problem.");

/* --- templates ------------------------------------------------------------ */

/* "site.example" of "https://site.example:7443" */
static void
host_of(char out[256], const char *url)
{
	const char *at = strstr(url, "://");
	size_t len;

	at = at != NULL ? at + 3 : url;
	if (*at == '[')
		at++;
	len = strcspn(at, at > url && at[-1] == '[' ? "]" : ":/?#");
	if (!text_copy_n(out, 256, at, len))
		out[0] = '\0';
}

/* {host}, {url}, {device} and {again} in a sentence of the table. */
static void
fill(char *out, size_t size, const char *template,
    const struct local_status *status)
{
	struct buf text = { 0 };
	char host[256], again[64];

	host_of(host, status->url);
	if (status->retry_s > 0)
		snprintf(again, sizeof(again), "it tries again in %u s",
		    status->retry_s);
	else
		snprintf(again, sizeof(again), "it is trying right now");
	while (*template != '\0') {
		size_t len = strcspn(template, "{");

		buf_add(&text, template, len);
		template += len;
		if (strncmp(template, "{host}", 6) == 0)
			buf_add_str(&text, host);
		else if (strncmp(template, "{url}", 5) == 0)
			buf_add_str(&text, status->url);
		else if (strncmp(template, "{again}", 7) == 0)
			buf_add_str(&text, again);
		else if (strncmp(template, "{device}", 8) == 0)
			buf_printf(&text, "device-%llu",
			    (unsigned long long)status->device);
		template += *template != '\0' ? strcspn(template, "}") + 1 : 0;
	}
	/* Cut at a whole character. */
	size_t len = text.len < size - 1 ? text.len : size - 1;

	buf_text(&text);
	while (len > 0 && !text_is_utf8((const char *)text.data, len))
		len--;
	memcpy(out, buf_text(&text), len);
	out[len] = '\0';
	buf_release(&text);
}

/* --- causes --------------------------------------------------------------- */

#define ENROLL_AGAIN                                                       \
	"ask the site's admin for a token (leasehold join create), then: " \
	"leasehold enroll {url} --token TOKEN"
/* A key that was shut out stays out: the device comes back with another. */
#define NEW_KEY                                                      \
	"with a token of the site's admin (leasehold join create): " \
	"leasehold enroll {url} --token TOKEN --new-key"
#define KEEPS "Leases held here go on to the end of what was signed; {again}"

struct advice {
	const char *summary; /* NULL: the agent's own words */
	const char *meaning;
	const char *next;
	enum cli_exit status;
};

static const struct advice advices[] = {
	[CAUSE_NONE] = { NULL, "The agent is connecting; {again}",
	    "leasehold status", CLI_UNREACHABLE },
	[CAUSE_OTHER] = { NULL, KEEPS, "curl -k {url}/healthz",
	    CLI_UNREACHABLE },
	[CAUSE_UPLINK] = { "the agent's process for the network is not there",
	    "leasehold-agent starts it again by itself within a second; when "
	    "it ends again and again, the agent's log says why",
	    "leasehold status; then read what leasehold-agent wrote on "
	    "standard error",
	    CLI_UNREACHABLE },
	[CAUSE_NAME] = { NULL,
	    "This machine knows no address for {host}: a misspelt URL, or a "
	    "name server that is not reached. " KEEPS,
	    "getent hosts {host}", CLI_UNREACHABLE },
	[CAUSE_REFUSED] = { NULL,
	    "The machine is there but leaseholdd does not listen on it, or a "
	    "firewall refuses. " KEEPS,
	    "on the site's box: leaseholdd --check-config, and start "
	    "leaseholdd",
	    CLI_UNREACHABLE },
	[CAUSE_ROUTE] = { NULL,
	    "The network between here and {host} is down. " KEEPS,
	    "ip route get $(getent ahosts {host} | head -n 1 | cut -d' ' -f1)",
	    CLI_UNREACHABLE },
	[CAUSE_SILENT] = { NULL,
	    "{host} is off, far away, or a firewall swallows what is "
	    "sent. " KEEPS,
	    "curl -k --max-time 10 {url}/healthz", CLI_UNREACHABLE },
	[CAUSE_STRANGER] = { NULL,
	    "Something else than leaseholdd listens there, or a proxy is in "
	    "between. " KEEPS,
	    "curl -k {url}/healthz", CLI_UNREACHABLE },
	[CAUSE_CERTIFICATE_CA] = { NULL,
	    "Another machine answers in the site's name, or the site was made "
	    "anew. Nothing was told to it. " KEEPS,
	    "if the site was made anew: " ENROLL_AGAIN, CLI_UNREACHABLE },
	[CAUSE_CERTIFICATE_TIME] = { NULL,
	    "Either this machine's clock is wrong or the site's certificate "
	    "is over. " KEEPS,
	    "date -u; if the time is right, on the site's box: leaseholdd "
	    "certificate --host {host}",
	    CLI_UNREACHABLE },
	[CAUSE_CERTIFICATE_HOST] = { NULL,
	    "This device was enrolled with a name of the site that its "
	    "certificate does not have. " KEEPS,
	    "on the site's box, with all of its names: leaseholdd certificate "
	    "--host {host} --host NAME",
	    CLI_UNREACHABLE },
	[CAUSE_CERTIFICATE] = { NULL, KEEPS,
	    "on the site's box: leaseholdd certificate --host {host}",
	    CLI_UNREACHABLE },
	[CAUSE_CLOSED] = { NULL, KEEPS, "leasehold status", CLI_UNREACHABLE },
	[CAUSE_LOST] = { NULL,
	    "The site ended, or the network between was cut. " KEEPS,
	    "leasehold status", CLI_UNREACHABLE },
	[CAUSE_STOPPING] = { "the site is stopping or being restarted", KEEPS,
	    "leasehold status --watch", CLI_UNREACHABLE },
	[CAUSE_REPLACED] = { NULL,
	    "Another agent speaks with this device's key: the agent's folder "
	    "was copied, or its disk was cloned, or two agents share it",
	    "on the copy: " NEW_KEY, CLI_REFUSED },
	[CAUSE_UNAVAILABLE] = { NULL,
	    "The site answers but cannot serve now: it is starting, or it has "
	    "a problem of its own. " KEEPS,
	    "tell the site's admin: leasehold site show, and leaseholdd's log",
	    CLI_UNREACHABLE },
	[CAUSE_PROTOCOL] = { NULL,
	    "Agent and site are of releases that do not understand each other",
	    "install the release of leasehold-agent that fits the site's",
	    CLI_REFUSED },
	[CAUSE_OTHER_SITE] = { NULL,
	    "The name now leads to another site. Nothing was told to "
	    "it. " KEEPS,
	    "if that is meant: " ENROLL_AGAIN, CLI_REFUSED },
	[CAUSE_OTHER_KEY] = { NULL,
	    "The site was made anew, or a fake one answers. " KEEPS,
	    "ask the site's admin; if the site was made anew: " ENROLL_AGAIN,
	    CLI_REFUSED },
	[CAUSE_UNKNOWN_DEVICE] = { NULL,
	    "The site was made anew, or put back to a time before this device "
	    "joined",
	    ENROLL_AGAIN, CLI_REFUSED },
	[CAUSE_REVOKED] = { NULL,
	    "An admin of the site shut this device out; its leases have ended",
	    "to come back it needs a new key: " NEW_KEY, CLI_REFUSED },
	[CAUSE_BAD_PROOF] = { NULL,
	    "The agent's key is not the one that was enrolled, or a copy of "
	    "it was used on another machine",
	    "if it was copied, to each machine a key of its own: " NEW_KEY,
	    CLI_REFUSED },
	[CAUSE_CLASS] = { NULL,
	    "The site takes no devices whose key is kept as this one's is",
	    "ask the site's admin which classes of devices it takes",
	    CLI_REFUSED },
	[CAUSE_ROLLED_BACK] = { NULL,
	    "The site's store was put back to an older copy, or forked: it "
	    "gives out nothing new, and what runs keeps its seat to the end "
	    "of its signed span",
	    "tell the site's admin: leasehold site show", CLI_REFUSED },
	[CAUSE_TPM] = { NULL,
	    "The key of this device is in its TPM, and without it the site is "
	    "not asked. The agent goes on trying",
	    "leasehold status; when it stays so, the agent's log says why",
	    CLI_UNREACHABLE },
	[CAUSE_OTHER_TPM] = { NULL,
	    "The agent's folder was copied to another machine, the mainboard "
	    "was changed, or somebody cleared the TPM: nobody has the old key "
	    "any more",
	    NEW_KEY, CLI_REFUSED },
};
_Static_assert(sizeof(advices) / sizeof(advices[0]) == CAUSE_OTHER_TPM + 1,
    "advice for each cause");

static void
advise(struct verdict *verdict, const struct local_status *status,
    const struct advice *advice, const char *words)
{
	if (advice->summary != NULL)
		words = advice->summary;
	verdict->status = advice->status;
	snprintf(verdict->summary, sizeof(verdict->summary), "%s%s",
	    advice->status == CLI_UNREACHABLE ? "the site is not reached: "
					      : "",
	    words[0] != '\0' ? words : "the agent is connecting");
	fill(verdict->meaning, sizeof(verdict->meaning), advice->meaning,
	    status);
	fill(verdict->next, sizeof(verdict->next), advice->next, status);
}

void
verdict_of(struct verdict *verdict, const struct local_status *status)
{
	static const struct advice not_enrolled = { NULL,
		"Applications get no seats here yet",
		"ask the site's admin for a token (leasehold join create), "
		"then: leasehold enroll URL --token TOKEN",
		CLI_REFUSED };
	static const struct advice pending = { NULL,
		"It is enrolled, but gets no seats until an admin of the site "
		"lets it in; then it goes on by itself",
		"tell the site's admin: leasehold device approve {device}",
		CLI_REFUSED };
	static const struct advice no_room = { NULL,
		"It answers and reads, but gives out and takes back nothing "
		"until that is mended, mostly a full disk",
		"tell the site's admin: df -h and leaseholdd's log on the "
		"site's box",
		CLI_UNREACHABLE };
	const char *name =
	    status->site_name[0] != '\0' ? status->site_name : status->site;

	memset(verdict, 0, sizeof(*verdict));
	text_copy(verdict->code, sizeof(verdict->code),
	    local_cause_names[status->cause]);
	if (status->url[0] == '\0') {
		text_copy(verdict->code, sizeof(verdict->code), "not_enrolled");
		advise(verdict, status, &not_enrolled,
		    "this workstation is not enrolled at a site");
	} else if (!status->connected) {
		advise(verdict, status, &advices[status->cause],
		    status->cause == CAUSE_ROLLED_BACK ? status->rollback
						       : status->trouble);
	} else if (status->pending) {
		text_copy(verdict->code, sizeof(verdict->code), "pending");
		advise(verdict, status, &pending,
		    "this device waits for an admin's approval");
	} else if (status->rollback[0] != '\0') {
		text_copy(verdict->code, sizeof(verdict->code), "rolled_back");
		advise(verdict, status, &advices[CAUSE_ROLLED_BACK],
		    status->rollback);
	} else if (status->fault[0] != '\0') {
		text_copy(verdict->code, sizeof(verdict->code), "site_fault");
		advise(verdict, status, &no_room, status->fault);
		snprintf(verdict->summary, sizeof(verdict->summary),
		    "the site is reached but cannot write: %s", status->fault);
	} else {
		verdict->ok = true;
		text_copy(verdict->code, sizeof(verdict->code), "ok");
		snprintf(verdict->summary, sizeof(verdict->summary),
		    "site %s is reached; %u %s held here", name, status->leases,
		    status->leases == 1 ? "lease is" : "leases are");
	}
}

/* --- warnings ------------------------------------------------------------- */

static struct warning *
add_warning(struct warning warnings[WARNINGS_MAX], uint32_t *n,
    const char *code)
{
	struct warning *warning = &warnings[(*n)++];

	assert(*n <= WARNINGS_MAX);
	memset(warning, 0, sizeof(*warning));
	text_copy(warning->code, sizeof(warning->code), code);
	return warning;
}

static void
warn_of_clock(struct warning warnings[WARNINGS_MAX], uint32_t *n,
    const struct local_status *status)
{
	int64_t ahead = status->clock_ahead_ms;
	struct warning *warning;
	char span[32];

	if (ahead <= MINUTE_MS && ahead >= -MINUTE_MS)
		return;
	cli_span(span, (ahead < 0 ? -ahead : ahead) / 1000);
	warning = add_warning(warnings, n, "clock");
	snprintf(warning->summary, sizeof(warning->summary),
	    "this machine's clock was %s %s the site's when they last met; "
	    "leases do not mind, certificates and contracts may",
	    span, ahead < 0 ? "behind" : "ahead of");
	text_copy(warning->next, sizeof(warning->next),
	    "date -u here and on the site's box; one of them needs NTP");
}

static void
warn_of_certificate(struct warning warnings[WARNINGS_MAX], uint32_t *n,
    const struct local_status *status, int64_t now)
{
	int64_t left = status->certificate_end - now;
	struct warning *warning;
	char span[32];

	if (status->certificate_end == 0 || left > CERTIFICATE_DAYS * DAY_MS)
		return;
	cli_span(span, left / 1000);
	warning = add_warning(warnings, n, "certificate");
	snprintf(warning->summary, sizeof(warning->summary),
	    "the site's certificate ends in %s; then nobody reaches the site",
	    span);
	text_copy(warning->next, sizeof(warning->next),
	    "tell the site's admin: leaseholdd certificate --host HOST...");
}

uint32_t
verdict_warnings(struct warning warnings[WARNINGS_MAX],
    const struct local_status *status, int64_t now)
{
	uint32_t n = 0;

	if (status->url[0] == '\0')
		return 0;
	warn_of_clock(warnings, &n, status);
	warn_of_certificate(warnings, &n, status, now);
	return n;
}
