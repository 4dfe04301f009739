#include "agent/keeper/digest.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_SIZE 512
/* Of a kind; and of them of one user, whose files would keep the others'
 * waiting. */
#define JOBS_MAX 256
#define JOBS_USER_MAX 16
#define READ_BYTES ((size_t)128 << 10)
/* Nothing that runs is larger; more would only keep the thread busy. */
#define FILE_MAX ((off_t)8 << 30)

/* What names the content of a file for as long as the machine runs. */
struct digest_key {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	off_t size;
};

struct digest_entry {
	struct digest_key key;
	uint8_t digest[32];
	uint64_t used; /* 0: free */
};

struct digest_waiter {
	SLIST_ENTRY(digest_waiter) entry;
	digest_done *done;
	void *ctx;
};

struct digest_job {
	STAILQ_ENTRY(digest_job) entry; /* of todo, then of finished */
	LIST_ENTRY(digest_job) live; /* the loop's list of all */
	int fd;
	int kind; /* of worker */
	uid_t uid; /* who asked first */
	struct digest_key key;
	uint8_t digest[32];
	bool good;
	SLIST_HEAD(, digest_waiter) waiters; /* the loop's only */
};

STAILQ_HEAD(digest_queue, digest_job);

/* Small files do not wait behind a large one: each kind has its thread. */
enum { WORKER_SMALL, WORKER_LARGE, WORKERS };
#define SMALL_MAX ((off_t)8 << 20)

struct digest_worker {
	struct digests *digests;
	struct digest_queue todo; /* smallest first; under the lock */
	bool started; /* under the lock */
	pthread_t thread;
	bool running;
	uint8_t room[READ_BYTES];
};

struct digests {
	/* the loop's */
	struct event *finished_event;
	struct digest_entry cache[CACHE_SIZE];
	uint64_t uses;
	LIST_HEAD(, digest_job) live;
	/* both, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct digest_queue finished;
	bool stop;
	/* does not change */
	int wake; /* eventfd: something is finished */
	struct digest_worker workers[WORKERS];
};

static bool
same_key(const struct digest_key *a, const struct digest_key *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->changed.tv_sec == b->changed.tv_sec &&
	    a->changed.tv_nsec == b->changed.tv_nsec;
}

static int
key_of(struct digest_key *key, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ERR_SYSTEM;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return ERR_TOO_LARGE;
	memset(key, 0, sizeof(*key));
	key->dev = st.st_dev;
	key->ino = st.st_ino;
	key->changed = st.st_ctim;
	key->size = st.st_size;
	return 0;
}

/* --- the threads ---------------------------------------------------------- */

static bool
stopped(struct digests *digests)
{
	pthread_mutex_lock(&digests->lock);
	bool stop = digests->stop;

	pthread_mutex_unlock(&digests->lock);
	return stop;
}

static void
hash_file(struct digest_job *job, struct digests *digests, uint8_t *room)
{
	crypto_hash_sha256_state state;
	struct digest_key after;
	ssize_t n;

	crypto_hash_sha256_init(&state);
	while ((n = read(job->fd, room, READ_BYTES)) > 0) {
		crypto_hash_sha256_update(&state, room, (unsigned long long)n);
		if (stopped(digests))
			return;
	}
	crypto_hash_sha256_final(&state, job->digest);
	/* Written to meanwhile: the digest is of nothing that ever was. */
	job->good = n == 0 && key_of(&after, job->fd) == 0 &&
	    same_key(&after, &job->key);
	if (!job->good)
		memset(job->digest, 0, sizeof(job->digest));
}

static void *
run(void *ctx)
{
	struct digest_worker *worker = ctx;
	struct digests *digests = worker->digests;
	uint64_t one = 1;

	pthread_mutex_lock(&digests->lock);
	worker->started = true;
	pthread_cond_broadcast(&digests->changed);
	while (!digests->stop) {
		struct digest_job *job = STAILQ_FIRST(&worker->todo);

		if (job == NULL) {
			pthread_cond_wait(&digests->changed, &digests->lock);
			continue;
		}
		STAILQ_REMOVE_HEAD(&worker->todo, entry);
		pthread_mutex_unlock(&digests->lock);
		hash_file(job, digests, worker->room);
		pthread_mutex_lock(&digests->lock);
		STAILQ_INSERT_TAIL(&digests->finished, job, entry);
		/* Never full: it would take 2^64 - 1 wake-ups. */
		if (write(digests->wake, &one, sizeof(one)) < 0)
			log_error("keeper", "eventfd: %s", strerror(errno));
	}
	pthread_mutex_unlock(&digests->lock);
	return NULL;
}

