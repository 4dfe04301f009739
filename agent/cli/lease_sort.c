#include "agent/cli/lease_sort.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/** Everything that is kept, bytes: some five million leases. */
#define KEEP_MAX ((size_t)1 << 30)
/* Names that were just copied are not copied again. */
#define NAMES_CACHED 1024

const char *const lease_order_names[] = { "number", "since", "user", "host",
	"product", "left", NULL };

/* A lease without the room that its names do not need. */
struct kept {
	uint64_t lease;
	uint64_t license;
	uint64_t device;
	int64_t granted_at;
	uint32_t type;
	uint32_t slot;
	uint32_t count;
	uint32_t ttl_s;
	uint32_t grace_s;
	uint32_t left_s;
	int64_t until;
	bool connected;
	const char *product;
	const char *version;
	const char *feature;
	const char *device_name;
	const char *user;
	const char *host;
};

struct lease_sort {
	struct buf kept; /* struct kept */
	struct arena names;
	const char *cache[NAMES_CACHED];
};

struct lease_sort *
lease_sort_new(void)
{
	struct lease_sort *sort = calloc(1, sizeof(*sort));

	if (sort == NULL)
		return NULL;
	sort->kept.max = KEEP_MAX;
	sort->names.max_bytes = KEEP_MAX;
	return sort;
}

void
lease_sort_free(struct lease_sort *sort)
{
	if (sort == NULL)
		return;
	buf_release(&sort->kept);
	arena_release(&sort->names);
	free(sort);
}

static const char *
keep_name(struct lease_sort *sort, const char *name)
{
	size_t len = strlen(name);
	uint32_t hash = 2166136261U; /* FNV-1a */
	const char **cached;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	cached = &sort->cache[hash % NAMES_CACHED];
	if (*cached == NULL || strcmp(*cached, name) != 0)
		*cached = arena_copy(&sort->names, name, len);
	return *cached;
}

int
lease_sort_add(struct lease_sort *sort, const struct lease_view *lease)
{
	const struct kept kept = {
		.lease = lease->lease,
		.license = lease->license,
		.device = lease->device,
		.granted_at = lease->granted_at,
		.type = lease->type,
		.slot = lease->slot,
		.count = lease->count,
		.ttl_s = lease->ttl_s,
		.grace_s = lease->grace_s,
		.until = lease->until,
		.left_s = lease->left_s,
		.connected = lease->connected,
		.product = keep_name(sort, lease->product),
		.version = keep_name(sort, lease->version),
		.feature = keep_name(sort, lease->feature),
		.device_name = keep_name(sort, lease->device_name),
		.user = keep_name(sort, lease->user),
		.host = keep_name(sort, lease->host),
	};

	buf_add(&sort->kept, &kept, sizeof(kept));
	return sort->kept.failed || kept.product == NULL ||
		kept.version == NULL || kept.feature == NULL ||
		kept.device_name == NULL || kept.user == NULL ||
		kept.host == NULL
	    ? ERR_NOMEM
	    : 0;
}

static int
by_number(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
by_order(const struct kept *a, const struct kept *b, enum lease_order order)
{
	int rc;

	switch (order) {
	case ORDER_NUMBER:
		return 0;
	case ORDER_SINCE:
		return a->granted_at < b->granted_at
		    ? -1
		    : a->granted_at > b->granted_at;
	case ORDER_USER:
		return strcmp(a->user, b->user);
	case ORDER_HOST:
		return strcmp(a->host, b->host);
	case ORDER_PRODUCT:
		rc = strcmp(a->product, b->product);
		return rc != 0 ? rc : strcmp(a->feature, b->feature);
	case ORDER_LEFT:
		return by_number(a->left_s, b->left_s);
	}
	return 0;
}

struct how {
	enum lease_order order;
	bool reverse;
};

static int
compare(const void *a, const void *b, void *ctx)
{
	const struct kept *left = a, *right = b;
	const struct how *how = ctx;
	int rc = by_order(left, right, how->order);

	if (rc == 0)
		rc = by_number(left->lease, right->lease);
	return how->reverse ? -rc : rc;
}

void
lease_sort_run(struct lease_sort *sort, enum lease_order order, bool reverse)
{
	struct how how = { order, reverse };

	if (sort->kept.len > 0)
		qsort_r(sort->kept.data, lease_sort_count(sort),
		    sizeof(struct kept), compare, &how);
}

uint32_t
lease_sort_count(const struct lease_sort *sort)
{
	return (uint32_t)(sort->kept.len / sizeof(struct kept));
}

void
lease_sort_get(struct lease_view *lease, const struct lease_sort *sort,
    uint32_t n)
{
	struct kept kept;

	memcpy(&kept, sort->kept.data + n * sizeof(kept), sizeof(kept));
	*lease = (struct lease_view){
		.lease = kept.lease,
		.license = kept.license,
		.device = kept.device,
		.granted_at = kept.granted_at,
		.type = kept.type,
		.slot = kept.slot,
		.count = kept.count,
		.ttl_s = kept.ttl_s,
		.grace_s = kept.grace_s,
		.until = kept.until,
		.left_s = kept.left_s,
		.connected = kept.connected,
	};
	text_copy(lease->product, sizeof(lease->product), kept.product);
	text_copy(lease->version, sizeof(lease->version), kept.version);
	text_copy(lease->feature, sizeof(lease->feature), kept.feature);
	text_copy(lease->device_name, sizeof(lease->device_name),
	    kept.device_name);
	text_copy(lease->user, sizeof(lease->user), kept.user);
	text_copy(lease->host, sizeof(lease->host), kept.host);
}
