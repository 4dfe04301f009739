/* Questions to the projection, by name, and answers with names. See
 * auditing.h. */
#include "appliance/ledger/auditing.h"

#include "appliance/ledger/core.h"
#include "appliance/ledger/restrict.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Addresses that one range may stand for; a wider one is asked in parts. */
#define ADDRESSES_MAX 65536
#define DEFAULT_LIMIT 100
/* Refusals that err.h has room for, from ERR_UNAUTHENTICATED downwards. */
#define REFUSALS_MAX 60

/* --- actors --------------------------------------------------------------- */

static const char *const actor_words[] = {
	[ACTOR_SITE] = "site",
	[ACTOR_DEVICE] = "device-",
	[ACTOR_ADMIN] = "admin-",
	[ACTOR_KEY] = "key-",
	[ACTOR_USER] = "user-",
};
#define ACTORS (sizeof(actor_words) / sizeof(actor_words[0]))

void
auditing_write_actor(char out[32], const struct row_actor *actor)
{
	if (actor->kind == ACTOR_USER && actor->id == 0)
		snprintf(out, 32, "nobody");
	else if (actor->kind == ACTOR_SITE || actor->kind >= ACTORS)
		snprintf(out, 32, "site");
	else
		snprintf(out, 32, "%s%" PRIu64, actor_words[actor->kind],
		    actor->id);
}

bool
auditing_read_actor(struct row_actor *actor, const char *text)
{
	*actor = (struct row_actor){ .kind = ACTOR_SITE };
	if (strcmp(text, "site") == 0)
		return true;
	if (strcmp(text, "nobody") == 0) {
		actor->kind = ACTOR_USER;
		return true;
	}
	for (uint32_t kind = ACTOR_DEVICE; kind < ACTORS; kind++) {
		size_t len = strlen(actor_words[kind]);

		if (strncmp(text, actor_words[kind], len) != 0)
			continue;
		actor->kind = kind;
		return text_to_u64(&actor->id, text + len, strlen(text + len));
	}
	return false;
}

/* --- the question ----------------------------------------------------------- */

/* Matches and what they point to, in the arena. */
struct asking {
	struct ledger_view *view;
	struct audit *audit;
	struct arena *arena;
	struct problem *problem;
	struct audit_match matches[AUDIT_FIELDS];
	uint32_t n;
};

static int
refuse(struct asking *asking, const char *field, const char *words)
{
	query_refuse(asking->problem, ERR_BAD_REQUEST, "%s", words);
	text_copy(asking->problem->field, sizeof(asking->problem->field),
	    field);
	return ERR_BAD_REQUEST;
}

static int
match_values(struct asking *asking, enum audit_field field,
    struct record_span *values, uint32_t n)
{
	if (asking->n == AUDIT_FIELDS)
		return ERR_BAD_REQUEST;
	asking->matches[asking->n++] =
	    (struct audit_match){ .field = field, .values = values, .n = n };
	return 0;
}

static int
match_bytes(struct asking *asking, enum audit_field field, const void *data,
    size_t len)
{
	struct record_span *span = arena_alloc(asking->arena, sizeof(*span));

	if (span == NULL)
		return ERR_NOMEM;
	span->data = arena_copy(asking->arena, data, len);
	span->len = (uint32_t)len;
	return span->data == NULL ? ERR_NOMEM
				  : match_values(asking, field, span, 1);
}

static int
match_number(struct asking *asking, enum audit_field field, uint64_t number)
{
	uint64_t *value = arena_alloc(asking->arena, sizeof(*value));

	if (value == NULL)
		return ERR_NOMEM;
	if (asking->n == AUDIT_FIELDS)
		return ERR_BAD_REQUEST;
	*value = number;
	asking->matches[asking->n++] =
	    (struct audit_match){ .field = field, .numbers = value, .n = 1 };
	return 0;
}

/* A name that nobody has had fits nothing. */
static int
match_name(struct asking *asking, enum audit_field field,
    enum subject_kind kind, const char *name)
{
	uint8_t id[SUBJECT_BYTES];

	if (name[0] == '\0')
		return 0;
	int err = subject_find(id, &asking->view->state,
	    asking->view->ledger->keys, kind, name);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return match_values(asking, field, NULL, 0);
	return err == 0 ? match_bytes(asking, field, id, sizeof(id)) : err;
}

static int
match_text(struct asking *asking, enum audit_field field, const char *text)
{
	return text[0] == '\0' ? 0
			       : match_bytes(asking, field, text, strlen(text));
}

