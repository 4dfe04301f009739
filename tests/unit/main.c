/* Runs one suite and prints a line a test; see suite.h. */
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

const char *
test_data(void)
{
	return getenv("LEASEHOLD_DATA");
}

void
test_skip(const char *name, const char *why)
{
	printf("skip %s: %s\n", name, why);
	fflush(stdout);
}

int
main(void)
{
	if (sodium_init() < 0)
		return 1;
	SRunner *runner = srunner_create(suite());

	srunner_run_all(runner, CK_SILENT);
	int n = srunner_ntests_run(runner);
	int failed = srunner_ntests_failed(runner);
	TestResult **results = srunner_results(runner);

	for (int i = 0; i < n; i++) {
		if (tr_rtype(results[i]) == CK_PASS)
			printf("ok %s: %s\n", tr_tcname(results[i]),
			    tr_tname(results[i]));
		else
			printf("not ok %s: %s: %s:%d: %s\n",
			    tr_tcname(results[i]), tr_tname(results[i]),
			    tr_lfile(results[i]), tr_lno(results[i]),
			    tr_msg(results[i]));
	}
	free(results);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
