/*
 * Log lines for people and journald: "level part: message key=value ...", on
 * standard error, one write a line, safe from any thread. Control characters
 * of strangers come out escaped, so that a log cannot be forged, and each place
 * in the source says 100 lines at once and then one a second, so that nobody
 * fills the disk through it; debug says all. An error is logged once, where it
 * is first seen. It must not know who reads.
 */
#ifndef SHARED_BASE_LOG_H
#define SHARED_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/**
 * Name of the process on each line ("ledger") and the lowest level shown.
 * With `journal` each line starts with the <N> prefix of sd-daemon(3).
 * Call before threads start; `process` is borrowed.
 */
void log_open(const char *process, enum log_level lowest, int journal);

/** "debug" .. "error"; -1 when it is none of them. */
int log_level_parse(const char *name);

void log_write(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(part, ...) log_write(LOG_DEBUG, part, __VA_ARGS__)
#define log_info(part, ...) log_write(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...) log_write(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) log_write(LOG_ERROR, part, __VA_ARGS__)

#endif
