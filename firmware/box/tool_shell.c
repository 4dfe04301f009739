/*
 * leasehold-box shell: a shell on the terminal that it is started on, until
 * the time that leasehold-box maintenance wrote, and not a second longer. The
 * time is CLOCK_BOOTTIME: nobody in the shell can set it, and a restart of the
 * box ends it too, for the file is gone then.
 */
#include "firmware/box/gather.h"
#include "firmware/box/tool.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/box/maintenance.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "leasehold-box"
#define OPEN_DEFAULT "/run/leasehold/maintenance"
#define SHELL_DEFAULT "/bin/sh"
#define LAST_WORDS_MS 2000

static const char usage[] =
    "usage: leasehold-box shell [OPTION]...\n"
    "\n"
    "A shell on this terminal until the time in FOLDER/until, which goes away\n"
    "with it.\n"
    "\n"
    "  --open FOLDER       (default " OPEN_DEFAULT ")\n"
    "  --shell PROGRAM     (default " SHELL_DEFAULT ")\n"
    "  --help              this text\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 nothing is open.\n";

struct asked {
	const char *open, *shell;
};

/* An exit status, or -1 to go on. */
static int
read_options(struct asked *asked, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "open", required_argument, NULL, 'o' },
		{ "shell", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (c == 'o')
			asked->open = optarg;
		else if (c == 'c')
			asked->shell = optarg;
		else
			break;
	}
	if (c == -1 && optind == argc)
		return -1;
	fputs("try: leasehold-box shell --help\n", stderr);
	return TOOL_USAGE;
}

/* The end, boottime in ms; 0: nothing is open. The file counts once. */
static int64_t
take_until(const struct asked *asked)
{
	char text[64];
	uint64_t until = 0;
	int64_t now = clock_boottime_ms();
	int fd =
	    open(asked->open, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return 0;
	int len = gather_file(text, sizeof(text), fd, "until");
	bool gone = unlinkat(fd, "until", 0) == 0;

	close(fd);
	if (len <= 0 || !gone)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (!text_to_u64(&until, text, strlen(text)) || (int64_t)until <= now ||
	    (int64_t)until - now > MAINTENANCE_MINUTES_MAX * INT64_C(60000))
		return 0;
	return (int64_t)until;
}

static void
run_shell(const char *shell)
{
	char *const argv[] = { (char *)(uintptr_t) "sh", NULL };
	char *const envp[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin",
		(char *)(uintptr_t) "HOME=/root",
		(char *)(uintptr_t) "TERM=linux", NULL };
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A session of its own, whose terminal is this one. */
	if (setsid() < 0 || (isatty(0) && ioctl(0, TIOCSCTTY, 1) != 0))
		fprintf(stderr, "no job control: %s\r\n", strerror(errno));
	execve(shell, argv, envp);
	_exit(127);
}

/* Until it ends, the time is over, or somebody ends us. */
static void
wait_for_end(pid_t child, int signals, int64_t until)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };
	struct signalfd_siginfo info;
	int64_t left;

	while ((left = until - clock_boottime_ms()) > 0) {
		if (poll(&fd, 1, left < 60000 ? (int)left : 60000) <= 0)
			continue;
		if (read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD ||
		    waitpid(child, NULL, WNOHANG) == child)
			break;
	}
	/* Its session; what left that ends with our unit. */
	(void)kill(-child, SIGHUP);
	for (int i = 0; i < LAST_WORDS_MS / 50; i++) {
		if (waitpid(child, NULL, WNOHANG) != 0)
			return;
		(void)poll(NULL, 0, 50);
	}
	(void)kill(-child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static int
run(const struct asked *asked, int64_t until)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) != 0)
		return TOOL_FAILED;
	int signals = signalfd(-1, &mask, SFD_CLOEXEC);

	if (signals < 0)
		return TOOL_FAILED;
	printf("\033[0m\033[2J\033[HMaintenance of this box: a shell until "
	       "%lld minutes from now; all that is done here is root's.\r\n",
	    (long long)((until - clock_boottime_ms() + 59999) / 60000));
	fflush(stdout);
	pid_t child = fork();

	if (child == 0)
		run_shell(asked->shell);
	if (child > 0)
		wait_for_end(child, signals, until);
	close(signals);
	return child > 0 ? EXIT_SUCCESS : TOOL_FAILED;
}

int
tool_shell(int argc, char **argv)
{
	struct asked asked = { OPEN_DEFAULT, SHELL_DEFAULT };
	int status = read_options(&asked, argc, argv);

	if (status >= 0)
		return status;
	int64_t until = take_until(&asked);

	if (until == 0) {
		log_error(NAME, "no maintenance is open");
		return TOOL_REFUSED;
	}
	log_warn(NAME, "maintenance: the shell starts");
	status = run(&asked, until);
	log_warn(NAME, "maintenance: the shell is closed");
	return status;
}
