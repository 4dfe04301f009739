/*
 * A ledger's store as it is, kept beside it; and put back later, as who
 * restores an old backup does.
 */
#ifndef TESTS_UNIT_LEDGER_COPY_H
#define TESTS_UNIT_LEDGER_COPY_H

#include "tests/unit/ledger_world.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void
ledger_copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct stat st;

	ck_assert(in >= 0 && out >= 0 && fstat(in, &st) == 0);
	for (off_t at = 0; at < st.st_size;)
		ck_assert_int_gt(sendfile(out, in, &at,
				     (size_t)(st.st_size - at)),
		    0);
	close(in);
	close(out);
}

static inline void
ledger_copy(struct world *world, bool back)
{
	char store[128], saved[128];

	ledger_close(world->ledger);
	snprintf(store, sizeof store, "%s/data.mdb", world->path);
	snprintf(saved, sizeof saved, "%s/copy", world->dir);
	ledger_copy_file(back ? saved : store, back ? store : saved);
	world_open(world);
}

static inline void
ledger_snapshot(struct world *world)
{
	ledger_copy(world, false);
}

static inline void
ledger_put_back(struct world *world)
{
	ledger_copy(world, true);
}

#endif
