/*
 * A QR code as text of a terminal: two rows of modules a line, in half blocks,
 * light on dark. It must not know what the code says.
 */
#ifndef FIRMWARE_BOX_CODE_H
#define FIRMWARE_BOX_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Version 6: enough for an address, a port and a fingerprint. */
#define CODE_SIDE_MAX 41

struct code {
	int side; /* modules */
	uint8_t dark[CODE_SIDE_MAX][CODE_SIDE_MAX];
};

/** Text of QR's alphanumeric set, error correction L. Returns 0,
 * ERR_TOO_LARGE or ERR_NOMEM. */
int code_make(struct code *code, const char *text);

/** Lines of it, with a border of two modules. */
size_t code_rows(const struct code *code);

/** One line; `size` at least 3 bytes a column and one. */
void code_row(char *out, size_t size, const struct code *code, size_t row);

#endif
