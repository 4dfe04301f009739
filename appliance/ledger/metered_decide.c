/*
 * Decide on events of named metrics: known ones count once, hard limits refuse.
 * And on what a vendor says of a license. See metered.h.
 */
#include "appliance/ledger/metered.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/report/change.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
/* A client's clock may be ahead. */
#define AHEAD_MS (10 * INT64_C(60000))

/* --- limits ------------------------------------------------------------------ */

uint64_t
metered_used(const struct state_metric *metric, uint32_t per)
{
	switch ((enum license_per)per) {
	case LICENSE_PER_MINUTE:
		return metric->in_minute;
	case LICENSE_PER_DAY:
		return metric->in_day;
	case LICENSE_PER_MONTH:
		return metric->in_month;
	case LICENSE_AT_ONCE:
		return metric->value;
	}
	return 0;
}

uint32_t
metered_percent(uint64_t used, uint64_t amount)
{
	if (amount == 0)
		return used == 0 ? 0 : 1000000;
	double percent = (double)used * 100.0 / (double)amount;

	return percent >= 1000000.0 ? 1000000 : (uint32_t)percent;
}

/* What the event makes of it. */
static void
add_event(struct state_metric *metric, uint32_t kind, uint64_t amount)
{
	uint64_t *const windows[] = { &metric->in_minute, &metric->in_day,
		&metric->in_month };

	for (size_t i = 0; i < 3; i++)
		if (kind == USAGE_COUNTER)
			*windows[i] = amount > U53_MAX - *windows[i]
			    ? U53_MAX
			    : *windows[i] + amount;
		else if (amount > *windows[i])
			*windows[i] = amount;
	metric->value = amount;
}

/* The hard limit that it would break, or NULL; and the nearest one of all. */
static const struct license_limit *
judge(struct usage_result *result, const struct license *terms,
    const struct state_metric *before, uint32_t kind, uint64_t amount)
{
	const struct license_limit *limits = terms->limits.items;
	const struct license_limit *broken = NULL;
	struct state_metric after = *before;
	uint32_t nearest = 0;

	add_event(&after, kind, amount);
	for (uint32_t i = 0; i < terms->limits.count; i++) {
		const struct license_limit *limit = &limits[i];

		if (strcmp(limit->metric, before->metric) != 0)
			continue;
		uint64_t used = metered_used(&after, limit->per);
		uint32_t percent = metered_percent(used, limit->amount);

		/* Less of what there is now is never too much. */
		bool less = kind == USAGE_GAUGE && amount <= before->value &&
		    before->events > 0;

		if (used > limit->amount && !limit->soft && !less &&
		    broken == NULL)
			broken = limit;
		if (percent < nearest && result->limit != 0)
			continue;
		nearest = percent;
		result->used = used;
		result->limit = limit->amount;
	}
	return broken;
}

/* --- events ------------------------------------------------------------------ */

int
metered_find_license(uint64_t *number, struct state *state,
    const char *license_id, const char *product, struct arena *arena)
{
	if (license_id[0] == '\0')
		return state_product(number, state, product);
	for (*number = 1; *number < state->counters.next_license; ++*number) {
		const struct state_license *license;
		int err = state_license(&license, state, *number, arena);

		if (err != 0)
			return err;
		if (strcmp(license->document.license_id, license_id) == 0)
			return 0;
	}
	return ERR_NOT_FOUND_INTERNAL;
}

static void
refuse_event(struct usage_result *result, int err)
{
	result->outcome = USAGE_REFUSED;
	text_copy(result->code, sizeof result->code, err_code(err));
}

/* Ids are random for subjects, and there may be more than the command brings
 * entropy for: each event's is derived. */
static int
find_user(uint8_t id[SUBJECT_BYTES], struct batch *batch,
    const struct command *command, const struct usage_event *event,
    uint32_t index)
{
	uint8_t entropy[SUBJECT_ENTROPY], number[4];
	int err = 0;

	memset(id, 0, SUBJECT_BYTES);
	if (event->user[0] == '\0')
		return 0;
	be32_write(number, index);
	crypto_generichash(entropy, sizeof entropy, number, sizeof number,
	    command->entropy, crypto_generichash_KEYBYTES);
	err = decide_subject(id, batch, SUBJECT_USER, event->user, entropy);
	sodium_memzero(entropy, sizeof entropy);
	return err;
}

