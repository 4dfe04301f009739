/*
 * Rounds: the nonces of all applications that want to renew, and one beat of
 * the site for all of them. A round begins a moment after the first nonce
 * came, so that others join it; leases that the keeper renews by itself
 * (hold) go along when their turn is near, else on a timer of their own. One
 * round is on its way at a time.
 */
#include "agent/keeper/beat.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* Items whose JSON fits one message of the site's. */
#define ROUND_MAX 512
#define GATHER_MS 20
#define INTERVAL_MIN_MS 200

struct round_item {
	uint64_t lease;
	uint8_t nonce[NONCE_BYTES];
	uint32_t ttl_s;
	int64_t nonce_ms;
	struct asker asker; /* application 0: the keeper's own nonce */
	bool reports, active;
	bool refused;
};

struct renewal_round {
	struct keeper *keeper;
	uint32_t n;
	struct round_item items[ROUND_MAX];
};

static void start_round(struct keeper *keeper);

/* A third of the shortest span among the leases that are ours to renew. */
static int64_t
interval_ms(const struct keeper *keeper)
{
	int64_t shortest = INT64_MAX;
	struct lease *lease;

	TAILQ_FOREACH(lease, &keeper->leases.all, order)
		if (lease->hold && !lease->ending &&
		    (int64_t)lease->ttl_s * 1000 < shortest)
			shortest = (int64_t)lease->ttl_s * 1000;
	if (shortest == INT64_MAX)
		return 0;
	shortest /= 3;
	if (keeper->renewal.renew_s > 0 &&
	    shortest > (int64_t)keeper->renewal.renew_s * 1000)
		shortest = (int64_t)keeper->renewal.renew_s * 1000;
	return shortest > INTERVAL_MIN_MS ? shortest : INTERVAL_MIN_MS;
}

static void
arm(struct event *event, int64_t ms)
{
	struct timeval wait = {
		.tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000,
	};

	if (event_add(event, &wait) < 0)
		log_error("keeper", "no memory for a timer");
}

/* The keeper's own nonce for every lease it renews whose last one is at least
 * `age_ms` old. */
static void
want_held(struct keeper *keeper, int64_t age_ms)
{
	int64_t now_ms = clock_boottime_ms();
	struct lease *lease;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		if (!lease->hold || lease->ending || lease->wanted ||
		    now_ms - lease->nonce_ms < age_ms)
			continue;
		randombytes_buf(lease->nonce, sizeof(lease->nonce));
		lease->nonce_ms = now_ms;
		lease->asker = (struct asker){ 0 };
		lease->wanted = true;
	}
}

void
renewal_want(struct lease *lease, const struct local_renew *request,
    const struct asker *asker)
{
	struct keeper *keeper = lease->keeper;
	struct problem problem;

	if (lease->wanted) {
		problem_set(&problem, ERR_CONFLICT, NULL,
		    "a newer nonce of this lease came");
		application_refuse(keeper, &lease->asker, ERR_CONFLICT,
		    &problem);
	}
	memcpy(lease->nonce, request->nonce, sizeof(lease->nonce));
	lease->reports = lease->reports || request->reports;
	lease->active = lease->active || request->active;
	lease->nonce_ms = clock_boottime_ms();
	lease->asker = *asker;
	lease->wanted = true;
	if (!event_pending(keeper->renewal.soon, EV_TIMEOUT, NULL))
		arm(keeper->renewal.soon, GATHER_MS);
	session_hurry(keeper);
}

void
renewal_forget(struct lease *lease)
{
	if (lease->wanted)
		application_refuse(lease->keeper, &lease->asker, ERR_GONE,
		    NULL);
	lease->wanted = false;
}

/* --- the answer ----------------------------------------------------------- */

static void
refuse_items(struct renewal_round *round, int err,
    const struct problem *problem)
{
	for (uint32_t i = 0; i < round->n; i++)
		application_refuse(round->keeper, &round->items[i].asker, err,
		    problem);
}

/* The connection broke: the nonces are as good in the next one. */
static void
want_again(struct renewal_round *round)
{
	for (uint32_t i = 0; i < round->n; i++) {
		struct round_item *item = &round->items[i];
		struct lease *lease = lease_find(round->keeper, item->lease);

		if (lease != NULL)
			lease->active = lease->active || item->active;
		if (lease == NULL || lease->ending || lease->wanted) {
			application_refuse(round->keeper, &item->asker,
			    lease == NULL ? ERR_GONE : ERR_CONFLICT, NULL);
			continue;
		}
		memcpy(lease->nonce, item->nonce, sizeof(lease->nonce));
		lease->asker = item->asker;
		lease->wanted = true;
	}
}

