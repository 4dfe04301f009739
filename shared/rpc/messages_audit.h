/*
 * Records of the audit: what is searched for, and what is found. Entries name
 * people, hosts and addresses in the clear: who may ask has the scope
 * admin:audit. It must not know how they are found.
 */
#ifndef SHARED_RPC_MESSAGES_AUDIT_H
#define SHARED_RPC_MESSAGES_AUDIT_H

#include "shared/record/record.h"

#include <stdint.h>

/** Entries of one page at most. */
#define AUDIT_PAGE_MAX 500

/** Empty or 0: any. What is given must all fit. */
struct audit_query {
	char user[128];
	char hostname[128];
	char ip_address[64]; /* an address, or a range of them */
	char product[64];
	char result[48]; /* "granted", "no_seats"; "refused": any code */
	char event[48]; /* "lease.granted", "device.revoke" */
	char actor[32]; /* "site", "admin-1", "user-3", "device-9", "key-7" */
	char device_id[32];
	char api_key_id[32];
	char fingerprint[65];
	int64_t from; /* 0: any */
	int64_t to; /* exclusive; 0: any */
	bool oldest_first;
	uint64_t after; /* cursor */
	uint32_t limit;
};

/** A decision or an act. "erased" stands in the place of what was erased. */
struct audit_item {
	uint64_t row; /* of the journal, which proves it */
	int64_t timestamp;
	char tenant_id[64];
	char event[48];
	char result[48];
	char actor[32];
	char api_key_id[32];
	char device_id[32];
	char product[64];
	char user[128];
	char hostname[128];
	char ip_address[64];
	char fingerprint[65];
	uint64_t license;
	uint64_t lease;
	uint64_t object; /* number of a user, an enrolment token, an erasure */
	uint64_t count; /* so many of one cause within a minute */
	char reason[128]; /* the words of who did it */
};
/** A page may hold fewer than `limit`, even none, and yet not be the last:
 * `next` says. */
struct audit_page {
	struct record_list items; /* audit_item */
	uint64_t next; /* cursor; 0: that was all */
	/** Rows of the journal that are not searched yet: the projection is
	 * being made. */
	uint64_t behind;
};

struct audit_state {
	uint64_t rows; /* of the journal */
	uint64_t behind; /* of them, that are not in the projection yet */
	uint64_t entries;
	uint64_t size_bytes;
	/** Entries of rows up to this one were given up; the rows are in the
	 * journal. 0: none. */
	uint64_t given_up_to;
	uint32_t keep_days; /* how long entries are kept; 0: for ever */
};

/**
 * A line of an export: what it is, then (where it does not begin with the
 * journal) the signed header before its first batch with the history's complete
 * subtrees, then each batch followed by the entries made from its rows, and its
 * end. Whoever has the site's public key checks all of it without the site.
 */
#define AUDIT_EXPORT "leasehold-audit"
#define AUDIT_EXPORT_VERSION 1
struct audit_line {
	char export_[32]; /* AUDIT_EXPORT: the first line */
	uint32_t version;
	char site[64];
	char tenant[64];
	char site_key[128]; /* k4.public... */
	struct record_list succession; /* succession_step: of that key */
	int64_t made_at;
	bool filtered; /* not every row of its batches has its entry */
	struct record_span checkpoint; /* a header */
	struct record_span frontier; /* 32 bytes each */
	struct record_span blob; /* a batch */
	struct audit_item entry;
	bool end; /* the last line: */
	uint64_t batches;
	uint64_t entries;
};

extern const struct record audit_query_record, audit_item_record,
    audit_page_record, audit_state_record, audit_line_record;

#endif
