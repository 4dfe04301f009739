/* The console's page: its text from given states, its bounds, and that nothing
 * a stranger named moves the cursor. */
#include "firmware/box/code.h"
#include "firmware/box/keys.h"
#include "firmware/box/page.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static struct page page;
static struct page_facts facts;
static struct box_status status;
static struct box_license licenses[BOX_LICENSES_MAX];
static struct box_warning warnings[BOX_WARNINGS_MAX];
static char whole[PAGE_LINES_MAX * 256];

static void
begin(void)
{
	memset(&facts, 0, sizeof(facts));
	memset(&status, 0, sizeof(status));
	memset(licenses, 0, sizeof(licenses));
	memset(warnings, 0, sizeof(warnings));
	status.time = INT64_C(1795399800000); /* 2026-11-23T02:10:00Z */
	status.boottime_ms = 50000;
	status.state = BOX_READY;
	strcpy(status.name, "Plant 7");
	strcpy(status.site, "site-abc");
	status.port = 7443;
	status.devices = 4;
	status.connected = 3;
	memset(status.ca_sha256, 0xab, 32);
	status.items.items = licenses;
	status.warnings.items = warnings;
	facts.status = &status;
	facts.boottime_ms = 51000;
	strcpy(facts.address[0], "192.168.1.7");
	strcpy(facts.address[1], "fd00::7");
	facts.n_address = 2;
	strcpy(facts.image, "0.1.0");
}

static const char *
text(void)
{
	size_t used = 0;

	page_make(&page, &facts);
	whole[0] = '\0';
	for (size_t i = 0; i < page.n; i++)
		used += (size_t)snprintf(whole + used, sizeof(whole) - used,
		    "%s\n", page.line[i]);
	return whole;
}

#define SAYS(words)                                                        \
	do {                                                               \
		if (strstr(text(), (words)) == NULL)                       \
			ck_abort_msg("no \"%s\" in:\n%s", (words), whole); \
	} while (0)
#define KEEPS_QUIET(words) \
	ck_assert_msg(strstr(text(), (words)) == NULL, "%s", whole)

START_TEST(a_site_that_runs_is_told_in_one_screen)
{
	begin();
	status.licenses = 1;
	status.items.count = 1;
	strcpy(licenses[0].license_id, "lic-1");
	strcpy(licenses[0].product, "davinci");
	strcpy(licenses[0].state, "active");
	licenses[0].used = 3;
	licenses[0].seats = 5;
	licenses[0].overage_used = 1;
	licenses[0].overage_seats = 15;
	status.receipt_at = status.time - 86400000;
	status.unreported = 12;
	SAYS("Plant 7");
	SAYS("2026-11-23 02:10 UTC");
	SAYS("State      ready");
	SAYS("https://192.168.1.7:7443");
	SAYS("https://[fd00::7]:7443");
	SAYS("CA SHA-256 abab abab abab abab");
	SAYS(
	    "Seats      3 of 5 held, 1 overage; 3 of 4 workstations connected");
	SAYS("last receipt 2026-11-22 02:10 UTC, 12 batches since");
	SAYS("Image      0.1.0");
	SAYS("Warnings   none");
	SAYS("3/5 + 1/15");
	KEEPS_QUIET("QR");
	ck_assert_uint_eq(page_screens(&page), 1);
}
END_TEST

START_TEST(what_is_wrong_stands_there)
{
	begin();
	status.state = BOX_REFUSING;
	strcpy(status.reason,
	    "the site's store was put back to an older copy, "
	    "and no admin has acknowledged it");
	strcpy(warnings[0].text, "alert disk: 1 open");
	status.warnings.count = 1;
	strcpy(facts.notice[0], "network.ini: address: has no prefix");
	facts.n_notice = 1;
	strcpy(facts.update, "0.2.0 was refused");
	SAYS("GRANTS NOTHING");
	SAYS("older copy");
	SAYS("Warnings   network.ini: address: has no prefix");
	SAYS("           alert disk: 1 open");
	SAYS("Update     0.2.0 was refused");
	KEEPS_QUIET("Warnings   none");
}
END_TEST

START_TEST(old_news_are_called_that)
{
	begin();
	KEEPS_QUIET("NO WORD");
	facts.boottime_ms = status.boottime_ms + PAGE_STALE_MS + 1;
	SAYS("NO WORD FROM THE SERVICE");
	KEEPS_QUIET("ready");
	/* Of another boot. */
	facts.boottime_ms = status.boottime_ms - 1;
	SAYS("NO WORD FROM THE SERVICE");
	facts.status = NULL;
	facts.trouble = "the service does not run yet";
	SAYS("the service does not run yet");
	SAYS("192.168.1.7");
}
END_TEST

