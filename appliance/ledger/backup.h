/*
 * Copies of whole stores while the site runs: one read transaction on a thread
 * of its own, into a spool; the admin's program reads it in pieces and makes
 * the file of them (shared/backup). Keys leave sealed to the site's own key. It
 * must not know passphrases, nor the file.
 *
 * A backup of a site is the system store first, then the tenants that it names:
 * so no tenant's journal is older than the place that the system store holds
 * for it.
 */
#ifndef APPLIANCE_LEDGER_BACKUP_H
#define APPLIANCE_LEDGER_BACKUP_H

#include "appliance/ledger/inside.h"
#include "shared/backup/dump.h"

void backup_begin_asked(const struct request *request);
void backup_read_asked(const struct request *request);
void backup_end_asked(const struct request *request);

/** Uses of a spool. */
enum spool_use { SPOOL_BACKUP, SPOOL_EXPORT, SPOOL_RESTORE };

/** The spool of that number, if this principal made it for that; else it is
 * refused, and NULL. */
struct spool *spool_asked(const struct request *request, uint64_t number,
    enum spool_use use);
/** It is his, for that; `owned` may be made before there is a spool. */
void spool_own(struct spool *owned, const struct request *request,
    enum spool_use use);
void spool_hand_over(struct spool *spool, const struct spool *owned);
/** A reserved place, or it is refused. */
bool spool_wanted(const struct request *request);
/** Answers with the piece at `offset` (struct backup_piece). */
void spool_answer(const struct request *request, struct spool *spool,
    uint64_t offset);

/** A copy on its way: what is made of which store, and where it goes. */
struct copying {
	char folder[SETUP_PATH_MAX]; /* where its file is made */
	struct tenant *tenant; /* NULL: the system store */
	struct spool owned; /* by whom */
	struct buf gathered;
	uint8_t heir[32]; /* where reply.heir */
	int fd;
	uint64_t bytes;
	struct backup_part reply;
	/** On the thread for it; spans of the reply live in the call's arena.
	 */
	int (*fill)(struct dump_writer *out, struct copying *copying,
	    struct call *call);
};

/** Makes it, and answers with the reply; or refuses the request. */
void copying_begin(const struct request *request, struct tenant *tenant,
    enum spool_use use,
    int (*fill)(struct dump_writer *out, struct copying *copying,
	struct call *call));
/** Where the journal ends in this view, into the reply. */
int copying_place(struct backup_part *reply, struct ledger_view *view);

/** In export.c: everything of one tenant, readable. */
void export_begin_asked(const struct request *request);

#endif
