/*
 * Questions to the site: one HTTPS request an operation, made from the table
 * of operations. libcurl does the transport; the only CA trusted is the one
 * that was named.
 */
#include "agent/cli/cli.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "shared/rpc/rpc.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/** An answer at most, bytes: a page of batches is about 512 KiB, in base64. */
#define ANSWER_MAX ((size_t)8 << 20)

/* %XX for everything that is not unreserved (RFC 3986 section 2.3). */
static void
add_escaped(struct buf *out, const char *text, size_t len)
{
	static const char unreserved[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-._~";

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\0' && strchr(unreserved, text[i]) != NULL)
			buf_add_byte(out, (uint8_t)text[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)text[i]);
	}
}

/* Is the field in the path's {parameters}? */
static bool
in_path(const char *path, const char *key, size_t len)
{
	const char *at = path;

	while ((at = strchr(at, '{')) != NULL) {
		at++;
		if (strncmp(at, key, len) == 0 && at[len] == '}')
			return true;
	}
	return false;
}

/* The value of one key of a flat JSON object, unescaped into the arena. */
static const char *
value_of(size_t *value_len, const char *json, size_t json_len, const char *key,
    size_t len, struct arena *arena)
{
	struct json_reader reader;
	struct json_token name, value;

	json_open(&reader, json, json_len, RECORD_DEPTH_MAX);
	if (json_next(&reader, &value) != 0)
		return NULL;
	while (json_next_key(&reader, &name) == 0 && name.type != JSON_END) {
		if (json_next(&reader, &value) != 0)
			return NULL;
		if (name.len == len && memcmp(name.text, key, len) == 0) {
			char *text = arena_alloc(arena, value.len + 1);

			if (text == NULL)
				return NULL;
			if (value.type == JSON_TRUE ||
			    value.type == JSON_FALSE) {
				bool set = value.type == JSON_TRUE;

				*value_len = set ? 4 : 5;
				return set ? "true" : "false";
			}
			if (value.type != JSON_STRING) {
				memcpy(text, value.text, value.len);
				*value_len = value.len;
				return text;
			}
			return json_unescape(text, value_len, &value) == 0
			    ? text
			    : NULL;
		}
		if (json_skip(&reader, &value) != 0)
			return NULL;
	}
	return NULL;
}

/* /api/v1/leases/{lease}: the braces from the request's fields. */
static void
add_path(struct buf *url, const char *path, const char *json, size_t json_len,
    struct arena *arena)
{
	while (*path != '\0') {
		size_t len = strcspn(path, "{");
		size_t value_len = 0;
		const char *value;

		buf_add(url, path, len);
		path += len;
		if (*path == '\0')
			break;
		path++;
		len = strcspn(path, "}");
		value = value_of(&value_len, json, json_len, path, len, arena);
		if (value != NULL)
			add_escaped(url, value, value_len);
		path += len + (path[len] == '}');
	}
}

static void
add_query(struct buf *url, const struct operation *op, const char *json,
    size_t json_len, struct arena *arena)
{
	char sign = '?';

	for (size_t i = 0; i < op->request->n_fields; i++) {
		const char *key = op->request->fields[i].key;
		size_t value_len = 0;
		const char *value;

		if (in_path(op->path, key, strlen(key)))
			continue;
		value = value_of(&value_len, json, json_len, key, strlen(key),
		    arena);
		if (value == NULL)
			continue;
		buf_add_byte(url, (uint8_t)sign);
		buf_add_str(url, key);
		buf_add_byte(url, '=');
		add_escaped(url, value, value_len);
		sign = '&';
	}
}

/* What the path names is not said again in the body. */
static void
write_body(struct buf *body, const struct operation *op, const void *request)
{
	struct record_field fields[64];
	struct record rest = *op->request;

	rest.fields = fields;
	rest.n_fields = 0;
	for (size_t i = 0; i < op->request->n_fields; i++) {
		const struct record_field *field = &op->request->fields[i];

		if (!in_path(op->path, field->key, strlen(field->key)))
			fields[rest.n_fields++] = *field;
	}
	if (rest.n_fields > 0)
		record_write_json(body, &rest, request);
}

