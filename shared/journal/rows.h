/*
 * The facts: one record per kind of row. A row's bytes are its kind (2 bytes,
 * big-endian) and its record in MessagePack; they are hashed and stored as
 * written, and never changed once released: a new fact gets a new kind or a
 * new record version. Rows carry no people (DESIGN 5): users, hosts and
 * addresses are subject ids. All rows of a batch share its header's time. This
 * part must not know how rows come about or what follows from them.
 */
#ifndef SHARED_JOURNAL_ROWS_H
#define SHARED_JOURNAL_ROWS_H

#include "shared/license/license.h"
#include "shared/proof/proof.h"
#include "shared/record/record.h"

#include <stdint.h>

#define SUBJECT_BYTES 16
#define REQUEST_BYTES 16
#define NONCE_BYTES 32
#define DIGEST_BYTES 32
/** Seats of one lease, taken all or none. */
#define LEASE_COUNT_MAX 1024
/** Bytes of the row that grants a lease: where no two of the most seats are
 * side by side, each takes 8. */
#define LEASE_ROW_MAX 10752
/** Seconds between two proofs of a borrowed seat at most (DESIGN 9). */
#define BORROW_PROVE_MAX_S 3600

enum row_kind {
	ROW_GENESIS = 1,
	ROW_STARTED = 2,
	ROW_SUBJECT_ADDED = 3,
	ROW_LICENSE_INSTALLED = 4,
	ROW_JOIN_CREATED = 5,
	ROW_DEVICE_ENROLLED = 6,
	ROW_DEVICE_REVOKED = 7,
	ROW_LEASE_GRANTED = 8,
	ROW_LEASE_ENDED = 9,
	ROW_DENIED = 10,
	ROW_CHECKPOINT = 11,
	ROW_CLOCK = 12,
	ROW_DEVICE_APPROVED = 13,
	ROW_JOIN_REVOKED = 14,
	ROW_TICK = 20,
	ROW_GENERATION = 21,
	ROW_LEASE_ADOPTED = 22,
	ROW_BORROWED = 30,
	ROW_BORROW_REISSUED = 31,
	ROW_BORROW_RETURNING = 32,
	ROW_BORROW_ENDED = 33,
	ROW_DEVICE_PROVED = 34,
	ROW_USER_CREATED = 50,
	ROW_USER_CHANGED = 51,
	ROW_USER_LOGIN = 52,
	ROW_USER_DENIED = 53,
	ROW_ERASURE = 70,
	ROW_TENANT_CHANGED = 80,
	ROW_KEY_CREATED = 40,
	ROW_KEY_CHANGED = 41,
	ROW_KEY_ROTATED = 42,
	ROW_KEY_DENIED = 43,
	ROW_ALERT_OPENED = 90,
	ROW_ALERT_AGAIN = 91,
	ROW_ALERT_ACKNOWLEDGED = 92,
	ROW_ALERT_CLOSED = 93,
	ROW_CHANNEL_ADDED = 94,
	ROW_CHANNEL_REMOVED = 95,
	ROW_DELIVERY = 96,
	ROW_POLICY_SET = 100,
	ROW_ACT = 110,
	ROW_PRUNED = 112,
	ROW_USAGE_TRACKED = 120,
	ROW_LICENSE_CHANGED = 122,
	ROW_REPORT_MADE = 125,
	ROW_RECEIPT_TAKEN = 126,
	ROW_REPORT_SHOWN = 127, /* of a hub, these two */
	ROW_REPORT_REFUSED = 128,
	/* of a hub: rows_hub.h */
	ROW_ACCOUNT_KEY = 130,
	ROW_ACCOUNT_ISSUER = 131,
	ROW_CUSTOMER_ADDED = 132,
	ROW_CUSTOMER_CHANGED = 133,
	ROW_LICENSE_ORDERED = 134,
	ROW_SITE_BOUND = 135,
	ROW_LICENSE_ISSUED = 136,
	ROW_LICENSE_REVISED = 137,
	ROW_LICENSE_RELEASED = 138,
	ROW_REPORT_TAKEN = 139,
	ROW_REPORT_METRICS = 144, /* of a hub; rows_sync.c */
	ROW_CREDIT_ADDED = 145, /* of a hub; rows_credit.h */
	ROW_CREDIT_TAKEN = 146, /* of a site */
	ROW_SITE_ROLLED_BACK = 147, /* of a hub; rows_sync.c */
	ROW_INVOICE_MADE = 148, /* of a hub; rows_invoice.h */
	ROW_INVOICE_AGAIN = 149,
	ROW_UPDATE_REQUESTED = 152, /* of the box; rows_update.c */
	ROW_UPDATE_FINISHED = 153,
	ROW_UPDATE_FAILED = 154,
	ROW_UPDATE_FELL_BACK = 155,
	ROW_IMAGE_ADDED = 156, /* of a hub: rows_measured.h */
	ROW_IMAGE_REMOVED = 157,
	ROW_SITE_MEASURED = 158,
	ROW_MAINTENANCE_OPENED = 159, /* of the box: rows_box.h */
	ROW_MAINTENANCE_REFUSED = 160,
	ROW_MAINTENANCE_ENDED = 161,
	ROW_SITE_REISSUED = 162, /* of a hub: rows_hub.h, these two */
	ROW_LICENSE_EXPIRED = 163,
	ROW_LICENSE_FOUND = 165, /* as ROW_LICENSE_ISSUED: rows_hub.h */
	ROW_REPORT_SEATS = 166, /* of a hub: rows_shown.h */
};

