/* Handlers of the admins of API keys. Secrets are made here, and go out with
 * the reply; the core sees their hashes. See keys.h. */
#include "appliance/ledger/keys.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SECRET_BYTES 32

/** What a program does: whoever may make keys may give it, though an admin has
 * it not himself. */
#define SCOPES_PROGRAM                                               \
	(SCOPE_BIT(SCOPE_CHECKOUT) | SCOPE_BIT(SCOPE_RETURN) |       \
	    SCOPE_BIT(SCOPE_BORROW) | SCOPE_BIT(SCOPE_USAGE_WRITE) | \
	    SCOPE_BIT(SCOPE_USAGE_READ))
/** Keys of a tenant never have what is the site's. */
#define SCOPES_SITE_ALONE (SCOPE_BIT(SCOPE_SITE) | SCOPE_BIT(SCOPE_TENANTS))

void
key_make_text(char text[KEY_TEXT_SIZE], const char *tenant,
    const uint8_t random[SECRET_BYTES])
{
	/* A tenant's name is of 40 bytes at most. */
	int len = snprintf(text, KEY_TEXT_SIZE, "clsk_%.40s_", tenant);

	text_to_base64(text + len, random, SECRET_BYTES);
}

/* A reply with a secret in it, until it is sent. */
struct making {
	struct key_generated reply; /* first */
	scope_set scopes;
	char url[192];
};

static int
refuse_field(struct problem *problem, int err, const char *field,
    const char *words)
{
	problem_set(problem, err, NULL, "%s", words);
	text_copy(problem->field, sizeof problem->field, field);
	return err;
}

static void
refuse_call(struct call *call, int err)
{
	call->write.command.op = OP_NONE;
	call->write.command.err = err;
	command_finish(call);
}

/* --- scopes --------------------------------------------------------------- */

static scope_set
may_give(const struct request *request)
{
	return (request->scopes | SCOPES_PROGRAM) & ~SCOPES_SITE_ALONE;
}

static int
read_scopes(scope_set *out, const struct request *request,
    const struct record_list *list, struct problem *problem)
{
	const struct key_scope *scopes = list->items;
	char field[32];

	*out = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		scope_set one =
		    scope_read(scopes[i].scope, strlen(scopes[i].scope));

		snprintf(field, sizeof field, "scopes[%u]", i);
		if (one == 0)
			return refuse_field(problem, ERR_BAD_REQUEST, field,
			    "is no scope, such as license:checkout or "
			    "admin:read");
		if ((one & ~may_give(request)) != 0)
			return refuse_field(problem, ERR_FORBIDDEN, field,
			    "nobody gives a key more than he may himself");
		*out |= one;
	}
	return 0;
}

/* Its secret, or looser rules for it, are as good as its scopes. */
static int
check_scopes(const struct request *request, scope_set scopes,
    struct problem *problem)
{
	if ((scopes & ~may_give(request)) == 0)
		return 0;
	problem_set(problem, ERR_FORBIDDEN, NULL,
	    "this key may do more than who asks; ask somebody who may as "
	    "much");
	return ERR_FORBIDDEN;
}

/* --- documents ------------------------------------------------------------ */

/* Checked as it will be read, and as bytes in the call's arena. */
static int
pack_document(struct record_span *out, struct call *call,
    const struct key_document *document)
{
	struct problem *problem = &call->write.command.problem;
	struct restrict_rules *rules;
	struct record_error error = { 0 };
	struct buf bytes = { 0 };
	int err = restrict_compile(&rules, &document->restrictions, &error);

	if (err != 0 && error.reason[0] != '\0')
		return refuse_field(problem, err, error.field, error.reason);
	if (err != 0)
		return err;
	restrict_free(rules);
	record_write_msgpack(&bytes, &key_document_record, document);
	out->data = bytes.failed
	    ? NULL
	    : arena_copy(&call->arena, bytes.data, bytes.len);
	out->len = (uint32_t)bytes.len;
	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.len);
	buf_release(&bytes);
	return out->data != NULL ? 0 : ERR_NOMEM;
}

