/*
 * Tenants as the site's admin makes and changes them. What must hold across the
 * system store and the tenant's own files, in order:
 *   make    1  the system store takes name and number: `provisioning`
 *           2  key, folder and journal, synced
 *           3  its first keys
 *           4  the system store says `active`, with its host names
 *           Nobody reaches it before the last step; a start clears away what a
 *           crash left before it. The first step notes the Idempotency-Key: who
 *           asks again with it makes no second one, wherever a crash came.
 *   change  the system store, then the registry in memory; sessions of a tenant
 *           that is suspended are closed after that. What its journal is to
 *           know goes on as tenant_owed.h says.
 */
#include "appliance/ledger/by_key.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/tenant_owed.h"
#include "appliance/ledger/tenant_use.h"

#include "appliance/ledger/people.h"
#include "appliance/setup/certificates.h"
#include "appliance/setup/tenant.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_TRIED 50
#define SCOPES_LOOK (SCOPE_BIT(SCOPE_READ) | SCOPE_BIT(SCOPE_USAGE_READ))

/* What a call carries from the loop to the helper and back. */
struct changing {
	struct system_tenant facts;
	struct system_owed owed; /* a revision of 0: its journal needs no row */
	struct tenant_profile profile;
	bool has_profile;
	struct tenant_host_name hosts[TENANT_HOSTS_MAX];
	size_t n_hosts;
	bool has_hosts;
	bool named; /* by who asked: another name is no answer */
	char *api_key, *api_secret; /* guarded */
	union {
		struct tenant_created created;
		struct tenant_changed changed;
	} reply;
};

/* --- host names -------------------------------------------------------------- */

static int
refuse_host(struct call *call, const char *host, const char *why)
{
	problem_set(&call->write.command.problem, ERR_BAD_REQUEST, NULL,
	    "the host name %s %s", host, why);
	text_copy(call->write.command.problem.field,
	    sizeof(call->write.command.problem.field), "hosts");
	return ERR_BAD_REQUEST;
}

/* Those under the site's own are given by the tenant's name alone. */
static int
check_host(struct call *call, const char *host)
{
	const struct tenants *known = &call->process->known;

	if (!certificate_host_is_valid(host) || host[0] == '*' ||
	    strspn(host, "0123456789.:") == strlen(host) ||
	    strchr(host, ':') != NULL)
		return refuse_host(call, host, "is no DNS name");
	for (const char *p = host; *p != '\0'; p++)
		if (isupper((unsigned char)*p))
			return refuse_host(call, host, "has capital letters");
	for (size_t i = 0; i < known->n_site_hosts; i++) {
		const char *site = known->site_hosts[i];
		size_t len = strlen(host), site_len = strlen(site);

		if (len >= site_len &&
		    strcmp(host + len - site_len, site) == 0 &&
		    (len == site_len || host[len - site_len - 1] == '.'))
			return refuse_host(call, host,
			    "is under the site's own: a tenant has its id "
			    "there");
	}
	return 0;
}

static int
take_hosts(struct changing *changing, struct call *call,
    const struct record_list *hosts)
{
	const struct tenant_host_name *items = hosts->items;
	int rc = 0;

	for (uint32_t i = 0; i < hosts->count && rc == 0; i++) {
		rc = check_host(call, items[i].host);
		changing->hosts[changing->n_hosts++] = items[i];
	}
	changing->has_hosts = hosts->count > 0;
	return rc;
}

static void
set_hosts(struct process *process, struct tenant_entry *entry,
    const struct changing *changing)
{
	tenants_clear_hosts(&process->known, entry);
	for (size_t i = 0; i < changing->n_hosts; i++)
		if (tenants_set_host(&process->known, entry,
			changing->hosts[i].host) != 0)
			log_error("ledger",
			    "no memory for a host name; the next start knows "
			    "it");
}

/* --- making -------------------------------------------------------------------- */

