/*
 * One child of the supervisor as the parent sees it, and how it comes to be.
 * Private to the supervisor; it must not know when a child is started again.
 */
#ifndef SHARED_BASE_SUPERVISOR_CHILD_H
#define SHARED_BASE_SUPERVISOR_CHILD_H

#include "shared/base/supervisor.h"

#include <stdint.h>
#include <sys/types.h>

#define SUPERVISOR_EDGES_MAX 17

struct child {
	char name[32]; /* "ledger", "front 0" */
	pid_t pid; /* 0: not running */
	int control; /* the parent's end, -1: closed */
	bool ready;
	bool reload; /* SIGHUP waits until it is ready */
	bool put_down; /* killed by the parent: no fault of its own */
	int64_t started_ms; /* CLOCK_BOOTTIME */
	int64_t restart_ms; /* when it may start again */
	int64_t delay_ms; /* the next wait before a restart */
};

struct supervisor_run {
	const struct supervisor *supervisor;
	struct child core;
	struct child edges[SUPERVISOR_EDGES_MAX];
	int signal_fd;
	int notify_fd;
	int64_t watchdog_ms; /* how often to say that we turn; 0: never */
	int64_t watchdog_due_ms;
	pid_t pid; /* the parent's own */
	bool was_ready;
	enum { RUNNING, STOPPING_EDGES, STOPPING_CORE, STOPPED } stage;
	int64_t deadline_ms; /* of the stage */
	int status;
};

/** Fork the core. Returns 0 or ERR_SYSTEM. */
int child_start_core(struct supervisor_run *run);

/** Fork an edge and hand the other end of its stream to the core, where that is
 * ours. When that fails the edge is killed and will be reaped. */
int child_start_edge(struct supervisor_run *run, int index);

/** Hand the core the other end of an edge's stream, which stays the caller's.
 * Returns 0 or ERR_SYSTEM. */
int child_hand_over(struct supervisor_run *run, int fd, int index);

#endif
