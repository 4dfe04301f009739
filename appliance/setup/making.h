/*
 * Making a site's folder, as `init` and `restore` do. Everything is made in
 * STATE.new, which this process holds a lock on, and renamed at the end: a crash
 * leaves either no site or a whole one, and the next attempt clears what was
 * left. It must not know what is put into it.
 */
#ifndef APPLIANCE_SETUP_MAKING_H
#define APPLIANCE_SETUP_MAKING_H

#include "appliance/setup/setup.h"

struct making {
	const struct setup_options *options;
	char folder[SETUP_PATH_MAX]; /* STATE.new */
	int lock; /* on that folder */
	uint8_t *secret; /* site key, guarded */
	uint8_t *key; /* of the tenant or system, guarded */
	struct site_file site;
};

/** Make the folder: `fill` puts everything into making->folder; then it is given
 * to its owner, and gets its name. Errors are logged. ERR_CONFLICT when STATE is
 * there and not an empty folder; ERR_BUSY when another is being made there. */
int making_run(const struct setup_options *options,
    int (*fill)(struct making *making, void *ctx), void *ctx);

/** What a crash left of an attempt, and nobody is at: it holds keys. For a daemon
 * that starts beside it. Errors are logged, and no reason not to start. */
void making_clear(const char *state);

/* For `fill`; each logs its errors. */
int making_add_folder(const struct making *making, const char *name,
    unsigned int mode);
/** All that a site has. */
int making_add_folders(const struct making *making);
int making_write(const struct making *making, const char *name,
    const void *data, size_t len, unsigned int mode);
/** site.json, of making->site; last, because it is what makes a folder a site.
 */
int making_write_site(const struct making *making);
/** CA and server of making->options->hosts into tls/. */
int making_certificates(const struct making *making);
/** A folder and all in it, as far as it is there. */
int making_remove(const char *path);
/** Give all of what was made to this user. */
int making_give(const struct making *making, const char *name, uid_t uid,
    gid_t gid);
/** errno in words: ERR_FULL, ERR_NOMEM, ERR_IO. */
int making_failed(const char *verb, const char *path);

#endif
