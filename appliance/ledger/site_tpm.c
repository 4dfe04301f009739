/*
 * The TPM of the site's own box: opened before anything else, because the site
 * key may be sealed to it; then its counter is the site's witness (tick.c) and
 * its clock tells how long the machine was on (process.c). The start, the
 * guard's thread and whoever makes a report (measure.h) speak to it.
 */
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"

#include <string.h>
#include <sys/stat.h>

bool
site_tpm_is_set(const struct process *process)
{
	const char *tpm = process->options->tpm;

	return tpm != NULL && tpm[0] != '\0';
}

/* A TPM that is a device belongs to a group, which the ledger keeps. */
size_t
site_tpm_group(gid_t *group, const struct process *process)
{
	static const char device[] = "device:";
	const char *tpm = process->options->tpm;
	struct stat st;

	if (!site_tpm_is_set(process) ||
	    strncmp(tpm, device, sizeof(device) - 1) != 0 ||
	    stat(tpm + sizeof(device) - 1, &st) != 0 || st.st_gid == 0)
		return 0;
	*group = st.st_gid;
	return 1;
}

int
site_tpm_profile(const struct process *process)
{
	static const char device[] = "device:";

	return site_tpm_is_set(process) &&
		strncmp(process->options->tpm, device, sizeof(device) - 1) != 0
	    ? SANDBOX_LEDGER_SOCKET
	    : SANDBOX_LEDGER;
}

static void
say_why(const struct process *process, const char *folder, int err)
{
	if (err == ERR_MISMATCH)
		log_error("ledger",
		    "the TPM at %s is not the one that this site was set up "
		    "with, or it was cleared: the site's folder stands in "
		    "another box. Its key opens in its own only; to go on in "
		    "this one, put the copy of keys/site.key that was kept in "
		    "a safe in place, remove keys/site.key.sealed and %s, and "
		    "start it again; an admin then acknowledges that the "
		    "counter is lost",
		    process->options->tpm, folder);
	else
		log_error("ledger",
		    "the site does not start without its TPM ([site] tpm=%s): "
		    "%s. It is tried again; see that the TPM is switched on in "
		    "the firmware and that this user may open it",
		    process->options->tpm, err_str(err));
}

int
site_tpm_open(struct process *process)
{
	struct identity_options options = { .tcti = process->options->tpm };
	char folder[SETUP_PATH_MAX];

	if (!site_tpm_is_set(process))
		return 0;
	int rc = setup_path(folder, process->options->state, "keys/tpm");

	if (rc != 0)
		return rc;
	options.folder = folder;
	rc = identity_open_with(&process->identity, &options);
	if (rc != 0)
		say_why(process, folder, rc);
	return rc;
}

int
site_tpm_read_key(struct process *process)
{
	const struct ledger_process_options *options = process->options;

	if (process->identity == NULL)
		return setup_site_key(process->secret, options->state);
	return setup_site_key_in_tpm(process->secret, options->state,
	    process->identity, options->tpm_pcrs);
}

int64_t
site_tpm_time(struct process *process)
{
	struct identity_clock now;
	struct system_tick tick;

	if (process->identity == NULL ||
	    system_tick_load(&tick, process->system) != 0 ||
	    tick.clock_ms == 0 ||
	    identity_clock_read(&now, process->identity) != 0)
		return 0;
	if (now.resets < tick.resets ||
	    (now.resets == tick.resets && now.clock_ms < tick.clock_ms)) {
		log_error("ledger",
		    "ALERT: the clock of the box's TPM went back: it was "
		    "cleared, or put back; the site goes on from its last "
		    "tick");
		return tick.at;
	}
	/* At a reset it may have lost what it counted last. */
	return now.clock_ms > tick.clock_ms
	    ? tick.at + (int64_t)(now.clock_ms - tick.clock_ms)
	    : tick.at;
}
