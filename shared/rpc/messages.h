/*
 * What is said on the wire: a record per request, reply and notice, the same
 * for JSON-RPC between agent and site, HTTP between people and site, and (as
 * MessagePack) between our own processes. Source: DESIGN 10. It must not know
 * who acts on them.
 */
#ifndef SHARED_RPC_MESSAGES_H
#define SHARED_RPC_MESSAGES_H

#include "shared/journal/journal.h"
#include "shared/proof/enroll.h"
#include "shared/record/record.h"

#define PROTOCOL_VERSION 1
#define LIST_LIMIT_DEFAULT 100
#define LIST_LIMIT_MAX 1000
/** Seconds that a checkout may stand in the queue. */
#define LEASE_WAIT_MAX_S 86400

struct empty {
	uint64_t none; /* no fields: n_fields is 0 */
};

/** A refusal or fault, as told to a client (RFC 9457 members on HTTP). */
struct problem {
	char code[32]; /* stable: "no_seats" */
	char detail[256]; /* what happened and what it means */
	char hint[192]; /* the next command to type, or "" */
	char field[96]; /* of the request, or "" */
	uint32_t retry_after_s; /* not before; 0: nothing is known */
};

/* --- sessions ---------------------------------------------------------- */

struct hello {
	uint32_t protocol;
	char software[32]; /* "leasehold-agent 0.1.0" */
	uint64_t device; /* 0: wants to enroll */
	struct journal_known known; /* batch 0 and zero head: nothing known */
	/** The newest header or beat that it has, a signed document; only when
	 * the site said, or showed, that it does not continue what is known.
	 * What it claims counts for nothing, what it proves stops the site. */
	struct record_span evidence;
};
/** The site's journal as it stands, and that it continues what was known. */
struct hello_reply {
	struct record_list succession; /* succession_step */
	char site[64];
	char name[128]; /* of the site, for people */
	char tenant[64];
	uint8_t nonce[32]; /* to be proved over; once */
	int64_t time;
	struct record_span header; /* newest, token */
	struct record_span inclusion; /* hashes */
	struct record_span consistency; /* hashes */
};

struct prove {
	struct proof proof;
};
struct prove_reply {
	uint64_t device;
	char name[64];
	uint32_t renew_s; /* renew at least this often */
	bool pending; /* waits for an admin; device.approved ends it */
	bool borrows; /* it has borrowed seats, or owes a proof of a return */
	/** When this session ends: come back at some moment of so long. */
	uint32_t spread_ms;
	uint32_t class_; /* of the device, as the site has it */
};

struct draining {
	uint32_t spread_ms; /* as above, and newer */
};

struct enroll {
	struct record_span join; /* token */
	uint32_t class_;
	struct record_span public_key;
	char name[64]; /* of the device, for people */
	char host[128];
	struct proof proof; /* purpose enroll; request_digest = SHA-256(join) */
	struct proof_material material; /* of its TPM; empty without one */
};
/** Device 0: it is not enrolled yet; the answer to the challenge follows on the
 * same connection, as device.activate, and gets such a reply again. */
struct enroll_reply {
	uint64_t device;
	char site[64];
	char tenant[64];
	uint8_t site_key[32];
	bool pending; /* waits for an admin */
	uint32_t class_; /* as the site has judged */
	struct proof_challenge challenge;
};
struct enroll_activate {
	uint8_t secret[PROOF_SECRET_BYTES]; /* of the challenge */
};

/* --- leases ------------------------------------------------------------ */

struct checkout {
	uint8_t request[REQUEST_BYTES]; /* random; the same in a retry */
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count;
	char user[64];
	char host[128];
	uint32_t wait_s; /* stand in the queue for so long; 0: do not */
	uint8_t nonce[NONCE_BYTES];
	uint8_t application[32];
	struct journal_known known; /* the application's; zero: none */
};
/** Where a checkout stands in the site's queue. The queue keeps its place by
 * (device, request id): the same question again is answered with the place,
 * and takes the seat once it is offered. */
