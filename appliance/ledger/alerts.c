#include "appliance/ledger/alerts.h"

#include "appliance/ledger/alert_words.h"
#include "appliance/ledger/deliver.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* So often is counted what limits count, and so soon when more were made. */
#define COUNT_EVERY_MS ((int64_t)60 * 1000)
#define COUNT_AFTER_MS ((int64_t)5 * 1000)
#define MINUTE_MS ((int64_t)60 * 1000)
/* After a commit that failed. */
#define RECOVER_MS ((int64_t)10 * 1000)

/* One subject. */
struct alert_entry {
	struct ledger_alert next; /* not journaled yet: count, over */
	bool open; /* as the journal has it */
	bool on; /* alert_set() said so last */
	bool busy; /* a command is on its way */
	int64_t last_at;
	int64_t sent; /* minute of the last row */
	int64_t told; /* minute of the last line in the log */
};

struct alerts {
	struct table entries;
	bool full_told;
	bool licenses_due;
	struct {
		int64_t at; /* boottime; 0: never */
		uint64_t revision, made; /* then */
	} counted; /* what limits count */
};

/* Numbers are below these for as long as a site may live. */
static uint64_t
place_of(const struct alert_subject *subject)
{
	return (uint64_t)subject->kind << 56 | (uint64_t)subject->about << 52 |
	    (uint64_t)(subject->stage & 0xfff) << 40 |
	    (subject->id & ((UINT64_C(1) << 40) - 1));
}

static struct alert_entry *
find(const struct tenant *tenant, const struct alert_subject *subject)
{
	return table_get(&tenant->alerts->entries, place_of(subject));
}

static struct alert_entry *
entry_of(struct tenant *tenant, const struct alert_subject *subject)
{
	struct alerts *alerts = tenant->alerts;
	struct alert_entry *entry = find(tenant, subject);

	if (entry != NULL)
		return entry;
	if (alerts->entries.count >= ALERTS_MAX) {
		if (!alerts->full_told)
			log_error("alerts",
			    "tenant %s has %d alerts open: more are not kept; "
			    "see: leasehold alerts list",
			    tenant->name, ALERTS_MAX);
		alerts->full_told = true;
		return NULL;
	}
	entry = calloc(1, sizeof *entry);
	if (entry == NULL)
		return NULL;
	entry->next.subject = *subject;
	entry->sent = entry->told = INT64_MIN;
	if (table_put(&alerts->entries, place_of(subject), entry) != 0) {
		free(entry);
		return NULL;
	}
	return entry;
}

static void
forget(struct tenant *tenant, struct alert_entry *entry)
{
	table_remove(&tenant->alerts->entries, place_of(&entry->next.subject));
	tenant->alerts->full_told = false;
	free(entry);
}

/* --- into the journal ------------------------------------------------------ */

static bool
is_due(const struct alert_entry *entry, int64_t now)
{
	if (entry->busy)
		return false;
	if (entry->next.over)
		return entry->open || entry->next.count > 0;
	return entry->next.count > 0 &&
	    (!entry->open || entry->sent != now / MINUTE_MS);
}

static void
finish(struct call *call)
{
	const struct ledger_alert *sent = call->request;
	struct tenant *tenant = call->tenant;
	struct alert_entry *entry = find(tenant, &sent->subject);
	const struct command *command = &call->write.command;

	if (entry == NULL) {
		call_free(call);
		return;
	}
	entry->busy = false;
	if (command->err == 0) {
		entry->open = command->reply.alert.alert != 0;
		deliver_wake(tenant);
	} else {
		/* Nothing can be journaled: the next tick tries again. */
		uint64_t more = entry->next.count;
		bool over = entry->next.over || (sent->over && more == 0);

		entry->next = *sent;
		entry->next.count += more;
		entry->next.last_at = entry->last_at;
		entry->next.over = over;
		entry->sent = INT64_MIN;
	}
	if (!entry->open && entry->next.count == 0 && !entry->on)
		forget(tenant, entry);
	call_free(call);
}

static bool
send(struct tenant *tenant, struct alert_entry *entry)
{
	struct call *call = call_new_own(tenant, LEDGER_ALERT, &entry->next,
	    sizeof entry->next);

	if (call == NULL)
		return false;
	entry->busy = true;
	entry->sent = process_now(tenant->process) / MINUTE_MS;
	entry->next.count = 0;
	entry->next.over = false;
	call->finish = finish;
	call_commit(call);
	return true;
}

