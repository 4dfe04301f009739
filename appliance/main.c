/*
 * leaseholdd: the appliance's daemon, and the making of its site. The parent
 * reads the configuration, binds the port, reads certificate and key, forks
 * ledger and fronts, and then only watches them; it never reads a byte from
 * the network.
 */
#include "appliance/front/front.h"
#include "appliance/ledger/process.h"
#include "appliance/setup/settings.h"
#include "appliance/setup/setup.h"
#include "appliance/setup/tls.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/supervisor.h"
#include "shared/base/text.h"
#include "shared/record/json.h"

#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STATUS_FAILED 1
#define STATUS_CONFIG 2
#define DRAIN_S 20
/* What the parent needs to restart a child: to become its user, to lock it
 * into the empty root, and to signal it. */
#define PARENT_CAPS                                                         \
	(1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SYS_CHROOT | \
	    1ull << CAP_KILL)
#define HOSTS_MAX 64

static const char usage[] =
    "leaseholdd " LEASEHOLD_VERSION ": the Leasehold licensing appliance\n"
    "\n"
    "  leaseholdd [--config FILE] [--state DIR] [--listen ADDR:PORT]\n"
    "      Run the site. FILE is " SETTINGS_PATH_DEFAULT " if it is there.\n"
    "  leaseholdd init [--state DIR] --name NAME --host HOST... [--user USER]\n"
    "      [--json]   Make a site: keys, certificate, journal, admin key.\n"
    "  leaseholdd request [--state DIR]\n"
    "      Print the activation request for a vendor.\n"
    "  leaseholdd certificate [--state DIR] --host HOST...\n"
    "      A new certificate for the server; then: kill -HUP its process.\n"
    "  leaseholdd key [--state DIR] --name NAME\n"
    "      One more admin key, shown once.\n"
    "  leaseholdd --check-config [--config FILE]\n"
    "  leaseholdd --help | --version\n"
    "\n"
    "Example:\n"
    "  leaseholdd init --state /var/lib/leasehold --name 'Plant 7' \\\n"
    "      --host licenses.plant7.example --host 192.0.2.7\n"
    "  leaseholdd --state /var/lib/leasehold\n";

struct arguments {
	const char *config;
	const char *listen;
	const char *name;
	const char *user;
	const char *hosts[HOSTS_MAX + 1]; /* ends with NULL */
	int n_hosts;
	char state[SETUP_PATH_MAX - 64]; /* absolute, or "" */
	bool json;
	bool check;
};

static int
complain(const char *text)
{
	fprintf(stderr, "leaseholdd: %s\n", text);
	return STATUS_CONFIG;
}

/* --- the command line ---------------------------------------------------- */

static int
take_state(struct arguments *arguments, const char *path)
{
	char cwd[SETUP_PATH_MAX - 64] = "";
	int len;

	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return complain("--state: the current folder has no name");
	len = snprintf(arguments->state, sizeof(arguments->state), "%s%s%s",
	    cwd, path[0] == '/' ? "" : "/", path);
	if (path[0] == '\0' || len >= (int)sizeof(arguments->state))
		return complain("--state: the path is empty or too long");
	return 0;
}

static int
take_host(struct arguments *arguments, const char *host)
{
	if (arguments->n_hosts == HOSTS_MAX)
		return complain("--host: too many of them");
	arguments->hosts[arguments->n_hosts++] = host;
	return 0;
}

/* -1: go on; else the exit status. */
static int
read_arguments(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "state", required_argument, NULL, 's' },
		{ "listen", required_argument, NULL, 'l' },
		{ "name", required_argument, NULL, 'n' },
		{ "host", required_argument, NULL, 'H' },
		{ "user", required_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	int c, rc = 0;

	while (
	    rc == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			arguments->config = optarg;
		else if (c == 's')
			rc = take_state(arguments, optarg);
		else if (c == 'l')
			arguments->listen = optarg;
		else if (c == 'n')
			arguments->name = optarg;
		else if (c == 'H')
			rc = take_host(arguments, optarg);
		else if (c == 'u')
			arguments->user = optarg;
		else if (c == 'j')
			arguments->json = true;
		else if (c == 'k')
			arguments->check = true;
		else if (c == 'h' || c == 'v') {
			fputs(c == 'h' ? usage
				       : "leaseholdd " LEASEHOLD_VERSION "\n",
			    stdout);
			return 0;
		} else
			return complain("see: leaseholdd --help");
	}
	return rc == 0 ? -1 : rc;
}

/* --- leaseholdd init ----------------------------------------------------- */

