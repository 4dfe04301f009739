/*
 * leasehold-agent: reads its options and its configuration file, opens the
 * local socket, and runs keeper and uplink under a supervisor. This process
 * holds nothing but the listening descriptor. Where each is to be a unit and a
 * user of its own from the first instruction on, one program runs the keeper
 * and another the uplink, which comes to it by a socket.
 */
#include "agent/keeper/keeper.h"
#include "agent/uplink/uplink.h"
#include "shared/base/config.h"
#include "shared/base/err.h"
#include "shared/base/listen.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "shared/rpc/local.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG_DEFAULT "/etc/leasehold/agent.ini"
#define STATE_DEFAULT "/var/lib/leasehold-agent"
#define EXIT_CONFIG 2
#define DRAIN_S 5

struct settings {
	char state[PATH_MAX - 256];
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char user[64];
	char uplink_user[64];
	char group[64];
	char log[16];
	char tpm[256];
	char tpm_key[16];
	char key_file[PATH_MAX - 256];
};

/* clang-format off */
#define TEXT(name_, doc_)                                                      \
	{ .section = "agent", .name = #name_, .type = CONFIG_TEXT,             \
	  .offset = offsetof(struct settings, name_),                          \
	  .size = sizeof(((struct settings *)0)->name_), .doc = doc_ }
/* clang-format on */
static const struct config_key keys[] = {
	TEXT(state, "folder of the device's key, enrolment and leases"),
	TEXT(socket, "the local socket that applications ask on"),
	TEXT(user, "the keeper's user, if started as root"),
	TEXT(uplink_user, "the uplink's user, if started as root"),
	TEXT(group, "its members may enroll"),
	TEXT(log, "debug, info, warn or error"),
	TEXT(tpm, "its TCTI, such as device:/dev/tpmrm0; empty: a key file"),
	TEXT(tpm_key, "its endorsement key: rsa or p256"),
	TEXT(key_file, "a key that was handed over: class assigned"),
	{ .name = NULL },
};

enum part {
	PART_BOTH, /* the uplink is a child */
	PART_KEEPER, /* and the uplink comes by itself */
	PART_UPLINK,
};

struct agent {
	struct settings settings;
	char uplink_socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct supervisor_door door;
	struct keeper_options keeper;
	struct uplink_options uplink;
	int key_fd; /* of a key that was a variable, or -1 */
};

static const char usage[] =
    "usage: leasehold-agent [OPTION]...\n"
    "\n"
    "The agent of a workstation: holds the leases of its applications.\n"
    "\n"
    "  --config FILE   configuration (default " CONFIG_DEFAULT ")\n"
    "  --state FOLDER  the device's key, enrolment and leases\n"
    "                  (default " STATE_DEFAULT ")\n"
    "  --socket PATH   local socket (default " LOCAL_SOCKET_DEFAULT ")\n"
    "  --part PART     keeper or uplink, the other is a unit of its own;\n"
    "                  without it both run, each a user of its own\n"
    "  --check-config  read the configuration, say whether it is good\n"
    "  --foreground    stay in the foreground (it always does)\n"
    "  --help          this text\n"
    "  --version       the version\n"
    "Exit status: 0 done, 1 failed, 2 usage or configuration.\n"
    "\n"
    "Example:\n"
    "  leasehold-agent --state ~/agent --socket ~/agent/agent.sock\n"
    "  leasehold --socket ~/agent/agent.sock status\n";

/* --- options and configuration -------------------------------------------- */

struct options {
	const char *config;
	const char *state;
	const char *socket;
	enum part part;
	bool check;
};

static bool
read_part(enum part *part, const char *word)
{
	if (strcmp(word, "keeper") == 0)
		*part = PART_KEEPER;
	else if (strcmp(word, "uplink") == 0)
		*part = PART_UPLINK;
	else
		fprintf(stderr,
		    "leasehold-agent: --part %s: keeper or uplink\n", word);
	return *part != PART_BOTH;
}

