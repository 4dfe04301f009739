/* Users of this machine, and who of them is at the end of a connection. */
#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX 1024

/* Of /etc/passwd alone: name services would block the loop, and need calls
 * that the sandbox does not have. */
static void
name_user(struct user *user)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry;

	snprintf(user->name, sizeof(user->name), "uid-%u", user->uid);
	if (file == NULL)
		return;
	while ((entry = fgetpwent(file)) != NULL)
		if (entry->pw_uid == user->uid &&
		    text_is_printable(entry->pw_name, strlen(entry->pw_name))) {
			snprintf(user->name, sizeof(user->name), "%.63s",
			    entry->pw_name);
			break;
		}
	fclose(file);
}

struct user *
user_ref(struct keeper *keeper, uid_t uid)
{
	struct user *user;

	LIST_FOREACH(user, &keeper->applications.users, entry)
		if (user->uid == uid) {
			user->refs++;
			return user;
		}
	user = calloc(1, sizeof(*user));
	if (user == NULL)
		return NULL;
	user->uid = uid;
	user->refs = 1;
	name_user(user);
	LIST_INSERT_HEAD(&keeper->applications.users, user, entry);
	return user;
}

void
user_unref(struct user *user)
{
	if (user == NULL || --user->refs > 0)
		return;
	LIST_REMOVE(user, entry);
	free(user);
}

/* --- who connects --------------------------------------------------------- */

/* Member of the group, by the kernel's list at the time of connecting. */
static bool
in_group(int fd, gid_t primary, gid_t wanted)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (wanted == (gid_t)-1)
		return false;
	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

/* The peer has not hung up: the process that the credentials name, or one it
 * gave the socket to, was there after its pidfd was opened. */
static bool
still_open(int fd)
{
	struct pollfd poll_fd = { .fd = fd }; /* POLLHUP comes unasked */

	return poll(&poll_fd, 1, 0) == 0;
}

int
application_identify(struct application *application, int fd)
{
	struct keeper *keeper = application->keeper;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return ERR_SYSTEM;
	if (peer.pid == 0) {
		log_warn("keeper",
		    "a process of another pid namespace "
		    "connected: the agent cannot watch it");
		return ERR_FORBIDDEN;
	}
	int err =
	    process_take(&application->process, &keeper->processes, peer.pid);

	if (err < 0)
		return err;
	if (!still_open(fd))
		return ERR_CLOSED;
	/* Who connected may have ended and left the socket to a child: then
	 * this is whoever has its pid by now. Of the same user, that is between
	 * his own processes. */
	if (peer.uid != 0 && !process_has_uid(application->process, peer.uid)) {
		log_warn("keeper",
		    "process %d is not user %u's, who connected as it",
		    (int)peer.pid, peer.uid);
		return ERR_FORBIDDEN;
	}
	application->privileged = peer.uid == 0 || peer.uid == geteuid() ||
	    in_group(fd, peer.gid, keeper->options.admin_gid);
	application->user = user_ref(keeper, peer.uid);
	if (application->user == NULL)
		return ERR_NOMEM;
	if (application->user->connections >= USER_CONNECTIONS_MAX) {
		log_warn("keeper", "user %u has %d connections: refused",
		    peer.uid, USER_CONNECTIONS_MAX);
		return ERR_RATE_LIMITED;
	}
	return 0;
}
