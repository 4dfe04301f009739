/* Options files of FlexNet: how lines are read, and that the policy which comes
 * of each file in tests/data/flexlm does what the file says. */
#include "agent/cli/flexlm_policy.h"
#include "appliance/ledger/policy.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TESTS_FOLDER
#error "TESTS_FOLDER is where tests/data lies"
#endif

static struct arena arena;
static struct flexlm_file file;
static struct flexlm_map map;
static struct flexlm_target targets[FLEXLM_TARGETS_MAX];
static const char *all[16];
static struct policy_document document;
static struct flexlm_report report;
static struct policy *policy;

static void
setup(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	map = (struct flexlm_map){ .targets = targets, .all = all };
}

static void
teardown(void)
{
	policy_free(policy);
	policy = NULL;
	arena_release(&arena);
}

static void
translate(const char *text, size_t len)
{
	struct record_error error = { .field = "" };

	ck_assert_int_eq(flexlm_read(&file, text, len, &arena), 0);
	ck_assert_int_eq(flexlm_translate(&document, &report, &file, &map,
			     &arena),
	    0);
	policy_free(policy);
	policy = NULL;
	int err = policy_compile(&policy, &document, &error);

	ck_assert_msg(err == 0, "%s %s", error.field, error.reason);
	ck_assert_int_eq(record_check(&flexlm_report_record, &report, &error),
	    0);
	ck_assert_int_eq(record_check(&policy_document_record, &document,
			     &error),
	    0);
}

static const struct flexlm_remark *
remark_of(const char *text)
{
	translate(text, strlen(text));
	ck_assert_uint_ge(report.lines.count, 1);
	const struct flexlm_remark *lines = report.lines.items;

	return &lines[report.lines.count - 1];
}

/* Of the last line of a text. */
static void
expect(const char *text, enum flexlm_status status, const char *reason)
{
	const struct flexlm_remark *remark = remark_of(text);

	ck_assert_msg(remark->status == status, "%s: %s: %s", text,
	    flexlm_status_names[remark->status], remark->reason);
	ck_assert_msg(strstr(remark->reason, reason) != NULL, "%s: %s", text,
	    remark->reason);
}

static int
judge(const char *user, const char *host, const char *address,
    const char *product)
{
	struct policy_facts facts = { .user = user,
		.host = host,
		.device = 1,
		.address = address,
		.product = product,
		.version = "1",
		.feature = "",
		.count = 1 };
	struct policy_verdict verdict;

	policy_judge(&verdict, policy, &facts, UINT32_MAX, 0);
	return verdict.err;
}

/* --- the form ---------------------------------------------------------------- */

static const struct flexlm_line *
only_line(const char *text)
{
	ck_assert_int_eq(flexlm_read(&file, text, strlen(text), &arena), 0);
	ck_assert_uint_eq(file.count, 1);
	return &file.lines[0];
}

START_TEST(lines_go_on_and_keep_their_number)
{
	const struct flexlm_line *line =
	    only_line("# one\n\n  \t\nGROUP g a \\\n  b\\\n\tc \\  \n d");

	ck_assert_uint_eq(line->number, 4);
	ck_assert_ptr_null(line->error);
	ck_assert_str_eq(line->name, "g");
	ck_assert_uint_eq(line->n_members, 4);
	ck_assert_str_eq(line->members[3], "d");
	/* At the end of the file nothing is left to go on with. */
	line = only_line("GROUP g a \\");
	ck_assert_uint_eq(line->n_members, 1);
	ck_assert_int_eq(flexlm_read(&file, "\\\n\\", 3, &arena), 0);
	ck_assert_uint_eq(file.count, 0);
}
END_TEST

START_TEST(what_begins_with_a_mark_and_ends_as_on_windows_is_read)
{
	const struct flexlm_line *line =
	    only_line("\xef\xbb\xbf"
		      "EXCLUDE f USER joe\r\n\r\n");

	ck_assert_ptr_null(line->error);
	ck_assert_uint_eq(line->number, 1);
	ck_assert_str_eq(line->name, "joe");
}
END_TEST