START_TEST(a_box_without_address_says_what_to_do)
{
	begin();
	facts.n_address = 0;
	SAYS("put network.ini on");
	SAYS("labelled LEASEHOLD");
}
END_TEST

/* The lines of the code, read back into modules. */
static bool
is_light_at(const char *const *lines, int x, int y)
{
	const char *at = lines[y / 2];
	size_t len = strlen(at);

	for (int i = 0; i < x && len > 0; i++) {
		size_t step = *at == ' ' ? 1 : 3;

		at += step;
		len -= step;
	}
	if (*at == ' ')
		return false;
	if (memcmp(at, "\xe2\x96\x88", 3) == 0)
		return true;
	return memcmp(at, y % 2 == 0 ? "\xe2\x96\x80" : "\xe2\x96\x84", 3) == 0;
}

START_TEST(a_new_box_shows_a_code_for_enrolling)
{
	const char *lines[PAGE_ROWS];
	struct buf words = { .max = 256 };
	struct code code;

	begin();
	status.devices = 0;
	SAYS("No workstation is enrolled yet");
	ck_assert_uint_eq(page_screens(&page), 2);
	page_code_text(&words, "192.168.1.7", 7443, status.ca_sha256);
	ck_assert_int_eq(memcmp(buf_text(&words),
			     "LEASEHOLD/1/192.168.1.7/7443/ABABAB", 35),
	    0);
	ck_assert_uint_eq(words.len, 29 + 64);
	ck_assert_int_eq(code_make(&code, buf_text(&words)), 0);
	for (size_t i = 0; i < code_rows(&code); i++)
		lines[i] = page.line[1 + i];
	for (int y = 0; y < code.side; y++)
		for (int x = 0; x < code.side; x++)
			ck_assert_int_eq(is_light_at(lines, x + 2, y + 2),
			    code.dark[y][x] == 0);
	/* The state begins the next screen. */
	ck_assert_int_eq(strncmp(page.line[PAGE_ROWS - 1], "LEASEHOLD ", 10),
	    0);
	status.devices = 1;
	KEEPS_QUIET("enrolled yet");
	buf_release(&words);
}
END_TEST

START_TEST(the_longest_address_has_a_code_too)
{
	struct buf words = { .max = 256 };
	struct code code;

	begin();
	page_code_text(&words, "fd00:1111:2222:3333:4444:5555:6666:7777", 65535,
	    status.ca_sha256);
	ck_assert_int_eq(code_make(&code, buf_text(&words)), 0);
	ck_assert_uint_le(code_rows(&code), PAGE_ROWS - 3);
	buf_release(&words);
}
END_TEST

/* Nothing but what a person types on a page, and what the page itself draws. */
static void
is_harmless(void)
{
	struct buf out = { .max = 65536 };

	(void)text();
	for (size_t i = 0; i < page.n; i++) {
		const char *line = page.line[i];

		ck_assert(text_is_printable(line, strlen(line)));
		ck_assert_uint_lt(strlen(line), sizeof(page.line[0]));
	}
	for (size_t s = 0; s < page_screens(&page); s++) {
		buf_clear(&out);
		page_draw(&out, &page, s);
		ck_assert(!out.failed);
		ck_assert_uint_lt(out.len, 8192);
		/* No new line, no bell, no 8-bit control. */
		for (size_t i = 0; i < out.len; i++)
			ck_assert(out.data[i] >= 0x20 || out.data[i] == 033);
	}
	buf_release(&out);
}

START_TEST(hostile_names_are_defused)
{
	static const char *const hostile[] = { "\033[2J\033[H", "\r\n\a\b",
		"\xc2\x9b"
		"31m",
		"\xff\xfe\xc3",
		"\xe2\x80\xae"
		"gnp.exe",
		"\xc2\xad\xc2\xad", "a\xcc\x81\xcc\x81\xcc\x81",
		"\xf0\x9f\x98\x80" };

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		begin();
		strcpy(status.name, hostile[i]);
		strcpy(status.site, hostile[i]);
		strcpy(status.reason, hostile[i]);
		strcpy(licenses[0].license_id, hostile[i]);
		strcpy(licenses[0].product, hostile[i]);
		strcpy(licenses[0].state, hostile[i]);
		status.items.count = 1;
		strcpy(warnings[0].text, hostile[i]);
		status.warnings.count = 1;
		strcpy(facts.notice[0], hostile[i]);
		facts.n_notice = 1;
		strcpy(facts.update, hostile[i]);
		strcpy(facts.image, hostile[i]);
		is_harmless();
		KEEPS_QUIET("\033");
	}
	begin();
	strcpy(status.name, "M\xc3\xbcller \xe2\x82\xac");
	SAYS("M\xc3\xbcller ?");
}
END_TEST

