/*
 * What applications and people say to the agent on its Unix socket: JSON-RPC
 * 2.0, one object a line, both ways. The library and the CLI speak it, the
 * keeper answers. It must not know who is asking: the kernel tells the keeper.
 */
#ifndef SHARED_RPC_LOCAL_H
#define SHARED_RPC_LOCAL_H

#include "shared/rpc/borrow.h"
#include "shared/rpc/messages.h"

/** A line at most, bytes. */
#define LOCAL_LINE_MAX ((size_t)64 << 10)
#define LOCAL_SOCKET_DEFAULT "/run/leasehold/agent.sock"

enum local_id {
	LOCAL_NONE,
	LOCAL_CHECKOUT,
	LOCAL_RENEW,
	LOCAL_RETURN,
	LOCAL_CANCEL,
	LOCAL_ATTACH,
	LOCAL_LIST,
	LOCAL_STATUS,
	LOCAL_ENROLL,
	LOCAL_QUESTIONS,
	LOCAL_BORROW_TAKE,
	LOCAL_BORROW_EXTEND,
	LOCAL_BORROW_RETURN,
	LOCAL_BORROW_LIST,
	LOCAL_USAGE, /* struct usage_event -> struct usage_result */
	/* notices, agent to application */
	LOCAL_REVOKED,
	LOCAL_WAITING,
	LOCAL_OFFERED,
	LOCAL_COUNT,
};

/** lease.checkout */
struct local_checkout {
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count;
	char user[64]; /* "": the uid's name */
	uint32_t wait_s;
	uint8_t nonce[NONCE_BYTES]; /* zero with hold */
	struct journal_known known;
	uint64_t pid; /* 0: the asking process; else one of the same uid */
	bool hold; /* the agent renews with nonces of its own, until the
		      process ends */
	uint8_t request[REQUEST_BYTES]; /* the same in a retry */
};
struct local_checkout_reply {
	uint64_t lease;
	uint64_t row_number;
	struct record_span row;
	struct record_span path;
	struct record_span header;
	struct record_span inclusion;
	struct record_span consistency;
	struct record_span issuer; /* token */
	struct record_span license; /* token */
	uint64_t device;
	/** Without a lease: its place in the site's queue; or, with claim_s
	 * (the place may be 0 then), that it is to ask again now. The notices
	 * follow on this connection, by request id: lease.waiting with its
	 * place, 0 and no code while that is not known, 0 and a code when the
	 * wait is over; lease.offered when it is to ask again: its turn has
	 * come, or the site was away and is reached again. It asks again with
	 * the same request id, a fresh nonce (none with hold) and what is left
	 * of the wait. lease.cancel leaves the queue, and so does hanging up,
	 * but for an agent that ends itself: the next one is asked again. */
	struct queue_place queue;
	/** The seat is one that this workstation has borrowed: `row` is a
	 * ticket (shared/journal/ticket.h), and this what the device proves
	 * over the application's nonce and that row (ticket_subject). No proofs
	 * of the journal come with it, for no site was asked. The row's nonce
	 * is not the application's, and its count is that of the borrow, of
	 * which this answers for as many seats as were asked for; its version
	 * is the one it was borrowed for: its license covers the version that
	 * was asked for, too. Its ttl_s is how long to go on without a renewal.
	 * Several seats of one process may have the same `lease`. */
	struct proof proof;
};

/** lease.renew: answered after the agent's next round with the site. */
struct local_renew {
	uint64_t lease;
	uint8_t nonce[NONCE_BYTES];
	/** The application says whether it is worked with, and it was since it
	 * renewed last. */
	bool reports, active;
};
struct local_renew_reply {
	struct record_list succession; /* succession_step */
	struct record_span beat; /* token */
	uint32_t index;
	struct record_span path; /* hashes */
	/** Of a borrowed seat, instead: the ticket as it is now, and a proof
	 * over the fresh nonce. */
	struct local_checkout_reply ticket;
};

