/* Keys of the site's own admins: looked at, and ended. See keys.h. */
#include "appliance/ledger/events.h"
#include "appliance/ledger/keys.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	struct site_key_view *items;
	uint32_t n;
};

static int
add_key(void *ctx, const struct system_key *key)
{
	struct listing *listing = ctx;

	if (listing->n == LIST_LIMIT_MAX)
		return ERR_TOO_LARGE;
	struct site_key_view *view = &listing->items[listing->n++];

	*view = (struct site_key_view){ .created_at = key->created_at,
		.revoked = key->revoked };
	snprintf(view->key_id, sizeof view->key_id, "admin-%" PRIu64,
	    key->number);
	memcpy(view->name, key->name, sizeof view->name);
	memcpy(view->tenant, key->tenant, sizeof view->tenant);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t left =
	    key_number(((const struct site_key_view *)a)->key_id, "admin-");
	uint64_t right =
	    key_number(((const struct site_key_view *)b)->key_id, "admin-");

	return left < right ? -1 : left > right;
}

void
site_key_list(const struct request *request)
{
	struct arena *arena = &request->process->arena;
	struct listing listing = { 0 };
	struct site_key_page page;

	listing.items =
	    arena_alloc(arena, LIST_LIMIT_MAX * sizeof *listing.items);
	int err = listing.items == NULL
	    ? ERR_NOMEM
	    : system_each_key(request->process->system, add_key, &listing);

	if (err != 0) {
		request_refuse(request, err, NULL);
		return;
	}
	qsort(listing.items, listing.n, sizeof *listing.items, by_number);
	page.items = (struct record_list){ listing.items, listing.n };
	request_reply(request, &page);
}

/* On the helper: it syncs. */
static void
run_revoke(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct key_ref *asked = call->request;
	struct command *command = &call->write.command;
	uint64_t number = key_number(asked->key_id, "admin-");

	command->err = number == 0
	    ? ERR_NOT_FOUND
	    : system_key_revoke(call->process->system, number);
	if (command->err == ERR_NOT_FOUND)
		problem_set(&command->problem, ERR_NOT_FOUND,
		    "see what there is: leasehold key list --site",
		    "the site has no key %s", asked->key_id);
	else if (command->err == ERR_CONFLICT)
		problem_set(&command->problem, ERR_CONFLICT,
		    "make another first, as root on the box: leaseholdd key",
		    "%s is the last key of the site's admins: nobody could "
		    "work here any more",
		    asked->key_id);
	if (command->err == 0)
		call->reply = call->request;
}

static void
finish_revoke(struct call *call)
{
	const struct key_ref *asked = call->request;

	if (call->write.command.err == 0)
		events_close_principal(call->tenant, ACTOR_ADMIN,
		    key_number(asked->key_id, "admin-"));
	if (call->write.command.err == 0)
		log_warn("keys", "%s was ended by admin-%llu", asked->key_id,
		    (unsigned long long)call->write.command.who.id);
	else
		call->process->counts.refused++;
	call_answer(call);
}

void
site_key_revoke(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_revoke;
	call_help(call, run_revoke);
}