START_TEST(a_full_page_keeps_to_its_bounds)
{
	begin();
	memset(status.name, 'W', sizeof(status.name) - 1);
	memset(status.site, 'W', sizeof(status.site) - 1);
	memset(status.reason, 'W', sizeof(status.reason) - 1);
	for (size_t i = 0; i < BOX_LICENSES_MAX; i++) {
		memset(licenses[i].license_id, 'W', 63);
		memset(licenses[i].product, 'W', 63);
		memset(licenses[i].state, 'W', 15);
		licenses[i].used = licenses[i].seats =
		    licenses[i].overage_used = licenses[i].overage_seats =
			UINT32_MAX;
	}
	status.items.count = BOX_LICENSES_MAX;
	for (size_t i = 0; i < BOX_WARNINGS_MAX; i++)
		memset(warnings[i].text, 'W', 159);
	status.warnings.count = BOX_WARNINGS_MAX;
	for (size_t i = 0; i < PAGE_NOTICES_MAX; i++)
		memset(facts.notice[i], 'W', PAGE_NOTICE_MAX - 1);
	facts.n_notice = PAGE_NOTICES_MAX;
	memset(facts.update, 'W', PAGE_NOTICE_MAX - 1);
	facts.n_address = PAGE_ADDRESSES_MAX;
	status.devices = 0;
	is_harmless();
	ck_assert_uint_gt(page_screens(&page), 3);
	for (size_t i = 0; i < page.n; i++)
		if ((uint8_t)page.line[i][0] < 0x80)
			ck_assert_uint_le(strlen(page.line[i]), PAGE_COLUMNS);
}
END_TEST

START_TEST(the_status_survives_its_json)
{
	struct arena arena = { .max_bytes = 65536 };
	struct buf json = { .max = BOX_STATUS_BYTES_MAX };
	struct box_status back;
	struct record_error wrong;

	begin();
	status.items.count = BOX_LICENSES_MAX;
	for (size_t i = 0; i < BOX_LICENSES_MAX; i++) {
		memset(licenses[i].license_id, '"', 63);
		memset(licenses[i].product, '\\', 63);
	}
	status.warnings.count = BOX_WARNINGS_MAX;
	for (size_t i = 0; i < BOX_WARNINGS_MAX; i++)
		memset(warnings[i].text, 'W', 159);
	record_write_json(&json, &box_status_record, &status);
	ck_assert(!json.failed);
	ck_assert_int_eq(record_read_json(&back, &box_status_record,
			     (const char *)json.data, json.len, &arena, &wrong),
	    0);
	ck_assert_uint_eq(back.items.count, BOX_LICENSES_MAX);
	ck_assert_str_eq(((struct box_license *)back.items.items)[7].product,
	    licenses[7].product);
	arena_release(&arena);
	buf_release(&json);
}
END_TEST

START_TEST(page_up_is_heard_whatever_lies_around_it)
{
	struct keys keys = { 0 };
	const struct {
		const char *bytes;
		bool heard;
	} steps[] = {
		{ "x\003\032\034", false },
		{ "\033[6~\033[A", false },
		{ "\033[5~", true },
		{ "\033", false },
		{ "[", false },
		{ "5", false },
		{ "~", true },
		{ "\033\033[5~", true },
		{ "\033[5\033[5~", true },
		{ "[5~", false },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		ck_assert_msg(keys_page_up(&keys,
				  (const uint8_t *)steps[i].bytes,
				  strlen(steps[i].bytes)) == steps[i].heard,
		    "step %zu", i);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("box_page");
	TCase *tcase = tcase_create("page");

	tcase_add_test(tcase, a_site_that_runs_is_told_in_one_screen);
	tcase_add_test(tcase, what_is_wrong_stands_there);
	tcase_add_test(tcase, old_news_are_called_that);
	tcase_add_test(tcase, a_box_without_address_says_what_to_do);
	tcase_add_test(tcase, a_new_box_shows_a_code_for_enrolling);
	tcase_add_test(tcase, the_longest_address_has_a_code_too);
	tcase_add_test(tcase, hostile_names_are_defused);
	tcase_add_test(tcase, a_full_page_keeps_to_its_bounds);
	tcase_add_test(tcase, the_status_survives_its_json);
	tcase_add_test(tcase, page_up_is_heard_whatever_lies_around_it);
	suite_add_tcase(s, tcase);
	return s;
}
