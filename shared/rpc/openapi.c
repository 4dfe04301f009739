/* The OpenAPI 3.1 document, from the tables of operations and records. */
#include "shared/rpc/operations.h"

#include "shared/base/err.h"
#include "shared/record/json.h"
#include "shared/rpc/messages_alert.h"
#include "shared/rpc/messages_crm.h"

#include <string.h>

static void
add_text(struct buf *out, const char *text)
{
	json_add_string(out, text, strlen(text));
}

static void
add_comma(struct buf *out, bool *first)
{
	if (!*first)
		buf_add_byte(out, ',');
	*first = false;
}

static bool
path_has(const char *path, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = strchr(path, '{'); p != NULL;
	     p = strchr(p + 1, '{'))
		if (strncmp(p + 1, key, len) == 0 && p[1 + len] == '}')
			return true;
	return false;
}

/* --- requests ------------------------------------------------------------ */

/* Numbers of things may be written as people and logs do: lease-7. */
static void
add_number_schema(struct buf *out, const struct record_field *field)
{
	size_t len = strlen(field->key);

	if (len > 3 && strcmp(field->key + len - 3, "_id") == 0)
		len -= 3;
	buf_add_str(out, "{\"anyOf\":[");
	record_write_field_schema(out, field);
	buf_printf(out,
	    ",{\"type\":\"string\",\"pattern\":\"^%.*s-[1-9][0-9]{0,15}$\"}]}",
	    (int)len, field->key);
}

static void
add_parameter(struct buf *out, const struct operation *op,
    const struct record_field *field)
{
	bool in_path = path_has(op->path, field->key);
	bool required = in_path || (field->flags & RECORD_OPTIONAL) == 0;

	buf_add_str(out, "{\"name\":");
	add_text(out, field->key);
	buf_printf(out, ",\"in\":\"%s\",\"required\":%s,\"description\":",
	    in_path ? "path" : "query", required ? "true" : "false");
	add_text(out, field->doc);
	buf_add_str(out, ",\"schema\":");
	if (in_path && field->type == RECORD_U64) {
		add_number_schema(out, field);
		buf_add_str(out, ",\"example\":7");
	} else {
		record_write_field_schema(out, field);
	}
	if (strcmp(field->key, "limit") == 0) {
		/* Inside of the schema that was just written. */
		out->len--;
		buf_printf(out, ",\"default\":%d}", LIST_LIMIT_DEFAULT);
	}
	buf_add_byte(out, '}');
}

static void
add_parameters(struct buf *out, const struct operation *op)
{
	bool first = true;

	buf_add_str(out, ",\"parameters\":[");
	for (size_t i = 0; i < op->request->n_fields; i++) {
		const struct record_field *field = &op->request->fields[i];

		if (operation_has_body(op) && !path_has(op->path, field->key))
			continue;
		add_comma(out, &first);
		add_parameter(out, op, field);
	}
	if (operation_takes_key(op)) {
		add_comma(out, &first);
		buf_add_str(out,
		    "{\"$ref\":\"#/components/parameters/idempotency_key\"}");
	}
	if (op->id == OP_EVENTS) {
		add_comma(out, &first);
		buf_add_str(out,
		    "{\"$ref\":\"#/components/parameters/last_event_id\"}");
	}
	buf_add_byte(out, ']');
}

/* What the path names does not stand in the body again. */
static void
add_body(struct buf *out, const struct operation *op)
{
	struct record_field fields[64];
	struct record rest = *op->request;
	bool required = false;

	rest.fields = fields;
	rest.n_fields = 0;
	for (size_t i = 0; i < op->request->n_fields; i++) {
		const struct record_field *field = &op->request->fields[i];

		if (path_has(op->path, field->key))
			continue;
		fields[rest.n_fields++] = *field;
		required |= (field->flags & RECORD_OPTIONAL) == 0;
	}
	if (rest.n_fields == 0)
		return;
	buf_printf(out,
	    ",\"requestBody\":{\"required\":%s,\"content\":"
	    "{\"application/json\":{\"schema\":",
	    required ? "true" : "false");
	if (rest.n_fields == op->request->n_fields)
		buf_printf(out, "{\"$ref\":\"#/components/schemas/%s\"}",
		    rest.name);
	else
		record_write_schema(out, &rest);
	buf_add_str(out, "}}}");
}

