/*
 * Raw clocks and their text form. What time a site believes in is the
 * ledger's business (DESIGN 7), not this part's.
 */
#ifndef SHARED_BASE_CLOCK_H
#define SHARED_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/** CLOCK_BOOTTIME in ms; from the vDSO, no system call. */
int64_t clock_boottime_ms(void);
/** CLOCK_BOOTTIME in us. */
int64_t clock_boottime_us(void);
/** CLOCK_REALTIME in ms since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ms(void);

/** "2026-11-22T05:20:00.123Z" and its NUL. */
#define CLOCK_TEXT_SIZE 32

/** RFC 3339 UTC with ms; years 1970 to 9999 (others are clamped). */
void clock_format(char out[CLOCK_TEXT_SIZE], int64_t time_ms);

/** RFC 3339 with offset Z or +hh:mm, fraction up to 9 digits (cut to ms).
 * Returns 0 or ERR_BAD_REQUEST. */
int clock_parse(int64_t *time_ms, const char *text, size_t len);

/** "2026-11-22" to days since 1970-01-01 and back; real dates only. */
int clock_parse_date(int32_t *days, const char *text, size_t len);
void clock_format_date(char out[CLOCK_TEXT_SIZE], int32_t days);

#endif
