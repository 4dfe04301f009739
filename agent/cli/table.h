/*
 * Columns for people: cells are kept, then each column is made as wide as its
 * widest cell and, where the terminal is narrower, those that may are cut.
 * Cells are strangers' text: visible.h. A long list is printed in parts whose
 * columns go on as they were. It must not know what the cells mean.
 */
#ifndef AGENT_CLI_TABLE_H
#define AGENT_CLI_TABLE_H

#include "shared/base/buf.h"

#define TABLE_COLUMNS_MAX 16

struct table_column {
	const char *name; /* "PRODUCT"; static */
	bool right; /* numbers stand to the right */
	/** May be cut to so many columns; 0: never. */
	unsigned int least;
	/** Left out where nothing stands in it. */
	bool spare;
};

/** Zero-initialise, then table_begin or table_head. */
struct table {
	struct buf cells; /* each NUL-terminated */
	struct buf marks; /* a byte a row: 1 is shown bold */
	struct table_column columns[TABLE_COLUMNS_MAX];
	unsigned int widths[TABLE_COLUMNS_MAX];
	unsigned int n_columns;
	unsigned int n_cells;
	unsigned int used; /* a bit for each column that holds something */
	bool head_shown;
	bool clip; /* lines end where the screen does */
};

void table_begin(struct table *table, unsigned int n,
    const struct table_column *columns);
/** All to the left, none cut. */
void table_head(struct table *table, unsigned int n, const char *const *names);
void table_cell(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** The row of the last cell is news. */
void table_mark(struct table *table);

/** Lines for a screen of `width` columns, 0: as wide as they are. The rows are
 * forgotten; the head comes once, widths stay or grow. False: out of memory,
 * nothing was appended. */
bool table_render(struct buf *out, struct table *table, unsigned int width);

/** The same on standard output, as wide as it is. */
void table_flush(struct table *table);
/** And the table is released. */
void table_print(struct table *table);
void table_end(struct table *table);

#endif