START_TEST(options_and_types_are_read_in_either_case_and_names_as_they_are)
{
	const struct flexlm_line *line = only_line("reserve 03 Feat host WS-1");

	ck_assert_ptr_null(line->error);
	ck_assert_int_eq((int)line->option, FLEXLM_RESERVE);
	ck_assert_uint_eq(line->number_said, 3);
	ck_assert_str_eq(line->feature.name, "Feat");
	ck_assert_int_eq((int)line->type, FLEXLM_BY_HOST);
	ck_assert_str_eq(line->name, "WS-1");
	line = only_line("user_group g a");
	ck_assert_int_eq((int)line->option, FLEXLM_GROUP);
}
END_TEST

START_TEST(pools_are_told_from_names_with_colons)
{
	static const struct {
		const char *word, *name, *key, *value;
	} cases[] = {
		{ "f", "f", NULL, NULL },
		{ "f:VERSION=2.0", "f", "VERSION", "2.0" },
		{ "f:version=2.0", "f", "version", "2.0" },
		{ "f VERSION=2.0", "f", "VERSION", "2.0" },
		{ "a:b:SN=1:2=3", "a:b", "SN", "1:2=3" },
		{ "a:b", "a:b", NULL, NULL },
		{ "f:HOST_BASED", "f", "HOST_BASED", "" },
		{ "f:HOST_BASEDX", "f:HOST_BASEDX", NULL, NULL },
		{ "f:VENDOR_STRING=a b", "f", "VENDOR_STRING", "a b" },
		{ "f:asset_info=", "f", "asset_info", "" },
	};
	struct flexlm_feature feature;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_ptr_null(
		    flexlm_read_feature(&feature, cases[i].word, &arena));
		ck_assert_str_eq(feature.name, cases[i].name);
		ck_assert_pstr_eq(feature.key, cases[i].key);
		ck_assert_pstr_eq(feature.value, cases[i].value);
	}
	ck_assert_ptr_nonnull(flexlm_read_feature(&feature, "", &arena));
	ck_assert_ptr_nonnull(
	    flexlm_read_feature(&feature, "f:COLOR=1", &arena));
}
END_TEST

START_TEST(what_is_wrong_with_a_line_is_said_and_the_next_is_read)
{
	static const char *const wrong[] = { "EXCLUDE", "EXCLUDE f",
		"EXCLUDE f USER", "EXCLUDE f SOMEBODY x", "EXCLUDE f USER a b",
		"EXCLUDE f USER \"\"", "EXCLUDE \"\" USER a", "RESERVE",
		"RESERVE 1", "RESERVE x f USER a", "RESERVE -1 f USER a",
		"RESERVE 18446744073709551616 f USER a", "MAX 1 f GROUP",
		"GROUP", "GROUP \"\" a", "LINGER f", "LINGER 60 f",
		"TIMEOUTALL", "TIMEOUTALL x", "FQDN_MATCHING",
		"GROUPCASEINSENSITIVE", "EXCLUDE f USER \"a", "\"\" a",
		"NOSUCH", "EXCLUDE f USER \x01", "EXCLUDE f USER \xff" };
	char text[256];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(text, sizeof text, "%s\nEXCLUDE g USER b\n", wrong[i]);
		translate(text, strlen(text));
		const struct flexlm_remark *lines = report.lines.items;

		ck_assert_uint_eq(report.lines.count, 2);
		ck_assert_msg(lines[0].status == FLEXLM_WRONG &&
			lines[0].reason[0] != '\0',
		    "%s", wrong[i]);
		ck_assert_int_eq((int)lines[1].status, FLEXLM_TAKEN);
		ck_assert_uint_eq(document.rules.count, 1);
	}
}
END_TEST

