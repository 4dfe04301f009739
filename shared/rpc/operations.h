/*
 * The one table of operations: id, name, HTTP route, who may, what comes in,
 * what goes out. The front validates and routes by it, the ledger checks the
 * scope by id before it decodes, OpenAPI and CLI help are made from it; what
 * stands in no row is refused. It must not know the handlers.
 */
#ifndef SHARED_RPC_OPERATIONS_H
#define SHARED_RPC_OPERATIONS_H

#include "shared/rpc/borrow.h"
#include "shared/rpc/messages.h"
#include "shared/rpc/messages_alert.h"
#include "shared/rpc/messages_analytics.h"
#include "shared/rpc/messages_appliance.h"
#include "shared/rpc/messages_audit.h"
#include "shared/rpc/messages_billing.h"
#include "shared/rpc/messages_events.h"
#include "shared/rpc/messages_hub.h"
#include "shared/rpc/messages_journal.h"
#include "shared/rpc/messages_key.h"
#include "shared/rpc/messages_key_lease.h"
#include "shared/rpc/messages_maintenance.h"
#include "shared/rpc/messages_measured.h"
#include "shared/rpc/messages_policy.h"
#include "shared/rpc/messages_privacy.h"
#include "shared/rpc/messages_sync.h"
#include "shared/rpc/messages_tenant.h"
#include "shared/rpc/messages_usage.h"
#include "shared/rpc/messages_user.h"
#include "shared/rpc/messages_vault.h"

