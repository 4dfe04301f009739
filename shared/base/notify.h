/*
 * The service manager's notify protocol (sd_notify(3)) by hand: datagrams of
 * NAME=VALUE lines to the socket in $NOTIFY_SOCKET. The socket is opened once,
 * before the sandbox closes. It must not know what the states mean.
 */
#ifndef SHARED_BASE_NOTIFY_H
#define SHARED_BASE_NOTIFY_H

#include <stdint.h>

/** The connected socket, or -1 when there is no service manager. */
int notify_open(void);

/** Tell it, for example "READY=1"; nothing for fd -1. */
void notify_send(int fd, const char *state);

/** RELOADING=1 with the time that Type=notify-reload asks for. */
void notify_reloading(int fd);

/** How often it wants to hear WATCHDOG=1 of this process, in milliseconds: half
 * of what it waits. 0: it does not wait for any. */
int64_t notify_watchdog_ms(void);

#endif
