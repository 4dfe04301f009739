/*
 * leaseholdd: the appliance's daemon. The parent reads the configuration, binds
 * the port, reads certificate and key, forks ledger and fronts, and then only
 * watches them; it never reads a byte from the network.
 */
#include "appliance/courier/courier.h"
#include "appliance/front/front.h"
#include "appliance/ledger/process.h"
#include "appliance/ledger/tenants.h"
#include "appliance/setup/making.h"
#include "appliance/setup/settings.h"
#include "appliance/setup/setup.h"
#include "appliance/setup/tls.h"
#include "appliance/setup/verbs.h"
#include "appliance/setup/words.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/supervisor.h"
#include "shared/base/text.h"

#include <linux/capability.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DRAIN_S 20
/* What the parent needs to restart a child: to become its user, to lock it
 * into the empty root, and to signal it. */
#define PARENT_CAPS                                                         \
	(1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SYS_CHROOT | \
	    1ull << CAP_KILL)

#define CLIENT_CA_MAX ((size_t)256 << 10)

/* --- the daemon ---------------------------------------------------------- */

struct daemon {
	struct settings settings;
	struct settings_users users;
	enum log_level level;
	int journal;
	int lock;
	int listen_fd;
	struct tls_page *tls;
	struct proof_trust *trust;
	char *client_ca; /* PEM; NULL: none */
	int tls_fd;
	char empty_root[SETUP_PATH_MAX];
};

static int
core_main(void *ctx, const struct supervisor_child *child)
{
	struct daemon *daemon = ctx;
	struct ledger_process_options options = {
		.state = daemon->settings.state,
		.witness = daemon->settings.witness,
		.tpm = daemon->settings.tpm,
		.tpm_pcrs = daemon->settings.pcr_bits,
		.drop = daemon->users.drop,
		.uid = daemon->users.ledger_uid,
		.gid = daemon->users.ledger_gid,
		.map_bytes = (size_t)daemon->settings.map_gib << 30,
		.map_grows = true,
		.connections_max = (size_t)daemon->settings.connections,
		.borrow = {
			.max_s = (uint32_t)daemon->settings.borrow_longest_s,
			.seats = (uint32_t)daemon->settings.borrow_seats,
			.keep = (uint32_t)daemon->settings.borrow_keep,
		},
		.trust = daemon->trust,
		.directory = daemon->settings.directory.url[0] != '\0'
		    ? &daemon->settings.directory
		    : NULL,
		.courier_edge = (int)daemon->settings.fronts,
		.hub = daemon->settings.hub,
		.metrics_open = daemon->settings.metrics_open,
		.audit_keep_days = daemon->settings.audit_keep_days,
		.journal_keep_days = daemon->settings.journal_keep_days,
		.password_cost = (enum password_cost)daemon->settings.cost,
		.port = (uint32_t)daemon->settings.port,
		.tenant_idle_ms = daemon->settings.tenant_idle_s * 1000,
		.deliver = {
			.first_ms = daemon->settings.retry_s * 1000,
			.most_ms = daemon->settings.retry_most_s * 1000,
			.attempts = (uint32_t)daemon->settings.attempts,
		},
		.devices = {
			.classes = daemon->settings.class_bits,
			.no_chips = daemon->settings.tpm_ca[0] == '\0',
		},
	};

	log_open("ledger", daemon->level, daemon->journal);
	/* It needs neither, so it does not have them. */
	close(daemon->listen_fd);
	tls_page_free(daemon->tls, daemon->tls_fd);
	return ledger_main(&options, child);
}

/* The part of one front, at least one. */
static int
share(int64_t limit, const struct settings *settings)
{
	return (int)((limit + settings->fronts - 1) / settings->fronts);
}