static int
emit_event(struct batch *batch, const struct command *command,
    const struct usage_event *event, const uint8_t id[16], uint64_t license,
    uint32_t index)
{
	uint8_t user[SUBJECT_BYTES];
	int err = find_user(user, batch, command, event, index);
	struct row *row = err == 0 ? batch_row(batch, ROW_USAGE_TRACKED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_usage_tracked *r = &row->u.usage_tracked;

	r->license = license;
	text_copy(r->metric, sizeof r->metric, event->metric);
	r->kind = event->kind;
	r->amount = event->amount;
	memcpy(r->event, id, sizeof r->event);
	r->at = event->timestamp != 0 ? event->timestamp : batch->place.time;
	if (command->who.kind == ACTOR_DEVICE || command->who.kind == ACTOR_KEY)
		r->device = command->who.id;
	memcpy(r->user, user, sizeof r->user);
	return batch_emit(batch);
}

struct count_metrics {
	uint32_t n;
};

static int
count_metric(void *ctx, const struct state_metric *metric)
{
	struct count_metrics *count = ctx;

	(void)metric;
	count->n++;
	return 0;
}

/* The metric as it is, or as it would begin; a refusal in the result. */
static int
find_metric(struct state_metric *metric, struct usage_result *result,
    struct batch *batch, const struct usage_event *event, uint64_t license)
{
	struct count_metrics count = { 0 };
	int64_t now = batch->place.time;
	int err =
	    state_metric(metric, &batch->state, license, event->metric, now);

	if (err == 0 && metric->kind != event->kind)
		refuse_event(result, ERR_CONFLICT);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*metric =
	    (struct state_metric){ .license = license, .kind = event->kind };
	text_copy(metric->metric, sizeof metric->metric, event->metric);
	err = state_each_metric(&batch->state, license, now, count_metric,
	    &count);
	if (err == 0 && count.n >= METERED_METRICS_MAX)
		refuse_event(result, ERR_TOO_LARGE);
	return err;
}

/* Its license and whether that takes anything today. */
static int
find_license(const struct state_license **license, uint64_t *number,
    struct usage_result *result, struct batch *batch, struct command *command,
    const struct usage_event *event)
{
	struct state_status status;
	int err = metered_find_license(number, &batch->state, event->license_id,
	    event->product, &command->arena);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		refuse_event(result, ERR_NOT_ENTITLED);
		return 0;
	}
	if (err == 0)
		err = state_license(license, &batch->state, *number,
		    &command->arena);
	if (err == 0)
		err = state_status(&status, &batch->state, *number);
	if (err != 0)
		return err;
	result->license = *number;
	switch ((enum license_status)state_status_at(&status,
	    &(*license)->document, batch->place.time)) {
	case LICENSE_IS_ACTIVE:
	case LICENSE_IS_EXPIRED:
		/* What was used is told also when its contract is over: to
		 * count it loses nothing. */
		break;
	case LICENSE_IS_SUSPENDED:
	case LICENSE_IS_CANCELLED:
		refuse_event(result, ERR_LICENSE_SUSPENDED);
		break;
	}
	return 0;
}

/* More than a statement could say, at the price that the license has for it: the
 * vendor could bill nobody. */
static bool
is_beyond_money(struct usage_result *result, const struct license *license,
    const struct state_metric *metric, const struct usage_event *event)
{
	const uint64_t most = license_usage_max(license, event->metric);
	const uint64_t before =
	    event->kind == USAGE_GAUGE ? 0 : metric->in_month;

	if (before <= most && event->amount <= most - before)
		return false;
	if (most == U53_MAX && event->amount <= most)
		return false; /* it has no price */
	refuse_event(result, ERR_BAD_REQUEST);
	result->used = before + event->amount;
	result->limit = most;
	return true;
}

static int
track_event(struct usage_result *result, struct batch *batch,
    struct command *command, const struct usage_event *event, uint32_t index)
{
	const struct state_license *license = NULL;
	struct state_metric metric;
	int64_t now = batch->place.time;
	uint64_t number = 0;
	uint8_t id[16];
	bool known;