/** lease.attach: this connection speaks for the lease again. */
struct local_attach {
	uint64_t lease;
	uint64_t row_number;
	struct record_span row;
	struct record_span path;
	struct record_span header;
	uint32_t count; /* seats, of a borrowed one; 0 is 1 */
};

struct local_return {
	uint64_t lease; /* 0 with all */
	bool all; /* of this uid; of everybody for root */
	/** Of a borrowed seat: of so many, and the asking process's own; 0: the
	 * one it took last, or those of all processes when it has none. The
	 * borrow stays: borrow.return ends that. */
	uint32_t count;
};
struct local_returned {
	uint32_t count;
};

struct local_lease {
	uint64_t lease;
	char product[64];
	char version[32];
	uint32_t type;
	uint64_t pid;
	uint32_t uid;
	char command[64]; /* of the process, for people */
	int64_t granted_at;
	uint32_t
	    left_s; /* until the last signed span ends; grace not counted */
	char feature[64];
	uint32_t count; /* seats */
	char user[64]; /* login name of the uid */
	uint32_t grace_s; /* signed beyond the span */
	uint32_t beat_age_s; /* since the beat or grant that gave the span */
	bool borrowed; /* `lease` is a borrow's: several may have the same */
};
/** lease.list: pages, because a line is bounded. */
struct local_list {
	uint64_t after; /* cursor: the last lease seen */
};
struct local_leases {
	struct record_list items;
	uint64_t next; /* cursor; 0: that was all */
};

/** What a question waits for. */
enum local_waits {
	LOCAL_WAITS_HERE, /* the agent looks at the process that asks */
	LOCAL_WAITS_SITE, /* the site is not reached */
	LOCAL_WAITS_ANSWER, /* the site was asked */
	LOCAL_WAITS_SEAT, /* every seat is taken */
	LOCAL_WAITS_ADMIN, /* to let this device in */
};
extern const char *const local_waits_names[]; /* ends with NULL */

/** A question for a seat that has no answer yet. */
struct local_question {
	char product[64];
	char feature[64];
	uint32_t count;
	char user[64]; /* whom the seat is for */
	uint64_t pid;
	uint32_t uid;
	char command[64];
	uint32_t waits;
	struct queue_place queue; /* where the site said it stands */
	uint32_t left_s; /* until it is given up; 0: about now */
};
/** lease.questions: the oldest 50. */
struct local_questions {
	struct record_list items;
	uint32_t more; /* not listed */
};

/** Why the site is not reached, or does not serve. The names are stable: what
 * people are told to do hangs on them. */
enum local_cause {
	CAUSE_NONE,
	CAUSE_OTHER,
	/* on the way */
	CAUSE_UPLINK, /* the agent's own process for the network is gone */
	CAUSE_NAME,
	CAUSE_REFUSED,
	CAUSE_ROUTE,
	CAUSE_SILENT,
	CAUSE_STRANGER,
	CAUSE_CERTIFICATE_CA,
	CAUSE_CERTIFICATE_TIME,
	CAUSE_CERTIFICATE_HOST,
	CAUSE_CERTIFICATE,
	CAUSE_CLOSED,
	CAUSE_LOST,
	/* at the site */
	CAUSE_STOPPING,
	CAUSE_REPLACED, /* another session of this device began */
	CAUSE_UNAVAILABLE,
	CAUSE_PROTOCOL,
	CAUSE_OTHER_SITE,
	CAUSE_OTHER_KEY,
	CAUSE_UNKNOWN_DEVICE,
	CAUSE_REVOKED,
	CAUSE_BAD_PROOF,
	CAUSE_CLASS,
	CAUSE_ROLLED_BACK,
	/* here */
	CAUSE_TPM, /* it is being opened, or does not answer */
	CAUSE_OTHER_TPM, /* the key is in another one */
};
extern const char *const local_cause_names[]; /* ends with NULL */

