/*
 * INI by inih, made strict; see config.h. inih's handler is told no line
 * numbers and its reader cuts long lines in silence, so the lines come through
 * a reader of our own, which counts them and refuses what inih would mend.
 */
#include "shared/base/config.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <ini.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_KEYS_MAX 128
#define CONFIG_FILE_MAX ((size_t)256 << 10)

struct reading {
	void *settings;
	const struct config_key *keys;
	const char *name;
	const char *next; /* the rest of the text */
	int line;
	bool failed;
	char *error;
	size_t error_size;
	bool seen[CONFIG_KEYS_MAX];
};

/* Keeps the first error, which names what to mend first. */
static int __attribute__((format(printf, 2, 3)))
refuse(struct reading *r, const char *format, ...)
{
	va_list args;

	if (r->failed)
		return 0;
	r->failed = true;
	int n = snprintf(r->error, r->error_size, "%s:%d: ", r->name, r->line);

	if (n < 0 || (size_t)n >= r->error_size)
		return 0;
	va_start(args, format);
	vsnprintf(r->error + n, r->error_size - (size_t)n, format, args);
	va_end(args);
	return 0;
}

static int
refuse_unknown(struct reading *r, const char *section, const char *name)
{
	const char *known[CONFIG_KEYS_MAX + 1];
	const char *elsewhere = NULL;
	size_t n = 0;

	for (const struct config_key *k = r->keys; k->name != NULL; k++) {
		if (strcmp(k->section, section) == 0)
			known[n++] = k->name;
		else if (strcmp(k->name, name) == 0)
			elsewhere = k->section;
	}
	known[n] = NULL;
	if (n == 0) {
		for (const struct config_key *k = r->keys; k->name != NULL; k++)
			known[n++] = k->section;
		known[n] = NULL;
		const char *closest = text_closest(section, known);

		if (closest != NULL)
			return refuse(r,
			    "unknown section [%s]; did you mean [%s]?", section,
			    closest);
		if (section[0] == '\0')
			return refuse(r, "\"%s\" stands before any [section]",
			    name);
		return refuse(r, "unknown section [%s]", section);
	}
	const char *closest = text_closest(name, known);

	if (closest != NULL)
		return refuse(r,
		    "unknown key \"%s\" in [%s]; did you mean \"%s\"?", name,
		    section, closest);
	if (elsewhere != NULL)
		return refuse(r, "\"%s\" belongs in [%s], not in [%s]", name,
		    elsewhere, section);
	return refuse(r, "unknown key \"%s\" in [%s]", name, section);
}

static bool
number_parse(int64_t *number, const char *text)
{
	bool negative = text[0] == '-';
	uint64_t size;

	if (negative)
		text++;
	if (!text_to_u64(&size, text, strlen(text)) || size > INT64_MAX)
		return false;
	*number = negative ? -(int64_t)size : (int64_t)size;
	return true;
}

static int
set_number(struct reading *r, const struct config_key *key, const char *value)
{
	int64_t number;

	if (!number_parse(&number, value) || number < key->min ||
	    number > key->max)
		return refuse(r,
		    "\"%s\" is a whole number from %lld to %lld, not \"%s\"",
		    key->name, (long long)key->min, (long long)key->max, value);
	memcpy((char *)r->settings + key->offset, &number, sizeof(number));
	return 1;
}

static int
set_bool(struct reading *r, const struct config_key *key, const char *value)
{
	static const char *const words[] = { "no", "yes", "false", "true",
		"off", "on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i]) != 0)
			continue;
		bool on = i % 2 == 1;

		memcpy((char *)r->settings + key->offset, &on, sizeof(on));
		return 1;
	}
	return refuse(r, "\"%s\" is yes or no, not \"%s\"", key->name, value);
}

static int
set_value(struct reading *r, const struct config_key *key, const char *value)
{
	switch (key->type) {
	case CONFIG_TEXT:
		if (strlen(value) >= key->size)
			return refuse(r, "\"%s\" holds at most %zu bytes",
			    key->name, key->size - 1);
		text_copy((char *)r->settings + key->offset, key->size, value);
		return 1;
	case CONFIG_NUMBER:
		return set_number(r, key, value);
	case CONFIG_BOOL:
		return set_bool(r, key, value);
	}
	return refuse(r, "\"%s\" has no type", key->name);
}

