/*
 * What the console's page is made of, read from files of the box: the
 * daemon's status, lines that root's units leave, the image's version, the
 * interfaces' addresses. Bounded, and never waits: a file that is no plain
 * file is as none. It must not know how any of it is shown.
 */
#ifndef FIRMWARE_BOX_GATHER_H
#define FIRMWARE_BOX_GATHER_H

#include "firmware/box/page.h"

/** Below the state folder: a file each, its first line is shown. The one named
 * `update` tells of the last update, all others are warnings. */
#define GATHER_NOTICES "notices"

struct gather {
	struct page_facts facts;
	struct box_status status;
	struct arena arena; /* of the status */
	char trouble[256];
};

/** All of it anew. `folder` is [appliance] state_dir, `image` the folder with
 * `version`. */
void gather_read(struct gather *gather, const char *folder, const char *image);
void gather_release(struct gather *gather);

/** A plain file's bytes, NUL behind, at most size - 1 of them. Returns how
 * many, or ERR_NOT_FOUND, ERR_TOO_LARGE or ERR_IO. */
int gather_file(char *out, size_t size, int folder_fd, const char *name);

#endif