struct queue_place {
	uint32_t place; /* 1: next; 0: it does not wait */
	uint32_t length; /* of the queue */
	/** Not 0: it is this one's turn. Seats are set aside for so many
	 * seconds, for the same question with a fresh nonce. */
	uint32_t claim_s;
};
/** A grant and its evidence; or lease 0 and a place in the queue. inclusion and consistency show that the journal of
 * `header` continues `known`; where a retry gets an older header than `known`
 * (the lease was granted before), they show the reverse: that the journal of
 * `known` continues `header`. */
struct checkout_reply {
	uint64_t lease;
	uint64_t row_number;
	struct record_span row;
	struct record_span path; /* hashes */
	struct record_span header;
	struct record_span inclusion;
	struct record_span consistency;
	struct queue_place queue;
};
/** Notice lease.waiting: the place changed, or the wait is over without a seat
 * (place 0): `code` says why. */
struct lease_waiting {
	uint8_t request[REQUEST_BYTES];
	struct queue_place queue;
	char code[32]; /* "" while it waits */
};
/** Notice lease.offered: ask again with this request id and a fresh nonce
 * within claim_s, or the turn passes to the next. */
struct lease_offered {
	uint8_t request[REQUEST_BYTES];
	uint32_t claim_s;
};
/** Nobody waits for this any more, or wants the lease that it got. */
struct lease_cancel {
	uint8_t request[REQUEST_BYTES];
};

struct renew_item {
	uint64_t lease;
	uint8_t nonce[NONCE_BYTES];
	/** The application says whether it is worked with, and it was since it
	 * renewed last. */
	bool reports, active;
};
struct renew {
	struct record_list leases; /* renew_item, 1 to 4096 */
};
struct lease_refused {
	uint64_t lease;
	char code[32]; /* "gone" */
};
/** The beat covers the leases asked for, in that order, less the refused. */
struct renew_reply {
	struct record_span beat; /* token; empty when all were refused */
	struct record_list refused; /* lease_refused */
};

struct lease_return {
	uint64_t lease;
	uint32_t reason; /* LEASE_RETURNED or LEASE_EXITED */
	/** Of its checkout: so that a number that was given again, by a site
	 * whose store was put back, ends nobody else's lease. Zero: not said. */
	uint8_t request[REQUEST_BYTES];
};
struct lease_ref {
	uint64_t lease;
};
struct lease_ended {
	uint64_t lease;
	uint32_t reason;
};

struct attach_item {
	uint64_t lease;
	uint64_t row_number;
	struct record_span row;
	/** The rest of its evidence: only where the site may not know it. */
	struct record_span path; /* hashes */
	struct record_span header;
};
struct attach {
	struct record_list leases; /* attach_item, 1 to 4096 */
};
struct attach_reply {
	struct record_list refused; /* lease_refused */
};

struct license_ref {
	uint8_t digest[32];
};
/** license_file is the reply. */

/** A lease for people. */
struct lease_view {
	uint64_t lease;
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count; /* seats */
	uint32_t type;
	uint32_t slot; /* the first */
	uint64_t license;
	uint64_t device;
	char device_name[64];
	char user[64];
	char host[128];
	int64_t granted_at;
	uint32_t ttl_s;
	uint32_t grace_s;
	/** Until the seat is free, if its holder says nothing more. */
	uint32_t left_s;
	bool connected; /* its agent */
	int64_t until; /* it is borrowed until then; 0: it lives by beats */
};
/** Empty or 0: any. A page may hold fewer than `limit`, even none, and yet not
 * be the last: `next` says. */
struct lease_query {
	char product[64];
	char feature[64];
	char user[64];
	char host[128];
	uint64_t device;
	uint64_t after; /* cursor: the last lease seen */
	uint32_t limit;
};
struct lease_page {
	struct record_list items; /* lease_view */
	uint64_t next; /* cursor; 0: that was all */
};

/** Who waits, for people. */
struct waiter_view {
	uint64_t waiter; /* its number; not kept over a restart */
	char product[64];
	char feature[64];
	uint32_t count;
	uint32_t place; /* in the queue of its product and feature */
	int64_t priority; /* higher goes first */
	uint64_t device;
	char user[64];
	char host[128];
	int64_t since;
	int64_t until; /* the wait ends */
	bool offered;
	bool connected; /* its agent */
};
struct waiter_query {
	char product[64];
	uint64_t after; /* cursor: the last waiter seen */
	uint32_t limit;
};
struct waiter_page {
	struct record_list items; /* waiter_view */
	uint64_t next; /* cursor; 0: that was all */
};
struct waiter_number {
	uint64_t waiter;
};