	*result = (struct usage_result){ .outcome = USAGE_COUNTED };
	text_copy(result->event_id, sizeof result->event_id, event->event_id);
	text_copy(result->metric, sizeof result->metric, event->metric);
	if (event->timestamp != 0 &&
	    (event->timestamp > now + AHEAD_MS ||
		event->timestamp < now - (METERED_DAYS - 1) * DAY_MS)) {
		refuse_event(result, ERR_BAD_REQUEST);
		return 0;
	}
	int err =
	    find_license(&license, &number, result, batch, command, event);

	if (err != 0 || result->outcome != USAGE_COUNTED || license == NULL)
		return err;
	crypto_generichash(id, sizeof id, (const uint8_t *)event->event_id,
	    strlen(event->event_id), NULL, 0);
	err = state_usage_known(&known, &batch->state, number, id, now);
	if (err == 0 && known)
		result->outcome = USAGE_REPEATED;
	if (err == 0 && !known)
		err = find_metric(&metric, result, batch, event, number);
	if (err != 0 || result->outcome != USAGE_COUNTED)
		return err;
	if (is_beyond_money(result, &license->document, &metric, event))
		return 0;
	if (judge(result, &license->document, &metric, event->kind,
		event->amount) != NULL) {
		refuse_event(result, ERR_QUOTA_EXCEEDED);
		return 0;
	}
	return emit_event(batch, command, event, id, number, index);
}

/* One alone is an answer; of many each has its own. */
static int
say_refused(struct command *command, const struct usage_event *event,
    const struct usage_result *result)
{
	static const int codes[] = { ERR_QUOTA_EXCEEDED, ERR_NOT_ENTITLED,
		ERR_LICENSE_SUSPENDED, ERR_CONFLICT, ERR_TOO_LARGE };
	int err = ERR_BAD_REQUEST;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(result->code, err_code(codes[i])) == 0)
			err = codes[i];
	command->license = result->license;
	if (err == ERR_QUOTA_EXCEEDED)
		return decide_refuse(command, err,
		    "leasehold usage current shows the limits",
		    "%s would be %" PRIu64 ", and the license allows %" PRIu64,
		    event->metric, result->used, result->limit);
	if (err == ERR_NOT_ENTITLED)
		return decide_refuse(command, err,
		    "leasehold license list shows what is installed",
		    "no license %s%s is installed at this site",
		    event->license_id[0] != '\0' ? "" : "for ",
		    event->license_id[0] != '\0' ? event->license_id
						 : event->product);
	if (err == ERR_LICENSE_SUSPENDED)
		return decide_refuse(command, err, "ask the vendor",
		    "the license was suspended or cancelled by its vendor");
	if (err == ERR_CONFLICT)
		return decide_refuse(command, err, "",
		    "%s is counted as the other kind: counter or gauge",
		    event->metric);
	if (err == ERR_TOO_LARGE)
		return decide_refuse(command, err, "",
		    "the license has %d metrics already, the most there are",
		    METERED_METRICS_MAX);
	if (result->limit > 0)
		return decide_refuse_field(command, "amount", err,
		    "if it is true, ask the vendor",
		    "%s would be %" PRIu64 " this month, and at the price that "
		    "the license has for it, it is at most %" PRIu64,
		    event->metric, result->used, result->limit);
	return decide_refuse_field(command, "timestamp", err, "",
	    "timestamp is more than ten minutes ahead or a week ago");
}

int
decide_usage_track(struct batch *batch, struct command *command)
{
	const struct usage_track *request = command->request;
	const struct usage_event *events = request->events.items;
	uint32_t n = request->events.count;
	struct usage_tracked *reply = &command->reply.usage_tracked;
	struct usage_result *results =
	    arena_alloc(&command->arena, (n + 1) * sizeof *results);
	int err = results == NULL ? ERR_NOMEM : 0;

	*reply = (struct usage_tracked){ .counted = 0 };
	for (uint32_t i = 0; i < n && err == 0; i++) {
		err = track_event(&results[i], batch, command, &events[i], i);
		reply->counted += results[i].outcome == USAGE_COUNTED;
		reply->repeated += results[i].outcome == USAGE_REPEATED;
		reply->refused += results[i].outcome == USAGE_REFUSED;
	}
	if (err != 0)
		return err;
	reply->results = (struct record_list){ results, n };
	return n == 1 && reply->refused == 1
	    ? say_refused(command, events, results)
	    : 0;
}

