/* See code.h. */
#include "firmware/box/code.h"

#include "shared/base/err.h"

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#define BORDER 2

int
code_make(struct code *code, const char *text)
{
	/* 0: the smallest version that holds it. */
	QRcode *made = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 0);

	if (made == NULL)
		return errno == ENOMEM ? ERR_NOMEM : ERR_TOO_LARGE;
	int rc = made->width <= CODE_SIDE_MAX ? 0 : ERR_TOO_LARGE;

	memset(code, 0, sizeof(*code));
	for (int y = 0; rc == 0 && y < made->width; y++)
		for (int x = 0; x < made->width; x++)
			code->dark[y][x] = made->data[y * made->width + x] & 1;
	code->side = rc == 0 ? made->width : 0;
	QRcode_free(made);
	return rc;
}

size_t
code_rows(const struct code *code)
{
	return (size_t)(code->side + 2 * BORDER + 1) / 2;
}

static bool
is_light(const struct code *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->side || y >= code->side)
		return y < code->side + BORDER;
	return code->dark[y][x] == 0;
}

void
code_row(char *out, size_t size, const struct code *code, size_t row)
{
	/* nothing, the upper half, the lower one, both */
	static const char *const blocks[] = { " ", "\xe2\x96\x80",
		"\xe2\x96\x84", "\xe2\x96\x88" };
	int y = 2 * (int)row - BORDER;
	size_t used = 0;

	for (int x = -BORDER; x < code->side + BORDER; x++) {
		const char *block = blocks[(is_light(code, x, y) ? 1 : 0) |
		    (is_light(code, x, y + 1) ? 2 : 0)];
		size_t len = strlen(block);

		if (used + len >= size)
			break;
		memcpy(out + used, block, len);
		used += len;
	}
	out[used] = '\0';
}
