/* Exact fractions and their one rounding; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"

billing_wide
billing_round(billing_wide value, billing_wide of)
{
	billing_wide whole = value / of;
	billing_wide twice = 2 * (value % of);

	if (twice > of || (twice == of && whole % 2 != 0))
		whole++;
	return whole;
}

int
billing_narrow(int64_t *out, billing_wide value)
{
	*out = 0;
	if (value < 0 || value > (billing_wide)U53_MAX)
		return ERR_TOO_LARGE;
	*out = (int64_t)value;
	return 0;
}

int
billing_add(int64_t *sum, int64_t b)
{
	return billing_narrow(sum, (billing_wide)*sum + b);
}
