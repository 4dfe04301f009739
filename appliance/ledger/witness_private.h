/* Between witness.h and its classes. */
#ifndef APPLIANCE_LEDGER_WITNESS_PRIVATE_H
#define APPLIANCE_LEDGER_WITNESS_PRIVATE_H

#include "appliance/ledger/witness.h"

struct witness_kind {
	enum witness_class class_;
	int (*read)(uint64_t *counter, struct witness *witness);
	int (*make)(uint64_t *counter, struct witness *witness,
	    uint64_t at_least);
	int (*increment)(uint64_t *counter, struct witness *witness);
	int (*clock)(struct identity_clock *clock, struct witness *witness);
	int (*retire)(struct witness *witness);
	uint64_t (*base)(const struct witness *witness);
	void (*close)(struct witness *witness);
};

/** Embedded first in what a class needs. */
struct witness {
	const struct witness_kind *kind;
	char name[640];
};

#endif
