/*
 * leaseholdd: the appliance's daemon. The parent reads the configuration, binds
 * the port, reads certificate and key, forks ledger and fronts, and then only
 * watches them; it never reads a byte from the network.
 */
#include "appliance/courier/courier.h"
#include "appliance/front/front.h"
#include "appliance/ledger/process.h"
#include "appliance/setup/box_files.h"
#include "appliance/setup/daemon.h"
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

/* --- the daemon ---------------------------------------------------------- */

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
		.invoice_day = (uint32_t)daemon->settings.invoice_day,
		.invoice_from = daemon->settings.invoice_first,
		.metrics_open = daemon->settings.metrics_open,
		.audit_keep_days = daemon->settings.audit_keep_days,
		.metering_person_days = daemon->settings.metering_person_days,
		.journal_keep_days = daemon->settings.journal_keep_days,
		.appliance = daemon->settings.appliance[0] != '\0'
		    ? daemon->settings.appliance
		    : NULL,
		.password_cost = (enum password_cost)daemon->settings.cost,
		.port = (uint32_t)daemon->settings.port,
		.tenant_idle_ms = daemon->settings.tenant_idle_s * 1000,
		.update_dir = daemon->settings.update_dir,
		.update_most = (uint64_t)daemon->settings.update_most_mib
		    << 20,
		.deliver = {
			.first_ms = daemon->settings.retry_s * 1000,
			.most_ms = daemon->settings.retry_most_s * 1000,
			.attempts = (uint32_t)daemon->settings.attempts,
		},
		.sync = {
			.interval_ms = daemon->settings.sync_interval_s * 1000,
			.hub = daemon->settings.post.sync_hub,
			.timeout_ms =
			    daemon->settings.post.sync_timeout_s * 1000,
			.retry = {
				.first_ms =
				    daemon->settings.sync_retry_s * 1000,
				.most_ms =
				    daemon->settings.sync_retry_most_s * 1000,
			},
		},
		.devices = {
			.classes = daemon->settings.class_bits,
			.no_chips = daemon->settings.tpm_ca[0] == '\0',
		},
	};

	log_open("ledger", daemon->level, daemon->journal);
	daemon_leave_network(daemon);
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
	daemon_leave_network(daemon);
	return courier_main(&options, child);
}

/* The last one calls out. */
static int
edge_main(void *ctx, const struct supervisor_child *child)
{
	struct daemon *daemon = ctx;
	const struct tls_page *tls;

	if (daemon->part == PART_COURIER ||
	    child->edge_index >= (int)daemon->settings.fronts)
		return run_courier(daemon, child);

	log_open("front", daemon->level, daemon->journal);
	if (tls_page_for_reading(&tls, daemon->tls, daemon->tls_fd) != 0)
		return STATUS_FAILED;
	struct front_options options = {
		.listen_fd = daemon->listen_fd,
		.cert_pem = tls->cert_pem,
		.key_pem = tls->key_pem,
		.client_ca_pem = daemon->client_ca,
		.client_any = daemon->settings.hub,
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

	if (daemon->tls == NULL)
		return 0;
	int rc = tls_page_reload(daemon->tls, daemon->tls_folder);

	if (rc == 0)
		log_info("parent", "certificate and key were read again");
	return rc;
}

/* Of a part that is no ledger. */
static int
edge_connect(void *ctx, int *fd, int index)
{
	const struct daemon *daemon = ctx;
	const struct settings *settings = &daemon->settings;

	return parts_connect(fd, settings,
	    daemon->part == PART_COURIER ? (int)settings->fronts : index);
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

static int
serve(struct daemon *daemon)
{
	const enum part part = daemon->part;
	const int fronts = (int)daemon->settings.fronts;
	int status = daemon_open(daemon);

	if (status != 0)
		return status;
	/* It tells the ledger to log its timing, and nothing to the parent. */
	signal(SIGUSR1, SIG_IGN);
	const struct supervisor supervisor = {
		.name = "leaseholdd",
		.core_name = "ledger",
		.edge_name = "front",
		.edges = part == PART_ALL ? fronts + 1
		    : part == PART_FRONT  ? fronts
		    : part == PART_LEDGER ? 0
					  : 1,
		.last_edge_name =
		    part == PART_ALL || part == PART_COURIER ? "courier" : NULL,
		.doors = daemon->doors,
		.n_doors = part == PART_LEDGER ? fronts + 1 : 0,
		.ctx = daemon,
		.core_main =
		    part == PART_ALL || part == PART_LEDGER ? core_main : NULL,
		.edge_main = edge_main,
		.edge_connect = edge_connect,
		.reload = reload,
		.enter_sandbox = enter_sandbox,
		.drain_s = DRAIN_S,
	};

	status = supervisor_run(&supervisor);
	daemon_close(daemon);
	return status;
}

static int
run_daemon(const struct arguments *arguments)
{
	struct daemon daemon = { .lock = -1, .listen_fd = -1 };
	int status = daemon_read(&daemon, arguments);

	if (status != 0)
		return status;
	log_open("leaseholdd", daemon.level, daemon.journal);
	if (!arguments->check)
		status = daemon_become(&daemon);
	if (status != 0)
		return status;
	status = daemon_read_cas(&daemon);
	if (status == 0 && arguments->check)
		printf("the configuration is good\n");
	if (status == 0 && !arguments->check && daemon.part == PART_ALL)
		(void)box_files_seal(daemon.settings.state, &daemon.settings,
		    arguments_config(arguments));
	if (status == 0 && !arguments->check)
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
		{ "heir", verb_heir },
		{ "restore", verb_restore },
		{ "health", verb_health },
		{ "hand-over", verb_hand_over },
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
	/* Those two ask the settings. */
	if (run != run_daemon && run != verb_hand_over &&
	    arguments.state[0] == '\0')
		text_copy(arguments.state, sizeof(arguments.state),
		    SETTINGS_STATE_DEFAULT);
	return run(&arguments);
}
