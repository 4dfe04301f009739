/* The vendor's tool from its command line: each run is a process of its own in
 * a folder of its own, as people run it. */
#include "appliance/vendor/vendor.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "tests/unit/suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char out[16384]; /* of the last run */
static char err[16384];

static void
slurp(char *text, size_t size, const char *path)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(file_read(&data, &len, path, size - 1), 0);
	memcpy(text, data, len + 1);
	free(data);
}

static void
spill(const char *path, const char *text)
{
	ck_assert_int_eq(file_write(path, text, strlen(text), 0644), 0);
}

static void
redirect(const char *path, int to)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(99);
}

/* Words are split at spaces; a + stands for a space within one. */
static int
run(const char *line)
{
	char words[1024];
	char *argv[32] = { (char[]){ "leasehold-vendor" } };
	int argc = 1;
	int status;

	ck_assert(text_copy(words, sizeof(words), line));
	for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " ")) {
		for (char *p = w; *p != '\0'; p++)
			if (*p == '+')
				*p = ' ';
		argv[argc++] = w;
	}
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		redirect("stdout.txt", STDOUT_FILENO);
		redirect("stderr.txt", STDERR_FILENO);
		status = vendor_main(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	slurp(out, sizeof(out), "stdout.txt");
	slurp(err, sizeof(err), "stderr.txt");
	unlink("stdout.txt");
	unlink("stderr.txt");
	return WEXITSTATUS(status);
}

static void
has(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part,
	    text);
}

static int
files_in(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		if (e->d_name[0] != '.')
			n++;
	closedir(dir);
	return n;
}

#define TERMS                                                              \
	"{\"product\":{\"id\":\"davinci\",\"version\":\">=8.0.0\"},"       \
	"\"entitlement\":{\"total_licenses\":20,\"commit_qty\":5,"         \
	"\"max_overage\":15,\"pricing\":{\"commit_fee_monthly\":5000.00,"  \
	"\"overage_per_use\":500.00,\"currency\":\"EUR\"}},"               \
	"\"contract\":{\"start_date\":\"2020-01-01\",\"end_date\":\"%s\"," \
	"\"auto_renew\":true,\"billing_cycle\":\"monthly\"}}"

static void
write_terms(const char *path, const char *end)
{
	char text[1024];

	snprintf(text, sizeof(text), TERMS, end);
	spill(path, text);
}

static uint8_t site_secret[64];

static void
write_request(const char *path, const char *name)
{
	struct license_request request = { .site = "site-abcdefghijklm",
		.tenant = "default",
		.key_class = "file",
		.software = "leaseholdd 0.1.0",
		.created_at = 1 };
	struct buf token = { 0 };

	text_copy(request.name, sizeof(request.name), name);
	memcpy(request.site_key, site_secret + 32, 32);
	ck_assert_int_eq(license_document_sign(&token, &license_request_record,
			     &request, TOKEN_REQUEST, site_secret),
	    0);
	buf_add_byte(&token, '\n');
	spill(path, buf_text(&token));
	buf_release(&token);
}

