/*
 * Our JSON reader beside the three in Debian on one checkout request: time,
 * allocations, and which malformed texts and doubled keys each lets through.
 * shared/record/README.md shows the table. Built by `make bench-json` alone;
 * nothing else may use these libraries. Argument: the folder of JSONTestSuite.
 */
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#define JSMN_STATIC
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "shared/rpc/messages.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yajl/yajl_parse.h>

#define json_type json_c_type /* the name is ours here */
#include <json-c/json.h>
#undef json_type

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

#define ROUNDS 300000
#define RUNS 7
#define FILE_MAX ((size_t)1 << 20)
#define TOKENS_MAX 200000

/* Every allocation of the process, the libraries' too, comes by here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
#define OUTSIDE __attribute__((visibility("default")))
static size_t allocations;

OUTSIDE void *
malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

OUTSIDE void *
calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

OUTSIDE void *
realloc(void *old, size_t size)
{
	allocations++;
	return __libc_realloc(old, size);
}

static const char request[] =
    "{\"request\":\"8gm1rPq9RkWJ0pXG4w0yTA\","
    "\"product\":\"davinci-configurator-se\",\"version\":\"8.1.3\","
    "\"user\":\"alice.example\",\"host\":\"ws-0417.plant.example\","
    "\"wait_s\":30,"
    "\"nonce\":\"xK0JX3q1eJrVJQyKcPyvZ5u2bq0h0Jf3mJ4o8n9VYbE\","
    "\"application\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\","
    "\"known\":{\"batch\":104217,"
    "\"head\":\"q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80\","
    "\"history\":\"EjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjQ\"}}";

/* --- the readers: is it taken? ---------------------------------------- */

static bool
ours_tokens(const char *text, size_t len)
{
	return json_check(text, len, 64) == 0;
}

static bool
ours_record(const char *text, size_t len)
{
	static struct arena arena; /* kept, as a server keeps it */
	struct checkout checkout;
	int rc = record_read_json(&checkout, &checkout_record, text, len,
	    &arena, NULL);

	arena_clear(&arena);
	return rc == 0;
}

static int
yajl_see_number(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	(void)text;
	(void)len;
	return 1;
}

static int
yajl_see_text(void *ctx, const unsigned char *text, size_t len)
{
	return yajl_see_number(ctx, (const char *)text, len);
}

static bool
yajl_tokens(const char *text, size_t len)
{
	static const yajl_callbacks callbacks = {
		.yajl_number = yajl_see_number,
		.yajl_string = yajl_see_text,
		.yajl_map_key = yajl_see_text,
	};
	yajl_handle handle = yajl_alloc(&callbacks, NULL, NULL);
	bool taken = handle != NULL &&
	    yajl_parse(handle, (const unsigned char *)text, len) ==
		yajl_status_ok &&
	    yajl_complete_parse(handle) == yajl_status_ok;

	yajl_free(handle);
	return taken;
}

static bool
jsmn_tokens(const char *text, size_t len)
{
	static jsmntok_t tokens[TOKENS_MAX];
	jsmn_parser parser;

	jsmn_init(&parser);
	return jsmn_parse(&parser, text, len, tokens, TOKENS_MAX) > 0;
}

static bool
json_c_tree(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new_ex(64);

	json_tokener_set_flags(tokener,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *tree =
	    json_tokener_parse_ex(tokener, text, (int)len);
	enum json_tokener_error error = json_tokener_get_error(tokener);

	/* A number at the top is known to be over when a NUL follows. */
	if (error == json_tokener_continue) {
		tree = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
	}
	json_object_put(tree);
	json_tokener_free(tokener);
	return error == json_tokener_success;
}

static const struct contender {
	const char *name;
	bool (*read)(const char *text, size_t len);
	bool any_text; /* takes JSON of any shape, so the suite applies */
} contenders[] = {
	{ "ours, tokens", ours_tokens, true },
	{ "ours, into the record", ours_record, false },
	{ "yajl 2.1, callbacks", yajl_tokens, true },
	{ "jsmn 1.1, strict", jsmn_tokens, true },
	{ "json-c 0.16, strict tree", json_c_tree, true },
};
#define N_CONTENDERS (sizeof(contenders) / sizeof(contenders[0]))

/* --- measuring -------------------------------------------------------- */

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds for one request, the best of some runs. */
static double
time_ns(const struct contender *c)
{
	double best = 1e9;

	for (int run = 0; run < RUNS; run++) {
		double start = now_s();

		for (int i = 0; i < ROUNDS / RUNS; i++)
			if (!c->read(request, sizeof(request) - 1))
				abort();
		double each = (now_s() - start) / (ROUNDS / RUNS) * 1e9;

		best = each < best ? each : best;
	}
	return best;
}

static size_t
count_allocations(const struct contender *c)
{
	c->read(request, sizeof(request) - 1);
	size_t before = allocations;

	c->read(request, sizeof(request) - 1);
	return allocations - before;
}

/* Files of the suite that begin with `kind` and are (not) taken. */
static unsigned int
count_cases(const struct contender *c, const char *folder, char kind,
    bool taken, FILE *names)
{
	DIR *dir = opendir(folder);
	unsigned int count = 0;

	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		exit(1);
	}
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		char path[1024];
		uint8_t *data;
		size_t len;

		if (e->d_name[0] != kind || e->d_name[1] != '_')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (file_read(&data, &len, path, FILE_MAX) != 0)
			exit(1);
		if (c->read((const char *)data, len) == taken) {
			count++;
			fprintf(names, "  %s: %s\n", c->name, e->d_name);
		}
		free(data);
	}
	closedir(dir);
	return count;
}

