/*
 * leasehold-box maintenance: a token of the site's owner opens a root shell on
 * the console, once, for its minutes (shared/box/maintenance.h). What is
 * remembered is on the disk before anything opens. The owner's public key is
 * the first one that a stick brings: who stands before a box without an owner
 * becomes it, and nobody after him.
 *
 * The token may come from the stick or from the daemon: neither is believed.
 * Owner, memory and the box's id lie where root alone writes.
 */
#include "firmware/box/gather.h"
#include "firmware/box/tool.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/box/maintenance_state.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "leasehold-box"
#define KEEP_DEFAULT "/data/etc"
#define SITE_DEFAULT "/data/leasehold/site.json"
#define FOLDER_DEFAULT "/run/leasehold/appliance"
#define OPEN_DEFAULT "/run/leasehold/maintenance"
#define OWNER_FILE "owner.pub"
#define MEMORY_FILE "maintenance.json"
#define LOCK_FILE "maintenance.lock"
#define MEMORY_BYTES_MAX 32768
#define SITE_BYTES_MAX 4096

static const char usage[] =
    "usage: leasehold-box maintenance [OPTION]... [FILE]\n"
    "\n"
    "Open a root shell on the console, when FILE is a token that this box's\n"
    "owner signed, for as long as it says. In any case the time is noted, and\n"
    "what is open no more.\n"
    "\n"
    "  --owner FILE        take this public key, where the box has no owner\n"
    "  --take              remove FILE once it is read\n"
    "  --ended             the shell has ended\n"
    "  --keep FOLDER       owner and what was used (default " KEEP_DEFAULT ")\n"
    "  --site-file FILE    whose site id counts (default " SITE_DEFAULT ")\n"
    "  --state-dir FOLDER  what daemon and console are told\n"
    "                      (default " FOLDER_DEFAULT ")\n"
    "  --open FOLDER       that starts the shell (default " OPEN_DEFAULT ")\n"
    "  --help              this text\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 refused.\n";

struct asked {
	const char *keep, *site_file, *folder, *open, *owner, *file;
	bool take, ended;
};

struct box {
	const struct asked *asked;
	bool owned;
	bool brought; /* the stick has the owner's key */
	uint8_t owner[TOKEN_PUBLIC_BYTES];
	char kid[TOKEN_KID_TEXT]; /* of it; "" */
	char site[64];
	struct maintenance_memory memory;
	struct maintenance_room room;
	struct arena arena;
};

/* An exit status, or -1 to go on. */
static int
read_options(struct asked *asked, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "owner", required_argument, NULL, 'w' },
		{ "keep", required_argument, NULL, 'k' },
		{ "site-file", required_argument, NULL, 'i' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "open", required_argument, NULL, 'o' },
		{ "take", no_argument, NULL, 't' },
		{ "ended", no_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (c == 't' || c == 'e') {
			*(c == 't' ? &asked->take : &asked->ended) = true;
			continue;
		}
		const char **to = c == 'w' ? &asked->owner
		    : c == 'k'             ? &asked->keep
		    : c == 'i'             ? &asked->site_file
		    : c == 's'             ? &asked->folder
		    : c == 'o'             ? &asked->open
					   : NULL;

		if (to == NULL) {
			fputs("try: leasehold-box maintenance --help\n",
			    stderr);
			return TOOL_USAGE;
		}
		*to = optarg;
	}
	if (optind + 1 < argc) {
		fputs("try: leasehold-box maintenance --help\n", stderr);
		return TOOL_USAGE;
	}
	asked->file = argv[optind]; /* NULL at the end */
	return -1;
}

static bool
path_of(char out[PATH_MAX], const char *folder, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", folder, name);

	return n > 0 && n < PATH_MAX;
}

/* --- the owner ------------------------------------------------------------ */

static int
read_public(uint8_t key[TOKEN_PUBLIC_BYTES], const char *path)
{
	char text[256];
	int len = gather_file(text, sizeof(text), AT_FDCWD, path);

	if (len < 0)
		return len;
	text[strcspn(text, "\r\n")] = '\0';
	return token_public_parse(key, text) == 0 ? 0 : ERR_BAD_TOKEN;
}

