/* The ledger process: an answer that is too long for one message, as its front
 * pulls it, and as nobody does. */
#include "appliance/ledger/documents.h"
#include "tests/unit/process_site.h"
#include "tests/unit/suite.h"

#include <dirent.h>

/* With names as long as they may be, two pieces and no more. */
#define LICENSES 130
#define CONN 7777 /* admin_ask()'s */

static void
license_all(void)
{
	for (unsigned int i = 0; i < LICENSES; i++) {
		char product[64];

		snprintf(product, sizeof(product), "p%02u-%050u", i, 0);
		install_license(&world, product, 1, 120, 0);
	}
}

/* The first piece of all, appended. */
static bool
ask(struct buf *text, uint32_t format)
{
	const int32_t today = (int32_t)(clock_wall_ms() / DAY_MS);
	const struct billing_overage_query query = { .start_date = today,
		.end_date = today,
		.format = format };
	struct billing_document document;

	ck_assert_int_eq(admin_do(&world, &document, OP_BILLING_OVERAGE,
			     &query),
	    0);
	ck_assert_uint_le(document.data.len, DOCUMENT_PIECE);
	ck_assert_uint_eq(document.format, format);
	buf_add(text, document.data.data, document.data.len);
	return document.more;
}

static bool
ask_more(struct buf *text)
{
	struct billing_document document;

	front_write(&world, WIRE_MORE, OP_BILLING_OVERAGE, CONN, world.tag,
	    NULL);
	ck_assert_int_eq(front_answer(&world, &document, OP_BILLING_OVERAGE,
			     world.tag, NULL),
	    0);
	ck_assert_uint_gt(document.data.len, 0);
	ck_assert_uint_le(document.data.len, DOCUMENT_PIECE);
	buf_add(text, document.data.data, document.data.len);
	return document.more;
}

/* Files without a name that the process has open. What it does with a message
 * is done when it has answered another one. */
static unsigned int
files(void)
{
	const struct empty empty = { 0 };
	struct site_view site;
	char path[300], name[300];
	unsigned int n = 0;

	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)world.pid);
	DIR *folder = opendir(path);

	ck_assert_ptr_nonnull(folder);
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)world.pid,
		    entry->d_name);
		ssize_t len = readlink(path, name, sizeof(name) - 1);

		if (len < 0)
			continue;
		name[len] = '\0';
		n += strstr(name, world.state) != NULL &&
		    strstr(name, "(deleted)") != NULL;
	}
	closedir(folder);
	return n;
}

static unsigned int
count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

START_TEST(a_long_document_comes_in_pieces)
{
	struct buf text = { 0 }, again = { 0 };

	license_all();
	ck_assert(ask(&text, BILLING_AS_JSON));
	ck_assert_uint_eq(files(), 1);
	world.tag--; /* of that question */
	ck_assert(!ask_more(&text));
	ck_assert_uint_eq(files(), 0);
	/* What is written last stands first, and nothing is missing. */
	ck_assert_int_eq(strncmp(buf_text(&text), "{\"vendor_id\":\"vector\",",
			     22),
	    0);
	ck_assert_str_eq(buf_text(&text) + text.len - 5, "}]}]}");
	ck_assert_uint_eq(count(buf_text(&text), "\"license_id\""), LICENSES);
	ck_assert_uint_eq(count(buf_text(&text),
			      "\"customers\":[{\"crm_account_id\""),
	    1);
	/* A short one is whole at once. */
	ck_assert(!ask(&again, BILLING_AS_CSV));
	ck_assert_uint_eq(count(buf_text(&again), "\r\n"), LICENSES + 1);
	ck_assert_uint_eq(files(), 0);
	buf_release(&text);
	buf_release(&again);
}
END_TEST

START_TEST(what_nobody_reads_any_more_is_gone)
{
	struct buf text = { 0 };

	license_all();
	ck_assert(ask(&text, BILLING_AS_JSON));
	/* Of somebody else, or of another question: not this one. */
	front_write(&world, WIRE_ABANDONED, OP_BILLING_OVERAGE, CONN + 1,
	    world.tag, NULL);
	front_write(&world, WIRE_ABANDONED, OP_BILLING_OVERAGE, CONN,
	    world.tag + 1, NULL);
	ck_assert_uint_eq(files(), 1);
	world.tag--;
	front_write(&world, WIRE_ABANDONED, OP_BILLING_OVERAGE, CONN, world.tag,
	    NULL);
	ck_assert_uint_eq(files(), 0);
	/* Asked for late, nothing comes of it, and nothing ends. */
	front_write(&world, WIRE_MORE, OP_BILLING_OVERAGE, CONN, world.tag - 1,
	    NULL);
	ck_assert_uint_eq(files(), 0);
	buf_release(&text);
}
END_TEST

START_TEST(too_many_on_their_way_are_refused)
{
	const int32_t today = (int32_t)(clock_wall_ms() / DAY_MS);
	const struct billing_overage_query query = { .start_date = today,
		.end_date = today };
	struct buf text = { 0 };

	license_all();
	for (int i = 0; i < DOCUMENTS_MAX; i++)
		ck_assert(ask(&text, BILLING_AS_JSON));
	ck_assert_int_eq(admin_do(&world, NULL, OP_BILLING_OVERAGE, &query),
	    ERR_UNAVAILABLE);
	front_write(&world, WIRE_ABANDONED, OP_BILLING_OVERAGE, CONN,
	    world.tag - 1, NULL);
	ck_assert(ask(&text, BILLING_AS_JSON));
	buf_release(&text);
}
END_TEST

/* Each is begun while none is there yet. */
START_TEST(too_many_at_once_are_refused_as_well)
{
	const int32_t today = (int32_t)(clock_wall_ms() / DAY_MS);
	const struct billing_overage_query query = { .start_date = today,
		.end_date = today };
	const unsigned int asked = DOCUMENTS_MAX + 8;
	unsigned int refused = 0;
	struct heard heard;

	license_all();
	for (unsigned int i = 0; i < asked; i++)
		admin_call(&world, world.key, "192.0.2.1", OP_BILLING_OVERAGE,
		    &query);
	for (unsigned int i = 0; i < asked;) {
		ck_assert(front_hear(&world, &heard, ANSWER_MS));
		i += heard.kind == WIRE_REPLY || heard.kind == WIRE_PROBLEM;
		refused += heard.kind == WIRE_PROBLEM;
	}
	ck_assert_uint_eq(refused, asked - DOCUMENTS_MAX);
	ck_assert_uint_eq(files(), DOCUMENTS_MAX);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_document");
	TCase *documents = tcase_create("documents");

	tcase_add_test(documents, a_long_document_comes_in_pieces);
	tcase_add_test(documents, what_nobody_reads_any_more_is_gone);
	tcase_add_test(documents, too_many_on_their_way_are_refused);
	tcase_add_test(documents, too_many_at_once_are_refused_as_well);
	process_case_add(suite, documents);
	return suite;
}