/* Returns an exit status, or -1 to go on. */
static int
read_options(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "state", required_argument, NULL, 's' },
		{ "socket", required_argument, NULL, 'S' },
		{ "part", required_argument, NULL, 'p' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 's':
			options->state = optarg;
			break;
		case 'S':
			options->socket = optarg;
			break;
		case 'p':
			if (!read_part(&options->part, optarg))
				return EXIT_CONFIG;
			break;
		case 'k':
			options->check = true;
			break;
		case 'f':
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("leasehold-agent " LEASEHOLD_VERSION);
			return 0;
		default:
			fputs("try: leasehold-agent --help\n", stderr);
			return EXIT_CONFIG;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "leasehold-agent: %s: takes no arguments\n",
	    argv[optind]);
	return EXIT_CONFIG;
}

static int
complain(const char *what, const char *why)
{
	fprintf(stderr, "leasehold-agent: %s: %s\n", what, why);
	return ERR_BAD_REQUEST;
}

/* A relative path is of the folder we were started in, also for children. */
static int
make_absolute(char *path, size_t size)
{
	char whole[2 * PATH_MAX];
	char here[PATH_MAX];

	if (path[0] == '/')
		return 0;
	if (getcwd(here, sizeof(here)) == NULL)
		return complain("working folder", strerror(errno));
	snprintf(whole, sizeof(whole), "%s/%s", here, path);
	if (path[0] == '\0' || !text_copy(path, size, whole))
		return complain("path", "is empty or too long");
	return 0;
}

/* Where the device's key is: in a TPM that the keeper can reach without a
 * network, in a file that was handed over, or in one of its own. */
static int
check_key(struct settings *settings)
{
	static const char *const reached[] = { "device:/", "swtpm:path=/" };
	bool reachable = settings->tpm[0] == '\0';

	for (size_t i = 0; i < sizeof(reached) / sizeof(reached[0]); i++)
		reachable = reachable ||
		    strncmp(settings->tpm, reached[i], strlen(reached[i])) == 0;
	if (!reachable)
		return complain("[agent] tpm",
		    "must be device:/dev/tpmrm0 or swtpm:path=/SOCKET, with an "
		    "absolute path: the keeper has no network");
	if (strcmp(settings->tpm_key, "rsa") != 0 &&
	    strcmp(settings->tpm_key, "p256") != 0)
		return complain("[agent] tpm_key", "must be rsa or p256");
	if (settings->key_file[0] == '\0')
		return 0;
	if (settings->tpm[0] != '\0')
		return complain("[agent] key_file",
		    "and tpm do not go together: the key is in one of them");
	return settings->key_file[0] == '/'
	    ? 0
	    : complain("[agent] key_file", "must be an absolute path");
}

/* For containers, which get secrets as variables: the key goes into a file that
 * no other process finds, and out of the environment. */
static int
take_key_variable(struct agent *agent)
{
	static const char name[] = "LEASEHOLD_DEVICE_KEY";
	static char path[64];
	char *text = getenv(name);

	agent->key_fd = -1;
	if (text == NULL)
		return 0;
	if (agent->settings.tpm[0] != '\0' ||
	    agent->settings.key_file[0] != '\0')
		return complain(name,
		    "and [agent] tpm or key_file do not go together");
	int fd = memfd_create("device-key", MFD_CLOEXEC);
	size_t len = strlen(text);
	bool kept = fd >= 0 && fchmod(fd, 0600) == 0 &&
	    write(fd, text, len) == (ssize_t)len &&
	    (!agent->keeper.drop ||
		fchown(fd, agent->keeper.uid, agent->keeper.gid) == 0);
	int saved = errno;

	sodium_memzero(text, len);
	unsetenv(name);
	if (!kept)
		return complain(name, strerror(saved));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	agent->keeper.key_file = path;
	agent->key_fd = fd;
	return 0;
}