/* The first one stays. */
static int
take_owner(struct box *box)
{
	const struct asked *asked = box->asked;
	char path[PATH_MAX], kid[TOKEN_KID_TEXT];
	char text[TOKEN_PUBLIC_TEXT + 1];
	uint8_t key[TOKEN_PUBLIC_BYTES], was[TOKEN_PUBLIC_BYTES];

	if (!path_of(path, asked->keep, OWNER_FILE))
		return TOOL_FAILED;
	int rc = read_public(key, asked->owner);

	if (rc == ERR_NOT_FOUND)
		return EXIT_SUCCESS;
	if (rc != 0) {
		tool_notice(asked->folder, "owner",
		    "owner.pub: is no public key (k4.public...); nobody became "
		    "owner");
		log_error(NAME, "%s is no public key", asked->owner);
		return TOOL_REFUSED;
	}
	token_key_id(kid, key);
	rc = read_public(was, path);
	if (rc != ERR_NOT_FOUND) {
		box->brought = rc == 0 && memcmp(was, key, sizeof(key)) == 0;
		if (box->brought)
			return EXIT_SUCCESS;
		log_error(NAME, "the box has an owner; %s was not taken", kid);
		tool_notice(asked->folder, "owner",
		    "owner.pub: the box has another owner, who stays");
		return TOOL_REFUSED;
	}
	token_public_format(text, key);
	text[strlen(text) + 1] = '\0'; /* there is room for one more */
	text[strlen(text)] = '\n';
	rc = tool_write_changed(path, text, strlen(text), 0644);
	box->brought = rc == 1;
	if (rc == 1)
		log_info(NAME, "owner of this box, from now on: %s", kid);
	else
		tool_notice(asked->folder, "owner",
		    "the owner's key cannot be kept; see the log");
	return rc == 1 ? EXIT_SUCCESS : TOOL_FAILED;
}

/* --- what is known -------------------------------------------------------- */

struct site_words {
	char site[64];
	char name[128];
	uint32_t format;
	int64_t created_at;
};
static const struct record_field site_words_fields[] = {
	R_TEXT(site_words, site, 1, 63, 0, "The site's id."),
	R_TEXT(site_words, name, 0, 127, RECORD_OPTIONAL, "For people."),
	R_U32(site_words, format, 0, UINT32_MAX, RECORD_OPTIONAL, "Of it."),
	R_TIME(site_words, created_at, RECORD_OPTIONAL, "When it was made."),
};
static const struct record site_words_record = {
	.name = "site_words",
	.doc = "As the daemon's site.json.",
	.version = 1,
	.size = sizeof(struct site_words),
	.fields = site_words_fields,
	.n_fields = sizeof(site_words_fields) / sizeof(site_words_fields[0]),
};

static int
read_site(struct box *box)
{
	char text[SITE_BYTES_MAX + 1];
	struct site_words words;
	int len =
	    gather_file(text, sizeof(text), AT_FDCWD, box->asked->site_file);

	if (len >= 0 &&
	    record_read_json(&words, &site_words_record, text, (size_t)len,
		&box->arena, NULL) == 0) {
		text_copy(box->site, sizeof(box->site), words.site);
		return 0;
	}
	log_error(NAME, "%s: no site id is in it", box->asked->site_file);
	return ERR_NOT_FOUND;
}

/* A memory that cannot be read opens nothing: what was used is not known. */
static int
read_memory(struct box *box)
{
	char path[PATH_MAX];
	char text[MEMORY_BYTES_MAX + 1];

	if (!path_of(path, box->asked->keep, MEMORY_FILE))
		return ERR_TOO_LARGE;
	int len = gather_file(text, sizeof(text), AT_FDCWD, path);

	if (len == ERR_NOT_FOUND) {
		maintenance_begin(&box->memory);
		return 0;
	}
	if (len >= 0 &&
	    record_read_json(&box->memory, &maintenance_memory_record, text,
		(size_t)len, &box->arena, NULL) == 0)
		return 0;
	log_error(NAME, "%s cannot be read", path);
	return ERR_CORRUPT;
}

static int
keep_memory(struct box *box, const struct maintenance_grant *grant)
{
	struct buf out = { .max = MEMORY_BYTES_MAX };
	char path[PATH_MAX];
	int rc = ERR_TOO_LARGE;

	maintenance_use(&box->memory, &box->room, grant, clock_wall_ms());
	record_write_json(&out, &maintenance_memory_record, &box->memory);
	if (!out.failed && path_of(path, box->asked->keep, MEMORY_FILE))
		rc = file_write(path, out.data, out.len, 0600);
	if (rc != 0)
		log_error(NAME, "cannot keep what was used: %s", err_str(rc));
	buf_release(&out);
	return rc;
}

