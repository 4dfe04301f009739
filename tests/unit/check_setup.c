/* Making a site, and the daemon's settings. */
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/system.h"
#include "appliance/setup/settings.h"
#include "appliance/setup/setup.h"
#include "tests/unit/setup_site.h"
#include "tests/unit/suite.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/proof.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a site -------------------------------------------------------------- */

START_TEST(site_is_whole)
{
	struct site_file site;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_read(&site, state), 0);
	ck_assert_str_eq(site.name, "Plant \"7\"");
	ck_assert_uint_eq(strlen(site.site), 18);
	ck_assert_int_eq(memcmp(site.site, "site-", 5), 0);
	ck_assert_int_eq(mode_of("site.json"), 0644);
	ck_assert_int_eq(mode_of("keys"), 0700);
	ck_assert_int_eq(mode_of("keys/site.key"), 0600);
	ck_assert_int_eq(mode_of("keys/default.key"), 0600);
	ck_assert_int_eq(mode_of("keys/system.key"), 0600);
	ck_assert_int_eq(mode_of("tls/ca.key"), 0600);
	ck_assert_int_eq(mode_of("tls/server.key"), 0600);
	ck_assert_int_eq(mode_of("tls/server.pem"), 0644);
	ck_assert_int_eq(mode_of("empty"), 0555);
	ck_assert_int_eq(mode_of("tenants"), 0700);
}
END_TEST

START_TEST(journal_of_a_new_site_opens_with_its_keys)
{
	uint8_t secret[64], tenant_key[32];
	char path[160];
	struct ledger *ledger;
	struct site_file site;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_read(&site, state), 0);
	ck_assert_int_eq(setup_site_key(secret, state), 0);
	ck_assert_int_eq(setup_key(tenant_key, state, "default"), 0);
	snprintf(path, sizeof(path), "%s/tenants/default/ledger", state);
	const struct ledger_options options = { .path = path,
		.site = site.site,
		.tenant = "default",
		.site_public = secret + 32,
		.site_secret = secret,
		.tenant_key = tenant_key };

	ck_assert_int_eq(ledger_open(&ledger, &options), 0);
	ledger_close(ledger);
}
END_TEST

START_TEST(there_is_one_admin_key_and_only_its_hash_is_kept)
{
	struct system_store *store;
	struct system_key found;
	uint8_t hash_key[32], *data;
	char path[160], wrong[96];
	size_t len;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(memcmp(key, "clsk_default_", 13), 0);
	ck_assert_uint_eq(strlen(key), 13 + 43);
	ck_assert_int_eq(setup_key(hash_key, state, "system"), 0);
	snprintf(path, sizeof(path), "%s/system", state);
	ck_assert_int_eq(system_open(&store, path, hash_key), 0);
	ck_assert_int_eq(system_key_find(&found, store, key, strlen(key)), 0);
	ck_assert_uint_eq(found.number, 1);
	ck_assert_str_eq(found.tenant, "default");
	for (size_t i = 0; i < strlen(key); i++) {
		memcpy(wrong, key, sizeof(wrong));
		wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
		ck_assert_int_eq(system_key_find(&found, store, wrong,
				     strlen(wrong)),
		    ERR_UNAUTHENTICATED);
	}
	ck_assert_int_eq(system_key_find(&found, store, key, strlen(key) - 1),
	    ERR_UNAUTHENTICATED);
	ck_assert_int_eq(system_key_find(&found, store, "", 0),
	    ERR_UNAUTHENTICATED);
	system_close(store);
	snprintf(path, sizeof(path), "%s/system/data.mdb", state);
	ck_assert_int_eq(file_read(&data, &len, path, 64 << 20), 0);
	ck_assert_ptr_null(memmem(data, len, key + 13, 43));
	free(data);
}
END_TEST

START_TEST(more_admin_keys_are_numbered_on)
{
	struct system_store *store;
	struct system_key found;
	uint8_t hash_key[32];
	char path[160], second[SYSTEM_KEY_TEXT];

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_key(hash_key, state, "system"), 0);
	snprintf(path, sizeof(path), "%s/system", state);
	ck_assert_int_eq(system_open(&store, path, hash_key), 0);
	ck_assert_int_eq(system_key_add(second, store, "nobody", "x", 0, 1),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(system_key_add(second, store, "default", "x", 1, 1),
	    0);
	ck_assert_int_eq(system_key_find(&found, store, second, strlen(second)),
	    0);
	ck_assert_uint_eq(found.number, 2);
	ck_assert_int_eq(system_tenant_add(store, "default", 1), ERR_CONFLICT);
	ck_assert_int_eq(system_tenant_add(store, "../x", 1), ERR_BAD_REQUEST);
	system_close(store);
}
END_TEST

