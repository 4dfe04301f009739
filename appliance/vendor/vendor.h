/*
 * leasehold-vendor: the tool of the vendor's offline root key. It makes the
 * keys, signs the issuing key, issues licenses for activation requests, and
 * shows what documents say. One folder holds all of a vendor. It must not know
 * of networks, stores or running sites.
 *
 *   DIR/vendor.json   id and name                               0644
 *   DIR/root.key      root key, k4.secret; may be kept elsewhere 0600
 *   DIR/root.pub      its public half: pinned in applications   0644
 *   DIR/issuer.key    the issuing key, k4.secret                0600
 *   DIR/issuer.token  its validity, signed by the root key      0644
 *   DIR/serial.json   the last serial that was used             0644
 */
#ifndef APPLIANCE_VENDOR_VENDOR_H
#define APPLIANCE_VENDOR_VENDOR_H

#include "shared/license/license.h"

#include <limits.h>
#include <stdbool.h>

enum vendor_status { VENDOR_DONE, VENDOR_FAILED, VENDOR_USAGE };

/** Files that people hand in are small; more is refused unread. */
#define VENDOR_FILE_MAX ((size_t)1 << 20)

/* --- the command line ----------------------------------------------------- */

#define VENDOR_OPTIONS_MAX 8

struct vendor_option {
	const char *name; /* "--days" */
	const char *value; /* "N"; NULL: it stands alone */
	const char *doc;
	bool required;
};

struct vendor_call;

struct vendor_command {
	const char *name;
	const char *subject; /* "DIR": the one thing it is about */
	const char *doc;
	const char *example;
	const struct vendor_option *options; /* ends with a NULL name */
	/** Does it; returns an exit status. What went wrong has been said. */
	int (*run)(struct vendor_call *call);
};

extern const struct vendor_command vendor_init_command, vendor_issuer_command,
    vendor_issue_command, vendor_show_command;

/** One run of a command. */
struct vendor_call {
	const struct vendor_command *command;
	const char *subject;
	const char *values[VENDOR_OPTIONS_MAX]; /* by place; NULL: not given */
	bool json;
};

/** The whole program but for main: returns its exit status. */
int vendor_main(int argc, char **argv);

/** The value of an option, NULL when it was not given. */
const char *vendor_option(const struct vendor_call *call, const char *name);

/** A whole number from an option, within min..max; `absent` when not given.
 * Says what is wrong and returns VENDOR_USAGE. */
int vendor_option_number(uint64_t *number, const struct vendor_call *call,
    const char *name, uint64_t min, uint64_t max, uint64_t absent);

/**
 * Say what happened, what it means and the next command; texts without a full
 * stop, `next` may be NULL. Returns VENDOR_FAILED.
 */
int vendor_fail(const struct vendor_call *call, int err, const char *meaning,
    const char *next, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** Say it and go on. */
void vendor_warn(const struct vendor_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Why the system call behind err failed: errno's words where it has them. */
const char *vendor_reason(int err);

/** Print JSON that was made, or fail for lack of memory. */
int vendor_print(const struct vendor_call *call, struct buf *out);

/** Append `"key":"text"`. */
void vendor_add_member(struct buf *out, const char *key, const char *text);

/* --- the folder ----------------------------------------------------------- */

/** An open folder, locked against a second run. */
struct vendor_folder {
	const char *path;
	int fd;
	struct license_vendor vendor;
	uint8_t root[TOKEN_PUBLIC_BYTES];
};

/** Says what is wrong and returns VENDOR_FAILED; then there is nothing to
 * close. */
int vendor_folder_open(struct vendor_folder *folder,
    const struct vendor_call *call, const char *path);
void vendor_folder_close(struct vendor_folder *folder);

/** "DIR/name". False when it is too long. */
bool vendor_path(char out[PATH_MAX], const char *folder, const char *name);

/** The issuing key's document, verified by the root key: the token in `token`,
 * what it says in `issuer`. Says what is wrong. */
int vendor_issuer_read(struct license_issuer *issuer, struct buf *token,
    const struct vendor_folder *folder, const struct vendor_call *call);

/**
 * The serial for a new license: the one wanted, or (0) the next; written down
 * before it is used, so that none is used twice. Says what is wrong, warns of a
 * wanted one that is not above all others.
 */
int vendor_serial_take(uint64_t *serial, const struct vendor_folder *folder,
    uint64_t wanted, const struct vendor_call *call);

/* --- showing -------------------------------------------------------------- */

/** JSON for people: indented, control characters escaped. The text must be
 * well-formed (json_check). */
void vendor_pretty(struct buf *out, const char *json, size_t len,
    unsigned int indent);

#endif
