/*
 * What the load generators share: the samples of one measurement, the times at
 * which an open loop means to send, and the one line that each prints. It must
 * not know whom the load is for.
 *
 * A run is: everybody ready, a warm-up that is not counted, then "begin" on
 * stdout and the counted seconds, then one JSON object. Latencies of an open
 * loop count from when a request was meant to be sent, whatever kept it.
 */
#ifndef TESTS_BENCH_METER_H
#define TESTS_BENCH_METER_H

#include "shared/base/clock.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define METER_SAMPLES_MAX ((size_t)16 << 20)

struct meter {
	double seconds; /* to count; 0: until `total` are done */
	double warm_up_s;
	uint64_t total; /* answers to stop after; 0: none */
	double rate; /* a second, of an open loop; 0: closed */
	int64_t start_us; /* of counting; 0: nothing has begun */
	int64_t end_us;
	bool counting;
	double next_us; /* when an open loop means to send next */
	uint64_t random;
	uint64_t done, refused, seen;
	double cpu_s; /* of this process, at the start */
	uint32_t *samples;
	size_t n_samples;
};

static inline double
meter_cpu_s(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	    (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* Everybody is ready: the warm-up begins. */
static inline void
meter_start(struct meter *meter)
{
	int64_t now = clock_boottime_us();

	meter->start_us = now + (int64_t)(meter->warm_up_s * 1e6);
	meter->end_us = meter->seconds > 0
	    ? meter->start_us + (int64_t)(meter->seconds * 1e6)
	    : INT64_MAX;
	meter->next_us = (double)now;
	meter->random = (uint64_t)now | 1;
}

/* xorshift64*: spacing of arrivals, nothing secret. */
static inline double
meter_random(struct meter *meter)
{
	uint64_t x = meter->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	meter->random = x;
	return ((double)((x * 0x2545f4914f6cdd1du) >> 11) + 1) / 0x1p53;
}

/* Is a request of the open loop due? Then when it was meant to be sent, and the
 * next one is set: independent users arrive as in a Poisson process. */
static inline bool
meter_due(int64_t *meant_us, struct meter *meter, int64_t now_us)
{
	if (meter->next_us > (double)now_us ||
	    meter->next_us > (double)meter->end_us)
		return false;
	*meant_us = (int64_t)meter->next_us;
	meter->next_us -= log(meter_random(meter)) * 1e6 / meter->rate;
	return true;
}

/* An answer came: false when it was the last one wanted. A closed loop counts
 * what was answered in time, an open one what was meant to be sent in time,
 * however late the answer is. */
static inline bool
meter_count(struct meter *meter, int64_t meant_us, bool granted)
{
	int64_t now = clock_boottime_us();
	int64_t at = meter->rate > 0 ? meant_us : now;

	if (at > meter->end_us)
		return false;
	if (!meter->counting && at >= meter->start_us) {
		meter->counting = true;
		meter->cpu_s = meter_cpu_s();
		printf("begin\n");
		fflush(stdout);
	}
	if (meter->counting) {
		meter->done += granted;
		meter->refused += !granted;
		if (meter->n_samples < METER_SAMPLES_MAX)
			meter->samples[meter->n_samples++] =
			    (uint32_t)(now - meant_us);
	}
	meter->seen++;
	return meter->total == 0 || meter->seen < meter->total;
}

/* Has an open loop sent all that it meant to? */
static inline bool
meter_all_sent(const struct meter *meter)
{
	return meter->next_us > (double)meter->end_us;
}

static inline int
meter_by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static inline unsigned int
meter_rank(const struct meter *meter, double part)
{
	size_t at = (size_t)((double)meter->n_samples * part);

	if (meter->n_samples == 0)
		return 0;
	return meter
	    ->samples[at < meter->n_samples ? at : meter->n_samples - 1];
}

static inline void
meter_print(struct meter *meter, unsigned int connections)
{
	int64_t now = clock_boottime_us();
	int64_t end = now < meter->end_us ? now : meter->end_us;
	double seconds = (double)(end - meter->start_us) / 1e6;
	double cpu = meter_cpu_s() - meter->cpu_s;

	if (meter->n_samples > 0)
		qsort(meter->samples, meter->n_samples,
		    sizeof(meter->samples[0]), meter_by_value);
	printf("{\"connections\":%u,\"seconds\":%.3f,\"done\":%llu,"
	       "\"refused\":%llu,\"per_second\":%.0f,\"p50_us\":%u,"
	       "\"p99_us\":%u,\"p999_us\":%u,\"max_us\":%u,"
	       "\"generator_cpu\":%.2f}\n",
	    connections, seconds, (unsigned long long)meter->done,
	    (unsigned long long)meter->refused, (double)meter->done / seconds,
	    meter_rank(meter, 0.5), meter_rank(meter, 0.99),
	    meter_rank(meter, 0.999), meter_rank(meter, 1), cpu / seconds);
	fflush(stdout);
}

static inline int
meter_init(struct meter *meter)
{
	/* Untouched pages cost nothing. */
	meter->samples = malloc(METER_SAMPLES_MAX * sizeof(*meter->samples));
	return meter->samples == NULL ? -1 : 0;
}

/* --- options: "--name VALUE" and "--flag" ---------------------------------- */

static inline const char *
option_text(int argc, char **argv, const char *name, const char *otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	if (otherwise != NULL)
		return otherwise;
	fprintf(stderr, "%s: %s is missing\n", argv[0], name);
	exit(2);
}

static inline double
option_number(int argc, char **argv, const char *name, double otherwise)
{
	const char *text = option_text(argc, argv, name, "");
	char *end;
	double value = strtod(text, &end);

	if (*text == '\0')
		return otherwise;
	if (*end != '\0' || value < 0) {
		fprintf(stderr, "%s: %s %s is no number\n", argv[0], name,
		    text);
		exit(2);
	}
	return value;
}

static inline bool
option_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

#endif
