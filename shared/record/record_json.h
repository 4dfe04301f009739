/*
 * Between the two halves of the JSON reader: objects and lists in
 * record_json.c, single values in record_json_leaf.c. It must not know more
 * than the two share.
 */
#ifndef SHARED_RECORD_RECORD_JSON_H
#define SHARED_RECORD_RECORD_JSON_H

#include "shared/record/json.h"
#include "shared/record/record_fields.h"

struct reading {
	struct json_reader json;
	struct arena *arena;
	struct record_error *error;
};

/** U32, U64, I64; MONEY keeps the place of its text until
 * record_settle_money. */
int record_read_number(struct reading *reading,
    const struct record_field *field, void *at, const struct json_token *token,
    const struct record_path *path);

/** All that is spelled as a JSON string. */
int record_read_string(struct reading *reading,
    const struct record_field *field, void *at, const struct json_token *token,
    const struct record_path *path);

/**
 * The currency may stand behind its amounts, so an amount waits in its field
 * as the place of its text (plus one: 0 is absent) until the object ends.
 */
int record_settle_money(struct reading *reading, const struct record *record,
    void *out, const struct record_path *path);

/** The string's bytes: where they stand when it has no escapes, else decoded
 * in the arena. ERR_BAD_REQUEST for a broken escape, ERR_TOO_LARGE. */
int record_read_escapes(struct reading *reading, const char **text, size_t *len,
    const struct json_token *token);

#endif
