/* Who is told of in reports: what the tenant's policy says, and the names where
 * it says that they may leave. See sync.h. */
#include "appliance/ledger/sync.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

/* The vendor's own entry, else the one for all. */
static enum report_people
of_policy(const struct policy_document *document, const char *vendor)
{
	const struct policy_report *reports = document->reports.items;
	enum report_people people = REPORT_PSEUDONYMS;

	for (uint32_t i = 0; i < document->reports.count; i++) {
		if (strcmp(reports[i].vendor, vendor) == 0)
			return (enum report_people)reports[i].people;
		if (reports[i].vendor[0] == '\0')
			people = (enum report_people)reports[i].people;
	}
	return people;
}

int
sync_people(enum report_people *out, struct ledger_view *view,
    const char *vendor)
{
	struct policy_document document;
	struct state_policy newest;
	struct arena arena = { .chunks = NULL };
	int err = state_policy_newest(&newest, &view->state);

	*out = REPORT_PSEUDONYMS;
	if (err != 0 || newest.version == 0)
		return err;
	err = policy_text_get(&document, &view->state, view->ledger->sealed,
	    newest.version, &arena);
	if (err == 0)
		*out = of_policy(&document, vendor);
	arena_release(&arena);
	return err;
}

int
sync_name(struct report_name *out, const struct ledger_view *view,
    const uint8_t subject[SUBJECT_BYTES])
{
	struct subject found;
	int err =
	    subject_get(&found, &view->state, view->ledger->keys, subject);

	if (err == 0 && found.kind != SUBJECT_USER &&
	    found.kind != SUBJECT_HOST)
		err = ERR_CORRUPT;
	if (err == 0) {
		out->kind = found.kind == SUBJECT_HOST;
		text_copy(out->name, sizeof out->name, found.value);
		if (out->name[0] == '\0')
			err = ERR_NOT_FOUND_INTERNAL;
	}
	sodium_memzero(&found, sizeof found);
	return err;
}
