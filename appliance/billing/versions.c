/* Which serial of a license is in force on which day; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

static int
by_serial(const void *a, const void *b)
{
	const struct billing_version *x = a, *y = b;

	return (x->license->serial > y->license->serial) -
	    (x->license->serial < y->license->serial);
}

static int32_t
day_of_ms(int64_t ms)
{
	int64_t day = ms / BILLING_DAY_MS - (ms % BILLING_DAY_MS < 0);

	return day < INT32_MIN ? INT32_MIN
	    : day > INT32_MAX  ? INT32_MAX
			       : (int32_t)day;
}

static int32_t
earlier(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

int
billing_versions_arrange(struct billing_version *versions, size_t n,
    int32_t cancelled)
{
	if (n == 0)
		return 0;
	qsort(versions, n, sizeof(*versions), by_serial);
	for (size_t i = 0; i < n; i++) {
		const struct license *l = versions[i].license;
		int32_t issued = day_of_ms(l->issued_at);

		if (i > 0 &&
		    (l->serial == versions[i - 1].license->serial ||
			strcmp(l->license_id,
			    versions[0].license->license_id) != 0))
			return ERR_BAD_REQUEST;
		versions[i].first = l->contract.start_date;
		if (i > 0 && issued > versions[i].first)
			versions[i].first = issued;
		versions[i].last = earlier(l->contract.end_date, cancelled);
	}
	/* A later serial ends all earlier ones, whatever is between them. */
	for (size_t i = n - 1; i > 0; i--) {
		int32_t next = versions[i].first;

		for (size_t j = 0; j < i; j++)
			versions[j].last = earlier(versions[j].last, next - 1);
	}
	return 0;
}

const struct billing_version *
billing_version_get(const struct billing_license *license, uint64_t serial)
{
	for (size_t i = 0; i < license->n_versions; i++)
		if (license->versions[i].license->serial == serial)
			return &license->versions[i];
	return NULL;
}

struct billing_period
billing_force(const struct billing_version *version)
{
	return (struct billing_period){ version->first, version->last };
}

enum license_model
billing_model(const struct license *license)
{
	return (enum license_model)license->billing.model;
}
