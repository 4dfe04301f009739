/* See tool.h. */
#include "firmware/box/tool.h"

#include "firmware/box/gather.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
tool_write_changed(const char *path, const void *data, size_t len,
    unsigned int mode)
{
	uint8_t *was = NULL;
	size_t was_len = 0;
	bool same = file_read(&was, &was_len, path, 65536) == 0 &&
	    was_len == len && memcmp(was, data, len) == 0;

	free(was);
	if (same)
		return 0;
	int rc = file_write(path, data, len, mode);

	if (rc != 0) {
		log_error("leasehold-box", "cannot write %s: %s (%s)", path,
		    err_str(rc), strerror(errno));
		return rc;
	}
	return 1;
}

/* The folder around it is written to by others: what stands there must be a
 * folder that we made, and stay the one that was looked at. */
static int
open_notices(const char *folder)
{
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/" GATHER_NOTICES, folder);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	if (mkdir(path, 0755) != 0 && errno != EEXIST) {
		log_warn("leasehold-box", "cannot make %s: %s", path,
		    strerror(errno));
		return -1;
	}
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid())
		return fd;
	log_warn("leasehold-box", "%s is not ours; the console is not told",
	    path);
	if (fd >= 0)
		close(fd);
	return -1;
}

void
tool_notice(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	char line[PAGE_NOTICE_MAX + 1];
	int fd = open_notices(folder);

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fd, name);
	if (text != NULL && text[0] != '\0') {
		snprintf(line, sizeof(line), "%.*s\n", PAGE_NOTICE_MAX - 2,
		    text);
		(void)tool_write_changed(path, line, strlen(line), 0644);
	} else if (unlinkat(fd, name, 0) != 0 && errno != ENOENT) {
		log_warn("leasehold-box", "cannot remove %s: %s", name,
		    strerror(errno));
	}
	close(fd);
}
