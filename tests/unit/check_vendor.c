/* The vendor's tool from its command line: each run is a process of its own in
 * a folder of its own, as people run it. */
#include "shared/base/err.h"
#include "tests/unit/suite.h"
#include "tests/unit/vendor_run.h"

/* --- init and issuer ------------------------------------------------------ */

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

/* --- issue ---------------------------------------------------------------- */

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
		text_copy(text, sizeof(text), token);
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

START_TEST(nothing_but_a_license_is_overwritten)
{
	char before[256];
	char after[256];

	vendor_ready();
	slurp(before, sizeof(before), "v/root.key");
	refused("issue v --request request.txt --terms terms.json --out "
		"v/root.key",
	    "v/root.key is there already and is no license file");
	slurp(after, sizeof(after), "v/root.key");
	ck_assert_str_eq(before, after);
	refused("issue v --request request.txt --terms terms.json --out v",
	    "v is there already and is no license file");
}
END_TEST

START_TEST(a_license_that_cannot_be_written_is_not_issued)
{
	vendor_ready();
	ck_assert_int_eq(run("issue v --request request.txt --terms terms.json "
			     "--out no/a.lic"),
	    1);
	has(err, "no/a.lic: ");
	has(err, "No license was written");
	ck_assert_str_eq(out, "");
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
	tcase_add_test(tc, nothing_but_a_license_is_overwritten);
	tcase_add_test(tc, a_license_that_cannot_be_written_is_not_issued);
	tcase_add_test(tc, a_request_signed_by_another_key_is_refused);
	tcase_add_test(tc, an_issuing_key_that_is_not_good_now_issues_nothing);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