/* A store that is full takes a little now and then: that is for who waits for
 * an answer. */
static bool
is_recovering(const struct tenant *tenant)
{
	return tenant->faulted_at != 0 &&
	    clock_boottime_ms() - tenant->faulted_at < RECOVER_MS;
}

static bool
may_send(const struct tenant *tenant)
{
	return tenant->started && tenant->fault == 0 &&
	    !is_recovering(tenant) && !tenant->process->guard.frozen &&
	    tenant->entry->phase == TENANT_OPEN;
}

/* --- what is said ----------------------------------------------------------- */

static void
fill_view(struct alert_view *view, const struct alert_entry *entry,
    const char *tenant)
{
	const struct ledger_alert *next = &entry->next;

	*view = (struct alert_view){
		.count = next->count > 0 ? next->count : 1,
		.first_at = next->first_at,
		.last_at = next->last_at,
	};
	text_copy(view->address, sizeof view->address, next->address);
	text_copy(view->host, sizeof view->host, next->host);
	alert_words(view, &next->subject, next->value, next->limit, tenant);
}

/* One line a minute and subject: an alert that floods the log hides others. */
static void
say(const struct tenant *tenant, struct alert_entry *entry, int64_t now)
{
	struct alert_view view;

	if (entry->told == now / MINUTE_MS)
		return;
	entry->told = now / MINUTE_MS;
	fill_view(&view, entry, tenant->name);
	log_error("alerts", "ALERT: %s (tenant %s); answer it with: %s",
	    view.text, tenant->name, view.answer);
}

static void
note(struct alert_entry *entry, const struct alert_fact *fact, int64_t now)
{
	struct ledger_alert *next = &entry->next;

	if (next->count++ == 0) {
		next->first_at = now;
		next->value = fact->value;
		next->limit = fact->limit;
		next->address[0] = next->host[0] = '\0';
		memset(next->fingerprint, 0, sizeof next->fingerprint);
		if (fact->address != NULL)
			text_copy(next->address, sizeof next->address,
			    fact->address);
		if (fact->host != NULL)
			text_copy(next->host, sizeof next->host, fact->host);
		if (fact->fingerprint != NULL)
			memcpy(next->fingerprint, fact->fingerprint,
			    sizeof next->fingerprint);
	}
	next->last_at = now;
	entry->last_at = now;
	next->over = false;
}

void
alert_raise(struct tenant *tenant, const struct alert_fact *fact)
{
	int64_t now = process_now(tenant->process);
	struct alert_entry *entry = entry_of(tenant, &fact->subject);

	if (entry == NULL)
		return;
	note(entry, fact, now);
	if (!fact->logged)
		say(tenant, entry, now);
	if (may_send(tenant) && is_due(entry, now))
		send(tenant, entry);
}

static void
end(struct tenant *tenant, struct alert_entry *entry, enum alert_end why)
{
	entry->on = false;
	entry->next.why = why;
	entry->next.over = true;
	if (may_send(tenant) && is_due(entry, process_now(tenant->process)))
		send(tenant, entry);
	else if (!entry->open && !entry->busy && entry->next.count == 0)
		forget(tenant, entry);
}

bool
alert_set(struct tenant *tenant, const struct alert_fact *fact, bool on)
{
	struct alert_entry *entry = find(tenant, &fact->subject);

	if (!on) {
		if (entry != NULL && (entry->on || entry->open) &&
		    !entry->next.over && !entry->busy)
			end(tenant, entry, ALERT_ENDED);
		return false;
	}
	if (entry != NULL && (entry->on || (entry->open && !entry->busy))) {
		entry->on = true; /* it was so before a restart */
		entry->next.over = false;
		return false;
	}
	alert_raise(tenant, fact);
	entry = find(tenant, &fact->subject);
	if (entry != NULL)
		entry->on = true;
	return entry != NULL;
}

bool
alert_is_on(const struct tenant *tenant, const struct alert_subject *subject)
{
	const struct alert_entry *entry = find(tenant, subject);

	return entry != NULL && (entry->on || entry->open);
}

bool
alert_crosses(bool was_on, uint64_t percent, uint32_t on, uint32_t off)
{
	return percent >= (was_on ? off : on);
}

/* --- the board -------------------------------------------------------------- */

static int
load(void *ctx, const struct state_alert *alert)
{
	struct alert_entry *entry = entry_of(ctx, &alert->subject);

	if (entry == NULL)
		return 0; /* above what is kept */
	entry->open = true;
	entry->last_at = alert->last_at;
	return 0;
}

