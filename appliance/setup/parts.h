/*
 * The site as three units of a service manager, each its own user from its first
 * instruction on: ledger, fronts, courier. What one process does on the way
 * from root to its users is here in two pieces. Doors: Unix sockets in run_dir
 * at which fronts and courier meet the ledger. Files: what only root may read
 * is handed over before a unit starts, and before it reloads, into the folder
 * that the service manager made for it (RUNTIME_DIRECTORY). It must not know
 * what the processes say to each other, nor what the files mean.
 */
#ifndef APPLIANCE_SETUP_PARTS_H
#define APPLIANCE_SETUP_PARTS_H

#include "appliance/setup/settings.h"
#include "shared/base/supervisor.h"

/** All: one process tree, which root starts or whoever tries it. */
enum part { PART_ALL, PART_LEDGER, PART_FRONT, PART_COURIER };

/** By the word of the command line; NULL: all. False: there is no such part. */
bool part_read(enum part *part, const char *word);
const char *part_name(enum part part);

/** One for each front, and the last for the courier. */
#define PARTS_DOORS_MAX 17

/**
 * The ledger's side: listen for fronts and courier; each door lets its one user
 * in, who is that of the settings, or ours where those name none.
 *
 * @param[out] doors    `fronts` + 1 of them; closed by parts_close_doors.
 * @retval ERR_BAD_REQUEST  Said in `error`; nothing is open.
 */
int parts_open_doors(struct supervisor_door doors[PARTS_DOORS_MAX],
    const struct settings *settings, const struct settings_users *users,
    char *error, size_t error_size);
void parts_close_doors(struct supervisor_door *doors,
    const struct settings *settings);

/** The other side: a stream to the ledger, for front `index` or the courier
 * (index = fronts). ERR_UNAVAILABLE, logged: nobody is there. */
int parts_connect(int *fd, const struct settings *settings, int index);

/**
 * As root: copy what the part reads and only root may, for the part's user alone,
 * into `folder`; of the ledger, make also what lies in root's folders. Files
 * that the settings do not name are not there afterwards. Whatever the part's
 * user has put in that folder meanwhile is neither followed nor written to.
 * Errors are logged in words.
 */
int parts_hand_over(const struct settings *settings,
    const struct settings_users *users, enum part part, const char *folder);

/** Every file that the settings name and only root may read, with a name of its
 * own. What `each` returns unless 0 is returned. */
int parts_each_file(const struct settings *settings,
    int (*each)(void *ctx, const char *name, const char *path), void *ctx);

/** In the part: name the copies in place of the originals. */
int parts_take_over(struct settings *settings, enum part part,
    const char *folder);

#endif
