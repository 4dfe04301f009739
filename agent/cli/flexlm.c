/* See flexlm.h. Time and memory are linear in the file. */
#include "agent/cli/flexlm.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>
#include <strings.h>

/* What follows an option: n a number, f a feature, t a type and a name, w a
 * word, m a name and members, * whatever it is. */
static const struct form {
	const char *word;
	enum flexlm_option option;
	const char *shape;
} forms[] = {
	{ "GROUP", FLEXLM_GROUP, "m" },
	{ "USER_GROUP", FLEXLM_GROUP, "m" },
	{ "HOST_GROUP", FLEXLM_HOST_GROUP, "m" },
	{ "GROUPCASEINSENSITIVE", FLEXLM_GROUPCASEINSENSITIVE, "w" },
	{ "RESERVE", FLEXLM_RESERVE, "nft" },
	{ "MAX", FLEXLM_MAX, "nft" },
	{ "INCLUDE", FLEXLM_INCLUDE, "ft" },
	{ "INCLUDEALL", FLEXLM_INCLUDEALL, "t" },
	{ "EXCLUDE", FLEXLM_EXCLUDE, "ft" },
	{ "EXCLUDEALL", FLEXLM_EXCLUDEALL, "t" },
	{ "INCLUDE_BORROW", FLEXLM_INCLUDE_BORROW, "ft" },
	{ "EXCLUDE_BORROW", FLEXLM_EXCLUDE_BORROW, "ft" },
	{ "TIMEOUT", FLEXLM_TIMEOUT, "fn" },
	{ "TIMEOUTALL", FLEXLM_TIMEOUTALL, "n" },
	{ "LINGER", FLEXLM_LINGER, "fn" },
	{ "MAX_BORROW_HOURS", FLEXLM_MAX_BORROW_HOURS, "fn" },
	{ "BORROW_LOWWATER", FLEXLM_BORROW_LOWWATER, "fn" },
	{ "MAX_OVERDRAFT", FLEXLM_MAX_OVERDRAFT, "fn" },
	{ "FQDN_MATCHING", FLEXLM_FQDN_MATCHING, "w" },
	{ "INCLUDE_ENTITLEMENT", FLEXLM_ENTITLEMENT, "*" },
	{ "INCLUDEALL_ENTITLEMENT", FLEXLM_ENTITLEMENT, "*" },
	{ "EXCLUDE_ENTITLEMENT", FLEXLM_ENTITLEMENT, "*" },
	{ "EXCLUDEALL_ENTITLEMENT", FLEXLM_ENTITLEMENT, "*" },
	{ "ACTIVATION_LOWWATER", FLEXLM_ENTITLEMENT, "*" },
	{ "ACTIVATION_EXPIRY_DAYS", FLEXLM_ENTITLEMENT, "*" },
	{ "DEBUGLOG", FLEXLM_DEBUGLOG, "*" },
	{ "REPORTLOG", FLEXLM_REPORTLOG, "*" },
	{ "NOLOG", FLEXLM_NOLOG, "*" },
	{ "AUTOMATIC_REREAD", FLEXLM_DAEMON, "*" },
	{ "AUTO_ROLLOVER", FLEXLM_DAEMON, "*" },
	{ "DAEMON_SELECT_TIMEOUT", FLEXLM_DAEMON, "*" },
	{ "MAX_CONNECTIONS", FLEXLM_DAEMON, "*" },
};

static const struct {
	const char *word;
	enum flexlm_type type;
} types[] = {
	{ "USER", FLEXLM_BY_USER },
	{ "HOST", FLEXLM_BY_HOST },
	{ "DISPLAY", FLEXLM_BY_DISPLAY },
	{ "INTERNET", FLEXLM_BY_INTERNET },
	{ "PROJECT", FLEXLM_BY_PROJECT },
	{ "GROUP", FLEXLM_BY_GROUP },
	{ "USER_GROUP", FLEXLM_BY_GROUP },
	{ "HOST_GROUP", FLEXLM_BY_HOST_GROUP },
};

/* What tells one pool of a feature from another. */
static const char *const pool_keys[] = { "VERSION", "HOSTID", "EXPDATE", "KEY",
	"SIGN", "ISSUER", "NOTICE", "VENDOR_STRING", "SN", "START", "DUP_GROUP",
	"PLATFORMS", "ENTITLEMENT", "USER_BASED", "HOST_BASED", "dist_info",
	"user_info", "asset_info", "vendor_info", "FID" };

struct reading {
	struct arena *arena;
	const char *at, *end;
	uint32_t number; /* of the line at `at` */
};