START_TEST(site_is_never_made_over_another)
{
	struct site_file before, after;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_read(&before, state), 0);
	ck_assert_int_eq(create(), ERR_CONFLICT);
	ck_assert_int_eq(setup_read(&after, state), 0);
	ck_assert_str_eq(before.site, after.site);
}
END_TEST

START_TEST(empty_folder_becomes_a_site)
{
	struct site_file site;

	ck_assert_int_eq(mkdir(state, 0700), 0);
	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_read(&site, state), 0);
}
END_TEST

START_TEST(failed_attempt_leaves_nothing)
{
	static const char *const bad[] = { "good.example", "not a host", NULL };
	const struct setup_options options = { .state = state,
		.name = "Plant",
		.hosts = bad };
	const struct setup_options nameless = { .state = state,
		.name = "",
		.hosts = hosts };
	const struct setup_options nobody = { .state = state,
		.name = "Plant",
		.hosts = hosts,
		.user = "no-such-user" };

	ck_assert_int_eq(setup_create(key, &options), ERR_BAD_REQUEST);
	ck_assert_int_eq(setup_create(key, &nameless), ERR_BAD_REQUEST);
	ck_assert_int_eq(setup_create(key, &nobody), ERR_NOT_FOUND);
	/* dir is empty again. */
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
}
END_TEST

START_TEST(leftover_of_a_crash_is_cleared)
{
	char path[160];
	struct site_file site;

	snprintf(path, sizeof(path), "%s.new", state);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s.new/keys", state);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s.new/keys/site.key", state);
	ck_assert_int_eq(file_write(path, "old", 3, 0600), 0);
	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_read(&site, state), 0);
	snprintf(path, sizeof(path), "%s.new", state);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(second_daemon_is_kept_out)
{
	int first, second, status;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_lock(&first, state), 0);
	pid_t pid = fork();

	if (pid == 0)
		_exit(setup_lock(&second, state) == ERR_BUSY ? 7 : 8);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* The child has the same open file as we: but it opened anew. */
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	close(first);
	ck_assert_int_eq(setup_lock(&second, state), 0);
	close(second);
}
END_TEST

START_TEST(request_is_signed_by_the_site_for_itself)
{
	struct license_request request;
	struct record_error error;
	struct site_file site;
	struct arena arena = { 0 };
	struct buf token = { 0 };
	uint8_t secret[64];

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_read(&site, state), 0);
	ck_assert_int_eq(setup_request(&token, state), 0);
	ck_assert_int_eq(setup_site_key(secret, state), 0);
	ck_assert_int_eq(license_document_read(&request,
			     &license_request_record, TOKEN_REQUEST,
			     (const char *)token.data, token.len, secret + 32,
			     &arena, &error),
	    0);
	ck_assert_str_eq(request.site, site.site);
	ck_assert_str_eq(request.tenant, "default");
	ck_assert_str_eq(request.key_class, "file");
	ck_assert_int_eq(memcmp(request.site_key, secret + 32, 32), 0);
	arena_release(&arena);
	buf_release(&token);
}
END_TEST

START_TEST(key_that_others_may_read_is_refused)
{
	uint8_t secret[64], other[32];
	char path[160];

	ck_assert_int_eq(create(), 0);
	snprintf(path, sizeof(path), "%s/keys/site.key", state);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(setup_site_key(secret, state), ERR_FORBIDDEN);
	snprintf(path, sizeof(path), "%s/keys/default.key", state);
	ck_assert_int_eq(chmod(path, 0604), 0);
	ck_assert_int_eq(setup_key(other, state, "default"), ERR_FORBIDDEN);
}
END_TEST

START_TEST(folder_of_a_later_release_is_refused)
{
	struct site_file site;
	char path[160];
	static const char later[] = "{\"site\": \"site-1\", \"name\": \"x\", "
				    "\"format\": 2, \"created_at\": "
				    "\"2026-01-01T00:00:00Z\"}";

	ck_assert_int_eq(setup_read(&site, state), ERR_NOT_FOUND);
	ck_assert_int_eq(mkdir(state, 0700), 0);
	snprintf(path, sizeof(path), "%s/site.json", state);
	ck_assert_int_eq(file_write(path, later, strlen(later), 0644), 0);
	ck_assert_int_eq(setup_read(&site, state), ERR_CORRUPT);
}
END_TEST

