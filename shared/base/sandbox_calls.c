/*
 * See sandbox_filter.h. A call is here because it was seen in a trace of that
 * process, or because glibc, libsodium, libevent, LMDB, libuv, libwebsockets
 * or OpenSSL make it on a path that a trace seldom takes (allocation in a
 * second arena, qsort of much, abort). Calls with conditions on their
 * arguments are in sandbox_filter.c.
 */
#include "shared/base/sandbox_filter.h"

#include <seccomp.h>

/* The parent's filter is inherited by children that it forks later, so it has
 * to allow what any of them does, the way there included. */
#define P SANDBOX_BIT(SANDBOX_PARENT)
#define F (P | SANDBOX_BIT(SANDBOX_FRONT))
#define T SANDBOX_BIT(SANDBOX_LEDGER_SOCKET)
#define L (P | T | SANDBOX_BIT(SANDBOX_LEDGER))
#define K (P | SANDBOX_BIT(SANDBOX_KEEPER))
/* Both call out, and look names up. */
#define U (P | SANDBOX_BIT(SANDBOX_UPLINK) | SANDBOX_BIT(SANDBOX_COURIER))
#define ALL (F | L | K | U)
#define FILES (L | K)

#define CALL(name, profiles)             \
	{                                \
		SCMP_SYS(name), profiles \
	}