static int
run_courier(struct daemon *daemon, const struct supervisor_child *child)
{
	struct courier_options options = {
		.directory = &daemon->settings.directory,
		.post = &daemon->settings.post,
		.drop = daemon->users.drop,
		.uid = daemon->users.courier_uid,
		.gid = daemon->users.courier_gid,
	};

	log_open("courier", daemon->level, daemon->journal);
	close(daemon->listen_fd);
	tls_page_free(daemon->tls, daemon->tls_fd);
	return courier_main(&options, child);
}

/* The last one calls out. */
static int
edge_main(void *ctx, const struct supervisor_child *child)
{
	struct daemon *daemon = ctx;
	const struct tls_page *tls;

	if (child->edge_index >= (int)daemon->settings.fronts)
		return run_courier(daemon, child);

	log_open("front", daemon->level, daemon->journal);
	if (tls_page_for_reading(&tls, daemon->tls, daemon->tls_fd) != 0)
		return STATUS_FAILED;
	struct front_options options = {
		.listen_fd = daemon->listen_fd,
		.cert_pem = tls->cert_pem,
		.key_pem = tls->key_pem,
		.client_ca_pem = daemon->client_ca,
		.connections_max =
		    share(daemon->settings.connections, &daemon->settings),
		.fronts = (int)daemon->settings.fronts,
		.address_connections_max =
		    share(daemon->settings.address_connections,
			&daemon->settings),
		.address_strangers_max =
		    share(daemon->settings.address_strangers,
			&daemon->settings),
		.address_rate =
		    share(daemon->settings.address_rate, &daemon->settings),
		.drop = daemon->users.drop,
		.uid = daemon->users.front_uid,
		.gid = daemon->users.front_gid,
		.empty_root = daemon->empty_root,
	};

	return front_main(&options, child);
}

static int
reload(void *ctx)
{
	struct daemon *daemon = ctx;
	int rc = tls_page_reload(daemon->tls, daemon->settings.state);

	if (rc == 0)
		log_info("parent", "certificate and key were read again");
	return rc;
}

static int
enter_sandbox(void *ctx)
{
	const struct daemon *daemon = ctx;

	if (daemon->users.drop && sandbox_drop_user(0, 0, PARENT_CAPS) != 0)
		return ERR_SYSTEM;
	if (sandbox_no_new_privileges() != 0)
		return ERR_SYSTEM;
	return sandbox_enter(SANDBOX_PARENT);
}

/* Each connection is a descriptor of its front, and each open tenant four of the
 * ledger. */