/* --- admin ------------------------------------------------------------- */

/** Of the alerts, those that site.show tells. */
#define SITE_WORST_MAX 3
struct site_view {
	char site[64];
	char name[128];
	char tenant[64];
	char software[32];
	uint8_t site_key[32];
	struct record_list succession; /* succession_step: how it came to it */
	uint32_t generation;
	uint64_t batch;
	uint64_t rows;
	int64_t time;
	uint64_t leases;
	uint64_t devices;
	uint64_t devices_pending; /* wait for an admin's approval */
	uint64_t sessions;
	uint64_t waiting; /* for seats */
	uint64_t licenses;
	bool clock_held; /* the wall clock jumped and waits for an admin */
	int64_t clock_wall;
	uint32_t witness; /* enum witness_class: of the site's own counter */
	uint64_t ticks; /* its value */
	int64_t ticked_at; /* 0: not since the daemon was started */
	bool rolled_back; /* nothing is granted until an admin acknowledges */
	char rollback[256]; /* what was found; "": nothing */
	uint64_t alerts; /* open, and seen by nobody yet */
	struct record_list worst; /* alert_view: of those, the worst first */
};
struct rollback_acknowledge {
	char reason[128];
};
struct rollback_acknowledged {
	uint32_t generation; /* that begins, of this tenant's journal */
	uint64_t batch; /* its first */
	uint64_t counter;
};
struct site_request_reply {
	struct record_span request; /* token */
};

struct license_install {
	/* The vendor's root; pinned when first seen. */
	uint8_t vendor_key[TOKEN_PUBLIC_BYTES];
	struct record_span issuer;
	struct record_span license;
};
struct license_number {
	uint64_t license;
};
/** A feature has seats of its own beside those of the product. */
struct license_feature_view {
	char id[64];
	char name[128];
	uint32_t total_licenses;
	uint32_t commit_qty;
	uint32_t max_overage;
	int64_t overage_per_use; /* minor units of `currency` */
	char currency[4];
	uint32_t used_commit;
	uint32_t used_overage;
};
struct license_view {
	uint64_t license;
	char license_id[64];
	uint64_t serial;
	struct license_vendor vendor;
	struct license_product product;
	struct license_entitlement entitlement;
	struct license_contract contract;
	struct record_list features; /* license_feature_view */
	struct license_bounds terms;
	/** "not_yet", "active"; "overrun": its contract is over, and it still
	 * grants, as overage; "expired" */
	char state[16];
	/** What the vendor says: "active", "suspended", "cancelled", or
	 * "expired" by its contract. */
	char status[16];
	uint32_t used_commit; /* of the product's own seats */
	uint32_t used_overage;
	uint64_t overage_checkouts; /* since installation, features included */
	uint8_t digest[32];
};
struct license_query {
	uint64_t after; /* cursor: the last license seen */
	uint32_t limit;
};
struct license_page {
	struct record_list items; /* license_view */
	uint64_t next; /* cursor; 0: that was all */
};

struct join_create {
	uint32_t uses;
	uint32_t valid_s;
	uint32_t class_;
	struct record_list hosts; /* license_host_pattern */
	bool approved; /* who comes with it waits for nobody */
	struct record_list keys; /* row_key; of class assigned */
};
struct join_created {
	uint64_t join; /* its number */
	struct record_span token;
	int64_t expires_at;
	bool approved;
};
struct join_number {
	uint64_t join;
};
enum join_state { JOIN_OPEN, JOIN_USED, JOIN_EXPIRED, JOIN_REVOKED };
struct join_view {
	uint64_t join;
	uint32_t state; /* enum join_state */
	uint32_t uses;
	uint32_t used;
	uint32_t class_;
	bool approved;
	struct record_list keys; /* row_key; of class assigned */
	struct record_list hosts; /* license_host_pattern */
	int64_t created_at;
	int64_t expires_at;
	struct row_actor by;
};
struct join_query {
	uint64_t after; /* cursor: the last token seen */
	uint32_t limit;
	bool all; /* those too that nobody can use any more */
};
/** A page may hold fewer than asked for, or none, and have a next one. */
struct join_page {
	struct record_list items; /* join_view */
	uint64_t next; /* cursor; 0: that was all */
};

