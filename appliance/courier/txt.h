/*
 * TXT records: does a name in the DNS say a certain text? One question to one
 * resolver, over UDP and, where the answer does not fit, over TCP (RFC 1035,
 * 7766); on the caller's thread, bounded in time and bytes. What comes back is a
 * stranger's: the answer must be to our question, and nothing of it but whether
 * the text is there leaves this part. libevent's resolver has no TXT; this is
 * no more than that. It must not know what the text means.
 */
#ifndef APPLIANCE_COURIER_TXT_H
#define APPLIANCE_COURIER_TXT_H

#include "appliance/courier/jobs.h"

#define TXT_QUERY_MAX 300
#define TXT_ANSWER_MAX 16384

enum txt_verdict {
	TXT_FOUND,
	TXT_ABSENT, /* the name is not there, or says other things */
	TXT_TRUNCATED, /* ask over TCP */
	TXT_BROKEN, /* not an answer to this question, or none that is well
		       formed */
	TXT_REFUSED, /* the resolver could not, or would not */
};

/** The question for a name: ERR_BAD_REQUEST when it is none (labels of 1 to 63,
 * 253 in all, letters, digits, - and _). */
int txt_write(uint8_t out[TXT_QUERY_MAX], size_t *len, const char *name,
    uint16_t id);
/** What an answer to that question says of the text. */
enum txt_verdict txt_read(const uint8_t *answer, size_t len,
    const uint8_t *query, size_t query_len, const char *text);

/** "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53"; "": the first of
 * /etc/resolv.conf. */
bool txt_server_is_one(const char *server);
/** outcome delivered: it is there. failed, status 404: it is not. failed, status
 * 0: nobody could say; words in `error`. */
void txt_look_up(struct courier_posted *out, const char *server,
    const struct courier_txt *job, int64_t timeout_ms);

#endif