START_TEST(bounds_of_a_file_are_kept)
{
	size_t len = ((size_t)FLEXLM_LINES_MAX + 1) * 5;
	char *text = calloc(1, FLEXLM_BYTES_MAX + 1);

	for (size_t i = 0; i < len; i += 5)
		memcpy(text + i, "NOLOG" + 0, 4), text[i + 4] = '\n';
	ck_assert_int_eq(flexlm_read(&file, text, len - 5, &arena), 0);
	ck_assert_uint_eq(file.count, FLEXLM_LINES_MAX);
	ck_assert_int_eq(flexlm_read(&file, text, len, &arena), ERR_TOO_LARGE);
	memset(text, '\n', FLEXLM_BYTES_MAX);
	ck_assert_int_eq(flexlm_read(&file, text, FLEXLM_BYTES_MAX, &arena), 0);
	ck_assert_int_eq(flexlm_read(&file, text, FLEXLM_BYTES_MAX + 1, &arena),
	    ERR_TOO_LARGE);
	free(text);
}
END_TEST

/* --- the policy --------------------------------------------------------------- */

START_TEST(more_than_a_policy_holds_is_refused_with_the_bound)
{
	struct buf text = { 0 };
	const struct flexlm_note *notes;

	for (unsigned int i = 0; i <= POLICY_RULES_MAX; i++)
		buf_printf(&text, "EXCLUDE f%u USER a\n", i);
	ck_assert_int_eq(flexlm_read(&file, buf_text(&text), text.len, &arena),
	    0);
	ck_assert_int_eq(flexlm_translate(&document, &report, &file, &map,
			     &arena),
	    ERR_TOO_LARGE);
	notes = report.notes.items;
	ck_assert_ptr_nonnull(strstr(notes[0].note, "Line 1001"));
	buf_clear(&text);
	for (unsigned int i = 0; i <= POLICY_GROUPS_MAX; i++)
		buf_printf(&text, "GROUP g%u a\n", i);
	ck_assert_int_eq(flexlm_read(&file, buf_text(&text), text.len, &arena),
	    0);
	ck_assert_int_eq(flexlm_translate(&document, &report, &file, &map,
			     &arena),
	    ERR_TOO_LARGE);
	buf_clear(&text);
	buf_add_str(&text, "GROUP g");
	for (unsigned int i = 0; i <= POLICY_MEMBERS_MAX; i++)
		buf_printf(&text, " %x", i);
	ck_assert_int_eq(flexlm_read(&file, buf_text(&text), text.len, &arena),
	    0);
	ck_assert_int_eq(flexlm_translate(&document, &report, &file, &map,
			     &arena),
	    ERR_TOO_LARGE);
	/* Many lines about one feature are one rule. */
	buf_clear(&text);
	for (unsigned int i = 0; i < 5000; i++)
		buf_printf(&text, "INCLUDE f USER u%u\n", i);
	translate(buf_text(&text), text.len);
	ck_assert_uint_eq(document.rules.count, 1);
	ck_assert_int_eq(judge("u4999", "h", NULL, "f"), 0);
	ck_assert_int_eq(judge("u5000", "h", NULL, "f"), ERR_EXCLUDED);
	buf_release(&text);
}
END_TEST

START_TEST(a_list_without_anybody_who_can_be_named_is_still_a_list)
{
	expect("INCLUDE f DISPLAY x:0", FLEXLM_NO_EQUAL, "nobody comes in");
	ck_assert_int_eq(judge("a", "h", NULL, "f"), ERR_EXCLUDED);
	/* A group of that name may have members. */
	expect("GROUP nobody a\nINCLUDE f PROJECT x", FLEXLM_NO_EQUAL,
	    "project");
	ck_assert_int_eq(judge("a", "h", NULL, "f"), ERR_EXCLUDED);
	expect("INCLUDE f GROUP typo", FLEXLM_WRONG, "no GROUP line");
	ck_assert_int_eq(judge("a", "h", NULL, "f"), ERR_EXCLUDED);
	expect("INCLUDE f GROUP typo\nEXCLUDE g GROUP typo", FLEXLM_WRONG,
	    "no GROUP line");
	ck_assert_int_eq(judge("a", "h", NULL, "g"), 0);
}
END_TEST

