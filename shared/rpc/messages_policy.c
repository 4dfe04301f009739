/* Tables: policies. */
#include "shared/rpc/messages_policy.h"

#include "shared/rpc/tables.h"

/* A list of such records is a JSON list of strings. */
#define BARE(NAME, doc_)                      \
	const struct record NAME##_record = { \
		.name = #NAME,                \
		.doc = (doc_),                \
		.version = 1,                 \
		.size = sizeof(struct NAME),  \
		.fields = NAME##_fields,      \
		.n_fields = 1,                \
		.bare = true,                 \
	}

const char *const policy_kind_names[] = { "include", "exclude", "max",
	"reserve", "linger", "borrow", "queue", "idle", NULL };
const char *const policy_each_names[] = { "all", "user", "host", "device",
	NULL };

static const struct record_field policy_user_fields[] = {
	R_TEXT(policy_user, user, 1, 63, 0,
	    "A user, as applications name "
	    "him."),
};
BARE(policy_user, "A user.");

static const struct record_field policy_host_fields[] = {
	R_TEXT(policy_host, host, 1, 127, 0,
	    "\"ws-7\", \"ws-7.plant.example\", or \"*.plant.example\" for all "
	    "below it. Case does not count."),
};
BARE(policy_host, "A host, or all below a name.");

static const struct record_field policy_device_fields[] = {
	R_TEXT(policy_device, device, 1, 31, 0,
	    "\"device-17\", or \"key-3\": a program with an API key."),
};
BARE(policy_device, "A device by its number.");

static const struct record_field policy_address_fields[] = {
	R_TEXT(policy_address, range, 2, 49, 0,
	    "\"192.0.2.0/24\", \"2001:db8::/32\" or an address."),
};
BARE(policy_address, "A range of addresses.");

static const struct record_field policy_group_name_fields[] = {
	R_TEXT(policy_group_name, group, 1, 63, 0, "A group of this policy."),
};
BARE(policy_group_name, "A group by its name.");

#define WHO(S, whose)                                                         \
	R_LIST(S, users, &policy_user_record, 0, POLICY_MEMBERS_MAX, OPT,     \
	    "Users " whose),                                                  \
	    R_LIST(S, hosts, &policy_host_record, 0, POLICY_MEMBERS_MAX, OPT, \
		"Hosts " whose),                                              \
	    R_LIST(S, devices, &policy_device_record, 0, POLICY_MEMBERS_MAX,  \
		OPT, "Devices and keys " whose),                              \
	    R_LIST(S, addresses, &policy_address_record, 0,                   \
		POLICY_MEMBERS_MAX, OPT, "Ranges of addresses " whose)

static const struct record_field policy_group_fields[] = {
	R_TEXT(policy_group, name, 1, 63, 0, "Its name; each is there once."),
	WHO(policy_group, "that are in it."),
};
RECORD_DEFINE(policy_group, 1,
    "Whoever is in one of its lists is in the group.");

static const struct record_field policy_rule_fields[] = {
	R_TEXT(policy_rule, name, 1, 63, 0,
	    "Its name, which refusals give; each is there once."),
	R_ENUM(policy_rule, kind, policy_kind_names, 0, "What it says."),
	R_TEXT(policy_rule, product, 0, 63, OPT,
	    "The product that it is about; absent: every one."),
	R_TEXT(policy_rule, version, 0, 95, OPT,
	    "Versions that it is about, such as \">=8.0.0 <9.0.0\"; absent: "
	    "all."),
	R_TEXT(policy_rule, feature, 0, 63, OPT,
	    "The feature; absent: the product and all its features, and of "
	    "reserve the product's own seats."),
	R_LIST(policy_rule, groups, &policy_group_name_record, 0,
	    POLICY_GROUPS_MAX, OPT,
	    "Groups that it is about. Without anybody named it is about "
	    "everybody."),
	WHO(policy_rule, "that it is about."),
	R_U32(policy_rule, seats, 0, LICENSE_SEATS_MAX, OPT,
	    "Of max: most seats at once. Of reserve: so many are kept. Of "
	    "borrow: most on loan at once."),
	R_ENUM(policy_rule, each, policy_each_names, OPT,
	    "Of max: all together (absent), or each user, host or device."),
	R_U32(policy_rule, linger_s, 0, POLICY_LINGER_MAX_S, OPT,
	    "Of linger: seconds that a seat stays taken after its return."),
	R_U32(policy_rule, idle_s, 0, POLICY_IDLE_MAX_S, OPT,
	    "Of idle: seconds without work after which a seat is taken back."),
	R_BOOL(policy_rule, silent, OPT,
	    "Of idle: also from applications that never say that somebody "
	    "works with them, from the checkout on."),
	R_BOOL(policy_rule, none, OPT,
	    "Of borrow: nothing is lent. Of queue: nobody waits."),
	R_U32(policy_rule, longest_s, 0, LICENSE_BORROW_MAX_S, OPT,
	    "Of borrow: the longest, in seconds."),
	R_U32(policy_rule, keep, 0, LICENSE_SEATS_MAX, OPT,
	    "Of borrow: so many seats are not lent, whoever asks."),
	R_U32(policy_rule, length, 0, 16384, OPT,
	    "Of queue: most who may wait at once."),
	R_U32(policy_rule, wait_s, 0, 604800, OPT,
	    "Of queue: the longest wait, in seconds."),
	R_U32(policy_rule, priority, 0, POLICY_PRIORITY_MAX, OPT,
	    "Of queue: higher goes first; absent: 0, as everybody's."),
};
RECORD_DEFINE(policy_rule, 1, "One rule of a policy.");

