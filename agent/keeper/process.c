#include "agent/keeper/process.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAT_MAX 1024
#define STATUS_MAX 4096

void
processes_init(struct processes *table, struct event_base *base,
    void (*ended)(void *ctx, struct process *process), void *ctx)
{
	memset(table, 0, sizeof(*table));
	table->base = base;
	table->ended = ended;
	table->ctx = ctx;
	for (size_t i = 0; i < PROCESS_BUCKETS; i++)
		LIST_INIT(&table->buckets[i]);
}

static struct process_list *
bucket_of(struct processes *table, pid_t pid)
{
	return &table->buckets[(unsigned int)pid % PROCESS_BUCKETS];
}

bool
process_lives(const struct process *process)
{
	struct pollfd ended = { .fd = process->pidfd, .events = POLLIN };

	return !process->gone && poll(&ended, 1, 0) == 0;
}

/* A file of /proc: short, and gone with its process. */
static int
read_proc(char *out, size_t size, pid_t pid, const char *name)
{
	char path[64];
	size_t used = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? ERR_NOT_FOUND
							 : ERR_SYSTEM;
	while ((n = read(fd, out + used, size - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	out[used] = '\0';
	return n < 0 ? ERR_NOT_FOUND : 0;
}

/* proc(5): "pid (comm) state ppid ...", start time is field 22. The name may
 * hold spaces and parentheses; the last one ends it. */
int
process_parse_start(uint64_t *start, const char *stat)
{
	const char *at = strrchr(stat, ')');

	if (at == NULL)
		return ERR_BAD_REQUEST;
	at++;
	for (int field = 3; field <= 22; field++) {
		if (*at != ' ')
			return ERR_BAD_REQUEST;
		at++;
		if (field < 22)
			at += strcspn(at, " ");
	}
	return text_to_u64(start, at, strcspn(at, " \n")) ? 0 : ERR_BAD_REQUEST;
}

/* "Uid:\treal\teffective\tsaved\tfilesystem" */
int
process_parse_uids(uid_t uids[3], const char *status)
{
	const char *line = strstr(status, "\nUid:\t");
	unsigned int real, effective, saved;

	if (line == NULL ||
	    sscanf(line, "\nUid: %u %u %u", &real, &effective, &saved) != 3)
		return ERR_BAD_REQUEST;
	uids[0] = real;
	uids[1] = effective;
	uids[2] = saved;
	return 0;
}

void
process_boot_id(char out[40])
{
	uint8_t *data;
	size_t len;

	out[0] = '\0';
	if (file_read(&data, &len, "/proc/sys/kernel/random/boot_id", 64) < 0)
		return;
	text_copy_n(out, 40, (const char *)data,
	    strcspn((const char *)data, "\n"));
	free(data);
}

static void
read_command(struct process *process)
{
	char text[64];

	if (read_proc(text, sizeof(text), process->pid, "comm") < 0)
		return;
	size_t len = strcspn(text, "\n");

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 ||
		    (unsigned char)text[i] >= 0x7f)
			text[i] = '?';
	text_copy_n(process->command, sizeof(process->command), text, len);
}

static int
read_uids(struct process *process)
{
	char text[STATUS_MAX];
	int err = read_proc(text, sizeof(text), process->pid, "status");

	return err == 0 ? process_parse_uids(process->uids, text) : err;
}

static int
read_facts(struct process *process)
{
	char text[STAT_MAX];
	int err = read_proc(text, sizeof(text), process->pid, "stat");

	if (err == 0)
		err = process_parse_start(&process->start, text);
	if (err == 0)
		err = read_uids(process);
	if (err < 0)
		return err;
	read_command(process);
	return 0;
}

bool
process_has_uid(const struct process *process, uid_t uid)
{
	return process->uids[0] == uid || process->uids[1] == uid ||
	    process->uids[2] == uid;
}

bool
process_is_all(const struct process *process, uid_t uid)
{
	return process->uids[0] == uid && process->uids[1] == uid &&
	    process->uids[2] == uid;
}

static void
on_ended(evutil_socket_t fd, short what, void *ctx)
{
	struct process *process = ctx;

	(void)fd;
	(void)what;
	process->gone = true;
	/* The callback may let go of the last reference. */
	process_ref(process);
	process->table->ended(process->table->ctx, process);
	process_unref(process);
}

static void
process_free(struct process *process)
{
	if (process->ended != NULL)
		event_free(process->ended);
	if (process->pidfd >= 0)
		close(process->pidfd);
	free(process);
}

static int
open_process(struct process *process)
{
	/* glibc 2.36 has a wrapper, older headers at build time have not. */
	process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0U);
	if (process->pidfd < 0)
		return errno == ESRCH ? ERR_NOT_FOUND : ERR_SYSTEM;
	int err = read_facts(process);

	/* Alive after reading: what was read was this process, and no later
	 * one with the same pid. */
	if (err == 0 && !process_lives(process))
		err = ERR_NOT_FOUND;
	if (err < 0)
		return err;
	process->ended = event_new(process->table->base, process->pidfd,
	    EV_READ, on_ended, process);
	if (process->ended == NULL || event_add(process->ended, NULL) < 0)
		return ERR_NOMEM;
	return 0;
}

int
process_take(struct process **out, struct processes *table, pid_t pid)
{
	struct process_list *bucket = bucket_of(table, pid);
	struct process *process;

	if (pid <= 0)
		return ERR_NOT_FOUND;
	LIST_FOREACH(process, bucket, entry)
		if (process->pid == pid && process_lives(process)) {
			/* It may have become somebody else meanwhile. */
			int err = read_uids(process);

			if (err == 0)
				*out = process_ref(process);
			return err;
		}
	process = calloc(1, sizeof(*process));
	if (process == NULL)
		return ERR_NOMEM;
	process->table = table;
	process->pid = pid;
	process->refs = 1;
	int err = open_process(process);

	if (err < 0) {
		if (err != ERR_NOT_FOUND)
			log_error("keeper", "cannot look at process %d: %s",
			    (int)pid, strerror(errno));
		process_free(process);
		return err;
	}
	LIST_INSERT_HEAD(bucket, process, entry);
	*out = process;
	return 0;
}

struct process *
process_ref(struct process *process)
{
	process->refs++;
	return process;
}

void
process_unref(struct process *process)
{
	if (process == NULL || --process->refs > 0)
		return;
	LIST_REMOVE(process, entry);
	process_free(process);
}

int
process_open_executable(const struct process *process)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)process->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* Alive now: what was opened is this process's, not a later one's. */
	if (fd >= 0 && !process_lives(process)) {
		close(fd);
		return -1;
	}
	return fd;
}