START_TEST(groups_of_two_kinds_with_one_name_stay_two)
{
	translate("GROUP x a\nHOST_GROUP x h\nEXCLUDE f GROUP x\n"
		  "EXCLUDE g HOST_GROUP x\n",
	    66);
	ck_assert_uint_eq(document.groups.count, 2);
	ck_assert_int_eq(judge("a", "z", NULL, "f"), ERR_EXCLUDED);
	ck_assert_int_eq(judge("z", "h", NULL, "f"), 0);
	ck_assert_int_eq(judge("z", "h", NULL, "g"), ERR_EXCLUDED);
	ck_assert_int_eq(judge("a", "z", NULL, "g"), 0);
}
END_TEST

START_TEST(names_that_a_policy_cannot_hold_are_named)
{
	char text[256];

	snprintf(text, sizeof text, "EXCLUDE f USER %070d", 1);
	expect(text, FLEXLM_NO_EQUAL, "longer than 63");
	snprintf(text, sizeof text, "GROUP g a %070d b", 1);
	expect(text, FLEXLM_DIFFERS, "is not in the group");
	snprintf(text, sizeof text, "GROUP %070d a", 1);
	expect(text, FLEXLM_NO_EQUAL, "63 bytes");
	snprintf(text, sizeof text, "EXCLUDE %070d USER a", 1);
	expect(text, FLEXLM_NO_EQUAL, "63 bytes");
	expect("EXCLUDE f USER (erased)", FLEXLM_NO_EQUAL, "erased");
	expect("EXCLUDE f HOST -h", FLEXLM_NO_EQUAL, "no name of a host");
	expect("EXCLUDE f HOST *.lab", FLEXLM_NO_EQUAL, "no name of a host");
}
END_TEST

START_TEST(addresses_are_ranges_exactly)
{
	static const struct {
		const char *written, *in, *out;
	} cases[] = {
		{ "10.1.2.3", "10.1.2.3", "10.1.2.4" },
		{ "10.1.2.*", "10.1.2.255", "10.1.3.0" },
		{ "10.1.*.*", "10.1.0.1", "10.2.0.1" },
		{ "10.*.*.*", "10.200.0.1", "11.0.0.1" },
		{ "*.*.*.*", "1.2.3.4", "2001:db8::1" },
		{ "10.*.2.3", "10.77.2.3", "10.77.2.4" },
		{ "10.*.2.*", "10.77.2.4", "10.77.3.4" },
		{ "2001:db8::7", "2001:db8::7", "2001:db8::8" },
		{ "2001:db8:0:*:*:*:*:*", "2001:db8:0:9::", "2001:db8:1::" },
	};
	static const char *const wrong[] = { "10.1.2", "10.1.2.256",
		"10.1.2.3.4", "10.1.2.3*", "10.1..3", "10.1.02.3",
		"2001:db8::*", "2001:*:1:1:1:1:1:1", "*:*:*:*:*:*:*:*", ":",
		"name" };
	char text[128];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(text, sizeof text, "EXCLUDE f INTERNET %s",
		    cases[i].written);
		expect(text, FLEXLM_TAKEN, "");
		ck_assert_msg(judge("a", "h", cases[i].in, "f") == ERR_EXCLUDED,
		    "%s", text);
		ck_assert_msg(judge("a", "h", cases[i].out, "f") == 0, "%s",
		    text);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(text, sizeof text, "EXCLUDE f INTERNET %s", wrong[i]);
		expect(text, FLEXLM_WRONG, wrong[i]);
	}
	expect("EXCLUDE f INTERNET *.1.*.3", FLEXLM_NO_EQUAL, "more than one");
}
END_TEST

