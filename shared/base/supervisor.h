/*
 * A parent with one core (ledger, keeper) and edges (fronts, uplink) that
 * speak to it over socketpairs. The parent holds nothing but listeners and
 * descriptors; it forks, watches, restarts with backoff. An edge that dies is
 * replaced and the core is handed a new socketpair; a core that dies takes its
 * edges with it and all start again. Where core and edges are units of their
 * own, each unit has such a parent: the core's has doors at which edges come,
 * the edges' has no core. Both daemons are built on this. It must not know what
 * its children say to each other.
 */
#ifndef SHARED_BASE_SUPERVISOR_H
#define SHARED_BASE_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * What a child runs with. `control` is the child's end of a socketpair to the
 * parent: the core receives on it, by SCM_RIGHTS, one descriptor for each edge
 * (supervisor_receive_edge); edges ignore it but for EOF. `edge_fd` is an
 * edge's own stream to the core (-1 for the core).
 */
struct supervisor_child {
	int control;
	int edge_fd;
	int edge_index;
};

/** Of an edge that comes by itself: a process of another unit, which the parent
 * neither starts nor ends, and so needs no right to. Its connection is its
 * stream; a new one takes the place of the old. */
struct supervisor_door {
	const char *name; /* of the edge, for the log */
	int listener; /* a Unix socket that listens, non-blocking; borrowed */
	uid_t uid; /* who may; others are hung up on */
};

struct supervisor {
	const char *name; /* of the program, for the log */
	const char *core_name; /* "ledger" */
	const char *edge_name; /* "front" */
	int edges; /* that are forked: 1 to 17; 0 with doors */
	/** The others, the first of index 0; NULL: all are forked. */
	const struct supervisor_door *doors;
	int n_doors; /* at most 17 */
	/** The last edge is of another kind, of which there is one: its name.
	 * NULL: they are all alike. */
	const char *last_edge_name;
	void *ctx;
	/** Never return to the caller: the value is the exit status. No
	 * core_main: the core is another unit's, and an edge's stream is what
	 * edge_connect gives, or it is started again later. */
	int (*core_main)(void *ctx, const struct supervisor_child *child);
	int (*edge_main)(void *ctx, const struct supervisor_child *child);
	int (*edge_connect)(void *ctx, int *fd, int index);
	/** SIGHUP: reread the configuration in the parent (may be NULL). When
	 * it returns 0 the children get SIGHUP themselves, each once it is
	 * ready. */
	int (*reload)(void *ctx);
	/** Once when all children first run: sd_notify is done already. */
	void (*started)(void *ctx);
	/** In the parent, after the first children are forked: give up what
	 * only starting needed (may be NULL). */
	int (*enter_sandbox)(void *ctx);
	/** Seconds a SIGTERM waits for the edges to drain before SIGKILL, and
	 * then again for the core. A second SIGTERM does not wait. */
	int drain_s;
};

/**
 * Run until SIGTERM or SIGINT. Children get SIGTERM first (edges, then the
 * core once the edges are gone). While the program starts, the first child
 * that exits with status 2 before it said it is ready ends the program with
 * that status: a configuration error is not retried. Once all were ready,
 * every death is answered with a restart: the first at once, then after 100 ms
 * doubling to 5 s, until the child has lived for 10 s. Children die with the
 * parent (PR_SET_PDEATHSIG; sandbox_drop_user keeps it). They start with
 * default signals, but SIGINT, SIGPIPE and SIGHUP ignored: the parent hears
 * the terminal, and a SIGHUP waits for its handler. Returns the exit status.
 */
int supervisor_run(const struct supervisor *supervisor);

/** In a child: tell the parent that start-up is done (one byte on control). */
int supervisor_ready(const struct supervisor_child *child);

/** In the core: take the next edge's descriptor from `control`, when it is
 * readable. Returns 0, ERR_BUSY (nothing there) or ERR_CLOSED (parent gone). */
int supervisor_receive_edge(int *fd, int *edge_index, int control);

#endif
