/*
 * The head of a request out of libwebsockets' header table, and the head of an
 * answer. Strings of strangers are bounded and hold no NUL; what a header says
 * twice is refused where it matters.
 */
#include "shared/net/net_private.h"

#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* libwebsockets takes 4 KiB of headers; the query grows when encoded. */
#define HEAD_MAX 4096
#define QUERY_MAX (3 * HEAD_MAX)

static const struct {
	enum lws_token_indexes token;
	const char *name;
	bool body;
} methods[] = {
	{ WSI_TOKEN_GET_URI, "GET", false },
	{ WSI_TOKEN_HEAD_URI, "HEAD", false },
	{ WSI_TOKEN_POST_URI, "POST", true },
	{ WSI_TOKEN_PUT_URI, "PUT", true },
	{ WSI_TOKEN_PATCH_URI, "PATCH", true },
	{ WSI_TOKEN_DELETE_URI, "DELETE", false },
	{ WSI_TOKEN_OPTIONS_URI, "OPTIONS", false },
};
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

static void
trim(char *text)
{
	size_t skip = strspn(text, " \t");
	size_t len = strlen(text + skip);

	memmove(text, text + skip, len + 1);
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
}

bool
net_http_header(char *out, size_t size, struct lws *wsi,
    enum lws_token_indexes token)
{
	int len = lws_hdr_total_length(wsi, token);

	out[0] = '\0';
	if (len <= 0 || (size_t)len >= size ||
	    lws_hdr_copy(wsi, out, (int)size, token) != len)
		return false;
	if (strlen(out) != (size_t)len) {
		out[0] = '\0'; /* a NUL inside */
		return false;
	}
	trim(out);
	return true;
}

bool
net_http_has_header(struct lws *wsi, enum lws_token_indexes token)
{
	char text[1];

	/* An empty one has a length of 0 too; only its first piece tells, -1
	 * when there is none. A piece with something in it does not fit. */
	return lws_hdr_total_length(wsi, token) > 0 ||
	    lws_hdr_copy_fragment(wsi, text, sizeof(text), token, 0) >= 0;
}

static bool
custom_header(char *out, size_t size, struct lws *wsi, const char *name)
{
	int name_len = (int)strlen(name);
	int len = lws_hdr_custom_length(wsi, name, name_len);

	out[0] = '\0';
	if (len <= 0 || (size_t)len >= size)
		return len <= 0;
	if (lws_hdr_custom_copy(wsi, out, (int)size, name, name_len) != len ||
	    strlen(out) != (size_t)len)
		return false;
	trim(out);
	return true;
}

/* --- the query ----------------------------------------------------------- */