static int
read_owner(struct box *box)
{
	char path[PATH_MAX];
	int rc = path_of(path, box->asked->keep, OWNER_FILE)
	    ? read_public(box->owner, path)
	    : ERR_TOO_LARGE;

	box->owned = rc == 0;
	if (box->owned)
		token_key_id(box->kid, box->owner);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void
tell_state(const struct box *box)
{
	struct maintenance_state state = { .events = box->memory.events };

	text_copy(state.box, sizeof(state.box), box->memory.box);
	text_copy(state.owner, sizeof(state.owner), box->kid);
	int rc = maintenance_state_write(box->asked->folder, &state);

	if (rc != 0)
		log_error(NAME, "the daemon cannot be told: %s", err_str(rc));
}

/* One at a time: stick, daemon, clock and the shell's end all come here. */
static int
take_turn(const struct asked *asked)
{
	char path[PATH_MAX];
	int fd = -1;

	if (path_of(path, asked->keep, LOCK_FILE))
		fd =
		    open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		return fd;
	log_error(NAME, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- opening -------------------------------------------------------------- */

static const char *
words_of(int rc)
{
	switch (rc) {
	case ERR_BAD_TOKEN:
	case ERR_BAD_SIGNATURE:
		return "is no token that an owner signed";
	case ERR_UNTRUSTED:
		return "is signed by another key than this box's owner's";
	case ERR_MISMATCH:
		return "is for another box";
	case ERR_EXPIRED:
		return "is over, or signed ahead of this box's clock";
	case ERR_CLOCK_TAMPERED:
		return "cannot be dated: the box's clock was turned back";
	case ERR_GONE:
		return "was used already; each counts once";
	case ERR_CONFLICT:
		return "comes while another one is open";
	case ERR_BUSY:
		return "is one too many; wait until earlier ones are over";
	default:
		return "cannot be judged; see the log";
	}
}

/* The stick's stays in: the same refusal once more is no news. */
static bool
was_told(const struct box *box, const struct maintenance_event *event)
{
	const struct maintenance_event *events = box->memory.events.items;

	for (uint32_t i = 0; i < box->memory.events.count; i++)
		if (memcmp(events[i].id, event->id, sizeof(event->id)) == 0 &&
		    (events[i].step == MAINTENANCE_OPENED ||
			strcmp(events[i].reason, event->reason) == 0))
			return true;
	return false;
}

static int
refuse(struct box *box, const struct maintenance_grant *grant, int rc)
{
	struct maintenance_event event = {
		.step = MAINTENANCE_REFUSED,
		.minutes = grant->minutes,
		.at = maintenance_now(&box->memory, clock_wall_ms()),
	};
	char line[PAGE_NOTICE_MAX];

	memcpy(event.id, grant->id, sizeof(event.id));
	text_copy(event.reason, sizeof(event.reason), words_of(rc));
	snprintf(line, sizeof(line),
	    "maintenance: the token %s; nothing opened", words_of(rc));
	log_error(NAME, "%s", line);
	if (maintenance_open(&box->memory.events) == NULL)
		tool_notice(box->asked->folder, "maintenance", line);
	if (rc != ERR_CORRUPT && (box->asked->take || !was_told(box, &event))) {
		maintenance_note(&box->memory, &box->room, &event);
		(void)keep_memory(box, NULL);
	}
	if (rc != ERR_CORRUPT)
		tell_state(box);
	return TOOL_REFUSED;
}

/* The shell's unit waits for `until`; it holds CLOCK_BOOTTIME, which nobody can
 * set. `open` stays until the shell has ended, and goes with a restart. */
static int
open_shell(const struct asked *asked, const struct maintenance_grant *grant)
{
	char path[PATH_MAX], text[64];

	snprintf(text, sizeof(text), "%lld\n",
	    (long long)(clock_boottime_ms() + grant->minutes * INT64_C(60000)));
	int rc = path_of(path, asked->open, "open")
	    ? file_write(path, text, strlen(text), 0600)
	    : ERR_TOO_LARGE;

	if (rc == 0 && path_of(path, asked->open, "until"))
		rc = file_write(path, text, strlen(text), 0600);
	return rc;
}

static int
open_box(struct box *box, const struct maintenance_grant *grant)
{
	int64_t now = maintenance_now(&box->memory, clock_wall_ms());
	struct maintenance_event event = {
		.step = MAINTENANCE_OPENED,
		.at = now,
		.until = now + grant->minutes * INT64_C(60000),
		.minutes = grant->minutes,
	};
	char line[PAGE_NOTICE_MAX];

	if (mkdir(box->asked->open, 0700) != 0 && errno != EEXIST) {
		log_error(NAME, "%s: %s", box->asked->open, strerror(errno));
		return TOOL_FAILED;
	}
	memcpy(event.id, grant->id, sizeof(event.id));
	text_copy(event.owner, sizeof(event.owner), box->kid);
	text_copy(event.reason, sizeof(event.reason), grant->reason);
	maintenance_note(&box->memory, &box->room, &event);
	if (keep_memory(box, grant) != 0)
		return TOOL_FAILED;
	tell_state(box);
	snprintf(line, sizeof(line),
	    "MAINTENANCE: a root shell is open on the console for %u min: %s",
	    (unsigned)grant->minutes, grant->reason);
	log_warn(NAME, "%s; owner %s", line, box->kid);
	tool_notice(box->asked->folder, "maintenance", line);
	int rc = open_shell(box->asked, grant);

	if (rc != 0)
		log_error(NAME, "the shell cannot be started: %s (%s)",
		    err_str(rc), strerror(errno));
	return rc == 0 ? EXIT_SUCCESS : TOOL_FAILED;
}

/* What is open no more: the shell's unit says so, or the box was started again
 * since. */
static void
look_for_end(struct box *box)
{
	const struct maintenance_event *open =
	    maintenance_open(&box->memory.events);
	char path[PATH_MAX], text[64];
	uint64_t until = 0;

	if (open == NULL || !path_of(path, box->asked->open, "open"))
		return;
	int len = gather_file(text, sizeof(text), AT_FDCWD, path);

	if (len >= 0 && !box->asked->ended)
		return;
	struct maintenance_event event = {
		.step = MAINTENANCE_ENDED,
		.minutes = open->minutes,
		.at = maintenance_now(&box->memory, clock_wall_ms()),
	};

	memcpy(event.id, open->id, sizeof(event.id));
	text_copy(event.owner, sizeof(event.owner), open->owner);
	text[strcspn(text, "\n")] = '\0';
	text_copy(event.reason, sizeof(event.reason),
	    len < 0 ? "the box was started again"
		: text_to_u64(&until, text, strlen(text)) &&
		    clock_boottime_ms() >= (int64_t)until
		? "its time was over"
		: "it was left before its time");
	log_warn(NAME, "maintenance is closed: %s", event.reason);
	maintenance_note(&box->memory, &box->room, &event);
	tool_notice(box->asked->folder, "maintenance", NULL);
	if (unlink(path) != 0 && errno != ENOENT)
		log_error(NAME, "%s: %s", path, strerror(errno));
	if (path_of(path, box->asked->open, "until") && unlink(path) != 0 &&
	    errno != ENOENT)
		log_error(NAME, "%s: %s", path, strerror(errno));
}

static int
judge(struct box *box)
{
	struct maintenance_grant grant = { 0 };
	char token[MAINTENANCE_TOKEN_MAX + 2];
	int len = gather_file(token, sizeof(token), AT_FDCWD, box->asked->file);

	if (box->asked->take && unlink(box->asked->file) != 0 &&
	    errno != ENOENT)
		log_error(NAME, "%s: %s", box->asked->file, strerror(errno));
	if (len == ERR_NOT_FOUND)
		return EXIT_SUCCESS;
	if (len < 0)
		return refuse(box, &grant, ERR_BAD_TOKEN);
	len = (int)strcspn(token, "\r\n");
	if (!box->owned)
		return refuse(box, &grant, ERR_UNTRUSTED);
	int rc = read_site(box);

	if (rc == 0)
		rc = maintenance_judge(&grant, token, (size_t)len, box->owner,
		    box->site, &box->memory, clock_wall_ms());
	return rc == 0 ? open_box(box, &grant) : refuse(box, &grant, rc);
}

/* Whoever stands there with the owner's stick may want to sign for this box. */
static void
show_owner(const struct box *box)
{
	char line[PAGE_NOTICE_MAX];

	snprintf(line, sizeof(line), "this is %s, owned by %s", box->memory.box,
	    box->kid);
	tool_notice(box->asked->folder, "owner", line);
}

static int
run(struct box *box)
{
	int status = EXIT_SUCCESS;

	if (read_memory(box) != 0)
		return refuse(box, &(struct maintenance_grant){ 0 },
		    ERR_CORRUPT);
	if (box->asked->owner != NULL)
		status = take_owner(box);
	if (read_owner(box) != 0)
		return TOOL_FAILED;
	look_for_end(box);
	if (keep_memory(box, NULL) != 0)
		return TOOL_FAILED;
	tell_state(box);
	if (box->brought && box->owned)
		show_owner(box);
	return box->asked->file != NULL ? judge(box) : status;
}

int
tool_maintenance(int argc, char **argv)
{
	struct asked asked = {
		.keep = KEEP_DEFAULT,
		.site_file = SITE_DEFAULT,
		.folder = FOLDER_DEFAULT,
		.open = OPEN_DEFAULT,
	};
	struct box box = { .asked = &asked, .arena = { .max_bytes = 131072 } };
	int status = read_options(&asked, argc, argv);

	if (status >= 0)
		return status;
	int lock = take_turn(&asked);

	if (lock < 0)
		return TOOL_FAILED;
	status = run(&box);
	close(lock);
	arena_release(&box.arena);
	return status;
}
