/*
 * Comma-separated values (RFC 4180) for spreadsheets. A text that a
 * spreadsheet would take for a formula gets an apostrophe before it: names are
 * strangers' claims. It must not know what the values mean.
 */
#ifndef AGENT_CLI_CSV_H
#define AGENT_CLI_CSV_H

#include "shared/base/buf.h"

/** `last` ends the line. */
void csv_text(struct buf *out, const char *text, bool last);
void csv_number(struct buf *out, uint64_t number, bool last);

#endif