static void
raise_limit(const struct settings *settings)
{
	rlim_t need = (rlim_t)(settings->connections / settings->fronts) + 256;
	const rlim_t tenants = 4 * TENANTS_MAX + 256;
	struct rlimit limit;

	if (need < tenants)
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

static int
read_settings(struct daemon *daemon, const struct arguments *arguments)
{
	struct settings *settings = &daemon->settings;
	char error[512] = "";
	const char *path = arguments->config != NULL ? arguments->config
						     : SETTINGS_PATH_DEFAULT;

	settings_default(settings);
	int rc = settings_read(settings, path, arguments->config == NULL, error,
	    sizeof(error));

	if (rc == 0 && arguments->state[0] != '\0')
		text_copy(settings->state, sizeof(settings->state),
		    arguments->state);
	if (rc == 0 && arguments->listen != NULL)
		rc = settings_set_listen(settings, arguments->listen, error,
		    sizeof(error));
	if (rc == 0)
		rc = settings_check(&daemon->users, settings, error,
		    sizeof(error));
	if (rc != 0)
		return arguments_complain(error);
	daemon->level = (enum log_level)log_level_parse(settings->log);
	daemon->journal = getenv("JOURNAL_STREAM") != NULL;
	return 0;
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

/* Here, so that the ledger's user need not be able to read the files. */
static int
read_makers(struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	const char *ca = settings->tpm_ca, *issuers = settings->tpm_issuers;

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

	if (path[0] == '\0')
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

static int
open_site(struct daemon *daemon)
{
	const struct settings *settings = &daemon->settings;
	struct site_file site;
	char error[512];

	if (setup_read(&site, settings->state) != 0 ||
	    setup_path(daemon->empty_root, settings->state, "empty") != 0 ||
	    setup_lock(&daemon->lock, settings->state) != 0 ||
	    make_witness_folder(daemon) != 0 ||
	    tls_page_new(&daemon->tls, &daemon->tls_fd, settings->state) != 0)
		return STATUS_FAILED;
	making_clear(settings->state);
	if (settings_listen(&daemon->listen_fd, settings, error,
		sizeof(error)) != 0) {
		log_error("parent", "%s", error);
		return STATUS_FAILED;
	}
	log_info("parent", "site %s \"%s\" listens on %s port %lld", site.site,
	    site.name, settings->address, (long long)settings->port);
	if (geteuid() == 0 && !daemon->users.drop)
		log_warn("parent",
		    "everything runs as root; name two users: [process] user "
		    "and front_user");
	return 0;
}

static int
serve(struct daemon *daemon)
{
	int status = open_site(daemon);

	if (status != 0)
		return status;
	raise_limit(&daemon->settings);
	/* It tells the ledger to log its timing, and nothing to the parent. */
	signal(SIGUSR1, SIG_IGN);
	const struct supervisor supervisor = {
		.name = "leaseholdd",
		.core_name = "ledger",
		.edge_name = "front",
		.edges = (int)daemon->settings.fronts + 1,
		.last_edge_name = "courier",
		.ctx = daemon,
		.core_main = core_main,
		.edge_main = edge_main,
		.reload = reload,
		.enter_sandbox = enter_sandbox,
		.drain_s = DRAIN_S,
	};

	status = supervisor_run(&supervisor);
	close(daemon->listen_fd);
	close(daemon->lock);
	tls_page_free(daemon->tls, daemon->tls_fd);
	return status;
}

static int
run_daemon(const struct arguments *arguments)
{
	struct daemon daemon = { .lock = -1, .listen_fd = -1 };
	int status = read_settings(&daemon, arguments);

	if (status != 0)
		return status;
	log_open("leaseholdd", daemon.level, daemon.journal);
	if (read_makers(&daemon) != 0 || read_client_ca(&daemon) != 0)
		return STATUS_CONFIG;
	if (arguments->check)
		printf("the configuration is good\n");
	else
		status = serve(&daemon);
	proof_trust_close(daemon.trust);
	free(daemon.client_ca);
	return status;
}

static int (*find_verb(const char *verb))(const struct arguments *)
{
	static const struct {
		const char *name;
		int (*run)(const struct arguments *arguments);
	} verbs[] = {
		{ "", run_daemon },
		{ "init", verb_init },
		{ "request", verb_request },
		{ "certificate", verb_certificate },
		{ "key", verb_key },
		{ "restore", verb_restore },
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].run;
	return NULL;
}

int
main(int argc, char **argv)
{
	const struct rlimit none = { 0, 0 };
	struct arguments arguments = { 0 };

	/* Keys pass through here, those of OpenSSL in ordinary memory. */
	if (sodium_init() < 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return STATUS_FAILED;
	int status = arguments_read(&arguments, argc, argv);

	if (status >= 0)
		return status;
	int (*run)(const struct arguments *) = find_verb(arguments.word);

	if (run == NULL)
		return arguments_unknown(arguments.word);
	if (arguments.help) {
		words_help(stdout, arguments.word);
		return 0;
	}
	if (optind < argc)
		return arguments_complain(
		    "a word too many; see: leaseholdd --help");
	log_open("leaseholdd", LOG_INFO, 0);
	if (run != run_daemon && arguments.state[0] == '\0')
		text_copy(arguments.state, sizeof(arguments.state),
		    SETTINGS_STATE_DEFAULT);
	return run(&arguments);
}