/* --- answers ------------------------------------------------------------- */

static const int statuses[] = { 400, 401, 403, 404, 409, 410, 413, 415, 429,
	503 };
#define N_STATUSES (sizeof(statuses) / sizeof(statuses[0]))

static const char *
status_doc(int status)
{
	switch (status) {
	case 400:
		return "The request is malformed; `field` names where.";
	case 401:
		return "No credential, or one that is not good.";
	case 403:
		return "Understood, and not for this credential.";
	case 404:
		return "There is no such thing.";
	case 409:
		return "It contradicts what is there, or there is no seat.";
	case 410:
		return "It was there and has ended.";
	case 413:
		return "More bytes than allowed.";
	case 415:
		return "The body is not application/json.";
	case 429:
		return "Too many requests.";
	default:
		return "It cannot be done right now.";
	}
}

static bool
may_answer(const struct operation *op, int status)
{
	/* Who logs in may be refused too. */
	bool open = op->scope == SCOPE_OPEN && !operation_has_body(op);

	switch (status) {
	case 400:
	case 429:
		return true;
	case 401:
	case 403:
		return !open;
	case 404:
		return strchr(op->path, '{') != NULL || operation_has_body(op);
	case 409:
		return op->kind == OPERATION_COMMAND ||
		    op->kind == OPERATION_SOFT;
	case 410:
		return op->kind != OPERATION_QUERY ||
		    strchr(op->path, '{') != NULL || op->id == OP_EVENTS;
	case 413:
	case 415:
		return operation_has_body(op);
	default:
		return op->id != OP_HEALTHZ && op->id != OP_OPENAPI;
	}
}

/* One of several kinds, as `format` asks. */
static void
add_documents(struct buf *out)
{
	buf_add_str(out, ",\"content\":{");
	for (int i = BILLING_AS_JSON; i <= BILLING_AS_TEXT; i++) {
		if (i > BILLING_AS_JSON)
			buf_add_byte(out, ',');
		add_text(out, billing_format_types[i]);
		buf_printf(out, ":{\"schema\":{\"type\":\"%s\"}}",
		    i == BILLING_AS_JSON ? "object" : "string");
	}
	buf_add_str(out, "}}");
}

static void
add_success(struct buf *out, const struct operation *op)
{
	buf_printf(out, "\"%d\":{\"description\":", op->status);
	add_text(out, op->reply->doc);
	if (op->reply == &billing_document_record) {
		add_documents(out);
		return;
	}
	if (op->content_type != NULL) {
		buf_add_str(out, ",\"content\":{");
		add_text(out, op->content_type);
		buf_add_str(out, ":{\"schema\":{\"type\":\"string\"}}}}");
		return;
	}
	buf_add_str(out, ",\"content\":{\"application/json\":{\"schema\":");
	if (op->id == OP_OPENAPI)
		buf_add_str(out, "{\"type\":\"object\"}");
	else
		buf_printf(out, "{\"$ref\":\"#/components/schemas/%s\"}",
		    op->reply->name);
	buf_add_str(out, "}}}");
}

static void
add_responses(struct buf *out, const struct operation *op)
{
	buf_add_str(out, ",\"responses\":{");
	add_success(out, op);
	if (op->is_waiting != NULL)
		buf_printf(out,
		    ",\"202\":{\"description\":\"Not yet: ask again with the "
		    "same Idempotency-Key.\",\"headers\":{\"Retry-After\":"
		    "{\"$ref\":\"#/components/headers/retry_after\"}},"
		    "\"content\":{\"application/json\":"
		    "{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}}",
		    op->reply->name);
	for (size_t i = 0; i < N_STATUSES; i++)
		if (may_answer(op, statuses[i]))
			buf_printf(out,
			    ",\"%d\":{\"$ref\":\"#/components/responses/"
			    "status_%d\"}",
			    statuses[i], statuses[i]);
	buf_add_str(out,
	    ",\"default\":{\"$ref\":\"#/components/responses/problem\"}}");
}

