#include "agent/cli/screen.h"

#include "agent/cli/visible.h"
#include "shared/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define WATCH_S_DEFAULT 2
/* What a frame says on standard error, at most. */
#define ERRORS_MAX 4096

/* Alternate screen, no cursor, no wrapping; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"
#define HOME "\033[H"
#define END_OF_LINE "\033[K\r\n"
#define END_OF_SCREEN "\033[J"

/* --- facts ---------------------------------------------------------------- */

static bool
is_terminal(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDOUT_FILENO) && kind != NULL && kind[0] != '\0' &&
	    strcmp(kind, "dumb") != 0;
}

static void
size_of_screen(unsigned int *columns, unsigned int *rows)
{
	struct winsize size = { 0 };

	*columns = *rows = 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		return;
	*columns = size.ws_col > 0 ? size.ws_col : 80;
	*rows = size.ws_row > 0 ? size.ws_row : 24;
}

unsigned int
screen_columns(void)
{
	unsigned int columns, rows;

	size_of_screen(&columns, &rows);
	return columns;
}

static bool
has_tones(void)
{
	const char *none = getenv("NO_COLOR");

	return is_terminal() && (none == NULL || none[0] == '\0');
}

const char *
screen_tone(enum screen_tone tone)
{
	static const char *const tones[] = {
		[TONE_PLAIN] = "",
		[TONE_GOOD] = "\033[32m",
		[TONE_WARNING] = "\033[33m",
		[TONE_BAD] = "\033[1;31m",
	};

	return has_tones() ? tones[tone] : "";
}

const char *
screen_tone_end(void)
{
	return has_tones() ? "\033[0m" : "";
}

/* --- the option ----------------------------------------------------------- */

static void
drop(int *argc, char **argv, int at, int n)
{
	for (int i = at; i + n <= *argc; i++)
		argv[i] = argv[i + n];
	*argc -= n;
}

int
screen_watch_option(uint64_t *seconds, int *argc, char **argv)
{
	static const char name[] = "--watch";
	size_t len = sizeof(name) - 1;

	for (int i = 1; i < *argc; i++) {
		const char *value = NULL;

		if (strcmp(argv[i], "--") == 0)
			return 0;
		if (strncmp(argv[i], name, len) != 0 ||
		    (argv[i][len] != '\0' && argv[i][len] != '='))
			continue;
		if (argv[i][len] == '=')
			value = argv[i] + len + 1;
		else if (i + 1 < *argc && argv[i + 1][0] >= '0' &&
		    argv[i + 1][0] <= '9')
			value = argv[i + 1];
		*seconds = WATCH_S_DEFAULT;
		if (value != NULL &&
		    !cli_number(seconds, value, name, 1, WATCH_S_MAX))
			return -1;
		drop(argc, argv, i,
		    value != NULL && argv[i][len] == '\0' ? 2 : 1);
		return 1;
	}
	return 0;
}

/* --- drawing again and again ---------------------------------------------- */

struct watch {
	struct cli *cli;
	uint64_t seconds;
	screen_draw *draw;
	void *ctx;
	bool terminal; /* drawn in place */
	bool typed; /* keys are read */
	bool quit;
	bool resized;
	int signals;
	int errors; /* what frames say on standard error */
	int stderr_fd; /* the real one */
	struct termios before;
};

/* All of it, now: standard output is not buffered meanwhile. */
static bool
put(const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void
enter(struct watch *watch)
{
	struct termios quiet;

	if (watch->typed && tcgetattr(STDIN_FILENO, &watch->before) == 0) {
		quiet = watch->before;
		quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		quiet.c_cc[VMIN] = 0;
		quiet.c_cc[VTIME] = 0;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	(void)put(ENTER, sizeof(ENTER) - 1);
}

static void
leave(struct watch *watch)
{
	(void)put(LEAVE, sizeof(LEAVE) - 1);
	if (watch->typed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &watch->before);
}

/* Ctrl-Z: the terminal is the shell's until we are continued. */
static void
suspend(struct watch *watch)
{
	leave(watch);
	raise(SIGSTOP);
	enter(watch);
	watch->resized = true;
}

static void
take_signals(struct watch *watch)
{
	struct signalfd_siginfo info;

	while (read(watch->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH || info.ssi_signo == SIGCONT)
			watch->resized = true;
		else if (info.ssi_signo == SIGTSTP && watch->terminal)
			suspend(watch);
		else if (info.ssi_signo == SIGTSTP)
			raise(SIGSTOP);
		else
			watch->quit = true;
	}
}

static void
take_keys(struct watch *watch)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	for (ssize_t i = 0; i < n; i++)
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 3 ||
		    keys[i] == 4)
			watch->quit = true;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		watch->typed = false; /* nobody types there any more */
}

/* Until something happens or the time is over. */
static void
take_events(struct watch *watch, int64_t wait_ms)
{
	struct pollfd fds[2] = {
		{ .fd = watch->signals, .events = POLLIN },
		{ .fd = watch->typed ? STDIN_FILENO : -1, .events = POLLIN },
	};

	if (poll(fds, 2, (int)wait_ms) <= 0)
		return;
	if (fds[0].revents != 0)
		take_signals(watch);
	if (fds[1].revents != 0)
		take_keys(watch);
}

