/*
 * Text as a terminal shows it: how many columns it takes, and nothing in it
 * that steers the terminal. User, host and device names are claims of
 * strangers: control characters, bytes that are no UTF-8 and marks that turn
 * the direction of text are shown as \u{202e} and \x9b. It must not know what
 * is shown.
 */
#ifndef AGENT_CLI_VISIBLE_H
#define AGENT_CLI_VISIBLE_H

#include "shared/base/buf.h"

/** Once, before the first use: widths are the C library's for UTF-8, whatever
 * the user's locale. Without that locale all but ASCII is escaped. */
void visible_init(void);

/**
 * Append the text as it is safe to show. What takes more than `most` columns
 * is cut and ends with an ellipsis; 0: it is not cut.
 *
 * @param[out] out  May be NULL: then it is only measured.
 * Returns the columns it takes.
 */
unsigned int visible_add(struct buf *out, const char *text, size_t len,
    unsigned int most);

/** Columns of a whole text. */
unsigned int visible_width(const char *text);

/**
 * How many bytes of a text that is safe to show fit a row of `most` columns: up
 * to and with the last blank, if there is one, which need not be shown. Tones (SGR sequences of our own) take no
 * column.
 */
size_t visible_fit(const char *text, size_t len, unsigned int most);

/** Append such a text in rows of `most` columns (0: one row), the first of them
 * after `indent` columns, the others after as many blanks. */
void visible_add_wrapped(struct buf *out, const char *text, unsigned int most,
    unsigned int indent);

/** Append lines that were put together from strangers' texts; new lines stay.
 */
void visible_add_lines(struct buf *out, const char *text);

#endif