/* inih's handler: 1 goes on, 0 stops. */
static int
take_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;

	for (size_t i = 0; r->keys[i].name != NULL; i++) {
		const struct config_key *key = &r->keys[i];

		if (strcmp(key->section, section) != 0 ||
		    strcmp(key->name, name) != 0)
			continue;
		if (r->seen[i])
			return refuse(r, "\"%s\" in [%s] is set twice", name,
			    section);
		r->seen[i] = true;
		return set_value(r, key, value);
	}
	return refuse_unknown(r, section, name);
}

/* A [section] that no key follows is never told to the handler. */
static bool
section_is_known(struct reading *r, const char *line, size_t len)
{
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	if (len == 0 || *line != '[')
		return true;
	const char *end = memchr(line, ']', len);

	if (end == NULL) {
		refuse(r, "a section is written [name]");
		return false;
	}
	char section[CONFIG_LINE_MAX + 1];

	text_copy_n(section, sizeof(section), line + 1,
	    (size_t)(end - line) - 1);
	for (const struct config_key *k = r->keys; k->name != NULL; k++)
		if (strcmp(k->section, section) == 0)
			return true;
	refuse_unknown(r, section, "");
	return false;
}

/* inih's reader, with the meaning of fgets. */
static char *
take_line(char *out, int size, void *stream)
{
	struct reading *r = stream;

	if (r->failed || *r->next == '\0')
		return NULL;
	const char *line = r->next;
	size_t whole = strcspn(line, "\n");
	size_t len = whole;

	r->line++;
	r->next += whole + (line[whole] == '\n' ? 1 : 0);
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len > CONFIG_LINE_MAX || size < 0 || len >= (size_t)size) {
		refuse(r, "the line is longer than %d bytes", CONFIG_LINE_MAX);
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		if (line[i] != '\t' && (uint8_t)line[i] < 0x20) {
			refuse(r, "there is a control character in the line");
			return NULL;
		}
	}
	if (!text_is_utf8(line, len)) {
		refuse(r, "the line is not UTF-8");
		return NULL;
	}
	if (!section_is_known(r, line, len))
		return NULL;
	text_copy_n(out, (size_t)size, line, len);
	return out;
}

int
config_read_text(void *settings, const struct config_key *keys,
    const char *name, const char *text, char *error, size_t error_size)
{
	struct reading r = { .settings = settings,
		.keys = keys,
		.name = name,
		.next = text,
		.error = error,
		.error_size = error_size };
	size_t n = 0;

	while (keys[n].name != NULL)
		n++;
	if (n > CONFIG_KEYS_MAX) {
		refuse(&r, "the program knows too many keys");
		return ERR_BAD_REQUEST;
	}
	if (error_size > 0)
		error[0] = '\0';
	/* Debian's inih takes its options at run time; always the same. */
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_initial_alloc = CONFIG_LINE_MAX + 2;
	ini_max_line = CONFIG_LINE_MAX + 2;
	ini_allow_multiline = false;
	ini_allow_no_value = false;
	ini_allow_bom = true;
	ini_allow_inline_comments = true;
	ini_stop_on_first_error = true;
	int line = ini_parse_stream(take_line, &r, take_pair, &r);

	if (line == -2)
		refuse(&r, "out of memory");
	else if (line != 0)
		refuse(&r, "expected [section] or key = value");
	return r.failed ? ERR_BAD_REQUEST : 0;
}

int
config_read(void *settings, const struct config_key *keys, const char *path,
    char *error, size_t error_size)
{
	uint8_t *text;
	size_t len;
	int err = file_read(&text, &len, path, CONFIG_FILE_MAX);

	if (err != 0) {
		snprintf(error, error_size, "%s: cannot be read: %s", path,
		    err == ERR_NOMEM ? err_str(err) : strerror(errno));
		return err == ERR_NOT_FOUND ? err : ERR_BAD_REQUEST;
	}
	if (memchr(text, '\0', len) != NULL) {
		snprintf(error, error_size, "%s: is not a text file", path);
		err = ERR_BAD_REQUEST;
	} else {
		err = config_read_text(settings, keys, path, (char *)text,
		    error, error_size);
	}
	/* A file of settings may hold a key. */
	sodium_memzero(text, len);
	free(text);
	return err;
}