static const struct sandbox_call calls[] = {
	/* memory, threads that run already, time */
	CALL(brk, ALL),
	CALL(munmap, ALL),
	CALL(mremap, ALL),
	CALL(madvise, ALL),
	CALL(mlock, ALL), /* guarded memory of libsodium */
	CALL(mlock2, ALL),
	CALL(munlock, ALL),
	CALL(futex, ALL),
	CALL(futex_waitv, ALL),
	CALL(membarrier, ALL),
	CALL(sched_yield, ALL),
	CALL(sched_getaffinity, ALL), /* malloc counts the cores */
	CALL(getcpu, ALL),
	CALL(sysinfo, ALL), /* qsort asks how much memory there is */
	CALL(clock_gettime, ALL),
	CALL(clock_getres, ALL),
	CALL(gettimeofday, ALL),
	CALL(time, ALL),
	CALL(times, ALL),
	CALL(getrusage, ALL),
	CALL(nanosleep, ALL),
	CALL(clock_nanosleep, ALL),
	CALL(getrandom, ALL),
	CALL(getpid, ALL),
	CALL(gettid, ALL),
	CALL(getppid, ALL),
	CALL(getuid, ALL),
	CALL(geteuid, ALL),
	CALL(getgid, ALL),
	CALL(getegid, ALL),
	CALL(uname, ALL),
	CALL(getrlimit, ALL),
	CALL(exit, ALL),
	CALL(exit_group, ALL),
	CALL(restart_syscall, ALL),
	CALL(rt_sigaction, ALL),
	CALL(rt_sigprocmask, ALL),
	CALL(rt_sigreturn, ALL),
	CALL(rt_sigtimedwait, ALL),
	CALL(sigaltstack, ALL),
	CALL(wait4, ALL), /* libwebsockets; there are no children */

	/* descriptors that are open already */
	CALL(read, ALL),
	CALL(readv, ALL),
	CALL(write, ALL),
	CALL(writev, ALL),
	CALL(close, ALL),
	CALL(close_range, ALL),
	CALL(dup, ALL),
	CALL(dup2, ALL),
	CALL(dup3, ALL),
	CALL(fcntl, ALL),
	CALL(fstat, ALL),
	CALL(lseek, ALL),
	CALL(pipe2, ALL),
	CALL(eventfd2, ALL),
	CALL(epoll_create1, ALL),
	CALL(epoll_ctl, ALL),
	CALL(epoll_wait, ALL),
	CALL(epoll_pwait, ALL),
	CALL(epoll_pwait2, ALL),
	CALL(timerfd_create, ALL),
	CALL(timerfd_settime, ALL),
	CALL(timerfd_gettime, ALL),
	CALL(signalfd4, ALL),
	CALL(poll, ALL),
	CALL(ppoll, ALL),
	CALL(select, ALL),
	CALL(pselect6, ALL),

	/* sockets that are connected already; SCM_RIGHTS from the parent */
	CALL(recvfrom, ALL),
	CALL(recvmsg, ALL),
	CALL(sendto, ALL),
	CALL(sendmsg, ALL),
	CALL(shutdown, ALL),
	CALL(setsockopt, ALL),
	CALL(getsockopt, ALL),
	CALL(getsockname, ALL),
	CALL(getpeername, ALL),
	CALL(accept, F | K),
	CALL(accept4, F | K),
	CALL(connect, T | K | U), /* T: its TPM */
	CALL(bind, U), /* the netlink socket of getaddrinfo */
	CALL(sendmmsg, U),
	CALL(recvmmsg, U),

	/* names and contents of files */
	CALL(newfstatat, ALL), /* also what fstat of glibc calls */
	CALL(stat, FILES | U),
	CALL(lstat, FILES | U),
	CALL(statx, FILES | U),
	CALL(access, FILES | U),
	CALL(faccessat, FILES | U),
	CALL(faccessat2, FILES | U),
	CALL(readlink, FILES | U),
	CALL(readlinkat, FILES | U),
	CALL(pread64, FILES | U),
	CALL(fadvise64, FILES | U),
	CALL(getdents64, FILES | U),
	CALL(getcwd, FILES),
	CALL(pwrite64, FILES),
	CALL(preadv, FILES),
	CALL(pwritev, FILES),
	CALL(pwritev2, FILES),
	CALL(fsync, FILES),
	CALL(fdatasync, FILES),
	CALL(sync_file_range, FILES),
	CALL(msync, FILES),
	CALL(mincore, FILES),
	CALL(ftruncate, FILES),
	CALL(fallocate, FILES),
	CALL(flock, FILES),
	CALL(statfs, FILES),
	CALL(fstatfs, FILES),
	CALL(fchmod, FILES),
	CALL(umask, FILES),
	CALL(mkdir, FILES),
	CALL(mkdirat, FILES),
	CALL(rename, FILES),
	CALL(renameat, FILES),
	CALL(renameat2, FILES),
	CALL(unlink, FILES),
	CALL(unlinkat, FILES),
	CALL(rmdir, FILES),

	/* the keeper looks at who is asking */
	CALL(pidfd_open, K),

	/* forking, and the way of a child into its own sandbox */
	CALL(clone, P),
	CALL(clone3, P),
	CALL(fork, P),
	CALL(vfork, P),
	CALL(set_robust_list, P),
	CALL(get_robust_list, P),
	CALL(set_tid_address, P),
	CALL(rseq, P),
	CALL(arch_prctl, P),
	CALL(waitid, P),
	CALL(kill, P),
	CALL(tkill, P),
	CALL(rt_sigpending, P),
	CALL(rt_sigsuspend, P),
	CALL(pause, P),
	CALL(setpgid, P),
	CALL(getpgid, P),
	CALL(getpgrp, P),
	CALL(setsid, P),
	CALL(getsid, P),
	CALL(setitimer, P),
	CALL(alarm, P),
	CALL(seccomp, P),
	CALL(capget, P),
	CALL(capset, P),
	CALL(getgroups, P),
	CALL(setgroups, P),
	CALL(setuid, P),
	CALL(setgid, P),
	CALL(setreuid, P),
	CALL(setregid, P),
	CALL(setresuid, P),
	CALL(setresgid, P),
	CALL(getresuid, P),
	CALL(getresgid, P),
	CALL(setrlimit, P),
	CALL(setpriority, P),
	CALL(getpriority, P),
	CALL(sched_setaffinity, P),
	CALL(sched_getparam, P),
	CALL(sched_getscheduler, P),
	CALL(chroot, P),
	CALL(chdir, P),
	CALL(fchdir, P),
	CALL(open, P),
	CALL(openat2, P),
	CALL(chmod, P),
	CALL(fchmodat, P),
	CALL(chown, P),
	CALL(fchown, P),
	CALL(fchownat, P),
	CALL(lchown, P),
	CALL(truncate, P),
	CALL(symlink, P),
	CALL(link, P),
	CALL(socketpair, P | SANDBOX_BIT(SANDBOX_COURIER)), /* libcurl's */
	CALL(listen, P),
	CALL(pipe, P),
	CALL(epoll_create, P),
	CALL(eventfd, P),
	CALL(inotify_init1, P),
	CALL(inotify_add_watch, P),
	CALL(inotify_rm_watch, P),
	CALL(memfd_create, P),
};

const struct sandbox_call *
sandbox_calls(size_t *n)
{
	*n = sizeof(calls) / sizeof(calls[0]);
	return calls;
}
