/* Whether there is anything to enroll with: what a question says by itself, and
 * what stands in its way here. */
#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

#define PORT_DEFAULT 7443

/* "https://host", "https://host:port/", "https://[::1]:port" */
int
enroll_parse_url(char host[256], uint32_t *port, const char *url)
{
	static const char scheme[] = "https://";
	const char *start, *end;
	uint64_t number = PORT_DEFAULT;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return ERR_BAD_REQUEST;
	start = url + sizeof(scheme) - 1;
	if (*start == '[') {
		start++;
		end = start + strcspn(start, "]");
		if (*end != ']')
			return ERR_BAD_REQUEST;
		url = end + 1;
	} else {
		end = start + strcspn(start, ":/?#@");
		url = end;
	}
	if (end == start ||
	    !text_copy_n(host, 256, start, (size_t)(end - start)))
		return ERR_BAD_REQUEST;
	if (*url == ':') {
		size_t digits = strspn(url + 1, "0123456789");

		if (!text_to_u64(&number, url + 1, digits) || number == 0 ||
		    number > 65535)
			return ERR_BAD_REQUEST;
		url += 1 + digits;
	}
	if (strcmp(url, "") != 0 && strcmp(url, "/") != 0)
		return ERR_BAD_REQUEST;
	*port = (uint32_t)number;
	return 0;
}

int
enroll_check_idle(const struct keeper *keeper, struct problem *problem)
{
	if (TAILQ_EMPTY(&keeper->leases.all) && TAILQ_EMPTY(&keeper->checkouts))
		return 0;
	problem_set(problem, ERR_CONFLICT, "leasehold return --all",
	    "leases of site %s are still held or not yet returned",
	    keeper->site.site);
	return ERR_CONFLICT;
}

int
enroll_check_borrows(const struct keeper *keeper, struct problem *problem)
{
	/* What the site shut out, or another TPM's key borrowed, nobody can
	 * give back any more. */
	if (borrows_are_held(keeper) && key_is_open(keeper) &&
	    keeper->session.refused == 0) {
		problem_set(problem, ERR_CONFLICT,
		    "leasehold borrow return --all",
		    "seats borrowed from site %s are here, or their return is "
		    "not proved yet",
		    keeper->site.site);
		return ERR_CONFLICT;
	}
	return 0;
}

int
enroll_check(struct keeper *keeper, const struct local_enroll *request,
    struct problem *problem)
{
	char host[256];
	uint32_t port;

	if (enroll_parse_url(host, &port, request->url) < 0) {
		problem_set(problem, ERR_BAD_REQUEST, NULL,
		    "url must look like https://site.example:7443");
		text_copy(problem->field, sizeof(problem->field), "url");
		return ERR_BAD_REQUEST;
	}
	if (keeper->enrolling != NULL) {
		problem_set(problem, ERR_CONFLICT, NULL,
		    "another enrolment is on its way");
		return ERR_CONFLICT;
	}
	if (request->new_key && keeper->options.key_file != NULL &&
	    keeper->key.class_ == PROOF_ASSIGNED) {
		problem_set(problem, ERR_CONFLICT,
		    "hand over another key, restart the agent, and enroll "
		    "without --new-key",
		    "this device's key was handed over to it");
		return ERR_CONFLICT;
	}
	int err = enroll_check_idle(keeper, problem);

	if (err < 0)
		return err;
	if (!calls_have_uplink(keeper->calls)) {
		problem_set(problem, ERR_UNAVAILABLE, NULL,
		    "the agent's uplink is being restarted; try again");
		return ERR_UNAVAILABLE;
	}
	return 0;
}