static const struct record_field policy_report_fields[] = {
	R_TEXT(policy_report, vendor, 0, 63, OPT,
	    "Of reports to this vendor; absent: to every one that has no entry "
	    "of its own."),
	R_ENUM(policy_report, people, report_people_names, 0,
	    "pseudonyms: devices by a name that this vendor alone has for "
	    "them. none: nothing. clear: names of users and hosts, too."),
};
RECORD_DEFINE(policy_report, 1,
    "What reports to a vendor tell of who used seats.");

static const struct record_field policy_document_fields[] = {
	R_TEXT(policy_document, comment, 0, 255, OPT, "For people."),
	R_BOOL(policy_document, ignore_case, OPT,
	    "\"ANN\" and \"ann\" are the same user (ASCII)."),
	R_LIST(policy_document, groups, &policy_group_record, 0,
	    POLICY_GROUPS_MAX, OPT, "Groups that rules name."),
	R_LIST(policy_document, rules, &policy_rule_record, 0, POLICY_RULES_MAX,
	    OPT, "The rules; their order does not matter."),
	R_LIST(policy_document, reports, &policy_report_record, 0,
	    POLICY_REPORTS_MAX, OPT,
	    "What reports tell of people; absent: pseudonyms of devices."),
};
RECORD_DEFINE(policy_document, 1,
    "What a site's admin narrows of what licenses allow.");

static const struct record_field policy_put_fields[] = {
	R_U64(policy_put, follows, 0, U53_MAX, OPT,
	    "The version that it replaces: conflict when another one is in "
	    "force by now. Absent: whichever."),
	R_STRUCT(policy_put, policy, &policy_document_record, OPT,
	    "The policy; absent: none from now on."),
};
RECORD_DEFINE(policy_put, 1, "A policy that comes into force.");

static const struct record_field policy_changed_fields[] = {
	R_U64(policy_changed, version, 1, U53_MAX, 0, "In force from now on."),
};
RECORD_DEFINE(policy_changed, 1, "Another policy is in force.");

static const struct record_field policy_version_fields[] = {
	R_U64(policy_version, version, 1, U53_MAX, OPT,
	    "Which; absent: the one in force."),
};
RECORD_DEFINE(policy_version, 1, "A version of the policy.");

static const struct record_field policy_summary_fields[] = {
	R_U64(policy_summary, version, 0, U53_MAX, 0,
	    "Counts from 1; 0: there is no policy yet."),
	R_TIME(policy_summary, at, OPT, "When it came into force."),
	R_STRUCT(policy_summary, by, &row_actor_record, OPT, "Who set it."),
	R_U32(policy_summary, rules, 0, POLICY_RULES_MAX, 0, "So many rules."),
	R_U32(policy_summary, groups, 0, POLICY_GROUPS_MAX, 0,
	    "So many groups."),
	R_U32(policy_summary, members, 0, POLICY_MEMBERS_MAX, 0,
	    "So many users, hosts, devices and ranges, as it was set."),
	R_FIXED(policy_summary, commitment, OPT,
	    "What its row in the journal says of the document: BLAKE2b-256 of "
	    "a salt and its bytes."),
	R_BOOL(policy_summary, in_force, 0, "It is the newest."),
	R_BOOL(policy_summary, kept, 0, "Its document is still kept."),
};
RECORD_DEFINE(policy_summary, 1, "What a version is.");

static const struct record_field policy_view_fields[] = {
	R_STRUCT(policy_view, summary, &policy_summary_record, 0,
	    "Which version."),
	R_STRUCT(policy_view, policy, &policy_document_record, OPT,
	    "What it says."),
};
RECORD_DEFINE(policy_view, 1, "A policy.");

