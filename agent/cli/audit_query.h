/*
 * What is searched for in the audit, as it is said on the command line; search
 * and export share it. It must not know what is done with what is found.
 */
#ifndef AGENT_CLI_AUDIT_QUERY_H
#define AGENT_CLI_AUDIT_QUERY_H

#include "agent/cli/cli.h"

/** Takes the filters out of argv. Returns CLI_DONE or CLI_USAGE (said). */
int audit_query_read(struct audit_query *query, int *argc, char **argv);

/**
 * Every entry that fits, `most` at most (0: all), each handed to `each` until it
 * returns another status than CLI_DONE. Says on standard error when the site is
 * still making what is searched.
 *
 * @param[out] cut  There are more than `most`.
 */
int audit_query_each(bool *cut, struct cli *cli, struct audit_query *query,
    uint64_t most, int (*each)(void *ctx, const struct audit_item *item),
    void *ctx);

/** The same words for help and manual. */
#define AUDIT_QUERY_OPTIONS                                                    \
	"  --user U      whose seat, or who asked\n"                           \
	"  --hostname H  of which host\n"                                      \
	"  --address A   from there; a range is 192.0.2.0/24\n"                \
	"  --product P   about it\n"                                           \
	"  --key-id K    by or about an API key: key-7\n"                      \
	"  --device D    by or about a device: device-9\n"                     \
	"  --actor A     who did it: site, admin-1, user-3, device-9, key-7\n" \
	"  --event E     what happened: lease.granted, device.revoke\n"        \
	"  --result R    granted, done, no_seats; refused: any refusal\n"      \
	"  --fingerprint F SHA-256 of an application\n"                        \
	"  --from TIME   not before: a time, a date, or 7d for a week ago\n"   \
	"  --to TIME     before\n"

#endif
