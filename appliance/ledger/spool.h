/*
 * What is too large for one answer: a file without a name in the ledger's own
 * folder, made by a helper thread, read by its number in pieces, and gone when
 * nobody has asked for it in a while, or with the process, however that ends.
 * The list is the loop's; a file is its user's while `busy`. It must not know
 * what is in it.
 */
#ifndef APPLIANCE_LEDGER_SPOOL_H
#define APPLIANCE_LEDGER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** At once; whoever wants another one waits for those to be over. */
#define SPOOLS_MAX 8
#define SPOOL_IDLE_MS ((int64_t)5 * 60 * 1000)

struct spool {
	struct spool *next;
	uint64_t number;
	int fd;
	uint64_t bytes;
	int64_t used_at; /* boottime */
	int busy; /* calls that work with it now */
	/** Who made it, and what for: nobody else is let at it. */
	uint32_t use;
	uint32_t owner_kind;
	uint64_t owner;
	char tenant[64]; /* of the owner */
	/** One that is being written: what it is to have, and of whom. */
	uint64_t expected;
	char about[64];
	void *kept; /* what its user keeps with it; freed with it */
};

struct spools {
	struct spool *first;
	size_t count; /* with those that are being made */
	uint64_t next_number;
};

/** A file without a name in the folder. Any thread. Errors are logged. */
int spool_file(int *fd, const char *folder);

/** Room for one more? Counted until spools_add or spools_give_up. */
bool spools_reserve(struct spools *spools);
void spools_give_up(struct spools *spools);
/** Takes fd, and the place that was reserved. NULL: out of memory, and fd is
 * closed. */
struct spool *spools_add(struct spools *spools, int fd, uint64_t bytes,
    int64_t now);
struct spool *spools_find(const struct spools *spools, uint64_t number);
/** It is not busy. */
void spools_remove(struct spools *spools, struct spool *spool);
void spools_expire(struct spools *spools, int64_t now);
void spools_release(struct spools *spools);

/** Its bytes are of no use any more: the disk has them back. Any thread. */
void spool_empty(struct spool *spool);

/** Write all, or ERR_FULL, ERR_IO; logged. Any thread. */
int spool_write(int fd, const void *data, size_t len);
int spool_write_at(int fd, const void *data, size_t len, uint64_t offset);
/** Up to `len` bytes; 0 at the end. ERR_IO is logged. */
int spool_read_at(size_t *got, int fd, void *out, size_t len, uint64_t offset);

#endif
