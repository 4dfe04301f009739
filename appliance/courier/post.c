#include "appliance/courier/post.h"

#include "appliance/courier/post_private.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static int
read_ca(uint8_t **out, size_t *len, const char *path, const char *key)
{
	if (path[0] == '\0')
		return 0;
	if (file_read(out, len, path, POST_CA_MAX) == 0)
		return 0;
	log_error("courier", "%s: %s cannot be read", key, path);
	return ERR_BAD_REQUEST;
}

int
post_open(struct post *post, const struct post_options *options)
{
	*post = (struct post){ .options = options };
	int rc = read_ca(&post->ca, &post->ca_len, options->ca, "[courier] ca");

	if (rc == 0)
		rc = read_ca(&post->mail_ca, &post->mail_ca_len,
		    options->mail_ca, "[mail] ca");
	if (rc == 0)
		rc = read_ca(&post->sync_ca, &post->sync_ca_len,
		    options->sync_ca, "[sync] ca");
	if (rc == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		rc = ERR_SYSTEM;
	if (rc == 0)
		rc = own_make(&post->own);
	return rc;
}

void
post_close(struct post *post)
{
	free(post->ca);
	free(post->mail_ca);
	free(post->sync_ca);
	own_release(&post->own);
	sodium_free(post->mail_password);
	*post = (struct post){ .options = NULL };
	curl_global_cleanup();
}

void
post_fail(struct courier_posted *out, const char *format, ...)
{
	va_list args;

	out->outcome = COURIER_FAILED;
	va_start(args, format);
	vsnprintf(out->error, sizeof(out->error), format, args);
	va_end(args);
}

/* --- where it goes ----------------------------------------------------------- */

curl_socket_t
post_way_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct post_way *line = ctx;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    (!line->anywhere &&
		!reach_may(&line->post->options->reach, &address->addr))) {
		line->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol);
}

/* Addresses, as curl wants to be told of them: its own look-up would begin a
 * thread. `reach` NULL: any. */
static size_t
list_addresses(struct buf *out, bool *refused, const struct reach *reach,
    const char *host, const char *port)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *found = NULL;
	char text[NI_MAXHOST];
	size_t n = 0;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return 0;
	for (const struct addrinfo *at = found; at != NULL && n < 8;
	     at = at->ai_next) {
		if (reach != NULL && !reach_may(reach, at->ai_addr)) {
			*refused = true;
			continue;
		}
		if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text),
			NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		buf_printf(out, n++ == 0 ? "%s" : ",%s", text);
	}
	freeaddrinfo(found);
	return n;
}

/* "HOST:PORT:ADDRESS,ADDRESS" */
static struct curl_slist *
resolve(bool *refused, const struct reach *reach, const char *host,
    const char *port)
{
	struct buf list = { .max = 2048 };
	struct curl_slist *resolved = NULL;

	buf_printf(&list, "%s:%s:", host, port);
	if (list_addresses(&list, refused, reach, host, port) > 0)
		resolved = curl_slist_append(NULL, buf_text(&list));
	buf_release(&list);
	return resolved;
}

/* "[2001:db8::7]", or dots: curl looks nothing up. */
static bool
is_literal(const char *host)
{
	struct in_addr v4;

	return host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1;
}

struct curl_slist *
post_resolve(const char *server, const char *port)
{
	const char *colon = strrchr(server, ':');
	char host[POST_TEXT];
	bool refused = false;

	if (server[0] == '[' ||
	    !text_copy_n(host, sizeof(host), server,
		colon != NULL ? (size_t)(colon - server) : strlen(server)) ||
	    is_literal(host))
		return NULL;
	return resolve(&refused, NULL, host, colon != NULL ? colon + 1 : port);
}

/* Of an address in the URL itself open_socket() has the last word, as of all. */
static bool
find_host(struct courier_posted *out, struct post_way *line, const char *host,
    const char *port)
{
	if (is_literal(host))
		return true;
	line->resolved = resolve(&line->refused,
	    line->anywhere ? NULL : &line->post->options->reach, host, port);
	if (line->resolved != NULL)
		return true;
	if (line->refused)
		post_fail(out,
		    "its address is not of the public Internet; "
		    "[courier] allow= in leaseholdd.ini");
	else
		post_fail(out, "the name of its host is not known");
	return false;
}

