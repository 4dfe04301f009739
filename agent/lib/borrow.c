/* Seats taken along: questions to the agent about this workstation's borrows.
 * Nothing is verified here, for nothing is held: that is the checkout's. */
#include "agent/lib/client.h"

#include "agent/lib/stream.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BORROW_REPLY_BYTES ((size_t)256 << 10)
#define ID_MAX ((UINT64_C(1) << 53) - 1) /* exact in JSON */
/* Of the first structs that there were. */
#define BORROW_SIZE_FIRST                      \
	(offsetof(struct lh_borrow, feature) + \
	    sizeof(((struct lh_borrow *)0)->feature))
#define REQUEST_SIZE_FIRST                              \
	(offsetof(struct lh_borrow_request, length_s) + \
	    sizeof(((struct lh_borrow_request *)0)->length_s))

/* --- bounds ---------------------------------------------------------------- */

static int
check_room(const struct lh_borrow *borrow)
{
	if (borrow == NULL || borrow->size < BORROW_SIZE_FIRST)
		return detail_set(LH_E_ARGUMENT,
		    "borrow.size must be sizeof(struct lh_borrow)");
	return LH_OK;
}

static int
check_length(uint32_t length_s)
{
	if (length_s < 1 || length_s > LICENSE_BORROW_MAX_S)
		return detail_set(LH_E_ARGUMENT,
		    "length_s must be from 1 to %d", LICENSE_BORROW_MAX_S);
	return LH_OK;
}

/* --- what it says ---------------------------------------------------------- */

static void
describe(struct lh_borrow *out, const struct local_borrow *borrow)
{
	*out = (struct lh_borrow){
		.size = sizeof(*out),
		.count = borrow->count,
		.id = borrow->lease,
		.used = borrow->used,
		.type = borrow->type == SEAT_COMMIT ? LH_SEAT_COMMIT
						    : LH_SEAT_OVERAGE,
		.length_s = borrow->length_s,
		.taken_at_ms = borrow->taken_at,
		.until_ms = borrow->until,
	};
	switch ((enum borrow_state)borrow->state) {
	case BORROW_LENT:
		out->state = LH_BORROW_LENT;
		break;
	case BORROW_RETURNING:
		out->state = LH_BORROW_RETURNING;
		break;
	case BORROW_UNPROVEN:
		out->state = LH_BORROW_UNPROVEN;
		break;
	}
	text_copy(out->product, sizeof(out->product), borrow->product);
	text_copy(out->version, sizeof(out->version), borrow->version);
	text_copy(out->feature, sizeof(out->feature), borrow->feature);
}

/* As much of it as the application knows; what it knows beyond us is zero. */
static void
give(struct lh_borrow *out, const struct local_borrow *borrow)
{
	struct lh_borrow full;
	uint32_t size = out->size;

	describe(&full, borrow);
	memset(out, 0, size);
	memcpy(out, &full, size < sizeof(full) ? size : sizeof(full));
	out->size = size;
}

/* --- taking ---------------------------------------------------------------- */

static int
read_take(struct local_borrow_take *take, const struct lh_borrow_request *given)
{
	struct lh_borrow_request request;
	int error = question_copy(&request, sizeof(request), given,
	    given == NULL ? 0 : given->size, REQUEST_SIZE_FIRST);

	*take = (struct local_borrow_take){ 0 };
	if (error == LH_OK)
		error = question_text(take->product, sizeof(take->product),
		    "product", request.product, true);
	if (error == LH_OK)
		error = question_text(take->version, sizeof(take->version),
		    "version", request.version, true);
	if (error == LH_OK)
		error = question_text(take->feature, sizeof(take->feature),
		    "feature", request.feature, false);
	if (error == LH_OK)
		error = question_text(take->user, sizeof(take->user), "user",
		    request.user, false);
	if (error == LH_OK)
		error = question_version(request.version);
	if (error == LH_OK)
		error = check_length(request.length_s);
	if (error == LH_OK && request.count > LEASE_COUNT_MAX)
		error = detail_set(LH_E_ARGUMENT, "count must be from 1 to %d",
		    LEASE_COUNT_MAX);
	if (error != LH_OK)
		return error;
	take->count = request.count == 0 ? 1 : request.count;
	take->length_s = request.length_s;
	return LH_OK;
}

static bool
is_same_take(const struct local_borrow_take *a,
    const struct local_borrow_take *b)
{
	return strcmp(a->product, b->product) == 0 &&
	    strcmp(a->version, b->version) == 0 &&
	    strcmp(a->feature, b->feature) == 0 &&
	    strcmp(a->user, b->user) == 0 && a->count == b->count &&
	    a->length_s == b->length_s;
}

/* The one that asked the same and never heard; NULL: there is none. */
static struct borrow_attempt *
find_attempt(struct lh_client *client, const struct local_borrow_take *take)
{
	struct borrow_attempt **at = &client->borrow_attempts;
	struct borrow_attempt *attempt;

	pthread_mutex_lock(&client->lock);
	while (*at != NULL && !is_same_take(&(*at)->request, take))
		at = &(*at)->next;
	attempt = *at;
	if (attempt != NULL)
		*at = attempt->next;
	pthread_mutex_unlock(&client->lock);
	return attempt;
}

static void
keep_attempt(struct lh_client *client, struct borrow_attempt *attempt)
{
	struct borrow_attempt **at = &client->borrow_attempts;

	pthread_mutex_lock(&client->lock);
	attempt->next = client->borrow_attempts;
	client->borrow_attempts = attempt;
	for (int n = 0; n < CLIENT_ATTEMPTS_MAX && *at != NULL; n++)
		at = &(*at)->next;
	attempt = *at;
	*at = NULL;
	pthread_mutex_unlock(&client->lock);
	free(attempt);
}

