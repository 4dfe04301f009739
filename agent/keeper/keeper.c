#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAST_WORDS_MS 200
#define EXIT_CONFIG 2

static int
open_enrolment(struct keeper *keeper)
{
	int err = files_read_enrolment(&keeper->site, &keeper->ca_pem,
	    &keeper->files);

	if (err == ERR_NOT_FOUND) {
		log_info("keeper", "not enrolled at a site yet");
		return 0;
	}
	keeper->enrolled = err == 0;
	return err;
}

static void
name_host(struct keeper *keeper)
{
	if (gethostname(keeper->host, sizeof(keeper->host) - 1) < 0 ||
	    !text_is_printable(keeper->host, strlen(keeper->host)) ||
	    keeper->host[0] == '\0')
		text_copy(keeper->host, sizeof(keeper->host), "localhost");
}

int
keeper_new(struct keeper **out, struct event_base *base,
    const struct keeper_options *options)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (keeper == NULL)
		return ERR_NOMEM;
	keeper->base = base;
	keeper->started_ms = clock_boottime_ms();
	keeper->options = *options;
	TAILQ_INIT(&keeper->checkouts);
	TAILQ_INIT(&keeper->leases.all);
	name_host(keeper);
	TAILQ_INIT(&keeper->borrows.waiting);
	TAILQ_INIT(&keeper->tickets.uses);
	book_init(&keeper->borrows.book);
	processes_init(&keeper->processes, base, leases_process_ended, keeper);
	int err = files_open(&keeper->files, options->state);

	if (err == 0)
		err = open_enrolment(keeper);
	if (err == 0)
		err = digests_new(&keeper->digests, base);
	if (err == 0)
		err = session_open(keeper);
	if (err == 0)
		err = renewal_open(keeper);
	if (err == 0)
		err = leases_open(keeper);
	if (err == 0)
		err = key_open(keeper);
	if (err == 0)
		err = borrows_open(keeper);
	if (err == 0)
		err = applications_open(keeper, options->listen_fd);
	if (err < 0) {
		keeper_free(keeper);
		return err;
	}
	*out = keeper;
	return 0;
}

void
keeper_free(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	/* First those who wait: the site keeps their places for the next
	 * keeper, which they will ask. Then nobody hears anything any more, and
	 * what refers to others goes before them. */
	keeper->borrows.closing = true;
	checkouts_close(keeper);
	applications_close(keeper);
	enroll_close(keeper);
	key_close(keeper);
	session_close(keeper);
	borrows_close(keeper);
	leases_close(keeper);
	renewal_close(keeper);
	usage_close(keeper);
	digests_free(keeper->digests);
	free(keeper->ca_pem);
	arena_release(&keeper->succession_arena);
	free(keeper);
}

int
keeper_add_uplink(struct keeper *keeper, int fd)
{
	return calls_take_uplink(keeper->calls, fd);
}

/* --- the process ---------------------------------------------------------- */

struct keeper_process {
	struct event_base *base;
	struct keeper *keeper;
	const struct supervisor_child *child;
	struct event *control;
	struct event *terminate;
};

static void
on_terminate(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper_process *process = ctx;

	(void)fd;
	(void)what;
	calls_flush(process->keeper->calls, LAST_WORDS_MS);
	event_base_loopbreak(process->base);
}

/* The parent hands on the descriptor of an uplink that was (re)started. */
static void
on_control(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper_process *process = ctx;
	int index, edge, err;

	(void)what;
	while ((err = supervisor_receive_edge(&edge, &index, fd)) == 0)
		if (keeper_add_uplink(process->keeper, edge) < 0)
			log_error("keeper", "no memory for the uplink");
	if (err != ERR_BUSY)
		event_base_loopbreak(process->base);
}

static int
enter_sandbox(void)
{
	int err = sandbox_no_new_privileges();

	return err == 0 ? sandbox_enter(SANDBOX_KEEPER) : err;
}

/* A pidfd and a connection for each application. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("keeper", "the limit of descriptors stays low");
}

static int
process_open(struct keeper_process *process,
    const struct keeper_options *options)
{
	process->base = event_base_new();
	if (process->base == NULL)
		return ERR_NOMEM;
	int err = keeper_new(&process->keeper, process->base, options);

	if (err < 0)
		return err;
	process->terminate =
	    evsignal_new(process->base, SIGTERM, on_terminate, process);
	process->control = event_new(process->base, process->child->control,
	    EV_READ | EV_PERSIST, on_control, process);
	if (process->terminate == NULL || process->control == NULL ||
	    event_add(process->terminate, NULL) < 0 ||
	    event_add(process->control, NULL) < 0)
		return ERR_NOMEM;
	return 0;
}

static void
process_close(struct keeper_process *process)
{
	if (process->control != NULL)
		event_free(process->control);
	if (process->terminate != NULL)
		event_free(process->terminate);
	keeper_free(process->keeper);
	if (process->base != NULL)
		event_base_free(process->base);
}

/* Who opens the TPM: its group, "tss" where udev made it. */
static size_t
tpm_group(gid_t *group, const struct keeper_options *options)
{
	static const char device[] = "device:";
	struct stat st;

	if (options->tcti == NULL ||
	    strncmp(options->tcti, device, sizeof(device) - 1) != 0 ||
	    stat(options->tcti + sizeof(device) - 1, &st) != 0 ||
	    st.st_gid == 0)
		return 0;
	*group = st.st_gid;
	return 1;
}

/* CAP_SYS_PTRACE to read other users' /proc/PID/exe; ptrace itself is filtered.
 */
static int
drop_rights(const struct keeper_options *options)
{
	gid_t group;
	size_t groups = tpm_group(&group, options);

	return sandbox_drop_user_keep(options->uid, options->gid,
	    1ULL << CAP_SYS_PTRACE, &group, groups);
}

int
keeper_main(const struct keeper_options *options,
    const struct supervisor_child *child)
{
	struct keeper_process process = { .child = child };
	int err = 0;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	raise_descriptors();
	if (options->drop)
		err = drop_rights(options);
	if (err == 0)
		err = process_open(&process, options);
	if (err < 0) {
		process_close(&process);
		return EXIT_CONFIG;
	}
	err = enter_sandbox();
	if (err == 0)
		err = supervisor_ready(child);
	if (err == 0 && event_base_dispatch(process.base) < 0)
		err = ERR_SYSTEM;
	if (err < 0)
		log_error("keeper", "ends: %s", err_str(err));
	process_close(&process);
	return err == 0 ? 0 : 1;
}
