/*
 * Applications that take and return seats without a pause, for the system
 * tests: what the others feel while somebody is hostile.
 *
 *   steady_tool --vendor-key K --product P --version V --socket S --state DIR
 *       [--clients N] [--seconds S] [--pause-ms MS]
 *
 * Each client is a thread with a connection of its own to the agent. Prints one
 * line of JSON: {"checkouts":812,"failed":0,"p50_us":1200,"p99_us":2900,
 * "max_us":5100,"first_error":""}. A checkout that fails counts with its time.
 */
#include "agent/lib/leasehold.h"

#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLIENTS_MAX 64
#define SAMPLES_MAX 1000000

struct steady {
	struct lh_options options;
	const char *product;
	const char *version;
	int clients;
	int seconds;
	int pause_ms;
	pthread_mutex_t lock; /* of what follows */
	uint32_t *samples_us;
	size_t n_samples;
	size_t failed;
	char first_error[256];
};

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
note(struct steady *steady, int64_t took_us, int error)
{
	pthread_mutex_lock(&steady->lock);
	if (steady->n_samples < SAMPLES_MAX)
		steady->samples_us[steady->n_samples++] = (uint32_t)took_us;
	if (error != LH_OK && steady->failed++ == 0)
		snprintf(steady->first_error, sizeof(steady->first_error), "%s",
		    lh_strerror(error));
	pthread_mutex_unlock(&steady->lock);
}

static void *
work(void *ctx)
{
	struct steady *steady = ctx;
	struct timespec pause = { .tv_sec = steady->pause_ms / 1000,
		.tv_nsec = (long)(steady->pause_ms % 1000) * 1000000 };
	int64_t end_us = now_us() + (int64_t)steady->seconds * 1000000;
	struct lh_client *client;
	int error = lh_client_new(&client, &steady->options);

	if (error != LH_OK) {
		note(steady, 0, error);
		return NULL;
	}
	while (now_us() < end_us) {
		struct lh_seat *seat = NULL;
		int64_t start_us = now_us();

		error = lh_checkout(&seat, client, steady->product,
		    steady->version, NULL, NULL, 0);
		note(steady, now_us() - start_us, error);
		/* A return that got lost would be told by a later checkout:
		 * there are few seats. */
		if (error == LH_OK)
			lh_return(seat);
		nanosleep(&pause, NULL);
	}
	lh_client_free(client);
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static uint32_t
quantile(const struct steady *steady, size_t percent)
{
	size_t n = steady->n_samples;

	return n == 0 ? 0 : steady->samples_us[(n - 1) * percent / 100];
}

static int
read_options(struct steady *steady, int argc, char **argv)
{
	static const struct option names[] = {
		{ "vendor-key", required_argument, NULL, 'k' },
		{ "socket", required_argument, NULL, 's' },
		{ "product", required_argument, NULL, 'p' },
		{ "version", required_argument, NULL, 'v' },
		{ "state", required_argument, NULL, 'd' },
		{ "clients", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "pause-ms", required_argument, NULL, 'P' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (letter == 'k')
			steady->options.vendor_key = optarg;
		else if (letter == 's')
			steady->options.socket_path = optarg;
		else if (letter == 'p')
			steady->product = optarg;
		else if (letter == 'v')
			steady->version = optarg;
		else if (letter == 'd')
			steady->options.state_folder = optarg;
		else if (letter == 'c')
			steady->clients = atoi(optarg);
		else if (letter == 'S')
			steady->seconds = atoi(optarg);
		else if (letter == 'P')
			steady->pause_ms = atoi(optarg);
		else
			return -1;
	}
	return steady->options.vendor_key == NULL || steady->product == NULL ||
		steady->version == NULL || steady->clients < 1 ||
		steady->clients > CLIENTS_MAX || optind != argc
	    ? -1
	    : 0;
}

int
main(int argc, char **argv)
{
	static struct steady steady = {
		.options = { .size = sizeof(steady.options) },
		.clients = 1,
		.seconds = 2,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t threads[CLIENTS_MAX];

	if (read_options(&steady, argc, argv) != 0) {
		fprintf(stderr, "steady_tool: wrong arguments\n");
		return 2;
	}
	steady.samples_us = calloc(SAMPLES_MAX, sizeof(uint32_t));
	if (steady.samples_us == NULL)
		return 1;
	for (int i = 0; i < steady.clients; i++)
		if (pthread_create(&threads[i], NULL, work, &steady) != 0)
			return 1;
	for (int i = 0; i < steady.clients; i++)
		pthread_join(threads[i], NULL);
	qsort(steady.samples_us, steady.n_samples, sizeof(uint32_t), compare);
	printf("{\"checkouts\":%zu,\"failed\":%zu,\"p50_us\":%u,\"p99_us\":%u,"
	       "\"max_us\":%u,\"first_error\":\"%s\"}\n",
	    steady.n_samples, steady.failed, quantile(&steady, 50),
	    quantile(&steady, 99), quantile(&steady, 100), steady.first_error);
	free(steady.samples_us);
	return 0;
}