/* --- what a vendor says of a license ------------------------------------------- */

static int
read_change(struct license_change *change, struct batch *batch,
    struct command *command, const struct license_change_file *file)
{
	const struct ledger *ledger = batch->ledger;
	struct record_error error = { .reason = "" };
	char pinned[TOKEN_KID_TEXT], kid[TOKEN_KID_TEXT];
	int err =
	    license_change_verify(change, file->change.data, file->change.len,
		file->issuer.data, file->issuer.len, file->vendor_key,
		ledger->site, ledger->tenant, &command->arena, &error);

	if (err != 0)
		return decide_refuse_document(command, err, &error);
	err = token_kid(kid, file->issuer.data, file->issuer.len);
	if (err != 0)
		return decide_refuse(command, err, "",
		    "the issuer document names no key");
	err = state_vendor(pinned, &batch->state, change->vendor);
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (err != 0 || strcmp(pinned, kid) != 0)
		return decide_refuse(command, ERR_CONFLICT,
		    "ask the vendor which key is theirs",
		    "vendor %s is not known here by the key that this comes "
		    "from",
		    change->vendor);
	return 0;
}

int
decide_renewal(struct batch *batch, struct command *command,
    const uint8_t vendor_key[TOKEN_PUBLIC_BYTES],
    const struct license_change *change, uint64_t number)
{
	struct license_install install = { .issuer = change->issuer,
		.license = change->license };
	const struct state_license *license;
	uint8_t digest[32];
	const void *request = command->request;
	int err =
	    state_license(&license, &batch->state, number, &command->arena);

	if (err != 0)
		return err;
	license_digest(digest, change->license.data, change->license.len);
	if (memcmp(digest, license->digest, sizeof digest) == 0)
		return 0;
	memcpy(install.vendor_key, vendor_key, sizeof install.vendor_key);
	command->request = &install;
	err = decide_install(batch, command);
	command->request = request;
	return err;
}

static int
emit_change(struct batch *batch, struct command *command,
    const struct license_change_file *file, const struct license_change *change,
    uint64_t number)
{
	struct row *row = batch_row(batch, ROW_LICENSE_CHANGED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_license_changed *r = &row->u.license_changed;

	r->license = number;
	r->turn = change->what;
	r->revision = change->revision;
	r->from = change->from;
	r->issued_at = change->issued_at;
	license_digest(r->digest, file->change.data, file->change.len);
	if (change->what != LICENSE_RENEW)
		r->token = file->change;
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

int
decide_license_change(struct batch *batch, struct command *command)
{
	const struct license_change_file *file = command->request;
	const struct state_license *license;
	struct license_change change;
	struct state_status status;
	uint64_t number = 0;
	int err = read_change(&change, batch, command, file);

	if (err != 0 || command->err != 0)
		return err;
	err = metered_find_license(&number, &batch->state, change.license_id,
	    "", &command->arena);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_NOT_FOUND,
		    "leasehold license list shows what is installed",
		    "license %s is not installed here", change.license_id);
	if (err == 0)
		err = state_status(&status, &batch->state, number);
	if (err != 0)
		return err;
	if (change.revision <= status.revision)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "of license %s revision %" PRIu64 " is in force; this one "
		    "is %" PRIu64,
		    change.license_id, status.revision, change.revision);
	if (change.what == LICENSE_RENEW)
		err = decide_renewal(batch, command, file->vendor_key, &change,
		    number);
	if (err == 0 && command->err == 0)
		err = emit_change(batch, command, file, &change, number);
	if (err != 0 || command->err != 0)
		return err;
	err = state_license(&license, &batch->state, number, &command->arena);
	return err != 0 ? err
			: view_license(&command->reply.license, &batch->state,
			      license, batch->place.time, &command->arena);
}
