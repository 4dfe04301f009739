/* What is asked about people who log in. */
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <string.h>

#define SCAN_MAX 4096

int
user_view_fill(struct user_view *out, const struct state *state,
    const struct sealed_keys *keys, const struct state_user *user)
{
	struct user_document document;

	*out = (struct user_view){
		.user = user->user,
		.role = user->role,
		.state = user->state,
		.source = user->source,
		.created_at = user->created_at,
		.login_at = user->login_at,
	};
	if (user->state == USER_REMOVED)
		return 0;
	int err = user_document_get(&document, state, keys, user);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	memcpy(out->login, document.login, sizeof out->login);
	memcpy(out->name, document.name, sizeof out->name);
	memcpy(out->mail, document.mail, sizeof out->mail);
	out->totp = document.totp;
	out->change_password = document.one_time;
	out->recovery_codes = document.n_recovery;
	user_document_wipe(&document);
	return 0;
}

void
user_login_fill(struct ledger_login *out, const struct state_user *user,
    const struct user_document *document)
{
	*out = (struct ledger_login){
		.user = user->user,
		.role = user->role,
		.state = user->state,
		.source = user->source,
		.epoch = user->epoch,
		.one_time = document->one_time,
		.totp = document->totp,
		.recovery = document->n_recovery,
	};
	memcpy(out->hash, document->hash, sizeof out->hash);
	memcpy(out->login, document->login, sizeof out->login);
}

int
ledger_login_of(struct ledger_login *out, struct ledger_view *view,
    uint64_t number)
{
	const struct state *state = &view->state;
	struct user_document document;
	struct state_user user;
	int err = state_user(&user, state, number);

	if (err == 0)
		err = user_document_get(&document, state, view->ledger->sealed,
		    &user);
	if (err != 0)
		return err;
	user_login_fill(out, &user, &document);
	user_document_wipe(&document);
	return 0;
}

int
ledger_login(struct ledger_login *out, struct ledger_view *view,
    const char *login)
{
	uint64_t number;
	int err = user_find(&number, &view->state, view->ledger->users, login);

	return err == 0 ? ledger_login_of(out, view, number) : err;
}

int
query_user(struct query *q)
{
	const struct user_number *request = q->request;
	struct state_user user;
	int err = state_user(&user, &q->view->state, request->user);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no user %" PRIu64, request->user);
	return err == 0 ? user_view_fill(q->reply, &q->view->state,
			      q->view->ledger->sealed, &user)
			: err;
}

int
query_users(struct query *q)
{
	const struct user_query *request = q->request;
	const struct state *state = &q->view->state;
	struct user_page *out = q->reply;
	uint32_t limit = query_limit(request->limit), n = 0, scanned = 0;
	struct user_view *items = arena_alloc(q->arena, limit * sizeof *items);
	uint64_t at = request->after + 1, end;
	int err = items == NULL ? ERR_NOMEM : state_user_next(&end, state);

	if (err != 0)
		return err;
	for (; at < end && n < limit && scanned < SCAN_MAX; at++, scanned++) {
		struct state_user user;

		err = state_user(&user, state, at);
		if (err == 0 && (request->all || user.state != USER_REMOVED))
			err = user_view_fill(&items[n++], state,
			    q->view->ledger->sealed, &user);
		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
	}
	out->items = (struct record_list){ items, n };
	out->next = at < end ? at - 1 : 0;
	return 0;
}