/* "Mercedes-Benz AG" is mercedes-benz-ag. */
static void
make_name(char out[TENANT_ID_MAX + 1], const char *partner)
{
	size_t len = 0;

	for (; *partner != '\0' && len < TENANT_ID_MAX - 4; partner++) {
		unsigned char c = (unsigned char)*partner;

		if (c < 128 && isalnum(c))
			out[len++] = (char)tolower(c);
		else if (len > 0 && out[len - 1] != '-')
			out[len++] = '-';
	}
	while (len > 0 && out[len - 1] == '-')
		len--;
	out[len] = '\0';
	if (len == 0)
		text_copy(out, TENANT_ID_MAX + 1, "tenant");
}

/* A name that nobody has, unless one was asked for. */
static int
begin(struct changing *changing, struct system_store *system)
{
	struct system_tenant *facts = &changing->facts;
	char base[TENANT_ID_MAX + 1];
	int rc = system_tenant_begin(facts, system, &changing->profile);

	text_copy(base, sizeof(base), facts->name);
	for (int i = 2;
	     rc == ERR_CONFLICT && !changing->named && i < NAMES_TRIED; i++) {
		snprintf(facts->name, sizeof(facts->name), "%s-%d", base, i);
		rc = system_tenant_begin(facts, system, &changing->profile);
	}
	return rc;
}

static int
add_keys(struct changing *changing, struct system_store *system)
{
	const struct system_tenant *facts = &changing->facts;
	int rc = system_key_add(changing->api_key, system, facts->name,
	    "first key", SCOPES_LOOK, facts->created_at);

	return rc != 0
	    ? rc
	    : system_key_add(changing->api_secret, system, facts->name,
		  "first admin", SCOPES_ADMIN, facts->created_at);
}

static void
undo(struct process *process, const char *name)
{
	if (setup_tenant_remove(process->options->state, name) != 0 ||
	    system_tenant_delete(process->system, name) != 0)
		log_error("ledger",
		    "tenant %s was not made; the next start clears it away",
		    name);
}

static int
put_made(struct changing *changing, struct system_store *system)
{
	return system_tenant_change(system, &changing->facts, NULL,
	    changing->hosts, changing->n_hosts,
	    changing->owed.revision != 0 ? &changing->owed : NULL);
}

static void
run_create(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct process *process = call->process;
	struct changing *changing = call->own;
	struct system_tenant *facts = &changing->facts;

	command->err = begin(changing, process->system);
	if (command->err == ERR_CONFLICT)
		problem_set(&command->problem, ERR_CONFLICT, NULL,
		    "there is a tenant %s already", facts->name);
	if (command->err != 0)
		return;
	const struct setup_tenant tenant = {
		.state = process->options->state,
		.name = facts->name,
		.site = process->site.site,
		.secret = process->secret,
		.now_ms = facts->created_at,
	};
	int rc = setup_tenant_make(&tenant);

	if (rc == 0)
		rc = add_keys(changing, process->system);
	facts->status = TENANT_ACTIVE;
	if (rc == 0)
		rc = put_made(changing, process->system);
	if (rc != 0)
		undo(process, facts->name);
	if (rc == ERR_CONFLICT)
		problem_set(&command->problem, ERR_CONFLICT, NULL,
		    "one of the host names is another tenant's");
	command->err = rc;
}

void
tenant_url(char *out, size_t size, const struct process *process,
    const char *name)
{
	const struct tenants *known = &process->known;
	uint32_t port = process->options->port;

	out[0] = '\0';
	if (known->n_site_hosts == 0)
		return;
	if (port == 0 || port == 443)
		snprintf(out, size, "https://%s.%s", name,
		    known->site_hosts[0]);
	else
		snprintf(out, size, "https://%s.%s:%u", name,
		    known->site_hosts[0], port);
}

static void
fill_created(struct changing *changing, const struct process *process)
{
	struct tenant_created *reply = &changing->reply.created;
	const struct system_tenant *facts = &changing->facts;
	struct tenant_new *tenant = &reply->tenant;

	*reply = (struct tenant_created){ .success = true };
	snprintf(tenant->_id, sizeof(tenant->_id), "tenant-%llu",
	    (unsigned long long)facts->number);
	text_copy(tenant->tenantId, sizeof(tenant->tenantId), facts->name);
	memcpy(tenant->partnerName, changing->profile.partnerName,
	    sizeof(tenant->partnerName));
	tenant->apiKey = (struct record_span){ changing->api_key,
		(uint32_t)strlen(changing->api_key) };
	tenant->apiSecret = (struct record_span){ changing->api_secret,
		(uint32_t)strlen(changing->api_secret) };
	tenant_url(tenant->dashboardUrl, sizeof(tenant->dashboardUrl), process,
	    facts->name);
	tenant->status = facts->status;
}