START_TEST(case_counts_unless_groups_say_otherwise)
{
	expect("EXCLUDE f USER Ann", FLEXLM_TAKEN, "");
	ck_assert_int_eq(judge("ann", "h", NULL, "f"), 0);
	/* Without a group it is about nobody. */
	expect("GROUPCASEINSENSITIVE ON\nEXCLUDE f USER Ann", FLEXLM_TAKEN, "");
	ck_assert_int_eq(judge("ann", "h", NULL, "f"), 0);
	expect("GROUPCASEINSENSITIVE ON\nGROUP g Bob\nEXCLUDE f USER Ann",
	    FLEXLM_DIFFERS, "in either case");
	expect("GROUPCASEINSENSITIVE maybe", FLEXLM_WRONG, "ON or OFF");
	expect("FQDN_MATCHING NONE", FLEXLM_WRONG, "lenient or exact");
}
END_TEST

START_TEST(of_idle_times_the_smallest_holds_and_is_told)
{
	expect("TIMEOUT f 1800\nTIMEOUTALL 900", FLEXLM_DIFFERS, "--all");
	const struct flexlm_remark *lines = report.lines.items;

	ck_assert_int_eq((int)lines[0].status, FLEXLM_DIFFERS);
	ck_assert_ptr_nonnull(strstr(lines[0].reason, "900 s for all"));
	expect("TIMEOUTALL 1800\nTIMEOUT f 900", FLEXLM_TAKEN, "");
	expect("TIMEOUT f 1800\nTIMEOUT f 900", FLEXLM_DIFFERS, "smaller");
	const struct policy_rule *rules = document.rules.items;

	ck_assert_uint_eq(rules[0].idle_s, 900);
	expect("LINGER f 1800\nLINGER f 900", FLEXLM_DIFFERS, "larger");
	rules = document.rules.items;
	ck_assert_uint_eq(rules[0].linger_s, 1800);
	expect("TIMEOUT f 2592001", FLEXLM_NO_EQUAL, "2592000");
	expect("TIMEOUT f 0", FLEXLM_NOT_NEEDED, "as without");
}
END_TEST

START_TEST(a_rule_about_a_product_with_features_is_told_apart)
{
	ck_assert_ptr_null(flexlm_read_target(&targets[0], "f=p", &arena));
	ck_assert_ptr_null(flexlm_read_target(&targets[1], "g=p/x", &arena));
	map.n_targets = 2;
	expect("EXCLUDE g USER b\nEXCLUDE f USER a", FLEXLM_DIFFERS,
	    "its feature x too");
	expect("EXCLUDE g USER b\nRESERVE 1 f USER a", FLEXLM_TAKEN, "");
	expect("EXCLUDE f USER a\nEXCLUDE F USER a", FLEXLM_TAKEN, "");
}
END_TEST

START_TEST(what_features_are_called_here_is_read_or_refused)
{
	static const char *const wrong[] = { "", "f", "=p", "f=", "f=/x",
		"f=p/", "f:NO=1=p", "f=\xff" };
	struct flexlm_target target;
	char text[256];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(flexlm_read_target(&target, wrong[i], &arena) !=
			NULL,
		    "%s", wrong[i]);
	snprintf(text, sizeof text, "f=%064d", 1);
	ck_assert_ptr_nonnull(flexlm_read_target(&target, text, &arena));
	snprintf(text, sizeof text, "f=p/%064d", 1);
	ck_assert_ptr_nonnull(flexlm_read_target(&target, text, &arena));
	ck_assert_ptr_null(
	    flexlm_read_target(&target, "f:SN=1=2=p/x/y", &arena));
	ck_assert_str_eq(target.from.value, "1=2");
	ck_assert_str_eq(target.product, "p");
	ck_assert_str_eq(target.feature, "x/y");
}
END_TEST

START_TEST(a_file_that_says_nothing_is_an_empty_policy)
{
	translate("", 0);
	ck_assert_uint_eq(document.rules.count, 0);
	ck_assert_uint_eq(report.lines.count, 0);
	translate("# nothing\n", 10);
	ck_assert_uint_eq(report.lines.count, 0);
}
END_TEST

/* --- files ---------------------------------------------------------------------- */

static const char *const files[] = { "borrow", "case", "daemon", "everything",
	"hosts", "include", "limits", "package", "plant", "pools", "simple",
	"untidy" };