struct local_status {
	char software[32];
	char url[256]; /* "" : not enrolled */
	char site[64];
	char tenant[64];
	uint64_t device;
	char name[64];
	uint32_t class_;
	bool connected;
	bool pending; /* connected, and waits for an admin's approval */
	int64_t since; /* connected or disconnected */
	char trouble[256]; /* "" or why it is not connected */
	uint32_t retry_s; /* until the next attempt */
	uint32_t leases;
	uint32_t cause; /* of the trouble; enum local_cause */
	char hint[192]; /* what the site says to do about it, or "" */
	char site_name[128]; /* for people, once the site has said it */
	char rollback[256]; /* "" or what is wrong with the site's journal */
	/** The site answers, but the last thing it was to write it could not;
	 * "" and 0 when all is well. */
	char fault[256];
	int64_t fault_at;
	/** This machine's clock less the site's, ms, when the session began. */
	int64_t clock_ahead_ms;
	int64_t certificate_end; /* of the site; 0: not seen yet */
	int64_t last_beat; /* wall clock; 0: none yet */
	uint32_t questions; /* questions without an answer */
	char tpm[256]; /* TCTI of the TPM that holds its key; "": a file */
	char key_trouble[128]; /* "" or why the key cannot be used now */
	uint64_t policy; /* version that the site last told; 0: none yet */
	int64_t policy_at; /* when it did */
};

struct local_enroll {
	char url[256]; /* "https://site.example:7443" */
	struct record_span join;
	char name[64]; /* "": the host's name */
	bool new_key; /* as another device: the old key goes */
};

/* --- borrows --------------------------------------------------------------- */

/** borrow.take: seats for offline. They are the asking user's; root's are for
 * everybody on this workstation. */
struct local_borrow_take {
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count;
	char user[64]; /* "": the uid's name */
	uint32_t length_s;
	uint8_t request[REQUEST_BYTES]; /* the same in a retry */
};
struct local_borrow_extend {
	uint64_t lease;
	uint32_t length_s; /* from now */
};
struct local_borrow {
	uint64_t lease;
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count; /* seats */
	uint32_t used; /* of them, by applications here */
	uint32_t type; /* enum seat_type */
	uint32_t uid;
	char user[64]; /* login name of the uid */
	uint32_t state; /* enum borrow_state */
	int64_t taken_at;
	int64_t until;
	uint32_t length_s; /* of powered-on time */
	uint64_t epoch;
};
struct local_borrows {
	struct record_list items; /* local_borrow; BORROW_DEVICE_MAX at most */
};

/** borrow.return. `offline`: do not wait for the site. Then all of the device's
 * borrows are given back at once, whoever took them: that is for root and the
 * group leasehold where others' are among them. */
struct local_borrow_return {
	uint64_t lease; /* 0 with all */
	bool all;
	bool offline;
};
struct local_borrow_returned {
	uint32_t count; /* borrows */
	bool proved; /* the site has freed their seats */
	struct borrow_file file; /* of an offline one: for the site */
};

struct local_revoked {
	uint64_t lease;
	char code[32];
};

extern const struct record local_checkout_record, local_checkout_reply_record,
    local_renew_record, local_renew_reply_record, local_attach_record,
    local_return_record, local_returned_record, local_list_record,
    local_lease_record, local_leases_record, local_status_record,
    local_question_record, local_questions_record, local_enroll_record,
    local_revoked_record, local_borrow_take_record, local_borrow_extend_record,
    local_borrow_record, local_borrows_record, local_borrow_return_record,
    local_borrow_returned_record;

struct local_operation {
	enum local_id id;
	const char *name;
	const struct record *request;
	const struct record *reply;
	bool privileged; /* root or group leasehold */
	const char *doc;
};
const struct local_operation *local_by_name(const char *name, size_t len);
const struct local_operation *local_get(uint32_t id);

#endif
