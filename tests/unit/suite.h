/*
 * Every check_<part>.c defines suite(); main.c runs it and prints a line a
 * test ("ok base: retry_takes_no_second_seat"), which tests/run counts.
 */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>

Suite *suite(void);

/** Folder of the reference data (../shared/data), or NULL: $LEASEHOLD_DATA. */
const char *test_data(void);

/** Print "skip NAME: WHY" for a test that cannot run here. */
void test_skip(const char *name, const char *why);

#endif
