/* sd_notify(3) without libsystemd; see notify.h. */
#include "shared/base/notify.h"

#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* A manager that hangs must not hang us. */
	struct timeval patience = { 2, 0 };

	if (path == NULL || path[0] == '\0')
		return -1;
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') ||
	    len >= sizeof(address.sun_path)) {
		log_warn("notify", "NOTIFY_SOCKET is no socket: %s", path);
		return -1;
	}
	memcpy(address.sun_path, path, len);
	/* '@' stands for the NUL of the abstract name space, where the length
	 * counts and no NUL ends the name. */
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		len++;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		sizeof(patience)) != 0 ||
	    connect(fd, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) !=
		0) {
		log_warn("notify", "cannot reach %s: %s", path,
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

void
notify_send(int fd, const char *state)
{
	if (fd < 0)
		return;
	if (send(fd, state, strlen(state), MSG_NOSIGNAL) < 0)
		log_warn("notify", "cannot tell the service manager %s: %s",
		    state, strerror(errno));
}

void
notify_reloading(int fd)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify_send(fd, state);
}

int64_t
notify_watchdog_ms(void)
{
	const char *wait = getenv("WATCHDOG_USEC");
	const char *whose = getenv("WATCHDOG_PID");
	uint64_t usec, pid;

	if (wait == NULL || !text_to_u64(&usec, wait, strlen(wait)) ||
	    usec < 2000 || usec > INT64_MAX)
		return 0;
	if (whose != NULL &&
	    (!text_to_u64(&pid, whose, strlen(whose)) ||
		pid != (uint64_t)getpid()))
		return 0;
	return (int64_t)(usec / 2000);
}
