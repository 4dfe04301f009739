#include "shared/backup/passphrase.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define ROOM (ARCHIVE_PASSPHRASE_MAX + 2)

static int say(char *error, size_t error_size, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int
say(char *error, size_t error_size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, error_size, format, args);
	va_end(args);
	return err;
}

/* One line without its end; the rest of a terminal's line is thrown away. */
static int
read_line(struct passphrase *out, int fd)
{
	out->len = 0;
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			return ERR_CLOSED;
		if (n < 0)
			return ERR_IO;
		if (n == 0 || c == '\n')
			break;
		if (out->len < ROOM - 1)
			out->text[out->len++] = c;
	}
	if (out->len > 0 && out->text[out->len - 1] == '\r')
		out->len--;
	out->text[out->len] = '\0';
	return 0;
}

static int
read_file(struct passphrase *out, const char *path, char *error,
    size_t error_size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return say(error, error_size, ERR_NOT_FOUND,
		    "the passphrase's file %s cannot be opened: %s", path,
		    strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & 077) != 0) {
		close(fd);
		return say(error, error_size, ERR_FORBIDDEN,
		    "others may read the passphrase's file: chmod 600 %s",
		    path);
	}
	int rc = read_line(out, fd);

	close(fd);
	return rc == 0 ? 0
		       : say(error, error_size, rc,
			     "the passphrase's file %s cannot be read: %s",
			     path, strerror(errno));
}

static int
ask(struct passphrase *out, int tty, const char *prompt)
{
	struct termios before, hidden;
	int rc;

	if (tcgetattr(tty, &before) != 0)
		return ERR_IO;
	hidden = before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	/* Signals stay: Ctrl-C ends the program, and the shell sets its
	 * terminal right again. */
	if (tcsetattr(tty, TCSAFLUSH, &hidden) != 0)
		return ERR_IO;
	rc = write(tty, prompt, strlen(prompt)) < 0 ? ERR_IO
						    : read_line(out, tty);
	tcsetattr(tty, TCSAFLUSH, &before);
	return write(tty, "\n", 1) < 0 ? ERR_IO : rc;
}

static int
ask_terminal(struct passphrase *out, bool twice, char *error, size_t error_size)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty < 0)
		return say(error, error_size, ERR_NOT_FOUND,
		    "there is no terminal to ask for the passphrase: name a "
		    "file with --passphrase-file FILE");
	int rc = ask(out, tty, "Passphrase of the backup: ");

	if (rc == 0 && twice) {
		struct passphrase again = { sodium_malloc(ROOM), 0 };

		rc = again.text == NULL ? ERR_NOMEM
					: ask(&again, tty, "Once more: ");
		if (rc == 0 &&
		    (again.len != out->len ||
			sodium_memcmp(again.text, out->text, out->len) != 0))
			rc = say(error, error_size, ERR_BAD_REQUEST,
			    "the two are not the same; nothing was done");
		passphrase_release(&again);
	}
	close(tty);
	if (rc != 0 && error[0] == '\0')
		say(error, error_size, rc, "the terminal cannot be asked: %s",
		    strerror(errno));
	return rc;
}

int
passphrase_read(struct passphrase *out, const char *file, bool twice,
    char *error, size_t error_size)
{
	error[0] = '\0';
	*out = (struct passphrase){ sodium_malloc(ROOM), 0 };
	if (out->text == NULL)
		return say(error, error_size, ERR_NOMEM, "out of memory");
	int rc = file != NULL ? read_file(out, file, error, error_size)
			      : ask_terminal(out, twice, error, error_size);

	if (rc == 0 &&
	    (out->len < ARCHIVE_PASSPHRASE_MIN ||
		out->len > ARCHIVE_PASSPHRASE_MAX)) {
		snprintf(error, error_size,
		    "a passphrase is %d to %d bytes long",
		    ARCHIVE_PASSPHRASE_MIN, ARCHIVE_PASSPHRASE_MAX);
		rc = ERR_BAD_REQUEST;
	}
	if (rc != 0)
		passphrase_release(out);
	return rc;
}

void
passphrase_release(struct passphrase *passphrase)
{
	sodium_free(passphrase->text);
	*passphrase = (struct passphrase){ NULL, 0 };
}