static int
read_settings(struct settings *settings, const struct options *options)
{
	const char *path =
	    options->config != NULL ? options->config : CONFIG_DEFAULT;
	char error[512];

	text_copy(settings->state, sizeof(settings->state), STATE_DEFAULT);
	text_copy(settings->socket, sizeof(settings->socket),
	    LOCAL_SOCKET_DEFAULT);
	text_copy(settings->group, sizeof(settings->group), "leasehold");
	text_copy(settings->log, sizeof(settings->log), "info");
	text_copy(settings->tpm_key, sizeof(settings->tpm_key), "rsa");
	int err = config_read(settings, keys, path, error, sizeof(error));

	/* The default file may be absent, a named one not. */
	if (err < 0 && (err != ERR_NOT_FOUND || options->config != NULL)) {
		fprintf(stderr, "leasehold-agent: %s\n", error);
		return ERR_BAD_REQUEST;
	}
	if (options->state != NULL &&
	    !text_copy(settings->state, sizeof(settings->state),
		options->state))
		return complain("--state", "is too long");
	if (options->socket != NULL &&
	    !text_copy(settings->socket, sizeof(settings->socket),
		options->socket))
		return complain("--socket", "is too long for a Unix socket");
	if (log_level_parse(settings->log) < 0)
		return complain("[agent] log",
		    "must be debug, info, warn or error");
	err = check_key(settings);
	if (err == 0)
		err = make_absolute(settings->state, sizeof(settings->state));
	return err < 0
	    ? err
	    : make_absolute(settings->socket, sizeof(settings->socket));
}

/* --- users ---------------------------------------------------------------- */

static int
find_user(uid_t *uid, gid_t *gid, const char *setting, const char *name)
{
	char words[160];

	if (sandbox_user_parse(uid, gid, name) == 0)
		return 0;
	snprintf(words, sizeof(words),
	    "there is no user '%s'; make it with: useradd --system %s", name,
	    name);
	return complain(setting, words);
}

static int
choose_users(struct agent *agent)
{
	const struct settings *settings = &agent->settings;
	const struct group *group = getgrnam(settings->group);
	int err = 0;

	agent->keeper.admin_gid = group != NULL ? group->gr_gid : (gid_t)-1;
	if (geteuid() != 0)
		return 0; /* tests and trials run as who they are */
	if (settings->user[0] == '\0' || settings->uplink_user[0] == '\0')
		log_warn("agent",
		    "started as root without [agent] user and "
		    "uplink_user: keeps root's rights");
	if (settings->user[0] != '\0') {
		agent->keeper.drop = true;
		err = find_user(&agent->keeper.uid, &agent->keeper.gid,
		    "[agent] user", settings->user);
	}
	if (err == 0 && settings->uplink_user[0] != '\0') {
		agent->uplink.drop = true;
		err = find_user(&agent->uplink.uid, &agent->uplink.gid,
		    "[agent] uplink_user", settings->uplink_user);
	}
	return err;
}

/* The state folder is the keeper's, who is no root by then. */
static int
make_state(const struct agent *agent)
{
	const char *path = agent->settings.state;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return complain(path, strerror(errno));
	if (!agent->keeper.drop)
		return 0;
	/* A root without capabilities could not look into it, nor needs to. */
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    (st.st_mode & 07777) == 0700 && st.st_uid == agent->keeper.uid &&
	    st.st_gid == agent->keeper.gid)
		return 0;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int failed = fd < 0 ||
	    fchown(fd, agent->keeper.uid, agent->keeper.gid) < 0 ||
	    fchmod(fd, 0700) < 0;
	int saved = errno;

	if (fd >= 0)
		close(fd);
	return failed ? complain(path, strerror(saved)) : 0;
}

static int
open_socket(struct agent *agent)
{
	char error[512];
	int err = listen_local(&agent->keeper.listen_fd, error, sizeof(error),
	    agent->settings.socket);

	if (err < 0)
		fprintf(stderr, "leasehold-agent: %s\n", error);
	return err;
}

/* --- children ------------------------------------------------------------- */

static int
run_keeper(void *ctx, const struct supervisor_child *child)
{
	const struct agent *agent = ctx;

	log_open("keeper", log_level_parse(agent->settings.log),
	    getenv("JOURNAL_STREAM") != NULL);
	return keeper_main(&agent->keeper, child);
}

static int
run_uplink(void *ctx, const struct supervisor_child *child)
{
	const struct agent *agent = ctx;

	log_open("uplink", log_level_parse(agent->settings.log),
	    getenv("JOURNAL_STREAM") != NULL);
	close(agent->keeper.listen_fd);
	if (agent->key_fd >= 0)
		close(agent->key_fd);
	return uplink_main(&agent->uplink, child);
}

/* --- the uplink as a unit of its own -------------------------------------- */