static void
finish_create(struct call *call)
{
	struct process *process = call->process;
	struct changing *changing = call->own;
	char *key = changing->api_key, *secret = changing->api_secret;
	struct command *command = &call->write.command;
	struct tenant_entry *entry;

	if (command->err == 0)
		command->err =
		    tenants_add(&entry, &process->known, &changing->facts);
	if (command->err == 0) {
		set_hosts(process, entry, changing);
		fill_created(changing, process);
		call->reply = &changing->reply.created;
		log_info("ledger", "admin key %llu made tenant %s",
		    (unsigned long long)command->who.id, entry->facts.name);
	}
	call_answer(call);
	sodium_free(key);
	sodium_free(secret);
}

/* The answer to an Idempotency-Key is kept in a store of its own, after the
 * tenant is made: when a crash came between, the tenant itself knows. */
static int
check_made(struct changing *changing, struct call *call)
{
	const struct idempotency *again = &call->again;
	struct system_tenant *facts = &changing->facts;
	uint8_t who[12 + IDEMPOTENCY_ID];

	if (!again->used)
		return 0;
	be32_write(who, again->kind);
	be64_write(who + 4, again->principal);
	memcpy(who + 12, again->id, IDEMPOTENCY_ID);
	crypto_generichash(facts->made_by, sizeof(facts->made_by), who,
	    sizeof(who), NULL, 0);
	memcpy(facts->made_of, again->digest, sizeof(facts->made_of));
	for (const struct tenant_entry *entry = call->process->known.first;
	     entry != NULL; entry = entry->following) {
		const struct system_tenant *made = &entry->facts;

		if (memcmp(made->made_by, facts->made_by,
			sizeof(made->made_by)) != 0 ||
		    facts->created_at - made->created_at >= IDEMPOTENCY_KEEP_MS)
			continue;
		bool same = memcmp(made->made_of, facts->made_of,
				sizeof(made->made_of)) == 0;

		problem_set(&call->write.command.problem,
		    same ? ERR_GONE : ERR_CONFLICT,
		    "see: leasehold tenant list",
		    same ? "this was done already: it made the tenant %s, "
			   "whose keys are shown once"
			 : "this Idempotency-Key was used for another request, "
			   "which made the tenant %s",
		    made->name);
		return same ? ERR_GONE : ERR_CONFLICT;
	}
	return 0;
}

static int
take_create(struct changing *changing, struct call *call)
{
	const struct tenant_create *create = call->request;
	struct command *command = &call->write.command;
	struct system_tenant *facts = &changing->facts;
	struct tenant_profile *profile = &changing->profile;

	if (call->process->known.count >= TENANTS_MAX) {
		problem_set(&command->problem, ERR_MAX_REACHED, NULL,
		    "a site has at most %d tenants", TENANTS_MAX);
		return ERR_MAX_REACHED;
	}
	if (create->tenantId[0] != '\0' &&
	    (!system_tenant_is_valid(create->tenantId) ||
		strcmp(create->tenantId, "system") == 0 ||
		strcmp(create->tenantId, "site") == 0)) {
		problem_set(&command->problem, ERR_BAD_REQUEST, NULL,
		    "tenantId is 1 to %d lower-case letters, digits and '-', "
		    "a letter or digit first, and not system or site",
		    TENANT_ID_MAX);
		text_copy(command->problem.field,
		    sizeof(command->problem.field), "tenantId");
		return ERR_BAD_REQUEST;
	}
	changing->named = create->tenantId[0] != '\0';
	if (changing->named)
		text_copy(facts->name, sizeof(facts->name), create->tenantId);
	else
		make_name(facts->name, create->partnerName);
	facts->created_at = process_now(call->process);
	facts->limits = create->usageLimits;
	if (!record_is_empty(&facts->limits, sizeof(facts->limits))) {
		facts->revision = 1;
		facts->status = TENANT_ACTIVE;
		tenant_owed_make(&changing->owed, facts, facts->created_at,
		    &command->who);
	}
	memcpy(profile->partnerName, create->partnerName,
	    sizeof(profile->partnerName));
	profile->contactInfo = create->contactInfo;
	profile->licenseType = create->licenseType;
	memcpy(profile->tier, create->tier, sizeof(profile->tier));
	profile->branding = create->branding;
	changing->api_key = sodium_malloc(SYSTEM_KEY_TEXT);
	changing->api_secret = sodium_malloc(SYSTEM_KEY_TEXT);
	if (changing->api_key == NULL || changing->api_secret == NULL)
		return ERR_NOMEM;
	int rc = check_made(changing, call);

	return rc == 0 ? take_hosts(changing, call, &create->hosts) : rc;
}