/* What a file's steps are done in: pools, and who holds what. */
static struct {
	struct {
		char name[64];
		uint64_t seats, used;
	} pools[16];
	size_t n_pools;
	struct {
		char id[8];
		size_t pool;
		bool held;
	} seats[64];
	size_t n_seats;
} site;

static char *
read_data(const char *name, const char *end, size_t *len)
{
	char path[512];
	uint8_t *data;

	snprintf(path, sizeof path, "%s/data/flexlm/%s.%s", TESTS_FOLDER, name,
	    end);
	ck_assert_msg(file_read(&data, len, path, FLEXLM_BYTES_MAX) == 0, "%s",
	    path);
	return (char *)data;
}

static size_t
find_pool(const char *name)
{
	for (size_t i = 0; i < site.n_pools; i++)
		if (strcmp(site.pools[i].name, name) == 0)
			return i;
	ck_abort_msg("no pool %s", name);
	return 0;
}

static size_t
find_seat(const char *id)
{
	for (size_t i = 0; i < site.n_seats; i++)
		if (strcmp(site.seats[i].id, id) == 0 && site.seats[i].held)
			return i;
	ck_abort_msg("nobody holds %s", id);
	return 0;
}

static void
set_facts(struct policy_facts *facts, char what[64], const char *user,
    const char *host, const char *address)
{
	char *slash = strchr(what, '/');

	if (slash != NULL)
		*slash = '\0';
	*facts = (struct policy_facts){ .user = user,
		.host = host,
		.device = 1,
		.address = strcmp(address, "-") == 0 ? NULL : address,
		.product = what,
		.version = "1.0",
		.feature = slash == NULL ? "" : slash + 1,
		.count = 1 };
}

static const char *
verdict_word(int err)
{
	return err == 0             ? "granted"
	    : err == ERR_EXCLUDED   ? "excluded"
	    : err == ERR_POLICY_MAX ? "policy_max"
				    : "reserved";
}

/* As a grant does: the policy first, then the seats. */
static void
take(const char *where, char word[8][64])
{
	size_t pool = find_pool(word[5]), seat = site.n_seats++;
	struct policy_verdict verdict;
	struct policy_facts facts;

	ck_assert_uint_lt(seat, 64);
	set_facts(&facts, word[5], word[2], word[3], word[4]);
	uint64_t free = site.pools[pool].seats - site.pools[pool].used;

	policy_judge(&verdict, policy, &facts, free, 0);
	const char *said = verdict_word(verdict.err);

	if (free == 0 && verdict.err != ERR_EXCLUDED &&
	    verdict.err != ERR_POLICY_MAX)
		said = "no_seats";
	ck_assert_msg(strcmp(said, word[6]) == 0, "%s: %s (%s)", where, said,
	    verdict.rule);
	if (strcmp(said, "granted") != 0)
		return;
	site.pools[pool].used++;
	text_copy(site.seats[seat].id, sizeof site.seats[seat].id, word[1]);
	site.seats[seat].pool = pool;
	site.seats[seat].held = true;
	ck_assert_int_eq(policy_hold(policy, seat + 1, &facts), 0);
}

static void
give(char word[8][64])
{
	size_t seat = find_seat(word[1]);

	policy_end(policy, seat + 1);
	site.pools[site.seats[seat].pool].used--;
	site.seats[seat].held = false;
}

static void
borrow(const char *where, char word[8][64])
{
	struct policy_borrow said;
	struct policy_facts facts;

	set_facts(&facts, word[3], word[1], word[2], "-");
	policy_of_borrow(&said, policy, &facts);
	ck_assert_msg(said.longest_s == strtoul(word[4], NULL, 10) &&
		said.keep == strtoul(word[5], NULL, 10) &&
		said.none == (strcmp(word[6], "none") == 0),
	    "%s: %u %u %d", where, said.longest_s, said.keep, said.none);
}

