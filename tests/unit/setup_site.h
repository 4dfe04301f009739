/*
 * A folder of its own for each test of the setup room, and the site that most
 * of them make in it. Header only.
 */
#ifndef TESTS_UNIT_SETUP_SITE_H
#define TESTS_UNIT_SETUP_SITE_H

#include "appliance/setup/setup.h"
#include "shared/base/log.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64], state[96], key[96];
static const char *const hosts[] = { "licenses.plant.example", "192.0.2.7",
	"2001:db8::7", NULL };

static inline int
create(void)
{
	const struct setup_options options = { .state = state,
		.name = "Plant \"7\"",
		.hosts = hosts };

	return setup_create(key, &options);
}

static inline void
set_up(void)
{
	/* What goes wrong here is meant to. */
	log_open("test", LOG_ERROR + 1, 0);
	snprintf(dir, sizeof(dir), "/tmp/setup-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(state, sizeof(state), "%s/site", dir);
}

static inline void
tear_down(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static inline mode_t
mode_of(const char *name)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", state, name);
	ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 07777;
}

#endif