static struct changing *
begin_changing(struct call *call)
{
	struct changing *changing =
	    arena_alloc(&call->arena, sizeof(*changing));

	if (changing == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return NULL;
	}
	memset(changing, 0, sizeof(*changing));
	call->own = changing;
	return changing;
}

void
tenant_create_asked(const struct request *request)
{
	struct call *call = call_new(request);
	struct changing *changing = call != NULL ? begin_changing(call) : NULL;

	if (changing == NULL)
		return;
	call->finish = finish_create;
	call->write.command.err = take_create(changing, call);
	if (call->write.command.err != 0)
		finish_create(call);
	else
		call_help(call, run_create);
}

/* --- changing ------------------------------------------------------------------- */

static void
run_change(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct changing *changing = call->own;

	command->err = system_tenant_change(call->process->system,
	    &changing->facts, changing->has_profile ? call->request : NULL,
	    changing->has_hosts ? changing->hosts : NULL, changing->n_hosts,
	    changing->owed.revision != 0 ? &changing->owed : NULL);
	if (command->err == ERR_BUSY)
		problem_set(&command->problem, ERR_BUSY,
		    "see why in the site's log: journalctl -u leaseholdd",
		    "%d changes of this tenant wait for its journal, which "
		    "cannot be written; nothing was changed",
		    SYSTEM_OWED_MAX);
	if (command->err == ERR_CONFLICT)
		problem_set(&command->problem, ERR_CONFLICT, NULL,
		    "one of the host names is another tenant's");
}

/* Every agent is told why, and comes again when it goes on; who hangs for a seat
 * gets none. */
static void
close_sessions(struct tenant *tenant, const char *reason)
{
	size_t n = tenant->sessions.count, at = 0, used = 0;
	uint64_t *devices = calloc(n + 1, sizeof(*devices));
	struct session *session;

	while (devices != NULL && used < n &&
	    (session = table_next(&tenant->sessions, &at)) != NULL) {
		struct principal who;

		session_fill_who(&who, session);
		devices[used++] = who.id;
	}
	for (size_t i = 0; i < used; i++)
		session_close_device(tenant, devices[i], CLOSE_SUSPENDED,
		    "the tenant %s is suspended%s%s", tenant->name,
		    reason[0] != '\0' ? ": " : "", reason);
	free(devices);
	by_key_suspend(tenant);
	events_close_tenant(tenant);
}

static void
say_changed(struct tenant_changed *reply, const struct tenant_entry *entry,
    bool turned)
{
	static const char *const turns[] = {
		[TENANT_ACTIVE] = "goes on",
		[TENANT_SUSPENDED] = "is suspended",
	};

	*reply = (struct tenant_changed){ .success = true };
	snprintf(reply->message, sizeof(reply->message), "tenant %s %s",
	    entry->facts.name,
	    turned ? turns[entry->facts.status] : "is changed");
}

/* One that is closed opens for it; nobody waits for that. */
static void
journal_change(struct call *call, struct tenant_entry *entry)
{
	struct process *process = call->process;
	const struct changing *changing = call->own;
	struct tenant *tenant = entry->open;

	if (changing->owed.revision != 0 && !process->guard.frozen) {
		if (tenant != NULL && !entry->taken && tenant->started) {
			tenant_owed_settle(tenant, call);
			return;
		}
		tenant_use_entry(&tenant, process, entry);
	}
	call_answer(call);
}

