/* A configuration file: what is taken keeps to its bounds, what is not is
 * refused with the line. */
#include "shared/base/config.h"
#include "shared/base/err.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
	char before;
	char text[16];
	char after;
	int64_t number;
	bool on;
};

static const struct config_key keys[] = {
	{ "a", "text", CONFIG_TEXT, offsetof(struct settings, text), 16, 0, 0,
	    "" },
	{ "a", "number", CONFIG_NUMBER, offsetof(struct settings, number), 0,
	    -5, 1000000, "" },
	{ "b", "on", CONFIG_BOOL, offsetof(struct settings, on), 0, 0, 0, "" },
	{ NULL, NULL, CONFIG_TEXT, 0, 0, 0, 0, NULL },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings = { .before = 'x', .after = 'y' };
	char error[100] = "?";
	char *text = malloc(size + 1);

	assert(text != NULL);
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	int err =
	    config_read_text(&settings, keys, "f", text, error, sizeof(error));

	assert(err == 0 || err == ERR_BAD_REQUEST);
	assert(memchr(error, '\0', sizeof(error)) != NULL);
	if (err == 0)
		assert(error[0] == '\0');
	else
		assert(error[0] == 'f' && error[1] == ':');
	assert(settings.before == 'x' && settings.after == 'y');
	assert(memchr(settings.text, '\0', sizeof(settings.text)) != NULL);
	assert(settings.number >= -5 && settings.number <= 1000000);
	free(text);
	return 0;
}
