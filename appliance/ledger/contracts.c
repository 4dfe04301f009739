#include "appliance/ledger/contracts.h"

#include "shared/base/err.h"

#include <stdlib.h>

int64_t
contracts_end(const struct license *license)
{
	return license_grants_until(license);
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
