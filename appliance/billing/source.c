/* A metering projection as the source of a statement; see billing.h. */
#include "appliance/billing/billing.h"

static int
read_metering(void *ctx, const struct metering_question *question,
    int (*each)(void *each_ctx, const struct metering_rollup *rollup),
    void *each_ctx)
{
	return metering_read(ctx, question, each, each_ctx);
}

struct billing_source
billing_source_metering(struct metering *metering)
{
	return (struct billing_source){ read_metering, metering };
}