static void
drop_refused(struct renewal_round *round, const struct renew_reply *reply)
{
	const struct lease_refused *refused = reply->refused.items;

	for (uint32_t i = 0; i < reply->refused.count; i++) {
		for (uint32_t j = 0; j < round->n; j++) {
			struct round_item *item = &round->items[j];
			int err;

			if (item->lease != refused[i].lease || item->refused)
				continue;
			item->refused = true;
			err = err_from_code(refused[i].code);
			application_refuse(round->keeper, &item->asker, err,
			    NULL);
			struct lease *lease =
			    lease_find(round->keeper, item->lease);

			/* A contract that is over ends it with its last span
			 * and grace; the site says when. */
			if (lease != NULL && err != ERR_LICENSE_EXPIRED)
				lease_lost(lease, refused[i].code);
		}
	}
}

static void
answer_item(struct renewal_round *round, const struct round_item *item,
    const struct renew_reply *said, const struct beat_tree *tree,
    uint32_t index)
{
	struct lease *lease = lease_find(round->keeper, item->lease);
	uint8_t path[MERKLE_PATH_MAX][MERKLE_BYTES];
	struct local_renew_reply reply = {
		.succession = round->keeper->succession,
		.beat = said->beat,
		.index = index,
		.path = { path, 0 },
	};

	if (lease != NULL)
		lease->valid_until_ms =
		    item->nonce_ms + (int64_t)item->ttl_s * 1000;
	if (item->asker.application == 0)
		return;
	reply.path.len =
	    (uint32_t)(beat_tree_path(path, tree, index) * MERKLE_BYTES);
	application_answer(round->keeper, &item->asker,
	    &local_renew_reply_record, &reply);
}

/* Does the site's beat stand over exactly what was asked? */
static int
check_beat(struct keeper *keeper, const struct renew_reply *said,
    const struct beat_tree *tree)
{
	struct arena arena = { .max_bytes = 1 << 16 };
	struct record_error error;
	struct journal_beat beat;
	int err = license_document_read(&beat, &journal_beat_record, TOKEN_BEAT,
	    said->beat.data, said->beat.len, keeper->site.site_key, &arena,
	    &error);

	if (err == 0 &&
	    (strcmp(beat.site, keeper->site.site) != 0 ||
		strcmp(beat.tenant, keeper->site.tenant) != 0 ||
		beat.count != tree->n ||
		memcmp(beat.root, beat_tree_root(tree), MERKLE_BYTES) != 0))
		err = ERR_MISMATCH;
	if (err == 0) {
		session_saw(keeper, beat.generation, beat.batch, beat.head,
		    &said->beat);
		keeper->session.last_beat = clock_wall_ms();
	}
	arena_release(&arena);
	return err;
}

static int
answer_round(struct renewal_round *round, const struct renew_reply *said)
{
	uint8_t leaves[ROUND_MAX][MERKLE_BYTES];
	struct beat_tree tree;
	uint32_t covered = 0, index = 0;

	for (uint32_t i = 0; i < round->n; i++)
		if (!round->items[i].refused)
			journal_beat_leaf(leaves[covered++],
			    round->items[i].lease, round->items[i].nonce,
			    round->items[i].ttl_s);
	if (covered == 0)
		return 0;
	int err = beat_tree_make(&tree, leaves[0], covered);

	if (err < 0)
		return err;
	err = check_beat(round->keeper, said, &tree);
	for (uint32_t i = 0; err == 0 && i < round->n; i++)
		if (!round->items[i].refused)
			answer_item(round, &round->items[i], said, &tree,
			    index++);
	beat_tree_release(&tree);
	return err;
}

static void
on_renewed(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct renewal_round *round = ctx;
	struct keeper *keeper = round->keeper;
	struct problem plain;

	keeper->renewal.flying = NULL;
	if (err == ERR_CLOSED) {
		want_again(round);
		free(round);
		return;
	}
	if (err == 0) {
		drop_refused(round, reply);
		err = answer_round(round, reply);
		if (err < 0) {
			problem_set(&plain, err, NULL,
			    "the site's beat is no proof: %s", err_str(err));
			problem = &plain;
		}
	}
	if (err < 0) {
		log_error("keeper", "a renewal failed: %s", problem->detail);
		/* Those already answered are gone from their connections'
		 * lists: only a beat that is no proof comes here, and then
		 * none was. */
		for (uint32_t i = 0; i < round->n; i++)
			if (round->items[i].refused)
				round->items[i].asker.application = 0;
		refuse_items(round, err, problem);
	}
	free(round);
	start_round(keeper); /* what came meanwhile */
}

