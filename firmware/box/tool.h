/*
 * The verbs of leasehold-box, and what they share: files that strangers wrote
 * are read bounded, what is told lands in the log and as a line on the
 * console. A verb must not know the others.
 */
#ifndef FIRMWARE_BOX_TOOL_H
#define FIRMWARE_BOX_TOOL_H

#include <stddef.h>

enum {
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,
	TOOL_REFUSED = 3,
};

/** Each takes its own arguments, argv[0] is its name; an exit status. */
int tool_network(int argc, char **argv);
int tool_maintenance(int argc, char **argv);
int tool_shell(int argc, char **argv);

/** The line of `name` on the console; NULL or "": it goes away. A failure is
 * logged. `folder` is [appliance] state_dir. */
void tool_notice(const char *folder, const char *name, const char *text);

/** Write where the bytes are others than those that are there. 1: written, 0:
 * they are the same, or an error. */
int tool_write_changed(const char *path, const void *data, size_t len,
    unsigned int mode);

#endif