bool
post_way_find(struct courier_posted *out, struct post_way *line,
    const char *text)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
	CURLU *url = curl_url();
	bool good = url != NULL &&
	    curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
		CURLUE_OK &&
	    curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK &&
	    strcasecmp(scheme, "https") == 0;

	if (good)
		good = find_host(out, line, host, port);
	else
		post_fail(out, "it is no https:// address");
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(url);
	return good;
}

/* --- what it answers ---------------------------------------------------------- */

size_t
post_way_head(char *data, size_t size, size_t n, void *ctx)
{
	struct post_way *line = ctx;

	(void)data;
	line->head += size * n;
	return line->head > POST_HEAD_MAX ? 0 : size * n;
}

/* Nobody reads it; what is too much is not even received. */
static size_t
got_body(char *data, size_t size, size_t n, void *ctx)
{
	struct post_way *line = ctx;

	(void)data;
	line->body += size * n;
	line->enough = line->body > POST_BODY_MAX;
	return line->enough ? 0 : size * n;
}

void
post_way_judge(struct courier_posted *out, const struct post_way *line,
    CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(line->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK && !(line->enough && code == CURLE_WRITE_ERROR)) {
		if (line->refused)
			post_fail(out,
			    "its address is not of the public Internet; "
			    "[courier] allow= in leaseholdd.ini");
		else
			post_fail(out, "%.100s", curl_easy_strerror(code));
		return;
	}
	out->status = status > 0 && status < 1000 ? (uint32_t)status : 0;
	if (status >= 200 && status < 300)
		out->outcome = COURIER_DELIVERED;
	else if (status >= 300 && status < 400)
		post_fail(out, "it answered %ld: redirects are not followed",
		    status);
	else
		post_fail(out, "it answered %ld", status);
}

/* --- a webhook ----------------------------------------------------------------- */

void
post_set_common(CURL *curl, const struct post *post, bool mail)
{
	const long timeout_ms = (long)post->options->timeout_s * 1000;
	const bool own = mail && post->mail_ca != NULL;
	struct curl_blob ca = {
		.data = own ? post->mail_ca : post->ca,
		.len = own ? post->mail_ca_len : post->ca_len,
		.flags = CURL_BLOB_NOCOPY,
	};

	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
	if (ca.data != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca);
}

static bool
add_headers(struct post_way *line, const struct courier_post *job)
{
	const struct courier_header *headers = job->headers.items;
	struct curl_slist *list =
	    curl_slist_append(NULL, "Content-Type: application/json");

	/* No waiting for a "100 Continue". */
	if (list != NULL)
		curl_slist_append(list, "Expect:");
	for (uint32_t i = 0; i < job->headers.count && list != NULL; i++)
		if (strpbrk(headers[i].text, "\r\n") == NULL)
			curl_slist_append(list, headers[i].text);
	line->headers = list;
	return list != NULL;
}

static void
set_webhook(struct post_way *line, const struct courier_post *job)
{
	CURL *curl = line->curl;

	post_set_common(curl, line->post, false);
	curl_easy_setopt(curl, CURLOPT_URL, job->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
	    "Leasehold/" LEASEHOLD_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, line->headers);
	curl_easy_setopt(curl, CURLOPT_RESOLVE, line->resolved);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, post_way_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, line);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
	    job->body.len > 0 ? (const char *)job->body.data : "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)job->body.len);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, post_way_head);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, line);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, got_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, line);
}

void
post_webhook(struct courier_posted *out, const struct post *post,
    const struct courier_post *job)
{
	struct post_way line = { .post = post };

	*out = (struct courier_posted){ .outcome = COURIER_FAILED };
	if (!post_way_find(out, &line, job->url))
		return;
	line.curl = curl_easy_init();
	if (line.curl != NULL && add_headers(&line, job)) {
		set_webhook(&line, job);
		post_way_judge(out, &line, curl_easy_perform(line.curl));
	} else {
		post_fail(out, "out of memory");
	}
	curl_easy_cleanup(line.curl);
	curl_slist_free_all(line.headers);
	curl_slist_free_all(line.resolved);
}