/* As it stands now. */
static int
read_key(struct ledger_key *key, struct key_document *document,
    struct call *call, const char *key_id)
{
	uint64_t number = key_number(key_id, "key-");
	struct ledger_view *view;
	int err = ledger_view_open(&view, call->tenant->ledger);

	if (err != 0)
		return err;
	err = number == 0 ? ERR_NOT_FOUND_INTERNAL
			  : ledger_key(key, view, number);
	if (err == 0 && document != NULL)
		err = ledger_key_document(document, view, key, &call->arena);
	ledger_view_close(view);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	problem_set(&call->write.command.problem, ERR_NOT_FOUND,
	    "see what there is: leasehold key list", "there is no API key %s",
	    key_id);
	text_copy(call->write.command.problem.field,
	    sizeof call->write.command.problem.field, "key_id");
	return ERR_NOT_FOUND;
}

/* --- key.generate, key.rotate --------------------------------------------- */

/* Where the caller found the site is where its programs will. */
static void
write_url(char url[192], const struct wire_caller *wire)
{
	const char *host = wire->host[0] != '\0' ? wire->host : "localhost";

	if (wire->host_port == 0 || wire->host_port == 443)
		snprintf(url, 192, "https://%s", host);
	else
		snprintf(url, 192, "https://%s:%u", host, wire->host_port);
}

static struct making *
begin_making(struct call *call, uint8_t hash[KEY_HASH_BYTES],
    const struct request *request)
{
	struct making *making = arena_alloc(&call->arena, sizeof *making);
	uint8_t random[SECRET_BYTES];

	if (making == NULL)
		return NULL;
	randombytes_buf(random, sizeof random);
	key_make_text(making->reply.api_key, call->tenant->name, random);
	sodium_memzero(random, sizeof random);
	ledger_key_hash(hash, call->tenant->ledger, making->reply.api_key,
	    strlen(making->reply.api_key));
	write_url(making->url, request->caller);
	call->own = making;
	call->wipe = making;
	call->wipe_len = sizeof *making;
	return making;
}

static int
fill_scopes(struct record_list *out, struct arena *arena, scope_set set)
{
	struct key_scope *scopes =
	    arena_alloc(arena, SCOPE_COUNT * sizeof *scopes);
	uint32_t n = 0;

	if (scopes == NULL)
		return ERR_NOMEM;
	for (enum scope scope = 0; scope < SCOPE_COUNT; scope++)
		if (scope_name(scope) != NULL && (set & SCOPE_BIT(scope)) != 0)
			text_copy(scopes[n++].scope, sizeof scopes->scope,
			    scope_name(scope));
	*out = (struct record_list){ scopes, n };
	return 0;
}

static void
fill_made(struct making *making, const struct ledger_key_made *made)
{
	struct key_generated *reply = &making->reply;
	struct key_environment *environment =
	    &reply->integration_snippet.environment_variables;
	struct key_server *server =
	    &reply->integration_snippet.config_file.license_server;

	snprintf(reply->key_id, sizeof reply->key_id, "key-%" PRIu64,
	    made->device);
	memcpy(reply->tenant_url, making->url, sizeof reply->tenant_url);
	memcpy(environment->server_url, making->url,
	    sizeof environment->server_url);
	memcpy(server->url, making->url, sizeof server->url);
	memcpy(environment->api_key, reply->api_key,
	    sizeof environment->api_key);
	memcpy(server->api_key, reply->api_key, sizeof server->api_key);
	reply->created_at = made->at;
	reply->expires_at = made->expires_at;
	reply->previous_until = made->previous_until;
}