/* Every code that a refusal can have. */
static int
match_refused(struct asking *asking)
{
	struct record_span *codes =
	    arena_alloc(asking->arena, REFUSALS_MAX * sizeof(*codes));
	uint32_t n = 0;

	if (codes == NULL)
		return ERR_NOMEM;
	for (int i = 0; i < REFUSALS_MAX; i++) {
		int err = ERR_UNAUTHENTICATED - i;
		const char *code = err_code(err);

		/* Two errors may have one code; twice does no harm. */
		if (err_name(err)[4] != '?')
			codes[n++] = (struct record_span){ code,
				(uint32_t)strlen(code) };
	}
	return match_values(asking, AUDIT_RESULT, codes, n);
}

static int
match_id(struct asking *asking, const char *field, const char *text,
    const char *prefix)
{
	size_t len = strlen(prefix);
	uint64_t number;

	if (text[0] == '\0')
		return 0;
	if (strncmp(text, prefix, len) != 0 ||
	    !text_to_u64(&number, text + len, strlen(text + len)))
		return refuse(asking, field,
		    "is no id such as device-9, key-7");
	return match_number(asking, AUDIT_DEVICE, number);
}

static int
match_actor(struct asking *asking, const char *text)
{
	struct row_actor actor;

	if (text[0] == '\0')
		return 0;
	if (!auditing_read_actor(&actor, text))
		return refuse(asking, "actor",
		    "is none of site, admin-1, user-3, device-9, key-7");
	/* A key takes seats as a device does, and does an admin's work as
	 * itself. */
	if (actor.kind != ACTOR_KEY)
		return match_number(asking, AUDIT_ACTOR,
		    audit_actor(actor.kind, actor.id));
	uint64_t *both = arena_alloc(asking->arena, 2 * sizeof(*both));

	if (both == NULL)
		return ERR_NOMEM;
	both[0] = audit_actor(ACTOR_KEY, actor.id);
	both[1] = audit_actor(ACTOR_DEVICE, actor.id);
	asking->matches[asking->n++] =
	    (struct audit_match){ .field = AUDIT_ACTOR,
		    .numbers = both,
		    .n = 2 };
	return 0;
}

static int
match_print(struct asking *asking, const char *text)
{
	uint8_t print[32];
	size_t len;

	if (text[0] == '\0')
		return 0;
	if (text_from_hex(print, sizeof(print), &len, text, strlen(text)) !=
		0 ||
	    len != sizeof(print))
		return refuse(asking, "fingerprint",
		    "is no SHA-256: 64 hexadecimal digits");
	return match_bytes(asking, AUDIT_PRINT, print, sizeof(print));
}

/* --- addresses -------------------------------------------------------------- */

struct in_range {
	struct asking *asking;
	struct restrict_range range;
	struct record_span *found;
	uint32_t n, size;
	bool too_many;
};