/* A question to a site that does not answer must not keep a person. */
static bool
is_cancelled(void *ctx)
{
	struct watch *watch = ctx;

	take_events(watch, 0);
	return watch->quit;
}

/* Draw with standard error turned aside; what was said there follows. */
static int
draw_frame(struct watch *watch, struct frame *frame)
{
	char errors[ERRORS_MAX];
	ssize_t n = 0;

	if (watch->errors >= 0)
		dup2(watch->errors, STDERR_FILENO);
	int status = watch->draw(watch->ctx, frame);

	if (watch->errors < 0)
		return status;
	dup2(watch->stderr_fd, STDERR_FILENO);
	n = pread(watch->errors, errors, sizeof(errors) - 1, 0);
	if (n > 0) {
		errors[n] = '\0';
		visible_add_lines(&frame->out, errors);
	}
	if (ftruncate(watch->errors, 0) != 0 ||
	    lseek(watch->errors, 0, SEEK_SET) < 0)
		return CLI_FAILED;
	return status;
}

struct drawing {
	struct buf screen;
	const struct frame *frame;
	unsigned int row; /* that comes next */
	unsigned int left; /* rows that did not fit */
};

static void
draw_line(struct drawing *drawing, const char *text, size_t len)
{
	do {
		size_t size = visible_fit(text, len, drawing->frame->columns);

		if (size == 0 && len > 0)
			size = len; /* a screen of one column */
		if (drawing->row + 1 < drawing->frame->rows) {
			/* The blank at which it was parted is not shown. */
			bool parted =
			    size > 1 && size < len && text[size - 1] == ' ';

			buf_add(&drawing->screen, text, size - parted);
			buf_add_str(&drawing->screen, END_OF_LINE);
			drawing->row++;
		} else {
			drawing->left++;
		}
		text += size;
		len -= size;
	} while (len > 0);
}

/* The lines of a frame from the top left; what does not fit is counted. */
static bool
show_frame(const struct frame *frame)
{
	const char *at = (const char *)frame->out.data;
	const char *end = at + frame->out.len;
	struct drawing drawing = { .frame = frame };

	buf_add_str(&drawing.screen, HOME);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (stop == NULL)
			stop = end;
		draw_line(&drawing, at, (size_t)(stop - at));
		at = stop < end ? stop + 1 : end;
	}
	buf_add_str(&drawing.screen, END_OF_SCREEN);
	if (drawing.left > 0)
		buf_printf(&drawing.screen, "(%u more lines do not fit)",
		    drawing.left);
	bool shown = !drawing.screen.failed &&
	    put(drawing.screen.data, drawing.screen.len);

	buf_release(&drawing.screen);
	return shown;
}

static void
add_title(struct frame *frame, const struct watch *watch)
{
	char now[32];

	cli_time(now, clock_wall_ms());
	buf_printf(&frame->out, "%s, every %llu s; q ends it\n\n", now,
	    (unsigned long long)watch->seconds);
}

static int
watch_run(struct watch *watch)
{
	struct frame frame = { 0 };
	int status = CLI_DONE;
	bool shown = true, first = true;

	while (!watch->quit && shown) {
		int64_t until =
		    clock_boottime_ms() + (int64_t)watch->seconds * 1000;

		buf_clear(&frame.out);
		watch->resized = false;
		if (watch->terminal) {
			size_of_screen(&frame.columns, &frame.rows);
			add_title(&frame, watch);
		} else if (!first) {
			buf_add_byte(&frame.out, '\n');
		}
		status = draw_frame(watch, &frame);
		if (watch->quit)
			break;
		shown = watch->terminal ? show_frame(&frame)
					: put(frame.out.data, frame.out.len);
		first = false;
		while (!watch->quit && !watch->resized &&
		    clock_boottime_ms() < until)
			take_events(watch, until - clock_boottime_ms());
	}
	buf_release(&frame.out);
	return shown ? status : CLI_FAILED;
}

int
screen_watch(struct cli *cli, uint64_t seconds, screen_draw *draw, void *ctx)
{
	struct watch watch = {
		.cli = cli,
		.seconds = seconds,
		.draw = draw,
		.ctx = ctx,
		.terminal = is_terminal() && !cli->json,
		.errors = -1,
		.stderr_fd = -1,
	};
	sigset_t set, before;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, &before);
	watch.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (watch.signals < 0) {
		cli_say("cannot wait for signals: %s", strerror(errno));
		sigprocmask(SIG_SETMASK, &before, NULL);
		return CLI_FAILED;
	}
	watch.typed = watch.terminal && isatty(STDIN_FILENO);
	if (watch.terminal) {
		watch.stderr_fd = dup(STDERR_FILENO);
		watch.errors = watch.stderr_fd < 0
		    ? -1
		    : memfd_create("errors", MFD_CLOEXEC);
		enter(&watch);
	}
	cli->cancelled = is_cancelled;
	cli->cancelled_ctx = &watch;
	status = watch_run(&watch);
	cli->cancelled = NULL;
	if (watch.terminal)
		leave(&watch);
	if (watch.errors >= 0)
		close(watch.errors);
	if (watch.stderr_fd >= 0)
		close(watch.stderr_fd);
	close(watch.signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}
