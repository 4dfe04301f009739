/* Versions and ranges; see version.h. */
#include "shared/base/version.h"

#include "shared/base/err.h"

#include <stddef.h>
#include <string.h>

#define RANGE_TERMS_MAX 8
#define PART_DIGITS_MAX 9

enum range_op { OP_ANY, OP_EQ, OP_LT, OP_LE, OP_GT, OP_GE };

/* Reads a version up to its end or a space; NULL when it is none. */
static const char *
version_take(struct version *version, const char *text)
{
	memset(version, 0, sizeof(*version));
	for (int part = 0; part < 4; part++) {
		uint32_t value = 0;
		int digits = 0;

		for (; *text >= '0' && *text <= '9'; text++) {
			if (++digits > PART_DIGITS_MAX)
				return NULL;
			value = value * 10 + (uint32_t)(*text - '0');
		}
		if (digits == 0)
			return NULL;
		version->part[part] = value;
		if (*text != '.')
			break;
		if (part == 3)
			return NULL;
		text++;
	}
	return *text == '\0' || *text == ' ' ? text : NULL;
}

int
version_parse(struct version *version, const char *text)
{
	struct version value;
	const char *end = version_take(&value, text);

	if (end == NULL || *end != '\0')
		return ERR_BAD_REQUEST;
	*version = value;
	return 0;
}

int
version_compare(const struct version *a, const struct version *b)
{
	for (int i = 0; i < 4; i++)
		if (a->part[i] != b->part[i])
			return a->part[i] < b->part[i] ? -1 : 1;
	return 0;
}

static const char *
range_take_op(enum range_op *op, const char *text)
{
	bool equal = text[0] != '\0' && text[1] == '=';

	switch (text[0]) {
	case '=':
		*op = OP_EQ;
		return text + 1;
	case '<':
		*op = equal ? OP_LE : OP_LT;
		return text + (equal ? 2 : 1);
	case '>':
		*op = equal ? OP_GE : OP_GT;
		return text + (equal ? 2 : 1);
	case '*':
		*op = OP_ANY;
		return text + 1;
	default:
		*op = OP_EQ;
		return text;
	}
}

static bool
term_holds(enum range_op op, const struct version *bound,
    const struct version *version)
{
	int order = version_compare(version, bound);

	switch (op) {
	case OP_ANY:
		return true;
	case OP_EQ:
		return order == 0;
	case OP_LT:
		return order < 0;
	case OP_LE:
		return order <= 0;
	case OP_GT:
		return order > 0;
	case OP_GE:
		return order >= 0;
	}
	return false;
}

/* Reads the whole range. *holds tells of `version`; NULL: only validate. */
static int
range_walk(bool *holds, const struct version *version, const char *range)
{
	*holds = true;
	for (int terms = 1; terms <= RANGE_TERMS_MAX; terms++) {
		struct version bound = { { 0 } };
		enum range_op op;

		range = range_take_op(&op, range);
		if (op != OP_ANY)
			range = version_take(&bound, range);
		if (range == NULL || (*range != '\0' && *range != ' '))
			return ERR_BAD_REQUEST;
		if (version != NULL && !term_holds(op, &bound, version))
			*holds = false;
		if (*range == '\0')
			return 0;
		while (*range == ' ')
			range++;
	}
	return ERR_BAD_REQUEST;
}

bool
version_range_is_valid(const char *range)
{
	bool holds;

	return range_walk(&holds, NULL, range) == 0;
}

bool
version_in_range(const char *version, const char *range)
{
	struct version value;
	bool holds;

	return version_parse(&value, version) == 0 &&
	    range_walk(&holds, &value, range) == 0 && holds;
}