static void
finish_change(struct call *call)
{
	struct process *process = call->process;
	struct changing *changing = call->own;
	struct tenant_entry *entry =
	    tenants_find(&process->known, changing->facts.name);

	process->tenant_changing = false;
	if (call->write.command.err == 0 && entry == NULL)
		call->write.command.err = ERR_NOT_FOUND;
	if (call->write.command.err != 0) {
		call_answer(call);
		return;
	}
	bool turned = entry->facts.status != changing->facts.status;

	entry->facts = changing->facts;
	if (changing->has_hosts)
		set_hosts(process, entry, changing);
	say_changed(&changing->reply.changed, entry, turned);
	call->reply = &changing->reply.changed;
	log_info("ledger", "admin key %llu: %s",
	    (unsigned long long)call->write.command.who.id,
	    changing->reply.changed.message);
	if (turned && entry->facts.status == TENANT_SUSPENDED &&
	    entry->open != NULL)
		close_sessions(entry->open, entry->facts.reason);
	journal_change(call, entry);
}

static int
take_status(struct changing *changing, struct call *call)
{
	const struct tenant_change *change = call->request;
	struct system_tenant *facts = &changing->facts;

	if (change->status[0] == '\0')
		return 0;
	if (strcmp(change->status, "suspended") == 0) {
		facts->status = TENANT_SUSPENDED;
		memcpy(facts->reason, change->reason, sizeof(facts->reason));
		return 0;
	}
	if (strcmp(change->status, "active") == 0) {
		facts->status = TENANT_ACTIVE;
		facts->reason[0] = '\0';
		return 0;
	}
	problem_set(&call->write.command.problem, ERR_BAD_REQUEST, NULL,
	    "status is active or suspended");
	text_copy(call->write.command.problem.field,
	    sizeof(call->write.command.problem.field), "status");
	return ERR_BAD_REQUEST;
}

/* Of what its journal is to know. */
static bool
is_news(const struct system_tenant *now, const struct system_tenant *before)
{
	return now->status != before->status ||
	    strcmp(now->reason, before->reason) != 0 ||
	    memcmp(&now->limits, &before->limits, sizeof(now->limits)) != 0;
}

static int
take_change(struct changing *changing, struct call *call)
{
	const struct tenant_change *change = call->request;
	struct process *process = call->process;
	struct command *command = &call->write.command;
	const struct tenant_entry *entry =
	    tenants_find(&process->known, change->tenantId);

	if (entry == NULL || entry->facts.status == TENANT_DELETING) {
		tenant_say_unknown(&command->problem, change->tenantId);
		return ERR_NOT_FOUND;
	}
	/* Two at once would each write what it has read. */
	if (process->tenant_changing) {
		problem_set(&command->problem, ERR_UNAVAILABLE, NULL,
		    "another change of a tenant is on its way; try again");
		return ERR_UNAVAILABLE;
	}
	changing->facts = entry->facts;
	if (!record_is_empty(&change->usageLimits, sizeof(change->usageLimits)))
		changing->facts.limits = change->usageLimits;
	changing->has_profile = system_profile_changes(change);
	int rc = take_status(changing, call);

	if (rc == 0 && is_news(&changing->facts, &entry->facts)) {
		changing->facts.revision++;
		tenant_owed_make(&changing->owed, &changing->facts,
		    process_now(process), &command->who);
	}
	return rc == 0 ? take_hosts(changing, call, &change->hosts) : rc;
}

void
tenant_change_asked(const struct request *request)
{
	struct call *call = call_new(request);
	struct changing *changing = call != NULL ? begin_changing(call) : NULL;

	if (changing == NULL)
		return;
	call->write.command.err = take_change(changing, call);
	if (call->write.command.err != 0) {
		call_answer(call);
		return;
	}
	request->process->tenant_changing = true;
	call->finish = finish_change;
	call_help(call, run_change);
}
