/*
 * One line, one write(2); see log.h. The only state of this program that is
 * not in a struct: a log has no owner, and every part may speak.
 */
#include "shared/base/log.h"

#include "shared/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* journald cuts at 48 KB, people long before. A line stays below PIPE_BUF, so
 * that lines of several processes do not mix in one pipe. */
#define LOG_MESSAGE_MAX 2048
#define LOG_LINE_MAX 4096
/* Lines of one place in the source: so many at once, then one a second. */
#define LOG_BURST 100
#define LOG_EVERY_MS 1000
/* Places are told apart by their format; a power of two. */
#define LOG_PLACES 256

static struct {
	const char *process;
	enum log_level lowest;
	int journal;
} target = { "leasehold", LOG_INFO, 0 };

/* When the burst of a place is whole again, and lines that it has left out.
 * Two places that share a slot share a burst. */
static struct {
	_Atomic int64_t whole_ms;
	_Atomic uint32_t left_out;
} places[LOG_PLACES];

static const char *const level_names[] = { "debug", "info", "warn", "error" };
/* sd-daemon(3): SD_DEBUG, SD_INFO, SD_WARNING, SD_ERR */
static const int level_numbers[] = { 7, 6, 4, 3 };

#define LEVELS ((int)(sizeof(level_names) / sizeof(level_names[0])))

void
log_open(const char *process, enum log_level lowest, int journal)
{
	target.process = process;
	target.lowest = lowest;
	target.journal = journal;
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i < LEVELS; i++)
		if (strcmp(level_names[i], name) == 0)
			return i;
	return -1;
}

/* Line feeds and terminal controls would let a stranger's text look like a
 * line of ours: C0, DEL, C1 (as UTF-8), and the marks that turn the direction
 * of writing (U+202A to U+202E, U+2066 to U+2069) or break lines (U+2028,
 * U+2029). Returns how many bytes at p are to be escaped. */
static size_t
unsafe_bytes(const uint8_t *p, size_t len)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && len > 1 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (p[0] == 0xe2 && len > 2 &&
	    ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
		return 3;
	/* A byte that starts nothing, read as Latin-1 by an old terminal. */
	if (p[0] >= 0x80 && p[0] < 0xa0)
		return 1;
	return 0;
}

/* Bytes of the well-formed-enough sequence that starts at p. */
static size_t
plain_bytes(const uint8_t *p, size_t len)
{
	size_t n = 1;

	if (p[0] >= 0xc0)
		while (n < len && n < 4 && (p[n] & 0xc0) == 0x80)
			n++;
	return n;
}

/* Escapes into line at `used`; always leaves room for "...\n". */
static size_t
append_escaped(char *line, size_t used, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = (const uint8_t *)text;
	const size_t end = LOG_LINE_MAX - 4;

	while (len > 0) {
		size_t unsafe = unsafe_bytes(p, len);
		size_t n = unsafe != 0 ? unsafe : plain_bytes(p, len);

		if (used + 4 * n > end) {
			memcpy(line + used, "...", 3);
			return used + 3;
		}
		for (size_t i = 0; i < n; i++) {
			if (unsafe == 0) {
				line[used++] = (char)p[i];
				continue;
			}
			line[used++] = '\\';
			line[used++] = 'x';
			line[used++] = hex[p[i] >> 4];
			line[used++] = hex[p[i] & 15];
		}
		p += n;
		len -= n;
	}
	return used;
}

static size_t
format_prefix(char *line, enum log_level level, const char *part)
{
	char now[CLOCK_TEXT_SIZE];
	int n;

	if (target.journal) {
		n = snprintf(line, LOG_LINE_MAX / 2,
		    "<%d>%s %s %s: ", level_numbers[level], target.process,
		    level_names[level], part);
	} else {
		clock_format(now, clock_wall_ms());
		n = snprintf(line, LOG_LINE_MAX / 2, "%s %s %s %s: ", now,
		    target.process, level_names[level], part);
	}
	if (n < 0)
		return 0;
	return n < LOG_LINE_MAX / 2 ? (size_t)n : LOG_LINE_MAX / 2 - 1;
}

/* May this place say something now? And how often it was not allowed to. */
static bool
may_say(uint32_t *left_out, enum log_level level, const char *format)
{
	uintptr_t place = (uintptr_t)format;
	size_t i = (size_t)((place >> 4) ^ (place >> 12)) % LOG_PLACES;

	*left_out = 0;
	if (level == LOG_DEBUG)
		return true;
	int64_t now = clock_boottime_ms();
	int64_t whole = atomic_load(&places[i].whole_ms);

	for (;;) {
		int64_t next = (whole > now ? whole : now) + LOG_EVERY_MS;

		if (next - now > LOG_BURST * LOG_EVERY_MS) {
			atomic_fetch_add(&places[i].left_out, 1);
			return false;
		}
		if (atomic_compare_exchange_weak(&places[i].whole_ms, &whole,
			next))
			break;
	}
	*left_out = atomic_exchange(&places[i].left_out, 0);
	return true;
}

void
log_write(enum log_level level, const char *part, const char *format, ...)
{
	char message[LOG_MESSAGE_MAX];
	char line[LOG_LINE_MAX];
	int saved = errno;
	va_list args;

	uint32_t left_out;

	if (level < target.lowest || !may_say(&left_out, level, format))
		return;
	size_t used = format_prefix(line, level, part);

	va_start(args, format);
	int n = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (n < 0)
		n = snprintf(message, sizeof(message), "(bad format)");
	size_t len =
	    (size_t)n < sizeof(message) ? (size_t)n : sizeof(message) - 1;

	used = append_escaped(line, used, message, len);
	if ((size_t)n > len && used + 4 <= sizeof(line)) {
		memcpy(line + used, "...", 3);
		used += 3;
	}
	if (left_out > 0 && used + 48 < sizeof(line))
		used += (size_t)snprintf(line + used, 48,
		    " (and %u more of this kind)", left_out);
	line[used++] = '\n';
	while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR)
		;
	/* Callers print errno's text before and after. */
	errno = saved;
}