/* --- lines ---------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* One line of the file, without its end. */
static void
next_line(struct reading *r, const char **line, size_t *len)
{
	const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));

	*line = r->at;
	*len = (size_t)((end == NULL ? r->end : end) - r->at);
	r->at = end == NULL ? r->end : end + 1;
	r->number++;
	while (*len > 0 && is_blank((*line)[*len - 1]))
		(*len)--;
}

static bool
is_comment(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && is_blank(line[i]))
		i++;
	return i == len || line[i] == '#';
}

/* An option with all the lines that it goes on in, as one. */
static void
join_lines(struct reading *r, struct buf *out, const char *line, size_t len)
{
	buf_clear(out);
	while (len > 0 && line[len - 1] == '\\') {
		buf_add(out, line, len - 1);
		buf_add_byte(out, ' ');
		if (r->at >= r->end)
			return;
		next_line(r, &line, &len);
	}
	buf_add(out, line, len);
}

/* --- words ---------------------------------------------------------------- */

/* The next word of `text`, its quotes taken away, into `out`. False: there is
 * none. `open`: a quote has no end. */
static bool
next_word(const char **text, const char *end, char *out, size_t *len,
    bool *open)
{
	const char *at = *text;
	bool quoted = false, any = false;

	*len = 0;
	while (at < end && is_blank(*at))
		at++;
	for (; at < end && (quoted || !is_blank(*at)); at++) {
		any = true;
		if (*at == '"')
			quoted = !quoted;
		else
			out[(*len)++] = *at;
	}
	*text = at;
	*open = *open || quoted;
	return any;
}

static uint32_t
count_words(const char *text, size_t len)
{
	const char *end = text + len;
	uint32_t n = 0;
	bool in = false;

	/* Quotes only make fewer of them. */
	for (; text < end; text++) {
		n += !in && !is_blank(*text) ? 1 : 0;
		in = !is_blank(*text);
	}
	return n;
}

static int
read_words(struct reading *r, struct flexlm_line *line, const char *text,
    size_t len)
{
	uint32_t most = count_words(text, len);
	const char **words = arena_alloc(r->arena, most * sizeof *words);
	char *room = arena_alloc(r->arena, len + most + 1);
	const char *end = text + len;
	bool open = false;
	size_t used;

	if (words == NULL || room == NULL)
		return ERR_TOO_LARGE;
	while (
	    line->n_words < most && next_word(&text, end, room, &used, &open)) {
		words[line->n_words++] = room;
		if (!text_is_printable(room, used) && line->error == NULL)
			line->error = "has bytes that are no UTF-8 text: save "
				      "the file as UTF-8";
		room[used] = '\0';
		room += used + 1;
	}
	line->words = words;
	if (open && line->error == NULL)
		line->error = "has a quote without its end";
	return 0;
}

/* --- what a word says ------------------------------------------------------ */

/* Does a key of a pool begin here? Its length, or 0. */
static size_t
pool_key_at(const char *text)
{
	for (size_t i = 0; i < sizeof pool_keys / sizeof *pool_keys; i++) {
		size_t len = strlen(pool_keys[i]);
		bool alone = strcmp(pool_keys[i], "USER_BASED") == 0 ||
		    strcmp(pool_keys[i], "HOST_BASED") == 0;

		if (strncasecmp(text, pool_keys[i], len) == 0 &&
		    (text[len] == '=' || (alone && text[len] == '\0')))
			return len;
	}
	return 0;
}

const char *
flexlm_read_feature(struct flexlm_feature *out, const char *word,
    struct arena *arena)
{
	*out = (struct flexlm_feature){ .name = word };
	if (word[0] == '\0')
		return "names no feature";
	/* A colon may be part of the name: the one before a key counts. */
	for (const char *at = word + 1; *at != '\0'; at++) {
		if (*at != ':' && *at != ' ')
			continue;
		size_t len = pool_key_at(at + 1);

		if (len == 0)
			continue;
		out->name = arena_copy(arena, word, (size_t)(at - word));
		out->key = arena_copy(arena, at + 1, len);
		out->value = at[1 + len] == '=' ? at + 2 + len : "";
		return out->name == NULL || out->key == NULL
		    ? "is too much for the memory allowed"
		    : NULL;
	}
	return strchr(word, '=') == NULL
	    ? NULL
	    : "has a = in its feature, but no keyword of a license before it "
	      "(VERSION=, VENDOR_STRING=, asset_info= ...)";
}

