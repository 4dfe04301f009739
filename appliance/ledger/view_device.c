/* Answers of the query operations on devices and join tokens. See ledger.h. */
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* Looked at for one page, whatever it filters for: the next page goes on from
 * there, and no read transaction gets long. */
#define SCAN_MAX 4096

/* --- devices ----------------------------------------------------------- */

static int
fill_device(struct device_view *out, struct query *q,
    const struct state_device *device)
{
	*out = (struct device_view){ .device = device->device,
		.class_ = device->class_,
		.state = device->state,
		.join = device->join,
		.enrolled_at = device->enrolled_at,
		.decided_at = device->decided_at,
		.leases =
		    requests_device_count_shared(q->view->ledger->requests,
			device->device) };
	memcpy(out->tpm_maker, device->manufacturer, sizeof out->tpm_maker);
	memcpy(out->tpm_issuer, device->issuer, sizeof out->tpm_issuer);
	memcpy(out->tpm_reason, device->why, sizeof out->tpm_reason);
	crypto_hash_sha256(out->fingerprint, device->public_key,
	    device->public_key_len);
	int err =
	    view_subject(out->name, sizeof out->name, q->view, device->name);

	if (err == 0)
		err = view_subject(out->host, sizeof out->host, q->view,
		    device->host);
	if (err == 0)
		err = view_subject(out->reason, sizeof out->reason, q->view,
		    device->reason);
	return err;
}

int
query_device(struct query *q)
{
	const struct device_number *request = q->request;
	struct state_device device;
	int err = state_device(&device, &q->view->state, request->device);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no device-%" PRIu64, request->device);
	return err == 0 ? fill_device(q->reply, q, &device) : err;
}

/* Fills `out` when it is one of those asked for. */
static int
match_device(bool *fits, struct device_view *out, struct query *q,
    uint64_t number)
{
	const struct device_query *request = q->request;
	const char *match = request->match;
	struct state_device device;
	int err = state_device(&device, &q->view->state, number);

	*fits = false;
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (request->state != DEVICE_FILTER_ANY &&
	    request->state - 1 != (uint32_t)device.state)
		return 0;
	err = fill_device(out, q, &device);
	*fits = err == 0 &&
	    (match[0] == '\0' || text_fits(match, out->name) ||
		text_fits(match, out->host));
	return err;
}

int
query_devices(struct query *q)
{
	const struct device_query *request = q->request;
	struct device_page *out = q->reply;
	uint64_t end = q->view->state.counters.next_device;
	uint64_t at = request->after + 1;
	uint32_t limit = query_limit(request->limit), n = 0, scanned = 0;
	struct device_view *items =
	    arena_alloc(q->arena, limit * sizeof *items);

	if (items == NULL)
		return ERR_NOMEM;
	for (; at < end && n < limit && scanned < SCAN_MAX; at++, scanned++) {
		bool fits;
		int err = match_device(&fits, &items[n], q, at);

		if (err != 0)
			return err;
		n += fits;
	}
	out->items = (struct record_list){ items, n };
	out->next = at < end ? at - 1 : 0;
	return 0;
}

/* --- join tokens ------------------------------------------------------- */

static enum join_state
state_of(const struct state_join *join, int64_t now_ms)
{
	if (join->revoked)
		return JOIN_REVOKED;
	if (join->used >= join->uses)
		return JOIN_USED;
	return now_ms >= join->expires_at ? JOIN_EXPIRED : JOIN_OPEN;
}

static int
fill_join(struct join_view *out, struct query *q, const struct state_join *join)
{
	struct license_host_pattern *hosts =
	    arena_alloc(q->arena, join->n_hosts * sizeof *hosts + 1);
	uint8_t(*keys)[32] =
	    arena_alloc(q->arena, join->n_keys * sizeof *keys + 1);
	int err = 0;

	if (hosts == NULL || keys == NULL)
		return ERR_NOMEM;
	memcpy(keys, join->keys, join->n_keys * sizeof *keys);
	*out = (struct join_view){ .join = join->join,
		.state = state_of(join, q->now_ms),
		.uses = join->uses,
		.used = join->used,
		.class_ = join->class_,
		.approved = join->approved,
		.hosts = { hosts, 0 },
		.keys = { keys, join->n_keys },
		.created_at = join->created_at,
		.expires_at = join->expires_at,
		.by = join->by };
	for (uint32_t i = 0; i < join->n_hosts && err == 0; i++) {
		struct license_host_pattern *host = &hosts[out->hosts.count];

		err = view_subject(host->pattern, sizeof host->pattern, q->view,
		    join->hosts[i]);
		/* An erased one is not shown. */
		out->hosts.count += err == 0 && host->pattern[0] != '\0';
	}
	return err;
}

int
query_joins(struct query *q)
{
	const struct join_query *request = q->request;
	struct join_page *out = q->reply;
	uint64_t end = q->view->state.counters.next_join;
	uint64_t at = request->after + 1;
	uint32_t limit = query_limit(request->limit), n = 0, scanned = 0;
	struct join_view *items = arena_alloc(q->arena, limit * sizeof *items);

	if (items == NULL)
		return ERR_NOMEM;
	for (; at < end && n < limit && scanned < SCAN_MAX; at++, scanned++) {
		struct state_join join;
		int err = state_join(&join, &q->view->state, at);

		if (err == 0 &&
		    (request->all || state_of(&join, q->now_ms) == JOIN_OPEN))
			err = fill_join(&items[n++], q, &join);
		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
	}
	out->items = (struct record_list){ items, n };
	out->next = at < end ? at - 1 : 0;
	return 0;
}