/* Every code that an error of one of these statuses may carry. */
static void
add_codes(struct buf *out, int status)
{
	bool first = true;

	for (int err = 0; err > -256; err--) {
		/* Of several errors with one code the one that is read off
		 * the wire: once each. */
		if (strcmp(err_name(err), "ERR_?") == 0 || err == ERR_OK ||
		    err_from_code(err_code(err)) != err ||
		    (status != 0 && err_http_status(err) != status))
			continue;
		add_comma(out, &first);
		add_text(out, err_code(err));
	}
}

static void
add_problem(struct buf *out, int status)
{
	buf_add_str(out,
	    ",\"content\":{\"application/problem+json\":{\"schema\":");
	if (status == 0) {
		buf_add_str(out, "{\"$ref\":\"#/components/schemas/problem\"}");
	} else {
		buf_add_str(out,
		    "{\"allOf\":[{\"$ref\":\"#/components/schemas/problem\"},"
		    "{\"properties\":{\"code\":{\"enum\":[");
		/* A body of another kind is a bad request too. */
		add_codes(out, status == 415 ? 400 : status);
		buf_add_str(out, "]}}}]}");
	}
	buf_add_str(out, "}}}");
}

static void
add_problem_responses(struct buf *out)
{
	buf_add_str(out,
	    ",\"responses\":{\"problem\":{\"description\":"
	    "\"A refusal or fault.\"");
	add_problem(out, 0);
	for (size_t i = 0; i < N_STATUSES; i++) {
		int status = statuses[i];

		buf_printf(out, ",\"status_%d\":{\"description\":", status);
		add_text(out, status_doc(status));
		if (status == 401)
			buf_add_str(out,
			    ",\"headers\":{\"WWW-Authenticate\":{\"schema\":"
			    "{\"type\":\"string\"}}}");
		else if (status == 503)
			buf_add_str(out,
			    ",\"headers\":{\"Retry-After\":{\"$ref\":"
			    "\"#/components/headers/retry_after\"}}");
		else if (status == 429)
			buf_add_str(out,
			    ",\"headers\":{\"Retry-After\":{\"$ref\":"
			    "\"#/components/headers/retry_after\"},"
			    "\"RateLimit-Limit\":{\"$ref\":"
			    "\"#/components/headers/ratelimit\"},"
			    "\"RateLimit-Remaining\":{\"$ref\":"
			    "\"#/components/headers/ratelimit\"},"
			    "\"RateLimit-Reset\":{\"$ref\":"
			    "\"#/components/headers/ratelimit\"}}");
		add_problem(out, status);
	}
	buf_add_byte(out, '}');
}

/* --- operations ---------------------------------------------------------- */

static void
add_operation(struct buf *out, const struct operation *op)
{
	size_t len = strlen(op->method);
	size_t tag = strcspn(op->name, ".");
	const char *scope = scope_name(op->scope);

	buf_add_byte(out, '"');
	for (size_t i = 0; i < len; i++)
		buf_add_byte(out, (uint8_t)(op->method[i] | 0x20));
	buf_add_str(out, "\":{\"operationId\":");
	add_text(out, op->name);
	buf_add_str(out, ",\"tags\":[");
	if (op->name[tag] == '.')
		json_add_string(out, op->name, tag);
	else
		add_text(out, "service");
	buf_add_str(out, "],\"x-leasehold-repeat\":");
	add_text(out, operation_repeat_name(op));
	buf_add_str(out, ",\"x-leasehold-place\":");
	add_text(out, operation_place_name(op));
	buf_add_str(out, ",\"summary\":");
	add_text(out, op->doc);
	if (op->scope == SCOPE_OPEN)
		buf_add_str(out, ",\"security\":[]");
	else
		/* One's own things need a credential, and no scope. */
		buf_printf(out, ",\"security\":[{\"key\":[%s%s%s]}]",
		    scope != NULL ? "\"" : "", scope != NULL ? scope : "",
		    scope != NULL ? "\"" : "");
	add_parameters(out, op);
	if (operation_has_body(op))
		add_body(out, op);
	add_responses(out, op);
	buf_add_byte(out, '}');
}