/** First row of every tenant's journal. */
struct row_genesis {
	char site[64];
	char tenant[64];
	uint8_t site_key[32];
	uint32_t format; /* of the rows: 1 */
};

/** The daemon opened the journal. */
struct row_started {
	char software[32];
	uint32_t generation;
	bool clean; /* the last stop was an orderly one */
};

enum subject_kind {
	SUBJECT_USER,
	SUBJECT_HOST,
	SUBJECT_DEVICE,
	SUBJECT_ADDRESS,
	SUBJECT_PATTERN, /* of host names that may join */
	SUBJECT_REASON, /* an admin's words, which may name anybody */
};
extern const char *const subject_kind_names[];

/** A person, host or address is first seen; its value stands elsewhere. */
struct row_subject_added {
	uint8_t subject[SUBJECT_BYTES];
	uint32_t kind;
	uint8_t commitment[32]; /* BLAKE2b-256(salt || kind || value) */
};

/** Who caused it. */
enum actor_kind {
	ACTOR_SITE, /* the site itself */
	ACTOR_DEVICE, /* a device; also a key that takes seats */
	ACTOR_ADMIN, /* a key of the site's own admins */
	ACTOR_KEY, /* a key of the tenant, at an admin's work: its device */
	ACTOR_USER,
};
extern const char *const actor_kind_names[];
struct row_actor {
	uint32_t kind;
	uint64_t id; /* number of the device, site key or user; 0: the site */
};

struct row_license_installed {
	uint64_t license; /* per-tenant number */
	uint8_t digest[32];
	struct license document; /* what the token says */
	struct record_span issuer_token;
	struct record_span license_token;
	struct row_actor by;
};

/** An id in a list. */
struct row_subject {
	uint8_t subject[SUBJECT_BYTES];
};

/** Fingerprint of a device's key: SHA-256, see proof_fingerprint(). */
struct row_key {
	uint8_t fingerprint[32];
};

struct row_join_created {
	uint64_t join; /* per-tenant number */
	/** Random, in the token too: one of the same number that was made
	 * before the journal was put back is told apart by it. */
	uint8_t id[16];
	uint32_t uses;
	int64_t expires_at;
	uint32_t class_;
	bool approved; /* who comes with it needs no admin's approval */
	struct record_list hosts; /* row_subject: patterns; empty: any */
	struct row_actor by;
	/** row_key: of class assigned, the only keys that enroll with it. */
	struct record_list keys;
};

/** Nobody enrolls with it any more; who did stays. */
struct row_join_revoked {
	uint64_t join;
	struct row_actor by;
};

/** Where the rows about a device leave it. */
enum device_state { DEVICE_PENDING, DEVICE_APPROVED, DEVICE_REVOKED };
extern const char *const device_state_names[];

