/*
 * What a process may still do once it has what it needs: another user, an
 * empty root, no new privileges, and a seccomp filter with an allow list. The
 * filter kills in release builds and logs in all others (SANDBOX_LOG), because
 * sanitizers need calls of their own. It must not know what the process does
 * for a living, only which of the profiles it is.
 */
#ifndef SHARED_BASE_SANDBOX_H
#define SHARED_BASE_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

enum sandbox_profile {
	SANDBOX_PARENT, /* fork, wait, signals, hand descriptors on */
	SANDBOX_FRONT, /* connected sockets only: no open, no socket, no exec */
	SANDBOX_LEDGER, /* files of the store; no socket, no exec */
	SANDBOX_LEDGER_SOCKET, /* the same, with Unix sockets: its TPM is one */
	SANDBOX_KEEPER, /* files, Unix sockets, pidfd, /proc; no ptrace */
	SANDBOX_UPLINK, /* TCP to the site, name look-up; no keys, no exec */
	SANDBOX_COURIER, /* TCP outwards, name look-up; writes no file, no exec */
};

/** "leasehold" or "64001"; a bare number needs no passwd entry.
 * Returns 0 or ERR_NOT_FOUND. */
int sandbox_user_parse(uid_t *uid, gid_t *gid, const char *user);

/** Become the user for good, all groups dropped; no-op with a note in the
 * log when not root. Keeps the capabilities in `keep_caps` (a mask of
 * 1 << CAP_x) through the change, permitted and effective. */
int sandbox_drop_user(uid_t uid, gid_t gid, unsigned long long keep_caps);

/** The same, with these supplementary groups. */
int sandbox_drop_user_keep(uid_t uid, gid_t gid, unsigned long long keep_caps,
    const gid_t *groups, size_t n);

/** chroot to an empty folder, if root; call before sandbox_drop_user. */
int sandbox_empty_root(const char *path);

/** PR_SET_NO_NEW_PRIVS, not dumpable, core size 0. */
int sandbox_no_new_privileges(void);

/** Load the filter for all threads of the process (TSYNC): call after every
 * thread runs. Returns 0 or ERR_SYSTEM. */
int sandbox_enter(enum sandbox_profile profile);

#endif
