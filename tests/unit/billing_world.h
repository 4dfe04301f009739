/*
 * What was used, for tests of statements: facts of days in lists, and a source
 * that adds them up as a projection does. Slow and plain.
 */
#ifndef TESTS_UNIT_BILLING_WORLD_H
#define TESTS_UNIT_BILLING_WORLD_H

#include "appliance/billing/billing.h"

#include <stdlib.h>
#include <string.h>

#define WORLD_DAY_MS INT64_C(86400000)

/** Overage seats of a day, with their numbers side by side. */
struct world_overage {
	char license[64];
	uint64_t serial;
	char feature[64];
	int32_t day;
	uint64_t first;
	uint64_t count;
};

/** One report of a metric. */
struct world_usage {
	char license[64];
	uint64_t serial;
	char metric[64];
	bool gauge;
	int32_t day;
	uint64_t amount;
};

struct world_facts {
	const struct world_overage *overage;
	size_t n_overage;
	const struct world_usage *usage; /* by day */
	size_t n_usage;
};

typedef int (*world_each)(void *ctx, const struct metering_rollup *rollup);

static inline bool
world_same_overage(const struct world_overage *a, const struct world_overage *b)
{
	return strcmp(a->license, b->license) == 0 && a->serial == b->serial &&
	    strcmp(a->feature, b->feature) == 0;
}

static inline bool
world_same_usage(const struct world_usage *a, const struct world_usage *b)
{
	return strcmp(a->license, b->license) == 0 && a->serial == b->serial &&
	    strcmp(a->metric, b->metric) == 0;
}

static inline int
world_read_overage(const struct world_facts *facts,
    const struct metering_question *q, world_each each, void *ctx)
{
	int32_t from = (int32_t)(q->from / WORLD_DAY_MS);
	int32_t to = (int32_t)(q->to / WORLD_DAY_MS);

	for (size_t i = 0; i < facts->n_overage; i++) {
		const struct world_overage *o = &facts->overage[i];
		struct metering_rollup rollup = { .start = q->from,
			.end = q->to };
		bool told = strcmp(o->license, q->license) != 0;

		for (size_t j = 0; j < i && !told; j++)
			told = world_same_overage(o, &facts->overage[j]);
		if (told)
			continue;
		rollup.line.scope = METERING_PRICED;
		memcpy(rollup.line.license, o->license, 64);
		memcpy(rollup.line.feature, o->feature, 64);
		rollup.line.serial = o->serial;
		for (size_t j = i; j < facts->n_overage; j++) {
			const struct world_overage *p = &facts->overage[j];

			if (!world_same_overage(o, p) || p->day < from ||
			    p->day >= to)
				continue;
			if (rollup.seats.overage == 0)
				rollup.seats.overage_first = p->first;
			rollup.seats.overage += p->count;
			rollup.seats.overage_last = p->first + p->count - 1;
		}
		int rc = rollup.seats.overage > 0 ? each(ctx, &rollup) : 0;

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* One metric of one serial in [from, to). */
static inline int
world_read_span(const struct world_facts *facts, const struct world_usage *u,
    int64_t from, int64_t to, world_each each, void *ctx)
{
	struct metering_rollup rollup = { .start = from, .end = to };
	struct metering_metric *m = &rollup.metric;
	bool held = false;

	rollup.line.scope = METERING_METRIC;
	memcpy(rollup.line.license, u->license, 64);
	memcpy(rollup.line.feature, u->metric, 64);
	rollup.line.serial = u->serial;
	m->kind = u->gauge ? METERING_GAUGE : METERING_COUNTER;
	for (size_t j = 0; j < facts->n_usage; j++) {
		const struct world_usage *p = &facts->usage[j];
		int64_t at = p->day * WORLD_DAY_MS;

		if (!world_same_usage(u, p) || at >= to)
			continue;
		if (at < from) {
			held = p->gauge;
			m->max = m->last = p->gauge ? p->amount : 0;
			continue;
		}
		m->events++;
		m->sum = p->amount > UINT64_MAX - m->sum ? UINT64_MAX
							 : m->sum + p->amount;
		m->last = p->amount;
		if (p->amount > m->max)
			m->max = p->amount;
	}
	return m->events > 0 || held ? each(ctx, &rollup) : 0;
}

static inline int
world_read_usage(const struct world_facts *facts,
    const struct metering_question *q, world_each each, void *ctx)
{
	for (size_t i = 0; i < facts->n_usage; i++) {
		const struct world_usage *u = &facts->usage[i];
		bool told = strcmp(u->license, q->license) != 0;
		struct billing_period month;
		int64_t from, to;
		char name[BILLING_PERIOD_SIZE];

		for (size_t j = 0; j < i && !told; j++)
			told = world_same_usage(u, &facts->usage[j]);
		for (int64_t at = q->from; at < q->to && !told; at = to) {
			/* The month of a day, through what is public. */
			month.first = month.last = (int32_t)(at / WORLD_DAY_MS);
			billing_period_format(name, &month);
			if (billing_period_read(&month, name, 7) != 0)
				abort();
			billing_period_ms(&from, &to, &month);
			if (to > q->to)
				to = q->to;
			int rc = world_read_span(facts, u, at, to, each, ctx);

			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

static inline int
world_read(void *ctx, const struct metering_question *question, world_each each,
    void *each_ctx)
{
	if (question->scope == METERING_PRICED)
		return world_read_overage(ctx, question, each, each_ctx);
	return world_read_usage(ctx, question, each, each_ctx);
}

static inline struct billing_source
world_source(struct world_facts *facts)
{
	return (struct billing_source){ world_read, facts };
}

#endif
