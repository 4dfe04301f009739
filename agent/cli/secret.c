#include "agent/cli/secret.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* --- lines ---------------------------------------------------------------- */

int
secrets_open(struct secrets *secrets, int *argc, char **argv)
{
	const char *value;
	uint64_t fd;
	int found = cli_option(&value, argc, argv, "--password-fd");

	secrets->fd = -1;
	if (found < 0)
		return CLI_USAGE;
	if (found == 0)
		return CLI_DONE;
	if (!cli_number(&fd, value, "--password-fd", 0, 1023))
		return CLI_USAGE;
	if (fcntl((int)fd, F_GETFD) < 0) {
		cli_say("--password-fd %s: this descriptor is not open", value);
		return CLI_USAGE;
	}
	secrets->fd = (int)fd;
	return CLI_DONE;
}

/* Byte by byte: what follows the line is for the next one who reads. */
static bool
read_line(char out[SECRET_MAX + 1], int fd)
{
	size_t n = 0;
	char c;

	for (;;) {
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || c == '\n')
			break;
		if (n == SECRET_MAX)
			return false;
		out[n++] = c;
	}
	if (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
	return true;
}

static bool
read_hidden(char out[SECRET_MAX + 1], const char *prompt)
{
	struct termios shown, hidden;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &shown) != 0) {
		if (fd >= 0)
			close(fd);
		cli_say("there is no terminal to ask for it: use "
			"--password-fd");
		return false;
	}
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	bool ok = tcsetattr(fd, TCSAFLUSH, &hidden) == 0 &&
	    dprintf(fd, "%s: ", prompt) > 0 && read_line(out, fd);

	(void)tcsetattr(fd, TCSAFLUSH, &shown);
	(void)dprintf(fd, "\n");
	close(fd);
	if (!ok)
		cli_say("%s: longer than %d bytes", prompt, SECRET_MAX);
	return ok;
}

int
secrets_read(char out[SECRET_MAX + 1], const struct secrets *secrets,
    const char *prompt, bool empty)
{
	out[0] = '\0';
	if (secrets->fd < 0) {
		if (!read_hidden(out, prompt))
			return CLI_USAGE;
	} else if (!read_line(out, secrets->fd)) {
		cli_say("%s: longer than %d bytes", prompt, SECRET_MAX);
		return CLI_USAGE;
	}
	if (out[0] != '\0' || empty)
		return CLI_DONE;
	cli_say("%s: nothing was given", prompt);
	return CLI_USAGE;
}

int
secrets_read_new(char out[SECRET_MAX + 1], const struct secrets *secrets,
    const char *prompt)
{
	char again[SECRET_MAX + 1], words[64];
	int status = secrets_read(out, secrets, prompt, false);

	if (status != CLI_DONE || secrets->fd >= 0)
		return status;
	snprintf(words, sizeof(words), "%s again", prompt);
	status = secrets_read(again, secrets, words, true);
	if (status == CLI_DONE && strcmp(out, again) != 0) {
		cli_say("that is not the same twice");
		status = CLI_USAGE;
	}
	sodium_memzero(again, sizeof(again));
	return status;
}

/* --- the session ---------------------------------------------------------- */

#define FILE_MAX 1024
#define FOLDER_MAX 448

static bool
folder_of(char out[FOLDER_MAX])
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int n = -1;

	/* A relative one is to be ignored, says the standard. */
	if (state != NULL && state[0] == '/')
		n = snprintf(out, FOLDER_MAX, "%s", state);
	else if (home != NULL && home[0] == '/')
		n = snprintf(out, FOLDER_MAX, "%s/.local/state", home);
	return n > 0 && n < FOLDER_MAX - 32;
}

static bool
path_of(char out[512])
{
	char folder[FOLDER_MAX];

	return folder_of(folder) &&
	    snprintf(out, 512, "%s/leasehold/session", folder) < 512;
}

/* Every folder on the way, for us alone. */
static bool
make_folders(const char *path)
{
	char part[512];

	for (const char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
		text_copy_n(part, sizeof(part), path, (size_t)(p - path));
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return false;
	}
	return true;
}

/* "URL\nTOKEN\n" */
static bool
split(char **server, char **token, char *text)
{
	char *end = strchr(text, '\n');

	if (end == NULL)
		return false;
	*end = '\0';
	*server = text;
	*token = end + 1;
	end = strchr(*token, '\n');
	if (end != NULL)
		*end = '\0';
	return strncmp(*token, "lhus_", 5) == 0;
}

void
login_use(struct cli *cli)
{
	char path[512], *server, *token;
	uint8_t *data = NULL;
	struct stat facts;
	size_t len;

	if (cli->key_given || !path_of(path) || stat(path, &facts) != 0)
		return;
	if (facts.st_uid != geteuid() || (facts.st_mode & 077) != 0) {
		if (!cli->json)
			cli_say("the session in %s is not used, for others can "
				"read it; log in again: leasehold login",
			    path);
		return;
	}
	if (file_read(&data, &len, path, FILE_MAX) != 0)
		return;
	/* To another site it is of no use, and not to be shown. */
	if (split(&server, &token, (char *)data) &&
	    (cli->server[0] == '\0' || strcmp(server, cli->server) == 0)) {
		cli->session = text_copy(cli->key, sizeof(cli->key), token) &&
		    text_copy(cli->server, sizeof(cli->server), server);
	}
	sodium_memzero(data, len);
	free(data);
}

int
login_keep(const struct cli *cli, const struct record_span *token)
{
	struct buf text = { 0 };
	char path[512];
	int err = ERR_NOT_FOUND;

	if (!path_of(path)) {
		cli_say("there is no place for the session: set HOME or "
			"XDG_STATE_HOME");
		return CLI_FAILED;
	}
	buf_printf(&text, "%s\n%.*s\n", cli->server, (int)token->len,
	    (const char *)token->data);
	errno = 0;
	if (!text.failed && make_folders(path))
		err = file_write(path, text.data, text.len, 0600);
	if (text.data != NULL)
		sodium_memzero(text.data, text.len);
	buf_release(&text);
	if (err == 0)
		return CLI_DONE;
	cli_say("the session cannot be kept in %s: %s", path, strerror(errno));
	return CLI_FAILED;
}

void
login_forget(void)
{
	char path[512];

	if (path_of(path))
		(void)unlink(path);
}