/* --- settings ------------------------------------------------------------ */

static int
read_text(struct settings *settings, char *error, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/leaseholdd.ini", dir);
	ck_assert_int_eq(file_write(path, text, strlen(text), 0644), 0);
	settings_default(settings);
	error[0] = '\0';
	return settings_read(settings, path, false, error, 512);
}

START_TEST(settings_are_read_over_defaults)
{
	struct settings settings;
	char error[512];

	ck_assert_int_eq(read_text(&settings, error,
			     "[listen]\nport = 8443\naddress = ::\n"
			     "[site]\nstate = /srv/site\n"),
	    0);
	ck_assert_int_eq(settings.port, 8443);
	ck_assert_str_eq(settings.address, "::");
	ck_assert_str_eq(settings.state, "/srv/site");
	ck_assert_int_eq(settings.fronts, 1);
	ck_assert_int_eq(settings.connections, 12000);
}
END_TEST

START_TEST(misspelt_key_is_named_with_its_line_and_the_closest)
{
	struct settings settings;
	char error[512];

	ck_assert_int_eq(read_text(&settings, error,
			     "[listen]\n\nadress = ::\n"),
	    ERR_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(error, ":3:"));
	ck_assert_ptr_nonnull(strstr(error, "adress"));
	ck_assert_ptr_nonnull(strstr(error, "address"));
	ck_assert_int_eq(read_text(&settings, error, "[listen]\nport = 0\n"),
	    ERR_BAD_REQUEST);
}
END_TEST

START_TEST(missing_file_matters_only_when_named)
{
	struct settings settings;
	char error[512] = "";

	settings_default(&settings);
	ck_assert_int_eq(settings_read(&settings, "/nonexistent.ini", true,
			     error, sizeof(error)),
	    0);
	ck_assert_int_eq(settings_read(&settings, "/nonexistent.ini", false,
			     error, sizeof(error)),
	    ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(error, "/nonexistent.ini"));
}
END_TEST

START_TEST(settings_that_contradict_are_refused_in_words)
{
	static const char *const bad[] = {
		"[listen]\naddress = localhost\n",
		"[process]\nlog = loud\n",
		"[process]\nuser = root\n",
		"[process]\nuser = root\nfront_user = root\n",
		"[process]\nuser = root\nfront_user = no-such-user\n",
		"[site]\nstate = relative/path\n",
		"[devices]\nclasses = tpm, floppy\n",
		"[devices]\nclasses = key\n",
		"[devices]\ntpm_ca = /etc/ca.pem\n",
		"[devices]\ntpm_issuers = /etc/issuers\n",
	};
	struct settings settings;
	struct settings_users users;
	char error[512];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(read_text(&settings, error, bad[i]), 0);
		ck_assert_int_eq(settings_check(&users, &settings, error,
				     sizeof(error)),
		    ERR_BAD_REQUEST);
		ck_assert_str_ne(error, "");
	}
}
END_TEST

START_TEST(classes_of_devices_are_words)
{
	struct settings settings;
	struct settings_users users;
	char error[512];

	ck_assert_int_eq(read_text(&settings, error,
			     "[devices]\nclasses = tpm, vtpm software\n"),
	    0);
	ck_assert_int_eq(settings_check(&users, &settings, error,
			     sizeof(error)),
	    0);
	ck_assert_uint_eq(settings.class_bits,
	    1u << PROOF_TPM | 1u << PROOF_VTPM | 1u << PROOF_SOFTWARE);
	ck_assert_int_eq(read_text(&settings, error, "[devices]\n"), 0);
	ck_assert_int_eq(settings_check(&users, &settings, error,
			     sizeof(error)),
	    0);
	ck_assert_uint_eq(settings.class_bits, 0);
}
END_TEST

START_TEST(listen_flag_takes_its_usual_forms)
{
	static const struct {
		const char *text;
		const char *address;
		int port;
	} good[] = {
		{ "127.0.0.1:9000", "127.0.0.1", 9000 },
		{ "[::1]:9001", "::1", 9001 },
		{ ":::9002", "::", 9002 },
		{ ":9003", "0.0.0.0", 9003 },
		{ "9004", "0.0.0.0", 9004 },
	};
	static const char *const bad[] = { "", "x", "1.2.3.4:", ":0",
		"1.2.3.4:65536", "1.2.3.4:-1" };
	struct settings settings;
	char error[512];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		settings_default(&settings);
		ck_assert_int_eq(settings_set_listen(&settings, good[i].text,
				     error, sizeof(error)),
		    0);
		ck_assert_str_eq(settings.address, good[i].address);
		ck_assert_int_eq(settings.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(settings_set_listen(&settings, bad[i], error,
				     sizeof(error)),
		    ERR_BAD_REQUEST);
}
END_TEST

static int
port_of(int fd)
{
	struct sockaddr_in6 address;
	socklen_t len = sizeof(address);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin6_port);
}

