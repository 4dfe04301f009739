/*
 * What ledger and courier say to each other over ipc: a job with its id and
 * kind, and its result. The ledger alone begins. A job is finished when it gets
 * here: nothing is looked up for it. Payloads are MessagePack of the records
 * named here. It must not know what either side does with them.
 */
#ifndef APPLIANCE_COURIER_JOBS_H
#define APPLIANCE_COURIER_JOBS_H

#include "shared/journal/rows.h"
#include "shared/rpc/messages_sync.h"
#include "shared/rpc/messages_user.h"

/** ipc_message.kind; `tag` is the job's id, `op` its enum courier_job. */
enum courier_message {
	COURIER_JOB = 1, /* ledger to courier */
	COURIER_RESULT, /* courier to ledger; an empty payload: no such job */
	/** courier to ledger, once: SHA-256 of the certificate that it shows to
	 * hubs. */
	COURIER_CERTIFICATE,
};

enum courier_job {
	COURIER_BIND = 1, /* courier_bind: courier_bound */
	COURIER_POST, /* courier_post: courier_posted */
	COURIER_MAIL, /* courier_mail: courier_posted */
	COURIER_LINE, /* courier_line: courier_posted */
	COURIER_TXT, /* courier_txt: courier_posted; txt.h */
	COURIER_SYNC, /* courier_sync: courier_synced */
};

/** Jobs under way at once; beyond, they are refused. */
#define COURIER_JOBS_MAX 64

/** Does the directory know him by this password, and what may he? */
struct courier_bind {
	char login[USER_LOGIN_MAX + 1];
	struct record_span password;
};

enum courier_outcome {
	COURIER_DONE,
	COURIER_WRONG, /* login or password */
	COURIER_NO_ROLE, /* it knows him; none of his groups has a role */
	COURIER_UNAVAILABLE, /* it cannot be asked */
};
extern const char *const courier_outcome_names[];
struct courier_bound {
	uint32_t outcome;
	uint32_t role; /* enum user_role */
	char name[128];
	char mail[128];
};

/* --- deliveries ------------------------------------------------------------- */

/** An invoice has room. */
#define COURIER_BODY_MAX ((size_t)32 << 10)
#define COURIER_HEADERS_MAX 8
#define COURIER_TO_MAX 16

struct courier_header {
	char text[256]; /* "Leasehold-Signature: t=...,v1=..." */
};
/** A webhook. The ledger has signed its body: no secret comes along. */
struct courier_post {
	char url[1024];
	struct record_list headers; /* courier_header */
	struct record_span body;
};

struct courier_address {
	char address[256];
};
struct courier_mail {
	char id[64]; /* the same for each try */
	struct record_list to; /* courier_address */
	char subject[256];
	int64_t date;
	struct record_span body;
};

/** For the system's log. */
struct courier_line {
	uint32_t priority; /* of syslog(3): 3 is an error */
	char text[768];
};

/** Does that name in the DNS say that text? */
struct courier_txt {
	char name[256];
	char text[128];
};

enum courier_delivery {
	COURIER_DELIVERED,
	COURIER_FAILED, /* so far: the same again may be delivered */
};
extern const char *const courier_delivery_names[];
/** `error` is the courier's own words, never those of the other end. */
struct courier_posted {
	uint32_t outcome;
	uint32_t status; /* of HTTP or SMTP; 0: there was none */
	char error[128];
};

extern const struct record courier_bind_record, courier_bound_record,
    courier_header_record, courier_post_record, courier_address_record,
    courier_mail_record, courier_line_record, courier_txt_record,
    courier_sync_record, courier_synced_record, courier_posted_record;

/* --- reports to hubs ---------------------------------------------------------- */

/** A sealed report, and the site's word for the courier's certificate. */
struct courier_sync {
	char url[320]; /* "https://hub.vector.example" */
	char vendor[64];
	bool
	    anywhere; /* the site's admin named it: its address is not judged */
	struct record_span line; /* report_line */
	struct record_span file;
};
/** Longer than that a hub is not waited for, whatever it asks for. */
#define COURIER_WAIT_MAX_S 86400
/** What became of it, and what the hub gave back, as it is: sealed to the
 * site. `error` has the hub's own code and words, made harmless. */
struct courier_synced {
	uint32_t outcome; /* enum courier_delivery */
	uint32_t status; /* of HTTP; 0: there was none */
	char error[192];
	struct record_span file;
	uint32_t retry_after_s; /* that it asked for; 0: it did not */
};

/** What a courier says of a delivery; ERR_UNAVAILABLE: nothing that can be
 * believed. Its words are made harmless. */
int courier_posted_read(struct courier_posted *out, const uint8_t *payload,
    size_t len);
/** The same of a report; its file points into the payload, or the arena. */
int courier_synced_read(struct courier_synced *out, const uint8_t *payload,
    size_t len, struct arena *arena);

#endif