/* All operations of the path that `first` is the first to have. */
static void
add_path(struct buf *out, const struct operation *first)
{
	add_text(out, first->path);
	buf_add_str(out, ":{");
	add_operation(out, first);
	for (uint32_t id = first->id + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL || strcmp(op->path, first->path) != 0)
			continue;
		buf_add_byte(out, ',');
		add_operation(out, op);
	}
	buf_add_byte(out, '}');
}

static bool
path_seen_before(const struct operation *op)
{
	for (uint32_t id = OP_NONE + 1; id < op->id; id++) {
		const struct operation *other = operation_get(id);

		if (other->path != NULL && strcmp(other->path, op->path) == 0)
			return true;
	}
	return false;
}

/* --- components ---------------------------------------------------------- */

/* What goes out by itself to channels that are webhooks. */
static const struct webhook {
	const char *name;
	const char *doc;
	const struct record *body;
} webhooks[] = {
	{ "alerts", "An alert was opened or closed.", &alert_event_record },
	{ "crm",
	    "Of a hub, to channels that take crm: what became of a license, "
	    "and invoices. At least once, by its id, in order for one "
	    "customer.",
	    &crm_event_record },
};
#define N_WEBHOOKS (sizeof(webhooks) / sizeof(webhooks[0]))

static void
add_record(struct buf *all, const struct record *record)
{
	size_t n = all->len / sizeof(record);

	for (size_t i = 0; i < n; i++)
		if (memcmp(all->data + i * sizeof(record), &record,
			sizeof(record)) == 0)
			return;
	buf_add(all, &record, sizeof(record));
}

/* Every record that answers and bodies name, each once; the list is its own
 * queue of those to look through. */
static void
find_records(struct buf *all)
{
	const struct record *record;

	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL)
			continue;
		if (operation_has_body(op) && op->request->n_fields > 0)
			add_record(all, op->request);
		if (op->content_type == NULL && op->id != OP_OPENAPI)
			add_record(all, op->reply);
	}
	for (size_t i = 0; i < N_WEBHOOKS; i++)
		add_record(all, webhooks[i].body);
	for (size_t at = 0; at < all->len && !all->failed;
	     at += sizeof(record)) {
		memcpy(&record, all->data + at, sizeof(record));
		for (size_t i = 0; i < record->n_fields; i++)
			if (record->fields[i].of != NULL)
				add_record(all, record->fields[i].of);
	}
}

static void
add_schemas(struct buf *out)
{
	struct buf all = { 0 };
	const struct record *record;

	find_records(&all);
	out->failed |= all.failed;
	buf_add_str(out,
	    "\"schemas\":{\"problem\":{\"type\":\"object\",\"description\":"
	    "\"A refusal or fault (RFC 9457).\",\"properties\":{"
	    "\"type\":{\"type\":\"string\",\"format\":\"uri\"},"
	    "\"title\":{\"type\":\"string\"},"
	    "\"status\":{\"type\":\"integer\",\"minimum\":400,"
	    "\"maximum\":599},"
	    "\"detail\":{\"type\":\"string\",\"description\":"
	    "\"What happened and what it means.\"},"
	    "\"code\":{\"type\":\"string\",\"description\":"
	    "\"Stable name of what is wrong.\",\"enum\":[");
	add_codes(out, 0);
	buf_add_str(out,
	    "]},\"hint\":{\"type\":\"string\",\"description\":"
	    "\"What to do next.\"},"
	    "\"field\":{\"type\":\"string\",\"description\":"
	    "\"Where in the request.\"}},"
	    "\"required\":[\"type\",\"title\",\"status\",\"detail\",\"code\"],"
	    "\"additionalProperties\":false}");
	for (size_t at = 0; at < all.len && !all.failed; at += sizeof(record)) {
		memcpy(&record, all.data + at, sizeof(record));
		buf_add_byte(out, ',');
		add_text(out, record->name);
		buf_add_byte(out, ':');
		record_write_schema(out, record);
	}
	buf_add_byte(out, '}');
	buf_release(&all);
}

