/*
 * The status file of an appliance: every few seconds what the console shows is
 * read of each open tenant in the ordinary way and written as one file
 * (shared/box/status.h). It must not open a tenant, name a person, host or
 * customer, nor hold a tick up.
 */
#ifndef APPLIANCE_LEDGER_BOX_PAGE_H
#define APPLIANCE_LEDGER_BOX_PAGE_H

#include "appliance/ledger/inside.h"

/** Once a second; does nothing where the site is no appliance. */
void box_page_tick(struct process *process);

/** The last words before the process ends. */
void box_page_stop(struct process *process);

#endif
