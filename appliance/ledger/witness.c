#include "appliance/ledger/witness_private.h"

void
witness_close(struct witness *witness)
{
	if (witness != NULL)
		witness->kind->close(witness);
}

enum witness_class
witness_class_of(const struct witness *witness)
{
	return witness->kind->class_;
}

const char *
witness_name(const struct witness *witness)
{
	return witness->name;
}

int
witness_read(uint64_t *counter, struct witness *witness)
{
	return witness->kind->read(counter, witness);
}

int
witness_make(uint64_t *counter, struct witness *witness, uint64_t at_least)
{
	return witness->kind->make(counter, witness, at_least);
}

int
witness_clock(struct identity_clock *clock, struct witness *witness)
{
	return witness->kind->clock(clock, witness);
}

int
witness_retire(struct witness *witness)
{
	return witness->kind->retire(witness);
}

uint64_t
witness_base(const struct witness *witness)
{
	return witness->kind->base(witness);
}

int
witness_increment(uint64_t *counter, struct witness *witness)
{
	return witness->kind->increment(counter, witness);
}
