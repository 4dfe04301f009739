/* What a license grants at which time; see license.h. */
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/license/license.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)

int64_t
license_contract_end(const struct license *license)
{
	return ((int64_t)license->contract.end_date + 1) * DAY_MS;
}

int64_t
license_grants_until(const struct license *license)
{
	int64_t end = license_contract_end(license);

	switch ((enum license_enforce)license->terms.enforce) {
	case LICENSE_HARD:
		return end;
	case LICENSE_GRACE:
		return end + license->terms.grace_days * DAY_MS;
	case LICENSE_ADVISORY:
		return INT64_MAX;
	}
	return end;
}

int
license_check_grants(const struct license *license, int64_t now_ms,
    struct record_error *error)
{
	char day[CLOCK_TEXT_SIZE];
	int64_t end = license_contract_end(license);

	if (now_ms >= end && now_ms < license_grants_until(license))
		return 0;
	int err = license_check_dates(license, now_ms, error);

	if (err == 0 || now_ms < end ||
	    license->terms.enforce != LICENSE_GRACE ||
	    license->terms.grace_days == 0)
		return err;
	clock_format_date(day, license->contract.end_date);
	snprintf(error->reason, sizeof(error->reason),
	    "the contract is over: it ended on %s, and so are the %u days "
	    "after it",
	    day, license->terms.grace_days);
	return err;
}

uint32_t
license_seats_most(const struct license *license,
    const struct license_seats *seats)
{
	if (license->terms.enforce != LICENSE_ADVISORY || seats->total == 0 ||
	    seats->total > LICENSE_ADVISORY_SEATS)
		return seats->total;
	return LICENSE_ADVISORY_SEATS;
}

void
license_seats_at(struct license_seats *out, const struct license *license,
    const struct license_seats *seats, int64_t now_ms)
{
	struct record_error error;

	*out = *seats;
	if (license_check_grants(license, now_ms, &error) != 0)
		*out = (struct license_seats){ 0 };
	out->total = license_seats_most(license, out);
	if (now_ms >= license_contract_end(license))
		out->commit = 0;
	out->overage = out->total - out->commit;
}
