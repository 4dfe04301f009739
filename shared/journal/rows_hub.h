/*
 * The facts of a hub: customers of a vendor's account, what was ordered for
 * them, the sites that it is for, what was issued and how it changed. They
 * stand in the journal of the account, which is a tenant of the hub, and in no
 * site's. Companies are named here, persons are not: whom to write to lies in a
 * sealed document, an admin's words are a subject. Tables in rows_hub.c; rows.h
 * includes this, nobody else does.
 */
#ifndef SHARED_JOURNAL_ROWS_HUB_H
#define SHARED_JOURNAL_ROWS_HUB_H

/** The account has a new issuing key; its secret lies in a sealed document. The
 * one before issues nothing more; what it signed stays good. */
struct row_account_key {
	uint64_t key; /* from 1, without a gap */
	uint8_t public_key[TOKEN_PUBLIC_BYTES];
	uint8_t document[16];
	uint8_t commitment[32];
	struct row_actor by;
};

/** The vendor's root key vouches for it. */
struct row_account_issuer {
	uint64_t key;
	uint8_t root[TOKEN_PUBLIC_BYTES];
	struct license_vendor vendor;
	int64_t not_before;
	int64_t not_after;
	struct record_span issuer; /* the token */
	struct row_actor by;
};

enum customer_status {
	CUSTOMER_ACTIVE,
	CUSTOMER_PENDING, /* its domain is to be verified */
	CUSTOMER_EXPIRED, /* it never was */
	CUSTOMER_SUSPENDED, /* nothing is issued for it */
};
extern const char *const customer_status_names[];

enum customer_plan {
	CUSTOMER_NO_PLAN, /* no limit of its own */
	CUSTOMER_FREE, /* 1 vendor, 10 licenses */
	CUSTOMER_STARTUP, /* 3, 100 */
	CUSTOMER_PROFESSIONAL, /* 10, 1,000 */
	CUSTOMER_ENTERPRISE, /* no limit */
};
extern const char *const customer_plan_names[];

/** A customer as it is from here on: of both rows, added and changed. */
struct row_customer {
	uint64_t customer; /* per-account number, from 1 */
	char crm_account_id[64]; /* "ACC-98765" */
	char name[128]; /* of the company */
	char tenant_id[64]; /* "mercedes"; "": not told */
	char domain[128]; /* of a registration; "": none */
	char country[3];
	char region[32];
	uint32_t plan; /* enum customer_plan */
	uint32_t status; /* enum customer_status */
	uint8_t document[16]; /* sealed: mail, names, tax id; zero: none */
	uint8_t commitment[32];
	struct row_actor by;
};

/** A license is to be for that customer; nothing is signed yet. */
struct row_license_ordered {
	uint64_t order; /* per-account number, from 1 */
	uint64_t customer;
	char license_id[64]; /* "lic-vector-mercedes-2026-001" */
	char opportunity[64]; /* of the CRM; "": none */
	/** BLAKE2b-256 of what was asked: the same again is no conflict. */
	uint8_t asked[32];
	bool provision; /* to be issued as soon as its site is known */
	struct license_terms terms;
	struct row_actor by;
};

/** A site is that customer's: its activation request arrived, and is signed by
 * the key that it names. */
struct row_site_bound {
	uint64_t number; /* per-account number, from 1 */
	uint64_t customer;
	struct license_request request;
	struct row_actor by;
};

/** A site goes on in another box, with another key; an admin confirmed it.
 * Nothing that the old key signs is believed from here on. */
struct row_site_reissued {
	uint64_t number; /* of the site here */
	uint8_t retired[32];
	struct license_request request; /* signed with the new one */
	struct row_actor by;
};

/** An ordered license may be issued from here on; an admin or the CRM says so. */
struct row_license_released {
	uint64_t order;
	struct row_actor by;
};

/** A license was signed. Serials of an order go up. ROW_LICENSE_FOUND: it was
 * signed before the journal was put back, which does not know it; its site has
 * shown it. */
struct row_license_issued {
	uint64_t order;
	uint64_t serial;
	uint64_t site; /* number of the site here */
	uint64_t key; /* that signed */
	int64_t at; /* as the license says */
	struct license_contract contract; /* of this serial */
	uint8_t digest[32]; /* that names it: license_digest() */
	struct record_span token;
	struct row_actor by;
};

enum revision_what {
	REVISION_RENEWED, /* LICENSE_ISSUED with the new serial precedes it */
	REVISION_SUSPENDED,
	REVISION_RESUMED,
	REVISION_CANCELLED,
};
extern const char *const revision_what_names[];

/** A license is so from here on, and its site is to be told. */
struct row_license_revised {
	uint64_t order;
	uint64_t revision; /* of this order: goes up */
	uint32_t what; /* enum revision_what */
	uint64_t serial; /* in force */
	bool automatic; /* the hub did it before the contract's end */
	uint8_t reason[SUBJECT_BYTES]; /* an admin's words; zero: none */
	/** The signed license_change; empty: there is none (yet). */
	struct record_span token;
	struct row_actor by;
};

/** The contract of a license is over; the hub looked. Nothing follows from it but
 * that it is known: what the license may do says its contract. */
struct row_license_expired {
	uint64_t order;
	uint64_t serial; /* in force */
	int32_t end_date; /* the last day that it was good */
};

/** A report of a site was verified and taken: appliance/hub keeps where it
 * ends, its figures are in appliance/metering. */
struct row_report_taken {
	uint64_t site; /* number of the site here */
	uint64_t sequence; /* of the site's reports to this vendor */
	/* Where it ends: the report_mark that the next one continues. */
	uint64_t batch;
	uint8_t head[32];
	uint8_t history[32];
	uint32_t generation;
	int64_t time; /* of the batch */
	uint64_t overage; /* the header's running total */
	uint8_t digest[32]; /* BLAKE2b-256 of the report's token */
	struct record_span receipt; /* the signed answer */
};

extern const struct record row_account_key_record, row_account_issuer_record,
    row_customer_record, row_license_ordered_record, row_site_bound_record,
    row_site_reissued_record, row_license_released_record,
    row_license_issued_record, row_license_revised_record,
    row_license_expired_record, row_report_taken_record;

#endif
