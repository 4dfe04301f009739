#include "agent/cli/csv.h"

#include <string.h>

void
csv_text(struct buf *out, const char *text, bool last)
{
	bool quoted = strpbrk(text, ",\"\r\n ") != NULL;

	if (quoted)
		buf_add_byte(out, '"');
	if (text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL)
		buf_add_byte(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_add_byte(out, '"');
		buf_add_byte(out, (uint8_t)*text);
	}
	buf_add_str(out, quoted ? "\"" : "");
	buf_add_str(out, last ? "\r\n" : ",");
}

void
csv_number(struct buf *out, uint64_t number, bool last)
{
	buf_printf(out, "%llu%s", (unsigned long long)number,
	    last ? "\r\n" : ",");
}
