/* What the files of post.h share. */
#ifndef APPLIANCE_COURIER_POST_PRIVATE_H
#define APPLIANCE_COURIER_POST_PRIVATE_H

#include "appliance/courier/post.h"

#include <curl/curl.h>

void post_fail(struct courier_posted *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** What curl is told of the addresses of "HOST[:PORT]"; NULL: it needs nothing,
 * or they are not known. */
struct curl_slist *post_resolve(const char *server, const char *port);
/** Time, TLS, no proxy. */
void post_set_common(CURL *curl, const struct post *post, bool mail);

#endif
