/*
 * A page's credential: the session token as a cookie that no script reads and
 * that no other site's page sends. What changes something by it also needs a
 * header that forms of other sites cannot set; so the two together hold where a
 * browser does not know SameSite.
 */
#include "appliance/front/inside.h"

#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

/* The prefix makes browsers refuse it from anywhere but this very host. */
#define NAME "__Host-leasehold"
#define NAME_LEN (sizeof(NAME) - 1)
#define WITH "; Path=/; Secure; HttpOnly; SameSite=Strict"

/* How often it is there, and the last one (RFC 6265, section 4.2.1). */
static size_t
find(struct record_span *token, const char *cookies)
{
	size_t found = 0;

	for (const char *p = cookies; *p != '\0'; p += *p == ';') {
		p += strspn(p, " \t");
		size_t n = strcspn(p, ";");

		if (n > NAME_LEN && p[NAME_LEN] == '=' &&
		    memcmp(p, NAME, NAME_LEN) == 0) {
			const char *value = p + NAME_LEN + 1;
			size_t len = n - NAME_LEN - 1;

			while (len > 0 &&
			    (value[len - 1] == ' ' || value[len - 1] == '\t'))
				len--;
			token->data = value;
			token->len = (uint32_t)len;
			found++;
		}
		p += n;
	}
	return found;
}

int
cookie_read(struct record_span *token, const struct net_request *request,
    struct problem *problem)
{
	size_t n = find(token, request->cookie);
	bool safe = strcmp(request->method, "GET") == 0 ||
	    strcmp(request->method, "HEAD") == 0;

	if (n > 1) {
		problem_set(problem, ERR_BAD_REQUEST, NULL,
		    "the cookie " NAME " is there twice");
		return ERR_BAD_REQUEST;
	}
	if (n == 1 && !safe && strcmp(request->page, "1") != 0) {
		problem_set(problem, ERR_FORBIDDEN, NULL,
		    "a request by cookie that may change something needs the "
		    "header X-Leasehold-Page: 1");
		return ERR_FORBIDDEN;
	}
	return 0;
}

void
cookie_set(char *header, size_t size, const struct record_span *token)
{
	snprintf(header, size, "Set-Cookie: " NAME "=%.*s" WITH "\r\n",
	    (int)token->len, (const char *)token->data);
}

void
cookie_clear(char *header, size_t size)
{
	snprintf(header, size, "Set-Cookie: " NAME "=" WITH "; Max-Age=0\r\n");
}
