/* What an API key costs a request: its hash, and every restriction at its
 * largest, so that the last of each list is the one that fits. */
#include "appliance/ledger/restrict.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUNDS 200000

static double
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
fill(struct key_host *hosts, struct key_range *ranges, struct key_known *known)
{
	uint8_t print[32] = { 1 };

	for (int i = 0; i < KEY_HOSTS_MAX; i++)
		snprintf(hosts[i].host, sizeof hosts[i].host,
		    "build-%d.plant.example", i);
	for (int i = 0; i < KEY_RANGES_MAX; i++)
		snprintf(ranges[i].range, sizeof ranges[i].range,
		    "10.%d.0.0/16", i);
	for (int i = 0; i < KEY_PRINTS_MAX; i++) {
		print[31] = (uint8_t)i;
		sodium_bin2hex(known[i].fingerprint, 65, print, 32);
	}
}

int
main(void)
{
	static struct key_host hosts[KEY_HOSTS_MAX];
	static struct key_range ranges[KEY_RANGES_MAX];
	static struct key_known known[KEY_PRINTS_MAX];
	static const char text[] =
	    "clsk_default_om4xTZbGP0QVuUWi0vMurT5_FA8DoZjLUHvsut4XW3w";
	uint8_t print[32] = { 1, [31] = KEY_PRINTS_MAX - 1 };
	uint8_t secret[32] = { 7 }, hash[32], again[32];
	struct key_restrictions document = {
		.allowed_hostnames = { hosts, KEY_HOSTS_MAX },
		.allowed_ip_ranges = { ranges, KEY_RANGES_MAX },
		.allowed_fingerprints = { known, KEY_PRINTS_MAX },
		.fingerprint_mode = KEY_PRINTS_ENFORCE,
		.client_cert_cn = "build-15",
		.requests_per_hour = 100000000,
		.working_hours = { "sun-sat", "00:00", "24:00",
		    "Europe/Berlin" },
	};
	const struct restrict_facts facts = {
		.address = "10.63.2.3",
		.hostname = "build-15.plant.example",
		.client_cn = "build-15",
		.certificate = print,
		.fingerprint = print,
		.lib_version = "2.1",
		.now_ms = INT64_C(1800000000000),
	};
	struct restrict_rules *rules;
	struct problem problem;
	enum restrict_print seen;
	int64_t bucket = 0;
	int bad = 0;

	fill(hosts, ranges, known);
	if (sodium_init() < 0 || restrict_compile(&rules, &document, NULL) != 0)
		return 1;
	double began = now_us();

	for (int i = 0; i < ROUNDS; i++) {
		crypto_generichash(hash, 32, (const uint8_t *)text,
		    sizeof text - 1, secret, 32);
		bad += i > 0 && sodium_memcmp(hash, again, 32) != 0;
		memcpy(again, hash, 32);
		bad += restrict_check(rules, &seen, &facts, &problem) != 0;
		bad += !bucket_take(&bucket, restrict_requests(rules),
		    facts.now_ms * 1000 + i * 40);
	}
	double each = (now_us() - began) / ROUNDS;

	restrict_free(rules);
	printf("key check and restrictions: %.2f us a request (at most 5)\n",
	    each);
	return bad != 0 || each > 5.0;
}