static int
keep_address(struct in_range *in, const uint8_t id[SUBJECT_BYTES])
{
	if (in->n == ADDRESSES_MAX) {
		in->too_many = true;
		return 1;
	}
	if (in->n == in->size) {
		uint32_t size = in->size == 0 ? 64 : in->size * 2;
		struct record_span *more =
		    arena_alloc(in->asking->arena, size * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		if (in->n > 0)
			memcpy(more, in->found, in->n * sizeof(*more));
		in->found = more;
		in->size = size;
	}
	const void *copy = arena_copy(in->asking->arena, id, SUBJECT_BYTES);

	in->found[in->n] = (struct record_span){ copy, SUBJECT_BYTES };
	in->n += copy != NULL;
	return copy != NULL ? 0 : ERR_NOMEM;
}

static int
try_address(void *ctx, const uint8_t id[SUBJECT_BYTES])
{
	struct in_range *in = ctx;
	struct ledger_view *view = in->asking->view;
	struct subject subject;
	uint8_t address[16];
	int err = subject_get(&subject, &view->state, view->ledger->keys, id);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0; /* it was erased */
	if (err != 0)
		return err;
	return restrict_read_address(address, subject.value) &&
		restrict_in_range(&in->range, address)
	    ? keep_address(in, id)
	    : 0;
}

static int
match_address(struct asking *asking, const char *text)
{
	struct in_range in = { .asking = asking };
	const char *reason;

	if (text[0] == '\0')
		return 0;
	if (!restrict_read_range(&in.range, text, &reason))
		return refuse(asking, "ip_address", reason);
	int err = audit_each_subject(asking->audit, SUBJECT_ADDRESS,
	    try_address, &in);

	if (in.too_many)
		return refuse(asking, "ip_address",
		    "stands for more than 65536 addresses that were seen; ask "
		    "for a smaller range");
	return err == 0 ? match_values(asking, AUDIT_ADDRESS, in.found, in.n)
			: err;
}

static int
make_matches(struct asking *asking, const struct audit_query *query)
{
	int err = match_name(asking, AUDIT_USER, SUBJECT_USER, query->user);

	if (err == 0)
		err = match_name(asking, AUDIT_HOST, SUBJECT_HOST,
		    query->hostname);
	if (err == 0)
		err = match_address(asking, query->ip_address);
	if (err == 0)
		err = match_text(asking, AUDIT_PRODUCT, query->product);
	if (err == 0)
		err = strcmp(query->result, "refused") == 0
		    ? match_refused(asking)
		    : match_text(asking, AUDIT_RESULT, query->result);
	if (err == 0)
		err = match_text(asking, AUDIT_WHAT, query->event);
	if (err == 0)
		err = match_actor(asking, query->actor);
	if (err == 0)
		err =
		    match_id(asking, "device_id", query->device_id, "device-");
	if (err == 0)
		err = match_id(asking, "api_key_id", query->api_key_id, "key-");
	return err == 0 ? match_print(asking, query->fingerprint) : err;
}

/* --- the answer -------------------------------------------------------------- */

struct answer {
	struct ledger_view *view;
	struct audit_item *items;
	uint32_t n;
};

static int
show_name(char *out, size_t size, const struct answer *answer,
    const uint8_t id[SUBJECT_BYTES], bool erased)
{
	if (!erased)
		return view_subject(out, size, answer->view, id);
	text_copy(out, size, SUBJECT_ERASED);
	return 0;
}

static int
add_item(void *ctx, const struct audit_entry *entry)
{
	static const uint8_t none[32];
	struct answer *answer = ctx;
	struct audit_item *item = &answer->items[answer->n];
	struct row_actor by = entry->by;

	*item = (struct audit_item){
		.row = entry->row,
		.timestamp = entry->time,
		.license = entry->license,
		.lease = entry->lease,
		.object = entry->object,
		.count = entry->count > 1 ? entry->count : 0,
	};
	if (by.kind == ACTOR_DEVICE && entry->of_key)
		by.kind = ACTOR_KEY;
	auditing_write_actor(item->actor, &by);
	text_copy(item->tenant_id, sizeof(item->tenant_id),
	    answer->view->ledger->tenant);
	text_copy(item->event, sizeof(item->event), entry->what);
	text_copy(item->result, sizeof(item->result), entry->result);
	text_copy(item->product, sizeof(item->product), entry->product);
	if (entry->device != 0)
		snprintf(entry->of_key ? item->api_key_id : item->device_id, 32,
		    "%s-%" PRIu64, entry->of_key ? "key" : "device",
		    entry->device);
	if (memcmp(entry->print, none, sizeof(none)) != 0)
		text_to_hex(item->fingerprint, entry->print, 32);
	int err = show_name(item->user, sizeof(item->user), answer, entry->user,
	    entry->user_erased);

	if (err == 0)
		err = show_name(item->hostname, sizeof(item->hostname), answer,
		    entry->host, entry->host_erased);
	if (err == 0)
		err = show_name(item->ip_address, sizeof(item->ip_address),
		    answer, entry->address, entry->address_erased);
	if (err == 0)
		err = show_name(item->reason, sizeof(item->reason), answer,
		    entry->reason, entry->reason_erased);
	answer->n += err == 0;
	return err;
}

int
auditing_search(struct audit_page *reply, struct audit *audit,
    struct ledger_view *view, const struct audit_query *query,
    struct arena *arena, struct problem *problem)
{
	struct asking asking = { .view = view,
		.audit = audit,
		.arena = arena,
		.problem = problem };
	struct answer answer = { .view = view };
	struct audit_state state;
	int err = make_matches(&asking, query);
	const struct audit_question question = {
		.matches = asking.matches,
		.n_matches = asking.n,
		.from = query->from != 0 ? query->from : INT64_MIN,
		.to = query->to != 0 ? query->to : INT64_MAX,
		.oldest_first = query->oldest_first,
		.after = query->after,
		.limit = query->limit != 0 ? query->limit : DEFAULT_LIMIT,
	};

	*reply = (struct audit_page){ .next = 0 };
	answer.items =
	    arena_alloc(arena, question.limit * sizeof(*answer.items));
	if (answer.items == NULL)
		return ERR_NOMEM;
	if (err == 0)
		err = audit_search(&reply->next, audit, &question, add_item,
		    &answer);
	if (err == 0)
		err = auditing_state(&state, audit, view, 0);
	if (err != 0)
		return err;
	reply->items = (struct record_list){ answer.items, answer.n };
	reply->behind = state.behind;
	return 0;
}
