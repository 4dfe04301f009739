#include "appliance/setup/parts.h"

#include "appliance/setup/making.h"
#include "appliance/setup/tls.h"
#include "shared/base/err.h"
#include "shared/base/listen.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* PEM files of many CAs are the largest. */
#define FILE_MAX ((size_t)1 << 20)

static const char *const names[] = {
	[PART_ALL] = "all",
	[PART_LEDGER] = "ledger",
	[PART_FRONT] = "front",
	[PART_COURIER] = "courier",
};

bool
part_read(enum part *part, const char *word)
{
	*part = PART_ALL;
	for (int i = PART_LEDGER; word != NULL && i <= PART_COURIER; i++)
		if (strcmp(word, names[i]) == 0)
			*part = (enum part)i;
	return word == NULL || *part != PART_ALL;
}

const char *
part_name(enum part part)
{
	return names[part];
}

/* --- doors ---------------------------------------------------------------- */

static bool
door_path(char *out, size_t size, const struct settings *settings, int index)
{
	int n = index < (int)settings->fronts
	    ? snprintf(out, size, "%s/front.%d", settings->run_dir, index)
	    : snprintf(out, size, "%s/courier", settings->run_dir);

	return n > 0 && (size_t)n < size;
}

int
parts_open_doors(struct supervisor_door doors[PARTS_DOORS_MAX],
    const struct settings *settings, const struct settings_users *users,
    char *error, size_t error_size)
{
	const bool named = settings->front_user[0] != '\0';
	const int n = (int)settings->fronts + 1;
	struct sockaddr_un address;

	for (int i = 0; i < n; i++) {
		const bool front = i < n - 1;
		const uid_t uid = front ? users->front_uid : users->courier_uid;

		doors[i] = (struct supervisor_door){
			.name = front ? "front" : "courier",
			.listener = -1,
			.uid = named ? uid : geteuid(),
		};
	}
	for (int i = 0; i < n; i++) {
		int rc = ERR_BAD_REQUEST;

		if (door_path(address.sun_path, sizeof(address.sun_path),
			settings, i))
			rc = listen_local(&doors[i].listener, error, error_size,
			    address.sun_path);
		else
			snprintf(error, error_size,
			    "[process] run_dir is too long for Unix sockets "
			    "in it");
		if (rc != 0) {
			parts_close_doors(doors, settings);
			return rc;
		}
	}
	return 0;
}

void
parts_close_doors(struct supervisor_door *doors,
    const struct settings *settings)
{
	struct sockaddr_un address;

	for (int i = 0; i <= (int)settings->fronts; i++) {
		if (doors[i].listener < 0)
			continue;
		close(doors[i].listener);
		doors[i].listener = -1;
		if (door_path(address.sun_path, sizeof(address.sun_path),
			settings, i))
			unlink(address.sun_path);
	}
}

int
parts_connect(int *out, const struct settings *settings, int index)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!door_path(address.sun_path, sizeof(address.sun_path), settings,
		index))
		return ERR_TOO_LARGE;
	/* Not blocking: a ledger that does not answer must not stop the
	 * parent's loop. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) !=
		0) {
		log_warn("parent", "no ledger at %s: %s", address.sun_path,
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return ERR_UNAVAILABLE;
	}
	*out = fd;
	return 0;
}

/* --- files ---------------------------------------------------------------- */

/* Where the settings name a file, and what its copy is called. */
static const struct file {
	enum part part;
	const char *key;
	const char *copy;
	size_t at, size;
} files[] = {
#define FILE_ROW(part, key, copy, member)                           \
	{                                                           \
		part, key, copy, offsetof(struct settings, member), \
		    sizeof(((struct settings *)0)->member)          \
	}
	FILE_ROW(PART_LEDGER, "[devices] tpm_ca", "tpm-ca.pem", tpm_ca),
	FILE_ROW(PART_LEDGER, "[devices] tpm_issuers", "tpm-issuers",
	    tpm_issuers),
	FILE_ROW(PART_FRONT, "[tls] client_ca", "client-ca.pem", client_ca),
	FILE_ROW(PART_COURIER, "[courier] ca", "ca.pem", post.ca),
	FILE_ROW(PART_COURIER, "[mail] ca", "mail-ca.pem", post.mail_ca),
	FILE_ROW(PART_COURIER, "[mail] password_file", "mail-password",
	    post.mail_password_file),
	FILE_ROW(PART_COURIER, "[sync] ca", "sync-ca.pem", post.sync_ca),
	FILE_ROW(PART_COURIER, "[ldap] ca", "ldap-ca.pem", directory.ca),
	FILE_ROW(PART_COURIER, "[ldap] service_password_file", "ldap-password",
	    directory.service_password_file),
#undef FILE_ROW
};
#define N_FILES (sizeof(files) / sizeof(files[0]))

/* Where copies go, and whose they are. */
struct hand {
	int folder;
	const char *path;
	uid_t uid;
	gid_t gid;
};

static int
hand_failed(const struct hand *hand, const char *name)
{
	log_error("setup", "cannot write %s/%s: %s", hand->path, name,
	    strerror(errno));
	return ERR_IO;
}

static int
write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The folder is the user's, who could put anything there at any time: a file
 * that is new and ours is written, and given away only whole. */
