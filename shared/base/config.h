/*
 * Configuration: INI files (inih) read into a struct by a table. A key that
 * the table does not know is an error that names file, line and key and says
 * which known key is closest; so is a value out of bounds. It must not know
 * what the settings mean.
 */
#ifndef SHARED_BASE_CONFIG_H
#define SHARED_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_TEXT, /* char[size], 0 to size - 1 bytes */
	CONFIG_NUMBER, /* int64_t within min..max */
	CONFIG_BOOL, /* bool: yes, no, true, false, on, off */
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	size_t offset;
	size_t size;
	int64_t min, max;
	const char *doc;
};

/** An INI file's longest line, bytes. */
#define CONFIG_LINE_MAX 1024

/**
 * Read a file over the defaults already in `settings`.
 * @param keys   ends with an entry whose name is NULL
 * @param error  room for one line for people: "FILE:LINE: ..."
 * Returns 0, ERR_NOT_FOUND or ERR_BAD_REQUEST. A key set twice is refused.
 */
int config_read(void *settings, const struct config_key *keys, const char *path,
    char *error, size_t error_size);

/** The same for text in memory (tests, fuzzers); `name` stands for the file. */
int config_read_text(void *settings, const struct config_key *keys,
    const char *name, const char *text, char *error, size_t error_size);

#endif
