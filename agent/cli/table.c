#include "agent/cli/table.h"

#include "agent/cli/cli.h"
#include "agent/cli/screen.h"
#include "agent/cli/visible.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define GAP 2
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

void
table_begin(struct table *table, unsigned int n,
    const struct table_column *columns)
{
	assert(n > 0 && n <= TABLE_COLUMNS_MAX);
	table->n_columns = n;
	memcpy(table->columns, columns, n * sizeof(columns[0]));
	for (unsigned int i = 0; i < n; i++)
		table->widths[i] = visible_width(columns[i].name);
}

void
table_head(struct table *table, unsigned int n, const char *const *names)
{
	struct table_column columns[TABLE_COLUMNS_MAX] = { 0 };

	assert(n <= TABLE_COLUMNS_MAX);
	for (unsigned int i = 0; i < n; i++)
		columns[i].name = names[i];
	table_begin(table, n, columns);
}

void
table_cell(struct table *table, const char *format, ...)
{
	char text[512];
	unsigned int at = table->n_cells % table->n_columns, width;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_add(&table->cells, text, strlen(text) + 1);
	if (at == 0)
		buf_add_byte(&table->marks, 0);
	width = visible_width(text);
	if (width > table->widths[at])
		table->widths[at] = width;
	if (width > 0 && !table->head_shown)
		table->used |= 1U << at;
	table->n_cells++;
}

void
table_mark(struct table *table)
{
	if (table->marks.len > 0 && !table->marks.failed)
		table->marks.data[table->marks.len - 1] = 1;
}

static bool
is_left_out(const struct table *table, unsigned int at)
{
	return table->columns[at].spare && (table->used & 1U << at) == 0;
}

/* Take columns away, one from the widest at a time, until the line fits or
 * nothing more may be cut. */
static void
fit(unsigned int widths[TABLE_COLUMNS_MAX], const struct table *table,
    unsigned int width)
{
	unsigned int total = 0;

	memcpy(widths, table->widths, sizeof(table->widths));
	for (unsigned int i = 0; i < table->n_columns; i++) {
		if (is_left_out(table, i))
			widths[i] = 0;
		else
			total += widths[i] + (total > 0 ? GAP : 0);
	}
	while (width != 0 && total > width) {
		unsigned int widest = TABLE_COLUMNS_MAX;

		for (unsigned int i = 0; i < table->n_columns; i++)
			if (table->columns[i].least != 0 &&
			    widths[i] > table->columns[i].least &&
			    (widest == TABLE_COLUMNS_MAX ||
				widths[i] > widths[widest]))
				widest = i;
		if (widest == TABLE_COLUMNS_MAX)
			return;
		widths[widest]--;
		total--;
	}
}

struct line {
	struct buf *out;
	unsigned int used; /* columns */
	unsigned int most; /* 0: no bound */
	unsigned int owed; /* spaces before the next text: none at the end */
};

static void
add_text(struct line *line, const char *text, unsigned int most)
{
	unsigned int room;

	if (text[0] == '\0')
		return;
	if (line->most != 0 && line->used + line->owed >= line->most)
		return;
	room = line->most == 0 ? 0 : line->most - line->used - line->owed;
	buf_printf(line->out, "%*s", (int)line->owed, "");
	line->used += line->owed;
	line->owed = 0;
	if (room == 0 || most < room)
		room = most;
	line->used += visible_add(line->out, text, strlen(text), room);
}

static void
add_cell(struct line *line, const struct table_column *column, const char *text,
    unsigned int width)
{
	unsigned int shown = visible_add(NULL, text, strlen(text), width);
	unsigned int pad = shown < width ? width - shown : 0;

	if (column->right)
		line->owed += pad;
	add_text(line, text, width);
	line->owed += GAP + (column->right ? 0 : pad);
}

static void
add_head(struct buf *out, const struct table *table,
    const unsigned int widths[TABLE_COLUMNS_MAX], unsigned int most)
{
	struct line line = { .out = out, .most = most };

	for (unsigned int i = 0; i < table->n_columns; i++)
		if (!is_left_out(table, i))
			add_cell(&line, &table->columns[i],
			    table->columns[i].name, widths[i]);
	buf_add_byte(out, '\n');
}

bool
table_render(struct buf *out, struct table *table, unsigned int width)
{
	unsigned int widths[TABLE_COLUMNS_MAX];
	unsigned int most = table->clip ? width : 0;
	const char *cell = (const char *)table->cells.data;
	struct line line = { .out = out, .most = most };

	if (table->cells.failed || table->marks.failed)
		return false;
	fit(widths, table, width);
	if (!table->head_shown)
		add_head(out, table, widths, most);
	table->head_shown = true;
	for (unsigned int i = 0; i < table->n_cells; i++) {
		unsigned int at = i % table->n_columns;
		bool bold = table->marks.data[i / table->n_columns] != 0;

		if (at == 0) {
			line.used = line.owed = 0;
			buf_add_str(out, bold ? BOLD : "");
		}
		if (!is_left_out(table, at))
			add_cell(&line, &table->columns[at], cell, widths[at]);
		if (at == table->n_columns - 1)
			buf_add_str(out, bold ? PLAIN "\n" : "\n");
		cell += strlen(cell) + 1;
	}
	buf_clear(&table->cells);
	buf_clear(&table->marks);
	table->n_cells = 0;
	return !out->failed;
}

void
table_end(struct table *table)
{
	buf_release(&table->cells);
	buf_release(&table->marks);
	memset(table, 0, sizeof(*table));
}

void
table_flush(struct table *table)
{
	struct buf out = { 0 };

	if (table_render(&out, table, screen_columns()))
		fwrite(out.data, 1, out.len, stdout);
	else
		cli_say("out of memory");
	buf_release(&out);
}

void
table_print(struct table *table)
{
	table_flush(table);
	table_end(table);
}
