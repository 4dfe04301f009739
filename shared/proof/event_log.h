/*
 * The TPM's event log as the kernel gives it (TCG PC Client Platform Firmware
 * Profile, 10.2 and 10.4): read within bounds, and replayed to the PCRs of the
 * SHA-256 bank that it stands for. It must not know what events mean, nor
 * whether the PCRs are those of a TPM.
 *
 *   first event  PCR u32, type u32 (EV_NO_ACTION), SHA-1 digest [20], size u32,
 *                "Spec ID Event03\0", ..., algorithms {id u16, size u16}
 *   others       PCR u32, type u32, count u32, {id u16, digest}, size u32, event
 * all little-endian. EV_NO_ACTION extends nothing; one of "StartupLocality" says
 * where PCR 0 begins.
 */
#ifndef SHARED_PROOF_EVENT_LOG_H
#define SHARED_PROOF_EVENT_LOG_H

#include <stddef.h>
#include <stdint.h>

#define EVENT_LOG_BYTES_MAX ((size_t)1 << 20)
#define EVENT_LOG_EVENTS_MAX 4096
#define EVENT_LOG_PCRS 24
/** What the firmware measures into, and so has in its log, whole. */
#define EVENT_LOG_FIRMWARE_PCR 7

struct event_log {
	uint8_t pcrs[EVENT_LOG_PCRS][32];
	uint32_t events; /* that extended one */
};

/** ERR_CORRUPT: not such a log, cut short, or without SHA-256. ERR_TOO_LARGE.
 * `log` is then of no use. Time is linear in len. */
int event_log_replay(struct event_log *log, const uint8_t *data, size_t len);

#endif