static void
add_encoded(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (isalnum(c) || strchr("-._~", c) != NULL)
			buf_add_byte(out, c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* libwebsockets has cut the query at its "&" and decoded the pieces: encode
 * them again, so that an encoded "&" does not become a separator. */
static int
read_query(struct buf *out, struct lws *wsi)
{
	char piece[HEAD_MAX];

	for (int i = 0;; i++) {
		int len = lws_hdr_copy_fragment(wsi, piece, sizeof(piece),
		    WSI_TOKEN_HTTP_URI_ARGS, i);

		if (len < 0)
			break;
		const char *equals = memchr(piece, '=', (size_t)len);
		size_t key =
		    equals != NULL ? (size_t)(equals - piece) : (size_t)len;

		if (memchr(piece, '\0', (size_t)len) != NULL)
			return 400;
		if (i > 0)
			buf_add_byte(out, '&');
		add_encoded(out, piece, key);
		if (equals != NULL) {
			buf_add_byte(out, '=');
			add_encoded(out, equals + 1, (size_t)len - key - 1);
		}
	}
	return out->failed ? 400 : 0;
}

/* --- the request --------------------------------------------------------- */

uint16_t
net_http_cut_port(char *host)
{
	uint64_t port = 0;

	char *end = host[0] == '[' ? strchr(host, ']') : NULL;
	char *colon = strchr(end != NULL ? end : host, ':');

	if (colon == NULL)
		return 0;
	*colon = '\0';
	return text_to_u64(&port, colon + 1, strlen(colon + 1)) && port <= 65535
	    ? (uint16_t)port
	    : 0;
}

/* RFC 9112, section 5.1: no blank before the colon. libwebsockets takes it for
 * a header of another name, and a proxy may not: two readings of a length. */
static bool
has_hidden_length(struct lws *wsi)
{
	static const char *const names[] = { "transfer-encoding :",
		"transfer-encoding\t:", "content-length :",
		"content-length\t:" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (lws_hdr_custom_length(wsi, names[i],
			(int)strlen(names[i])) >= 0)
			return true;
	return false;
}

static int
read_length(struct net_http *http, struct lws *wsi, bool wants_body)
{
	char text[32];
	uint64_t length;

	if (has_hidden_length(wsi))
		return 400;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return 411; /* chunked bodies hang libwebsockets */
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
		return wants_body ? 411 : 0;
	if (!net_http_header(text, sizeof(text), wsi,
		WSI_TOKEN_HTTP_CONTENT_LENGTH) ||
	    !text_to_u64(&length, text, strlen(text)))
		return 400;
	if (length > NET_BODY_MAX)
		return 413;
	http->content_length = (size_t)length;
	return 0;
}

/* Strings of the request as one block: offsets while the block may move. */
struct strings {
	struct buf block;
	size_t at[9 + NET_CLAIMS];
	size_t n;
	uint16_t host_port;
};

static void
keep(struct strings *strings, const char *text)
{
	strings->at[strings->n++] = strings->block.len;
	buf_add(&strings->block, text, strlen(text) + 1);
}

static int
keep_header(struct strings *strings, struct lws *wsi,
    enum lws_token_indexes token)
{
	char text[HEAD_MAX];
	bool there = lws_hdr_total_length(wsi, token) > 0;
	bool good = net_http_header(text, sizeof(text), wsi, token);

	if (token == WSI_TOKEN_HOST)
		strings->host_port = net_http_cut_port(text);
	keep(strings, text);
	return there && !good ? 400 : 0;
}

static int
keep_custom(struct strings *strings, struct lws *wsi, const char *name)
{
	char text[HEAD_MAX];
	bool good = custom_header(text, sizeof(text), wsi, name);

	keep(strings, text);
	return good ? 0 : 400;
}

static int
read_strings(struct strings *strings, struct lws *wsi,
    enum lws_token_indexes method)
{
	char text[HEAD_MAX];
	struct buf query = { .max = QUERY_MAX };
	int refusal = 0;

	if (!net_http_header(text, sizeof(text), wsi, method) || text[0] != '/')
		refusal = 400;
	keep(strings, text);
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) > 0 &&
	    refusal == 0)
		refusal = read_query(&query, wsi);
	keep(strings, buf_text(&query));
	buf_release(&query);
	const enum lws_token_indexes tokens[] = { WSI_TOKEN_HOST,
		WSI_TOKEN_HTTP_AUTHORIZATION, WSI_TOKEN_HTTP_CONTENT_TYPE,
		WSI_TOKEN_HTTP_ACCEPT, WSI_TOKEN_HTTP_COOKIE };

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
		if (keep_header(strings, wsi, tokens[i]) != 0)
			refusal = 400;
	const char *const customs[] = { "idempotency-key:",
		[1 + NET_CLAIM_HOSTNAME] = "x-hostname:",
		[1 + NET_CLAIM_FINGERPRINT] = "x-app-fingerprint:",
		[1 + NET_CLAIM_LIBRARY] = "x-lib-version:",
		[1 + NET_CLAIM_LAST_EVENT] = "last-event-id:",
		[1 + NET_CLAIM_VENDOR] = "x-vendor-id:",
		[1 + NET_CLAIMS] = "x-leasehold-page:" };

	for (size_t i = 0; i < sizeof(customs) / sizeof(customs[0]); i++)
		if (keep_custom(strings, wsi, customs[i]) != 0)
			refusal = 400;
	return refusal;
}

/* libwebsockets takes an encoded line break in a path or query for the end of
 * the request's line, and what it read before for the whole: then no version
 * follows. */
static bool
has_version(struct lws *wsi)
{
	char text[64];

	return net_http_header(text, sizeof(text), wsi, WSI_TOKEN_HTTP) &&
	    (strcmp(text, "HTTP/1.1") == 0 || strcmp(text, "HTTP/1.0") == 0);
}

static bool
is_http_1_1(struct lws *wsi)
{
	char text[64];

	return net_http_header(text, sizeof(text), wsi, WSI_TOKEN_HTTP) &&
	    strcmp(text, "HTTP/1.1") == 0;
}

static bool
ends_after(struct lws *wsi)
{
	char text[64];

	if (!is_http_1_1(wsi))
		return true;
	return net_http_header(text, sizeof(text), wsi, WSI_TOKEN_CONNECTION) &&
	    strcasecmp(text, "close") == 0;
}

struct net_http *
net_http_read(struct lws *wsi)
{
	struct strings strings = { 0 };
	struct net_http *http = calloc(1, sizeof(*http));
	size_t m = 0;

	if (http == NULL)
		return NULL;
	while (m < N_METHODS - 1 &&
	    lws_hdr_total_length(wsi, methods[m].token) == 0)
		m++;
	text_copy(http->method, sizeof(http->method), methods[m].name);
	http->head = methods[m].token == WSI_TOKEN_HEAD_URI;
	http->refusal = read_strings(&strings, wsi, methods[m].token);
	if (strings.block.failed) {
		buf_release(&strings.block);
		free(http);
		return NULL;
	}
	http->path = (char *)strings.block.data;
	const char **fields[] = { &http->query, &http->host,
		&http->authorization, &http->content_type, &http->accept,
		&http->cookie, &http->idempotency_key, &http->claims[0],
		&http->claims[1], &http->claims[2], &http->claims[3],
		&http->claims[4], &http->page };

	_Static_assert(NET_CLAIMS == 5, "each claim has its place");

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = http->path + strings.at[i + 1];
	http->host_port = strings.host_port;
	int length = read_length(http, wsi, methods[m].body);

	if (!has_version(wsi))
		http->refusal = 400;
	/* RFC 9112, section 3.2. */
	if (http->host[0] == '\0' && is_http_1_1(wsi))
		http->refusal = 400;

	if (http->refusal == 0)
		http->refusal = length;
	http->old = !is_http_1_1(wsi);
	http->close_after = http->refusal != 0 || ends_after(wsi);
	return http;
}

/* --- the answer ---------------------------------------------------------- */

static const char *
status_words(int status)
{
	static const struct {
		int status;
		const char *words;
	} list[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i].status == status)
			return list[i].words;
	return "Status"; /* RFC 9112: clients should ignore it */
}