/* Where an answer goes: all of it into `whole`; of a stream, as long as it is
 * one, each piece to who follows it. */
struct sink {
	struct buf *whole;
	CURL *curl;
	bool (*piece)(void *ctx, const char *data, size_t len);
	void *ctx;
};

static size_t
keep(char *data, size_t size, size_t n, void *ctx)
{
	struct sink *sink = ctx;
	long status = 0;

	if (sink->piece != NULL)
		curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return sink->piece(sink->ctx, data, size * n) ? size * n : 0;
	buf_add(sink->whole, data, size * n);
	return sink->whole->failed ? 0 : size * n;
}

/* libcurl asks about once a second, and whenever bytes come. */
static int
on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct cli *cli = ctx;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return cli->cancelled(cli->cancelled_ctx);
}

/* Said, or kept for who asked. */
static void
tell(const struct cli *cli, const struct problem *problem)
{
	if (cli->quiet != NULL)
		*cli->quiet = *problem;
	else
		cli_problem(cli, problem);
}

static int
unreachable(const struct cli *cli, CURLcode code, const char *words)
{
	struct problem problem = { 0 };
	const char *hint = "is leaseholdd running on the site's box? What it "
			   "says stands where its standard error goes";

	if (code == CURLE_PEER_FAILED_VERIFICATION ||
	    code == CURLE_SSL_CACERT_BADFILE)
		hint = "name the site's CA: --ca FILE or LICENSE_CA_FILE (on "
		       "the site: STATE/tls/ca.pem)";
	else if (code == CURLE_URL_MALFORMAT ||
	    code == CURLE_UNSUPPORTED_PROTOCOL)
		hint = "the server is named like https://site.example:7443";
	problem_set(&problem, ERR_UNAVAILABLE, hint,
	    "the site at %s cannot be reached: %s", cli->server, words);
	tell(cli, &problem);
	return CLI_UNREACHABLE;
}

/* application/problem+json (RFC 9457): the members that we know. */
static int
read_problem(struct problem *problem, const struct buf *answer,
    struct arena *arena)
{
	const struct {
		const char *key;
		char *out;
		size_t size;
	} members[] = {
		{ "code", problem->code, sizeof(problem->code) },
		{ "detail", problem->detail, sizeof(problem->detail) },
		{ "hint", problem->hint, sizeof(problem->hint) },
		{ "field", problem->field, sizeof(problem->field) },
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		size_t len = 0;
		const char *value = value_of(&len, (const char *)answer->data,
		    answer->len, members[i].key, strlen(members[i].key), arena);

		/* What is shown must not steer the terminal. */
		if (value != NULL && text_is_printable(value, len))
			text_copy_n(members[i].out, members[i].size, value,
			    len);
	}
	return err_from_code(problem->code);
}

/* The next command, where the site left it open. */
static void
add_hint(struct problem *problem, int err, const struct operation *op,
    bool session)
{
	static const struct {
		const char *of;
		const char *hint;
	} lists[] = {
		{ "lease.", "see what there is: leasehold leases" },
		{ "device.", "see what there is: leasehold device list" },
		{ "join.", "see what there is: leasehold join list --all" },
		{ "license.", "see what there is: leasehold license list" },
		{ "user.", "see what there is: leasehold user list" },
	};

	if (problem->hint[0] != '\0')
		return;
	if (err == ERR_UNAUTHENTICATED) {
		text_copy(problem->hint, sizeof(problem->hint),
		    session ? "your session has ended; log in again: "
			      "leasehold login LOGIN"
			    : "the site does not know this key: check --key or "
			      "LICENSE_API_KEY");
		return;
	}
	for (size_t i = 0;
	     err == ERR_NOT_FOUND && i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strncmp(op->name, lists[i].of, strlen(lists[i].of)) == 0)
			text_copy(problem->hint, sizeof(problem->hint),
			    lists[i].hint);
}

