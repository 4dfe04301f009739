/* See maintenance.h. */
#include "shared/box/maintenance.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct record_field maintenance_grant_fields[] = {
	R_FIXED(maintenance_grant, id, 0, "Random; it counts once."),
	R_TEXT(maintenance_grant, site, 1, 63, 0, "The box's site."),
	R_TEXT(maintenance_grant, box, 1, MAINTENANCE_BOX_TEXT - 1, 0,
	    "The box itself."),
	R_U32(maintenance_grant, minutes, 1, MAINTENANCE_MINUTES_MAX, 0,
	    "How long the shell stays."),
	R_TEXT(maintenance_grant, reason, 1, 127, 0, "For the journal."),
	R_TIME(maintenance_grant, issued_at, 0, "When it was signed."),
	R_TIME(maintenance_grant, not_after, 0, "It opens nothing from then."),
};
RECORD_DEFINE(maintenance_grant, 1, "An owner lets somebody into a box.");

static const struct record_field maintenance_used_fields[] = {
	R_FIXED(maintenance_used, id, 0, "Of the token."),
	R_TIME(maintenance_used, not_after, 0, "It is over from then on."),
};
RECORD_DEFINE(maintenance_used, 1, "A token that was used.");

const char *const maintenance_step_names[] = { "opened", "refused", "ended",
	NULL };

static const struct record_field maintenance_event_fields[] = {
	R_U64(maintenance_event, event, 1, U53_MAX, 0, "Its number."),
	R_ENUM(maintenance_event, step, maintenance_step_names, 0, "What."),
	R_FIXED(maintenance_event, id, RECORD_OPTIONAL,
	    "Of the token; absent: it could not be read."),
	R_TEXT(maintenance_event, owner, 0, 63, RECORD_OPTIONAL,
	    "Id of the key that signed it."),
	R_U32(maintenance_event, minutes, 0, MAINTENANCE_MINUTES_MAX,
	    RECORD_OPTIONAL, "That were granted."),
	R_TEXT(maintenance_event, reason, 0, 127, RECORD_OPTIONAL,
	    "Of the token; else why not, or why it ended."),
	R_TIME(maintenance_event, at, 0, "When."),
	R_TIME(maintenance_event, until, RECORD_OPTIONAL, "At most."),
};
RECORD_DEFINE(maintenance_event, 1, "What was done about maintenance.");

static const struct record_field maintenance_memory_fields[] = {
	R_TIME(maintenance_memory, latest, 0, "The latest time seen."),
	R_TEXT(maintenance_memory, box, 1, MAINTENANCE_BOX_TEXT - 1, 0,
	    "The box's own id."),
	R_U64(maintenance_memory, events_made, 0, U53_MAX, 0,
	    "Number of the last event."),
	R_LIST(maintenance_memory, used, &maintenance_used_record, 0,
	    MAINTENANCE_USED_MAX, 0, "Tokens that are not over yet."),
	R_LIST(maintenance_memory, events, &maintenance_event_record, 0,
	    MAINTENANCE_EVENTS_MAX, 0, "What was done last."),
};
RECORD_DEFINE(maintenance_memory, 1, "What a box remembers of its owner.");

void
maintenance_begin(struct maintenance_memory *memory)
{
	uint8_t id[10];
	char hex[2 * sizeof(id) + 1];

	memset(memory, 0, sizeof(*memory));
	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(hex, sizeof(hex), id, sizeof(id));
	snprintf(memory->box, sizeof(memory->box), "box-%s", hex);
}

static bool
is_sound(const struct maintenance_grant *grant)
{
	return grant->not_after > grant->issued_at &&
	    grant->not_after - grant->issued_at <= MAINTENANCE_VALID_MAX_MS;
}

int
maintenance_sign(struct buf *out, const struct maintenance_grant *grant,
    const uint8_t secret[TOKEN_SECRET_BYTES], struct record_error *error)
{
	struct buf payload = { .max = MAINTENANCE_TOKEN_MAX };
	int rc = record_check(&maintenance_grant_record, grant, error);

	if (rc == 0 && !is_sound(grant))
		rc = ERR_BAD_REQUEST;
	if (rc == 0) {
		record_write_json(&payload, &maintenance_grant_record, grant);
		rc = payload.failed ? ERR_NOMEM
				    : token_sign(out, TOKEN_MAINTENANCE,
					  payload.data, payload.len, secret);
	}
	buf_release(&payload);
	return rc;
}