int
alerts_open(struct tenant *tenant)
{
	struct ledger_view *view;

	tenant->alerts = calloc(1, sizeof *tenant->alerts);
	if (tenant->alerts == NULL)
		return ERR_NOMEM;
	tenant->alerts->licenses_due = true;
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_each_alert(view, load, tenant);
	ledger_view_close(view);
	return err;
}

void
alerts_close(struct tenant *tenant)
{
	struct alert_entry *entry;
	size_t at = 0;

	if (tenant->alerts == NULL)
		return;
	while ((entry = table_next(&tenant->alerts->entries, &at)) != NULL)
		free(entry);
	table_release(&tenant->alerts->entries);
	free(tenant->alerts);
	tenant->alerts = NULL;
}

static bool
is_quiet(const struct alert_entry *entry, int64_t now)
{
	return entry->open && !entry->busy && entry->next.count == 0 &&
	    !entry->next.over && entry->next.subject.about == ALERT_OF_KEY &&
	    now - entry->last_at > ALERTS_QUIET_MS;
}

void
alerts_tick(struct tenant *tenant)
{
	int64_t now = process_now(tenant->process);
	struct alert_entry *entry;
	size_t at = 0;

	alerts_watch(tenant);
	if (!may_send(tenant))
		return;
	while ((entry = table_next(&tenant->alerts->entries, &at)) != NULL) {
		if (is_quiet(entry, now)) {
			entry->next.over = true;
			entry->next.why = ALERT_QUIET;
		}
		if (is_due(entry, now))
			send(tenant, entry);
	}
}

bool
alerts_flush(struct tenant *tenant)
{
	struct alert_entry *entry;
	size_t at = 0;
	bool busy = false;

	if (!may_send(tenant))
		return false;
	while ((entry = table_next(&tenant->alerts->entries, &at)) != NULL) {
		if (!entry->busy &&
		    (entry->next.count > 0 ||
			(entry->next.over && entry->open)))
			send(tenant, entry);
		busy = busy || entry->busy;
	}
	return busy;
}

bool
alerts_wait(const struct tenant *tenant)
{
	const struct alert_entry *entry;
	size_t at = 0;

	while ((entry = table_next(&tenant->alerts->entries, &at)) != NULL)
		if (entry->busy || entry->next.count > 0)
			return true;
	return false;
}

void
alerts_key_ended(struct tenant *tenant, uint64_t device)
{
	struct alert_entry *entry;
	size_t at = 0;

	while ((entry = table_next(&tenant->alerts->entries, &at)) != NULL) {
		const struct alert_subject *subject = &entry->next.subject;

		if (subject->about != ALERT_OF_KEY || subject->id != device)
			continue;
		entry->next.over = true; /* with the next tick */
		entry->next.why = ALERT_ENDED;
	}
}

void
alerts_license_changed(struct tenant *tenant)
{
	tenant->alerts->licenses_due = true;
}

bool
alerts_take_licenses_due(struct tenant *tenant)
{
	bool due = tenant->alerts->licenses_due;

	tenant->alerts->licenses_due = false;
	return due;
}

bool
alerts_take_count_due(struct tenant *tenant, uint64_t made)
{
	struct alerts *alerts = tenant->alerts;
	const uint64_t revision = tenant->entry->facts.revision;
	int64_t now = clock_boottime_ms(), at = alerts->counted.at;

	if (at != 0 && revision == alerts->counted.revision &&
	    now - at < (made == alerts->counted.made ? COUNT_EVERY_MS
						     : COUNT_AFTER_MS))
		return false;
	alerts->counted.at = now;
	alerts->counted.revision = revision;
	alerts->counted.made = made;
	return true;
}

void
alerts_add_waiting(struct alert_page *page, struct tenant *tenant,
    struct arena *arena)
{
	const struct alert_entry *entry;
	struct alert_view *items;
	uint32_t n = page->items.count;
	size_t at = 0;

	if (page->next != 0 || !alerts_wait(tenant))
		return;
	items = arena_alloc(arena, (n + 64) * sizeof *items);
	if (items == NULL)
		return;
	if (n > 0)
		memcpy(items, page->items.items, n * sizeof *items);
	while (n < page->items.count + 64 &&
	    (entry = table_next(&tenant->alerts->entries, &at)) != NULL)
		if (!entry->open && entry->next.count > 0)
			fill_view(&items[n++], entry, tenant->name);
	page->items = (struct record_list){ items, n };
}
