/*
 * Terms of a license for tests: the pieces of their JSON, and reading them as
 * the vendor's tool does.
 */
#ifndef TESTS_UNIT_LICENSE_TERMS_H
#define TESTS_UNIT_LICENSE_TERMS_H

#include "shared/base/err.h"
#include "shared/license/license.h"

#include <string.h>

#define TERMS_HEAD                                                  \
	"{\"product\":{\"id\":\"davinci\",\"name\":\"DaVinci SE\"," \
	"\"version\":\">=8.0.0\"},"
#define PRICING                                        \
	"\"pricing\":{\"commit_fee_monthly\":5000.00," \
	"\"overage_per_use\":500.00,\"currency\":\"EUR\"}"
#define ENTITLEMENT                                                \
	"\"entitlement\":{\"total_licenses\":20,\"commit_qty\":5," \
	"\"max_overage\":15," PRICING "},"
#define CONTRACT                                           \
	"\"contract\":{\"start_date\":\"2024-10-01\","     \
	"\"end_date\":\"2024-10-31\",\"auto_renew\":true," \
	"\"billing_cycle\":\"monthly\"}"
#define TERMS TERMS_HEAD ENTITLEMENT CONTRACT "}"

static inline int
terms_read(struct license_terms *terms, const char *json,
    struct record_error *error)
{
	struct arena arena = { 0 };
	int err = record_read_json(terms, &license_terms_record, json,
	    strlen(json), &arena, error);

	if (err == 0)
		err = license_terms_check(terms, error);
	arena_release(&arena);
	return err;
}

#endif