/* The only time that the key goes out; it stays nowhere. */
static void
finish_making(struct call *call)
{
	struct command *command = &call->write.command;
	struct making *making = call->own;

	if (command->err == 0) {
		fill_made(making, &command->reply.key);
		command->err = fill_scopes(&making->reply.scopes, &call->arena,
		    making->scopes);
		call->reply = &making->reply;
	} else {
		call->process->counts.refused++;
	}
	call_answer(call);
}

static int
begin_create(struct call *call, const struct request *request)
{
	const struct key_generate *asked = call->request;
	struct command *command = &call->write.command;
	struct ledger_key_create *create =
	    arena_alloc(&call->arena, sizeof *create);
	struct key_document document = {
		.metadata = asked->metadata,
		.restrictions = {
			.allowed_hostnames = asked->allowed_hostnames,
			.require_mtls = asked->require_mtls,
		},
	};

	if (create == NULL)
		return ERR_NOMEM;
	memcpy(document.app_name, asked->app_name, sizeof document.app_name);
	memcpy(document.restrictions.client_cert_cn, asked->client_cert_cn,
	    sizeof document.restrictions.client_cert_cn);
	int err = read_scopes(&create->scopes, request, &asked->scopes,
	    &command->problem);

	if (err == 0)
		err = pack_document(&create->document, call, &document);
	if (err != 0)
		return err;
	struct making *making = begin_making(call, create->hash, request);

	if (making == NULL)
		return ERR_NOMEM;
	making->scopes = create->scopes;
	memcpy(create->name, asked->app_name, sizeof create->name);
	create->app_type = asked->app_type;
	create->expires_in_days = asked->expires_in_days;
	command->op = LEDGER_KEY_CREATE;
	command->request = create;
	return 0;
}

static int
begin_rotate(struct call *call, const struct request *request)
{
	const struct key_rotate *asked = call->request;
	struct command *command = &call->write.command;
	struct ledger_key_rotate *rotate =
	    arena_alloc(&call->arena, sizeof *rotate);
	struct ledger_key key;
	int err = rotate == NULL ? ERR_NOMEM
				 : read_key(&key, NULL, call, asked->key_id);

	if (err == 0)
		err = check_scopes(request, key.scopes, &command->problem);
	if (err == 0 && asked->at_once && asked->overlap_hours != 0)
		err = refuse_field(&command->problem, ERR_BAD_REQUEST,
		    "overlap_hours", "and at_once exclude each other");
	if (err != 0)
		return err;
	struct making *making = begin_making(call, rotate->hash, request);

	if (making == NULL)
		return ERR_NOMEM;
	making->scopes = key.scopes;
	rotate->device = key.device;
	rotate->expires_in_days = asked->expires_in_days;
	rotate->overlap_hours = asked->overlap_hours != 0 ? asked->overlap_hours
	    : asked->at_once                              ? 0
			     : KEY_OVERLAP_DEFAULT_HOURS;
	command->op = LEDGER_KEY_ROTATE;
	command->request = rotate;
	return 0;
}

static void
make(const struct request *request,
    int (*begin)(struct call *call, const struct request *request))
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	int err = begin(call, request);

	if (err != 0) {
		refuse_call(call, err);
		return;
	}
	call->finish = finish_making;
	call_commit(call);
}

void
key_generate_asked(const struct request *request)
{
	make(request, begin_create);
}

void
key_rotate_asked(const struct request *request)
{
	make(request, begin_rotate);
}

/* --- key.restrict --------------------------------------------------------- */

/* The names of what can be lifted. */
static bool
lift(struct key_restrictions *r, const char *field)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} fields[] = {
#define FIELD(f)                                    \
	{ #f, offsetof(struct key_restrictions, f), \
		sizeof(((struct key_restrictions *)0)->f) }
		FIELD(allowed_hostnames),
		FIELD(allowed_ip_ranges),
		FIELD(require_mtls),
		FIELD(client_cert_cn),
		FIELD(client_cert_sha256),
		FIELD(fingerprint_mode),
		FIELD(allowed_fingerprints),
		FIELD(blocked_fingerprints),
		FIELD(checkouts_per_minute),
		FIELD(requests_per_hour),
		FIELD(working_hours),
#undef FIELD
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (strcmp(fields[i].name, field) != 0)
			continue;
		memset((uint8_t *)r + fields[i].offset, 0, fields[i].size);
		return true;
	}
	return false;
}