/* Could it be lent all the same? */
static bool
is_unknown(int error)
{
	return error == LH_E_TIMEOUT || error == LH_E_AGENT ||
	    error == LH_E_SITE || error == LH_E_PROTOCOL ||
	    error == LH_E_MEMORY || error == LH_E_SYSTEM;
}

static int
take_by(struct local_borrow *reply, struct lh_client *client,
    struct borrow_attempt *attempt, bool retry, struct arena *arena,
    int timeout_ms)
{
	struct local_borrow_take *request = &attempt->request;
	int64_t deadline = stream_deadline(timeout_ms < 0 ? 0 : timeout_ms);
	struct problem problem;
	int err = client_ask(reply, client, LOCAL_BORROW_TAKE, request, arena,
	    timeout_ms, &problem);

	/* What the first try got has ended meanwhile: ask anew. */
	if (retry && (err == ERR_GONE || err == ERR_CONFLICT)) {
		randombytes_buf(request->request, sizeof(request->request));
		err = client_ask(reply, client, LOCAL_BORROW_TAKE, request,
		    arena, stream_left(deadline), &problem);
	}
	return err == 0 ? LH_OK : detail_problem(error_from_err(err), &problem);
}

int
lh_borrow_take(struct lh_borrow *borrow, struct lh_client *client,
    const struct lh_borrow_request *request, int timeout_ms)
{
	struct arena arena = { .max_bytes = BORROW_REPLY_BYTES };
	struct local_borrow_take take;
	struct local_borrow reply = { 0 };
	int error = client_begin(client);

	if (error == LH_OK)
		error = check_room(borrow);
	if (error == LH_OK)
		error = read_take(&take, request);
	if (error != LH_OK)
		return error;
	struct borrow_attempt *attempt = find_attempt(client, &take);
	bool retry = attempt != NULL;

	if (attempt == NULL) {
		attempt = calloc(1, sizeof(*attempt));
		if (attempt == NULL)
			return detail_set(LH_E_MEMORY, "out of memory");
		attempt->request = take;
		randombytes_buf(attempt->request.request,
		    sizeof(attempt->request.request));
	}
	error = take_by(&reply, client, attempt, retry, &arena, timeout_ms);
	if (error == LH_OK)
		give(borrow, &reply);
	if (is_unknown(error))
		keep_attempt(client, attempt);
	else
		free(attempt);
	arena_release(&arena);
	return error;
}

/* --- the others ------------------------------------------------------------ */

static int
check_id(uint64_t id, bool all)
{
	if (id > ID_MAX || (id == 0 && !all))
		return detail_set(LH_E_ARGUMENT,
		    "id must be one that lh_borrow_take() or lh_borrow_list() "
		    "gave");
	return LH_OK;
}

int
lh_borrow_extend(struct lh_borrow *borrow, struct lh_client *client,
    uint64_t id, uint32_t length_s, int timeout_ms)
{
	const struct local_borrow_extend request = { id, length_s };
	struct arena arena = { .max_bytes = BORROW_REPLY_BYTES };
	struct local_borrow reply = { 0 };
	struct problem problem;
	int error = client_begin(client);

	if (error == LH_OK)
		error = check_room(borrow);
	if (error == LH_OK)
		error = check_id(id, false);
	if (error == LH_OK)
		error = check_length(length_s);
	if (error != LH_OK)
		return error;
	int err = client_ask(&reply, client, LOCAL_BORROW_EXTEND, &request,
	    &arena, timeout_ms, &problem);

	if (err == 0)
		give(borrow, &reply);
	arena_release(&arena);
	return err == 0 ? LH_OK : detail_problem(error_from_err(err), &problem);
}

int
lh_borrow_return(int *proved, struct lh_client *client, uint64_t id,
    int timeout_ms)
{
	const struct local_borrow_return request = { .lease = id,
		.all = id == 0 };
	struct arena arena = { .max_bytes = BORROW_REPLY_BYTES };
	struct local_borrow_returned reply = { 0 };
	struct problem problem;
	int error = client_begin(client);

	if (error == LH_OK)
		error = check_id(id, true);
	if (error != LH_OK)
		return error;
	int err = client_ask(&reply, client, LOCAL_BORROW_RETURN, &request,
	    &arena, timeout_ms, &problem);

	if (err == 0 && proved != NULL)
		*proved = reply.proved;
	arena_release(&arena);
	return err == 0 ? LH_OK : detail_problem(error_from_err(err), &problem);
}

int
lh_borrow_list(struct lh_client *client,
    void (*each)(void *ctx, const struct lh_borrow *borrow), void *ctx,
    int timeout_ms)
{
	struct arena arena = { .max_bytes = BORROW_REPLY_BYTES };
	struct local_borrows reply = { 0 };
	struct problem problem;
	int error = client_begin(client);

	if (error != LH_OK)
		return error;
	if (each == NULL)
		return detail_set(LH_E_ARGUMENT, "nobody to tell");
	int err = client_ask(&reply, client, LOCAL_BORROW_LIST, NULL, &arena,
	    timeout_ms, &problem);

	if (err == 0) {
		const struct local_borrow *items = reply.items.items;

		for (uint32_t i = 0; i < reply.items.count; i++) {
			struct lh_borrow borrow;

			describe(&borrow, &items[i]);
			each(ctx, &borrow);
		}
	}
	arena_release(&arena);
	return err == 0 ? LH_OK : detail_problem(error_from_err(err), &problem);
}
