/*
 * Time zones by their IANA names, out of the system's files (RFC 8536), without
 * the process's own TZ: how far local time is ahead of UTC at a moment. It must
 * not know dates or calendars beyond what the files' rules need.
 */
#ifndef SHARED_BASE_ZONE_H
#define SHARED_BASE_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define ZONE_FOLDER "/usr/share/zoneinfo"

struct zone;

/**
 * "" and "UTC" need no file.
 *
 * @retval ERR_BAD_REQUEST  Not a name of a zone.
 * @retval ERR_NOT_FOUND    The system has no such zone.
 * @retval ERR_CORRUPT      Its file cannot be read.
 */
int zone_open(struct zone **zone, const char *name);
/** Of a file's bytes, which may be a stranger's. */
int zone_read(struct zone **zone, const uint8_t *data, size_t len);
void zone_free(struct zone *zone);

/** Seconds that local time is ahead of UTC, at a moment since 1970, s. */
int32_t zone_offset(const struct zone *zone, int64_t at);

#endif
