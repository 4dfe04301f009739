/*
 * Who asks for reports, and what is brought back: the process's side of sync.h.
 * A report is made on the thread for copies, so that nobody waits for it who
 * wants a seat.
 */
#ifndef APPLIANCE_LEDGER_SYNC_ASKED_H
#define APPLIANCE_LEDGER_SYNC_ASKED_H

#include <stdbool.h>

struct call;
struct request;
struct sync_exported;
struct tenant;

void sync_preview_asked(const struct request *request);
/** ROW_REPORT_MADE first, then the report out of a snapshot that has it. */
void sync_export_asked(const struct request *request);

/**
 * The next report to a vendor for the process itself. `first`: ROW_REPORT_MADE
 * comes before it, as with an export. `done` owns the call; its write.command
 * says what went wrong, and sync_made() has the report. False: no memory.
 */
bool sync_make(struct tenant *tenant, const char *vendor, bool first,
    void (*done)(struct call *call));
const struct sync_exported *sync_made(const struct call *call);

#endif