struct row_device_enrolled {
	uint64_t device;
	uint32_t class_;
	struct record_span public_key;
	uint8_t name[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint64_t join;
	bool approved; /* else it waits for an admin */
	/* Of its TPM, as the site judged it; zero and "" without one. */
	uint8_t ek_id[32]; /* of the endorsement key: one device each */
	uint8_t certificate_id[32]; /* of its certificate; zero: none holds */
	char manufacturer[16]; /* "IFX"; only of a certificate that holds */
	char issuer[128]; /* the same */
	char reason[160]; /* why it is no more than vtpm */
};

struct row_device_approved {
	uint64_t device;
	struct row_actor by;
};

struct row_device_revoked {
	uint64_t device;
	uint8_t reason[SUBJECT_BYTES]; /* zero: none was given */
	struct row_actor by;
};

enum seat_type { SEAT_COMMIT, SEAT_OVERAGE };
extern const char *const seat_type_names[];

/** Slots side by side: first, first + 1, ... */
struct row_slots {
	uint32_t first; /* from 0 */
	uint32_t count; /* at least 1 */
};

/** The grant: what an application checks. Slots are those of the license's
 * feature, or of the product where there is none. */
struct row_lease_granted {
	uint64_t lease;
	uint64_t license;
	uint8_t license_digest[32];
	uint64_t device;
	uint32_t count; /* seats */
	/** row_slots: as many as count, ascending, as few runs as can be; those
	 * from commit_qty on are overage. */
	struct record_list slots;
	uint32_t type; /* overage when one of its seats is */
	/** Numbers of its overage seats: overage_count of them from `overage`
	 * on. They are contiguous per license, all its features together, from
	 * 1; 0 and 0: there are none. */
	uint64_t overage;
	uint32_t overage_count;
	uint8_t nonce[NONCE_BYTES]; /* the application's */
	uint8_t request[REQUEST_BYTES];
	uint8_t request_digest[16];
	char product[64];
	char version[32];
	char feature[64]; /* "" : none */
	uint8_t user[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint8_t application[32]; /* SHA-256 of the executable; zero: unknown */
	uint32_t ttl_s;
	uint32_t grace_s;
};

enum lease_end {
	LEASE_RETURNED, /* the application gave it back */
	LEASE_EXITED, /* its process ended */
	LEASE_EXPIRED, /* the last signed span, grace and skew are over */
	LEASE_RELEASED, /* an admin took it */
	LEASE_REVOKED, /* its device was revoked */
	LEASE_IDLE, /* nobody worked with it for longer than the policy lets */
};
extern const char *const lease_end_names[];

struct row_lease_ended {
	uint64_t lease;
	uint64_t license;
	uint32_t count; /* seats, those of its grant */
	uint32_t reason;
	/** LEASE_EXPIRED: the fact it rests on. LEASE_RELEASED, LEASE_REVOKED,
	 * LEASE_IDLE: its slot stays taken until then, for its holder could not be told.
	 * Else 0. */
	int64_t deadline;
	struct row_actor by;
};

/* --- borrows: leases taken offline --------------------------------------- */

enum ticket_why {
	TICKET_TAKEN, /* the borrow begins */
	TICKET_EXTENDED, /* it goes on for longer */
	TICKET_REPLACED, /* another borrow of the device is being returned */
	TICKET_ADOPTED, /* it was of a branch that was abandoned */
};
extern const char *const ticket_why_names[];

/** What makes a grant good without the site; see ticket.h. */
struct row_ticket {
	uint32_t why;
	uint64_t epoch; /* the device's counter says exactly this */
	uint32_t class_; /* of the device: enum proof_class */
	struct record_span public_key; /* of the device */
	uint32_t length_s; /* of powered-on time, from here on: */
	uint64_t clock_ms; /* the device's clock */
	uint64_t resets; /* and how often it had lost time */
	/** The window of the wall clock: deters, proves nothing. */
	int64_t from;
	int64_t until;
};

/**
 * ROW_BORROWED: seats are lent to a device, as a lease that lives by a ticket
 * instead of beats. ROW_BORROW_REISSUED: another ticket for the same borrow, as
 * whole as the first. In the grant, ttl_s is how long an application may go on
 * between two proofs, and grace_s is 0.
 */
struct row_borrowed {
	struct row_lease_granted grant;
	struct row_ticket ticket;
};

/** The device is about to raise its counter to this: borrows without a ticket
 * of that epoch are on their way back. */
struct row_borrow_returning {
	uint64_t device;
	uint64_t epoch;
};

enum borrow_end {
	BORROW_RETURNED, /* the device proved that it cannot use it any more */
	BORROW_RAN_OUT, /* the same, after the ticket's time was over */
	BORROW_WRITTEN_OFF, /* an admin gave it up: nothing was proved */
	BORROW_REVOKED, /* its device was revoked: nothing was proved */
};
extern const char *const borrow_end_names[];

struct row_borrow_ended {
	uint64_t lease;
	uint64_t license;
	uint64_t device;
	uint32_t count; /* seats, those of its grant */
	uint32_t reason;
	/** The highest of its tickets: what is proved is above it. */
	uint64_t epoch;
	/** Where nothing was proved: the end of the ticket's window, until when
	 * as many seats stay taken. 0: that is past, or it was proved. */
	int64_t until;
	/** Seats that stay taken in place of its own, which are free at once:
	 * overage, with numbers as in a grant. Empty: its own stay. */
	struct record_list slots; /* row_slots */
	uint64_t overage;
	uint32_t overage_count;
	struct row_actor by;
};

/** A proof that borrowing rests on, with all that it is over: whoever has the
 * device's key, which stands in each ticket, can check it again. */
struct row_device_proved {
	uint64_t device;
	uint32_t purpose; /* enum proof_purpose */
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint8_t exporter[32];
	uint8_t request_digest[32];
	struct proof proof;
};

/* --- people who log in: tables in rows_user.c ----------------------------- */

/** What somebody may, from all to little. */
enum user_role {
	USER_OWNER,
	USER_ADMIN, /* all but to make owners, or to touch them */
	USER_OPERATOR, /* devices, leases, queue, borrows */
	USER_AUDITOR, /* reads, the journal too */
	USER_VIEWER, /* reads */
	USER_ROLES,
};
extern const char *const user_role_names[];
enum user_state {
	USER_ACTIVE,
	USER_DISABLED,
	USER_REMOVED, /* for good; what was known of him is gone */
};
extern const char *const user_state_names[];
/** Who knows his password. */
enum user_source { USER_LOCAL, USER_DIRECTORY };
extern const char *const user_source_names[];

/** His name, login, mail and secrets lie in a sealed document. */
struct row_user_created {
	uint64_t user; /* per-tenant number */
	uint32_t role;
	uint32_t source;
	uint8_t document[16]; /* its id */
	uint8_t commitment[32];
	struct row_actor by;
};

enum user_change {
	USER_CHANGED_PROFILE, /* name, mail */
	USER_CHANGED_ROLE,
	USER_CHANGED_STATE,
	USER_CHANGED_PASSWORD, /* by himself */
	USER_RESET_PASSWORD, /* to one that he has to change */
	USER_TOTP_BEGUN, /* he was shown a secret */
	USER_TOTP_SET,
	USER_TOTP_OFF,
	USER_RECOVERY_USED, /* one of his codes was used up */
};
extern const char *const user_change_names[];

/** How he is from now on. */
struct row_user_changed {
	uint64_t user;
	uint32_t what; /* enum user_change */
	uint32_t role;
	uint32_t state;
	uint8_t document[16]; /* zero: it is gone */
	uint8_t commitment[32];
	uint64_t totp_step; /* as in row_user_login */
	struct row_actor by;
};

/** He logged in. */
struct row_user_login {
	uint64_t user;
	uint64_t session; /* of the daemon's run, from 1 */
	/** Of his one-time code: none up to it is good again. 0: there was
	 * none. */
	uint64_t totp_step;
};

/** Logins that were refused within a minute. */
struct row_user_denied {
	uint64_t user; /* 0: the login is nobody's */
	char code[32]; /* "unauthenticated", "locked_out" */
	uint64_t count;
	int64_t minute; /* ms; start of the minute */
};

/** Refusals of one device, product and code within a minute. */
struct row_denied {
	uint64_t device;
	uint64_t license; /* 0: none fits */
	char product[64];
	char code[32]; /* "no_seats" */
	uint64_t count;
	int64_t minute; /* ms; start of the minute */
};

struct row_checkpoint {
	uint64_t batch;
	uint8_t head[32];
	uint8_t state_hash[32]; /* of the logical dump after that batch */
};

enum clock_event { CLOCK_JUMP_SEEN, CLOCK_CONFIRMED, CLOCK_CORRECTED };
extern const char *const clock_event_names[];
struct row_clock {
	uint32_t event;
	int64_t held; /* what the site went on with */
	int64_t wall; /* what the wall clock said */
	struct row_actor by;
};

/** Where the site keeps its own count of what it has done. */
enum witness_class {
	WITNESS_FILE, /* outside the stores; whoever copies it back with them
			 is not seen */
	WITNESS_TPM, /* goes on only, whoever has the disk */
};
extern const char *const witness_class_names[];

/** The site's counter reaches this value once the row is in the store. Of two
 * copies of a journal the one with the lower last tick is the older. */
struct row_tick {
	uint64_t counter;
	uint32_t witness; /* enum witness_class */
};

/** A place in a journal, and what had happened until then. */
struct row_mark {
	uint32_t generation; /* 0: no place */
	uint64_t batch;
	uint8_t head[32];
	int64_t time;
	uint64_t grants, ends, overage; /* the header's totals */
};

/**
 * The store had been put back to an older copy, and an admin acknowledged it.
 * What stood behind this batch before is abandoned: other headers of an earlier
 * generation that bear the site's signature are of the lost branch.
 *
 * No number of a lease or device that the lost branch may have given is given
 * again: counting goes on from next_lease and next_device.
 */
struct row_generation {
	uint32_t
	    generation; /* that begins with this batch: row_generation_next */
	struct row_mark lost; /* the furthest that is known of what was lost */
	uint32_t witness; /* enum witness_class */
	uint64_t stored; /* tick of the store as it was found */
	uint64_t witnessed; /* what the witness said then; 0: it was lost */
	uint64_t counter; /* and what both say from now on */
	uint64_t next_lease;
	uint64_t next_device;
	uint8_t reason[SUBJECT_BYTES];
	struct row_actor by;
};

/** The generation that follows `now`, above all that is known to be lost: so
 * nothing of a lost branch, however often it was acknowledged there, passes for
 * what came after. 0: there is none. */
static inline uint32_t
row_generation_next(uint32_t now, const struct row_mark *lost)
{
	uint32_t highest = lost->generation > now ? lost->generation : now;

	return highest == UINT32_MAX ? 0 : highest + 1;
}

/** Where a row stands that is no part of this journal. */
struct row_origin {
	uint32_t generation;
	uint64_t batch;
	uint8_t head[32];
	uint64_t row_number;
};

/**
 * A lease of an abandoned branch goes on: its device presented the row that the
 * site had signed. It keeps its number and its type; it is no checkout. Seats
 * that were overage when they were granted are overage here, numbered anew: the
 * rows that said so are lost, and this one is in their place. Its slots are the
 * lowest free ones, above those of the license where there are no others.
 *
 * A borrow of such a branch likewise: the row is that of a ticket, and the same
 * ticket follows as ROW_BORROW_REISSUED, of this journal.
 */
struct row_lease_adopted {
	uint64_t lease;
	uint64_t license; /* its number in this journal */
	uint64_t device;
	uint32_t count;
	struct record_list slots; /* row_slots */
	uint32_t type;
	uint64_t overage;
	uint32_t overage_count;
	struct row_origin origin;
	struct record_span row; /* the granting row, as it was */
};

/* --- API keys ------------------------------------------------------------- */

enum key_app { KEY_DESKTOP, KEY_CI_CD, KEY_CLOUD_SERVICE };
extern const char *const key_app_names[];

/**
 * An API key was made: a device of class `key`, and its number is that of the
 * device. The key itself stands nowhere; the hash is keyed by the tenant's own
 * secret. Its private document (app, hosts, addresses) lies outside the journal,
 * under the id, with the commitment. Revoked as a device is.
 */
struct row_key_created {
	uint64_t device;
	uint8_t hash[32];
	uint8_t name[SUBJECT_BYTES];
	char scopes[256]; /* names, a space between two */
	uint32_t app_type; /* enum key_app */
	int64_t expires_at; /* 0: never */
	uint8_t document[16];
	uint8_t commitment[32];
	struct row_actor by;
};

/** Its document is another one from here on. */
struct row_key_changed {
	uint64_t device;
	uint8_t document[16];
	uint8_t commitment[32];
	struct row_actor by;
};

/** Another secret from here on; the one before is good until then as well. */
struct row_key_rotated {
	uint64_t device;
	uint8_t hash[32];
	int64_t previous_until; /* 0: it ended at once */
	int64_t expires_at; /* 0: never */
	struct row_actor by;
};

/** Refusals of one key, license, product and code within a minute, and what
 * the first of them came with. */
struct row_key_denied {
	struct row_denied denied;
	uint8_t address[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES]; /* as it said; zero: it said none */
	uint8_t user[SUBJECT_BYTES];
	uint8_t fingerprint[32]; /* as it said; zero: none */
};

/* --- alerts: tables in rows_alert.c ---------------------------------------- */

/** What somebody must know of. Numbers are stored, so they stay. */
enum alert_kind {
	ALERT_UNKNOWN_ADDRESS, /* of a key */
	ALERT_UNKNOWN_HOST,
	ALERT_UNKNOWN_FINGERPRINT,
	ALERT_NO_CERTIFICATE,
	ALERT_UNUSUAL_RATE,
	ALERT_OUT_OF_HOURS,
	ALERT_QUOTA, /* of the tenant; stage: ALERT_LIMIT_STAGE() */
	ALERT_LICENSE_EXPIRING, /* stage: days before the end of its contract */
	ALERT_ROLLBACK, /* of the site, or seen by a device */
	ALERT_CLOCK, /* stage: enum alert_clock */
	ALERT_DISK,
	ALERT_MAP,
	ALERT_TEST, /* of a channel */
	ALERT_LICENSE_OVERRUN, /* stage: enum alert_overrun */
	ALERT_USAGE_LIMIT, /* stage: ALERT_LIMIT_STAGE() */
	ALERT_LICENSE_STATUS, /* stage: enum license_status */
	ALERT_SYNC, /* no report reaches a hub over the network */
	ALERT_UNSYNCED, /* stage: percent of its max_unsynced_days */
	ALERT_ISSUER_EXPIRING, /* of a hub; stage: days before its key's end */
	ALERT_KINDS,
};
extern const char *const alert_kind_names[];

enum alert_clock {
	ALERT_CLOCK_AHEAD = 1, /* the wall clock jumped and is not believed */
	ALERT_CLOCK_BEHIND,
};

/** How a license grants what it has not, as its terms say. */
enum alert_overrun {
	ALERT_OVERRUN_CONTRACT, /* its contract is over */
	ALERT_OVERRUN_SEATS, /* more seats are held than it has */
};

/** Of a limit: which of them, from 0 (ALERT_QUOTA: enum alert_quota;
 * ALERT_USAGE_LIMIT: by its place in the license), and percent that are used. */
#define ALERT_LIMIT_STAGE(which, percent) ((which)*1000 + (percent))
#define ALERT_STAGE_WHICH(stage) ((stage) / 1000)
#define ALERT_STAGE_PERCENT(stage) ((stage) % 1000)

/** What it is about; its number is that of the row's `id`. */
enum alert_about {
	ALERT_OF_SITE,
	ALERT_OF_TENANT,
	ALERT_OF_KEY,
	ALERT_OF_LICENSE,
	ALERT_OF_DEVICE,
	ALERT_OF_CHANNEL,
};
extern const char *const alert_about_names[];

/** One thing that one alert is about: as long as one is open for it, what
 * happens again is counted there. */
struct alert_subject {
	uint32_t kind; /* enum alert_kind */
	uint32_t about; /* enum alert_about */
	uint64_t id;
	uint32_t stage;
};

/** It happened, and no alert was open for it. */
struct row_alert_opened {
	uint64_t alert; /* per-tenant number */
	struct alert_subject subject;
	uint8_t address[SUBJECT_BYTES]; /* of the first; zero: none */
	uint8_t host[SUBJECT_BYTES];
	uint8_t fingerprint[32]; /* as it said; zero: none */
	uint64_t value; /* what was found, and its bound, by kind */
	uint64_t limit;
	uint64_t count; /* so often until the row was written */
	int64_t first_at;
	int64_t last_at;
};

/** And again, so often since the row before. */
struct row_alert_again {
	uint64_t alert;
	uint64_t count;
	int64_t last_at;
};

/** Somebody has seen it: it is not told again while it is open. */
struct row_alert_acknowledged {
	uint64_t alert;
	struct row_actor by;
};

enum alert_end {
	ALERT_ENDED, /* what it was about is over */
	ALERT_QUIET, /* it did not happen again for a day */
};
extern const char *const alert_end_names[];
struct row_alert_closed {
	uint64_t alert;
	uint32_t why; /* enum alert_end */
};

/* --- where alerts go -------------------------------------------------------- */

enum channel_kind { CHANNEL_WEBHOOK, CHANNEL_MAIL, CHANNEL_SYSLOG };
extern const char *const channel_kind_names[];
/** What goes there. Numbers are stored. */
enum channel_takes { CHANNEL_ALERTS, CHANNEL_INVOICES, CHANNEL_CRM };
extern const char *const channel_takes_names[];
/** How bad something is; see alert_words.h. */
enum alert_severity { ALERT_INFO, ALERT_WARNING, ALERT_CRITICAL };
extern const char *const alert_severity_names[];

/** Its name, address and secret lie in a sealed document. */
struct row_channel_added {
	uint64_t channel; /* per-tenant number */
	uint32_t kind; /* enum channel_kind */
	uint32_t least; /* enum alert_severity, of alerts: what goes there */
	uint32_t takes; /* enum channel_takes */
	uint8_t document[16];
	uint8_t commitment[32];
	struct row_actor by;
};
struct row_channel_removed {
	uint64_t channel;
	struct row_actor by;
};

enum delivery_event {
	DELIVERY_DEAD, /* it was tried often enough */
	DELIVERY_RETRIED, /* an admin wants it tried again */
	DELIVERY_DROPPED, /* an admin gave it up */
};
extern const char *const delivery_event_names[];
/** What became of a delivery that did not go by itself. */
struct row_delivery {
	uint8_t delivery[16]; /* as its receiver knows it */
	uint32_t of; /* enum channel_takes */
	uint64_t alert; /* or the number of the invoice */
	uint64_t channel;
	uint32_t event; /* enum delivery_event */
	struct row_actor by;
};

/**
 * Somebody asked for something: what, from where, how it ended. Of what changed
 * something it stands in the batch of the facts, which say what; of refusals,
 * and of looks at people's data, it is all there is. "device.seen": a device or
 * key that speaks from another address than before.
 */
struct row_act {
	struct row_actor by; /* user 0: nobody who is known */
	char operation[48];
	char code[32]; /* "done" */
	uint64_t count;
	int64_t minute; /* ms; 0: it stands for one alone */
	uint8_t address[SUBJECT_BYTES];
	uint64_t device; /* 0: none; so are these */
	uint64_t license;
	uint64_t lease;
	uint64_t object;
	char about[64];
};

/**
 * Another policy from here on. What it says lies outside the journal; the
 * commitment is that of its bytes: BLAKE2b-256(salt of 16 bytes || document).
 */
struct row_policy_set {
	uint64_t version; /* from 1, without a gap */
	uint8_t commitment[32];
	uint32_t rules, groups, members;
	struct row_actor by;
};

/**
 * What stood in batches before that one is given up from here on: their heads
 * stay, and with them every proof that this journal continues another. What the
 * state was is told by the checkpoint, a row before this one.
 */
struct row_pruned {
	uint64_t before; /* the first batch that stays */
	uint64_t first_row; /* its first row */
	int64_t time; /* of the batch before it */
	uint8_t head[32]; /* of the batch before it */
	uint64_t checkpoint; /* batch after which the state is known */
	struct row_actor by;
};

/* --- updates of the appliance: rows_update.c ------------------------------- */

#define ROW_UPDATE_VERSION_MAX 63
#define ROW_UPDATE_REASON_MAX 159

/** An admin asks for an update of the box; in the journal of the site's own
 * tenant. Its version is not known yet: nobody has checked who signed it. */
struct row_update_requested {
	uint64_t update; /* from 1, without a gap */
	uint8_t digest[32]; /* BLAKE2b-256 of the bundle; zero: of the stick */
	uint64_t bytes;
	bool usb;
	char running[ROW_UPDATE_VERSION_MAX + 1];
	struct row_actor by;
};

/** ROW_UPDATE_FINISHED: the new version runs, and passed its check.
 * ROW_UPDATE_FAILED: it was refused, or could not be written.
 * ROW_UPDATE_FELL_BACK: it was started, and the old one runs again. */
struct row_update_ended {
	uint64_t update;
	uint8_t digest[32]; /* zero: it was not read */
	char version[ROW_UPDATE_VERSION_MAX + 1];
	char slot[8];
	char reason[ROW_UPDATE_REASON_MAX + 1];
};

/* --- usage, and what a vendor says of a license: rows_usage.c --------------- */

enum usage_kind {
	USAGE_COUNTER, /* amounts add up: calls, messages */
	USAGE_GAUGE, /* what there is now: users, storage */
};
extern const char *const usage_kind_names[];

/** Something that is no seat was used, by a named metric. It counts in the hour
 * of its batch: a period that was stated stays as it was stated. */
struct row_usage_tracked {
	uint64_t license;
	char metric[64];
	uint32_t kind; /* enum usage_kind; of a metric always the same */
	uint64_t amount;
	uint8_t event[16]; /* once for each id and license */
	int64_t at; /* as the client said; evidence only */
	uint64_t device; /* 0: an admin */
	uint8_t user[SUBJECT_BYTES]; /* zero: none was named */
};

enum license_status {
	LICENSE_IS_ACTIVE,
	LICENSE_IS_SUSPENDED, /* nothing new is granted */
	LICENSE_IS_EXPIRED, /* its contract is over: never in a row */
	LICENSE_IS_CANCELLED, /* for good */
};
extern const char *const license_status_names[];
/** As enum license_change_what of the document has it. */
enum license_turn {
	LICENSE_TURN_RENEW, /* ROW_LICENSE_INSTALLED comes with it */
	LICENSE_TURN_SUSPEND,
	LICENSE_TURN_RESUME,
	LICENSE_TURN_CANCEL, /* only a renewal ends that */
};
extern const char *const license_turn_names[];

/** A signed document of the vendor about a license came. What runs ends with
 * its own span. */
struct row_license_changed {
	uint64_t license;
	uint32_t turn; /* enum license_turn */
	uint64_t revision; /* of the document: from 1, ascending */
	int64_t from; /* in force from then on, or since it came */
	int64_t issued_at;
	uint8_t digest[32];
	struct record_span token; /* RENEW: empty, the license stands there */
	struct row_actor by;
};

/* --- reports to vendors: rows_sync.c ---------------------------------------- */

/** A report for a vendor is about to be made: it goes up to this batch, at
 * least, so that a site where nothing happens has something to say. */
struct row_report_made {
	char vendor[64];
	uint64_t sequence; /* that it will have */
	struct row_actor by;
};

/** Up to where a vendor took usage: struct report_mark of shared/report. */
struct row_taken {
	uint64_t sequence; /* 0: nothing was taken yet */
	uint64_t batch;
	uint8_t head[32];
	uint8_t history[32];
	uint32_t generation;
	int64_t time;
	uint64_t overage;
};

/** A vendor's signed answer to a report came. */
struct row_receipt_taken {
	char vendor[64];
	uint64_t report; /* that it answers */
	uint32_t answer; /* enum report_answer */
	char reason[192]; /* the vendor's words; "": it was taken */
	struct row_taken taken;
	int64_t at; /* as the vendor says */
	uint8_t digest[32]; /* BLAKE2b-256 of the receipt */
	struct row_actor by;
	/** What was taken lies on a branch that was lost: batches from here on
	 * are not those that were reported. 0: it is of this journal. */
	uint64_t lost_from;
	uint64_t lost_overage; /* overage seats of all vendors in them */
	/** Of the hub's journal. A later one than before: it was put back, and
	 * `taken` may be an earlier place. */
	uint32_t generation;
};

/* Of a hub: what a site's report showed (ROW_REPORT_TAKEN comes with it), and
 * that one was refused. Overage is counted by these rows, each once. */

/** Items of one row; a report has as many rows as it needs. */
#define ROW_SHOWN_MAX 256
struct row_shown_license {
	uint64_t license; /* its number in the site's journal */
	char license_id[64];
	uint64_t serial;
	uint8_t digest[32];
};
struct row_shown_overage {
	uint64_t license;
	char license_id[64];
	uint64_t serial;
	char feature[64];
	uint32_t generation;
	uint64_t row;
	int64_t time;
	uint64_t first;
	uint32_t count;
	uint64_t lease;
	uint32_t origin_generation;
	uint64_t origin_row; /* 0: it stands for itself */
	bool again;
	/** Of a license and serial that this account issued to that very site:
	 * only that costs money. */
	bool billed;
};
struct row_report_shown {
	uint64_t site; /* its number here */
	uint64_t sequence;
	struct record_list licenses; /* row_shown_license */
	struct record_list overage; /* row_shown_overage */
	uint64_t others;
	uint32_t rollbacks;
};
/** Comes with ROW_REPORT_SHOWN: metrics by the hour, as the report's range adds
 * them up. They add to what was shown before. */
struct row_shown_metric {
	char license_id[64];
	uint64_t serial;
	char metric[64]; /* "": gauges go on under this serial */
	int64_t start; /* of the hour */
	uint32_t kind; /* enum usage_kind */
	uint64_t events, sum, max, last;
	bool billed; /* issued to that very site */
};
struct row_report_metrics {
	uint64_t site;
	uint64_t sequence;
	struct record_list metrics; /* row_shown_metric, up to ROW_SHOWN_MAX */
};
struct row_report_refused {
	uint64_t site;
	uint64_t sequence;
	uint32_t answer; /* enum report_answer */
	char reason[192];
	uint8_t digest[32];
};

/** Comes before ROW_REPORT_SHOWN: the site's journal was put back to an older
 * state, and its admin has acknowledged that. */
struct row_site_rolled_back {
	uint64_t site;
	uint64_t sequence; /* of the report that shows it */
	uint32_t generation; /* that began */
	uint64_t batch; /* with this one, */
	uint64_t row; /* whose first row this is */
	int64_t time; /* then, by the site's clock */
	uint64_t lost_batch; /* the furthest that was known of what was lost */
	uint64_t seats; /* overage seats counted of what was lost */
};

/** Is it a borrow that goes on? */
bool row_adopts_borrow(const struct row_lease_adopted *adopted);

extern const struct record row_genesis_record, row_started_record,
    row_subject_added_record, row_license_installed_record,
    row_join_created_record, row_device_enrolled_record,
    row_device_revoked_record, row_device_approved_record,
    row_join_revoked_record, row_subject_record, row_key_record,
    row_lease_granted_record, row_lease_ended_record, row_denied_record,
    row_checkpoint_record, row_clock_record, row_actor_record, row_slots_record,
    row_tick_record, row_mark_record, row_generation_record, row_origin_record,
    row_lease_adopted_record, row_ticket_record, row_borrowed_record,
    row_borrow_returning_record, row_borrow_ended_record,
    row_device_proved_record, row_user_created_record, row_user_changed_record,
    row_user_login_record, row_user_denied_record, row_number_record,
    row_erasure_record, row_key_created_record, row_key_changed_record,
    row_key_rotated_record, row_key_denied_record, row_limits_record,
    row_tenant_changed_record, row_alert_opened_record, row_alert_again_record,
    row_alert_acknowledged_record, row_alert_closed_record,
    alert_subject_record, row_channel_added_record, row_channel_removed_record,
    row_delivery_record, row_policy_set_record, row_act_record,
    row_pruned_record, row_usage_tracked_record, row_license_changed_record,
    row_report_made_record, row_taken_record, row_receipt_taken_record,
    row_shown_license_record, row_shown_overage_record, row_report_shown_record,
    row_shown_metric_record, row_report_metrics_record,
    row_report_refused_record, row_site_rolled_back_record,
    row_update_requested_record, row_update_ended_record;

/** Do the slots of a grant add up as its comment above says? And do count,
 * type, overage and overage_count agree among themselves? */
bool row_slots_are_sound(const struct row_lease_granted *grant);

/** Are these the slots, and this the overage, of a sound grant out of so many
 * seats, those below `commit` committed ones? */
bool row_seats_are(const struct row_lease_granted *grant, uint32_t total,
    uint32_t commit);

/** Did a proof end it? */
static inline bool
row_borrow_end_is_proved(const struct row_borrow_ended *end)
{
	return end->reason == BORROW_RETURNED || end->reason == BORROW_RAN_OUT;
}
/** Do its parts agree among themselves as its comments above say? */
bool row_borrow_end_is_sound(const struct row_borrow_ended *end);

/** The lowest slot of a sound grant. */
uint32_t row_slot_first(const struct row_lease_granted *grant);

/** How many of these slots are below `end`. */
uint32_t row_slots_below(const struct row_slots *slots, uint32_t n,
    uint32_t end);

/** A number in a list. */
struct row_number {
	uint64_t number;
};

/** A person was erased: what these ids meant is gone from the store. */
struct row_erasure {
	uint64_t erasure; /* per-tenant number */
	struct record_list subjects; /* row_subject */
	struct record_list users; /* row_number: accounts that are gone */
	uint8_t document[32]; /* BLAKE2b-256 of the signed document */
	struct row_actor by;
};

/* --- the tenant itself: tables in rows_tenant.c --------------------------- */

/** What a tenant may use; 0: no limit. */
struct row_limits {
	uint64_t calls_per_day;
	uint64_t storage_mb, bandwidth_gb;
	uint32_t users, devices, keys;
};

/**
 * The tenant is so from here on, as the site's store of tenants has it: who
 * suspended it or let it go on, and what it may use. The site's store comes
 * first; a tenant that was closed then gets its row when it opens.
 */
struct row_tenant_changed {
	uint64_t revision; /* goes up; of the site's store */
	int64_t at; /* when the site's store got it */
	bool suspended;
	struct row_limits limits;
	uint8_t reason[SUBJECT_BYTES]; /* an admin's words; zero: none */
	struct row_actor by;
};

#include "shared/journal/rows_box.h"
#include "shared/journal/rows_credit.h"
#include "shared/journal/rows_hub.h"
#include "shared/journal/rows_invoice.h"
#include "shared/journal/rows_measured.h"
#include "shared/journal/rows_shown.h"

/** A row in memory, whichever kind it is. */
struct row {
	uint64_t number; /* per tenant, from 1 */
	enum row_kind kind;
	union {
		struct row_genesis genesis;
		struct row_started started;
		struct row_subject_added subject_added;
		struct row_license_installed license_installed;
		struct row_join_created join_created;
		struct row_device_enrolled device_enrolled;
		struct row_device_revoked device_revoked;
		struct row_device_approved device_approved;
		struct row_join_revoked join_revoked;
		struct row_lease_granted lease_granted;
		struct row_lease_ended lease_ended;
		struct row_borrowed borrowed; /* and reissued */
		struct row_borrow_returning borrow_returning;
		struct row_borrow_ended borrow_ended;
		struct row_device_proved device_proved;
		struct row_denied denied;
		struct row_checkpoint checkpoint;
		struct row_clock clock;
		struct row_tick tick;
		struct row_generation generation;
		struct row_lease_adopted lease_adopted;
		struct row_user_created user_created;
		struct row_user_changed user_changed;
		struct row_user_login user_login;
		struct row_user_denied user_denied;
		struct row_erasure erasure;
		struct row_key_created key_created;
		struct row_key_changed key_changed;
		struct row_key_rotated key_rotated;
		struct row_key_denied key_denied;
		struct row_tenant_changed tenant_changed;
		struct row_alert_opened alert_opened;
		struct row_alert_again alert_again;
		struct row_alert_acknowledged alert_acknowledged;
		struct row_alert_closed alert_closed;
		struct row_channel_added channel_added;
		struct row_channel_removed channel_removed;
		struct row_delivery delivery;
		struct row_policy_set policy_set;
		struct row_act act;
		struct row_pruned pruned;
		struct row_usage_tracked usage_tracked;
		struct row_license_changed license_changed;
		struct row_report_made report_made;
		struct row_receipt_taken receipt_taken;
		struct row_report_shown report_shown;
		struct row_report_metrics report_metrics;
		struct row_report_seats report_seats;
		struct row_report_refused report_refused;
		struct row_account_key account_key;
		struct row_account_issuer account_issuer;
		struct row_customer customer; /* added, and changed */
		struct row_license_ordered license_ordered;
		struct row_site_bound site_bound;
		struct row_site_reissued site_reissued;
		struct row_license_issued license_issued;
		struct row_license_revised license_revised;
		struct row_license_released license_released;
		struct row_license_expired license_expired;
		struct row_report_taken report_taken;
		struct row_image_added image_added;
		struct row_image_removed image_removed;
		struct row_site_measured site_measured;
		struct row_credit credit;
		struct row_site_rolled_back site_rolled_back;
		struct row_invoice invoice;
		struct row_invoice_again invoice_again;
		struct row_update_requested update_requested;
		struct row_update_ended update_ended; /* all three */
		struct row_maintenance maintenance; /* all three */
	} u;
};

/** Record of a kind; NULL when unknown. */
const struct record *row_record(uint32_t kind);
/** "lease.granted", for people and JSON. */
const char *row_kind_name(uint32_t kind);

/** Append a row's bytes. A row out of its bounds is logged and sets `failed`: it
 * could not be read again. */
void row_write(struct buf *out, const struct row *row);

/** Read a row's bytes; spans point into `data`. Returns 0, ERR_UNKNOWN_ROW or
 * ERR_CORRUPT. */
int row_read(struct row *row, uint64_t number, const uint8_t *data, size_t len,
    struct arena *arena);

/**
 * The lease that a row grants or adopts, or that it is a ticket for, as a grant:
 * of an adopted one, what its device was granted, with the slots and numbers
 * that it has now. Points into the row and the arena.
 * @retval ERR_MISMATCH  The row is of another kind.
 * @retval ERR_CORRUPT   The row that it carries is no grant, or not of that
 *                       lease.
 */
int row_grant(struct row_lease_granted *grant, const struct row *row,
    struct arena *arena);

#endif
