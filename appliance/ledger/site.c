/* What the process answers about the site by itself. */
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

void
site_request(const struct request *request)
{
	struct process *process = request->process;
	struct site_request_reply reply;
	struct buf token = { 0 };

	if (request_read(request) == NULL)
		return;
	int rc = setup_request_sign(&token, &process->site,
	    request->tenant->name, process_now(process), process->secret,
	    process->identity, &process->succession);

	if (rc == 0) {
		reply.request.data = token.data;
		reply.request.len = (uint32_t)token.len;
		request_reply(request, &reply);
	} else {
		request_refuse(request, rc, NULL);
	}
	buf_release(&token);
}

/* Can it grant seats? A full disk is not ready, though it reads and renews. */
const char *
site_trouble(const struct process *process)
{
	if (process->phase == PHASE_STARTING)
		return "the site is starting";
	if (process->phase == PHASE_DRAINING)
		return "the site is stopping";
	if (process->guard.frozen)
		return "the site's store was put back to an older copy, and no "
		       "admin has acknowledged it";
	for (size_t i = 0; i < process->n_tenants; i++) {
		const struct tenant *tenant = process->tenants[i];

		if (tenant->fault != 0)
			return err_str(tenant->fault);
		if (!tenant->started && tenant->faulted_at != 0)
			return "the site is starting";
	}
	return NULL;
}

void
site_health(const struct request *request)
{
	struct health health = { .status = "ok" };
	const char *words = site_trouble(request->process);

	if (request_read(request) == NULL)
		return;
	if (request->op->id == OP_READYZ && words != NULL) {
		struct problem problem;

		problem_set(&problem, ERR_UNAVAILABLE, NULL, "%s", words);
		request_refuse(request, ERR_UNAVAILABLE, &problem);
		return;
	}
	request_reply(request, &health);
}
