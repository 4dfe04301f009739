/* Tables: one person's data; see messages_privacy.h. */
#include "shared/rpc/messages_privacy.h"

#include "shared/rpc/tables.h"

#define FACT_MAX ((uint64_t)128 << 10)

static const struct record_field person_query_fields[] = {
	R_TEXT(person_query, name, 1, 127, 0, "The name, as users have it."),
	R_BOOL(person_query, hosts, OPT,
	    "Hosts, devices and addresses of that name as well."),
	R_BOOL(person_query, mentions, OPT,
	    "And words of admins in which the name stands."),
	R_FIXED(person_query, after, OPT, "Where the last page ended."),
};
RECORD_DEFINE(person_query, 1, "Which subjects are a person's?");

static const struct record_field person_subject_fields[] = {
	R_FIXED(person_subject, subject, 0, "Its id in the journal."),
	R_ENUM(person_subject, kind, subject_kind_names, 0, "What it is."),
	R_TEXT(person_subject, value, 0, 127, 0, "What it stands for."),
};
RECORD_DEFINE(person_subject, 1, "A subject, and what it stands for.");

static const struct record_field person_page_fields[] = {
	R_LIST(person_page, items, &person_subject_record, 0,
	    PERSON_SUBJECTS_MAX, 0, "In no order that means anything."),
	R_FIXED(person_page, next, OPT, "For the next page; absent: the end."),
};
RECORD_DEFINE(person_page, 1, "A page of a person's subjects.");

static const struct record_field person_export_fields[] = {
	R_TEXT(person_export, name, 1, 127, 0, "The name, as users have it."),
	R_BOOL(person_export, hosts, OPT,
	    "Hosts, devices and addresses of that name as well."),
	R_BOOL(person_export, mentions, OPT,
	    "And keys in whose words the name stands."),
	R_LIST(person_export, subjects, &row_subject_record, 0,
	    PERSON_SUBJECTS_MAX, OPT, "Other subjects that are his."),
	R_TEXT(person_export, cursor, 0, 31, OPT, "Of the last answer."),
};
RECORD_DEFINE(person_export, 1, "What is known of a person?");

static const struct record_field person_row_fields[] = {
	R_U64(person_row, row, 1, U53_MAX, 0, "Its number."),
	R_U64(person_row, batch, 0, U53_MAX, 0, "The batch it stands in."),
	R_TIME(person_row, time, 0, "When."),
	R_TEXT(person_row, kind, 1, 31, 0, "What it is."),
	R_STRING(person_row, fact, 2, FACT_MAX, 0, "The row, as JSON."),
};
RECORD_DEFINE(person_row, 1, "A fact of the journal that names a person.");

static const struct record_field person_document_fields[] = {
	R_TEXT(person_document, kind, 1, 15, 0, "user, key or contact."),
	R_U64(person_document, number, 0, U53_MAX, OPT,
	    "Its number; a contact has none."),
	R_STRING(person_document, text, 2, FACT_MAX, 0, "As JSON."),
};
RECORD_DEFINE(person_document, 1, "What is kept of a user, key or contact.");

static const struct record_field person_data_fields[] = {
	R_LIST(person_data, subjects, &person_subject_record, 0, PERSON_IDS_MAX,
	    OPT, "Ids that stand for him."),
	R_LIST(person_data, documents, &person_document_record, 0,
	    PERSON_DOCUMENTS_MAX, OPT,
	    "Accounts and keys that name him; and the tenant's contact."),
	R_LIST(person_data, sessions, &login_session_record, 0,
	    PERSON_SESSIONS_MAX, OPT, "Login sessions of those accounts, now."),
	R_LIST(person_data, leases, &lease_view_record, 0, LIST_LIMIT_MAX, OPT,
	    "Seats held for him now, borrowed ones too."),
	R_LIST(person_data, rows, &person_row_record, 0, PERSON_ROWS_MAX, OPT,
	    "Facts of the journal that name him."),
	R_TEXT(person_data, cursor, 0, 31, OPT,
	    "For the next answer; absent: that was all."),
};
RECORD_DEFINE(person_data, 1, "A part of what is known of a person.");

static const struct record_field person_erase_fields[] = {
	R_TEXT(person_erase, name, 1, 127, 0, "The name, as users have it."),
	R_BOOL(person_erase, hosts, OPT,
	    "Hosts, devices and addresses of that name as well."),
	R_BOOL(person_erase, mentions, OPT,
	    "And words of admins in which the name stands."),
	R_BOOL(person_erase, force, OPT, "Though seats are held for him."),
};
RECORD_DEFINE(person_erase, 1, "Erase a person.");

static const struct record_field person_erased_fields[] = {
	R_U64(person_erased, erasure, 1, U53_MAX, 0, "Its number."),
	R_TIME(person_erased, at, 0, "When."),
	R_LIST(person_erased, subjects, &erased_subject_record, 0,
	    ERASURE_SUBJECTS_MAX, 0, "Ids that mean nobody any more."),
	R_LIST(person_erased, users, &row_number_record, 0, ERASURE_USERS_MAX,
	    OPT, "Users whose accounts are gone."),
	R_U32(person_erased, keys, 0, ERASURE_KEYS_MAX, OPT,
	    "So many API keys do not name him any more."),
	R_U32(person_erased, contacts, 0, 1, OPT,
	    "1: nor does the tenant's contact."),
	R_U64(person_erased, batch, 0, U53_MAX, 0, "The batch that says so."),
	R_BOOL(person_erased, wiped, 0,
	    "The old key of the names is written over."),
	R_BOOL(person_erased, more, OPT, "Not all had room: ask again."),
	R_STRING(person_erased, document, 1, ERASURE_TOKEN_MAX, 0,
	    "The site's signed word."),
	R_TEXT(person_erased, remains, 0, 255, 0, "What could not be erased."),
};
RECORD_DEFINE(person_erased, 1, "A person was erased.");

static const struct record_field erasure_query_fields[] = {
	R_U64(erasure_query, after, 0, U53_MAX, OPT, "The last one seen."),
	R_U32(erasure_query, limit, 0, LIST_LIMIT_MAX, OPT, "Most of a page."),
};
RECORD_DEFINE(erasure_query, 1, "Which erasures?");

static const struct record_field erasure_view_fields[] = {
	R_U64(erasure_view, erasure, 1, U53_MAX, 0, "Its number."),
	R_TIME(erasure_view, at, 0, "When."),
	R_U32(erasure_view, subjects, 0, UINT32_MAX, 0, "So many ids."),
	R_U32(erasure_view, users, 0, UINT32_MAX, OPT, "So many accounts."),
	R_U64(erasure_view, row, 1, U53_MAX, 0, "Its row."),
	R_U64(erasure_view, batch, 0, U53_MAX, 0, "The batch of the row."),
	R_STRUCT(erasure_view, by, &row_actor_record, 0, "By whose order."),
	R_STRING(erasure_view, document, 1, ERASURE_TOKEN_MAX, 0,
	    "The site's signed word."),
};
RECORD_DEFINE(erasure_view, 1, "A person who was erased.");

static const struct record_field erasure_page_fields[] = {
	R_LIST(erasure_page, items, &erasure_view_record, 0, LIST_LIMIT_MAX, 0,
	    "In order."),
	R_U64(erasure_page, next, 0, U53_MAX, OPT,
	    "For the next page; 0: the end."),
};
RECORD_DEFINE(erasure_page, 1, "A page of erasures.");
