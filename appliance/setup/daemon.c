/* What the parent holds; see daemon.h. */
#include "appliance/setup/daemon.h"

#include "appliance/ledger/tenants.h"
#include "appliance/setup/making.h"
#include "appliance/setup/tls.h"
#include "shared/base/err.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "shared/proof/enroll.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CLIENT_CA_MAX ((size_t)256 << 10)

/* --- settings ------------------------------------------------------------- */

int
daemon_read(struct daemon *daemon, const struct arguments *arguments)
{
	struct settings *settings = &daemon->settings;
	int status = arguments_settings(settings, &daemon->users, arguments);

	if (status != 0)
		return status;
	daemon->part = arguments->part;
	daemon->level = (enum log_level)log_level_parse(settings->log);
	daemon->journal = getenv("JOURNAL_STREAM") != NULL;
	return setup_path(daemon->tls_folder, settings->state, "tls") == 0
	    ? 0
	    : STATUS_CONFIG;
}

/* At once: at a door the user counts. */
int
daemon_become(struct daemon *daemon)
{
	const struct settings_users *users = &daemon->users;
	const char *folder = getenv("RUNTIME_DIRECTORY");
	const uid_t uid = daemon->part == PART_LEDGER ? users->ledger_uid
	    : daemon->part == PART_FRONT              ? users->front_uid
						      : users->courier_uid;
	const gid_t gid = daemon->part == PART_LEDGER ? users->ledger_gid
	    : daemon->part == PART_FRONT              ? users->front_gid
						      : users->courier_gid;

	if (daemon->part == PART_ALL)
		return 0;
	if (users->drop && sandbox_drop_user(uid, gid, 0) != 0)
		return STATUS_FAILED;
	daemon->users.drop = false;
	if (folder == NULL)
		return 0;
	if (daemon->part == PART_FRONT &&
	    !text_copy(daemon->tls_folder, sizeof(daemon->tls_folder), folder))
		return STATUS_FAILED;
	return parts_take_over(&daemon->settings, daemon->part, folder) == 0
	    ? 0
	    : STATUS_FAILED;
}

/* Here, so that the ledger's user need not be able to read the files. */
static int
read_makers(struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	const char *ca = settings->tpm_ca, *issuers = settings->tpm_issuers;

	if (daemon->part != PART_ALL && daemon->part != PART_LEDGER)
		return 0;
	return proof_trust_open(&daemon->trust, ca[0] != '\0' ? ca : NULL,
	    issuers[0] != '\0' ? issuers : NULL);
}

/* Whoever shows a certificate of these may use the keys that are bound to it;
 * a restart reads it again. */
static int
read_client_ca(struct daemon *daemon)
{
	const char *path = daemon->settings.client_ca;
	uint8_t *data;
	size_t len;

	if (path[0] == '\0' ||
	    (daemon->part != PART_ALL && daemon->part != PART_FRONT))
		return 0;
	int rc = file_read(&data, &len, path, CLIENT_CA_MAX);

	if (rc == 0) {
		daemon->client_ca = calloc(1, len + 1);
		if (daemon->client_ca != NULL)
			memcpy(daemon->client_ca, data, len);
		else
			rc = ERR_NOMEM;
		free(data);
	}
	if (rc != 0)
		log_error("parent",
		    "[tls] client_ca: cannot read %s: %s; put the PEM of the "
		    "CAs there, or take the line out",
		    path, err_str(rc));
	return rc;
}

int
daemon_read_cas(struct daemon *daemon)
{
	return read_makers(daemon) == 0 && read_client_ca(daemon) == 0
	    ? 0
	    : STATUS_CONFIG;
}

/* --- the machine ---------------------------------------------------------- */

void
daemon_leave_network(struct daemon *daemon)
{
	if (daemon->listen_fd >= 0)
		close(daemon->listen_fd);
	tls_page_free(daemon->tls, daemon->tls_fd);
}

/* Each connection is a descriptor of its front, and each open tenant four of the
 * ledger. */
static void
raise_limit(const struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	const rlim_t tenants = 4 * TENANTS_MAX + 256;
	rlim_t need = (rlim_t)(settings->connections / settings->fronts) + 256;
	struct rlimit limit;

	if (daemon->part == PART_COURIER)
		return;
	if (daemon->part == PART_LEDGER ||
	    (daemon->part == PART_ALL && need < tenants))
		need = tenants;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = need;
	if (limit.rlim_max < need && geteuid() == 0)
		limit.rlim_max = need;
	else if (limit.rlim_max < need)
		limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < need)
		log_warn("parent",
		    "only %llu open files are allowed, %llu are wanted for "
		    "[limits] connections; raise LimitNOFILE or ulimit -n",
		    (unsigned long long)limit.rlim_cur,
		    (unsigned long long)need);
}

/* The ledger's, who may not be able to make it. */
static int
make_witness_folder(const struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	const struct settings_users *users = &daemon->users;
	char path[SETUP_PATH_MAX];
	int rc = setup_witness_path(path, settings->state, settings->witness);

	return rc != 0 ? rc
		       : setup_witness_folder(path,
			     users->drop ? users->ledger_uid : (uid_t)-1,
			     users->drop ? users->ledger_gid : (gid_t)-1);
}

static int
open_site(struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	struct site_file site;

	if (setup_read(&site, settings->state) != 0 ||
	    setup_lock(&daemon->lock, settings->state) != 0 ||
	    make_witness_folder(daemon) != 0)
		return STATUS_FAILED;
	making_clear(settings->state);
	log_info("parent", "site %s \"%s\"", site.site, site.name);
	return 0;
}

static int
open_network(struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	char error[512];

	if (setup_path(daemon->empty_root, settings->state, "empty") != 0 ||
	    tls_page_new(&daemon->tls, &daemon->tls_fd, daemon->tls_folder) !=
		0)
		return STATUS_FAILED;
	if (settings_listen(&daemon->listen_fd, settings, error,
		sizeof(error)) != 0) {
		log_error("parent", "%s", error);
		return STATUS_FAILED;
	}
	log_info("parent", "listens on %s port %lld", settings->address,
	    (long long)settings->port);
	return 0;
}

static int
open_doors(struct daemon *daemon)
{
	char error[512];

	if (parts_open_doors(daemon->doors, &daemon->settings, &daemon->users,
		error, sizeof(error)) == 0)
		return 0;
	log_error("parent", "%s", error);
	return STATUS_FAILED;
}

void
daemon_close(struct daemon *daemon)
{
	if (daemon->part == PART_LEDGER)
		parts_close_doors(daemon->doors, &daemon->settings);
	if (daemon->lock >= 0)
		close(daemon->lock);
	daemon_leave_network(daemon);
}

int
daemon_open(struct daemon *daemon)
{
	const enum part part = daemon->part;
	int status = 0;

	if (part == PART_ALL || part == PART_LEDGER)
		status = open_site(daemon);
	if (status == 0 && (part == PART_ALL || part == PART_FRONT))
		status = open_network(daemon);
	if (status == 0 && part == PART_LEDGER)
		status = open_doors(daemon);
	if (status == 0 && geteuid() == 0 && !daemon->users.drop)
		log_warn("parent",
		    "everything runs as root; name two users: [process] user "
		    "and front_user");
	if (status == 0)
		raise_limit(daemon);
	else
		daemon_close(daemon);
	return status;
}
