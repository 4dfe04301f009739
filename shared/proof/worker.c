/* One thread and two queues; see worker.h. */
#include "shared/proof/worker.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
	struct worker_job *first, **end;
};

struct worker {
	pthread_t thread;
	pthread_mutex_t lock; /* over all below but the descriptor */
	pthread_cond_t more; /* a job came, or the end */
	struct queue waiting, back;
	size_t n_waiting, most;
	bool started, ending;
	int fd; /* eventfd: jobs have come back */
};

static void
queue_add(struct queue *queue, struct worker_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct worker_job *
queue_take(struct queue *queue)
{
	struct worker_job *job = queue->first;

	if (job == NULL)
		return NULL;
	queue->first = job->next;
	if (queue->first == NULL)
		queue->end = &queue->first;
	return job;
}

/* --- in the thread -------------------------------------------------------- */

static void
ring(const struct worker *worker)
{
	const uint64_t one = 1;
	/* It can only fail when it counts to 2^64: then it rings anyway. */
	ssize_t n = write(worker->fd, &one, sizeof(one));

	(void)n;
}

static void *
work(void *ctx)
{
	struct worker *worker = ctx;

	pthread_mutex_lock(&worker->lock);
	worker->started = true;
	pthread_cond_broadcast(&worker->more);
	while (!worker->ending) {
		struct worker_job *job = queue_take(&worker->waiting);

		if (job == NULL) {
			pthread_cond_wait(&worker->more, &worker->lock);
			continue;
		}
		worker->n_waiting--;
		pthread_mutex_unlock(&worker->lock);
		job->work(job);
		pthread_mutex_lock(&worker->lock);
		queue_add(&worker->back, job);
		ring(worker);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* --- in the loop's -------------------------------------------------------- */

/* Signals are the loop's: the thread takes none. What a thread asks the kernel
 * at its start no sandbox allows, so it has started when this returns. */
static int
start_thread(struct worker *worker)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&worker->thread, NULL, work, worker);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed != 0)
		return ERR_SYSTEM;
	pthread_mutex_lock(&worker->lock);
	while (!worker->started)
		pthread_cond_wait(&worker->more, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	return 0;
}

int
worker_new(struct worker **out, size_t most)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return ERR_NOMEM;
	worker->waiting.end = &worker->waiting.first;
	worker->back.end = &worker->back.first;
	worker->most = most;
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->more, NULL);
	int err = worker->fd >= 0 ? start_thread(worker) : ERR_SYSTEM;

	if (err == 0) {
		*out = worker;
		return 0;
	}
	log_error("proof", "a helper thread cannot be started");
	if (worker->fd >= 0)
		close(worker->fd);
	pthread_cond_destroy(&worker->more);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
	return err;
}

int
worker_fd(const struct worker *worker)
{
	return worker->fd;
}

int
worker_submit(struct worker *worker, struct worker_job *job)
{
	int err = 0;

	job->cancelled = false;
	pthread_mutex_lock(&worker->lock);
	if (!worker->ending && worker->n_waiting < worker->most) {
		queue_add(&worker->waiting, job);
		worker->n_waiting++;
		pthread_cond_signal(&worker->more);
	} else {
		err = ERR_BUSY;
	}
	pthread_mutex_unlock(&worker->lock);
	return err;
}

/* Take all at once: done() may submit, and is not called again for that. */
void
worker_reap(struct worker *worker)
{
	struct worker_job *job, *next;
	uint64_t rung;
	ssize_t n = read(worker->fd, &rung, sizeof(rung));

	(void)n;
	pthread_mutex_lock(&worker->lock);
	job = worker->back.first;
	worker->back.first = NULL;
	worker->back.end = &worker->back.first;
	pthread_mutex_unlock(&worker->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		job->done(job);
	}
}

void
worker_free(struct worker *worker)
{
	struct worker_job *job;

	if (worker == NULL)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	worker_reap(worker);
	while ((job = queue_take(&worker->waiting)) != NULL) {
		job->cancelled = true;
		job->done(job);
	}
	close(worker->fd);
	pthread_cond_destroy(&worker->more);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}
