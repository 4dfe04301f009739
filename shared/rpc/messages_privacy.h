/*
 * What is said on the wire about one person's data: what is known of him, and
 * that he is to be erased. Source: DESIGN 5. It must not know who acts on it.
 */
#ifndef SHARED_RPC_MESSAGES_PRIVACY_H
#define SHARED_RPC_MESSAGES_PRIVACY_H

#include "shared/journal/erasure.h"
#include "shared/rpc/messages.h"
#include "shared/rpc/messages_user.h"

/** Subjects of one page, and of one export. */
#define PERSON_SUBJECTS_MAX ERASURE_SUBJECTS_MAX
#define PERSON_ROWS_MAX 256
#define PERSON_DOCUMENTS_MAX 64
/** Of a page: each user has some. */
#define PERSON_SESSIONS_MAX 256
/** A name has an id as user, host, device and address besides those. */
#define PERSON_IDS_MAX (PERSON_SUBJECTS_MAX + 4)

/** Whose data: by a name as users have it. */
struct person_query {
	char name[128];
	bool hosts; /* hosts, devices and addresses of that name as well */
	bool mentions; /* and words of admins in which the name stands */
	uint8_t after[SUBJECT_BYTES]; /* where the last page ended */
};
struct person_subject {
	uint8_t subject[SUBJECT_BYTES];
	uint32_t kind; /* enum subject_kind */
	char value[128];
};
struct person_page {
	struct record_list items; /* person_subject */
	uint8_t next[SUBJECT_BYTES]; /* zero: that was all */
};

struct person_export {
	char name[128];
	bool hosts;
	bool mentions; /* keys in whose words the name stands, too */
	/** row_subject: others that are his, as person_query found them. */
	struct record_list subjects;
	char cursor[32]; /* of the last answer; "" begins */
};
/** A fact of the journal that names him. */
struct person_row {
	uint64_t row;
	uint64_t batch;
	int64_t time;
	char kind[32]; /* "lease.granted" */
	struct record_span fact; /* JSON */
};
/** What is kept of a user or a key, or that he is whom to call. */
struct person_document {
	char kind[16]; /* "user", "key", "contact" */
	uint64_t number; /* 0: of a contact, which has none */
	struct record_span text; /* JSON */
};
struct person_data {
	struct record_list subjects; /* person_subject; in the first answer */
	struct record_list documents; /* person_document */
	/** login_session: of the users among those documents. */
	struct record_list sessions;
	struct record_list leases; /* lease_view: seats held, and borrows */
	struct record_list rows; /* person_row */
	char cursor[32]; /* for the next answer; "": that was all */
};

struct person_erase {
	char name[128];
	bool hosts;
	bool mentions;
	bool force; /* though seats are held for him */
};
struct person_erased {
	uint64_t erasure;
	int64_t at;
	struct record_list subjects; /* erased_subject */
	struct record_list users; /* row_number */
	uint32_t keys; /* API keys that do not name him any more */
	uint32_t contacts; /* 1: nor does the tenant's contact */
	uint64_t batch;
	bool wiped; /* the old key of the names is written over */
	bool more; /* not all had room in one: ask again */
	struct record_span document; /* signed: see erasure.h */
	char remains[256]; /* what could not be erased */
};

struct erasure_query {
	uint64_t after;
	uint32_t limit;
};
struct erasure_view {
	uint64_t erasure;
	int64_t at;
	uint32_t subjects; /* so many */
	uint32_t users;
	uint64_t row;
	uint64_t batch;
	struct row_actor by;
	struct record_span document;
};
struct erasure_page {
	struct record_list items; /* erasure_view */
	uint64_t next;
};

extern const struct record person_query_record, person_subject_record,
    person_page_record, person_export_record, person_row_record,
    person_document_record, person_data_record, person_erase_record,
    person_erased_record, erasure_query_record, erasure_view_record,
    erasure_page_record;

#endif
