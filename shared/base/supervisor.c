/*
 * The parent's loop: signals by a signalfd, readiness by the children's
 * control sockets, restarts by time; see supervisor.h. One decision per turn,
 * made from the state of the children, so that it does not matter in which
 * order deaths are heard of.
 */
#include "shared/base/supervisor.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/notify.h"
#include "shared/base/supervisor_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
/* A child that lived so long has earned an immediate restart again. */
#define BACKOFF_RESET_MS 10000
/* A configuration error: nothing that trying again would mend. */
#define STATUS_CONFIG 2

static struct child *
run_child(struct supervisor_run *run, int i)
{
	return i == 0 ? &run->core : &run->edges[i - 1];
}

static int
run_children(const struct supervisor_run *run)
{
	return 1 + run->supervisor->edges;
}

/* Else it is another unit's: child 0 never runs. */
static bool
has_core(const struct supervisor_run *run)
{
	return run->supervisor->core_main != NULL;
}

static bool
edges_are_gone(const struct supervisor_run *run)
{
	for (int i = 0; i < run->supervisor->edges; i++)
		if (run->edges[i].pid != 0)
			return false;
	return true;
}

/* For children that are not reaped yet the pid cannot be another's. */
static void
child_kill(const struct child *child, int signal_number)
{
	if (child->pid != 0)
		kill(child->pid, signal_number);
}

static void
edges_put_down(struct supervisor_run *run)
{
	for (int i = 0; i < run->supervisor->edges; i++) {
		run->edges[i].put_down = true;
		child_kill(&run->edges[i], SIGKILL);
	}
}

/* --- deaths and restarts ----------------------------------------------------
 */

/* The first restart is immediate; then 100 ms, doubling to 5 s. */
static void
child_back_off(struct child *child)
{
	int64_t now = clock_boottime_ms();

	if (now - child->started_ms >= BACKOFF_RESET_MS)
		child->delay_ms = 0;
	child->restart_ms = now + child->delay_ms;
	child->delay_ms *= 2;
	if (child->delay_ms == 0)
		child->delay_ms = BACKOFF_FIRST_MS;
	if (child->delay_ms > BACKOFF_MAX_MS)
		child->delay_ms = BACKOFF_MAX_MS;
}

static void
child_log_death(const struct supervisor_run *run, const struct child *child,
    pid_t pid, int status)
{
	if (child->put_down || run->stage != RUNNING) {
		log_info("supervisor", "%s pid=%d ended", child->name,
		    (int)pid);
		return;
	}
	if (WIFEXITED(status))
		log_error("supervisor", "%s pid=%d exited status=%d",
		    child->name, (int)pid, WEXITSTATUS(status));
	else
		log_error("supervisor", "%s pid=%d killed signal=%d%s",
		    child->name, (int)pid, WTERMSIG(status),
		    WTERMSIG(status) == SIGSYS
			? " (the sandbox refused a system call)"
			: "");
}

static void
run_begin_stop(struct supervisor_run *run, int status)
{
	if (run->stage != RUNNING)
		return;
	notify_send(run->notify_fd, "STOPPING=1");
	run->status = status;
	run->stage = STOPPING_EDGES;
	run->deadline_ms =
	    clock_boottime_ms() + run->supervisor->drain_s * INT64_C(1000);
	for (int i = 0; i < run->supervisor->edges; i++)
		child_kill(&run->edges[i], SIGTERM);
}

static void
child_died(struct supervisor_run *run, struct child *child, int status)
{
	pid_t pid = child->pid;

	child->pid = 0;
	if (child->control >= 0)
		close(child->control);
	child->control = -1;
	child_log_death(run, child, pid, status);
	if (child == &run->core)
		edges_put_down(run);
	if (run->stage != RUNNING)
		return;
	/* Only at the start: later a broken file must not end what runs. */
	if (!run->was_ready && !child->ready && WIFEXITED(status) &&
	    WEXITSTATUS(status) == STATUS_CONFIG) {
		run_begin_stop(run, STATUS_CONFIG);
		return;
	}
	if (child->put_down)
		child->restart_ms = 0;
	else
		child_back_off(child);
}

static void
run_reap(struct supervisor_run *run)
{
	for (int i = 0; i < run_children(run); i++) {
		struct child *child = run_child(run, i);
		int status;

		if (child->pid != 0 &&
		    waitpid(child->pid, &status, WNOHANG) == child->pid)
			child_died(run, child, status);
	}
}

static void
edge_restart(struct supervisor_run *run, int index)
{
	struct child *edge = &run->edges[index];

	if (edge->pid != 0 || edge->restart_ms > clock_boottime_ms())
		return;
	if (child_start_edge(run, index) != 0) {
		edge->started_ms = clock_boottime_ms();
		child_back_off(edge);
	}
}

