/*
 * An enrolment on its way: what enroll_begin.c makes of the question, and
 * enroll.c of the site's answers. Only these two may include it.
 */
#ifndef AGENT_KEEPER_ENROLLING_H
#define AGENT_KEEPER_ENROLLING_H

#include "agent/keeper/enroll_key.h"
#include "agent/keeper/private.h"

struct enrolling {
	struct asker asker;
	struct event *timeout;
	bool begun; /* the connection is ours */
	bool enrolled; /* waits for its first session only */
	char *join;
	size_t join_len;
	struct license_join terms; /* of the token; `hosts` is not kept */
	struct enrolment site;
	char *ca_pem;
	uint8_t exporter[32];
	struct enroll_key *key;
	bool fresh; /* it is a new one */
	struct journal_seen seen;
	uint8_t *header; /* token of the hello, until its key is known */
	size_t header_len;
};

void enrolling_free(struct keeper *keeper);
/** With another key, or at another site than before. */
bool enrolling_is_another(const struct keeper *keeper);
/** It ends: the asker is told, and the session of before goes on. */
void enroll_fail(struct keeper *keeper, int err, const struct problem *problem);
void enroll_fail_words(struct keeper *keeper, int err, const char *words);
void enroll_fail_key(struct keeper *keeper, int err, const char *what);

#endif