static const char *
doubled(const struct contender *c)
{
	static const char twice[] = "{\"product\":\"a\",\"version\":\"1\","
				    "\"request\":\"8gm1rPq9RkWJ0pXG4w0yTA\","
				    "\"nonce\":\"xK0JX3q1eJrVJQyKcPyvZ5u2bq0h0"
				    "Jf3mJ4o8n9VYbE\"%s}";
	char text[256];
	int len = snprintf(text, sizeof(text), twice, "");

	if (!c->read(text, (size_t)len))
		abort();
	len = snprintf(text, sizeof(text), twice, ",\"product\":\"b\"");
	return c->read(text, (size_t)len) ? "taken" : "refused";
}

/* A grant in a journal of a million batches: what leaves on every checkout. */
static void
fill_reply(struct checkout_reply *reply, uint8_t bytes[1024], char token[700])
{
	memset(token, 'x', 700);
	for (size_t i = 0; i < 1024; i++)
		bytes[i] = (uint8_t)(i * 167);
	*reply = (struct checkout_reply){
		.lease = 104217,
		.row_number = 318882,
		.row = { bytes, 330 },
		.path = { bytes, 6 * 32 },
		.header = { token, 700 },
		.inclusion = { bytes, 20 * 32 },
		.consistency = { bytes, 20 * 32 },
	};
}

static double
time_writer_ns(size_t *size,
    void (*write)(struct buf *buf, const struct record *record,
	const void *value))
{
	uint8_t bytes[1024];
	char token[700];
	struct checkout_reply reply;
	struct buf buf = { 0 };
	double best = 1e9;

	fill_reply(&reply, bytes, token);
	for (int run = 0; run < RUNS; run++) {
		double start = now_s();

		for (int i = 0; i < ROUNDS / RUNS; i++) {
			buf_clear(&buf);
			write(&buf, &checkout_reply_record, &reply);
		}
		double each = (now_s() - start) / (ROUNDS / RUNS) * 1e9;

		best = each < best ? each : best;
	}
	*size = buf.len;
	buf_release(&buf);
	return best;
}

static void
print_writers(void)
{
	size_t size;
	double ns = time_writer_ns(&size, record_write_json);

	printf("\nA checkout reply written as JSON: %.0f ns, %zu bytes\n", ns,
	    size);
	ns = time_writer_ns(&size, record_write_msgpack);
	printf("A checkout reply written as MessagePack: %.0f ns, %zu bytes\n",
	    ns, size);
}

int
main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : NULL;
	char *names = NULL;
	size_t names_len = 0;
	FILE *list = open_memstream(&names, &names_len);

	if (list == NULL)
		return 1;
	printf("One checkout request of %zu bytes:\n\n", sizeof(request) - 1);
	printf("| reader | ns | allocations | n_ taken | y_ refused | doubled "
	       "key |\n|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < N_CONTENDERS; i++) {
		const struct contender *c = &contenders[i];

		printf("| %s | %.0f | %zu |", c->name, time_ns(c),
		    count_allocations(c));
		if (c->any_text && folder != NULL)
			printf(" %u | %u |",
			    count_cases(c, folder, 'n', true, list),
			    count_cases(c, folder, 'y', false, list));
		else
			printf(" - | - |");
		printf(" %s |\n", doubled(c));
	}
	fclose(list);
	print_writers();
	printf("\nTaken or refused against the suite:\n%s", names);
	free(names);
	return 0;
}
