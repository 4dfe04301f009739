/*
 * The ledger process: the only one with the store, the site key and the box's
 * TPM. One loop talks to the fronts over ipc; writer threads commit, a
 * reader thread answers long queries, a helper thread hashes. Sessions,
 * liveness, the clock and rate limits live here, in memory, around the core
 * (ledger.h), and can only submit commands to it. It owns no network socket
 * and believes a front about addresses, exporters and client certificates
 * only (DESIGN 3).
 */
#ifndef APPLIANCE_LEDGER_PROCESS_H
#define APPLIANCE_LEDGER_PROCESS_H

#include "appliance/courier/directory.h"
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/password.h"
#include "shared/base/supervisor.h"
#include "shared/proof/enroll.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** How often an alert is brought to a channel that does not take it. */
struct deliver_policy {
	int64_t first_ms; /* to the second try */
	int64_t most_ms; /* between two */
	uint32_t attempts; /* then it is given up */
};

/** Reports to hubs over the network; all zero: none. */
struct online_policy {
	int64_t interval_ms; /* 0: only when somebody asks */
	const char *hub; /* where a license names none; NULL or "": nowhere */
	int64_t timeout_ms; /* of one report */
	struct deliver_policy retry; /* attempts: no end */
};

struct ledger_process_options {
	const char *state; /* the site's folder; absolute */
	const char *witness; /* folder of the witness; NULL: STATE.witness */
	/** The box's TPM, as in identity.h: the site's counter is in it, and
	 * the site key sealed to it. NULL or "": neither. */
	const char *tpm;
	uint32_t tpm_pcrs; /* the key is sealed to these as well; a mask */
	bool drop; /* become uid and gid (root at start) */
	uid_t uid;
	gid_t gid;
	size_t map_bytes; /* of each tenant's store; 0: its own default */
	bool map_grows; /* while the disk has room */
	size_t connections_max; /* sessions of all fronts together */
	uint32_t claim_s, absent_s; /* of the queue; 0: waiting.h */
	struct ledger_borrow_policy borrow;
	/** Who makes TPMs; borrowed, and never NULL where devices with a TPM
	 * are to enroll. */
	const struct proof_trust *trust;
	struct ledger_device_policy devices;
	int64_t tick_asked_ms; /* between ticks that are asked for; 0: 30 s */
	/** Asked about logins that are not known here; NULL: there is none. */
	const struct directory_options *directory;
	int courier_edge; /* index of the courier among the edges; 0: none */
	/** Day of the next month on which a hub's invoices are made by
	 * themselves, 1 to 28; 0: never. And the first month of which: its
	 * first day. */
	uint32_t invoice_day;
	int32_t invoice_from;
	bool hub; /* tenants are vendors' accounts; see appliance/hub */
	bool metrics_open; /* anybody may ask for figures */
	enum password_cost password_cost; /* of new passwords; 0: moderate */
	uint32_t port; /* that the site listens on, for its URLs; 0: none */
	int64_t tenant_idle_ms; /* before a tenant is closed; 0: 5 min */
	int64_t audit_keep_days; /* entries that are searched; 0: for ever */
	int64_t metering_person_days; /* hours of users and hosts; 0: ever */
	int64_t journal_keep_days; /* rows of the journal; 0: for ever */
	/** Folder shared with the root units of an appliance: requests to
	 * them, their answers, the status page's file. NULL: this site is no
	 * appliance. */
	const char *appliance;
	struct deliver_policy deliver; /* attempts 0: the default */
	const char *update_dir; /* bundles on their way: update_files.h */
	uint64_t update_most; /* bytes of one */
	struct online_policy sync;
};

/** supervisor.core_main: `ctx` is a struct ledger_process_options. Status 0
 * after SIGTERM and a clean stop; 2 when the site's folder is at fault. */
int ledger_main(void *ctx, const struct supervisor_child *child);

#endif