/* A document is what its bytes are. */
static int
keep_document(struct billing_document *document, const struct buf *answer,
    struct arena *arena)
{
	document->data.data = arena_copy(arena, answer->data, answer->len);
	document->data.len = (uint32_t)answer->len;
	if (document->data.data != NULL)
		return CLI_DONE;
	cli_say("out of memory");
	return CLI_FAILED;
}

/* The answer's meaning: the reply's record, or a problem. */
static int
understand(struct cli *cli, const struct operation *op, long status,
    const struct buf *answer, void *reply, struct arena *arena)
{
	struct record_error error;
	struct problem problem = { 0 };
	int err;

	if (status >= 200 && status < 300 &&
	    op->reply == &billing_document_record)
		return keep_document(reply, answer, arena);
	if (status >= 200 && status < 300) {
		err = record_read_json(reply, op->reply,
		    (const char *)answer->data, answer->len, arena, &error);
		if (err == 0)
			return CLI_DONE;
		cli_say("the site's answer to %s is not understood: %s%s%s; "
			"are site and leasehold of one release?",
		    op->name, error.field, error.field[0] ? ": " : "",
		    error.reason);
		return CLI_FAILED;
	}
	err = read_problem(&problem, answer, arena);
	if (problem.code[0] == '\0') {
		cli_say("the site answered %s with HTTP status %ld", op->name,
		    status);
		return CLI_FAILED;
	}
	add_hint(&problem, err, op, cli->session);
	if (cli->problem != NULL) {
		*cli->problem = problem;
		return cli_status(err);
	}
	tell(cli, &problem);
	return cli_status(err);
}

/* Headers beside the key; a list of nodes that are the caller's, because
 * libcurl frees a copied key as it is. */
struct headers {
	struct curl_slist nodes[6];
	char text[6][224];
	size_t n;
};

static void
add_header(struct headers *headers, const char *name, const char *value)
{
	size_t i = headers->n;

	if (value[0] == '\0')
		return;
	snprintf(headers->text[i], sizeof(headers->text[i]), "%s: %s", name,
	    value);
	headers->nodes[i] = (struct curl_slist){ .data = headers->text[i] };
	if (i > 0)
		headers->nodes[i - 1].next = &headers->nodes[i];
	headers->n++;
}

static void
add_headers(struct headers *headers, const struct cli *cli, bool has_body)
{
	char bearer[160];

	headers->n = 0;
	snprintf(bearer, sizeof(bearer), "Bearer %s", cli->key);
	add_header(headers, "Authorization", cli->key[0] != '\0' ? bearer : "");
	add_header(headers, "Content-Type", has_body ? "application/json" : "");
	add_header(headers, "Idempotency-Key", cli->again);
	add_header(headers, "X-Hostname", cli->hostname);
	add_header(headers, "X-App-Fingerprint", cli->fingerprint);
	add_header(headers, "Last-Event-ID", cli->last_event);
	sodium_memzero(bearer, sizeof(bearer));
}

static CURLcode
perform(long *status, struct cli *cli, const struct operation *op,
    const char *url, const char *body, size_t body_len, struct sink *sink,
    char words[CURL_ERROR_SIZE])
{
	struct headers headers;
	CURLcode code = CURLE_FAILED_INIT;
	CURL *curl = curl_easy_init();

	if (curl == NULL)
		return code;
	add_headers(&headers, cli, body_len > 0);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, op->method);
	if (body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)body_len);
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER,
	    headers.n > 0 ? headers.nodes : NULL);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_3);
	if (cli->ca_file[0] != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO, cli->ca_file);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	if (sink->piece == NULL)
		curl_easy_setopt(curl, CURLOPT_TIMEOUT,
		    cli->timeout_s > 0 ? (long)cli->timeout_s : 60L);
	/* A stream gives a sign of life every 15 s. */
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
	if (cli->cancelled != NULL) {
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, cli);
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	sink->curl = curl;
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	if (code != CURLE_OK && words[0] == '\0')
		snprintf(words, CURL_ERROR_SIZE, "%s",
		    curl_easy_strerror(code));
	curl_easy_cleanup(curl);
	sodium_memzero(&headers, sizeof(headers));
	return code;
}

