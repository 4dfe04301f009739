/*
 * Errors: one list, from which come the numbers inside the programs, the
 * stable codes on the wire and the words for people.
 *
 * A *refusal* (no seats, not entitled) is a reply value and carries one of the
 * codes of DESIGN 10; a *fault* (disk, memory, broken input) is an error that a
 * function returns. Both are members of this enum, so that one function can
 * name either. It must not know who logs or shows them.
 */
#ifndef SHARED_BASE_ERR_H
#define SHARED_BASE_ERR_H

/* X(name, value, wire code, text for people) */
#define ERR_LIST(X)                                                            \
	/* faults: something did not work */                                   \
	X(ERR_NOMEM, -1, "unavailable", "out of memory")                       \
	X(ERR_IO, -2, "unavailable", "input/output error")                     \
	X(ERR_FULL, -3, "unavailable", "no room on the disk or in the map")    \
	X(ERR_CORRUPT, -4, "unavailable", "stored data is damaged")            \
	X(ERR_BUSY, -5, "unavailable", "busy; try again")                      \
	X(ERR_SYSTEM, -6, "unavailable", "the operating system refused")       \
	X(ERR_TIMEOUT, -7, "unavailable", "no answer in time")                 \
	X(ERR_CLOSED, -8, "unavailable", "the connection is closed")           \
	X(ERR_UNKNOWN_ROW, -9, "unavailable", "a row of an unknown kind")      \
	X(ERR_NOT_FOUND_INTERNAL, -10, "not_found", "no such entry")           \
	/* what a verifier finds */                                            \
	X(ERR_BAD_SIGNATURE, -20, "bad_proof", "the signature does not hold")  \
	X(ERR_BAD_TOKEN, -21, "bad_request", "not a signed document")          \
	X(ERR_BAD_PATH, -22, "bad_proof", "the row is not in the journal")     \
	X(ERR_FORK, -23, "rolled_back",                                        \
	    "the journal was forked or rolled back")                           \
	X(ERR_MISMATCH, -24, "bad_proof",                                      \
	    "the answer is for another question")                              \
	X(ERR_EXPIRED, -25, "bad_proof", "the document is not valid now")      \
	X(ERR_UNTRUSTED, -26, "bad_proof", "not signed by a trusted key")      \
	/* refusals: the stable codes of the wire */                           \
	X(ERR_UNAUTHENTICATED, -40, "unauthenticated",                         \
	    "say who you are first")                                           \
	X(ERR_FORBIDDEN, -41, "forbidden", "not allowed to do this")           \
	X(ERR_NOT_FOUND, -42, "not_found", "there is no such thing")           \
	X(ERR_CONFLICT, -43, "conflict", "it contradicts what is there")       \
	X(ERR_GONE, -44, "gone", "it was there and has ended")                 \
	X(ERR_TOO_LARGE, -45, "too_large", "more bytes than allowed")          \
	X(ERR_BAD_REQUEST, -46, "bad_request", "the request is malformed")     \
	X(ERR_RATE_LIMITED, -47, "rate_limited", "too many requests")          \
	X(ERR_UNAVAILABLE, -48, "unavailable", "cannot be done right now")     \
	X(ERR_NO_SEATS, -49, "no_seats", "every seat is taken")                \
	X(ERR_OVERAGE_EXHAUSTED, -50, "overage_exhausted",                     \
	    "every seat and all allowed overage is taken")                     \
	X(ERR_NOT_ENTITLED, -51, "not_entitled",                               \
	    "no license for this product is installed")                        \
	X(ERR_VERSION_NOT_COVERED, -52, "version_not_covered",                 \
	    "the license does not cover this version")                         \
	X(ERR_LICENSE_EXPIRED, -53, "license_expired",                         \
	    "the license's contract is not running today")                     \
	X(ERR_LICENSE_SUSPENDED, -54, "license_suspended",                     \
	    "the vendor has suspended the license")                            \
	X(ERR_EXCLUDED, -55, "excluded", "the site's policy excludes you")     \
	X(ERR_MAX_REACHED, -56, "max_reached",                                 \
	    "the site's maximum is reached")                                   \
	X(ERR_BORROW_LIMIT, -57, "borrow_limit",                               \
	    "the borrow limit is reached")                                     \
	X(ERR_QUEUE_FULL, -58, "queue_full", "the queue is full")              \
	X(ERR_UNKNOWN_DEVICE, -59, "unknown_device",                           \
	    "the site does not know this device")                              \
	X(ERR_DEVICE_REVOKED, -60, "device_revoked", "the device was revoked") \
	X(ERR_CLASS_NOT_ALLOWED, -61, "class_not_allowed",                     \
	    "this class of device is not accepted")                            \
	X(ERR_BAD_PROOF, -62, "bad_proof", "the proof does not hold")          \
	X(ERR_CLOCK_TAMPERED, -63, "clock_tampered", "the clock was changed")  \
	X(ERR_ROLLED_BACK, -64, "rolled_back",                                 \
	    "the site's journal is older than what you have seen")             \
	X(ERR_HOSTNAME_NOT_ALLOWED, -65, "hostname_not_allowed",               \
	    "this host name is not allowed")                                   \
	X(ERR_IP_NOT_ALLOWED, -66, "ip_not_allowed",                           \
	    "this address is not allowed")                                     \
	X(ERR_FINGERPRINT_BLOCKED, -67, "fingerprint_blocked",                 \
	    "this application is blocked")                                     \
	X(ERR_QUOTA_EXCEEDED, -68, "quota_exceeded", "the quota is used up")   \
	X(ERR_WRONG_TENANT, -69, "wrong_tenant",                               \
	    "the credential is not of this host name's tenant")                \
	X(ERR_CERTIFICATE_NOT_ALLOWED, -70, "certificate_not_allowed",         \
	    "this client certificate is not allowed")                          \
	X(ERR_OUTSIDE_HOURS, -71, "outside_hours",                             \
	    "not within the hours that are allowed")                           \
	X(ERR_TENANT_SUSPENDED, -72, "tenant_suspended",                       \
	    "the tenant is suspended")                                         \
	X(ERR_LOCKED_OUT, -73, "locked_out",                                   \
	    "locked out for a while after wrong passwords")                    \
	X(ERR_POLICY_MAX, -76, "policy_max",                                   \
	    "the site's policy lets you hold no more at once")                 \
	X(ERR_RESERVED, -77, "reserved",                                       \
	    "the seats that are free are reserved for others")                 \
	X(ERR_IDLE, -78, "idle", "the seat was not used for too long")

enum err {
	ERR_OK = 0,
#define X(name, value, code, text) name = value,
	ERR_LIST(X)
#undef X
};

/** Words for people, never NULL; "done" for 0. Static. */
const char *err_str(int err);

/** The stable code of DESIGN 10 ("no_seats"), "ok" for 0. Static. */
const char *err_code(int err);

/** The name in the source ("ERR_NO_SEATS"), for logs. Static. */
const char *err_name(int err);

/**
 * The refusal a stable code names, for clients that read one off the wire.
 * Unknown codes, and "ok", give ERR_UNAVAILABLE: never 0. The refusals come
 * first in the search, so that "unavailable" gives ERR_UNAVAILABLE and not a
 * fault.
 */
int err_from_code(const char *code);

/** HTTP status for an error or refusal (RFC 9110): 409 for ERR_NO_SEATS. */
int err_http_status(int err);

#endif
