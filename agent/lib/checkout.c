/* Taking a seat: what to ask, what to believe, and holding it. */
#include "agent/lib/client.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Of the first struct lh_request that there was. */
#define REQUEST_SIZE_FIRST                  \
	(offsetof(struct lh_request, ctx) + \
	    sizeof(((struct lh_request *)0)->ctx))

/* --- what to ask -----------------------------------------------------------
 */

int
question_text(char *out, size_t size, const char *name, const char *text,
    bool required)
{
	if (text == NULL && !required)
		text = "";
	if (text == NULL || (required && text[0] == '\0') ||
	    !text_is_printable(text, strlen(text)) ||
	    !text_copy(out, size, text))
		return detail_set(LH_E_ARGUMENT,
		    "%s must be %s%zu bytes of UTF-8 without control "
		    "characters",
		    name, required ? "1 to " : "at most ", size - 1);
	return LH_OK;
}

int
question_copy(void *out, size_t size, const void *request, uint32_t given,
    size_t first)
{
	const uint8_t *bytes = request;

	memset(out, 0, size);
	if (given < first)
		return detail_set(LH_E_ARGUMENT,
		    "request.size must be the sizeof of its struct");
	for (size_t i = size; i < given; i++) {
		if (bytes[i] != 0)
			return detail_set(LH_E_ARGUMENT,
			    "the request asks for what libleasehold %s does "
			    "not know",
			    lh_version());
	}
	memcpy(out, request, given < size ? given : size);
	return LH_OK;
}

static int
copy_request(struct lh_request *out, const struct lh_request *request)
{
	return question_copy(out, sizeof(*out), request,
	    request == NULL ? 0 : request->size, REQUEST_SIZE_FIRST);
}

int
question_version(const char *version)
{
	struct version parsed;

	if (version_parse(&parsed, version) != 0)
		return detail_set(LH_E_ARGUMENT,
		    "version must be up to four numbers: \"8.1.0\"");
	return LH_OK;
}

static int
read_question(struct local_checkout *question, const struct lh_request *request)
{
	*question = (struct local_checkout){ 0 };
	int error = question_text(question->product, sizeof(question->product),
	    "product", request->product, true);

	if (error == LH_OK)
		error =
		    question_text(question->version, sizeof(question->version),
			"version", request->version, true);
	if (error == LH_OK)
		error =
		    question_text(question->feature, sizeof(question->feature),
			"feature", request->feature, false);
	if (error == LH_OK)
		error = question_text(question->user, sizeof(question->user),
		    "user", request->user, false);
	if (error == LH_OK)
		error = question_version(request->version);
	if (error != LH_OK)
		return error;
	if (request->count > LEASE_COUNT_MAX)
		return detail_set(LH_E_ARGUMENT, "count must be from 1 to %d",
		    LEASE_COUNT_MAX);
	if (request->wait_s < 0 || request->wait_s > LEASE_WAIT_MAX_S)
		return detail_set(LH_E_ARGUMENT, "wait_s must be from 0 to %d",
		    LEASE_WAIT_MAX_S);
	question->count = request->count == 0 ? 1 : request->count;
	question->wait_s = (uint32_t)request->wait_s;
	return LH_OK;
}

/* What was asked, and what a verified answer to it says. */
struct answer {
	struct verify_question question;
	struct verify_lease lease;
	bool borrowed;
	struct verify_borrow borrow; /* of a ticket */
};

/* --- verify ----------------------------------------------------------------
 */

/* Newer than all that was seen when it was asked for? */
static int
check_floor(const struct journal_known *floor, const struct verify_lease *lease)
{
	const struct journal_header *header = &lease->header;

	if (!verify_knows(floor) ||
	    header->generation > journal_known_generation(floor))
		return LH_OK;
	if (header->batch > floor->batch ||
	    (header->batch == floor->batch &&
		memcmp(lease->head, floor->head, sizeof(lease->head)) == 0))
		return LH_OK;
	return detail_set(LH_E_FORK,
	    "site %s stood at batch %llu of its journal, and grants from batch "
	    "%llu of another past",
	    header->site, (unsigned long long)floor->batch,
	    (unsigned long long)header->batch);
}

