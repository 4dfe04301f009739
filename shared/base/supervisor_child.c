/* Forking a child, and the child's own side; see supervisor_child.h. */
#include "shared/base/supervisor_child.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Many messages leave in one write (ipc); only the parent may be privileged
 * enough to make room for them. */
#define STREAM_BYTES (4 << 20)

static void
close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		pair[i] = -1;
	}
}

/* --- in the child -----------------------------------------------------------
 */

/* Signals as after exec, but for three: SIGPIPE helps nobody, Ctrl-C of a
 * terminal reaches the parent, who tells us in order, and a SIGHUP before its
 * handler stands must not kill. */
static void
child_reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			(void)signal(i, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
child_close_others(struct supervisor_run *run)
{
	if (run->core.control >= 0)
		close(run->core.control);
	for (int i = 0; i < run->supervisor->edges; i++)
		if (run->edges[i].control >= 0)
			close(run->edges[i].control);
	for (int i = 0; i < run->supervisor->n_doors; i++)
		close(run->supervisor->doors[i].listener);
	close(run->signal_fd);
	if (run->notify_fd >= 0)
		close(run->notify_fd);
}

/* First steps of every child. */
static void
child_begin(struct supervisor_run *run, const char *name)
{
	/* Whoever kills the parent wants all of it gone. The parent may have
	 * died before this line: then nobody would tell us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != run->pid)
		_exit(1);
	child_close_others(run);
	child_reset_signals();
	/* What ps and top show. */
	(void)prctl(PR_SET_NAME, name);
}

int
supervisor_ready(const struct supervisor_child *child)
{
	while (send(child->control, "R", 1, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return ERR_CLOSED;
	return 0;
}

/* The one descriptor of a message; what came beside it is closed. */
static int
take_descriptor(struct msghdr *message)
{
	int fd = -1;
	int extra;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
	     c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n; i++) {
			memcpy(&extra, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(int));
			if (fd < 0)
				fd = extra;
			else
				close(extra);
		}
	}
	return fd;
}

int
supervisor_receive_edge(int *fd, int *edge_index, int control)
{
	uint8_t index;
	struct iovec bytes = { &index, 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary;
	struct msghdr message = { .msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = sizeof(ancillary.room) };
	ssize_t n;

	do {
		n = recvmsg(control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return ERR_BUSY;
	if (n <= 0)
		return ERR_CLOSED;
	int received = take_descriptor(&message);

	if (received < 0) {
		/* Out of descriptors: the edge sees its end close and will be
		 * started again. */
		log_error("supervisor", "no descriptor came for edge %u",
		    index);
		return ERR_BUSY;
	}
	*fd = received;
	*edge_index = index;
	return 0;
}

/* --- in the parent ----------------------------------------------------------
 */

static pid_t
child_fork(struct supervisor_run *run, const char *name)
{
	/* What stands in a buffer now would be written twice. */
	fflush(NULL);
	pid_t pid = fork();

	if (pid == 0)
		child_begin(run, name);
	return pid;
}

static void
child_started(struct child *child, pid_t pid, int control)
{
	child->pid = pid;
	child->control = control;
	child->ready = false;
	child->reload = false;
	child->put_down = false;
	child->started_ms = clock_boottime_ms();
	log_info("supervisor", "started %s pid=%d", child->name, (int)pid);
}

int
child_start_core(struct supervisor_run *run)
{
	int control[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) !=
	    0) {
		log_error("supervisor", "no socketpair: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	pid_t pid = child_fork(run, run->supervisor->core_name);

	if (pid < 0) {
		log_error("supervisor", "cannot fork: %s", strerror(errno));
		close_pair(control);
		return ERR_SYSTEM;
	}
	if (pid == 0) {
		struct supervisor_child self = { control[1], -1, -1 };

		close(control[0]);
		exit(run->supervisor->core_main(run->supervisor->ctx, &self));
	}
	close(control[1]);
	child_started(&run->core, pid, control[0]);
	return 0;
}

int
child_hand_over(struct supervisor_run *run, int fd, int index)
{
	uint8_t byte = (uint8_t)index;
	struct iovec bytes = { &byte, 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary = { { 0 } };
	struct msghdr message = { .msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = sizeof(ancillary.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	for (;;) {
		if (sendmsg(run->core.control, &message,
			MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
			return 0;
		if (errno != EINTR)
			return ERR_SYSTEM;
	}
}

/* `stream`: the core's end, -1 where the core is another unit's, and the
 * edge's. */
static int
stream_open(struct supervisor_run *run, int stream[2], int index)
{
	const struct supervisor *supervisor = run->supervisor;
	const int size = STREAM_BYTES;

	if (supervisor->core_main == NULL)
		return supervisor->edge_connect(supervisor->ctx, &stream[1],
		    index);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) != 0) {
		log_error("supervisor", "no socketpair: %s", strerror(errno));
		return ERR_SYSTEM;
	}
	for (int i = 0; i < 2; i++)
		(void)setsockopt(stream[i], SOL_SOCKET, SO_SNDBUFFORCE, &size,
		    sizeof(size));
	return 0;
}

int
child_start_edge(struct supervisor_run *run, int index)
{
	struct child *edge = &run->edges[index];
	int control[2] = { -1, -1 };
	int stream[2] = { -1, -1 };

	/* Whoever connects has said why it cannot. */
	if (stream_open(run, stream, index) != 0)
		goto fail;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) !=
	    0) {
		log_error("supervisor", "no socketpair: %s", strerror(errno));
		goto fail;
	}
	const struct supervisor *supervisor = run->supervisor;
	bool last = supervisor->last_edge_name != NULL &&
	    index == supervisor->edges - 1;
	pid_t pid = child_fork(run,
	    last ? supervisor->last_edge_name : supervisor->edge_name);

	if (pid < 0) {
		log_error("supervisor", "cannot fork: %s", strerror(errno));
		goto fail;
	}
	if (pid == 0) {
		struct supervisor_child self = { control[1], stream[1], index };

		close(control[0]);
		if (stream[0] >= 0)
			close(stream[0]);
		exit(run->supervisor->edge_main(run->supervisor->ctx, &self));
	}
	close(control[1]);
	close(stream[1]);
	child_started(edge, pid, control[0]);
	if (stream[0] < 0)
		return 0;
	if (child_hand_over(run, stream[0], index) != 0) {
		log_error("supervisor", "%s does not take %s: %s",
		    run->core.name, edge->name, strerror(errno));
		kill(pid, SIGKILL);
	}
	close(stream[0]);
	return 0;
fail:
	close_pair(control);
	close_pair(stream);
	return ERR_SYSTEM;
}