/* --- the question --------------------------------------------------------- */

static struct renewal_round *
gather(struct keeper *keeper)
{
	struct renewal_round *round = NULL;
	struct lease *lease;

	TAILQ_FOREACH(lease, &keeper->leases.all, order) {
		struct round_item *item;

		if (!lease->wanted || !lease->attached || lease->ending)
			continue;
		if (round == NULL)
			round = calloc(1, sizeof(*round));
		if (round == NULL)
			return NULL;
		item = &round->items[round->n++];
		item->lease = lease->lease;
		memcpy(item->nonce, lease->nonce, sizeof(item->nonce));
		item->nonce_ms = lease->nonce_ms;
		item->ttl_s = lease->ttl_s;
		item->asker = lease->asker;
		item->reports = lease->reports;
		item->active = lease->active;
		lease->active = false;
		lease->wanted = false;
		lease->asker = (struct asker){ 0 };
		if (round->n == ROUND_MAX)
			break;
	}
	return round;
}

static void
start_round(struct keeper *keeper)
{
	struct renew_item items[ROUND_MAX] = { 0 };
	struct renew request = { .leases = { items, 0 } };

	if (keeper->renewal.flying != NULL || !session_is_up(keeper) ||
	    event_pending(keeper->renewal.soon, EV_TIMEOUT, NULL))
		return;
	struct renewal_round *round = gather(keeper);

	if (round == NULL)
		return;
	round->keeper = keeper;
	for (uint32_t i = 0; i < round->n; i++) {
		items[i].lease = round->items[i].lease;
		memcpy(items[i].nonce, round->items[i].nonce, NONCE_BYTES);
		items[i].reports = round->items[i].reports;
		items[i].active = round->items[i].active;
	}
	request.leases.count = round->n;
	keeper->renewal.flying = round;
	if (calls_ask(keeper->calls, OP_LEASE_RENEW, &request, on_renewed,
		round) < 0) {
		keeper->renewal.flying = NULL;
		want_again(round);
		free(round);
	}
}

static void
on_soon(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;

	(void)fd;
	(void)what;
	int64_t interval = interval_ms(keeper);

	if (interval > 0)
		want_held(keeper, interval / 2);
	start_round(keeper);
}

static void
on_round(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;

	(void)fd;
	(void)what;
	want_held(keeper, interval_ms(keeper) / 2);
	start_round(keeper);
	renewal_schedule(keeper);
}

/* To the moment when the lease renewed longest ago is due. */
void
renewal_schedule(struct keeper *keeper)
{
	int64_t interval = interval_ms(keeper);
	int64_t now_ms = clock_boottime_ms();
	int64_t oldest = now_ms;
	struct lease *lease;

	if (interval == 0)
		return;
	TAILQ_FOREACH(lease, &keeper->leases.all, order)
		if (lease->hold && !lease->ending && !lease->wanted &&
		    lease->nonce_ms < oldest)
			oldest = lease->nonce_ms;
	int64_t wait = oldest + interval - now_ms;

	arm(keeper->renewal.round,
	    wait > INTERVAL_MIN_MS ? wait : INTERVAL_MIN_MS);
}

void
renewal_resume(struct keeper *keeper, uint32_t renew_s)
{
	keeper->renewal.renew_s = renew_s;
	want_held(keeper, 0);
	start_round(keeper);
	renewal_schedule(keeper);
}

int
renewal_open(struct keeper *keeper)
{
	keeper->renewal.round =
	    event_new(keeper->base, -1, 0, on_round, keeper);
	keeper->renewal.soon = event_new(keeper->base, -1, 0, on_soon, keeper);
	if (keeper->renewal.round == NULL || keeper->renewal.soon == NULL)
		return ERR_NOMEM;
	return 0;
}

void
renewal_close(struct keeper *keeper)
{
	free(keeper->renewal.flying);
	keeper->renewal.flying = NULL;
	if (keeper->renewal.round != NULL)
		event_free(keeper->renewal.round);
	if (keeper->renewal.soon != NULL)
		event_free(keeper->renewal.soon);
	keeper->renewal.round = keeper->renewal.soon = NULL;
}