static void
merge(struct key_restrictions *r, const struct key_restrict *asked)
{
	if (asked->allowed_hostnames.count > 0)
		r->allowed_hostnames = asked->allowed_hostnames;
	if (asked->allowed_ip_ranges.count > 0)
		r->allowed_ip_ranges = asked->allowed_ip_ranges;
	r->require_mtls |= asked->require_mtls;
	if (asked->client_cert_cn[0] != '\0')
		memcpy(r->client_cert_cn, asked->client_cert_cn,
		    sizeof r->client_cert_cn);
	if (asked->client_cert_sha256[0] != '\0')
		memcpy(r->client_cert_sha256, asked->client_cert_sha256,
		    sizeof r->client_cert_sha256);
	if (asked->fingerprint_mode != KEY_PRINTS_KEEP)
		r->fingerprint_mode = asked->fingerprint_mode - 1;
	if (asked->allowed_fingerprints.count > 0)
		r->allowed_fingerprints = asked->allowed_fingerprints;
	if (asked->blocked_fingerprints.count > 0)
		r->blocked_fingerprints = asked->blocked_fingerprints;
	if (asked->checkouts_per_minute != 0)
		r->checkouts_per_minute = asked->checkouts_per_minute;
	if (asked->requests_per_hour != 0)
		r->requests_per_hour = asked->requests_per_hour;
	if (asked->working_hours.days[0] != '\0')
		r->working_hours = asked->working_hours;
}

/* The core's request, and what only the loop knows of the key. */
struct restricting {
	struct ledger_key_change change; /* first */
	int64_t last_used_at;
};

/* The key as the change leaves it. */
static int
say_restricted(struct command *command, struct ledger_view *view,
    int64_t now_ms)
{
	const struct restricting *asked = command->request;
	struct key_details *details =
	    arena_alloc(&command->arena, sizeof *details);
	struct problem problem;
	struct key_ref ref;

	if (details == NULL)
		return ERR_NOMEM;
	snprintf(ref.key_id, sizeof ref.key_id, "key-%" PRIu64,
	    asked->change.device);
	int err = ledger_query(details, view, OP_KEY_SHOW, &ref, now_ms,
	    &command->arena, &problem);

	details->key.last_used_at = asked->last_used_at;
	command->said = details;
	return err;
}

static int
begin_restrict(struct call *call, const struct request *request)
{
	const struct key_restrict *asked = call->request;
	const struct key_field *clear = asked->clear.items;
	struct command *command = &call->write.command;
	struct restricting *restricting =
	    arena_alloc(&call->arena, sizeof *restricting);
	struct ledger_key_change *change;
	struct key_document document;
	struct ledger_key key;
	char field[32];
	int err = restricting == NULL
	    ? ERR_NOMEM
	    : read_key(&key, &document, call, asked->key_id);

	if (err == 0)
		err = check_scopes(request, key.scopes, &command->problem);
	for (uint32_t i = 0; err == 0 && i < asked->clear.count; i++) {
		snprintf(field, sizeof field, "clear[%u]", i);
		if (!lift(&document.restrictions, clear[i].field))
			err = refuse_field(&command->problem, ERR_BAD_REQUEST,
			    field, "names no restriction");
	}
	if (err != 0)
		return err;
	/* An erased document begins anew. */
	if (document.app_name[0] == '\0')
		text_copy(document.app_name, sizeof document.app_name,
		    asked->key_id);
	merge(&document.restrictions, asked);
	change = &restricting->change;
	change->device = key.device;
	memcpy(change->before, key.document, sizeof change->before);
	restricting->last_used_at = keys_last_used(call->tenant, key.device);
	command->op = LEDGER_KEY_CHANGE;
	command->request = change;
	command->say = say_restricted;
	return pack_document(&change->document, call, &document);
}

