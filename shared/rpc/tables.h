/*
 * Bounds that the tables of this folder share. It must not be included from
 * anywhere else.
 */
#ifndef SHARED_RPC_TABLES_H
#define SHARED_RPC_TABLES_H

#include "shared/rpc/messages.h"

#define HASHES_MAX (2 * MERKLE_PATH_MAX * MERKLE_BYTES)
#define ROW_MAX LEASE_ROW_MAX
#define HEADER_MAX 8192
#define TOKEN_MAX ((uint64_t)64 << 10)
/* One page of journal fits one message between our processes. */
#define BLOB_MAX ((uint64_t)3 << 20)
#define OPT RECORD_OPTIONAL

/* `class` is a word of C++, which reads our headers: the member has a
 * trailing underscore, the wire has not. */
#define R_CLASS(S, fl, d)                                                     \
	{                                                                     \
		.key = "class", .offset = offsetof(struct S, class_),         \
		.size = sizeof(((struct S *)0)->class_), .type = RECORD_ENUM, \
		.names = proof_class_names, .flags = (fl), .doc = (d)         \
	}

#endif
