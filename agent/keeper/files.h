/*
 * The keeper's state folder. What must survive a power cut (the enrolment, the
 * journal's last header) is written with fsync; leases and licenses are not:
 * after a power cut no process is left to hold a seat, and licenses can be
 * fetched again. Every file is whole or absent. It must not know what follows
 * from what it reads.
 *
 *   STATE/identity/            the device's key (shared/proof)
 *   STATE/identity-N/          one made since; site.json says which is used
 *   STATE/site.json, ca.pem    which site this is a device of
 *   STATE/known.json           the last header seen of its journal
 *   STATE/leases/N.json        a lease held
 *   STATE/leases/N.ended       a lease whose end the site has not heard of
 *   STATE/licenses/HEX.json    a license by its digest
 *   STATE/borrows.json         what is borrowed: book.h
 *   STATE/seats.json           which processes use it: tickets.c
 */
#ifndef AGENT_KEEPER_FILES_H
#define AGENT_KEEPER_FILES_H

#include "shared/rpc/messages.h"

#include <limits.h>

struct files {
	char path[PATH_MAX - 128];
};

/** site.json */
struct enrolment {
	char url[256];
	char host[256];
	uint32_t port;
	char site[64];
	char tenant[64];
	uint8_t site_key[32];
	uint8_t former_key[32]; /* of its box before; zero: none */
	uint64_t device;
	char name[64];
	char identity[32]; /* folder of its key; "" : "identity" */
	uint32_t class_; /* as the site has it */
};

/** Longer than any header or beat. */
#define JOURNAL_TOKEN_MAX 2048

/** known.json: `known` was proved to continue all before; `seen` is the newest
 * header that any answer carried, `token` what the site signed about it: a
 * header or a beat. By it a site that was put back is convicted. */
struct journal_seen {
	struct journal_known known;
	uint32_t seen_generation; /* 0, as in older files, counts as 1 */
	uint64_t seen_batch;
	uint8_t seen_head[32];
	char token[JOURNAL_TOKEN_MAX]; /* "": none was kept */
};

/** leases/N.json */
struct lease_file {
	uint64_t lease;
	uint64_t row_number;
	struct record_span row;
	struct record_span path;
	struct record_span header;
	uint64_t pid;
	uint64_t start; /* of the process, ticks since boot */
	char boot[40]; /* boot id those ticks count from */
	uint32_t uid;
	bool hold;
	uint8_t request[REQUEST_BYTES];
	char command[64];
	int64_t granted_at;
	uint32_t generation; /* of the header; 0, as in older files: 1 */
};
extern const struct record enrolment_record, journal_seen_record,
    lease_file_record;

/** Makes what is missing, mode 0700. Errors are logged, here and below. */
int files_open(struct files *files, const char *path);

/** The folder of a device's key by its name in an enrolment. */
void files_identity_path(char out[PATH_MAX], const struct files *files,
    const char *identity);

/** ERR_NOT_FOUND: not enrolled. The CA is malloc'd text. */
int files_read_enrolment(struct enrolment *enrolment, char **ca_pem,
    const struct files *files);
/** The same site under another key: what is known of its journal stays. */
int files_keep_enrolment(const struct files *files,
    const struct enrolment *enrolment);
/** Forgets what was known of an earlier site's journal. */
int files_write_enrolment(const struct files *files,
    const struct enrolment *enrolment, const char *ca_pem);

/** Zero when there is none. */
int files_read_seen(struct journal_seen *seen, const struct files *files);
int files_write_seen(const struct files *files,
    const struct journal_seen *seen);

int files_write_lease(const struct files *files,
    const struct lease_file *lease);
/** One lease's file; spans are in the arena. ERR_NOT_FOUND. */
int files_read_lease(struct lease_file *lease, const struct files *files,
    uint64_t number, struct arena *arena);
/** It has ended, but the site does not know yet. */
void files_end_lease(const struct files *files, uint64_t lease);
void files_remove_lease(const struct files *files, uint64_t lease);
/** Every lease file; damaged ones are logged and passed over. */
int files_each_lease(const struct files *files,
    void (*each)(void *ctx, const struct lease_file *lease, bool ended),
    void *ctx);

/** Both tokens of a license, in the arena. ERR_NOT_FOUND. */
int files_read_license(struct license_file *license, const struct files *files,
    const uint8_t digest[32], struct arena *arena);
int files_write_license(const struct files *files, const uint8_t digest[32],
    const struct license_file *license);
/** The same, so that it is there after a power cut: without it a borrowed seat
 * is of no use. */
int files_keep_license(const struct files *files, const uint8_t digest[32],
    const struct license_file *license);

/** One record in a file of the state folder, whole or not at all, durably. */
int files_write_record(const struct files *files, const char *name,
    const struct record *record, const void *value);
/** ERR_NOT_FOUND; others are logged. */
int files_read_record(void *out, const struct files *files, const char *name,
    const struct record *record, size_t max_bytes, struct arena *arena);
/** The same, but a power cut may undo it: what is of no use after one. */
int files_note_record(const struct files *files, const char *name,
    const struct record *record, const void *value);
void files_remove_record(const struct files *files, const char *name);

#endif
