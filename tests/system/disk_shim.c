/*
 * A disk that fails once, for the system tests: LD_PRELOAD into leaseholdd. On
 * SIGUSR2 the next write of the process into one of the first two pages of a
 * file fails, and the one that would mend it: LMDB keeps its meta pages there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#define META_END 8192

static volatile sig_atomic_t failing;

static void
fail_next(int number)
{
	(void)number;
	failing = 2;
}

__attribute__((constructor)) static void
start(void)
{
	signal(SIGUSR2, fail_next);
}

__attribute__((visibility("default"))) ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	if (failing > 0 && at < META_END) {
		failing--;
		errno = EIO;
		return -1;
	}
	return real(fd, data, len, at);
}

__attribute__((visibility("default"))) ssize_t
pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return pwrite(fd, data, len, at);
}