static void
fill_used(struct key_view *view, const struct tenant *tenant)
{
	view->last_used_at =
	    keys_last_used(tenant, key_number(view->key_id, "key-"));
}

void
key_restrict_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	int err = begin_restrict(call, request);

	if (err != 0) {
		refuse_call(call, err);
		return;
	}
	call->finish = command_finish;
	call_commit(call);
}

/* --- key.revoke ----------------------------------------------------------- */

/* As a device: its leases end with it. */
void
key_revoke_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct key_revoke *asked = call->request;
	struct command *command = &call->write.command;
	struct device_revoke *revoke =
	    arena_alloc(&call->arena, sizeof *revoke);
	struct key_ref *reply = arena_alloc(&call->arena, sizeof *reply);
	struct ledger_key key;
	int err = revoke == NULL || reply == NULL
	    ? ERR_NOMEM
	    : read_key(&key, NULL, call, asked->key_id);

	if (err != 0) {
		refuse_call(call, err);
		return;
	}
	revoke->device = key.device;
	memcpy(revoke->reason, asked->reason, sizeof revoke->reason);
	memcpy(reply->key_id, asked->key_id, sizeof reply->key_id);
	command->said = reply;
	command->op = OP_DEVICE_REVOKE;
	command->request = revoke;
	command_revoke_device(call, key.device);
}

/* --- key.list, key.show ---------------------------------------------------- */

static void
finish_query(struct call *call)
{
	if (call->write.command.err != 0) {
		call->process->counts.refused++;
	} else if (call->op->id == OP_KEY_SHOW) {
		fill_used(&((struct key_details *)call->reply)->key,
		    call->tenant);
	} else {
		const struct key_page *page = call->reply;
		struct key_view *items = page->items.items;

		for (uint32_t i = 0; i < page->items.count; i++)
			fill_used(&items[i], call->tenant);
	}
	call_answer(call);
}

void
key_query(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_query;
	call_query(call, query_run);
}

/* --- the first key of a tenant --------------------------------------------- */

int
process_key_create(char text[KEY_TEXT_SIZE], uint64_t *device,
    struct ledger *ledger, const char *tenant, const char *name,
    scope_set scopes, int64_t now_ms)
{
	struct ledger_key_create create = { .app_type = KEY_CLOUD_SERVICE,
		.scopes = scopes & ~SCOPES_SITE_ALONE };
	struct key_document document = { .app_name = "" };
	struct command command = { .op = LEDGER_KEY_CREATE,
		.who.kind = ACTOR_SITE,
		.request = &create };
	struct command *commands[] = { &command };
	struct buf bytes = { 0 };
	uint8_t random[SECRET_BYTES];

	if (!text_copy(create.name, sizeof create.name, name) ||
	    !text_copy(document.app_name, sizeof document.app_name, name))
		return ERR_BAD_REQUEST;
	randombytes_buf(random, sizeof random);
	randombytes_buf(command.entropy, sizeof command.entropy);
	key_make_text(text, tenant, random);
	ledger_key_hash(create.hash, ledger, text, strlen(text));
	sodium_memzero(random, sizeof random);
	record_write_msgpack(&bytes, &key_document_record, &document);
	create.document =
	    (struct record_span){ bytes.data, (uint32_t)bytes.len };
	int err = bytes.failed
	    ? ERR_NOMEM
	    : ledger_commit(ledger, commands, 1, now_ms, NULL);

	if (err == 0)
		err = command.err;
	if (err == 0)
		*device = command.reply.key.device;
	else
		sodium_memzero(text, KEY_TEXT_SIZE);
	buf_release(&bytes);
	arena_release(&command.arena);
	return err;
}