static void
print_site_json(const struct site_file *site, const char *state,
    const char *key, const char *ca)
{
	const char *const members[][2] = {
		{ "site", site->site },
		{ "name", site->name },
		{ "state", state },
		{ "admin_key", key },
		{ "ca_sha256", ca },
	};
	struct buf out = { 0 };

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
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

static int
run_init(const struct arguments *arguments)
{
	const struct setup_options options = {
		.state = arguments->state,
		.name = arguments->name,
		.hosts = arguments->hosts,
		.user = arguments->user,
	};
	struct site_file site;
	uint8_t digest[32];
	char key[96], ca[65];

	if (arguments->name == NULL)
		return complain("init needs a name for people: --name NAME");
	if (arguments->n_hosts == 0)
		return complain("init needs the names or addresses that agents "
				"will use: --host HOST");
	if (setup_create(key, &options) != 0)
		return STATUS_FAILED;
	int rc = setup_read(&site, arguments->state);

	if (rc == 0)
		rc = setup_ca_digest(digest, arguments->state);
	if (rc == 0) {
		text_to_hex(ca, digest, sizeof(digest));
		if (arguments->json)
			print_site_json(&site, arguments->state, key, ca);
		else
			print_site(&site, arguments->state, arguments->hosts[0],
			    key, ca);
	}
	sodium_memzero(key, sizeof(key));
	return rc == 0 && fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

static int
run_request(const struct arguments *arguments)
{
	struct buf token = { 0 };
	int rc = setup_request(&token, arguments->state);

	if (rc == 0)
		printf("%s\n", buf_text(&token));
	buf_release(&token);
	return rc == 0 && fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

static int
run_certificate(const struct arguments *arguments)
{
	if (arguments->n_hosts == 0)
		return complain("certificate needs the names or addresses that "
				"agents use: --host HOST");
	if (setup_renew(arguments->state, arguments->hosts) != 0)
		return STATUS_FAILED;
	printf("The certificate is new. A running leaseholdd takes it with:\n"
	       "  kill -HUP $(cat %s/lock)\n",
	    arguments->state);
	return 0;
}

static int
run_key(const struct arguments *arguments)
{
	char key[96];

	if (arguments->name == NULL)
		return complain("key needs a name for people: --name NAME");
	if (setup_add_key(key, arguments->state, arguments->name) != 0)
		return STATUS_FAILED;
	printf("Admin key, shown once: %s\n", key);
	sodium_memzero(key, sizeof(key));
	return fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

/* --- the daemon ---------------------------------------------------------- */

struct daemon {
	struct settings settings;
	struct settings_users users;
	enum log_level level;
	int journal;
	int lock;
	int listen_fd;
	struct tls_page *tls;
	int tls_fd;
	char empty_root[SETUP_PATH_MAX];
};

static int
core_main(void *ctx, const struct supervisor_child *child)
{
	struct daemon *daemon = ctx;
	struct ledger_process_options options = {
		.state = daemon->settings.state,
		.drop = daemon->users.drop,
		.uid = daemon->users.ledger_uid,
		.gid = daemon->users.ledger_gid,
		.map_bytes = (size_t)daemon->settings.map_gib << 30,
		.map_grows = true,
		.connections_max = (size_t)daemon->settings.connections,
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
edge_main(void *ctx, const struct supervisor_child *child)
{
	struct daemon *daemon = ctx;
	const struct tls_page *tls;

	log_open("front", daemon->level, daemon->journal);
	if (tls_page_for_reading(&tls, daemon->tls, daemon->tls_fd) != 0)
		return STATUS_FAILED;
	struct front_options options = {
		.listen_fd = daemon->listen_fd,
		.cert_pem = tls->cert_pem,
		.key_pem = tls->key_pem,
		.connections_max =
		    share(daemon->settings.connections, &daemon->settings),
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

/* Each connection is a descriptor of its front. */
static void
raise_limit(const struct settings *settings)
{
	rlim_t need = (rlim_t)(settings->connections / settings->fronts) + 256;
	struct rlimit limit;

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
		return complain(error);
	daemon->level = (enum log_level)log_level_parse(settings->log);
	daemon->journal = getenv("JOURNAL_STREAM") != NULL;
	return 0;
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
	    tls_page_new(&daemon->tls, &daemon->tls_fd, settings->state) != 0)
		return STATUS_FAILED;
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
run_daemon(const struct arguments *arguments)
{
	struct daemon daemon = { .lock = -1, .listen_fd = -1 };
	int status = read_settings(&daemon, arguments);

	if (status != 0)
		return status;
	if (arguments->check) {
		printf("the configuration is good\n");
		return 0;
	}
	log_open("leaseholdd", daemon.level, daemon.journal);
	if ((status = open_site(&daemon)) != 0)
		return status;
	raise_limit(&daemon.settings);
	/* It tells the ledger to log its timing, and nothing to the parent. */
	signal(SIGUSR1, SIG_IGN);
	const struct supervisor supervisor = {
		.name = "leaseholdd",
		.core_name = "ledger",
		.edge_name = "front",
		.edges = (int)daemon.settings.fronts,
		.ctx = &daemon,
		.core_main = core_main,
		.edge_main = edge_main,
		.reload = reload,
		.enter_sandbox = enter_sandbox,
		.drain_s = DRAIN_S,
	};

	status = supervisor_run(&supervisor);
	close(daemon.listen_fd);
	close(daemon.lock);
	tls_page_free(daemon.tls, daemon.tls_fd);
	return status;
}

static int (*find_verb(const char *verb))(const struct arguments *)
{
	static const struct {
		const char *name;
		int (*run)(const struct arguments *arguments);
	} verbs[] = {
		{ "", run_daemon },
		{ "init", run_init },
		{ "request", run_request },
		{ "certificate", run_certificate },
		{ "key", run_key },
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
	int status = read_arguments(&arguments, argc, argv);

	if (status >= 0)
		return status;
	int (*run)(const struct arguments *) =
	    find_verb(optind < argc ? argv[optind++] : "");

	/* --host A B C: the words that are left are hosts as well. */
	while (arguments.n_hosts > 0 && optind < argc)
		if (take_host(&arguments, argv[optind++]) != 0)
			return STATUS_CONFIG;
	if (run == NULL || optind < argc)
		return complain("an unknown word; see: leaseholdd --help");
	log_open("leaseholdd", LOG_INFO, 0);
	if (run != run_daemon && arguments.state[0] == '\0')
		text_copy(arguments.state, sizeof(arguments.state),
		    SETTINGS_STATE_DEFAULT);
	return run(&arguments);
}
