/*
 * An options file of FlexNet Publisher (FLEXlm), read: which option stands on
 * which line, and what it says of which feature and of whom. What an option
 * means, and what it would be here, stands in flexlm_policy.h. It must not know
 * policies, sites, files or the command line.
 *
 * The form is that of the License Administration Guide ("Managing the Options
 * File"): one option a line, a `\` at the end of a line goes on with the next, a
 * line that begins with `#` is a comment, options and types in either case,
 * names as they are written, and quotes around what has blanks in it.
 */
#ifndef AGENT_CLI_FLEXLM_H
#define AGENT_CLI_FLEXLM_H

#include "shared/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEXLM_BYTES_MAX ((size_t)4 << 20)
/** Options of one file. */
#define FLEXLM_LINES_MAX 20000
/** FlexNet reads so much of a line, what goes on with `\` included. */
#define FLEXLM_LINE_BYTES 4000

enum flexlm_option {
	FLEXLM_UNKNOWN,
	FLEXLM_GROUP,
	FLEXLM_HOST_GROUP,
	FLEXLM_GROUPCASEINSENSITIVE,
	FLEXLM_RESERVE,
	FLEXLM_MAX,
	FLEXLM_INCLUDE,
	FLEXLM_INCLUDEALL,
	FLEXLM_EXCLUDE,
	FLEXLM_EXCLUDEALL,
	FLEXLM_INCLUDE_BORROW,
	FLEXLM_EXCLUDE_BORROW,
	FLEXLM_TIMEOUT,
	FLEXLM_TIMEOUTALL,
	FLEXLM_LINGER,
	FLEXLM_MAX_BORROW_HOURS,
	FLEXLM_BORROW_LOWWATER,
	FLEXLM_MAX_OVERDRAFT,
	FLEXLM_FQDN_MATCHING,
	FLEXLM_ENTITLEMENT, /* all that are about trusted storage */
	FLEXLM_DEBUGLOG,
	FLEXLM_REPORTLOG,
	FLEXLM_NOLOG,
	FLEXLM_DAEMON, /* all that are about the vendor daemon itself */
};

/** Whom an option names, and how. */
enum flexlm_type {
	FLEXLM_NOBODY, /* the option has none */
	FLEXLM_BY_USER,
	FLEXLM_BY_HOST,
	FLEXLM_BY_DISPLAY,
	FLEXLM_BY_INTERNET,
	FLEXLM_BY_PROJECT,
	FLEXLM_BY_GROUP,
	FLEXLM_BY_HOST_GROUP,
};

/** A feature, or one pool of its licenses: "f1", "f1:VERSION=2.0". */
struct flexlm_feature {
	const char *name; /* NULL: the option has none */
	const char *key; /* "VERSION", as it is written; NULL: all pools */
	const char *value; /* "" where key has none */
};

struct flexlm_line {
	uint32_t number; /* from 1; of the first, where it goes on */
	uint32_t bytes; /* longer than FLEXLM_LINE_BYTES: FlexNet cuts it */
	enum flexlm_option option;
	struct flexlm_feature feature;
	enum flexlm_type type;
	const char *name; /* of a type or a group; or the option's only word */
	uint64_t number_said; /* seats, seconds, hours */
	const char *const *members; /* of a group */
	uint32_t n_members;
	/** NULL, or what is wrong with it; then the rest is not filled in. */
	const char *error;
	/** All its words as they are written; the first is the option. */
	const char *const *words;
	uint32_t n_words;
};

struct flexlm_file {
	struct flexlm_line *lines; /* those with an option, in order */
	uint32_t count;
};

/**
 * Read a file. What is wrong with a line is said in it; the others are read all
 * the same. Texts lie in the arena.
 *
 * @retval ERR_TOO_LARGE  More than FLEXLM_BYTES_MAX or FLEXLM_LINES_MAX, or than
 *                        the arena takes.
 * @retval ERR_NOMEM
 */
int flexlm_read(struct flexlm_file *out, const char *data, size_t len,
    struct arena *arena);

/** "f1", "f1:VERSION=2.0", "f1 VERSION=2.0". NULL, or what is wrong. */
const char *flexlm_read_feature(struct flexlm_feature *out, const char *word,
    struct arena *arena);

#endif