static int
hand_bytes(const struct hand *hand, const char *name, const uint8_t *data,
    size_t len)
{
	char part[64];

	snprintf(part, sizeof(part), ".%s.new", name);
	if (unlinkat(hand->folder, part, 0) != 0 && errno != ENOENT)
		return hand_failed(hand, part);
	int fd = openat(hand->folder, part,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);

	if (fd < 0)
		return hand_failed(hand, part);
	bool whole = write_all(fd, data, len) == 0 &&
	    fchown(fd, hand->uid, hand->gid) == 0 &&
	    renameat(hand->folder, part, hand->folder, name) == 0;
	int saved = errno;

	close(fd);
	if (whole)
		return 0;
	unlinkat(hand->folder, part, 0);
	errno = saved;
	return hand_failed(hand, name);
}

static int
hand_file(const struct hand *hand, const char *key, const char *name,
    const char *from)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = file_read(&data, &len, from, FILE_MAX);

	if (rc != 0) {
		log_error("setup", "%s: cannot read %s: %s", key, from,
		    rc == ERR_IO ? strerror(errno) : err_str(rc));
		return rc;
	}
	rc = hand_bytes(hand, name, data, len);
	sodium_memzero(data, len);
	free(data);
	return rc;
}

static int
hand_settings_files(const struct hand *hand, const struct settings *settings,
    enum part part)
{
	for (size_t i = 0; i < N_FILES; i++) {
		const char *from = (const char *)settings + files[i].at;

		if (files[i].part != part)
			continue;
		if (from[0] == '\0') {
			if (unlinkat(hand->folder, files[i].copy, 0) != 0 &&
			    errno != ENOENT)
				return hand_failed(hand, files[i].copy);
			continue;
		}
		int rc = hand_file(hand, files[i].key, files[i].copy, from);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int
parts_each_file(const struct settings *settings,
    int (*each)(void *ctx, const char *name, const char *path), void *ctx)
{
	int rc = 0;

	for (size_t i = 0; i < N_FILES && rc == 0; i++) {
		const char *from = (const char *)settings + files[i].at;

		if (from[0] != '\0')
			rc = each(ctx, files[i].copy, from);
	}
	return rc;
}

static int
hand_certificate(const struct hand *hand, const struct settings *settings)
{
	static const char *const pair[] = { TLS_CERT_NAME, TLS_KEY_NAME };
	char folder[SETUP_PATH_MAX], path[SETUP_PATH_MAX];
	int rc = setup_path(folder, settings->state, "tls");

	for (size_t i = 0; rc == 0 && i < 2; i++) {
		rc = setup_path(path, folder, pair[i]);
		if (rc == 0)
			rc = hand_file(hand, "the server's certificate",
			    pair[i], path);
	}
	return rc;
}

/* Its folder is root's, so that the ledger could not make it; one that root
 * made before is given away. */
static int
give_lock(const struct hand *hand, const char *state)
{
	char path[SETUP_PATH_MAX];
	struct stat st;
	int rc = setup_path(path, state, "lock");

	if (rc != 0)
		return rc;
	int fd = open(path,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	bool given = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1 && fchown(fd, hand->uid, hand->gid) == 0;

	if (!given)
		log_error("setup", "cannot give %s to the ledger's user: %s",
		    path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return given ? 0 : ERR_IO;
}

static int
make_places(const struct hand *hand, const struct settings *settings)
{
	char witness[SETUP_PATH_MAX];
	int rc =
	    setup_witness_path(witness, settings->state, settings->witness);

	making_clear(settings->state);
	if (rc == 0)
		rc = setup_witness_folder(witness, hand->uid, hand->gid);
	return rc == 0 ? give_lock(hand, settings->state) : rc;
}

static struct hand
hand_to(const struct settings *settings, const struct settings_users *users,
    enum part part)
{
	struct hand hand = { .uid = (uid_t)-1, .gid = (gid_t)-1 };

	/* chown() leaves -1 as it is. */
	if (settings->user[0] == '\0')
		return hand;
	hand.uid = part == PART_LEDGER ? users->ledger_uid
	    : part == PART_FRONT       ? users->front_uid
				       : users->courier_uid;
	hand.gid = part == PART_LEDGER ? users->ledger_gid
	    : part == PART_FRONT       ? users->front_gid
				       : users->courier_gid;
	return hand;
}

int
parts_hand_over(const struct settings *settings,
    const struct settings_users *users, enum part part, const char *folder)
{
	struct hand hand = hand_to(settings, users, part);

	hand.path = folder;
	hand.folder =
	    open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (hand.folder < 0) {
		log_error("setup", "cannot open %s: %s", folder,
		    strerror(errno));
		return ERR_IO;
	}
	int rc = hand_settings_files(&hand, settings, part);

	if (rc == 0 && part == PART_FRONT)
		rc = hand_certificate(&hand, settings);
	if (rc == 0 && part == PART_LEDGER)
		rc = make_places(&hand, settings);
	close(hand.folder);
	return rc;
}

int
parts_take_over(struct settings *settings, enum part part, const char *folder)
{
	for (size_t i = 0; i < N_FILES; i++) {
		char *path = (char *)settings + files[i].at;

		if (files[i].part != part || path[0] == '\0')
			continue;
		int n = snprintf(path, files[i].size, "%s/%s", folder,
		    files[i].copy);

		if (n < 0 || (size_t)n >= files[i].size) {
			log_error("setup", "%s: %s is too long a path",
			    files[i].key, folder);
			return ERR_TOO_LARGE;
		}
	}
	return 0;
}