static void
run_restart(struct supervisor_run *run)
{
	if (has_core(run) && run->core.pid == 0) {
		/* Edges of the old core are gone first: two generations at
		 * the listeners would answer differently. */
		if (!edges_are_gone(run) ||
		    run->core.restart_ms > clock_boottime_ms())
			return;
		if (child_start_core(run) != 0) {
			run->core.started_ms = clock_boottime_ms();
			child_back_off(&run->core);
			return;
		}
		for (int i = 0; i < run->supervisor->edges; i++) {
			run->edges[i].delay_ms = 0;
			run->edges[i].restart_ms = 0;
		}
	}
	for (int i = 0; i < run->supervisor->edges; i++)
		edge_restart(run, i);
}

/* --- stopping ---------------------------------------------------------------
 */

static void
run_stop(struct supervisor_run *run)
{
	int64_t now = clock_boottime_ms();

	if (run->stage == STOPPING_EDGES) {
		if (now >= run->deadline_ms)
			edges_put_down(run);
		if (!edges_are_gone(run))
			return;
		run->stage = STOPPING_CORE;
		run->deadline_ms =
		    now + run->supervisor->drain_s * INT64_C(1000);
		child_kill(&run->core, SIGTERM);
	}
	if (run->stage == STOPPING_CORE) {
		if (now >= run->deadline_ms)
			child_kill(&run->core, SIGKILL);
		if (run->core.pid == 0)
			run->stage = STOPPED;
	}
}

/* --- signals ----------------------------------------------------------------
 */

static void
child_reload(struct child *child)
{
	if (child->pid == 0)
		return;
	if (child->ready)
		kill(child->pid, SIGHUP);
	else
		child->reload = true;
}

static void
run_reload(struct supervisor_run *run)
{
	const struct supervisor *supervisor = run->supervisor;

	if (run->stage != RUNNING)
		return;
	notify_reloading(run->notify_fd);
	if (supervisor->reload != NULL &&
	    supervisor->reload(supervisor->ctx) != 0) {
		log_error("supervisor",
		    "the new configuration was refused; the old one stays");
	} else {
		for (int i = 0; i < run_children(run); i++)
			child_reload(run_child(run, i));
	}
	if (run->was_ready)
		notify_send(run->notify_fd, "READY=1");
}

static void
run_signals(struct supervisor_run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) ==
	    (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			log_info("supervisor", "signal %u: stopping",
			    info.ssi_signo);
			/* Asked again: now. */
			if (run->stage != RUNNING)
				run->deadline_ms = clock_boottime_ms();
			run_begin_stop(run, 0);
			break;
		case SIGHUP:
			run_reload(run);
			break;
		default: /* SIGCHLD: children are looked at each turn */
			break;
		}
	}
}

/* --- readiness --------------------------------------------------------------
 */

static void
run_check_ready(struct supervisor_run *run)
{
	if (run->was_ready || run->stage != RUNNING)
		return;
	for (int i = has_core(run) ? 0 : 1; i < run_children(run); i++)
		if (!run_child(run, i)->ready)
			return;
	run->was_ready = true;
	notify_send(run->notify_fd, "READY=1");
	log_info("supervisor", "%s is ready", run->supervisor->name);
	if (run->supervisor->started != NULL)
		run->supervisor->started(run->supervisor->ctx);
}

static void
child_hear(struct child *child)
{
	char byte;
	ssize_t n = recv(child->control, &byte, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(child->control);
		child->control = -1;
		return;
	}
	child->ready = true;
	if (child->reload) {
		child->reload = false;
		kill(child->pid, SIGHUP);
	}
}

/* --- edges that come by themselves ---------------------------------------- */

/* One a turn: who knocks without end costs a turn each time. */
static void
run_answer_door(struct supervisor_run *run, int index)
{
	const struct supervisor_door *door = &run->supervisor->doors[index];
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	int fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
	    peer.uid != door->uid) {
		log_warn("supervisor",
		    "user %u pid=%d is none of ours; hung up on",
		    (unsigned)peer.uid, (int)peer.pid);
	} else if (run->stage == RUNNING && run->core.control >= 0) {
		if (child_hand_over(run, fd, index) != 0)
			log_error("supervisor", "%s does not take %s: %s",
			    run->core.name, door->name, strerror(errno));
		else
			log_info("supervisor", "%s pid=%d is connected",
			    door->name, (int)peer.pid);
	}
	close(fd);
}

/* --- the loop ---------------------------------------------------------------
 */

/* How long nothing can be due by time alone; -1: for ever. */
static int
run_wait_ms(struct supervisor_run *run)
{
	int64_t next = INT64_MAX;

	if (run->stage != RUNNING) {
		next = run->deadline_ms;
	} else if (has_core(run) && run->core.pid == 0) {
		/* While its edges die there is a SIGCHLD to come. */
		if (edges_are_gone(run))
			next = run->core.restart_ms;
	} else {
		for (int i = 0; i < run->supervisor->edges; i++)
			if (run->edges[i].pid == 0 &&
			    run->edges[i].restart_ms < next)
				next = run->edges[i].restart_ms;
	}
	if (run->watchdog_ms > 0 && run->watchdog_due_ms < next)
		next = run->watchdog_due_ms;
	if (next == INT64_MAX)
		return -1;
	next -= clock_boottime_ms();
	if (next < 0)
		next = 0;
	return next < 60000 ? (int)next : 60000;
}

