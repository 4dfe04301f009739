/*
 * Records of a tenant's policy: the document that an admin writes, and what is
 * told of it. What its rules mean stands in appliance/ledger/POLICY.md; here is
 * its form alone. Names of people, hosts and addresses stand in it in the
 * clear: it is never logged, and lies sealed in the store.
 */
#ifndef SHARED_RPC_MESSAGES_POLICY_H
#define SHARED_RPC_MESSAGES_POLICY_H

#include "shared/journal/rows.h"
#include "shared/report/report.h"

#define POLICY_RULES_MAX 1000
#define POLICY_GROUPS_MAX 1000
/** Users, hosts, devices and addresses of all groups and rules together. */
#define POLICY_MEMBERS_MAX 100000
/** In MessagePack; in JSON a request's body bounds it (1 MiB). */
#define POLICY_BYTES_MAX ((size_t)1 << 20)
#define POLICY_LINGER_MAX_S 86400
#define POLICY_IDLE_MAX_S 2592000
#define POLICY_PRIORITY_MAX 100
#define POLICY_GRACE_MAX_S 604800
#define POLICY_REPORTS_MAX 256

/* Lists of these are lists of strings in JSON. */
struct policy_user {
	char user[64];
};
struct policy_host {
	char host[128]; /* or "*.plant.example": all below */
};
struct policy_device {
	char device[32]; /* "device-17", "key-3" */
};
struct policy_address {
	char range[64]; /* "192.0.2.0/24", "2001:db8::/32", one address */
};
struct policy_group_name {
	char group[64];
};

/** Who is in it: whoever is in one of its lists. */
struct policy_group {
	char name[64];
	struct record_list users; /* policy_user */
	struct record_list hosts; /* policy_host */
	struct record_list devices; /* policy_device */
	struct record_list addresses; /* policy_address */
};

enum policy_kind {
	POLICY_INCLUDE,
	POLICY_EXCLUDE,
	POLICY_MAX,
	POLICY_RESERVE,
	POLICY_LINGER,
	POLICY_BORROW,
	POLICY_QUEUE,
	POLICY_IDLE,
	POLICY_KINDS,
};
extern const char *const policy_kind_names[];

/** What a maximum is counted for. */
enum policy_each {
	POLICY_ALL, /* all whom the rule names, together */
	POLICY_EACH_USER, /* every one of them by himself */
	POLICY_EACH_HOST,
	POLICY_EACH_DEVICE,
};
extern const char *const policy_each_names[];

struct policy_rule {
	char name[64]; /* a refusal names it */
	uint32_t kind; /* enum policy_kind */
	/* what it is about */
	char product[64]; /* "": all */
	char version[96]; /* a range, ">=8.0.0 <9"; "": all */
	char feature[64]; /* "": all of the product */
	/* whom it is about; all empty: everybody */
	struct record_list groups; /* policy_group_name */
	struct record_list users;
	struct record_list hosts;
	struct record_list devices;
	struct record_list addresses;
	/* what it says; see POLICY.md for which kind takes which */
	uint32_t seats; /* max, reserve, borrow */
	uint32_t each; /* enum policy_each; max */
	uint32_t linger_s; /* linger */
	uint32_t idle_s; /* idle */
	bool silent; /* idle: also where the application never says so */
	bool none; /* borrow, queue: not at all */
	uint32_t longest_s; /* borrow */
	uint32_t keep; /* borrow: low-water mark */
	uint32_t length; /* queue: most who wait */
	uint32_t wait_s; /* queue: longest wait */
	uint32_t priority; /* queue: higher goes first */
};

/** What reports to a vendor tell of who used seats. */
struct policy_report {
	char vendor[64]; /* "": every one that has none of its own */
	uint32_t people; /* enum report_people */
};

struct policy_document {
	char comment[256];
	bool ignore_case; /* of users' names */
	struct record_list groups; /* policy_group */
	struct record_list rules; /* policy_rule */
	struct record_list reports; /* policy_report; none: pseudonyms */
};

/** policy.put */
struct policy_put {
	uint64_t follows; /* the version that it replaces; 0: whichever */
	struct policy_document policy;
};
struct policy_version {
	uint64_t version; /* 0: the one in force */
};
/** What a version is, without what it says. */
struct policy_summary {
	uint64_t version; /* from 1; 0: there was never one */
	int64_t at;
	struct row_actor by;
	uint32_t rules;
	uint32_t groups;
	uint32_t members;
	uint8_t commitment[32];
	bool in_force;
	bool kept; /* its document is still there */
};
struct policy_view {
	struct policy_summary summary;
	struct policy_document policy;
};
struct policy_query {
	uint64_t after; /* cursor */
	uint32_t limit;
};
struct policy_page {
	struct record_list items; /* policy_summary, newest first */
	uint64_t next; /* cursor; 0: that was all */
};

/** policy.changed, to every agent that is connected, once: what was refused may
 * be granted now, and the other way round. What the policy says is none of
 * theirs. */
struct policy_changed {
	uint64_t version;
};

/** policy.check: what would come of it. */
struct policy_check {
	bool in_force; /* ask about the one in force; `policy` is absent */
	struct policy_document policy;
};
#define POLICY_TOUCHED_MAX 1000
/** A lease that the policy would refuse today; it goes on. */
struct policy_touched {
	uint64_t lease;
	char product[64];
	char feature[64];
	uint32_t count;
	uint64_t device;
	char user[64]; /* "": erased */
	char host[128];
	char code[32]; /* excluded, policy_max */
	char rule[64];
	bool borrowed; /* it ends when it is given back, and not before */
};
/** Somebody who waits. */
struct policy_waiting {
	uint64_t waiter;
	char product[64];
	char feature[64];
	char user[64];
	char code[32]; /* excluded: the wait ends; others: it is held up */
	char rule[64];
};
struct policy_impact {
	uint64_t version; /* in force as it was looked at */
	uint32_t rules, groups, members;
	uint64_t leases; /* so many were looked at */
	uint64_t touched; /* of them */
	struct record_list items; /* policy_touched: the first of them */
	uint32_t waiting; /* so many wait, */
	uint32_t waiting_touched; /* and of so many it says something */
	struct record_list waiters; /* policy_waiting: the first of them */
};
/** policy.revoke: who holds what the policy in force would refuse loses it. */
struct policy_revoke {
	uint64_t version; /* that must be in force, now and then */
	uint32_t grace_s;
};
struct policy_revoking {
	uint64_t version;
	int64_t at; /* when it begins */
};

extern const struct record policy_user_record, policy_host_record,
    policy_device_record, policy_address_record, policy_group_name_record,
    policy_group_record, policy_rule_record, policy_report_record,
    policy_document_record, policy_put_record, policy_changed_record,
    policy_version_record, policy_summary_record, policy_view_record,
    policy_query_record, policy_page_record, policy_check_record,
    policy_touched_record, policy_waiting_record, policy_impact_record,
    policy_revoke_record, policy_revoking_record;

#endif