static void
start(void)
{
	uint8_t seed[32] = { 7 };
	uint8_t public_key[32];

	text_copy(folder, sizeof(folder), "/tmp/check_vendor.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	crypto_sign_seed_keypair(public_key, site_secret, seed);
	write_request("request.txt", "Mercedes");
	write_terms("terms.json", "9000-12-31");
}

static void
finish(void)
{
	static const char *const known[] = { "v/vendor.json", "v/root.key",
		"v/root.pub", "v/issuer.key", "v/issuer.token", "v/serial.json",
		"v", "request.txt", "terms.json", "a.lic", "b.lic", "x.txt",
		NULL };

	for (size_t i = 0; known[i] != NULL; i++)
		remove(known[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0); /* and nothing else was left */
}

#define INIT "init v --name Vector+Informatik --id vector"
#define ISSUE "issue v --request request.txt --terms terms.json --out a.lic"

static void
vendor_ready(void)
{
	ck_assert_int_eq(run(INIT), 0);
	ck_assert_int_eq(run("issuer v"), 0);
}

/* The license of a file, verified from the root. */
static struct license
license_of(const char *path)
{
	struct license license;
	struct license_issuer issuer;
	struct license_file file;
	struct record_error why;
	struct arena arena = { 0 };
	uint8_t root[32];
	char text[4096];
	char pub[128];

	slurp(pub, sizeof(pub), "v/root.pub");
	pub[strcspn(pub, "\n")] = '\0';
	ck_assert_int_eq(token_public_parse(root, pub), 0);
	slurp(text, sizeof(text), path);
	ck_assert_int_eq(record_read_json(&file, &license_file_record, text,
			     strlen(text), &arena, &why),
	    0);
	ck_assert_msg(license_verify(&license, &issuer, file.issuer.data,
			  file.issuer.len, file.license.data, file.license.len,
			  root, &why) == 0,
	    "%s: %s", why.field, why.reason);
	arena_release(&arena);
	return license;
}

/* --- init and issuer ---------------------------------------------------------
 */

START_TEST(a_vendor_is_made_with_its_keys)
{
	struct stat st;
	char text[256];

	ck_assert_int_eq(run(INIT), 0);
	has(out, "Vector Informatik (vector)");
	has(out, "Next: leasehold-vendor issuer v");
	ck_assert_str_eq(err, "");
	ck_assert_int_eq(stat("v", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	ck_assert_int_eq(stat("v/root.key", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	slurp(text, sizeof(text), "v/root.pub");
	has(text, "k4.public.");
	has(out, "k4.public.");
	ck_assert_ptr_null(strstr(out, "k4.secret."));
	ck_assert_int_eq(files_in("v"), 3);
	ck_assert_int_eq(run("issuer v --days 30"), 0);
	ck_assert_int_eq(stat("v/issuer.key", &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(files_in("v"), 5);
}
END_TEST

START_TEST(a_vendor_is_never_made_over_another)
{
	char before[256];
	char after[256];

	ck_assert_int_eq(run(INIT), 0);
	slurp(before, sizeof(before), "v/root.key");
	ck_assert_int_eq(run(INIT), 1);
	has(err, "v/vendor.json is already there");
	has(err, "Next: leasehold-vendor issuer v");
	/* Also when half of it is gone. */
	ck_assert_int_eq(unlink("v/vendor.json"), 0);
	ck_assert_int_eq(run(INIT), 1);
	has(err, "v/root.key is already there");
	slurp(after, sizeof(after), "v/root.key");
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(a_vendor_needs_a_name_and_an_id_that_can_be_typed)
{
	static const char *const bad[] = {
		"init v --name X --id Vector",
		"init v --name X --id v_v",
		"init v --name X --id -v",
		"init v --name X --id aaaaaaaaaaaaaaaaaaaaa",
		"init v --name X --id=",
		"init v --name= --id v",
		"init v --name a\x1b[1m --id v",
		"init v --name a\xff --id v",
		"init v --id v",
		"init v --name X",
		"init --name X --id v",
		"init v w --name X --id v",
		"init v --name X --id v --id v",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(run(bad[i]), 2);
		ck_assert_str_ne(err, "");
		ck_assert_ptr_null(strchr(err, 0x1b));
		ck_assert_int_ne(access("v", F_OK), 0);
	}
	ck_assert_int_eq(run("init no/v --name X --id v"), 1);
	has(err, "its parent folder is not there");
}
END_TEST

START_TEST(an_issuing_key_is_replaced_only_when_asked)
{
	char before[256];
	char after[256];

	vendor_ready();
	slurp(before, sizeof(before), "v/issuer.key");
	ck_assert_int_eq(run("issuer v"), 1);
	has(err, "v/issuer.key is already there");
	has(err, "Next: leasehold-vendor issuer v --renew");
	slurp(after, sizeof(after), "v/issuer.key");
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(run("issuer v --renew"), 0);
	slurp(after, sizeof(after), "v/issuer.key");
	ck_assert_str_ne(before, after);
	ck_assert_int_eq(run(ISSUE), 0);
	ck_assert_uint_eq(license_of("a.lic").serial, 1);
	ck_assert_int_eq(run("issuer v --days 0"), 2);
	ck_assert_int_eq(run("issuer v --days 3651"), 2);
	ck_assert_int_eq(run("issuer v --days x"), 2);
	ck_assert_int_eq(run("issuer w"), 1);
	has(err, "Next: leasehold-vendor init w");
}
END_TEST

START_TEST(a_missing_wrong_or_open_root_key_is_named)
{
	ck_assert_int_eq(run(INIT), 0);
	ck_assert_int_eq(chmod("v/root.key", 0644), 0);
	ck_assert_int_eq(run("issuer v"), 1);
	has(err, "Whoever could read it may be the vendor now");
	has(err, "Next: chmod 600 v/root.key");
	ck_assert_int_eq(unlink("v/root.key"), 0);
	ck_assert_int_eq(run("issuer v"), 1);
	has(err, "v/root.key: there is no such file");
	uint8_t *secret = sodium_malloc(64);

	ck_assert_int_eq(token_key_create(secret, "v/root.key"), 0);
	sodium_free(secret);
	ck_assert_int_eq(run("issuer v"), 1);
	has(err, "v/root.key is not the key of v/root.pub");
	ck_assert_int_eq(files_in("v"), 3);
}
END_TEST

/* --- issue -------------------------------------------------------------------
 */

START_TEST(a_license_is_issued_for_the_site_that_asked)
{
	char year[CLOCK_TEXT_SIZE];
	char id[64];

	vendor_ready();
	ck_assert_int_eq(run(ISSUE), 0);
	ck_assert_str_eq(err, "");
	has(out,
	    "5 committed at 5000.00 EUR a month, 15 overage at 500.00 EUR");
	has(out, "leasehold license install a.lic");
	struct license l = license_of("a.lic");

	clock_format(year, clock_wall_ms());
	snprintf(id, sizeof(id), "lic-vector-mercedes-%.4s-001", year);
	ck_assert_str_eq(l.license_id, id);
	ck_assert_uint_eq(l.serial, 1);
	ck_assert_str_eq(l.vendor.name, "Vector Informatik");
	ck_assert_str_eq(l.site, "site-abcdefghijklm");
	ck_assert_str_eq(l.tenant, "default");
	ck_assert_mem_eq(l.site_key, site_secret + 32, 32);
	ck_assert_int_eq(l.entitlement.pricing.overage_per_use, 50000);
	ck_assert_uint_eq(l.terms.ttl_s, LICENSE_TTL_DEFAULT_S);
}
END_TEST

START_TEST(a_reissue_has_a_higher_serial)
{
	vendor_ready();
	ck_assert_int_eq(run(ISSUE " --license-id lic-1"), 0);
	ck_assert_uint_eq(license_of("a.lic").serial, 1);
	ck_assert_int_eq(run(ISSUE " --license-id lic-1"), 0);
	ck_assert_uint_eq(license_of("a.lic").serial, 2);
	ck_assert_str_eq(license_of("a.lic").license_id, "lic-1");
	ck_assert_int_eq(run(ISSUE " --serial 40"), 0);
	ck_assert_str_eq(err, "");
	ck_assert_uint_eq(license_of("a.lic").serial, 40);
	ck_assert_int_eq(run(ISSUE " --serial 7"), 0);
	has(err, "warning: serial 7 is not above 40");
	ck_assert_uint_eq(license_of("a.lic").serial, 7);
	ck_assert_int_eq(run(ISSUE), 0);
	ck_assert_uint_eq(license_of("a.lic").serial, 41);
	has(license_of("a.lic").license_id, "-041");
	spill("v/serial.json", "{\"serial\":\"x\"}");
	ck_assert_int_eq(run(ISSUE), 1);
	has(err, "serial.json: serial must be a whole number");
}
END_TEST

START_TEST(an_ended_contract_is_issued_with_a_warning)
{
	write_terms("terms.json", "2021-12-31");
	vendor_ready();
	ck_assert_int_eq(run(ISSUE), 0);
	has(err,
	    "warning: terms.json: contract.end_date: the contract ended "
	    "on 2021-12-31 already");
	license_of("a.lic");
}
END_TEST

START_TEST(names_of_sites_make_readable_ids)
{
	static const struct {
		const char *name;
		const char *part;
	} cases[] = {
		{ "Mercedes-Benz AG, Halle 4", "lic-vector-mercedes-benz-ag-" },
		{ "  ACME!  ", "lic-vector-acme-2" },
		{ "a-very-long-name-without-end",
		    "lic-vector-a-very-long-name-2" },
		{ "averylongnamewithoutanyend",
		    "lic-vector-averylongnamewithout" },
		{ "\xe6\x97\xa5\xe6\x9c\xac",
		    "lic-vector-site-abcdefghijklm-2" },
	};

	vendor_ready();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_request("request.txt", cases[i].name);
		ck_assert_int_eq(run(ISSUE), 0);
		has(license_of("a.lic").license_id, cases[i].part);
	}
}
END_TEST

/* Refused: status 1, words, and neither a file nor a serial left behind. */
static void
refused(const char *line, const char *part)
{
	int status = run(line);

	ck_assert_msg(status == 1, "%d: %s", status, err);
	has(err, part);
	ck_assert_str_eq(out, "");
	ck_assert_int_ne(access("a.lic", F_OK), 0);
	ck_assert_int_ne(access("v/serial.json", F_OK), 0);
}

START_TEST(bad_terms_leave_nothing_behind)
{
	static const struct {
		const char *from;
		const char *to;
		const char *part;
	} cases[] = {
		{ "\"commit_qty\":5", "\"commit_qty\":30",
		    "terms.json: entitlement.commit_qty: 30 is above "
		    "total_licenses 20" },
		{ "\"max_overage\":15", "\"max_overage\":10",
		    "entitlement.total_licenses: must be commit_qty + "
		    "max_overage (5 + 10 = 15), is 20" },
		{ "\"commit_qty\":5", "\"commit_qty\":-5",
		    "entitlement.commit_qty: must be a whole number" },
		{ ">=8.0.0", ">=x",
		    "product.version: \">=x\" is not a version range" },
		{ "500.00", "500.001", "entitlement.pricing" },
		{ "EUR", "XXX", "entitlement.pricing.currency" },
		{ "2020-01-01", "9001-01-01",
		    "contract.end_date: is before start_date" },
		{ "2020-01-01", "2020-02-31", "contract.start_date" },
		{ "auto_renew", "auto_renews",
		    "contract.auto_renews: is not known here" },
		{ "\"auto_renew\":true",
		    "\"auto_renew\":true,\"auto_renew\":true",
		    "contract.auto_renew: is given twice" },
		{ "\"monthly\"", "\"weekly\"", "contract.billing_cycle" },
		{ "}}", "}", "terms.json: " },
	};
	char good[1024];
	char text[1200];

	vendor_ready();
	slurp(good, sizeof(good), "terms.json");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *at = strstr(good, cases[i].from);

		ck_assert_ptr_nonnull(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good,
		    cases[i].to, at + strlen(cases[i].from));
		spill("terms.json", text);
		refused(ISSUE, cases[i].part);
		has(err, "nothing was issued");
	}
	unlink("terms.json");
	refused(ISSUE, "terms.json: there is no such file");
}
END_TEST

START_TEST(bad_requests_leave_nothing_behind)
{
	char token[2048];
	char text[2048];

	vendor_ready();
	slurp(token, sizeof(token), "request.txt");
	/* One character anywhere in what is signed, and in the signature. */
	for (size_t i = 10; i + 1 < strlen(token); i += 29) {
		strcpy(text, token);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		spill("request.txt", text);
		refused(ISSUE, "request.txt: is no activation request");
		has(err, "Next: on the site: leasehold site request");
	}
	spill("request.txt", "hello");
	refused(ISSUE, "request.txt: is no activation request");
	spill("request.txt", "");
	refused(ISSUE, "request.txt: is no activation request");
	slurp(text, sizeof(text), "v/issuer.token");
	spill("request.txt", text);
	refused(ISSUE, "request.txt: is no activation request");
	unlink("request.txt");
	refused(ISSUE, "request.txt: there is no such file");
}
END_TEST

START_TEST(a_request_signed_by_another_key_is_refused)
{
	uint8_t other[64];
	uint8_t public_key[32];
	uint8_t own[32];

	vendor_ready();
	/* Names the site's key but is signed by somebody else's. */
	memcpy(own, site_secret + 32, 32);
	crypto_sign_keypair(public_key, other);
	struct license_request request = { .site = "site-abc",
		.name = "x",
		.tenant = "default",
		.key_class = "file",
		.software = "x" };
	struct buf token = { 0 };

	memcpy(request.site_key, own, 32);
	ck_assert_int_eq(license_document_sign(&token, &license_request_record,
			     &request, TOKEN_REQUEST, other),
	    0);
	spill("request.txt", buf_text(&token));
	buf_release(&token);
	refused(ISSUE,
	    "request.txt: is no activation request: request: is "
	    "signed by k4.pid.");
}
END_TEST

START_TEST(an_issuing_key_that_is_not_good_now_issues_nothing)
{
	struct license_issuer issuer = { .vendor = { "vector", "V" } };
	struct buf token = { 0 };
	uint8_t *root = sodium_malloc(64);
	uint8_t *key = sodium_malloc(64);
	int64_t now = clock_wall_ms();

	vendor_ready();
	ck_assert_int_eq(token_key_read(root, "v/root.key"), 0);
	ck_assert_int_eq(token_key_read(key, "v/issuer.key"), 0);
	memcpy(issuer.key, key + 32, 32);
	for (int i = 0; i < 3; i++) {
		issuer.not_before = i == 1 ? now + 100000 : now - 200000;
		issuer.not_after = i == 0 ? now - 100000 : now + 200000;
		if (i == 2)
			issuer.key[0] ^= 1;
		buf_clear(&token);
		ck_assert_int_eq(license_document_sign(&token,
				     &license_issuer_record, &issuer,
				     TOKEN_ISSUER, root),
		    0);
		spill("v/issuer.token", buf_text(&token));
		refused(ISSUE,
		    i == 0       ? "the issuing key was good until"
			: i == 1 ? "the issuing key is good from"
				 : "does not fit issuer.token");
	}
	/* Signed by another root. */
	ck_assert_int_eq(license_document_sign(&token, &license_issuer_record,
			     &issuer, TOKEN_ISSUER, key),
	    0);
	spill("v/issuer.token", buf_text(&token));
	refused(ISSUE, "v/issuer.token: ");
	unlink("v/issuer.token");
	refused(ISSUE, "v/issuer.token: there is no such file");
	has(err, "Next: leasehold-vendor issuer v");
	sodium_free(root);
	sodium_free(key);
	buf_release(&token);
}
END_TEST

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

/* --- show --------------------------------------------------------------------
 */

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
	Suite *s = suite_create("vendor");
	TCase *tc = tcase_create("vendor");

	tcase_add_checked_fixture(tc, start, finish);
	tcase_add_test(tc, a_vendor_is_made_with_its_keys);
	tcase_add_test(tc, a_vendor_is_never_made_over_another);
	tcase_add_test(tc, a_vendor_needs_a_name_and_an_id_that_can_be_typed);
	tcase_add_test(tc, an_issuing_key_is_replaced_only_when_asked);
	tcase_add_test(tc, a_missing_wrong_or_open_root_key_is_named);
	tcase_add_test(tc, a_license_is_issued_for_the_site_that_asked);
	tcase_add_test(tc, a_reissue_has_a_higher_serial);
	tcase_add_test(tc, an_ended_contract_is_issued_with_a_warning);
	tcase_add_test(tc, names_of_sites_make_readable_ids);
	tcase_add_test(tc, bad_terms_leave_nothing_behind);
	tcase_add_test(tc, bad_requests_leave_nothing_behind);
	tcase_add_test(tc, a_request_signed_by_another_key_is_refused);
	tcase_add_test(tc, an_issuing_key_that_is_not_good_now_issues_nothing);
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
