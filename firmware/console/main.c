/*
 * leasehold-console: shows the state of an appliance on its screen or serial
 * line, and nothing else. It reads files, opens no socket but the one that
 * asks the kernel for the interfaces' addresses, and of what is typed it knows
 * one key. It must not hold any right that a stranger at the keyboard could
 * use.
 */
#include "firmware/box/gather.h"
#include "firmware/box/keys.h"
#include "shared/base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define FOLDER_DEFAULT "/run/leasehold/appliance"
#define IMAGE_DEFAULT "/usr/lib/leasehold"
#define HOLD_FILE "hold"
#define EXIT_USAGE 2
#define LOOK_MS 1000
/** Messages of the kernel on the same screen are wiped by then. */
#define REDRAW_MS 20000
/** Between two screens, however fast somebody types. */
#define DRAW_MIN_MS 200
/** Then the first screen comes back by itself. */
#define FIRST_AGAIN_MS 60000
#define WRITE_WAIT_MS 2000

struct console {
	const char *folder;
	const char *image;
	struct gather gather;
	struct page page;
	struct buf drawn, next; /* bytes of the screen as it is, and is to be */
	struct keys keys;
	size_t screen;
	bool held; /* what others wrote is left alone until the key comes */
	int64_t turned_at, drawn_at; /* boottime */
	struct termios before;
	bool is_terminal;
};

static const char usage[] =
    "usage: leasehold-console [OPTION]...\n"
    "\n"
    "Show the state of this appliance on the terminal that it is started on.\n"
    "\n"
    "  --state-dir FOLDER  what the service and root's units tell\n"
    "                      (default " FOLDER_DEFAULT ")\n"
    "  --image-dir FOLDER  with the image's version (default " IMAGE_DEFAULT
    ")\n"
    "  --once              print the page as text, and end\n"
    "  --help              this text\n"
    "  --version           the version\n"
    "Keys: Page Up shows the next screen, no other does anything.\n"
    "Exit status: 0 done, 1 failed, 2 usage.\n";

/* --- options -------------------------------------------------------------- */

/* An exit status, or -1 to go on. */
static int
read_options(struct console *console, bool *once, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "state-dir", required_argument, NULL, 's' },
		{ "image-dir", required_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			console->folder = optarg;
			break;
		case 'i':
			console->image = optarg;
			break;
		case 'o':
			*once = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("leasehold-console " LEASEHOLD_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs("try: leasehold-console --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "leasehold-console: %s: takes no arguments\n",
	    argv[optind]);
	return EXIT_USAGE;
}

/* --- the terminal --------------------------------------------------------- */

/* What does not go out in time is not waited for: a serial line whose far end
 * is held must not hold us. */
static bool
put(const char *data, size_t len)
{
	int64_t until = clock_boottime_ms() + WRITE_WAIT_MS;

	while (len > 0) {
		struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
		int64_t left = until - clock_boottime_ms();

		if (left <= 0 || poll(&out, 1, (int)left) < 0 ||
		    (out.revents & POLLOUT) == 0)
			return false;
		/* Few at a time: more may block in spite of POLLOUT. */
		ssize_t n = write(STDOUT_FILENO, data, len < 64 ? len : 64);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* Nothing that is typed is shown, and no key stops or ends anything. */
static void
terminal_begin(struct console *console)
{
	struct termios raw;

	console->is_terminal = tcgetattr(STDIN_FILENO, &console->before) == 0;
	if (!console->is_terminal)
		return;
	raw = console->before;
	raw.c_iflag &= ~(tcflag_t)(IXON | IXOFF | BRKINT | ICRNL);
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void
terminal_end(const struct console *console)
{
	static const char reset[] = "\033[0m\033[2J\033[H\033[?7h\033[?25h";

	(void)put(reset, sizeof(reset) - 1);
	if (console->is_terminal)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &console->before);
}

/* --- the loop ------------------------------------------------------------- */

static void
look(struct console *console)
{
	gather_read(&console->gather, console->folder, console->image);
	page_make(&console->page, &console->gather.facts);
}

static void
draw(struct console *console, int64_t now)
{
	struct buf *next = &console->next, *drawn = &console->drawn;

	if (console->held || now - console->drawn_at < DRAW_MIN_MS)
		return;
	buf_clear(next);
	page_draw(next, &console->page, console->screen);
	bool same = !next->failed && next->len == drawn->len &&
	    memcmp(next->data, drawn->data, next->len) == 0;

	if (next->failed || (same && now - console->drawn_at < REDRAW_MS))
		return;
	console->drawn_at = now;
	if (!put((const char *)next->data, next->len))
		return; /* drawn anew with the next look */
	struct buf old = *drawn;

	*drawn = *next;
	*next = old;
}

/* False when the terminal is gone. */
static bool
hear(struct console *console, int64_t now)
{
	uint8_t bytes[64];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n == 0)
		return console->is_terminal; /* VMIN is 0: nothing there */
	if (!keys_page_up(&console->keys, bytes, (size_t)n))
		return true;
	if (console->held) {
		/* What was shown once is not to be scrolled back to. */
		static const char wipe[] = "\033[2J\033[3J";

		console->held = !put(wipe, sizeof(wipe) - 1);
	} else {
		console->screen =
		    (console->screen + 1) % page_screens(&console->page);
		console->turned_at = now;
	}
	return true;
}

/* Keys that are shown once stand there: root's unit of the first boot says so
 * by a file. */
static bool
is_held(const char *folder)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" HOLD_FILE, folder);

	return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

static int
show(struct console *console)
{
	int64_t looked_at = 0;
	bool listens = true;
	struct pollfd in[2] = { { .events = POLLIN }, { .events = POLLIN } };
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
		return EXIT_FAILURE;
	in[0].fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (in[0].fd < 0)
		return EXIT_FAILURE;
	terminal_begin(console);
	console->held = is_held(console->folder);
	while (in[0].revents == 0) {
		int64_t now = clock_boottime_ms();

		if (looked_at == 0 || now - looked_at >= LOOK_MS) {
			look(console);
			looked_at = now;
		}
		if (console->screen != 0 &&
		    now - console->turned_at > FIRST_AGAIN_MS)
			console->screen = 0;
		draw(console, now);
		in[1].fd = listens ? STDIN_FILENO : -1;
		if (poll(in, 2, DRAW_MIN_MS) > 0 && in[1].revents != 0) {
			listens = hear(console, now);
			/* However fast bytes come: ten turns a second. */
			(void)poll(NULL, 0, DRAW_MIN_MS / 2);
		}
	}
	terminal_end(console);
	close(in[0].fd);
	return EXIT_SUCCESS;
}

static int
print(struct console *console)
{
	look(console);
	for (size_t i = 0; i < console->page.n; i++)
		puts(console->page.line[i]);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static struct console console = {
		.folder = FOLDER_DEFAULT,
		.image = IMAGE_DEFAULT,
	};
	bool once = false;
	int status = read_options(&console, &once, argc, argv);

	if (status >= 0)
		return status;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return EXIT_FAILURE;
	status = once ? print(&console) : show(&console);
	gather_release(&console.gather);
	buf_release(&console.drawn);
	buf_release(&console.next);
	return status;
}