/* Ids are on our own wire between processes of one release only. */
enum operation_id {
	OP_NONE,
	OP_SESSION_HELLO,
	OP_SESSION_PROVE,
	OP_DEVICE_ENROLL,
	OP_DEVICE_ACTIVATE,
	OP_LEASE_CHECKOUT,
	OP_LEASE_RENEW,
	OP_LEASE_RETURN,
	OP_LEASE_ATTACH,
	OP_LICENSE_GET,
	OP_LEASE_MINE, /* lease.list of an agent: its own */
	OP_LEASE_CANCEL,
	OP_BORROW_CHALLENGE,
	OP_BORROW_TAKE,
	OP_BORROW_EXTEND,
	OP_BORROW_PREPARE,
	OP_BORROW_RETURN,
	OP_BORROW_MINE, /* borrow.list of an agent: its own */
	OP_USAGE_MINE, /* usage.report of an agent */
	/* notices */
	OP_LEASE_REVOKED,
	OP_LEASE_WAITING,
	OP_LEASE_OFFERED,
	OP_DEVICE_APPROVED,
	OP_POLICY_CHANGED,
	OP_SERVER_DRAINING,
	/* admin */
	OP_SITE_SHOW,
	OP_SITE_REQUEST,
	OP_LICENSE_INSTALL,
	OP_LICENSE_CHANGE,
	OP_LICENSE_LIST,
	OP_LICENSE_SHOW,
	OP_SYNC_STATUS,
	OP_SYNC_PREVIEW,
	OP_SYNC_EXPORT,
	OP_SYNC_IMPORT,
	OP_SYNC_NOW,
	OP_POLICY_SHOW,
	OP_POLICY_PUT,
	OP_POLICY_LIST,
	OP_POLICY_VERSION,
	OP_POLICY_CHECK,
	OP_POLICY_REVOKE,
	/* seats for programs without an agent, by API key */
	OP_SEAT_CHECKOUT,
	OP_SEAT_RENEW,
	OP_SEAT_RETURN,
	OP_SEAT_CANCEL,
	OP_SEAT_LICENSE,
	OP_LEASE_LIST,
	OP_LEASE_SHOW,
	OP_LEASE_RELEASE,
	OP_QUEUE_LIST,
	OP_QUEUE_REMOVE,
	OP_BORROW_LIST,
	OP_BORROW_SHOW,
	OP_BORROW_DELIVER,
	OP_BORROW_WRITE_OFF,
	OP_JOIN_CREATE,
	OP_JOIN_LIST,
	OP_JOIN_REVOKE,
	OP_KEY_GENERATE,
	OP_KEY_LIST,
	OP_KEY_SHOW,
	OP_KEY_RESTRICT,
	OP_KEY_ROTATE,
	OP_KEY_REVOKE,
	OP_SITE_KEY_LIST,
	OP_SITE_KEY_REVOKE,
	OP_DEVICE_LIST,
	OP_DEVICE_SHOW,
	OP_DEVICE_APPROVE,
	OP_DEVICE_REVOKE,
	OP_JOURNAL_BATCHES,
	OP_JOURNAL_CHECKPOINT,
	OP_JOURNAL_SHOW,
	OP_JOURNAL_PRUNE,
	OP_AUDIT_SEARCH,
	OP_AUDIT_STATE,
	OP_AUDIT_REBUILD,
	OP_USAGE_TRACK,
	OP_USAGE_CURRENT,
	OP_USAGE_REPORT,
	OP_USAGE_STATS,
	OP_USAGE_ALERTS,
	/* money */
	OP_BILLING_STATEMENT,
	OP_BILLING_OVERAGE,
	OP_BILLING_EVIDENCE,
	OP_SUBJECT_SHOW,
	OP_PERSON_FIND,
	OP_PERSON_EXPORT,
	OP_PERSON_ERASE,
	OP_ERASURE_LIST,
	OP_CLOCK_CONFIRM,
	OP_CLOCK_CORRECT,
	OP_ROLLBACK_ACKNOWLEDGE,
	/* alerts */
	OP_ALERT_LIST,
	OP_ALERT_SHOW,
	OP_ALERT_ACKNOWLEDGE,
	OP_CHANNEL_ADD,
	OP_CHANNEL_LIST,
	OP_CHANNEL_REMOVE,
	OP_CHANNEL_TEST,
	OP_OUTBOX_LIST,
	OP_OUTBOX_RETRY,
	OP_OUTBOX_DROP,
	/* tenants */
	OP_TENANT_CREATE,
	OP_TENANT_LIST,
	OP_TENANT_SHOW,
	OP_TENANT_CHANGE,
	OP_TENANT_USAGE,
	/* vault */
	OP_BACKUP_BEGIN,
	OP_BACKUP_READ,
	OP_BACKUP_END,
	OP_RESTORE_BEGIN,
	OP_RESTORE_PUT,
	OP_RESTORE_END,
	OP_RESTORE_LOOK,
	OP_RESTORE_DROP,
	OP_TENANT_EXPORT,
	OP_EXPORT_BEGIN,
	OP_EXPORT_READ,
	OP_EXPORT_END,
	OP_TENANT_DELETE,
	OP_CERTIFICATE_LIST,
	/* the box */
	OP_APPLIANCE_STATUS,
	OP_UPDATE_BEGIN,
	OP_UPDATE_PUT,
	OP_UPDATE_SHOW,
	OP_UPDATE_INSTALL,
	OP_UPDATE_USB,
	OP_UPDATE_DROP,
	OP_MAINTENANCE_OPEN,
	OP_MAINTENANCE_SHOW,
	/* people */
	OP_SESSION_CREATE,
	OP_SESSION_SHOW,
	OP_SESSION_END,
	OP_SESSION_LIST,
	OP_SESSION_REVOKE,
	OP_PASSWORD_CHANGE,
	OP_TOTP_BEGIN,
	OP_TOTP_CONFIRM,
	OP_TOTP_OFF,
	OP_USER_CREATE,
	OP_USER_LIST,
	OP_USER_SHOW,
	OP_USER_SET,
	OP_USER_DISABLE,
	OP_USER_ENABLE,
	OP_USER_REMOVE,
	OP_USER_RESET,
	OP_USER_TOTP_RESET,
	/* a vendor's account, on a hub */
	OP_HUB_GENERATE,
	OP_HUB_PROVISION,
	OP_HUB_PACKAGE,
	OP_HUB_LICENSE_LIST,
	OP_HUB_LICENSE_SHOW,
	OP_HUB_LICENSE_RENEW,
	OP_HUB_LICENSE_SUSPEND,
	OP_HUB_LICENSE_RESUME,
	OP_HUB_LICENSE_CANCEL,
	OP_HUB_STATISTICS,
	OP_HUB_ANALYTICS,
	OP_CUSTOMER_SEARCH,
	OP_CUSTOMER_ADD,
	OP_CUSTOMER_LIST,
	OP_CUSTOMER_SHOW,
	OP_CUSTOMER_SET,
	OP_TENANT_REGISTER,
	OP_TENANT_VERIFY,
	OP_HUB_SITE_ADD,
	OP_HUB_SITE_LIST,
	OP_HUB_SITE_SHOW,
	OP_HUB_REISSUE,
	OP_HUB_REPORT_IMPORT,
	OP_HUB_REPORT_TAKE,
	OP_HUB_KEY_SHOW,
	OP_HUB_KEY_MAKE,
	OP_HUB_KEY_INSTALL,
	OP_HUB_IMAGE_ADD,
	OP_HUB_IMAGE_LIST,
	OP_HUB_IMAGE_REMOVE,
	OP_BILLING_CREDIT_ADD,
	OP_BILLING_CREDIT_LIST,
	OP_BILLING_INVOICE_ADD,
	OP_BILLING_INVOICE_LIST,
	OP_EVENTS, /* a stream */
	OP_METRICS,
	/* open */
	OP_HEALTHZ,
	OP_READYZ,
	OP_OPENAPI, /* answered by the front itself */
	OPERATION_COUNT,
};

