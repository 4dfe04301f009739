/*
 * What the tables of the rows have in common. Only rows*.c may include it.
 */
#ifndef SHARED_JOURNAL_ROWS_PRIVATE_H
#define SHARED_JOURNAL_ROWS_PRIVATE_H

#include "shared/journal/rows.h"
#include "shared/proof/proof.h"

/* `class` is a word of C++: the member has an underscore, the key has not. */
#define R_CLASS(S, d)                                            \
	{                                                        \
		.key = "class", .doc = (d), .type = RECORD_ENUM, \
		.offset = offsetof(struct S, class_),            \
		.size = sizeof(((struct S *)0)->class_),         \
		.names = proof_class_names                       \
	}

#endif
