/* Users, roots, privileges; see sandbox.h. The filter is sandbox_filter.c. */
#include "shared/base/sandbox.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define PASSWD_BYTES 16384

static int
sandbox_failed(const char *what)
{
	log_error("sandbox", "%s: %s", what, strerror(errno));
	return ERR_SYSTEM;
}

int
sandbox_user_parse(uid_t *uid, gid_t *gid, const char *user)
{
	char room[PASSWD_BYTES];
	struct passwd entry;
	struct passwd *found = NULL;
	uint64_t number;
	bool bare = text_to_u64(&number, user, strlen(user));

	if (user[0] == '\0' || (bare && number >= UINT32_MAX))
		return ERR_NOT_FOUND;
	int failed = bare
	    ? getpwuid_r((uid_t)number, &entry, room, sizeof(room), &found)
	    : getpwnam_r(user, &entry, room, sizeof(room), &found);

	if (failed == 0 && found != NULL) {
		*uid = found->pw_uid;
		*gid = found->pw_gid;
		return 0;
	}
	if (!bare)
		return ERR_NOT_FOUND;
	*uid = (uid_t)number;
	*gid = (gid_t)number;
	return 0;
}

/* --- another user -----------------------------------------------------------
 */

static int
set_capabilities(unsigned long long keep_caps)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	for (int i = 0; i < 2; i++) {
		data[i].permitted = (uint32_t)(keep_caps >> (32 * i));
		data[i].effective = data[i].permitted;
	}
	if (capset(&header, data) != 0)
		return sandbox_failed("the capabilities to keep are not ours");
	return 0;
}

/* What exec could give back. A child of a parent that gave CAP_SETPCAP up may
 * not; then no-new-privileges and the filter stand for it alone. */
static int
drop_bounding_set(unsigned long long keep_caps)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (keep_caps >> cap & 1)
			continue;
		int held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (held < 0) /* the kernel's last one is behind us */
			return 0;
		if (held == 0)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno != EPERM)
			return sandbox_failed("capability bounding set");
		log_debug("sandbox", "the bounding set stays as it is");
		return 0;
	}
	return 0;
}

static int
become(uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
	if (setgroups(n, groups) != 0)
		return sandbox_failed("cannot give up groups");
	if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return sandbox_failed("cannot become another user");
	/* For good means that this fails. */
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
		log_error("sandbox", "could become root again");
		return ERR_SYSTEM;
	}
	return 0;
}

int
sandbox_drop_user(uid_t uid, gid_t gid, unsigned long long keep_caps)
{
	return sandbox_drop_user_keep(uid, gid, keep_caps, NULL, 0);
}

int
sandbox_drop_user_keep(uid_t uid, gid_t gid, unsigned long long keep_caps,
    const gid_t *groups, size_t n)
{
	pid_t parent = getppid();
	int death_signal = 0;
	int err;

	if (geteuid() != 0) {
		log_info("sandbox", "not root: stays user %u",
		    (unsigned)geteuid());
		return 0;
	}
	if (prctl(PR_GET_PDEATHSIG, &death_signal) != 0)
		return sandbox_failed("PR_GET_PDEATHSIG");
	err = drop_bounding_set(keep_caps);
	if (err != 0)
		return err;
	/* Without this a change of user takes them all. */
	if (prctl(PR_SET_KEEPCAPS, keep_caps != 0, 0, 0, 0) != 0)
		return sandbox_failed("PR_SET_KEEPCAPS");
	err = become(uid, gid, groups, n);
	if (err != 0)
		return err;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0)
		return sandbox_failed("PR_SET_KEEPCAPS");
	err = set_capabilities(keep_caps);
	if (err != 0)
		return err;
	/* The kernel forgets it with the user: a supervisor that is killed
	 * would leave us behind. */
	if (death_signal != 0) {
		if (prctl(PR_SET_PDEATHSIG, death_signal) != 0)
			return sandbox_failed("PR_SET_PDEATHSIG");
		if (getppid() != parent)
			raise(death_signal);
	}
	return 0;
}

/* --- the rest ---------------------------------------------------------------
 */

static int
check_is_empty(const char *path)
{
	struct dirent *entry;
	int entries = 0;
	DIR *folder = opendir(path);

	if (folder == NULL)
		return sandbox_failed(path);
	while ((entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			entries++;
	closedir(folder);
	if (entries == 0)
		return 0;
	log_error("sandbox", "%s is not empty", path);
	return ERR_SYSTEM;
}

int
sandbox_empty_root(const char *path)
{
	if (geteuid() != 0)
		return 0;
	int err = check_is_empty(path);

	if (err != 0)
		return err;
	if (chroot(path) != 0 || chdir("/") != 0)
		return sandbox_failed("chroot");
	return 0;
}

int
sandbox_no_new_privileges(void)
{
	const struct rlimit none = { 0, 0 };
	/* A leak check reads the process it runs in like a debugger does. */
#ifdef SANDBOX_LOG
	const int dumpable = 1;
#else
	const int dumpable = 0;
#endif

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return sandbox_failed("PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) != 0)
		return sandbox_failed("PR_SET_DUMPABLE");
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return sandbox_failed("core limit");
	return 0;
}