static const struct record_field policy_query_fields[] = {
	R_CURSOR(policy_query, after, 'V', OPT, "Where to go on."),
	R_U32(policy_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(policy_query, 1, "Versions to list.");

static const struct record_field policy_page_fields[] = {
	R_LIST(policy_page, items, &policy_summary_record, 0, LIST_LIMIT_MAX, 0,
	    "Newest first."),
	R_CURSOR(policy_page, next, 'V', OPT,
	    "Where to go on; absent: that was all."),
};
RECORD_DEFINE(policy_page, 1, "Versions of the policy.");

static const struct record_field policy_check_fields[] = {
	R_BOOL(policy_check, in_force, OPT,
	    "Ask about the policy in force, and leave `policy` out."),
	R_STRUCT(policy_check, policy, &policy_document_record, OPT,
	    "The policy to try; absent: none at all."),
};
RECORD_DEFINE(policy_check, 1, "A policy to try.");

static const struct record_field policy_touched_fields[] = {
	R_U64(policy_touched, lease, 1, U53_MAX, 0, "The lease."),
	R_TEXT(policy_touched, product, 1, 63, 0, "Of this product."),
	R_TEXT(policy_touched, feature, 0, 63, OPT, "Of this feature."),
	R_U32(policy_touched, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_U64(policy_touched, device, 0, U53_MAX, 0, "Who holds it."),
	R_TEXT(policy_touched, user, 0, 63, OPT,
	    "For whom; absent: nobody said, or he was erased."),
	R_TEXT(policy_touched, host, 0, 127, OPT, "On which host."),
	R_TEXT(policy_touched, code, 1, 31, 0,
	    "Why it would be refused: excluded or policy_max."),
	R_TEXT(policy_touched, rule, 1, 63, 0, "The rule that says so."),
	R_BOOL(policy_touched, borrowed, OPT,
	    "It is on loan, and is not revoked."),
};
RECORD_DEFINE(policy_touched, 1,
    "A lease that the policy would refuse. It goes on.");

static const struct record_field policy_waiting_fields[] = {
	R_U64(policy_waiting, waiter, 1, U53_MAX, 0, "Who waits."),
	R_TEXT(policy_waiting, product, 1, 63, 0, "For this product."),
	R_TEXT(policy_waiting, feature, 0, 63, OPT, "For this feature."),
	R_TEXT(policy_waiting, user, 0, 63, OPT, "As this user."),
	R_TEXT(policy_waiting, code, 1, 31, 0,
	    "excluded: the wait would end; policy_max: it would be held up."),
	R_TEXT(policy_waiting, rule, 1, 63, 0, "The rule that says so."),
};
RECORD_DEFINE(policy_waiting, 1, "Somebody who waits, and would be told.");

static const struct record_field policy_impact_fields[] = {
	R_U64(policy_impact, version, 0, U53_MAX, 0,
	    "The version in force as this was looked at."),
	R_U32(policy_impact, rules, 0, POLICY_RULES_MAX, 0, "Its rules."),
	R_U32(policy_impact, groups, 0, POLICY_GROUPS_MAX, 0, "Its groups."),
	R_U32(policy_impact, members, 0, POLICY_MEMBERS_MAX, 0,
	    "Its users, hosts, devices and ranges."),
	R_U64(policy_impact, leases, 0, U53_MAX, 0, "Leases looked at."),
	R_U64(policy_impact, touched, 0, U53_MAX, 0,
	    "So many of them it would refuse. They go on."),
	R_LIST(policy_impact, items, &policy_touched_record, 0,
	    POLICY_TOUCHED_MAX, 0, "The first of those."),
	R_U32(policy_impact, waiting, 0, UINT32_MAX, 0, "So many wait."),
	R_U32(policy_impact, waiting_touched, 0, UINT32_MAX, 0,
	    "So many of them it would send away or hold up."),
	R_LIST(policy_impact, waiters, &policy_waiting_record, 0,
	    POLICY_TOUCHED_MAX, 0, "The first of those."),
};
RECORD_DEFINE(policy_impact, 1, "What would come of a policy.");

static const struct record_field policy_revoke_fields[] = {
	R_U64(policy_revoke, version, 1, U53_MAX, 0,
	    "The version in force; conflict when it is another."),
	R_U32(policy_revoke, grace_s, 0, POLICY_GRACE_MAX_S, 0,
	    "Seconds until leases end that it would refuse."),
};
RECORD_DEFINE(policy_revoke, 1,
    "Leases that a policy would refuse are to end.");

static const struct record_field policy_revoking_fields[] = {
	R_U64(policy_revoking, version, 1, U53_MAX, 0, "By this version."),
	R_TIME(policy_revoking, at, 0,
	    "When they end, if it is still in force then."),
};
RECORD_DEFINE(policy_revoking, 1, "When leases end.");
