/*
 * An update on its way through the box's files: the bundle that is sent in
 * pieces, the request that root's runner takes up, what the runner tells of it,
 * and what the box is. All of it is in two folders of the settings:
 *
 *   UPDATE_DIR/in/upload.json   which bundle is being sent, of how many bytes
 *   UPDATE_DIR/in/bundle        its bytes so far
 *   UPDATE_DIR/in/request.json  take it up: struct update_request
 *   UPDATE_DIR/out/state.json   the runner's: struct update_progress
 *   STATE_DIR/image.json        the image that runs
 *   STATE_DIR/box.json          where, whether confirmed, the floor
 *
 * `in` is this process's, `out` root's: neither is believed to be more than
 * what it is. A signature is root's matter, and the boot's. It must not know
 * the ledger, and keeps nothing in memory: who asks again after a restart goes
 * on. One thread at a time.
 */
#ifndef APPLIANCE_LEDGER_UPDATE_FILES_H
#define APPLIANCE_LEDGER_UPDATE_FILES_H

#include "shared/rpc/messages_appliance.h"
#include "shared/rpc/rpc.h"

/** What is left to the box besides: stores go on growing meanwhile. */
#define UPDATE_SPARE_BYTES ((uint64_t)64 << 20)
/** Somebody else's half is thrown away when nothing came for so long. */
#define UPDATE_IDLE_S 300

struct update_request {
	uint64_t update; /* number in the journal */
	char digest[65]; /* hex; "": of the stick */
	bool usb;
};

/** What the runner says of the request that it took up last. */
struct update_progress {
	uint64_t update;
	uint32_t phase; /* enum update_phase, from UPDATE_CHECKING on */
	uint32_t percent;
	char digest[65]; /* hex, of what it read; or "" */
	char version[64];
	char slot[8];
	char reason[160];
};

struct update_image {
	char version[64];
	char build_id[64];
	char root_hash[65];
	char slot[8]; /* "a" or "b" */
};

struct update_box {
	char slot[8];
	bool confirmed;
	uint32_t level;
	uint32_t floor;
	bool hold; /* stores keep their format: the other slot's version */
	char warning[160]; /* of root's units */
};

extern const struct record update_request_record, update_progress_record,
    update_image_record, update_box_record;

/**
 * Refusals are told in `problem` and returned. Begin: the same once more goes on
 * where it is; another one while pieces come is refused.
 * @param most  bytes of a bundle
 */
int update_files_begin(struct update_view *out, const char *dir,
    const struct update_begin *asked, uint64_t most, struct problem *problem);
int update_files_put(struct update_view *out, const char *dir,
    const struct update_put *asked, struct problem *problem);
/** What is there of it; ERR_NOT_FOUND: nothing, no words. */
int update_files_show(struct update_view *out, const char *dir,
    const uint8_t digest[32]);
/** Is all of it there, and is it what its digest says? */
int update_files_check(struct update_view *out, const char *dir,
    const uint8_t digest[32], struct problem *problem);
int update_files_drop(const char *dir, const uint8_t digest[32],
    struct problem *problem);
/** Throw away whatever is there. */
void update_files_clear(const char *dir);

/** Ask the runner. ERR_FULL, ERR_IO. */
int update_files_ask(const char *dir, const struct update_request *request);
/** The runner has not taken up the request that is there. */
bool update_files_asked(const char *dir);
/** ERR_NOT_FOUND: it never ran; ERR_CORRUPT: not to be read. */
int update_files_progress(struct update_progress *out, const char *dir);
int update_files_image(struct update_image *out, const char *state_dir);
int update_files_box(struct update_box *out, const char *state_dir);

/** Bytes free for the daemon on the disk of that folder; 0: nobody knows. */
uint64_t update_files_room(const char *dir);

#endif
