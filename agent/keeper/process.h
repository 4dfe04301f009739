/*
 * Processes of this machine, as the kernel tells of them: who is behind a
 * socket or a pid, and when it is gone. A pidfd holds each one, so that a pid
 * which the kernel gives out again is never taken for the old process. It must
 * not know leases.
 */
#ifndef AGENT_KEEPER_PROCESS_H
#define AGENT_KEEPER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct event;
struct event_base;

#define PROCESS_BUCKETS 256

struct process {
	LIST_ENTRY(process) entry;
	struct processes *table;
	unsigned int refs;
	pid_t pid;
	uint64_t start; /* in clock ticks since boot, of /proc/PID/stat */
	uid_t uids[3]; /* real, effective, saved: when it was last taken */
	bool gone;
	int pidfd;
	struct event *ended;
	char command[64]; /* printable, for people */
};

LIST_HEAD(process_list, process);
struct processes {
	struct event_base *base;
	/** The process ended: called once, from the loop; refs are kept. */
	void (*ended)(void *ctx, struct process *process);
	void *ctx;
	struct process_list buckets[PROCESS_BUCKETS];
};

void processes_init(struct processes *table, struct event_base *base,
    void (*ended)(void *ctx, struct process *process), void *ctx);

/** A reference to the live process `pid`. ERR_NOT_FOUND when there is none,
 * ERR_SYSTEM (logged) when the kernel does not let us see it. */
int process_take(struct process **out, struct processes *table, pid_t pid);
struct process *process_ref(struct process *process);
/** Is it, or may it become, this user? */
bool process_has_uid(const struct process *process, uid_t uid);
/** Is it this user and nobody else? */
bool process_is_all(const struct process *process, uid_t uid);
void process_unref(struct process *process);

/** It has not ended (asks the kernel). */
bool process_lives(const struct process *process);

/** The opened executable, or -1: not allowed, or no file. */
int process_open_executable(const struct process *process);

/** Of /proc/PID/stat and /proc/PID/status; for tests. */
int process_parse_start(uint64_t *start, const char *stat);
int process_parse_uids(uid_t uids[3], const char *status);

/** The kernel's boot id: a pid and start time mean nothing after the next
 * boot. "" when unknown. */
void process_boot_id(char out[40]);

#endif