/* "Sun, 22 Nov 2026 05:20:00 GMT" by hand: gmtime_r reads a file the first
 * time, which a front may not. */
static void
add_date(struct buf *out)
{
	static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon",
		"Tue", "Wed" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	char now[CLOCK_TEXT_SIZE];
	int32_t day = 0;

	clock_format(now, clock_wall_ms());
	if (clock_parse_date(&day, now, 10) != 0 || day < 0)
		return;
	unsigned int month =
	    (unsigned int)((now[5] - '0') * 10 + (now[6] - '0') - 1);

	if (month < 12)
		buf_printf(out, "Date: %s, %.2s %s %.4s %.8s GMT\r\n",
		    days[day % 7], now + 8, months[month], now, now + 11);
}

void
net_http_write_head(struct buf *out, const struct net *net,
    const struct net_http *http, int status, const char *content_type,
    const char *extra_headers, size_t len)
{
	buf_printf(out, "HTTP/1.1 %d %s\r\n", status, status_words(status));
	add_date(out);
	buf_printf(out, "Server: %s\r\n", net->options.server_name);
	if (content_type != NULL)
		buf_printf(out, "Content-Type: %s\r\n", content_type);
	if (len == NET_HTTP_STREAM && !http->old)
		buf_add_str(out, "Transfer-Encoding: chunked\r\n");
	else if (len != NET_HTTP_STREAM && status != 204)
		buf_printf(out, "Content-Length: %zu\r\n", len);
	buf_add_str(out,
	    "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n");
	if (http->close_after)
		buf_add_str(out, "Connection: close\r\n");
	if (extra_headers != NULL)
		buf_add_str(out, extra_headers);
	buf_add_str(out, "\r\n");
}
