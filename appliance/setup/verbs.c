/* What leaseholdd does besides running the site; see verbs.h. */
#include "appliance/setup/verbs.h"

#include "appliance/setup/box_files.h"
#include "appliance/setup/restore.h"
#include "appliance/setup/settings.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/record/json.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One object of texts, which may be secret. */
static void
print_json(const char *const members[][2], size_t n)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < n; i++) {
		buf_add_str(&out, i == 0 ? "{" : ", ");
		json_add_string(&out, members[i][0], strlen(members[i][0]));
		buf_add_str(&out, ": ");
		json_add_string(&out, members[i][1], strlen(members[i][1]));
	}
	buf_add_str(&out, "}\n");
	fputs(buf_text(&out), stdout);
	if (out.data != NULL)
		sodium_memzero(out.data, out.len);
	buf_release(&out);
}

static void
print_site_json(const struct site_file *site, const char *state,
    const char *key, const char *ca, const char *recovery)
{
	const char *const members[][2] = {
		{ "site", site->site },
		{ "name", site->name },
		{ "state", state },
		{ "admin_key", key },
		{ "ca_sha256", ca },
		{ "recovery_key", recovery },
	};
	size_t n = sizeof(members) / sizeof(members[0]);

	print_json(members, recovery[0] != '\0' ? n : n - 1);
}

static void
print_site(const struct site_file *site, const char *state, const char *host,
    const char *key, const char *ca)
{
	bool v6 = strchr(host, ':') != NULL;

	printf("Site \"%s\" is made: %s in %s\n\n"
	       "  CA fingerprint (SHA-256): %s\n"
	       "  Admin key, shown once:    %s\n\n"
	       "Next, start it:\n"
	       "  leaseholdd --state %s\n"
	       "and in another terminal ask your vendor for a license:\n"
	       "  export LICENSE_SERVER_URL=https://%s%s%s:%d\n"
	       "  export LICENSE_API_KEY=<the admin key>\n"
	       "  export LICENSE_CA_FILE=%s/tls/ca.pem\n"
	       "  leasehold site request >request.token\n",
	    site->name, site->site, state, ca, key, state, v6 ? "[" : "", host,
	    v6 ? "]" : "", SETTINGS_PORT_DEFAULT, state);
}

