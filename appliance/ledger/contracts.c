#include "appliance/ledger/contracts.h"

#include "shared/base/err.h"

#include <stdlib.h>

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

int64_t
contracts_end(const struct license *license)
{
	if (license->terms.enforce != LICENSE_HARD)
		return INT64_MAX;
	return ((int64_t)license->contract.end_date + 1) * DAY_MS;
}

int
contracts_set(struct contracts *contracts, uint64_t license, int64_t end)
{
	if (license == 0)
		return 0;
	if (license > contracts->n) {
		int64_t *ends =
		    reallocarray(contracts->ends, license, sizeof(*ends));

		if (ends == NULL)
			return ERR_NOMEM;
		while (contracts->n < license)
			ends[contracts->n++] = INT64_MAX;
		contracts->ends = ends;
	}
	contracts->ends[license - 1] = end;
	return 0;
}

bool
contracts_are_over(const struct contracts *contracts, uint64_t license,
    int64_t now)
{
	return license > 0 && license <= contracts->n &&
	    now >= contracts->ends[license - 1];
}

void
contracts_release(struct contracts *contracts)
{
	free(contracts->ends);
	*contracts = (struct contracts){ 0 };
}