/* True, an answer, and of the journal we know? A retry is judged by what was
 * known when it was first sent: it gets the first grant, which may be older
 * than what was seen since and then says nothing about that. hold() has it
 * renewed before it is used. */
static int
check_grant(struct verify_lease *lease, struct lh_client *client,
    const struct attempt *attempt, const struct local_checkout_reply *reply,
    const struct verify_question *question)
{
	struct journal_known known = attempt->request.known;
	struct journal_known floor = attempt->floor;
	char why[VERIFY_WHY];
	int error = verify_grant(lease, reply, question, why);

	if (error != LH_OK)
		return detail_set(error, "%s", why);
	/* An agent that named another site before gets no way around what is
	 * known of this one. */
	if (strcmp(lease->header.site, attempt->site) != 0 ||
	    strcmp(lease->header.tenant, attempt->tenant) != 0)
		known_get(&known, &floor, client->known, lease->header.site,
		    lease->header.tenant);
	error = verify_continues(lease, reply, &known, why);
	if (error != LH_OK)
		return detail_set(error, "%s", why);
	error = check_floor(&floor, lease);
	if (error != LH_OK)
		return error;
	verify_keep(&known, lease);
	if (known_put(client->known, lease->header.site, lease->header.tenant,
		&known) != 0)
		return detail_set(LH_E_FORK,
		    "site %s shows two different batches %llu of its journal",
		    lease->header.site,
		    (unsigned long long)lease->header.batch);
	return LH_OK;
}

/* True, and proved now? Of the journal a ticket says no more than that this
 * batch stood in it. */
static int
check_ticket(struct answer *answer, struct lh_client *client,
    const struct local_checkout_reply *reply)
{
	const struct journal_header *header = &answer->lease.header;
	char why[VERIFY_WHY];
	int error = verify_ticket(&answer->lease, &answer->borrow, reply,
	    &answer->question, clock_wall_ms(), why);

	if (error != LH_OK)
		return detail_set(error, "%s", why);
	if (known_see(client->known, header->site, header->tenant,
		header->generation, header->batch, answer->lease.head) != 0)
		return detail_set(LH_E_FORK,
		    "site %s shows two different batches %llu of its journal",
		    header->site, (unsigned long long)header->batch);
	return LH_OK;
}

static int
check_answer(struct answer *answer, struct lh_client *client,
    const struct attempt *attempt, const struct local_checkout_reply *reply)
{
	const struct local_checkout *request = &attempt->request;
	struct verify_question *question = &answer->question;

	*question = (struct verify_question){ .count = request->count };
	memcpy(question->root, client->root, sizeof(question->root));
	memcpy(question->product, request->product, sizeof(question->product));
	memcpy(question->version, request->version, sizeof(question->version));
	memcpy(question->feature, request->feature, sizeof(question->feature));
	memcpy(question->nonce, request->nonce, sizeof(question->nonce));
	answer->borrowed = verify_is_ticket(reply);
	return answer->borrowed
	    ? check_ticket(answer, client, reply)
	    : check_grant(&answer->lease, client, attempt, reply, question);
}

/* --- hold ------------------------------------------------------------------
 */

/* Was more of the journal seen while the answer was on its way? Then its
 * header proves nothing against that. */
static bool
is_behind(struct lh_client *client, const struct verify_lease *lease)
{
	struct journal_known kept, floor;

	known_get(&kept, &floor, client->known, lease->header.site,
	    lease->header.tenant);
	return journal_known_generation(&floor) > lease->header.generation ||
	    (journal_known_generation(&floor) == lease->header.generation &&
		floor.batch > lease->header.batch);
}

