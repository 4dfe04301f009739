/* From an HTTP method and path to its operation. */
#include "shared/rpc/operations.h"

#include <string.h>

/* Most patterns differ from a path before their first parameter. */
static bool
may_match(const char *pattern, const char *path)
{
	while (*pattern == *path && *pattern != '\0' && *pattern != '{') {
		pattern++;
		path++;
	}
	return *pattern == '{' || *pattern == *path;
}

/* Does the path fit the pattern? Segments are never empty. */
static bool
match_path(struct operation_parameter *parameters, size_t *n_parameters,
    const char *pattern, const char *path)
{
	*n_parameters = 0;
	for (;;) {
		size_t want = strcspn(pattern, "/");
		size_t have = strcspn(path, "/");

		if (pattern[0] == '{') {
			if (have == 0 ||
			    *n_parameters == OPERATION_PARAMETERS_MAX)
				return false;
			parameters[(*n_parameters)++] =
			    (struct operation_parameter){
				    .key = pattern + 1,
				    .key_len = want - 2,
				    .value = path,
				    .value_len = have,
			    };
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			return false;
		}
		pattern += want;
		path += have;
		if (*pattern == '\0' || *path == '\0')
			return *pattern == *path;
		pattern++;
		path++;
	}
}

/* The pattern that fits with the fewest parameters: "/devices/tokens" is never
 * read as a device named tokens. */
static const char *
find_pattern(struct operation_parameter *parameters, size_t *n_parameters,
    const char *path)
{
	struct operation_parameter found[OPERATION_PARAMETERS_MAX];
	const char *best = NULL;
	size_t n;

	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const char *pattern = operation_get(id)->path;

		if (pattern == NULL || !may_match(pattern, path) ||
		    !match_path(found, &n, pattern, path))
			continue;
		if (best != NULL && n >= *n_parameters)
			continue;
		best = pattern;
		*n_parameters = n;
		memcpy(parameters, found, n * sizeof(found[0]));
	}
	return best;
}

/* One more, where it fits whole. */
static void
add_allowed(char *allow, size_t size, size_t *used, const char *method)
{
	size_t len = strlen(method), comma = *used > 0 ? 2 : 0;

	if (*used + comma + len >= size)
		return;
	memcpy(allow + *used, ", ", comma);
	memcpy(allow + *used + comma, method, len + 1);
	*used += comma + len;
}

const struct operation *
operation_by_route(struct operation_parameter
		       parameters[OPERATION_PARAMETERS_MAX],
    size_t *n_parameters, int *status, char *allow, size_t allow_size,
    const char *method, const char *path)
{
	size_t used = 0;

	*n_parameters = 0;
	if (allow_size > 0)
		allow[0] = '\0';
	const char *pattern = find_pattern(parameters, n_parameters, path);

	if (pattern == NULL) {
		*status = 404;
		return NULL;
	}
	for (uint32_t id = OP_NONE + 1; id < OPERATION_COUNT; id++) {
		const struct operation *op = operation_get(id);

		if (op->path == NULL || strcmp(op->path, pattern) != 0)
			continue;
		if (strcmp(op->method, method) == 0) {
			*status = 200;
			return op;
		}
		add_allowed(allow, allow_size, &used, op->method);
		if (strcmp(op->method, "GET") == 0)
			add_allowed(allow, allow_size, &used, "HEAD");
	}
	add_allowed(allow, allow_size, &used, "OPTIONS");
	*status = 405;
	return NULL;
}
