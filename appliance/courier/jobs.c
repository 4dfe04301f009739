/* Record tables of jobs.h. */
#include "appliance/courier/jobs.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

const char *const courier_outcome_names[] = { "done", "wrong", "no_role",
	"unavailable", NULL };

static const struct record_field courier_bind_fields[] = {
	R_TEXT(courier_bind, login, 1, USER_LOGIN_MAX, 0, "Login"),
	R_STRING(courier_bind, password, 1, USER_PASSWORD_MAX, RECORD_SECRET,
	    "Password"),
};
RECORD_DEFINE(courier_bind, 1, "A login for the directory to judge");

static const struct record_field courier_bound_fields[] = {
	R_ENUM(courier_bound, outcome, courier_outcome_names, 0,
	    "What it said"),
	R_ENUM(courier_bound, role, user_role_names, 0, "By his groups"),
	R_TEXT(courier_bound, name, 0, 127, 0, "Name"),
	R_TEXT(courier_bound, mail, 0, 127, 0, "Mail"),
};
RECORD_DEFINE(courier_bound, 1, "What the directory says of him");

/* --- deliveries --------------------------------------------------------------- */

const char *const courier_delivery_names[] = { "delivered", "failed", NULL };

static const struct record_field courier_header_fields[] = {
	R_TEXT(courier_header, text, 3, 255, 0, "A header."),
};
RECORD_DEFINE(courier_header, 1, "A header of a webhook");

static const struct record_field courier_post_fields[] = {
	R_TEXT(courier_post, url, 9, 1023, 0, "Where it goes"),
	R_LIST(courier_post, headers, &courier_header_record, 0,
	    COURIER_HEADERS_MAX, 0, "What stands above it"),
	R_STRING(courier_post, body, 0, COURIER_BODY_MAX, 0, "What is said"),
};
RECORD_DEFINE(courier_post, 1, "A webhook");

static const struct record_field courier_address_fields[] = {
	R_TEXT(courier_address, address, 3, 255, 0, "Of a mail"),
};
RECORD_DEFINE(courier_address, 1, "Who gets a mail");

static const struct record_field courier_mail_fields[] = {
	R_TEXT(courier_mail, id, 1, 63, 0, "The same for each try"),
	R_LIST(courier_mail, to, &courier_address_record, 1, COURIER_TO_MAX, 0,
	    "Who gets it"),
	R_TEXT(courier_mail, subject, 1, 255, 0, "Its subject"),
	R_TIME(courier_mail, date, 0, "When it was written"),
	R_STRING(courier_mail, body, 1, COURIER_BODY_MAX, 0, "Its text"),
};
RECORD_DEFINE(courier_mail, 1, "A mail");

static const struct record_field courier_line_fields[] = {
	R_U32(courier_line, priority, 0, 7, 0, "As of syslog"),
	R_TEXT(courier_line, text, 1, 767, 0, "The line"),
};
RECORD_DEFINE(courier_line, 1, "A line for the system's log");

static const struct record_field courier_txt_fields[] = {
	R_TEXT(courier_txt, name, 1, 255, 0, "A name in the DNS"),
	R_TEXT(courier_txt, text, 1, 127, 0, "What it is to say"),
};
RECORD_DEFINE(courier_txt, 1, "A TXT record to look for");

static const struct record_field courier_posted_fields[] = {
	R_ENUM(courier_posted, outcome, courier_delivery_names, 0,
	    "Did it get there?"),
	R_U32(courier_posted, status, 0, 999, 0, "What was answered"),
	R_TEXT(courier_posted, error, 0, 127, 0, "What went wrong"),
};
RECORD_DEFINE(courier_posted, 1, "What became of a delivery");

int
courier_posted_read(struct courier_posted *out, const uint8_t *payload,
    size_t len)
{
	struct arena arena = { 0 };
	int rc = record_read_msgpack(out, &courier_posted_record, payload, len,
	    NULL, &arena, NULL);

	arena_release(&arena);
	if (rc != 0) {
		*out = (struct courier_posted){ .outcome = COURIER_FAILED };
		return ERR_UNAVAILABLE;
	}
	if (!text_is_printable(out->error, strlen(out->error)))
		text_copy(out->error, sizeof(out->error), "it cannot be shown");
	return 0;
}

/* --- reports to hubs ---------------------------------------------------------- */

static const struct record_field courier_sync_fields[] = {
	R_TEXT(courier_sync, url, 9, 319, 0, "The hub"),
	R_TEXT(courier_sync, vendor, 1, 63, 0, "Whose it is"),
	R_BOOL(courier_sync, anywhere, 0, "Its address is not judged"),
	R_STRING(courier_sync, line, 1, REPORT_LINE_MAX, 0, "Who speaks"),
	R_BLOB(courier_sync, file, 1, SYNC_FILE_MAX, 0, "The report"),
};
RECORD_DEFINE(courier_sync, 1, "A report to a hub");

static const struct record_field courier_synced_fields[] = {
	R_ENUM(courier_synced, outcome, courier_delivery_names, 0,
	    "Was it taken?"),
	R_U32(courier_synced, status, 0, 999, 0, "What was answered"),
	R_TEXT(courier_synced, error, 0, 191, 0, "What went wrong"),
	R_BLOB(courier_synced, file, 0, SYNC_FILE_MAX, 0, "What came back"),
	R_U32(courier_synced, retry_after_s, 0, COURIER_WAIT_MAX_S,
	    RECORD_OPTIONAL, "Not before then again"),
};
RECORD_DEFINE(courier_synced, 1, "What became of a report");

int
courier_synced_read(struct courier_synced *out, const uint8_t *payload,
    size_t len, struct arena *arena)
{
	int rc = record_read_msgpack(out, &courier_synced_record, payload, len,
	    NULL, arena, NULL);

	if (rc != 0) {
		*out = (struct courier_synced){ .outcome = COURIER_FAILED };
		return ERR_UNAVAILABLE;
	}
	if (!text_is_printable(out->error, strlen(out->error)))
		text_copy(out->error, sizeof(out->error), "it cannot be shown");
	return 0;
}
