/*
 * The place of a local socket: made after a boot, taken over from a process
 * that has ended, and left to one that listens. It must not know who connects;
 * whoever accepts asks the kernel.
 */
#ifndef SHARED_BASE_LISTEN_H
#define SHARED_BASE_LISTEN_H

#include <stddef.h>

/**
 * Listen at a path, whose last folder is made where it is missing.
 *
 * @param[out] fd     On 0 the socket, not blocking, owned by the caller.
 * @param[out] error  On ERR_BAD_REQUEST "WHAT: WHY" for people.
 * @param[in]  path   At most what a Unix socket's address holds.
 */
int listen_local(int *fd, char *error, size_t error_size, const char *path);

#endif