static void
add_components(struct buf *out)
{
	buf_add_str(out, ",\"components\":{");
	add_schemas(out);
	add_problem_responses(out);
	buf_add_str(out,
	    ",\"parameters\":{\"idempotency_key\":{\"name\":"
	    "\"Idempotency-Key\",\"in\":\"header\",\"required\":false,"
	    "\"description\":\"Chosen by the caller, the same in a retry: what "
	    "was done is not done twice, and the answer is the same for 24 "
	    "hours. Another request with the same key is a conflict.\","
	    "\"schema\":{\"type\":\"string\",\"minLength\":1,"
	    "\"maxLength\":63,\"pattern\":\"^[!-~]+$\"}},"
	    "\"last_event_id\":{\"name\":\"Last-Event-ID\",\"in\":\"header\","
	    "\"required\":false,\"description\":\"The last event seen: go on "
	    "behind it.\",\"schema\":{\"type\":\"string\","
	    "\"pattern\":\"^[0-9]{1,16}$\"}}},"
	    "\"headers\":{\"retry_after\":{\"description\":"
	    "\"Seconds to wait.\",\"schema\":{\"type\":\"integer\","
	    "\"minimum\":0}},\"ratelimit\":{\"description\":"
	    "\"Of the credential's budget: in all, left, seconds until it is "
	    "full.\",\"schema\":{\"type\":\"string\"}}},"
	    "\"securitySchemes\":{\"key\":{\"type\":\"http\","
	    "\"scheme\":\"bearer\",\"description\":\"An API key, a site key or "
	    "a user's session token. An operation names the scope that it "
	    "needs.\"}}}}");
}

/* --- webhooks ------------------------------------------------------------- */

static void
add_webhooks(struct buf *out)
{
	bool first = true;

	buf_add_str(out, ",\"webhooks\":{");
	for (size_t i = 0; i < N_WEBHOOKS; i++) {
		add_comma(out, &first);
		add_text(out, webhooks[i].name);
		buf_add_str(out, ":{\"post\":{\"description\":");
		add_text(out, webhooks[i].doc);
		buf_printf(out,
		    ",\"requestBody\":{\"required\":true,\"content\":{"
		    "\"application/json\":{\"schema\":{\"$ref\":"
		    "\"#/components/schemas/%s\"}}}},\"responses\":{\"2XX\":{"
		    "\"description\":\"It is taken, and does not come "
		    "again.\"}}}}",
		    webhooks[i].body->name);
	}
	buf_add_byte(out, '}');
}

void
operations_write_openapi(struct buf *out, const char *version)
{
	bool first = true;

	buf_add_str(out,
	    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Leasehold site\","
	    "\"description\":\"What programs and admins ask a site. Refusals "
	    "are application/problem+json with a stable code.\","
	    "\"license\":{\"name\":\"Apache 2.0\",\"identifier\":"
	    "\"Apache-2.0\"},\"version\":");
	add_text(out, version);
	buf_add_str(out, "},\"servers\":[{\"url\":\"/\"}],\"paths\":{");
	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL || path_seen_before(op))
			continue;
		add_comma(out, &first);
		add_path(out, op);
	}
	buf_add_byte(out, '}');
	add_webhooks(out);
	add_components(out);
}