/* That this loop turns: it is what starts again whatever of the rest ends. */
static void
run_watchdog(struct supervisor_run *run)
{
	int64_t now = clock_boottime_ms();

	if (run->watchdog_ms == 0 || now < run->watchdog_due_ms)
		return;
	notify_send(run->notify_fd, "WATCHDOG=1");
	run->watchdog_due_ms = now + run->watchdog_ms;
}

static void
run_turn(struct supervisor_run *run)
{
	const struct supervisor *supervisor = run->supervisor;
	struct pollfd fds[2 + 2 * SUPERVISOR_EDGES_MAX];
	struct child *whose[2 + SUPERVISOR_EDGES_MAX];
	nfds_t n = 1;

	run_watchdog(run);
	int wait_ms = run_wait_ms(run);

	fds[0] = (struct pollfd){ .fd = run->signal_fd, .events = POLLIN };
	for (int i = 0; i < run_children(run); i++) {
		struct child *child = run_child(run, i);

		if (child->control < 0)
			continue;
		fds[n] =
		    (struct pollfd){ .fd = child->control, .events = POLLIN };
		whose[n++] = child;
	}
	/* Last, and of no child. Nobody is let in before there is a core. */
	nfds_t children = n;

	if (run->core.ready && run->core.control >= 0)
		for (int i = 0; i < supervisor->n_doors; i++)
			fds[n++] = (struct pollfd){
				.fd = supervisor->doors[i].listener,
				.events = POLLIN,
			};
	/* After a deadline the killed are waited for, not spun on. */
	if (run->stage != RUNNING && wait_ms == 0)
		wait_ms = 50;
	if (poll(fds, n, wait_ms) < 0)
		return;
	for (nfds_t i = 1; i < children; i++)
		if (fds[i].revents != 0)
			child_hear(whose[i]);
	for (nfds_t i = children; i < n; i++)
		if (fds[i].revents != 0)
			run_answer_door(run, (int)(i - children));
	run_check_ready(run);
	run_signals(run);
	run_reap(run);
	if (run->stage == RUNNING)
		run_restart(run);
	else
		run_stop(run);
}

static int
run_open(struct supervisor_run *run, sigset_t *before)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	/* Whoever started us may have ignored it; then there is no status. */
	(void)signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &signals, before) != 0) {
		log_error("supervisor", "no signal mask: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0) {
		log_error("supervisor", "no signalfd: %s", strerror(errno));
		sigprocmask(SIG_SETMASK, before, NULL);
		return ERR_SYSTEM;
	}
	run->notify_fd = notify_open();
	if (run->notify_fd >= 0)
		run->watchdog_ms = notify_watchdog_ms();
	return 0;
}

static void
run_init(struct supervisor_run *run, const struct supervisor *supervisor)
{
	memset(run, 0, sizeof(*run));
	run->supervisor = supervisor;
	run->pid = getpid();
	run->core.control = -1;
	if (supervisor->core_name != NULL)
		snprintf(run->core.name, sizeof(run->core.name), "%s",
		    supervisor->core_name);
	for (int i = 0; i < supervisor->edges; i++) {
		run->edges[i].control = -1;
		snprintf(run->edges[i].name, sizeof(run->edges[i].name),
		    "%s %d", supervisor->edge_name, i);
	}
	if (supervisor->last_edge_name != NULL)
		snprintf(run->edges[supervisor->edges - 1].name,
		    sizeof(run->edges[0].name), "%s",
		    supervisor->last_edge_name);
}

int
supervisor_run(const struct supervisor *supervisor)
{
	struct supervisor_run run;
	sigset_t before;

	if (supervisor->edges < (supervisor->n_doors > 0 ? 0 : 1) ||
	    supervisor->edges > SUPERVISOR_EDGES_MAX ||
	    supervisor->n_doors > SUPERVISOR_EDGES_MAX) {
		log_error("supervisor", "%d processes of %s, 1 to %d can be",
		    supervisor->edges, supervisor->edge_name,
		    SUPERVISOR_EDGES_MAX);
		return STATUS_CONFIG;
	}
	run_init(&run, supervisor);
	if (run_open(&run, &before) != 0)
		return 1;
	run_restart(&run);
	if (supervisor->enter_sandbox != NULL &&
	    supervisor->enter_sandbox(supervisor->ctx) != 0)
		run_begin_stop(&run, 1);
	while (run.stage != STOPPED)
		run_turn(&run);
	close(run.signal_fd);
	if (run.notify_fd >= 0)
		close(run.notify_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return run.status;
}