enum operation_kind {
	OPERATION_SESSION, /* changes the session only */
	OPERATION_COMMAND, /* through decide and fold */
	OPERATION_QUERY, /* a read transaction */
	OPERATION_SOFT, /* liveness: no row, no read of the store */
	OPERATION_NOTICE, /* site to agent */
};

/** What asking twice does, on HTTP: nothing, or nothing more than once. A client
 * that got no answer asks again (DESIGN 10), also after the power went. */
enum operation_repeat {
	REPEAT_AGENT, /* not on HTTP: its request has an id of its own */
	REPEAT_READS, /* it changes nothing */
	/** With an Idempotency-Key it is done once: that it was, and the answer,
	 * is written in the transaction that does it. */
	REPEAT_ONCE,
	/** The Idempotency-Key stands in the row that it makes. */
	REPEAT_ROW,
	/** By its nature: the second time there is nothing left to do, and it
	 * answers so, or refuses. An Idempotency-Key is kept when it is done:
	 * only a crash in that moment gives the second answer to a repeat. */
	REPEAT_SAME,
	/** Each makes another of what ends by itself and stands in no journal:
	 * a session, a copy to be read. An Idempotency-Key is not looked at. */
	REPEAT_ANEW,
};

/** Authority over one kind of thing. An operation names the one that it needs;
 * a credential has a set of them. */
enum scope {
	SCOPE_OPEN, /* anybody */
	SCOPE_SESSION, /* an agent's connection that said hello or is about to
			*/
	SCOPE_DEVICE, /* an agent that has proved itself */
	/* what a key, or a user by his role, has been given: */
	SCOPE_CHECKOUT, /* "license:checkout": take and renew seats by key */
	SCOPE_RETURN, /* "license:return" */
	SCOPE_BORROW, /* "license:borrow" */
	SCOPE_USAGE_WRITE, /* "usage:write" */
	SCOPE_USAGE_READ, /* "usage:read" */
	SCOPE_READ, /* "admin:read": look at everything but people */
	SCOPE_LICENSES, /* "admin:licenses": install, policy */
	SCOPE_LEASES, /* "admin:leases": seats, queue and borrows of others */
	SCOPE_DEVICES, /* "admin:devices": devices and enrolment tokens */
	SCOPE_KEYS, /* "admin:keys" */
	SCOPE_USERS, /* "admin:users" */
	SCOPE_SUBJECTS, /* "admin:subjects": names behind ids; erasure */
	SCOPE_AUDIT, /* "admin:audit": the journal and what it says */
	/* of the site as a whole: its own keys only (system.h) */
	SCOPE_SITE, /* "site:admin": clock, rollback, backup */
	SCOPE_TENANTS, /* "site:tenants" */
	/* of a vendor's account on a hub; a site gives neither */
	SCOPE_VENDOR, /* "vendor:admin": customers, licenses, issuing key */
	SCOPE_BILLING, /* "billing:read": what is owed */
	SCOPE_SELF, /* "user:self": what everybody who logged in may: look at
		       himself, change his password, log out */
	SCOPE_COUNT,
};