static int
read_grant(struct maintenance_grant *grant, const char *token, size_t len,
    const uint8_t owner[TOKEN_PUBLIC_BYTES])
{
	struct buf payload = { .max = MAINTENANCE_TOKEN_MAX };
	struct arena arena = { .max_bytes = 4096 };
	int rc = len > MAINTENANCE_TOKEN_MAX
	    ? ERR_BAD_TOKEN
	    : token_verify(&payload, TOKEN_MAINTENANCE, token, len, owner);

	if (rc == 0 &&
	    (record_read_json(grant, &maintenance_grant_record,
		 (const char *)payload.data, payload.len, &arena, NULL) != 0 ||
		!is_sound(grant)))
		rc = ERR_BAD_TOKEN;
	arena_release(&arena);
	buf_release(&payload);
	return rc;
}

int64_t
maintenance_now(const struct maintenance_memory *memory, int64_t wall)
{
	return wall > memory->latest ? wall : memory->latest;
}

int
maintenance_judge(struct maintenance_grant *grant, const char *token,
    size_t len, const uint8_t owner[TOKEN_PUBLIC_BYTES], const char *site,
    const struct maintenance_memory *memory, int64_t wall)
{
	const struct maintenance_used *used = memory->used.items;
	int64_t now = maintenance_now(memory, wall);
	size_t live = 0;
	int rc;

	memset(grant, 0, sizeof(*grant));
	rc = read_grant(grant, token, len, owner);
	if (rc != 0)
		return rc;
	if (strcmp(grant->site, site) != 0 ||
	    strcmp(grant->box, memory->box) != 0)
		return ERR_MISMATCH;
	for (uint32_t i = 0; i < memory->used.count; i++) {
		if (memcmp(used[i].id, grant->id, sizeof(grant->id)) == 0)
			return ERR_GONE;
		live += used[i].not_after > now;
	}
	if (wall < memory->latest - MAINTENANCE_AHEAD_MAX_MS)
		return ERR_CLOCK_TAMPERED;
	if (now >= grant->not_after ||
	    grant->issued_at > now + MAINTENANCE_AHEAD_MAX_MS)
		return ERR_EXPIRED;
	if (maintenance_open(&memory->events) != NULL)
		return ERR_CONFLICT;
	return live < MAINTENANCE_USED_MAX ? 0 : ERR_BUSY;
}

void
maintenance_use(struct maintenance_memory *memory,
    struct maintenance_room *room, const struct maintenance_grant *grant,
    int64_t wall)
{
	const struct maintenance_used *used = memory->used.items;
	int64_t now = maintenance_now(memory, wall);
	uint32_t n = 0;

	for (uint32_t i = 0; i < memory->used.count; i++)
		if (used[i].not_after > now && n < MAINTENANCE_USED_MAX)
			room->used[n++] = used[i];
	if (grant != NULL && n < MAINTENANCE_USED_MAX) {
		memcpy(room->used[n].id, grant->id, sizeof(grant->id));
		room->used[n++].not_after = grant->not_after;
	}
	memory->latest = now;
	memory->used = (struct record_list){ room->used, n };
}

/* Which one goes: who tries bad tokens must not push an opening out. */
static uint32_t
worst(const struct record_list *events)
{
	const struct maintenance_event *items = events->items;

	for (uint32_t i = 0; i < events->count; i++)
		if (items[i].step == MAINTENANCE_REFUSED)
			return i;
	return 0;
}

void
maintenance_note(struct maintenance_memory *memory,
    struct maintenance_room *room, struct maintenance_event *event)
{
	const struct maintenance_event *items = memory->events.items;
	const uint32_t count = memory->events.count;
	const uint32_t gone =
	    count < MAINTENANCE_EVENTS_MAX ? count : worst(&memory->events);
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (i != gone)
			room->events[n++] = items[i];
	event->event = ++memory->events_made;
	room->events[n++] = *event;
	memory->events = (struct record_list){ room->events, n };
}

const struct maintenance_event *
maintenance_open(const struct record_list *events)
{
	const struct maintenance_event *items = events->items;

	for (uint32_t i = events->count; i > 0; i--)
		if (items[i - 1].step != MAINTENANCE_REFUSED)
			return items[i - 1].step == MAINTENANCE_OPENED
			    ? &items[i - 1]
			    : NULL;
	return NULL;
}