/* --- the loop's side ------------------------------------------------------ */

static void
cache_put(struct digests *digests, const struct digest_job *job)
{
	struct digest_entry *oldest = &digests->cache[0];

	for (size_t i = 1; i < CACHE_SIZE; i++)
		if (digests->cache[i].used < oldest->used)
			oldest = &digests->cache[i];
	oldest->key = job->key;
	memcpy(oldest->digest, job->digest, sizeof(oldest->digest));
	oldest->used = ++digests->uses;
}

static const uint8_t *
cache_get(struct digests *digests, const struct digest_key *key)
{
	for (size_t i = 0; i < CACHE_SIZE; i++) {
		struct digest_entry *entry = &digests->cache[i];

		if (entry->used != 0 && same_key(&entry->key, key)) {
			entry->used = ++digests->uses;
			return entry->digest;
		}
	}
	return NULL;
}

static void
job_free(struct digest_job *job)
{
	struct digest_waiter *waiter;

	while ((waiter = SLIST_FIRST(&job->waiters)) != NULL) {
		SLIST_REMOVE_HEAD(&job->waiters, entry);
		free(waiter);
	}
	LIST_REMOVE(job, live);
	close(job->fd);
	free(job);
}

static void
on_finished(evutil_socket_t fd, short what, void *ctx)
{
	struct digests *digests = ctx;
	struct digest_waiter *waiter;
	struct digest_job *job;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("keeper", "eventfd: %s", strerror(errno));
	for (;;) {
		pthread_mutex_lock(&digests->lock);
		job = STAILQ_FIRST(&digests->finished);
		if (job != NULL)
			STAILQ_REMOVE_HEAD(&digests->finished, entry);
		pthread_mutex_unlock(&digests->lock);
		if (job == NULL)
			return;
		if (job->good)
			cache_put(digests, job);
		while ((waiter = SLIST_FIRST(&job->waiters)) != NULL) {
			SLIST_REMOVE_HEAD(&job->waiters, entry);
			waiter->done(waiter->ctx, job->digest);
			free(waiter);
		}
		job_free(job);
	}
}

static int
start_worker(struct digests *digests, struct digest_worker *worker)
{
	sigset_t all, before;

	worker->digests = digests;
	STAILQ_INIT(&worker->todo);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&worker->thread, NULL, run, worker);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed != 0) {
		log_error("keeper", "no thread: %s", strerror(failed));
		return ERR_SYSTEM;
	}
	worker->running = true;
	/* A filter may be loaded after this: the calls that begin a thread are
	 * not in it. */
	pthread_mutex_lock(&digests->lock);
	while (!worker->started)
		pthread_cond_wait(&digests->changed, &digests->lock);
	pthread_mutex_unlock(&digests->lock);
	return 0;
}

int
digests_new(struct digests **out, struct event_base *base)
{
	struct digests *digests = calloc(1, sizeof(*digests));

	if (digests == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&digests->lock, NULL);
	pthread_cond_init(&digests->changed, NULL);
	STAILQ_INIT(&digests->finished);
	LIST_INIT(&digests->live);
	digests->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (digests->wake >= 0)
		digests->finished_event = event_new(base, digests->wake,
		    EV_READ | EV_PERSIST, on_finished, digests);
	int err = 0;

	if (digests->finished_event == NULL ||
	    event_add(digests->finished_event, NULL) < 0)
		err = ERR_SYSTEM;
	for (int i = 0; err == 0 && i < WORKERS; i++)
		err = start_worker(digests, &digests->workers[i]);
	if (err < 0) {
		digests_free(digests);
		return err;
	}
	*out = digests;
	return 0;
}

