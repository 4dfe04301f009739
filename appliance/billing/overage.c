/* Checkouts above commit, by the numbers of their rows; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Price and name for people; false: the serial has no such feature. */
static bool
price_of(int64_t *price, const char **name, const struct license *license,
    const char *feature)
{
	const struct license_feature *features = license->features.items;

	*price = license->entitlement.pricing.overage_per_use;
	*name = "";
	if (feature[0] == '\0')
		return true;
	for (uint32_t i = 0; i < license->features.count; i++) {
		if (strcmp(features[i].id, feature) != 0)
			continue;
		*price = features[i].overage_per_use;
		*name = features[i].name[0] != '\0' ? features[i].name
						    : features[i].id;
		return true;
	}
	return false;
}

static void
describe(struct billing_line *line, const char *feature, bool free)
{
	snprintf(line->description, sizeof(line->description),
	    "Overage checkouts%s%s, serial %" PRIu64 ", numbers %" PRIu64
	    " to %" PRIu64 "%s",
	    feature[0] != '\0' ? " of " : "", feature, line->serial,
	    line->overage_first, line->overage_last,
	    free ? ", not charged" : "");
}

static int
add_overage(void *ctx, const struct metering_rollup *rollup)
{
	struct making *making = ctx;
	const struct metering_seats *seats = &rollup->seats;
	const char *feature = rollup->line.feature, *name;
	const char *id = making->license->versions[0].license->license_id;
	int64_t price;

	if (seats->overage == 0)
		return 0;
	const struct billing_version *v =
	    billing_version_get(making->license, rollup->line.serial);

	if (v == NULL)
		return billing_fail(making, ERR_MISMATCH, "serial",
		    "%s has overage under serial %" PRIu64
		    ", whose terms are not here",
		    id, rollup->line.serial);
	if (!price_of(&price, &name, v->license, feature))
		return billing_fail(making, ERR_MISMATCH, "feature",
		    "%s has overage of \"%s\", which serial %" PRIu64
		    " does not have",
		    id, feature, rollup->line.serial);
	enum license_model model = billing_model(v->license);
	bool free =
	    model == LICENSE_SUBSCRIPTION || model == LICENSE_REVENUE_SHARE;
	int err;
	struct billing_line *line = billing_line_add(making, &err);

	if (line == NULL)
		return err;
	line->kind = BILLING_OVERAGE;
	line->serial = v->license->serial;
	snprintf(line->feature, sizeof(line->feature), "%s", feature);
	line->first = making->input->period.first;
	line->last = making->input->period.last;
	line->quantity = seats->overage;
	line->unit_price = free ? 0 : price;
	line->overage_first = seats->overage_first;
	line->overage_last = seats->overage_last;
	describe(line, name, free);
	err = billing_narrow(&line->amount,
	    (billing_wide)seats->overage * line->unit_price);
	if (err != 0)
		return billing_fail(making, err, "amount",
		    "the overage of %s is more than an amount can be", id);
	return 0;
}

int
billing_add_overage(struct making *making)
{
	const struct billing_input *input = making->input;
	struct metering_question question = {
		.scope = METERING_PRICED,
		.license = making->license->versions[0].license->license_id,
		.step = METERING_WHOLE,
		.now = INT64_MIN,
	};

	billing_period_ms(&question.from, &question.to, &input->period);
	return input->source.read(input->source.ctx, &question, add_overage,
	    making);
}