/* Beside the socket for applications; only the uplink's user is let in. */
static int
find_door(struct agent *agent)
{
	int n = snprintf(agent->uplink_socket, sizeof(agent->uplink_socket),
	    "%s.uplink", agent->settings.socket);

	return n > 0 && (size_t)n < sizeof(agent->uplink_socket)
	    ? 0
	    : complain("[agent] socket", "is too long for the uplink's beside");
}

static int
open_door(struct agent *agent)
{
	const char *user = agent->settings.uplink_user;
	char error[512];
	gid_t group;
	int err = find_door(agent);

	agent->door.name = "uplink";
	agent->door.uid = geteuid();
	if (err == 0 && user[0] != '\0')
		err = find_user(&agent->door.uid, &group, "[agent] uplink_user",
		    user);
	if (err != 0)
		return err;
	err = listen_local(&agent->door.listener, error, sizeof(error),
	    agent->uplink_socket);
	if (err != 0)
		fprintf(stderr, "leasehold-agent: %s\n", error);
	return err;
}

/* Whoever started us does so again when the keeper is not there yet, or not any
 * more. */
static int
run_part_uplink(struct agent *agent)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int control[2];

	if (find_door(agent) != 0 || choose_users(agent) != 0)
		return EXIT_CONFIG;
	/* First: the keeper's side looks at who comes. */
	if (agent->uplink.drop &&
	    sandbox_drop_user(agent->uplink.uid, agent->uplink.gid, 0) != 0)
		return EXIT_FAILURE;
	agent->uplink.drop = false;
	text_copy(address.sun_path, sizeof(address.sun_path),
	    agent->uplink_socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) !=
		0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) !=
		0) {
		log_error("uplink", "no keeper at %s: %s", agent->uplink_socket,
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return EXIT_FAILURE;
	}
	const struct supervisor_child child = { control[1], fd, 0 };

	(void)prctl(PR_SET_NAME, "uplink");
	/* Nobody is at the other end of `control`; it stays open. */
	return uplink_main(&agent->uplink, &child);
}

static void
on_started(void *ctx)
{
	const struct agent *agent = ctx;

	log_info("agent", "ready: socket %s, state %s", agent->settings.socket,
	    agent->settings.state);
}

static int
run(struct agent *agent, enum part part)
{
	struct supervisor supervisor = {
		.name = "leasehold-agent",
		.core_name = "keeper",
		.edge_name = "uplink",
		.edges = part == PART_BOTH ? 1 : 0,
		.doors = &agent->door,
		.n_doors = part == PART_BOTH ? 0 : 1,
		.ctx = agent,
		.core_main = run_keeper,
		.edge_main = run_uplink,
		.started = on_started,
		.drain_s = DRAIN_S,
	};
	int status = supervisor_run(&supervisor);

	unlink(agent->settings.socket);
	close(agent->keeper.listen_fd);
	if (part != PART_BOTH) {
		unlink(agent->uplink_socket);
		close(agent->door.listener);
	}
	return status;
}

int
main(int argc, char **argv)
{
	static struct agent agent; /* too large for a stack in a container */
	struct options options = { 0 };
	int status = read_options(&options, argc, argv);

	if (status >= 0)
		return status;
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	if (read_settings(&agent.settings, &options) < 0)
		return EXIT_CONFIG;
	if (options.check) {
		puts("the configuration is good");
		return EXIT_SUCCESS;
	}
	if (options.part == PART_UPLINK) {
		log_open("uplink", log_level_parse(agent.settings.log),
		    getenv("JOURNAL_STREAM") != NULL);
		return run_part_uplink(&agent);
	}
	log_open("agent", log_level_parse(agent.settings.log),
	    getenv("JOURNAL_STREAM") != NULL);
	agent.keeper.state = agent.settings.state;
	if (agent.settings.tpm[0] != '\0')
		agent.keeper.tcti = agent.settings.tpm;
	agent.keeper.tpm_p256 = strcmp(agent.settings.tpm_key, "p256") == 0;
	if (agent.settings.key_file[0] != '\0')
		agent.keeper.key_file = agent.settings.key_file;
	if (choose_users(&agent) < 0 || take_key_variable(&agent) < 0 ||
	    make_state(&agent) < 0 || open_socket(&agent) < 0 ||
	    (options.part == PART_KEEPER && open_door(&agent) < 0))
		return EXIT_CONFIG;
	return run(&agent, options.part);
}