struct device_number {
	uint64_t device;
};
struct device_view {
	uint64_t device;
	char name[64];
	char host[128];
	uint32_t class_;
	uint32_t state; /* enum device_state */
	char reason[128]; /* of the revocation */
	uint64_t join; /* the token it came with */
	int64_t enrolled_at;
	int64_t decided_at; /* approved or revoked; 0: came in approved */
	bool connected;
	char address[64]; /* of its live session */
	char software[32]; /* as its agent says */
	int64_t connected_at;
	int64_t seen_at; /* 0: not since the site was started */
	uint64_t leases;
	uint8_t fingerprint[32]; /* of its key */
	/* of its TPM, as certified and judged when it enrolled */
	char tpm_maker[16];
	char tpm_issuer[128];
	char tpm_reason[160]; /* why it is no more than vtpm */
};
/** enum device_state, one up. */
enum device_filter { DEVICE_FILTER_ANY };
struct device_query {
	uint64_t after; /* cursor: the last device seen */
	uint32_t limit;
	uint32_t state; /* enum device_filter */
	char match[128]; /* of name or host; "" : any */
};
/** A page may hold fewer than asked for, or none, and have a next one. */
struct device_page {
	struct record_list items; /* device_view */
	uint64_t next; /* cursor; 0: that was all */
};
struct device_revoke {
	uint64_t device;
	char reason[128]; /* told to the device; "" : none */
};

struct batch_query {
	uint64_t from; /* first batch wanted */
	uint32_t limit;
};
struct batch_item {
	uint64_t batch;
	struct record_span blob; /* journal_batch in MessagePack */
};
/** Whole batches up to about 512 KiB a page. */
struct batch_page {
	struct record_list items;
	uint64_t next; /* 0: that was all */
};
struct checkpoint_reply {
	uint64_t batch;
	uint8_t head[32];
	uint8_t state_hash[32];
};
struct clock_correct {
	int64_t time; /* new time, not after what the site went on with */
	char reason[128];
};

/** Names of the subjects behind ids, for people who may see them. */
struct subject_ref {
	uint8_t subject[SUBJECT_BYTES];
};
struct subject_view {
	uint8_t subject[SUBJECT_BYTES];
	uint32_t kind;
	char value[128];
};

struct health {
	char status[16]; /* "ok", "draining", "unavailable" */
	char witness[16]; /* what keeps the site's own counter: "file", "tpm" */
	char detail[256]; /* what an admin should look at; "": nothing */
};

extern const struct record empty_record, problem_record, hello_record,
    hello_reply_record, prove_record, prove_reply_record, draining_record,
    enroll_record, enroll_reply_record, enroll_activate_record, checkout_record,
    checkout_reply_record, queue_place_record, lease_waiting_record,
    lease_offered_record, lease_cancel_record, waiter_view_record,
    waiter_query_record, waiter_page_record, waiter_number_record,
    renew_item_record, renew_record, lease_refused_record, renew_reply_record,
    lease_return_record, lease_ref_record, lease_ended_record,
    attach_item_record, attach_record, attach_reply_record, license_ref_record,
    lease_view_record, lease_query_record, lease_page_record, site_view_record,
    rollback_acknowledge_record, rollback_acknowledged_record,
    site_request_reply_record, license_install_record, license_number_record,
    license_feature_view_record, license_view_record, license_query_record,
    license_page_record, join_create_record, join_created_record,
    join_number_record, join_view_record, join_query_record, join_page_record,
    device_number_record, device_view_record, device_query_record,
    device_page_record, device_revoke_record, batch_query_record,
    batch_item_record, batch_page_record, checkpoint_reply_record,
    clock_correct_record, subject_ref_record, subject_view_record,
    health_record;

#endif
