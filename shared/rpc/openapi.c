/* The OpenAPI 3.1 document, from the tables of operations and records. */
#include "shared/rpc/operations.h"

#include "shared/record/json.h"

#include <string.h>

#define COMPONENTS_MAX 128

static void
add_text(struct buf *out, const char *text)
{
	json_add_string(out, text, strlen(text));
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

/* Only simple fields can stand in a path or query. */
static void
add_parameter_schema(struct buf *out, const struct record_field *field)
{
	if (field->type == RECORD_U64 || field->type == RECORD_U32) {
		buf_printf(out,
		    "{\"type\":\"integer\",\"minimum\":%llu,"
		    "\"maximum\":%llu}",
		    (unsigned long long)field->min,
		    (unsigned long long)field->max);
	} else {
		buf_add_str(out, "{\"type\":\"string\"}");
	}
}

static void
write_parameters(struct buf *out, const struct operation *op)
{
	bool body = strcmp(op->method, "POST") == 0;
	bool first = true;

	buf_add_str(out, ",\"parameters\":[");
	for (size_t i = 0; i < op->request->n_fields; i++) {
		const struct record_field *field = &op->request->fields[i];
		bool in_path = path_has(op->path, field->key);

		if (body && !in_path)
			continue;
		buf_add_str(out, first ? "{\"name\":" : ",{\"name\":");
		first = false;
		add_text(out, field->key);
		buf_printf(out, ",\"in\":\"%s\",\"required\":%s",
		    in_path ? "path" : "query", in_path ? "true" : "false");
		buf_add_str(out, ",\"description\":");
		add_text(out, field->doc);
		buf_add_str(out, ",\"schema\":");
		add_parameter_schema(out, field);
		buf_add_byte(out, '}');
	}
	if (op->kind == OPERATION_COMMAND) {
		buf_printf(out,
		    "%s{\"name\":\"Idempotency-Key\",\"in\":\"header\","
		    "\"required\":false,\"description\":\"The same in a "
		    "retry.\",\"schema\":{\"type\":\"string\","
		    "\"maxLength\":63}}",
		    first ? "" : ",");
	}
	buf_add_byte(out, ']');
}

static void
write_content(struct buf *out, const struct operation *op,
    const struct record *record)
{
	buf_add_str(out, "\"content\":{\"application/json\":{\"schema\":");
	if (op->id == OP_OPENAPI)
		buf_add_str(out, "{\"type\":\"object\"}");
	else
		buf_printf(out, "{\"$ref\":\"#/components/schemas/%s\"}",
		    record->name);
	buf_add_str(out, "}}");
}

static void
write_operation(struct buf *out, const struct operation *op)
{
	size_t len = strlen(op->method);

	buf_add_byte(out, '"');
	for (size_t i = 0; i < len; i++)
		buf_add_byte(out, (uint8_t)(op->method[i] | 0x20));
	buf_add_str(out, "\":{\"operationId\":");
	add_text(out, op->name);
	buf_add_str(out, ",\"summary\":");
	add_text(out, op->doc);
	buf_add_str(out, ",\"security\":");
	buf_add_str(out, op->scope == SCOPE_OPEN ? "[]" : "[{\"key\":[]}]");
	write_parameters(out, op);
	if (strcmp(op->method, "POST") == 0 && op->request->n_fields > 0) {
		buf_add_str(out, ",\"requestBody\":{\"required\":true,");
		write_content(out, op, op->request);
		buf_add_byte(out, '}');
	}
	buf_printf(out, ",\"responses\":{\"%d\":{\"description\":", op->status);
	add_text(out, op->reply->doc);
	buf_add_byte(out, ',');
	write_content(out, op, op->reply);
	if (op->is_waiting != NULL) {
		buf_add_str(out,
		    "},\"202\":{\"description\":\"Not yet: ask again with the "
		    "same Idempotency-Key.\",");
		write_content(out, op, op->reply);
	}
	buf_add_str(out,
	    "},\"default\":{\"$ref\":\"#/components/responses/problem\"}}}");
}

/* All operations of the path that `first` is the first to have. */
static void
write_path(struct buf *out, const struct operation *first)
{
	add_text(out, first->path);
	buf_add_str(out, ":{");
	write_operation(out, first);
	for (uint32_t id = first->id + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL || strcmp(op->path, first->path) != 0)
			continue;
		buf_add_byte(out, ',');
		write_operation(out, op);
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

static size_t
add_components(const struct record **all, size_t n, const struct record *record)
{
	const struct record *closure[COMPONENTS_MAX];
	size_t found = record_closure(closure, COMPONENTS_MAX, record);

	for (size_t i = 0; i < found && i < COMPONENTS_MAX; i++) {
		size_t at = 0;

		while (at < n && all[at] != closure[i])
			at++;
		if (at == n && n < COMPONENTS_MAX)
			all[n++] = closure[i];
	}
	return n;
}

static void
write_components(struct buf *out)
{
	const struct record *all[COMPONENTS_MAX];
	size_t n = add_components(all, 0, &problem_record);

	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL)
			continue;
		n = add_components(all, n, op->request);
		n = add_components(all, n, op->reply);
	}
	buf_add_str(out, "\"schemas\":{");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		add_text(out, all[i]->name);
		buf_add_byte(out, ':');
		record_write_schema(out, all[i]);
	}
	buf_add_byte(out, '}');
}

void
operations_write_openapi(struct buf *out, const char *version)
{
	bool first = true;

	buf_add_str(out,
	    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Leasehold site\","
	    "\"version\":");
	add_text(out, version);
	buf_add_str(out, "},\"paths\":{");
	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL || path_seen_before(op))
			continue;
		if (!first)
			buf_add_byte(out, ',');
		first = false;
		write_path(out, op);
	}
	buf_add_str(out, "},\"components\":{");
	write_components(out);
	buf_add_str(out,
	    ",\"responses\":{\"problem\":{\"description\":\"A refusal or "
	    "fault.\",\"content\":{\"application/problem+json\":{\"schema\":"
	    "{\"$ref\":\"#/components/schemas/problem\"}}}}},"
	    "\"securitySchemes\":{\"key\":{\"type\":\"http\","
	    "\"scheme\":\"bearer\"}}}}");
}
