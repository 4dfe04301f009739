/*
 * Who asks at the local socket: users, their connections, and the answers to
 * them. It must not know what is asked; local.c acts on that. Of private.h.
 */
#ifndef AGENT_KEEPER_APPLICATION_H
#define AGENT_KEEPER_APPLICATION_H

#include "agent/keeper/process.h"
#include "shared/rpc/local.h"
#include "shared/rpc/rpc.h"

#include <sys/queue.h>

struct bufferevent;
struct event;
struct evconnlistener;
struct keeper;

/* Of one user. */
#define USER_CONNECTIONS_MAX 64
#define USER_LEASES_MAX 1024
#define USER_CALLS_MAX 256
/* Of everybody. */
#define CONNECTIONS_MAX 4096

struct user {
	LIST_ENTRY(user) entry;
	uid_t uid;
	char name[64]; /* login name, or "uid-1000" */
	unsigned int refs; /* connections, leases, checkouts */
	unsigned int connections;
	unsigned int leases; /* and checkouts on their way */
	unsigned int calls;
};

/* One connection of the local socket. */
struct application {
	LIST_ENTRY(application) entry;
	struct keeper *keeper;
	uint64_t number; /* never used again: a late answer hits nobody */
	struct bufferevent *bev;
	struct user *user;
	struct process *process; /* the one that connected */
	bool privileged; /* may enroll */
	bool closing; /* after the last answer left */
	unsigned int calls; /* not answered yet */
};

/* Who waits for an answer: a connection by number, and the question's id. */
struct asker {
	uint64_t application;
	uint64_t id;
};

#define APPLICATION_BUCKETS 256
LIST_HEAD(application_list, application);
struct applications {
	struct evconnlistener *listener;
	struct event *accept_again; /* after a pause, out of descriptors */
	struct application_list buckets[APPLICATION_BUCKETS];
	LIST_HEAD(, user) users;
	uint64_t next_number;
	unsigned int count;
};

int applications_open(struct keeper *keeper, int listen_fd);
void applications_close(struct keeper *keeper);
/** NULL: it has hung up. */
struct application *application_find(struct keeper *keeper, uint64_t number);
/** One answer to each question; nothing happens when the asker is gone.
 * ERR_TOO_LARGE: the answer does not fit a line, and that was the answer. */
int application_answer(struct keeper *keeper, const struct asker *asker,
    const struct record *record, const void *reply);
void application_refuse(struct keeper *keeper, const struct asker *asker,
    int err, const struct problem *problem);
void application_notify(struct keeper *keeper, uint64_t number,
    enum local_id id, const struct record *record, const void *notice);
/** In local.c: act on a question. Answers now or later. */
void local_dispatch(struct application *application, uint64_t id,
    const struct local_operation *op, const void *request);

/** In users.c. NULL: no memory. */
struct user *user_ref(struct keeper *keeper, uid_t uid);
void user_unref(struct user *user);
/** Who is at the other end: fills in user, process and rights. Errors leave
 * what was taken to be released. */
int application_identify(struct application *application, int fd);

#endif