int
verb_init(const struct arguments *arguments)
{
	char recovery[SETUP_RECOVERY_TEXT] = "";
	const struct setup_options options = {
		.recovery = arguments->heir ? recovery : NULL,
		.state = arguments->state,
		.name = arguments->name,
		.hosts = arguments->hosts,
		.user = arguments->user,
	};
	struct site_file site;
	uint8_t digest[32];
	char key[96], ca[65];

	if (arguments->name == NULL)
		return arguments_complain(
		    "init needs a name for people: --name NAME");
	if (arguments->n_hosts == 0)
		return arguments_complain(
		    "init needs the names or addresses that agents "
		    "will use: --host HOST");
	if (setup_create(key, &options) != 0)
		return STATUS_FAILED;
	int rc = setup_read(&site, arguments->state);

	if (rc == 0)
		rc = setup_ca_digest(digest, arguments->state);
	if (rc == 0) {
		text_to_hex(ca, digest, sizeof(digest));
		if (arguments->json)
			print_site_json(&site, arguments->state, key, ca,
			    recovery);
		else
			print_site(&site, arguments->state, arguments->hosts[0],
			    key, ca);
		if (!arguments->json && arguments->heir)
			printf("\nRecovery key, shown once: %s\n"
			       "Keep it in a safe, away from the backups.\n",
			    recovery);
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(recovery, sizeof(recovery));
	return rc == 0 && fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

int
verb_request(const struct arguments *arguments)
{
	struct buf token = { 0 };
	int rc = setup_become_owner(arguments->state, "keys");

	if (rc == 0)
		rc = setup_request(&token, arguments->state);
	const char *const members[][2] = { { "request", buf_text(&token) } };

	if (rc == 0 && arguments->json)
		print_json(members, 1);
	else if (rc == 0)
		printf("%s\n", buf_text(&token));
	buf_release(&token);
	return rc == 0 && fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

int
verb_certificate(const struct arguments *arguments)
{
	if (arguments->n_hosts == 0)
		return arguments_complain(
		    "certificate needs the names or addresses that "
		    "agents use: --host HOST");
	if (setup_renew(arguments->state, arguments->hosts) != 0)
		return STATUS_FAILED;
	const char *const members[][2] = { { "state", arguments->state } };

	if (arguments->json)
		print_json(members, 1);
	else
		printf("The certificate is new. A running leaseholdd takes it "
		       "with:\n  systemctl reload leaseholdd\n"
		       "or, where it is no service:\n"
		       "  kill -HUP $(cat %s/lock)\n",
		    arguments->state);
	return 0;
}

int
verb_key(const struct arguments *arguments)
{
	char key[96];

	if (arguments->name == NULL)
		return arguments_complain(
		    "key needs a name for people: --name NAME");
	if (setup_become_owner(arguments->state, "system") != 0 ||
	    setup_add_key(key, arguments->state, arguments->name) != 0)
		return STATUS_FAILED;
	const char *const members[][2] = { { "name", arguments->name },
		{ "admin_key", key } };

	if (arguments->json)
		print_json(members, 2);
	else
		printf("Admin key, shown once: %s\n", key);
	sodium_memzero(key, sizeof(key));
	return fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

int
verb_heir(const struct arguments *arguments)
{
	char recovery[SETUP_RECOVERY_TEXT];

	if (setup_heir_make(recovery, arguments->state) != 0)
		return STATUS_FAILED;
	/* He is named: without these his text is good all the same. What the box
	 * is configured by goes along from its next start on. */
	if (box_files_seal(arguments->state, NULL, NULL) != 0)
		box_files_drop(arguments->state);
	const char *const members[][2] = { { "recovery_key", recovery } };

	if (arguments->json)
		print_json(members, 1);
	else
		printf("Recovery key, shown once: %s\n\n"
		       "Keep it in a safe, away from the backups. With both, "
		       "and nothing else, another box\ncan become this site; "
		       "backups that are made from now on are made for it.\n",
		    recovery);
	sodium_memzero(recovery, sizeof(recovery));
	return fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

static void
print_successor(const struct arguments *arguments)
{
	printf("This box has a key of its own. Its vendors are to know, and "
	       "grant nothing before they do:\n"
	       "  leasehold site request >request.token     here, once it "
	       "runs\n"
	       "  leasehold hub reissue request.token       at each vendor\n");
	if (arguments->recovery_file != NULL)
		printf("What the old box was configured by is in %s/etc, where "
		       "the backup had it.\n",
		    arguments->state);
}

int
verb_restore(const struct arguments *arguments)
{
	const struct setup_restore restore = {
		.options = {
			.state = arguments->state,
			.hosts = arguments->hosts,
			.user = arguments->user,
		},
		.file = arguments->file,
		.passphrase_file = arguments->passphrase_file,
		.site_key = arguments->site_key,
		.recovery_file = arguments->recovery_file,
	};
	struct archive_header made;
	char time[CLOCK_TEXT_SIZE], ca[65];
	uint8_t digest[32];

	if (arguments->file == NULL)
		return arguments_complain(
		    "restore needs the backup: leaseholdd restore FILE");
	int rc = arguments->tenant != NULL
	    ? setup_restore_tenant(&made, &restore, arguments->tenant)
	    : setup_restore(&made, &restore);

	if (rc == 0)
		rc = setup_ca_digest(digest, arguments->state);
	if (rc != 0)
		return STATUS_FAILED;
	clock_format(time, made.made_at);
	text_to_hex(ca, digest, sizeof(digest));
	const char *const members[][2] = { { "site", made.site },
		{ "name", made.name }, { "state", arguments->state },
		{ "made_at", time }, { "ca_sha256", ca } };

	if (arguments->json)
		print_json(members, sizeof(members) / sizeof(members[0]));
	else
		printf("%s%s of %s is in %s as it was at %s.\n\n"
		       "It is an older copy: once it runs it grants nothing "
		       "until an admin says that it\nis to go on:\n"
		       "  leaseholdd --state %s\n"
		       "  leasehold site acknowledge-rollback --reason TEXT\n",
		    arguments->tenant != NULL ? "Tenant " : "All",
		    arguments->tenant != NULL ? arguments->tenant : "",
		    made.site, arguments->state, time, arguments->state);
	if (!arguments->json && arguments->tenant == NULL)
		printf("\n  CA fingerprint (SHA-256): %s\n"
		       "Where it is not the one that the site showed when it "
		       "was made, its certificates are\nothers: new ones, or "
		       "changed in the backup by who held the old box.\n",
		    ca);
	if (!arguments->json && arguments->recovery_file != NULL)
		print_successor(arguments);
	return fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

int
verb_hand_over(const struct arguments *arguments)
{
	const char *folder = getenv("RUNTIME_DIRECTORY");
	struct settings settings;
	struct settings_users users;

	if (arguments->part == PART_ALL)
		return arguments_complain(
		    "hand-over needs to know to whom: --part ledger, front or "
		    "courier");
	if (folder == NULL || folder[0] != '/')
		return arguments_complain(
		    "hand-over is for a unit with RuntimeDirectory=, which "
		    "says where to: RUNTIME_DIRECTORY is not set");
	int status = arguments_settings(&settings, &users, arguments);

	if (status != 0)
		return status;
	if (parts_hand_over(&settings, &users, arguments->part, folder) != 0)
		return STATUS_FAILED;
	/* A backup without them is one, too. */
	if (arguments->part != PART_COURIER)
		(void)box_files_seal(settings.state, &settings,
		    arguments_config(arguments));
	return 0;
}
