/*
 * A ledger, the site's own store and its witness, for tests of what is between
 * them: a crash comes before any step that is named.
 */
#ifndef TESTS_UNIT_GUARD_WORLD_H
#define TESTS_UNIT_GUARD_WORLD_H

#include "appliance/ledger/guard.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "tests/unit/ledger_world.h"

#include <sys/stat.h>

#define SITE "site-test"
#define TENANT "default"

static struct world world;
static char folder[96], system_folder[112];
static struct system_store *store;
static struct witness *witness;
static struct guard_part part;
static struct guard guard;
static struct guard_report report;
static const char *crash_before; /* this step of the guard's */

static int
fault(void *ctx, const char *step)
{
	(void)ctx;
	return crash_before != NULL && strcmp(step, crash_before) == 0 ? ERR_IO
								       : 0;
}

static void
setup(void)
{
	static const uint8_t key[32] = { 7 };

	log_open("check", LOG_ERROR + 1, 0);
	crash_before = NULL;
	world_init(&world, 1);
	snprintf(folder, sizeof folder, "%s/guard", world.dir);
	snprintf(system_folder, sizeof system_folder, "%s/system", world.dir);
	world_must(mkdir(folder, 0700) == 0 && mkdir(system_folder, 0700) == 0);
	world_must(system_create(system_folder) == 0);
	world_must(system_open(&store, system_folder, key) == 0);
	world_must(witness_open_file(&witness, folder, SITE) == 0);
	part = (struct guard_part){ TENANT, world.ledger };
	guard = (struct guard){ .system = store,
		.witness = witness,
		.parts = &part,
		.n_parts = 1,
		.fault = fault };
}

static void
teardown(void)
{
	char path[128];

	witness_close(witness);
	system_close(store);
	snprintf(path, sizeof path, "%s/" SITE, folder);
	unlink(path);
	world_must(rmdir(folder) == 0);
	world_remove(system_folder);
	world_free(&world);
}

#endif
