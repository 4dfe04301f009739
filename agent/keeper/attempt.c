/* When the site is tried: again and again, with jitter, so that the agents of a
 * site that was away do not come all at once; and rarely where the site has said
 * that it will not have us. */
#include "agent/keeper/backoff.h"
#include "agent/keeper/private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <sodium.h>
#include <string.h>
#include <sys/time.h>

#define HURRY_MS 1000
/* Whom an admin shut out comes back with another key, if at all. */
#define REVOKED_MS 900000
/* Two agents with one key would throw each other out without end. */
#define REPLACED_FIRST_MS 60000
#define REPLACED_MAX_MS 900000
#define REPLACED_DOUBLINGS 4

static void
arm_attempt(struct keeper *keeper, int64_t ms)
{
	struct session *session = &keeper->session;
	struct timeval wait = {
		.tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000,
	};

	session->state = SESSION_WAITING;
	session->retry_at_ms = clock_boottime_ms() + ms;
	if (event_add(session->timer, &wait) < 0)
		log_error("keeper", "no memory for a timer");
}

/* How long at most until it is worth asking again; 0: as the failures say. */
static uint32_t
long_pause_ms(const struct session *session)
{
	if (session->refused == ERR_DEVICE_REVOKED)
		return REVOKED_MS;
	if (session->refused != ERR_FORBIDDEN || session->replaced == 0)
		return 0;
	unsigned int doublings = session->replaced - 1 < REPLACED_DOUBLINGS
	    ? session->replaced - 1
	    : REPLACED_DOUBLINGS;
	uint32_t most = (uint32_t)REPLACED_FIRST_MS << doublings;

	return most < REPLACED_MAX_MS ? most : REPLACED_MAX_MS;
}

void
session_wait(struct keeper *keeper)
{
	struct session *session = &keeper->session;
	uint32_t pause = long_pause_ms(session);
	const struct backoff backoff = {
		.failures = session->failures++,
		.spread_ms = session->spread_ms,
		.bound_ms = keeper->leases.held > 0
		    ? keeper->renewal.renew_s * 1000
		    : 0,
	};

	if (pause > 0) {
		arm_attempt(keeper, pause / 2 + randombytes_uniform(pause / 2));
		return;
	}
	arm_attempt(keeper, backoff_ms(&backoff, randombytes_random()));
}

void
session_connect(struct keeper *keeper)
{
	struct session *session = &keeper->session;
	struct uplink_target target = {
		.port = keeper->site.port,
		.ca_pem = { keeper->ca_pem, (uint32_t)strlen(keeper->ca_pem) },
	};

	memcpy(target.host, keeper->site.host, sizeof(target.host));
	/* The end of a connection that this replaces is told in here. */
	int err = calls_connect(keeper->calls, &target);

	event_del(session->timer);
	session->attempt++;
	session->tried_ms = clock_boottime_ms();
	session->told = false;
	/* Without an uplink: until one is there. */
	session->state = err < 0 ? SESSION_IDLE : SESSION_CONNECTING;
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	session_connect(ctx);
}

void
session_start(struct keeper *keeper)
{
	if (keeper->session.state != SESSION_IDLE || !keeper->enrolled ||
	    !key_is_open(keeper) || enroll_is_talking(keeper) ||
	    !calls_have_uplink(keeper->calls))
		return;
	session_connect(keeper);
}

void
session_stop(struct keeper *keeper)
{
	keeper->session.state = SESSION_IDLE;
	event_del(keeper->session.timer);
}

void
session_hurry(struct keeper *keeper)
{
	struct session *session = &keeper->session;
	int64_t now_ms = clock_boottime_ms();
	int64_t soon_ms = session->tried_ms + HURRY_MS;

	if (session->state != SESSION_WAITING || session->refused != 0)
		return;
	if (soon_ms < now_ms)
		soon_ms = now_ms;
	soon_ms += randombytes_uniform(HURRY_MS / 4);
	if (soon_ms < session->retry_at_ms)
		arm_attempt(keeper, soon_ms - now_ms);
}

int
session_attempts_open(struct keeper *keeper)
{
	keeper->session.timer =
	    event_new(keeper->base, -1, 0, on_timer, keeper);
	return keeper->session.timer != NULL ? 0 : ERR_NOMEM;
}
