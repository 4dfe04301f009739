/*
 * A disk that fails once, for the system tests: LD_PRELOAD into leaseholdd, and
 * DISK_SHIM names a file of two bytes that every process of it has mapped:
 * signals would be reset where the parent starts another.
 *   [0]  so many of the next writes into one of the first two pages of a file
 *        fail: LMDB keeps its meta pages there, and mends one with another
 *   [1]  when not 0, the next such write is done, and the process dies by it:
 *        what was committed is there, and nobody was told
 * What is derived, and written by itself (tenants/ID/audit), is no such file.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define META_END 8192
#define FILES_MAX 4096

static volatile unsigned char *orders;
static volatile bool derived[FILES_MAX];

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("DISK_SHIM");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *map = fd < 0
	    ? MAP_FAILED
	    : mmap(NULL, 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		abort();
	close(fd);
	orders = map;
}

__attribute__((visibility("default"))) int
open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	mode_t mode = 0;
	va_list args;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "open");
	va_start(args, flags);
	if ((flags & (O_CREAT | O_TMPFILE)) != 0)
		mode = va_arg(args, mode_t);
	va_end(args);
	int fd = real(path, flags, mode);

	if (fd >= 0 && fd < FILES_MAX)
		derived[fd] = strstr(path, "/audit/") != NULL;
	return fd;
}

__attribute__((visibility("default"))) ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	if (at >= META_END || (fd >= 0 && fd < FILES_MAX && derived[fd]))
		return real(fd, data, len, at);
	if (orders[0] > 0) {
		orders[0]--;
		errno = EIO;
		return -1;
	}
	ssize_t wrote = real(fd, data, len, at);

	if (orders[1] != 0) {
		orders[1] = 0;
		/* A filter may forbid it, which is as deadly. */
		kill(getpid(), SIGKILL);
	}
	return wrote;
}

__attribute__((visibility("default"))) ssize_t
pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return pwrite(fd, data, len, at);
}