void
digests_free(struct digests *digests)
{
	struct digest_job *job;

	if (digests == NULL)
		return;
	pthread_mutex_lock(&digests->lock);
	digests->stop = true;
	pthread_cond_broadcast(&digests->changed);
	pthread_mutex_unlock(&digests->lock);
	for (int i = 0; i < WORKERS; i++)
		if (digests->workers[i].running)
			pthread_join(digests->workers[i].thread, NULL);
	while ((job = LIST_FIRST(&digests->live)) != NULL)
		job_free(job);
	if (digests->finished_event != NULL)
		event_free(digests->finished_event);
	if (digests->wake >= 0)
		close(digests->wake);
	pthread_cond_destroy(&digests->changed);
	pthread_mutex_destroy(&digests->lock);
	free(digests);
}

/* Anybody may run a file with gigabytes of nothing at its end: such wait until
 * the others are done. */
static void
enqueue(struct digest_queue *todo, struct digest_job *job)
{
	struct digest_job *other, *before = NULL;

	STAILQ_FOREACH(other, todo, entry) {
		if (other->key.size > job->key.size)
			break;
		before = other;
	}
	if (before == NULL)
		STAILQ_INSERT_HEAD(todo, job, entry);
	else
		STAILQ_INSERT_AFTER(todo, before, job, entry);
}

static bool
has_room(const struct digests *digests, int kind, uid_t uid)
{
	const struct digest_job *job;
	unsigned int n = 0, of_user = 0;

	LIST_FOREACH(job, &digests->live, live)
		if (job->kind == kind) {
			n++;
			of_user += job->uid == uid;
		}
	return n < JOBS_MAX && of_user < JOBS_USER_MAX;
}

/* The job for this file: one that is on its way already, or a new one, which
 * takes fd. */
static int
find_job(struct digest_job **out, struct digests *digests,
    const struct digest_key *key, int fd, uid_t uid)
{
	int kind = key->size <= SMALL_MAX ? WORKER_SMALL : WORKER_LARGE;
	struct digest_job *job;

	LIST_FOREACH(job, &digests->live, live)
		if (same_key(&job->key, key)) {
			close(fd);
			*out = job;
			return 0;
		}
	if (!has_room(digests, kind, uid)) {
		close(fd);
		return ERR_RATE_LIMITED;
	}
	job = calloc(1, sizeof(*job));
	if (job == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	job->fd = fd;
	job->kind = kind;
	job->uid = uid;
	job->key = *key;
	SLIST_INIT(&job->waiters);
	LIST_INSERT_HEAD(&digests->live, job, live);
	pthread_mutex_lock(&digests->lock);
	enqueue(&digests->workers[kind].todo, job);
	pthread_cond_broadcast(&digests->changed);
	pthread_mutex_unlock(&digests->lock);
	*out = job;
	return 0;
}

int
digests_get(uint8_t out[32], struct digests *digests, int fd, uid_t uid,
    digest_done *done, void *ctx)
{
	struct digest_waiter *waiter;
	struct digest_key key;
	struct digest_job *job;
	int err = key_of(&key, fd);
	const uint8_t *known = err == 0 ? cache_get(digests, &key) : NULL;

	if (err < 0 || known != NULL) {
		close(fd);
		if (known != NULL)
			memcpy(out, known, 32);
		return err;
	}
	waiter = malloc(sizeof(*waiter));
	if (waiter == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	err = find_job(&job, digests, &key, fd, uid);
	if (err < 0) {
		free(waiter);
		return err;
	}
	waiter->done = done;
	waiter->ctx = ctx;
	SLIST_INSERT_HEAD(&job->waiters, waiter, entry);
	return ERR_BUSY;
}

void
digests_forget(struct digests *digests, const void *ctx)
{
	struct digest_waiter *waiter, *next;
	struct digest_job *job;

	LIST_FOREACH(job, &digests->live, live) {
		for (waiter = SLIST_FIRST(&job->waiters); waiter != NULL;
		     waiter = next) {
			next = SLIST_NEXT(waiter, entry);
			if (waiter->ctx != ctx)
				continue;
			SLIST_REMOVE(&job->waiters, waiter, digest_waiter,
			    entry);
			free(waiter);
		}
	}
}
