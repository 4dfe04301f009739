/*
 * SHA-256 of executables, made on threads of their own (a program may be
 * hundreds of megabytes) and kept by device, inode, ctime and size. It must
 * not know which process a file belongs to.
 */
#ifndef AGENT_KEEPER_DIGEST_H
#define AGENT_KEEPER_DIGEST_H

#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct digests;

/** Starts the threads; they run when it returns. */
int digests_new(struct digests **digests, struct event_base *base);
/** Stops them; callbacks that wait are not called. Takes NULL. */
void digests_free(struct digests *digests);

typedef void digest_done(void *ctx, const uint8_t digest[32]);

/**
 * The digest of an opened regular file; `fd` is taken whatever comes back.
 * Returns 0 and the digest when it is known; ERR_BUSY when `done` will be
 * called with it from the loop (zero bytes: it could not be read);
 * ERR_RATE_LIMITED when too many files wait, of all users or of `uid`; other
 * errors.
 */
int digests_get(uint8_t out[32], struct digests *digests, int fd, uid_t uid,
    digest_done *done, void *ctx);

/** `ctx` does not wait any more. */
void digests_forget(struct digests *digests, const void *ctx);

#endif
