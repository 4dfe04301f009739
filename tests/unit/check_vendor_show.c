/* The vendor's tool as people meet it: command lines, help, JSON, show. */
#include "shared/record/json.h"
#include "tests/unit/suite.h"
#include "tests/unit/vendor_run.h"

START_TEST(wrong_command_lines_are_usage)
{
	static const struct {
		const char *line;
		const char *part;
	} cases[] = {
		{ "", "leasehold-vendor issue" },
		{ "isue v", "did you mean issue?" },
		{ "frobnicate", "there is no command frobnicate" },
		{ ISSUE " --serial 0", "--serial must be a whole number" },
		{ ISSUE " --serial -1", "--serial must be a whole number" },
		{ ISSUE " --serial 9007199254740992", "--serial must be" },
		{ ISSUE " --license-id a+b", "--license-id \"a b\": must be" },
		{ ISSUE " --licence-id a", "did you mean --license-id?" },
		{ "issue v --request r --terms t", "--out FILE is missing" },
		{ "issue v --request r --out t", "--terms FILE is missing" },
		{ "issue v --request", "--request needs FILE" },
		{ "issuer v --renew=1", "--renew takes no value" },
		{ "show", "FILE is missing" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(run(cases[i].line), 2);
		has(err, cases[i].part);
		ck_assert_str_eq(out, "");
	}
}
END_TEST

START_TEST(help_shows_an_example)
{
	static const char *const names[] = { "init", "issuer", "issue",
		"show" };
	char line[64];

	for (size_t i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "%s --help", names[i]);
		ck_assert_int_eq(run(line), 0);
		has(out, "Example:\n  leasehold-vendor");
		ck_assert_str_eq(err, "");
	}
	ck_assert_int_eq(run("--help"), 0);
	has(out, "Exit status: 0 done, 1 failed, 2 usage.");
}
END_TEST

START_TEST(answers_in_json_are_json)
{
	static const char *const lines[] = { INIT, "issuer v", ISSUE,
		"show a.lic", "show request.txt", "show v/root.pub",
		"show v/issuer.key" };
	char line[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), "%s --json", lines[i]);
		ck_assert_int_eq(run(line), 0);
		ck_assert_int_eq(json_check(out, strlen(out), 16), 0);
		ck_assert_str_eq(err, "");
	}
	ck_assert_int_eq(run("--json " INIT), 1);
	ck_assert_int_eq(json_check(err, strlen(err), 16), 0);
	has(err, "\"code\":\"conflict\"");
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(show_checks_with_the_keys_at_hand)
{
	char line[256];

	vendor_ready();
	ck_assert_int_eq(run(ISSUE), 0);
	ck_assert_int_eq(run("show a.lic"), 0);
	has(out, "kind       issuer\n");
	has(out, "signature  not checked: the key is not here");
	has(out, "signature  holds (the issuer above, itself not checked)");
	has(out, "\"commit_fee_monthly\": 5000.00,");
	ck_assert_int_eq(run("show a.lic --key v/root.pub"), 0);
	has(out, "signature  holds (--key)");
	has(out, "signature  holds (the issuer above)");
	slurp(line, sizeof(line), "v/root.pub");
	line[strcspn(line, "\n")] = '\0';
	char command[300];

	snprintf(command, sizeof(command), "show a.lic --key %s", line);
	ck_assert_int_eq(run(command), 0);
	has(out, "signature  holds (the issuer above)");
	ck_assert_int_eq(run("show v/issuer.token"), 0);
	has(out, "signature  holds (root.pub beside it)");
	ck_assert_int_eq(run("show request.txt"), 0);
	has(out, "kind       request\n");
	has(out, "signature  holds (the site key that it names)");
	ck_assert_int_eq(run("show a.lic --key nonsense"), 1);
	has(err, "is no public key");
}
END_TEST

START_TEST(show_says_when_a_signature_does_not_hold)
{
	char text[2048];
	char *at;

	slurp(text, sizeof(text), "request.txt");
	at = strchr(text, '\n') - 100; /* within the signature */
	*at = *at == 'A' ? 'B' : 'A';
	spill("request.txt", text);
	ck_assert_int_eq(run("show request.txt"), 1);
	has(out, "signature  does not hold");
	has(err, "a signature does not hold");
}
END_TEST

START_TEST(show_keeps_secrets_and_terminals_safe)
{
	struct buf token = { 0 };
	static const char payload[] =
	    "{\"site\":\"\xc2\x9b[2J\x7f\",\"x\":[1,{}],\"y\":\"\\u001b\"}";

	vendor_ready();
	ck_assert_int_eq(run("show v/root.key"), 0);
	has(out, "secret key (not shown)");
	has(out, "k4.public.");
	ck_assert_ptr_null(strstr(out, "k4.secret."));
	ck_assert_int_eq(token_sign(&token, TOKEN_BEAT, payload,
			     strlen(payload), site_secret),
	    0);
	spill("x.txt", buf_text(&token));
	buf_release(&token);
	ck_assert_int_eq(run("show x.txt"), 0);
	has(out,
	    "{\n  \"site\": \"\\u009b[2J\\u007f\",\n  \"x\": [\n    1,\n"
	    "    {}\n  ],\n  \"y\": \"\\u001b\"\n}");
	spill("x.txt", "hello \x1b[2J");
	ck_assert_int_eq(run("show x.txt"), 1);
	has(err, "x.txt: is no signed document of Leasehold");
	spill("x.txt", "{\"a\":1}");
	ck_assert_int_eq(run("show x.txt"), 1);
	has(err, "is no license file: a is not known here");
	ck_assert_int_eq(run("show missing.txt"), 1);
	has(err, "missing.txt: there is no such file");
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("vendor show");
	TCase *tc = tcase_create("vendor show");

	tcase_add_checked_fixture(tc, start, finish);
	tcase_add_test(tc, wrong_command_lines_are_usage);
	tcase_add_test(tc, help_shows_an_example);
	tcase_add_test(tc, answers_in_json_are_json);
	tcase_add_test(tc, show_checks_with_the_keys_at_hand);
	tcase_add_test(tc, show_says_when_a_signature_does_not_hold);
	tcase_add_test(tc, show_keeps_secrets_and_terminals_safe);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