/* A grant of some time ago: a beat over a fresh nonce shows that the lease is
 * still ours, and that the journal goes on from the newest batch seen. */
static int
refresh(struct lh_client *client, struct lh_seat *seat)
{
	int error = beat_now(client, seat, CLIENT_SITE_MS);

	if (error <= LH_E_BAD_SIGNATURE)
		return error;
	/* The agent was slow; what was signed before still stands. */
	if (lh_seat_valid(seat))
		return LH_OK;
	return error != LH_OK ? error
			      : detail_set(LH_E_TIMEOUT,
				    "the lease ran out before it was shown "
				    "to be still held");
}

static int
hold(struct lh_seat **out, struct lh_client *client,
    const struct answer *answer, const struct local_checkout_reply *reply,
    const struct attempt *attempt, uint64_t connection)
{
	const struct verify_lease *lease = &answer->lease;
	struct lh_seat *seat;
	int error = seat_new(&seat, client, lease,
	    answer->borrowed ? &answer->borrow : NULL, &answer->question, reply,
	    connection, attempt->sent_ms);

	if (error != LH_OK) {
		seat_give_back(client, reply, attempt->request.count);
		return detail_set(error, "out of memory");
	}
	error = beat_start(client);
	/* A ticket is as old as the borrow, and its proof new. */
	if (error == LH_OK &&
	    ((!answer->borrowed && is_behind(client, lease)) ||
		clock_boottime_ms() - attempt->sent_ms >
		    seat_interval_ms(seat)))
		error = refresh(client, seat);
	pthread_mutex_lock(&client->lock);
	seat->fresh = false;
	pthread_mutex_unlock(&client->lock);
	/* What is left of a borrow may end before the thread looks again. */
	if (answer->borrowed)
		client_wake(client);
	if (error != LH_OK)
		lh_return(seat);
	else
		*out = seat;
	return error;
}

static int
checkout(struct lh_seat **seat, struct lh_client *client,
    struct attempt *attempt, const struct lh_request *request, bool *unknown)
{
	struct arena arena = { .max_bytes = ATTEMPT_REPLY_BYTES };
	struct local_checkout_reply reply;
	struct connection *connection;
	struct answer answer;
	int error = attempt_get(&connection, &reply, attempt, client, request,
	    &arena, unknown);

	if (error == LH_OK) {
		error = check_answer(&answer, client, attempt, &reply);
		if (error == LH_OK)
			error = hold(seat, client, &answer, &reply, attempt,
			    connection->number);
		else
			seat_give_back(client, &reply, attempt->request.count);
		client_release(client, connection);
	}
	arena_release(&arena);
	return error;
}

int
lh_checkout_with(struct lh_seat **seat, struct lh_client *client,
    const struct lh_request *given)
{
	struct local_checkout question;
	struct lh_request request;
	bool unknown;

	detail_set(LH_OK, "%s", "");
	if (seat == NULL || client == NULL)
		return detail_set(LH_E_ARGUMENT, "no client");
	if (client_is_foreign(client))
		return LH_E_ARGUMENT;
	int error = copy_request(&request, given);

	if (error == LH_OK)
		error = read_question(&question, &request);
	if (error != LH_OK)
		return error;
	struct attempt *attempt = attempt_take(client, &question);

	if (attempt == NULL)
		return detail_set(LH_E_MEMORY, "out of memory");
	error = checkout(seat, client, attempt, &request, &unknown);
	if (unknown && attempt->sent_ms != 0)
		attempt_keep(client, attempt);
	else
		free(attempt);
	return error;
}

int
lh_checkout(struct lh_seat **seat, struct lh_client *client,
    const char *product, const char *version, const char *feature,
    const char *user, int wait_s)
{
	const struct lh_request request = {
		.size = sizeof(request),
		.product = product,
		.version = version,
		.feature = feature,
		.user = user,
		.wait_s = wait_s,
	};

	return lh_checkout_with(seat, client, &request);
}
