/* What is said of a file and of its lines. See flexlm_inside.h. */
#include "agent/cli/flexlm_inside.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OPT RECORD_OPTIONAL

const char *const flexlm_status_names[] = { "taken", "not needed", "no effect",
	"differs", "no equal", "wrong", NULL };

static const struct record_field flexlm_remark_fields[] = {
	R_U32(flexlm_remark, line, 1, UINT32_MAX, 0, "Its number in the file."),
	R_ENUM(flexlm_remark, status, flexlm_status_names, 0,
	    "What became of it."),
	R_TEXT(flexlm_remark, option, 0, 31, OPT, "Its option."),
	R_TEXT(flexlm_remark, text, 0, 159, OPT, "The line."),
	R_TEXT(flexlm_remark, rule, 0, 63, OPT,
	    "The first rule that says it; of GROUP the group."),
	R_TEXT(flexlm_remark, reason, 0, 511, OPT, "Why."),
};
RECORD_DEFINE(flexlm_remark, 1, "What became of a line.");

static const struct record_field flexlm_note_fields[] = {
	R_TEXT(flexlm_note, note, 1, 255, 0, "About the file as a whole."),
};
const struct record flexlm_note_record = { .name = "flexlm_note",
	.doc = "A note.",
	.version = 1,
	.size = sizeof(struct flexlm_note),
	.fields = flexlm_note_fields,
	.n_fields = 1,
	.bare = true };

static const struct record_field flexlm_report_fields[] = {
	R_U32(flexlm_report, taken, 0, FLEXLM_LINES_MAX, 0,
	    "Lines that the policy says."),
	R_U32(flexlm_report, not_needed, 0, FLEXLM_LINES_MAX, 0,
	    "Lines that bound nothing here."),
	R_U32(flexlm_report, without_effect, 0, FLEXLM_LINES_MAX, 0,
	    "Lines that FlexNet does not heed either."),
	R_U32(flexlm_report, differs, 0, FLEXLM_LINES_MAX, 0,
	    "Lines that the policy does not say exactly."),
	R_U32(flexlm_report, no_equal, 0, FLEXLM_LINES_MAX, 0,
	    "Lines that nothing here says."),
	R_U32(flexlm_report, wrong, 0, FLEXLM_LINES_MAX, 0,
	    "Lines that were not understood."),
	R_LIST(flexlm_report, lines, &flexlm_remark_record, 0, FLEXLM_LINES_MAX,
	    0, "Line by line."),
	R_LIST(flexlm_report, notes, &flexlm_note_record, 0, 16, 0,
	    "About the file as a whole."),
};
RECORD_DEFINE(flexlm_report, 1, "What became of an options file.");

void
flexlm_mend(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && !text_is_utf8(text, len))
		for (size_t i = len; i > 0; i--)
			if (((unsigned char)text[i - 1] & 0xc0) != 0x80) {
				/* Only its end can be ill-formed: it was cut. */
				len = i - 1;
				text[len] = '\0';
				break;
			} else if (i == 1) {
				len = 0;
				text[0] = '\0';
			}
}

void
flexlm_say(struct flexlm_work *w, uint32_t at, enum flexlm_status status,
    const char *format, ...)
{
	struct flexlm_remark *remark = &w->remarks[at];
	size_t len = strlen(remark->reason);
	va_list args;

	if (status > remark->status)
		remark->status = status;
	if (format == NULL)
		return;
	if (len > 0 && len + 2 < sizeof remark->reason)
		len += (size_t)snprintf(remark->reason + len,
		    sizeof remark->reason - len, "; ");
	va_start(args, format);
	vsnprintf(remark->reason + len, sizeof remark->reason - len, format,
	    args);
	va_end(args);
	flexlm_mend(remark->reason);
}

void
flexlm_add_note(struct flexlm_work *w, const char *format, ...)
{
	struct flexlm_note *note;
	va_list args;

	if (w->report->notes.count >= 16)
		return;
	note = flexlm_add(w, &w->report->notes, sizeof *note);
	if (note == NULL)
		return;
	va_start(args, format);
	vsnprintf(note->note, sizeof note->note, format, args);
	va_end(args);
	flexlm_mend(note->note);
}

/* Lists double: what they leave behind in the arena is no more than they are.
 */
void *
flexlm_add(struct flexlm_work *w, struct record_list *list, size_t size)
{
	if (w->err != 0)
		return NULL;
	if ((list->count & (list->count - 1)) == 0) {
		uint32_t room = list->count == 0 ? 1 : list->count * 2;
		void *items = arena_alloc(w->arena, room * size);

		if (items == NULL) {
			w->err = ERR_NOMEM;
			return NULL;
		}
		if (list->count > 0)
			memcpy(items, list->items, list->count * size);
		list->items = items;
	}
	return (char *)list->items + size * list->count++;
}

void
flexlm_start_remark(struct flexlm_remark *remark,
    const struct flexlm_line *line)
{
	struct buf text = { .max = sizeof remark->text };

	*remark = (struct flexlm_remark){ .line = line->number };
	for (uint32_t i = 0; i < line->n_words && !text.failed; i++) {
		const char *word = line->words[i];
		bool quoted = word[0] == '\0' || strchr(word, ' ') != NULL;

		buf_printf(&text, "%s%s%.*s%s", i > 0 ? " " : "",
		    quoted ? "\"" : "", (int)(sizeof remark->text - 8), word,
		    quoted ? "\"" : "");
	}
	if (text.failed && text.data != NULL) {
		size_t n = text.len < sizeof remark->text - 5
		    ? text.len
		    : sizeof remark->text - 5;

		text_copy_n(remark->text, sizeof remark->text,
		    (const char *)text.data, n);
		flexlm_mend(remark->text);
		n = strlen(remark->text);
		memcpy(remark->text + n, " ...", sizeof " ...");
	} else {
		text_copy(remark->text, sizeof remark->text, buf_text(&text));
	}
	buf_release(&text);
	if (!text_is_printable(remark->text, strlen(remark->text)))
		remark->text[0] = '\0';
	if (!text_is_printable(line->words[0], strlen(line->words[0])))
		return;
	snprintf(remark->option, sizeof remark->option, "%s", line->words[0]);
	flexlm_mend(remark->option);
}
