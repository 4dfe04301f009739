/* JSON for people's eyes; see vendor.h. */
#include "appliance/vendor/vendor.h"

static void
new_line(struct buf *out, unsigned int indent)
{
	buf_add_byte(out, '\n');
	for (unsigned int i = 0; i < indent; i++)
		buf_add_str(out, "  ");
}

/* A string as it stands, at its opening quote; returns what is behind it. Such
 * bytes as JSON allows and a terminal obeys (DEL, C1) come out escaped. */
static const char *
add_string(struct buf *out, const char *p, const char *end)
{
	buf_add_byte(out, '"');
	for (p++; p < end && *p != '"'; p++) {
		uint8_t c = (uint8_t)*p;

		if (c == '\\' && p + 1 < end) {
			buf_add(out, p, 2);
			p++;
		} else if (c == 0x7f) {
			buf_add_str(out, "\\u007f");
		} else if (c == 0xc2 && p + 1 < end && (uint8_t)p[1] < 0xa0) {
			buf_printf(out, "\\u00%02x", (unsigned)(uint8_t)p[1]);
			p++;
		} else {
			buf_add_byte(out, c);
		}
	}
	buf_add_byte(out, '"');
	return p < end ? p + 1 : end;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *
add_open(struct buf *out, const char *p, const char *end, unsigned int *indent)
{
	char open = *p;
	char close = open == '{' ? '}' : ']';

	buf_add_byte(out, (uint8_t)open);
	p = skip_space(p + 1, end);
	if (p < end && *p == close) {
		buf_add_byte(out, (uint8_t)close);
		return p + 1;
	}
	new_line(out, ++*indent);
	return p;
}

void
vendor_pretty(struct buf *out, const char *json, size_t len,
    unsigned int indent)
{
	const char *end = json + len;
	const char *p = skip_space(json, end);

	for (; p < end; p = skip_space(p, end)) {
		switch (*p) {
		case '"':
			p = add_string(out, p, end);
			continue;
		case '{':
		case '[':
			p = add_open(out, p, end, &indent);
			continue;
		case '}':
		case ']':
			new_line(out, --indent);
			break;
		case ',':
			buf_add_byte(out, ',');
			new_line(out, indent);
			p++;
			continue;
		case ':':
			buf_add_str(out, ": ");
			p++;
			continue;
		default:
			break;
		}
		buf_add_byte(out, (uint8_t)*p++);
	}
}
