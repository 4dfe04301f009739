/* See maintenance_state.h. */
#include "shared/box/maintenance_state.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct record_field maintenance_state_fields[] = {
	R_TEXT(maintenance_state, box, 1, MAINTENANCE_BOX_TEXT - 1, 0,
	    "The box's own id."),
	R_TEXT(maintenance_state, owner, 0, 63, RECORD_OPTIONAL,
	    "Id of the owner's key."),
	R_LIST(maintenance_state, events, &maintenance_event_record, 0,
	    MAINTENANCE_EVENTS_MAX, 0, "What was done last."),
};
RECORD_DEFINE(maintenance_state, 1, "Maintenance of the box.");

static int
path_of(char path[PATH_MAX], const char *folder)
{
	int n = snprintf(path, PATH_MAX, "%s/" MAINTENANCE_STATE_FILE, folder);

	return n > 0 && n < PATH_MAX ? 0 : ERR_TOO_LARGE;
}

int
maintenance_state_write(const char *folder,
    const struct maintenance_state *state)
{
	struct buf out = { .max = MAINTENANCE_STATE_BYTES_MAX };
	char path[PATH_MAX];
	int rc = path_of(path, folder);

	record_write_json(&out, &maintenance_state_record, state);
	if (rc == 0)
		rc = out.failed ? ERR_NOMEM
				: file_write(path, out.data, out.len, 0644);
	buf_release(&out);
	return rc;
}

int
maintenance_state_read(struct maintenance_state *state, const char *folder,
    struct arena *arena)
{
	char path[PATH_MAX];
	uint8_t *text = NULL;
	size_t len = 0;
	int rc = path_of(path, folder);

	memset(state, 0, sizeof(*state));
	if (rc == 0)
		rc = file_read(&text, &len, path, MAINTENANCE_STATE_BYTES_MAX);
	if (rc == 0 &&
	    record_read_json(state, &maintenance_state_record,
		(const char *)text, len, arena, NULL) != 0)
		rc = ERR_CORRUPT;
	free(text);
	return rc;
}