static void
do_step(const char *where, const char *line)
{
	char word[8][64] = { { 0 } };

	int n = sscanf(line, "%63s %63s %63s %63s %63s %63s %63s", word[0],
	    word[1], word[2], word[3], word[4], word[5], word[6]);
	if (strcmp(word[0], "pool") == 0) {
		text_copy(site.pools[site.n_pools].name, 64, word[1]);
		site.pools[site.n_pools++].seats = strtoul(word[2], NULL, 10);
	} else if (strcmp(word[0], "take") == 0 && n == 7) {
		take(where, word);
	} else if (strcmp(word[0], "give") == 0) {
		give(word);
	} else if (strcmp(word[0], "borrow") == 0 && n == 7) {
		borrow(where, word);
	} else if (strcmp(word[0], "idle") == 0) {
		uint64_t lease = find_seat(word[1]) + 1;

		ck_assert_uint_eq(policy_idle_s(policy, lease, true),
		    strtoul(word[2], NULL, 10));
		/* Of who never says so FlexNet knows nothing either. */
		ck_assert_uint_eq(policy_idle_s(policy, lease, false), 0);
	} else if (strcmp(word[0], "linger") == 0) {
		ck_assert_uint_eq(policy_linger_s(policy,
				      find_seat(word[1]) + 1),
		    strtoul(word[2], NULL, 10));
	} else {
		ck_abort_msg("%s: no step", where);
	}
}

/* "product P", "all P", "feature NAME=PRODUCT": as the command's options. */
static bool
is_option(const char *line)
{
	if (strncmp(line, "product ", 8) == 0)
		map.product = arena_copy(&arena, line + 8, strlen(line + 8));
	else if (strncmp(line, "all ", 4) == 0)
		all[map.n_all++] =
		    arena_copy(&arena, line + 4, strlen(line + 4));
	else if (strncmp(line, "feature ", 8) == 0)
		ck_assert_ptr_null(flexlm_read_target(&targets[map.n_targets++],
		    line + 8, &arena));
	else
		return false;
	return true;
}

START_TEST(each_file_does_here_what_it_says)
{
	const char *name = files[_i];
	size_t len, steps_len;
	char *text = read_data(name, "opt", &len), *rest = NULL;
	char *steps = read_data(name, "steps", &steps_len);
	unsigned int n = 0;

	for (char *line = strtok_r(steps, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		char where[256];

		if (line[0] == '#' || is_option(line))
			continue;
		if (n++ == 0)
			translate(text, len);
		snprintf(where, sizeof where, "%s: %s", name, line);
		do_step(where, line);
	}
	ck_assert_uint_gt(n, 1);
	free(text);
	free(steps);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("flexlm");
	TCase *tc = tcase_create("flexlm");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, lines_go_on_and_keep_their_number);
	tcase_add_test(tc,
	    what_begins_with_a_mark_and_ends_as_on_windows_is_read);
	tcase_add_test(tc,
	    options_and_types_are_read_in_either_case_and_names_as_they_are);
	tcase_add_test(tc, pools_are_told_from_names_with_colons);
	tcase_add_test(tc,
	    what_is_wrong_with_a_line_is_said_and_the_next_is_read);
	tcase_add_test(tc, bounds_of_a_file_are_kept);
	tcase_add_test(tc, more_than_a_policy_holds_is_refused_with_the_bound);
	tcase_add_test(tc,
	    a_list_without_anybody_who_can_be_named_is_still_a_list);
	tcase_add_test(tc, groups_of_two_kinds_with_one_name_stay_two);
	tcase_add_test(tc, names_that_a_policy_cannot_hold_are_named);
	tcase_add_test(tc, addresses_are_ranges_exactly);
	tcase_add_test(tc, case_counts_unless_groups_say_otherwise);
	tcase_add_test(tc, of_idle_times_the_smallest_holds_and_is_told);
	tcase_add_test(tc, a_rule_about_a_product_with_features_is_told_apart);
	tcase_add_test(tc, what_features_are_called_here_is_read_or_refused);
	tcase_add_test(tc, a_file_that_says_nothing_is_an_empty_policy);
	tcase_add_loop_test(tc, each_file_does_here_what_it_says, 0,
	    (int)(sizeof files / sizeof *files));
	suite_add_tcase(s, tc);
	return s;
}
