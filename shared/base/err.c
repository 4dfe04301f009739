/* The three readings of the one list of errors; see err.h. */
#include "shared/base/err.h"

#include <string.h>

struct err_entry {
	int err;
	const char *name;
	const char *code;
	const char *text;
};

static const struct err_entry entries[] = { { ERR_OK, "ERR_OK", "ok", "done" },
#define X(name, value, code, text) { name, #name, code, text },
	ERR_LIST(X)
#undef X
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

/* From here on downwards the numbers are refusals. */
#define FIRST_REFUSAL ERR_UNAUTHENTICATED

static const struct err_entry *
err_find(int err)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[i].err == err)
			return &entries[i];
	return NULL;
}

const char *
err_str(int err)
{
	const struct err_entry *entry = err_find(err);

	return entry != NULL ? entry->text : "unknown error";
}

const char *
err_code(int err)
{
	const struct err_entry *entry = err_find(err);

	return entry != NULL ? entry->code : "unavailable";
}

const char *
err_name(int err)
{
	const struct err_entry *entry = err_find(err);

	return entry != NULL ? entry->name : "ERR_?";
}

int
err_from_code(const char *code)
{
	if (code == NULL)
		return ERR_UNAVAILABLE;
	/* Every code of a fault is a refusal's code too, so that a client
	 * never takes a peer's fault for its own. No code is success: who
	 * refuses with "ok" has sent no answer that could be read. */
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[i].err <= FIRST_REFUSAL &&
		    strcmp(entries[i].code, code) == 0)
			return entries[i].err;
	return ERR_UNAVAILABLE;
}

static int
refusal_http_status(int err)
{
	switch (err) {
	case ERR_UNAUTHENTICATED:
		return 401;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
	case ERR_NO_SEATS:
	case ERR_OVERAGE_EXHAUSTED:
	case ERR_MAX_REACHED:
	case ERR_POLICY_MAX:
	case ERR_RESERVED:
	case ERR_BORROW_LIMIT:
	case ERR_QUEUE_FULL:
	case ERR_ROLLED_BACK:
		return 409;
	case ERR_GONE:
	case ERR_IDLE:
		return 410;
	case ERR_TOO_LARGE:
		return 413;
	case ERR_BAD_REQUEST:
		return 400;
	case ERR_RATE_LIMITED:
	case ERR_QUOTA_EXCEEDED:
	case ERR_LOCKED_OUT:
		return 429;
	case ERR_UNAVAILABLE:
		return 503;
	default:
		/* All others say: understood, and not for you. */
		return 403;
	}
}

int
err_http_status(int err)
{
	const struct err_entry *entry = err_find(err);

	if (entry == NULL)
		return 503;
	if (err == ERR_OK)
		return 200;
	return refusal_http_status(err_from_code(entry->code));
}
