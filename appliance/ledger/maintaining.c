#include "appliance/ledger/maintaining.h"

#include "appliance/ledger/ledger_maintenance.h"
#include "appliance/setup/tenant.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/box/maintenance_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PATH_BYTES 640
/** Root has not looked for so long: another token may take its place. */
#define IGNORED_S 60

static const char *
folder_of(const struct call *call)
{
	return call->process->options->appliance;
}

/* --- asked ----------------------------------------------------------------------- */

static bool
path_of_token(char path[PATH_BYTES], const struct call *call)
{
	return snprintf(path, PATH_BYTES, "%s/" MAINTENANCE_TOKEN_FILE,
		   folder_of(call)) < PATH_BYTES;
}

/* Is a token waiting, and for how long? */
static bool
is_waiting(int64_t *waits_s, const struct call *call)
{
	char path[PATH_BYTES];
	struct stat found;

	*waits_s = 0;
	if (!path_of_token(path, call) || lstat(path, &found) != 0)
		return false;
	*waits_s = (int64_t)time(NULL) - (int64_t)found.st_mtime;
	return true;
}

static bool
is_same(const char *token, const struct call *call)
{
	char path[PATH_BYTES];
	uint8_t *was = NULL;
	size_t len = 0;
	bool same = path_of_token(path, call) &&
	    file_read(&was, &len, path, MAINTENANCE_TOKEN_MAX + 1) == 0 &&
	    len == strlen(token) && memcmp(was, token, len) == 0;

	free(was);
	return same;
}

/* Its words are root's to judge; here it is only one line of text. */
static bool
is_one_line(const char *token)
{
	for (; *token != '\0'; token++)
		if (*token <= ' ' || *token > '~')
			return false;
	return true;
}

static int
hand_on(struct call *call)
{
	const struct maintenance_ask *asked = call->request;
	struct command *command = &call->write.command;
	char path[PATH_BYTES];
	int64_t waits_s;

	if (!is_one_line(asked->token)) {
		problem_set(&command->problem, ERR_BAD_REQUEST,
		    "send what leasehold appliance maintenance token made",
		    "this is no token");
		return ERR_BAD_REQUEST;
	}
	if (is_waiting(&waits_s, call) && waits_s >= 0 && waits_s < IGNORED_S) {
		if (is_same(asked->token, call))
			return 0;
		problem_set(&command->problem, ERR_CONFLICT,
		    "see what comes of it: leasehold appliance maintenance "
		    "show",
		    "the box is looking at another token");
		return ERR_CONFLICT;
	}
	if (!path_of_token(path, call))
		return ERR_SYSTEM;
	int err = file_write(path, asked->token, strlen(asked->token), 0644);

	if (err != 0)
		log_error("maintenance", "cannot write %s: %s (%s)", path,
		    err_str(err), strerror(errno));
	return err;
}

static void
fill_view(struct maintenance_view *view, struct call *call)
{
	struct maintenance_state state;
	int64_t waits_s;
	int err = maintenance_state_read(&state, folder_of(call), &call->arena);

	text_copy(view->site, sizeof(view->site), call->process->site.site);
	view->asked = is_waiting(&waits_s, call);
	if (err != 0)
		return;
	text_copy(view->box, sizeof(view->box), state.box);
	text_copy(view->owner, sizeof(view->owner), state.owner);
	view->events = state.events;
	const struct maintenance_event *open = maintenance_open(&state.events);

	view->open = open != NULL;
	view->until = open != NULL ? open->until : 0;
}

static void
run_asked(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct maintenance_view *view =
	    arena_alloc(&call->arena, sizeof(*view));

	command->err = view == NULL ? ERR_NOMEM : 0;
	if (command->err == 0 && call->op->id == OP_MAINTENANCE_OPEN)
		command->err = hand_on(call);
	if (command->err != 0)
		return;
	memset(view, 0, sizeof(*view));
	fill_view(view, call);
	call->reply = view;
}

static void
ask(const struct request *request)
{
	struct problem problem;
	struct call *call;

	if (request->process->options->appliance == NULL) {
		problem_set(&problem, ERR_NOT_FOUND,
		    "log in to its machine as to any other",
		    "this site runs on no appliance ([appliance] is not in "
		    "its settings), and %s is of those",
		    request->op->name);
		request_refuse(request, ERR_NOT_FOUND, &problem);
		return;
	}
	call = call_new(request);
	if (call == NULL)
		return;
	call->finish = command_finish;
	call_vault(call, run_asked);
}

void
maintenance_open_asked(const struct request *request)
{
	ask(request);
}

void
maintenance_show_asked(const struct request *request)
{
	ask(request);
}

/* --- what root did --------------------------------------------------------------- */

/* The first that is not journaled yet; event 0: none. */
static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct maintenance_event *next = call->own;
	struct maintenance_state state;
	struct state_maintenance last = { 0 };
	struct ledger_view *view;
	int err = maintenance_state_read(&state, folder_of(call), &call->arena);

	call->write.command.err = err == ERR_NOT_FOUND ? 0 : err;
	if (err != 0)
		return;
	err = ledger_view_open(&view, call->tenant->ledger);
	if (err == 0) {
		err = ledger_maintenance(&last, view);
		ledger_view_close(view);
	}
	call->write.command.err = err;
	const struct maintenance_event *events = state.events.items;

	for (uint32_t i = 0; i < state.events.count && err == 0; i++) {
		if (events[i].event > last.event &&
		    (next->event == 0 || events[i].event < next->event))
			*next = events[i];
	}
}

static void
finish_journaled(struct call *call)
{
	const struct maintenance_event *event = call->own;

	call->tenant->maintaining.busy = false;
	if (call->write.command.err == 0)
		log_warn("maintenance",
		    "maintenance of the box: %s (event %" PRIu64 ")",
		    maintenance_step_names[event->step], event->event);
	call_free(call);
}

static void
finish_look(struct call *call)
{
	const struct maintenance_event *next = call->own;

	if (call->write.command.err != 0 || next->event == 0) {
		call->tenant->maintaining.busy = false;
		call_free(call);
		return;
	}
	call->write.command.request = next;
	call->finish = finish_journaled;
	call_commit(call);
}

void
maintaining_tick(struct tenant *tenant)
{
	const struct maintenance_event nothing = { 0 };

	if (tenant->process->options->appliance == NULL ||
	    tenant->maintaining.busy || strcmp(tenant->name, SETUP_TENANT) != 0)
		return;
	struct call *call =
	    call_new_own(tenant, LEDGER_MAINTENANCE, &nothing, sizeof(nothing));

	if (call == NULL)
		return;
	call->own = call->request;
	tenant->maintaining.busy = true;
	call->finish = finish_look;
	call_vault(call, run_look);
}
