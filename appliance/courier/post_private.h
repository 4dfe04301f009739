/* What the files of post.h share. */
#ifndef APPLIANCE_COURIER_POST_PRIVATE_H
#define APPLIANCE_COURIER_POST_PRIVATE_H

#include "appliance/courier/post.h"

#include <curl/curl.h>

/** A request on its way to where it goes, and its answer. */
struct post_way {
	const struct post *post;
	CURL *curl;
	struct curl_slist *resolved, *headers;
	size_t head, body; /* bytes of the answer */
	bool anywhere; /* the site's admin has named the place */
	bool refused; /* its address may not be reached */
	bool enough; /* of its answer */
};

/** Is it an https:// address that may be reached? Fills `resolved`. */
bool post_way_find(struct courier_posted *out, struct post_way *way,
    const char *url);
/** For curl: `ctx` is the way. */
curl_socket_t post_way_socket(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *address);
size_t post_way_head(char *data, size_t size, size_t n, void *ctx);
void post_way_judge(struct courier_posted *out, const struct post_way *way,
    CURLcode code);
void post_fail(struct courier_posted *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** What curl is told of the addresses of "HOST[:PORT]"; NULL: it needs nothing,
 * or they are not known. */
struct curl_slist *post_resolve(const char *server, const char *port);
/** Time, TLS, no proxy. */
void post_set_common(CURL *curl, const struct post *post, bool mail);

#endif
