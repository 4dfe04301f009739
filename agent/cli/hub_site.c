/* One site, as a vendor's hub knows it. */
#include "agent/cli/hub.h"

#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>

static void
show_incident(const struct hub_incident *incident)
{
	char at[32], there[32];

	cli_time(at, incident->at);
	if (incident->what != HUB_INCIDENT_ROLLBACK) {
		cli_show("%s  %s: report %" PRIu64 " (%s): %s\n", at,
		    hub_incident_names[incident->what], incident->report,
		    report_answer_names[incident->answer], incident->reason);
		return;
	}
	cli_time(there, incident->time);
	cli_show("%s  rollback: report %" PRIu64 " shows generation %u, from "
		 "batch %" PRIu64 " on, acknowledged %s; %" PRIu64
		 " overage seats were billed and are gone there\n",
	    at, incident->report, incident->generation, incident->batch, there,
	    incident->seats);
}

static void
show_site(const struct hub_site_shown *shown)
{
	const struct hub_site_view *site = &shown->site;
	const struct hub_incident *incidents = shown->incidents.items;
	char bound[32], reported[32];

	cli_time(bound, site->bound_at);
	cli_time(reported, site->reported_at);
	cli_show("site      %s (%s), tenant %s, of %s\n", site->site,
	    site->name, site->tenant, site->crm_account_id);
	cli_show("known     since %s\n", bound);
	if (site->sequence == 0)
		cli_show("report    none came yet\n");
	else
		cli_show("report    %" PRIu64 ", taken %s\n", site->sequence,
		    reported);
	cli_show("seats     %" PRIu64 " overage seats; %" PRIu64
		 " not issued to it\n",
	    site->seats, site->unbilled);
	if (site->unbilled_hours > 0)
		cli_show("metrics   %" PRIu64
			 " hours that no statement counts: not issued to it, "
			 "or of more money than\n"
			 "          an hour can come to\n",
		    site->unbilled_hours);
	if (site->gone > 0)
		cli_show("gone      %" PRIu64
			 " of them were billed and lie on a "
			 "lost branch of its journal:\n"
			 "          they stay billed; credit them with "
			 "leasehold "
			 "hub credit add\n",
		    site->gone);
	cli_show("wrong     %" PRIu64 " gaps, %" PRIu64 " forks, %" PRIu64
		 " rollbacks, %" PRIu64 " reports refused\n",
	    site->gaps, site->forks, site->rollbacks, site->refused);
	for (uint32_t i = 0; i < shown->incidents.count; i++)
		show_incident(&incidents[i]);
}

int
hub_site_show(struct cli *cli, int argc, char **argv)
{
	struct hub_site_ref request = { .site = "" };
	struct hub_site_shown reply;
	struct arena arena = { 0 };
	int status = hub_text(request.tenant, sizeof request.tenant, &argc,
	    argv, "--tenant");

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "hub site show SITE [--tenant T]");
	if (status == CLI_DONE &&
	    !text_copy(request.site, sizeof request.site, argv[1])) {
		cli_say("a site's id has at most 63 characters");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_HUB_SITE_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		show_site(&reply);
	arena_release(&arena);
	return status;
}
