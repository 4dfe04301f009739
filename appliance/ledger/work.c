#include "appliance/ledger/work.h"

#include "shared/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void
work_list_add(struct work_list *list, struct work *work)
{
	work->next = NULL;
	if (list->last != NULL)
		list->last->next = work;
	else
		list->first = work;
	list->last = work;
	list->count++;
}

struct work *
work_list_take(struct work_list *list)
{
	struct work *work = list->first;

	if (work == NULL)
		return NULL;
	list->first = work->next;
	if (list->first == NULL)
		list->last = NULL;
	list->count--;
	work->next = NULL;
	return work;
}

void
work_list_join(struct work_list *to, struct work_list *from)
{
	if (from->first == NULL)
		return;
	if (to->last != NULL)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->count += from->count;
	*from = (struct work_list){ 0 };
}

/* --- outbox -------------------------------------------------------------- */

struct outbox {
	pthread_mutex_t lock;
	struct work_list list;
	int fd; /* eventfd: above 0 while the list may hold something */
	struct event *event;
};

static void
outbox_woke(evutil_socket_t fd, short what, void *ctx)
{
	struct outbox *outbox = ctx;
	struct work_list list;
	struct work *work;
	uint64_t count;

	(void)what;
	if (read((int)fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("ledger", "cannot read from an eventfd: %s",
		    strerror(errno));
	pthread_mutex_lock(&outbox->lock);
	list = outbox->list;
	outbox->list = (struct work_list){ 0 };
	pthread_mutex_unlock(&outbox->lock);
	while ((work = work_list_take(&list)) != NULL)
		work->done(work);
}

struct outbox *
outbox_new(struct event_base *base)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));

	if (outbox == NULL)
		return NULL;
	outbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (outbox->fd < 0) {
		free(outbox);
		return NULL;
	}
	pthread_mutex_init(&outbox->lock, NULL);
	outbox->event = event_new(base, outbox->fd, EV_READ | EV_PERSIST,
	    outbox_woke, outbox);
	if (outbox->event == NULL || event_add(outbox->event, NULL) != 0) {
		outbox_free(outbox);
		return NULL;
	}
	return outbox;
}

void
outbox_free(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	if (outbox->event != NULL)
		event_free(outbox->event);
	close(outbox->fd);
	pthread_mutex_destroy(&outbox->lock);
	free(outbox);
}

void
outbox_put(struct outbox *outbox, struct work_list *list)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&outbox->lock);
	bool wake = outbox->list.first == NULL && list->first != NULL;

	work_list_join(&outbox->list, list);
	pthread_mutex_unlock(&outbox->lock);
	if (wake && write(outbox->fd, &one, sizeof(one)) != sizeof(one))
		log_error("ledger", "cannot wake the loop: %s",
		    strerror(errno));
}

/* --- worker -------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct work_list list;
	bool stopping;
	bool running; /* the thread has begun */
	struct outbox *outbox;
};

static void *
worker_main(void *ctx)
{
	struct worker *worker = ctx;

	pthread_mutex_lock(&worker->lock);
	worker->running = true;
	pthread_cond_signal(&worker->wake);
	for (;;) {
		struct work *work = work_list_take(&worker->list);
		struct work_list done = { 0 };

		if (work == NULL) {
			if (worker->stopping)
				break;
			pthread_cond_wait(&worker->wake, &worker->lock);
			continue;
		}
		pthread_mutex_unlock(&worker->lock);
		if (work->run != NULL)
			work->run(work);
		work_list_add(&done, work);
		outbox_put(worker->outbox, &done);
		pthread_mutex_lock(&worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

struct worker *
worker_new(const char *name, struct outbox *outbox)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t all, before;

	if (worker == NULL)
		return NULL;
	worker->outbox = outbox;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&worker->thread, NULL, worker_main, worker);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		log_error("ledger", "cannot start the %s thread: %s", name,
		    strerror(rc));
		pthread_cond_destroy(&worker->wake);
		pthread_mutex_destroy(&worker->lock);
		free(worker);
		return NULL;
	}
	/* A seccomp filter may follow: only once the thread has set itself up.
	 */
	pthread_mutex_lock(&worker->lock);
	while (!worker->running)
		pthread_cond_wait(&worker->wake, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	pthread_setname_np(worker->thread, name);
	return worker;
}

void
worker_put(struct worker *worker, struct work *work)
{
	pthread_mutex_lock(&worker->lock);
	work_list_add(&worker->list, work);
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
}

void
worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}
