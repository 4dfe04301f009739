/*
 * Product versions and the ranges a license covers: "8.1.3" against
 * ">=8.0.0", ">=8.0.0 <9.0.0", "8.2" (exactly), "*" (any). Up to four
 * dot-separated numbers of at most 9 digits; missing ones count as 0. Ordering
 * of numbers follows semver.org 2.0.0; pre-release tags are not versions here.
 */
#ifndef SHARED_BASE_VERSION_H
#define SHARED_BASE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

struct version {
	uint32_t part[4];
};

/** Returns 0 or ERR_BAD_REQUEST. */
int version_parse(struct version *version, const char *text);

/** <0, 0, >0. */
int version_compare(const struct version *a, const struct version *b);

/** Is it a range? 1 to 8 terms, each of = < <= > >= and a version, or "*". */
bool version_range_is_valid(const char *range);

/** Does the range hold the version? False also when either is malformed. */
bool version_in_range(const char *version, const char *range);

#endif