START_TEST(taken_port_is_told_with_what_to_type)
{
	struct settings settings;
	char error[512];
	int first, second;

	settings_default(&settings);
	text_copy(settings.address, sizeof(settings.address), "127.0.0.1");
	settings.port = 0; /* any: for this test only */
	ck_assert_int_eq(settings_listen(&first, &settings, error,
			     sizeof(error)),
	    0);
	settings.port = port_of(first);
	ck_assert_int_eq(settings_listen(&second, &settings, error,
			     sizeof(error)),
	    ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(error, "ss -ltnp"));
	ck_assert_ptr_nonnull(strstr(error, "--listen"));
	text_copy(settings.address, sizeof(settings.address), "192.0.2.77");
	ck_assert_int_eq(settings_listen(&second, &settings, error,
			     sizeof(error)),
	    ERR_NOT_FOUND);
	close(first);
}
END_TEST

START_TEST(port_that_a_dying_front_still_holds_is_waited_for)
{
	struct settings settings;
	char error[512];
	int first, second;

	settings_default(&settings);
	text_copy(settings.address, sizeof(settings.address), "127.0.0.1");
	settings.port = 0;
	ck_assert_int_eq(settings_listen(&first, &settings, error,
			     sizeof(error)),
	    0);
	settings.port = port_of(first);
	pid_t front = fork();

	if (front == 0) {
		usleep(200000);
		_exit(0);
	}
	close(first);
	ck_assert_int_eq(settings_listen(&second, &settings, error,
			     sizeof(error)),
	    0);
	close(second);
	ck_assert_int_eq(waitpid(front, NULL, 0), front);
}
END_TEST

START_TEST(any_address_listens_on_both_families)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct settings settings;
	char error[512];
	int fd;

	settings_default(&settings);
	text_copy(settings.address, sizeof(settings.address), "::");
	settings.port = 0;
	if (settings_listen(&fd, &settings, error, sizeof(error)) != 0) {
		test_skip("any_address_listens_on_both_families",
		    "no IPv6 here");
		return;
	}
	v4.sin_port = htons((uint16_t)port_of(fd));
	inet_pton(AF_INET, "127.0.0.1", &v4.sin_addr);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(client, (struct sockaddr *)&v4, sizeof(v4)),
	    0);
	close(client);
	close(fd);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("setup");
	TCase *site = tcase_create("site");
	TCase *settings = tcase_create("settings");

	tcase_add_test(site, site_is_whole);
	tcase_add_test(site, journal_of_a_new_site_opens_with_its_keys);
	tcase_add_test(site, there_is_one_admin_key_and_only_its_hash_is_kept);
	tcase_add_test(site, more_admin_keys_are_numbered_on);
	tcase_add_test(site, site_is_never_made_over_another);
	tcase_add_test(site, empty_folder_becomes_a_site);
	tcase_add_test(site, failed_attempt_leaves_nothing);
	tcase_add_test(site, leftover_of_a_crash_is_cleared);
	tcase_add_test(site, second_daemon_is_kept_out);
	tcase_add_test(site, request_is_signed_by_the_site_for_itself);
	tcase_add_test(site, key_that_others_may_read_is_refused);
	tcase_add_test(site, folder_of_a_later_release_is_refused);
	tcase_add_test(settings, settings_are_read_over_defaults);
	tcase_add_test(settings,
	    misspelt_key_is_named_with_its_line_and_the_closest);
	tcase_add_test(settings, missing_file_matters_only_when_named);
	tcase_add_test(settings, settings_that_contradict_are_refused_in_words);
	tcase_add_test(settings, classes_of_devices_are_words);
	tcase_add_test(settings, listen_flag_takes_its_usual_forms);
	tcase_add_test(settings, taken_port_is_told_with_what_to_type);
	tcase_add_test(settings,
	    port_that_a_dying_front_still_holds_is_waited_for);
	tcase_add_test(settings, any_address_listens_on_both_families);
	tcase_add_checked_fixture(site, set_up, tear_down);
	suite_add_tcase(suite, site);
	tcase_add_checked_fixture(settings, set_up, tear_down);
	suite_add_tcase(suite, settings);
	return suite;
}