/* One question, to its end; `sink` and `reply` one or the other. */
static int
question(struct cli *cli, enum operation_id id, const void *request,
    struct sink *sink, void *reply, struct arena *arena)
{
	static const char for_admins[] =
	    "only the site's admins ask the site; what this workstation holds: "
	    "leasehold status";
	const struct operation *op = operation_get(id);
	struct buf url = { 0 };
	struct buf json = { 0 };
	struct buf body = { 0 };
	struct buf answer = { .max = ANSWER_MAX };
	char words[CURL_ERROR_SIZE] = "";
	long status = 0;
	int result = CLI_FAILED;
	bool has_body =
	    strcmp(op->method, "POST") == 0 || strcmp(op->method, "PUT") == 0;
	CURLcode code;

	if (cli->server[0] == '\0') {
		cli_say("which site? Name it with --server "
			"https://HOST:PORT, LICENSE_SERVER_URL or [server] "
			"url= in ~/.config/leasehold/cli.ini");
		cli_say("%s", for_admins);
		return CLI_USAGE;
	}
	if (cli->key[0] == '\0' && op->scope != SCOPE_OPEN) {
		cli_say("which key? An admin's API key (leasehold site init "
			"printed the first) goes into LICENSE_API_KEY or "
			"[server] key= in ~/.config/leasehold/cli.ini; a user "
			"logs in: leasehold login LOGIN");
		cli_say("%s", for_admins);
		return CLI_USAGE;
	}
	record_write_json(&json, op->request, request);
	buf_add_str(&url, cli->server);
	while (url.len > 0 && url.data[url.len - 1] == '/')
		url.len--;
	add_path(&url, op->path, (const char *)json.data, json.len, arena);
	if (has_body)
		write_body(&body, op, request);
	else
		add_query(&url, op, (const char *)json.data, json.len, arena);
	buf_text(&url);
	if (url.failed || json.failed || body.failed) {
		cli_say("out of memory");
		goto out;
	}
	sink->whole = &answer;
	code = perform(&status, cli, op, (const char *)url.data,
	    has_body ? buf_text(&body) : NULL, body.len, sink, words);
	if (sink->piece != NULL && status == 200)
		result = CLI_DONE;
	else if (code != CURLE_OK)
		result = unreachable(cli, code, words);
	else
		result = understand(cli, op, status, &answer, reply, arena);
out:
	sink->whole = NULL;
	buf_release(&url);
	/* There may be a password in them. */
	if (json.data != NULL)
		sodium_memzero(json.data, json.len);
	if (body.data != NULL)
		sodium_memzero(body.data, body.len);
	buf_release(&json);
	buf_release(&body);
	buf_release(&answer);
	return result;
}

int
cli_call(struct cli *cli, enum operation_id id, const void *request,
    void *reply, struct arena *arena)
{
	struct sink sink = { .piece = NULL };

	return question(cli, id, request, &sink, reply, arena);
}

int
cli_stream(struct cli *cli, enum operation_id id, const void *request,
    bool (*piece)(void *ctx, const char *data, size_t len), void *ctx,
    struct arena *arena)
{
	struct sink sink = { .piece = piece, .ctx = ctx };

	return question(cli, id, request, &sink, NULL, arena);
}

int
cli_answer(struct cli *cli, enum operation_id op, const void *request,
    void *reply, struct arena *arena)
{
	int status = cli_call(cli, op, request, reply, arena);

	if (status == CLI_DONE && cli->json)
		cli_print_json(operation_get(op)->reply, reply);
	return status;
}

int
cli_next_page(uint64_t *after, uint64_t next)
{
	if (next > *after) {
		*after = next;
		return CLI_DONE;
	}
	cli_say("the answer goes in circles: after %llu it names %llu as the "
		"next page",
	    (unsigned long long)*after, (unsigned long long)next);
	return CLI_FAILED;
}
