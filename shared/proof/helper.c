/* One thread and two queues; see helper.h. */
#include "shared/proof/helper.h"

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
	struct helper_job *first, **end;
};

struct helper {
	pthread_t thread;
	pthread_mutex_t lock; /* over all below but the descriptor */
	pthread_cond_t more; /* a job came, or the end */
	struct queue waiting, back;
	size_t n_waiting, most;
	bool started, ending;
	int fd; /* eventfd: jobs have come back */
};

static void
queue_add(struct queue *queue, struct helper_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct helper_job *
queue_take(struct queue *queue)
{
	struct helper_job *job = queue->first;

	if (job == NULL)
		return NULL;
	queue->first = job->next;
	if (queue->first == NULL)
		queue->end = &queue->first;
	return job;
}

/* --- in the thread -------------------------------------------------------- */

static void
ring(const struct helper *helper)
{
	const uint64_t one = 1;
	/* It can only fail when it counts to 2^64: then it rings anyway. */
	ssize_t n = write(helper->fd, &one, sizeof(one));

	(void)n;
}

static void *
work(void *ctx)
{
	struct helper *helper = ctx;

	pthread_mutex_lock(&helper->lock);
	helper->started = true;
	pthread_cond_broadcast(&helper->more);
	while (!helper->ending) {
		struct helper_job *job = queue_take(&helper->waiting);

		if (job == NULL) {
			pthread_cond_wait(&helper->more, &helper->lock);
			continue;
		}
		helper->n_waiting--;
		pthread_mutex_unlock(&helper->lock);
		job->work(job);
		pthread_mutex_lock(&helper->lock);
		queue_add(&helper->back, job);
		ring(helper);
	}
	pthread_mutex_unlock(&helper->lock);
	return NULL;
}

/* --- in the loop's -------------------------------------------------------- */

/* Signals are the loop's: the thread takes none. What a thread asks the kernel
 * at its start no sandbox allows, so it has started when this returns. */
static int
start_thread(struct helper *helper)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&helper->thread, NULL, work, helper);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed != 0)
		return ERR_SYSTEM;
	pthread_mutex_lock(&helper->lock);
	while (!helper->started)
		pthread_cond_wait(&helper->more, &helper->lock);
	pthread_mutex_unlock(&helper->lock);
	return 0;
}

int
helper_new(struct helper **out, size_t most)
{
	struct helper *helper = calloc(1, sizeof(*helper));

	if (helper == NULL)
		return ERR_NOMEM;
	helper->waiting.end = &helper->waiting.first;
	helper->back.end = &helper->back.first;
	helper->most = most;
	helper->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&helper->lock, NULL);
	pthread_cond_init(&helper->more, NULL);
	int err = helper->fd >= 0 ? start_thread(helper) : ERR_SYSTEM;

	if (err == 0) {
		*out = helper;
		return 0;
	}
	log_error("proof", "a helper thread cannot be started");
	if (helper->fd >= 0)
		close(helper->fd);
	pthread_cond_destroy(&helper->more);
	pthread_mutex_destroy(&helper->lock);
	free(helper);
	return err;
}

int
helper_fd(const struct helper *helper)
{
	return helper->fd;
}

int
helper_submit(struct helper *helper, struct helper_job *job)
{
	int err = 0;

	job->cancelled = false;
	pthread_mutex_lock(&helper->lock);
	if (!helper->ending && helper->n_waiting < helper->most) {
		queue_add(&helper->waiting, job);
		helper->n_waiting++;
		pthread_cond_signal(&helper->more);
	} else {
		err = ERR_BUSY;
	}
	pthread_mutex_unlock(&helper->lock);
	return err;
}

/* Take all at once: done() may submit, and is not called again for that. */
void
helper_reap(struct helper *helper)
{
	struct helper_job *job, *next;
	uint64_t rung;
	ssize_t n = read(helper->fd, &rung, sizeof(rung));

	(void)n;
	pthread_mutex_lock(&helper->lock);
	job = helper->back.first;
	helper->back.first = NULL;
	helper->back.end = &helper->back.first;
	pthread_mutex_unlock(&helper->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		job->done(job);
	}
}

void
helper_free(struct helper *helper)
{
	struct helper_job *job;

	if (helper == NULL)
		return;
	pthread_mutex_lock(&helper->lock);
	helper->ending = true;
	pthread_cond_signal(&helper->more);
	pthread_mutex_unlock(&helper->lock);
	pthread_join(helper->thread, NULL);
	helper_reap(helper);
	while ((job = queue_take(&helper->waiting)) != NULL) {
		job->cancelled = true;
		job->done(job);
	}
	close(helper->fd);
	pthread_cond_destroy(&helper->more);
	pthread_mutex_destroy(&helper->lock);
	free(helper);
}
