/*
 * What is held here of the site: leases, from the grant to the end that the site
 * has heard of, and their renewal. Of private.h.
 */
#ifndef AGENT_KEEPER_LEASE_H
#define AGENT_KEEPER_LEASE_H

#include "agent/keeper/application.h"
#include "agent/keeper/files.h"

struct renewal_round;

/* Several leases given back by one question. */
struct giving_back {
	struct asker asker;
	struct local_returned reply;
	unsigned int left;
};

struct lease {
	LIST_ENTRY(lease) entry; /* of its bucket */
	TAILQ_ENTRY(lease) order; /* of all, oldest first */
	struct keeper *keeper;
	uint64_t lease;
	uint64_t row_number;
	uint8_t *row;
	uint32_t row_len;
	struct process *process; /* NULL: ended with it */
	struct user *user;
	uint64_t application; /* connection that speaks for it; 0: none */
	bool hold;
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count;
	uint32_t type;
	uint32_t ttl_s;
	uint32_t grace_s;
	int64_t granted_at;
	int64_t valid_until_ms; /* CLOCK_BOOTTIME: end of the signed span */
	uint32_t generation; /* of the journal that it was granted in */
	uint8_t request[REQUEST_BYTES]; /* of its checkout */
	bool attached; /* this session's site knows that we hold it */
	/** 0, or why the site does not take it up, although it did grant it:
	 * it is held to the end of its signed span, and may be taken up yet. */
	int kept;
	bool asked; /* in this session, whether the site takes it up */

	/* renewal.c */
	bool wanted; /* wants to be in the next round, with `nonce` */
	/** Its application says whether it is worked with; it was since the
	 * site has last heard so. */
	bool reports, active;
	uint8_t nonce[NONCE_BYTES];
	int64_t nonce_ms; /* when it came here */
	struct asker asker;

	/* its end: the site has not heard of it, or not answered */
	bool ending;
	bool told; /* in this session */
	uint32_t reason;
	struct giving_back *giving_back;
};

#define LEASE_BUCKETS 1024
LIST_HEAD(lease_bucket, lease);
TAILQ_HEAD(lease_list, lease);
struct leases {
	struct lease_bucket buckets[LEASE_BUCKETS];
	struct lease_list all;
	unsigned int held; /* not ending */
	struct event *sweep;
	char boot[40];
	bool reconciled; /* the site's list was compared with ours */
};

int leases_open(struct keeper *keeper);
/** Those of a keeper that was killed, from their files. */
int leases_load(struct keeper *keeper);
void leases_close(struct keeper *keeper);
struct lease *lease_find(struct keeper *keeper, uint64_t lease);
/** A lease of a process, kept in memory and in its file; refs are taken.
 * `file` holds the facts and evidence. */
int lease_add(struct lease **lease, struct keeper *keeper,
    const struct lease_file *file, struct process *process);
/** In memory only. */
int lease_new(struct lease **lease, struct keeper *keeper,
    const struct lease_file *file, struct process *process);
/** Tell the site that it has ended, unless it was told in this session. */
void lease_tell_end(struct lease *lease);
/** Give it back: the site is told now or when it is reached again. */
void lease_end(struct lease *lease, uint32_t reason,
    struct giving_back *giving_back);
/** The site says that it has ended: the application is told. */
void lease_lost(struct lease *lease, const char *code);
/** All of them, with the device. */
void leases_lost(struct keeper *keeper, const char *code);
/** A process ended. */
void leases_process_ended(void *ctx, struct process *process);
/** The session is proved: attach what is held, tell what ended, compare with
 * the site's list; session_resumed() when that is done. */
void leases_resume(struct keeper *keeper);
void leases_disconnected(struct keeper *keeper);
void giving_back_done(struct keeper *keeper, struct giving_back *giving_back);
/** A grant nobody wants any more. `request`: of its checkout; NULL: unknown. */
void leases_return_stray(struct keeper *keeper, uint64_t lease,
    const uint8_t request[REQUEST_BYTES]);
/** In resume.c: ask again for those that the site did not take up. */
void leases_attach_kept(struct keeper *keeper);

/* --- renewal.c -------------------------------------------------------------
 */

struct renewal {
	struct event *round; /* leases that the keeper itself renews */
	struct event *soon; /* gathers nonces for a moment */
	struct renewal_round *flying;
	uint32_t renew_s; /* the site's upper bound */
};

int renewal_open(struct keeper *keeper);
void renewal_close(struct keeper *keeper);
void renewal_want(struct lease *lease, const struct local_renew *request,
    const struct asker *asker);
/** A lease came or a session began: (re)arm the timers. */
void renewal_schedule(struct keeper *keeper);
void renewal_resume(struct keeper *keeper, uint32_t renew_s);
/** The lease is about to be freed. */
void renewal_forget(struct lease *lease);

#endif
