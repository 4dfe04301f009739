/* The place of the local socket; see listen.h. */
#include "shared/base/listen.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 128

struct words {
	char *out;
	size_t size;
};

static int
complain(const struct words *words, const char *what, const char *why)
{
	snprintf(words->out, words->size, "%s: %s", what, why);
	return ERR_BAD_REQUEST;
}

/* Does somebody listen there, and go on doing so? The children of one that
 * was killed a moment ago hold its socket until they have ended too. */
static bool
answers(const struct sockaddr_un *address)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (int tries = 0; tries < 100; tries++) {
		int fd = socket(AF_UNIX,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		int rc = connect(fd, (const struct sockaddr *)address,
		    sizeof(*address));
		/* In doubt somebody does: his socket is not ours. */
		bool listens = fd < 0 || rc == 0 || errno == EAGAIN;

		if (fd >= 0)
			close(fd);
		if (!listens)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Does somebody answer there? A file that is no socket is not ours to remove.
 */
static int
remove_stale(const struct words *words, const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : complain(words, path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return complain(words, path, "is there and no socket");
	if (answers(address))
		return complain(words, path, "another process listens there");
	if (unlink(path) < 0)
		return complain(words, path, strerror(errno));
	return 0;
}

/* /run is empty after a boot: the socket's own folder is made, no more. */
static int
make_folder(const struct words *words, const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path ||
	    !text_copy_n(folder, sizeof(folder), path, (size_t)(slash - path)))
		return 0;
	if (mkdir(folder, 0755) == 0 || errno == EEXIST)
		return 0;
	return complain(words, folder, strerror(errno));
}

static int
open_socket(int *out, const struct words *words,
    const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return complain(words, "socket", strerror(errno));
	/* Anybody may ask: the kernel says who it is. The folder decides who
	 * finds it. Not by chmod: in a folder that others may write to, that
	 * would be of whatever stands there by then. */
	mode_t mask = umask(0111);
	int failed =
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0;
	int saved = errno;

	umask(mask);
	if (failed || listen(fd, BACKLOG) < 0) {
		int err = complain(words, address->sun_path,
		    strerror(failed ? saved : errno));

		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int
listen_local(int *fd, char *error, size_t error_size, const char *path)
{
	const struct words words = { error, error_size };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return complain(&words, path, "is too long for a Unix socket");
	int err = make_folder(&words, path);

	if (err == 0)
		err = remove_stale(&words, &address);
	return err == 0 ? open_socket(fd, &words, &address) : err;
}