/** A set of scopes: a bit each. */
typedef uint32_t scope_set;
#define SCOPE_BIT(scope) ((scope_set)1 << (scope))
/** What an admin of one tenant may: "admin:*". */
#define SCOPES_ADMIN                                             \
	(SCOPE_BIT(SCOPE_READ) | SCOPE_BIT(SCOPE_LICENSES) |     \
	    SCOPE_BIT(SCOPE_LEASES) | SCOPE_BIT(SCOPE_DEVICES) | \
	    SCOPE_BIT(SCOPE_KEYS) | SCOPE_BIT(SCOPE_USERS) |     \
	    SCOPE_BIT(SCOPE_SUBJECTS) | SCOPE_BIT(SCOPE_AUDIT) | \
	    SCOPE_BIT(SCOPE_USAGE_READ))
/** And an admin of the site: also "site:*". */
#define SCOPES_SITE \
	(SCOPES_ADMIN | SCOPE_BIT(SCOPE_SITE) | SCOPE_BIT(SCOPE_TENANTS))

/** What an admin of an account may besides, where the site is a hub. */
#define SCOPES_HUB (SCOPE_BIT(SCOPE_VENDOR) | SCOPE_BIT(SCOPE_BILLING))

/** "admin:read"; NULL for those that no credential is given. */
const char *scope_name(enum scope scope);
/** The scopes that one name, or "admin:*" and the like, stands for; 0: none. */
scope_set scope_read(const char *name, size_t len);

struct operation {
	enum operation_id id;
	const char *name; /* JSON-RPC method, "lease.checkout" */
	const char *method; /* HTTP; NULL: not on HTTP */
	const char *path; /* "/api/v1/leases/{lease}" */
	enum operation_kind kind;
	enum scope scope;
	enum operation_repeat repeat;
	const struct record *request;
	const struct record *reply;
	int status; /* of a success on HTTP: 200, 201 */
	const char *doc;
	/** NULL, or: a reply may say "not yet" (HTTP 202), and does. */
	bool (*is_waiting)(const void *reply);
	/** Of a success on HTTP that is no JSON record: text that the reply's
	 * first field holds, or a stream of events. NULL: JSON. "": the reply
	 * is a billing_document, whose format says it. */
	const char *content_type;
};

/** On HTTP: are its parameters, but for those in the path, in a body? Else they
 * are in the query. */
static inline bool
operation_has_body(const struct operation *op)
{
	return op->method != NULL && op->method[0] == 'P';
}

/** Does an Idempotency-Key mean something to it? */
static inline bool
operation_takes_key(const struct operation *op)
{
	/* Returns are many, and need none. */
	return op->repeat == REPEAT_ROW || op->repeat == REPEAT_ONCE ||
	    (op->repeat == REPEAT_SAME && op->kind == OPERATION_COMMAND &&
		op->scope != SCOPE_RETURN);
}

/** Where an operation is done: a hub gives no seats, a site issues nothing. */
enum operation_place {
	OPERATION_ANYWHERE,
	OPERATION_ON_SITE,
	OPERATION_ON_HUB,
};
enum operation_place operation_place(const struct operation *op);
/** "anywhere", "site", "hub": for people and OpenAPI. */
const char *operation_place_name(const struct operation *op);
/** What it needs: what a customer owes is another matter at a hub, where it is
 * of many customers (billing:read), than at the site of one. */
enum scope operation_scope(const struct operation *op, bool hub);

/** "once", "same": for people and OpenAPI; NULL for those of agents. */
const char *operation_repeat_name(const struct operation *op);

/** By id; NULL when there is none. */
const struct operation *operation_get(uint32_t id);
/** By JSON-RPC name among the agents' operations (SESSION and DEVICE scope)
 * and notices. */
const struct operation *operation_by_name(const char *name, size_t len);

/** One {parameter} of a path: points into the request's path. */
struct operation_parameter {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};
#define OPERATION_PARAMETERS_MAX 4

/**
 * By HTTP method and path. NULL and *status 404 (no such path) or 405 (the
 * path has other methods; `allow` gets them, "GET, DELETE").
 */
const struct operation *operation_by_route(struct operation_parameter parameters
					       [OPERATION_PARAMETERS_MAX],
    size_t *n_parameters, int *status, char *allow, size_t allow_size,
    const char *method, const char *path);

/** The whole OpenAPI 3.1 document of the HTTP operations. */
void operations_write_openapi(struct buf *out, const char *version);

#endif
