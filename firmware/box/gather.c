/* See gather.h. */
#include "firmware/box/gather.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
gather_file(char *out, size_t size, int folder_fd, const char *name)
{
	struct stat st;
	size_t used = 0;
	ssize_t n = 0;
	int fd = openat(folder_fd, name,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	out[0] = '\0';
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return ERR_IO;
	}
	while (used < size &&
	    ((n = read(fd, out + used, size - used)) > 0 ||
		(n < 0 && errno == EINTR)))
		used += n > 0 ? (size_t)n : 0;
	close(fd);
	if (n < 0 || used == size) {
		out[0] = '\0';
		return n < 0 ? ERR_IO : ERR_TOO_LARGE;
	}
	out[used] = '\0';
	return (int)used;
}

/* --- addresses ------------------------------------------------------------ */

static bool
address_text(char out[64], const struct ifaddrs *entry)
{
	const struct sockaddr *address = entry->ifa_addr;

	if (address == NULL || (entry->ifa_flags & IFF_LOOPBACK) != 0 ||
	    (entry->ifa_flags & IFF_UP) == 0)
		return false;
	if (address->sa_family == AF_INET)
		return inet_ntop(AF_INET,
			   &((const struct sockaddr_in *)(const void *)address)
				->sin_addr,
			   out, 64) != NULL;
	if (address->sa_family != AF_INET6)
		return false;
	const struct in6_addr *v6 =
	    &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

	/* Of one link alone: nobody types those. */
	return !IN6_IS_ADDR_LINKLOCAL(v6) &&
	    inet_ntop(AF_INET6, v6, out, 64) != NULL;
}

static void
read_addresses(struct page_facts *facts)
{
	struct ifaddrs *first;

	if (getifaddrs(&first) != 0)
		return;
	for (const struct ifaddrs *entry = first;
	     entry != NULL && facts->n_address < PAGE_ADDRESSES_MAX;
	     entry = entry->ifa_next)
		if (address_text(facts->address[facts->n_address], entry))
			facts->n_address++;
	freeifaddrs(first);
}

/* --- files ---------------------------------------------------------------- */

static void
first_line(char *out, size_t size, const char *text)
{
	size_t len = strcspn(text, "\n");

	if (len >= size)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = '\0';
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The first of them by name. What is too long is cut, and more than fit are
 * not shown. */
static size_t
list_notices(char (*names)[64], size_t max, int fd)
{
	struct dirent *entry;
	DIR *folder = fdopendir(fd);
	size_t n = 0;

	if (folder == NULL) {
		close(fd);
		return 0;
	}
	while (n < max && (entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.' &&
		    text_copy(names[n], sizeof(names[0]), entry->d_name))
			n++;
	closedir(folder);
	if (n > 1)
		qsort(names, n, sizeof(names[0]), by_name);
	return n;
}

static void
read_notices(struct page_facts *facts, int folder_fd)
{
	char names[PAGE_NOTICES_MAX * 2][64];
	char text[4096];
	int fd = openat(folder_fd, GATHER_NOTICES,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	size_t n = list_notices(names, PAGE_NOTICES_MAX * 2, dup(fd));

	for (size_t i = 0; i < n; i++) {
		if (gather_file(text, sizeof(text), fd, names[i]) <= 0)
			continue;
		if (strcmp(names[i], "update") == 0)
			first_line(facts->update, sizeof(facts->update), text);
		else if (facts->n_notice < PAGE_NOTICES_MAX)
			first_line(facts->notice[facts->n_notice++],
			    sizeof(facts->notice[0]), text);
	}
	close(fd);
}

static void
read_status(struct gather *gather, int folder_fd)
{
	struct record_error error;
	char *text = malloc(BOX_STATUS_BYTES_MAX + 1);

	if (text == NULL)
		return;
	int len = gather_file(text, BOX_STATUS_BYTES_MAX + 1, folder_fd,
	    BOX_STATUS_FILE);

	if (len == ERR_NOT_FOUND)
		text_copy(gather->trouble, sizeof(gather->trouble),
		    "the service does not run yet");
	else if (len < 0 ||
	    record_read_json(&gather->status, &box_status_record, text,
		(size_t)len, &gather->arena, &error) != 0)
		text_copy(gather->trouble, sizeof(gather->trouble),
		    "what the service says cannot be read");
	else
		gather->facts.status = &gather->status;
	free(text);
}

static void
read_image(struct page_facts *facts, const char *image)
{
	char text[256];
	int fd = open(image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (gather_file(text, sizeof(text), fd, "version") > 0)
		first_line(facts->image, sizeof(facts->image), text);
	close(fd);
}

void
gather_read(struct gather *gather, const char *folder, const char *image)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	gather_release(gather);
	memset(gather, 0, sizeof(*gather));
	gather->arena.max_bytes = (size_t)256 << 10;
	gather->facts.trouble = gather->trouble;
	gather->facts.boottime_ms = (uint64_t)clock_boottime_ms();
	read_addresses(&gather->facts);
	read_image(&gather->facts, image);
	if (fd < 0) {
		text_copy(gather->trouble, sizeof(gather->trouble),
		    "the service does not run yet");
		return;
	}
	read_status(gather, fd);
	read_notices(&gather->facts, fd);
	close(fd);
}

void
gather_release(struct gather *gather)
{
	arena_release(&gather->arena);
}
