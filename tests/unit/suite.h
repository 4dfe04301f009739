/*
 * Every check_<part>.c defines suite(); main.c runs it and prints a line a
 * test ("ok base: retry_takes_no_second_seat"), which tests/run counts.
 */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>

Suite *suite(void);

/**
 * How many tests of a program run at once. A program whose tests mostly wait,
 * each in a world of its own, says more than one; main.c has it for all others.
 * Where CK_FORK is set somebody looks closely: then it is one.
 */
unsigned int suite_at_once(void);

/** Every test comes through here, so that several runners can share them: a
 * suite of such a program is made more than once, and skips none. */
void suite_add_test(TCase *tcase, const TTest *test, int first, int end);

#undef tcase_add_test
#define tcase_add_test(tcase, test) suite_add_test((tcase), (test), 0, 1)
#undef tcase_add_loop_test
#define tcase_add_loop_test(tcase, test, first, end) \
	suite_add_test((tcase), (test), (first), (end))

/** Folder of the reference data (../shared/data), or NULL: $LEASEHOLD_DATA. */
const char *test_data(void);

/** A folder and all in it is gone; aborts when it cannot be. */
void test_remove(const char *path);

/** Print "skip NAME: WHY" for a test that cannot run here. */
void test_skip(const char *name, const char *why);

#endif
