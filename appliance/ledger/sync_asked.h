/*
 * Who asks for reports, and what is brought back: the process's side of sync.h.
 * A report is made on the thread for copies, so that nobody waits for it who
 * wants a seat.
 */
#ifndef APPLIANCE_LEDGER_SYNC_ASKED_H
#define APPLIANCE_LEDGER_SYNC_ASKED_H

struct request;

void sync_preview_asked(const struct request *request);
/** ROW_REPORT_MADE first, then the report out of a snapshot that has it. */
void sync_export_asked(const struct request *request);

#endif