static bool
read_number(uint64_t *out, const char *word)
{
	while (word[0] == '0' && word[1] != '\0')
		word++;
	return text_to_u64(out, word, strlen(word));
}

static const char *
read_type(struct flexlm_line *line, const char *type, const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcasecmp(type, types[i].word) == 0)
			line->type = types[i].type;
	if (line->type == FLEXLM_NOBODY)
		return "has no USER, HOST, DISPLAY, INTERNET, PROJECT, GROUP "
		       "or HOST_GROUP where one belongs";
	if (name[0] == '\0')
		return "names nobody";
	line->name = name;
	return NULL;
}

/* Words of the shape's letter at `at`; NULL, or what is wrong. */
static const char *
read_part(struct flexlm_line *line, char letter, uint32_t at, uint32_t *used,
    struct arena *arena)
{
	const char *const *words = line->words + at;
	uint32_t left = line->n_words - at;

	*used = letter == 't' ? 2 : 1;
	if (left < *used)
		return "ends too early: a word is missing";
	switch (letter) {
	case 'n':
		return read_number(&line->number_said, words[0])
		    ? NULL
		    : "has no whole number where one belongs";
	case 'f':
		return flexlm_read_feature(&line->feature, words[0], arena);
	case 't':
		return read_type(line, words[0], words[1]);
	case 'w':
		line->name = words[0];
		return NULL;
	default: /* m */
		line->name = words[0];
		line->members = words + 1;
		line->n_members = left - 1;
		*used = left;
		return words[0][0] == '\0' ? "names no group" : NULL;
	}
}

static const char *
read_shape(struct flexlm_line *line, const char *shape, struct arena *arena)
{
	uint32_t at = 1, used = 0;

	if (shape[0] == '*')
		return NULL;
	for (; *shape != '\0'; shape++, at += used) {
		const char *error = read_part(line, *shape, at, &used, arena);

		if (error != NULL)
			return error;
	}
	if (at < line->n_words && line->words[at][0] != '#')
		return "has more words than this option takes: names with "
		       "blanks need quotes, several names a group";
	return NULL;
}

static void
read_option(struct flexlm_line *line, struct arena *arena)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (strcasecmp(line->words[0], forms[i].word) != 0)
			continue;
		line->option = forms[i].option;
		line->error = read_shape(line, forms[i].shape, arena);
		return;
	}
	line->error = "is no option of FlexNet Publisher";
}

/* --- the file ------------------------------------------------------------- */

static uint32_t
count_lines(const char *data, size_t len)
{
	uint32_t n = 1;

	for (size_t i = 0; i < len && n <= FLEXLM_LINES_MAX; i++)
		n += data[i] == '\n' ? 1 : 0;
	return n < FLEXLM_LINES_MAX ? n : FLEXLM_LINES_MAX;
}

static int
read_file(struct reading *r, struct flexlm_file *out, uint32_t most)
{
	struct buf joined = { .max = FLEXLM_BYTES_MAX };
	const char *line;
	size_t len;
	int err = 0;

	while (r->at < r->end && err == 0) {
		next_line(r, &line, &len);
		if (is_comment(line, len))
			continue;
		if (out->count == most) {
			err = ERR_TOO_LARGE;
			break;
		}
		struct flexlm_line *option = &out->lines[out->count++];

		option->number = r->number;
		join_lines(r, &joined, line, len);
		option->bytes = (uint32_t)joined.len;
		err = joined.failed
		    ? ERR_NOMEM
		    : read_words(r, option, (const char *)joined.data,
			  joined.len);
		if (err == 0 && option->n_words == 0)
			out->count--; /* a \ with nothing behind it */
		else if (err == 0 && option->error == NULL)
			read_option(option, r->arena);
	}
	buf_release(&joined);
	return err;
}

int
flexlm_read(struct flexlm_file *out, const char *data, size_t len,
    struct arena *arena)
{
	static const char mark[3] =
	    "\xef\xbb\xbf"; /* what editors begin with */
	struct reading r = { .arena = arena, .at = data, .end = data + len };

	*out = (struct flexlm_file){ .count = 0 };
	if (len > FLEXLM_BYTES_MAX)
		return ERR_TOO_LARGE;
	if (len >= sizeof mark && memcmp(data, mark, sizeof mark) == 0)
		r.at += sizeof mark;
	uint32_t most = count_lines(data, len);

	out->lines = arena_alloc(arena, most * sizeof *out->lines);
	if (out->lines == NULL)
		return ERR_NOMEM;
	return read_file(&r, out, most);
}
