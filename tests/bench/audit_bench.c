/*
 * The audit projection at the size of years: entries go in through its own
 * writer, in batches, and narrow questions are asked of all of them. Prints what
 * each entry takes and how long each question took, first asked and again.
 *
 *	audit_bench FOLDER [ENTRIES]
 */
#include "appliance/audit/audit.h"
#include "shared/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENTRIES 10000000
#define BATCH 100000
#define USERS 20000
#define HOSTS 5000
#define DEVICES 5000
#define ADDRESSES 5000
#define PRODUCTS 40
#define START INT64_C(1780000000000)
#define STEP_MS 9000 /* 10 million in about three years */
#define ASKED 50 /* times each, of different values */

static uint64_t seed = 1;

static uint64_t
draw(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (seed >> 33) % below;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
must(int err, const char *what)
{
	if (err == 0)
		return;
	fprintf(stderr, "audit_bench: cannot %s: %s\n", what, err_str(err));
	exit(1);
}

/* Like those of real ones: bytes without an order. */
static void
set_id(uint8_t id[SUBJECT_BYTES], uint64_t sort, uint64_t which)
{
	uint64_t x = (which + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ sort;

	for (int i = 0; i < 2; i++) {
		x ^= x >> 29;
		x *= UINT64_C(0xbf58476d1ce4e5b9);
		memcpy(id + 8 * i, &x, 8);
	}
}

static void
make_entry(struct audit_entry *entry, uint64_t row)
{
	static const char *const refusals[] = { "no_seats", "not_entitled",
		"ip_not_allowed", "rate_limited" };
	uint64_t device = draw(DEVICES), kind = draw(100);

	*entry = (struct audit_entry){ .row = row,
		.time = START + (int64_t)row * STEP_MS,
		.by = { ACTOR_DEVICE, device + 1 },
		.device = device + 1,
		.license = 1 + draw(PRODUCTS),
		.lease = row,
		.count = 1 };
	snprintf(entry->what, sizeof(entry->what), "%s",
	    kind < 48       ? "lease.granted"
		: kind < 96 ? "lease.ended"
			    : "denied");
	snprintf(entry->result, sizeof(entry->result), "%s",
	    kind < 48       ? "granted"
		: kind < 96 ? "returned"
			    : refusals[draw(4)]);
	snprintf(entry->product, sizeof(entry->product), "product-%llu",
	    (unsigned long long)draw(PRODUCTS));
	set_id(entry->user, 1, draw(USERS));
	set_id(entry->host, 2, device);
	set_id(entry->address, 3, device % ADDRESSES);
	memset(entry->print, (int)draw(250) + 1, sizeof(entry->print));
}

static void
fill(struct audit *audit, uint64_t entries)
{
	struct audit_entry entry;
	struct audit_place place;
	struct audit_txn *txn = NULL;
	uint8_t head[32] = { 0 };
	double began = now_s();

	for (uint64_t row = 1; row <= entries; row++) {
		if (txn == NULL)
			must(audit_begin(&txn, audit), "begin");
		make_entry(&entry, row);
		must(audit_put(txn, &entry), "put an entry");
		if (row % BATCH != 0 && row != entries)
			continue;
		audit_batch(txn, row, head, row);
		must(audit_commit(txn), "commit");
		txn = NULL;
		if (row % (BATCH * 10) == 0)
			fprintf(stderr, "\r%llu entries",
			    (unsigned long long)row);
	}
	must(audit_sync(audit), "sync");
	fprintf(stderr, "\n");
	must(audit_place(&place, audit), "read the place");
	double took = now_s() - began;

	printf("entries                  %llu\n"
	       "written in               %.1f s, %.1f us each\n"
	       "bytes an entry           %.1f (%.2f GiB in all)\n",
	    (unsigned long long)place.entries, took,
	    took * 1e6 / (double)entries,
	    (double)audit_bytes(audit) / (double)entries,
	    (double)audit_bytes(audit) / (double)(1 << 30));
}

static int
count(void *ctx, const struct audit_entry *entry)
{
	(void)entry;
	(*(uint64_t *)ctx)++;
	return 0;
}

enum question {
	BY_USER,
	BY_HOST_DAY,
	BY_USER_REFUSED,
	BY_DEVICE_PRODUCT,
	BY_NETWORK,
	BY_RESULT,
	BY_NOBODY,
	QUESTIONS
};
static const char *const names[QUESTIONS] = {
	"one user, newest 100",
	"one host on one day, all",
	"one user, refused, newest 100",
	"one device and product, oldest 100",
	"200 addresses of a network, newest 100",
	"one kind of refusal, newest 100",
	"a user and a host that never met, all",
};

static void
make_question(struct audit_question *question, struct audit_match matches[4],
    enum question which, uint64_t entries)
{
	static uint8_t ids[256][SUBJECT_BYTES];
	static struct record_span spans[256], word;
	static char text[32];
	static uint64_t device;

	*question = (struct audit_question){ .matches = matches,
		.n_matches = 1,
		.from = INT64_MIN,
		.to = INT64_MAX,
		.limit = 100 };
	for (size_t i = 0; i < 256; i++)
		spans[i] = (struct record_span){ ids[i], SUBJECT_BYTES };
	set_id(ids[0], 1, draw(USERS));
	set_id(ids[1], 2, draw(HOSTS));
	device = 1 + draw(DEVICES);
	matches[0] = (struct audit_match){ AUDIT_USER, NULL, &spans[0], 1 };
	if (which == BY_HOST_DAY) {
		matches[0] =
		    (struct audit_match){ AUDIT_HOST, NULL, &spans[1], 1 };
		question->from = START + (int64_t)draw(entries) * STEP_MS;
		question->to = question->from + 86400000;
	} else if (which == BY_DEVICE_PRODUCT) {
		snprintf(text, sizeof(text), "product-%llu",
		    (unsigned long long)draw(PRODUCTS));
		word = (struct record_span){ text, (uint32_t)strlen(text) };
		matches[0] =
		    (struct audit_match){ AUDIT_DEVICE, &device, NULL, 1 };
		matches[1] =
		    (struct audit_match){ AUDIT_PRODUCT, NULL, &word, 1 };
		question->n_matches = 2;
		question->oldest_first = true;
	} else if (which == BY_NETWORK) {
		for (size_t i = 0; i < 200; i++)
			set_id(ids[i], 3, draw(ADDRESSES));
		matches[0] =
		    (struct audit_match){ AUDIT_ADDRESS, NULL, spans, 200 };
	} else if (which == BY_USER_REFUSED || which == BY_RESULT) {
		word = (struct record_span){ "no_seats", 8 };
		matches[which == BY_RESULT ? 0 : 1] =
		    (struct audit_match){ AUDIT_RESULT, NULL, &word, 1 };
		question->n_matches = which == BY_RESULT ? 1 : 2;
	} else if (which == BY_NOBODY) {
		set_id(ids[1], 2, draw(HOSTS));
		matches[1] =
		    (struct audit_match){ AUDIT_HOST, NULL, &spans[1], 1 };
		question->n_matches = 2;
	}
}

static void
ask(struct audit *audit, enum question which, uint64_t entries)
{
	double worst = 0, total = 0, first = 0;
	uint64_t found = 0;

	for (int i = 0; i < ASKED; i++) {
		struct audit_question question;
		struct audit_match matches[4];
		uint64_t next = 0;
		double began;

		make_question(&question, matches, which, entries);
		began = now_s();
		do {
			question.after = next;
			must(audit_search(&next, audit, &question, count,
				 &found),
			    "search");
		} while (
		    next != 0 && (which == BY_HOST_DAY || which == BY_NOBODY));
		double took = now_s() - began;

		first = i == 0 ? took : first;
		worst = took > worst ? took : worst;
		total += took;
	}
	printf("%-42s %8.2f ms   worst of %d %8.2f ms   first %8.2f ms   "
	       "found %.1f\n",
	    names[which], total * 1e3 / ASKED, ASKED, worst * 1e3, first * 1e3,
	    (double)found / ASKED);
}

int
main(int argc, char **argv)
{
	struct audit *audit;
	uint64_t entries = argc > 2 ? strtoull(argv[2], NULL, 10) : ENTRIES;

	if (argc < 2 || entries == 0) {
		fprintf(stderr, "audit_bench FOLDER [ENTRIES]\n");
		return 2;
	}
	must(audit_open(&audit, argv[1], 0, true), "open");
	must(audit_clear(audit), "begin anew");
	fill(audit, entries);
	/* Opened anew, as after a restart of the daemon. */
	audit_close(audit);
	must(audit_open(&audit, argv[1], 0, true), "open");
	for (int which = 0; which < QUESTIONS; which++)
		ask(audit, (enum question)which, entries);
	audit_close(audit);
	return 0;
}
