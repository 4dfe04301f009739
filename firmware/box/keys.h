/*
 * The one key that the console knows, out of the bytes that terminals send:
 * Page Up is ESC [ 5 ~. All else is passed over, however long or broken. It
 * must not know what the key does.
 */
#ifndef FIRMWARE_BOX_KEYS_H
#define FIRMWARE_BOX_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Zero at first; goes on over the pieces in which bytes come. */
struct keys {
	unsigned int matched; /* bytes of the sequence so far */
};

/** Was it among them? */
bool keys_page_up(struct keys *keys, const uint8_t *bytes, size_t len);

#endif
