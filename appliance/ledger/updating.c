#include "appliance/ledger/updating.h"

#include "appliance/ledger/ledger_update.h"
#include "appliance/ledger/update_files.h"
#include "appliance/setup/tenant.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

/* Under that the box's disk is too small for its stores and logs. */
#define ROOM_LOW_BYTES ((uint64_t)256 << 20)

/* --- what is under way ----------------------------------------------------------- */

static const char *
folder_of(const struct call *call)
{
	return call->process->options->update_dir;
}

static int
last_update(struct state_update *last, const struct call *call)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, call->tenant->ledger);

	memset(last, 0, sizeof(*last));
	if (err != 0)
		return err;
	err = ledger_update(last, view);
	ledger_view_close(view);
	return err;
}

/* The journal says that it goes on, the runner how far it is. */
static void
fill_last(struct update_view *out, const struct state_update *last,
    const struct update_progress *progress)
{
	memset(out, 0, sizeof(*out));
	if (last->update == 0)
		return;
	memcpy(out->digest, last->digest, sizeof(out->digest));
	out->bytes = last->bytes;
	out->offset = last->bytes;
	out->phase = last->phase;
	out->update = last->update;
	out->usb = last->usb;
	text_copy(out->version, sizeof(out->version), last->version);
	text_copy(out->slot, sizeof(out->slot), last->slot);
	text_copy(out->reason, sizeof(out->reason), last->reason);
	out->requested_at = last->requested_at;
	out->ended_at = last->ended_at;
	/* Its end counts once it is journaled. */
	if (last->phase != UPDATE_REQUESTED ||
	    progress->update != last->update || progress->phase >= UPDATE_DONE)
		return;
	out->phase = progress->phase;
	out->percent = progress->percent;
	text_copy(out->version, sizeof(out->version), progress->version);
	text_copy(out->slot, sizeof(out->slot), progress->slot);
}

static void
look_at_progress(struct update_progress *progress, const char *dir)
{
	if (update_files_progress(progress, dir) != 0)
		memset(progress, 0, sizeof(*progress));
}

static int
refuse_busy(struct command *command, const struct state_update *last)
{
	problem_set(&command->problem, ERR_CONFLICT,
	    "see how far it is: leasehold appliance status",
	    "an update is being installed: update-%" PRIu64, last->update);
	return ERR_CONFLICT;
}

/* --- asked: a bundle in pieces ------------------------------------------------- */

static int
run_begin(struct call *call, const struct state_update *last)
{
	const struct update_begin *asked = call->request;
	struct command *command = &call->write.command;
	struct update_progress progress;

	if (last->phase != UPDATE_REQUESTED)
		return update_files_begin(call->reply, folder_of(call), asked,
		    call->process->options->update_most, &command->problem);
	if (last->usb || memcmp(last->digest, asked->digest, 32) != 0)
		return refuse_busy(command, last);
	look_at_progress(&progress, folder_of(call));
	fill_last(call->reply, last, &progress);
	return 0;
}

static int
run_show(struct call *call, const struct state_update *last)
{
	const struct update_ref *asked = call->request;
	struct update_progress progress;
	int err = 0;

	look_at_progress(&progress, folder_of(call));
	if (last->phase == UPDATE_REQUESTED || last->update == 0 ||
	    memcmp(last->digest, asked->digest, 32) != 0)
		err = update_files_show(call->reply, folder_of(call),
		    asked->digest);
	else
		err = ERR_NOT_FOUND;
	/* One that is under way, or the last that was. */
	if (last->update == 0 || memcmp(last->digest, asked->digest, 32) != 0 ||
	    (err == 0 && last->phase != UPDATE_REQUESTED)) {
		if (err == ERR_NOT_FOUND)
			problem_set(&call->write.command.problem, err,
			    "see: leasehold appliance status",
			    "there is no such update");
		return err;
	}
	fill_last(call->reply, last, &progress);
	return 0;
}

static void
run_files(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct state_update last;

	call->reply = arena_alloc(&call->arena,
	    call->op->reply->size > 0 ? call->op->reply->size : 1);
	command->err =
	    call->reply == NULL ? ERR_NOMEM : last_update(&last, call);
	if (command->err != 0)
		return;
	memset(call->reply, 0, call->op->reply->size);
	switch ((int)call->op->id) {
	case OP_UPDATE_BEGIN:
		command->err = run_begin(call, &last);
		return;
	case OP_UPDATE_SHOW:
		command->err = run_show(call, &last);
		return;
	case OP_UPDATE_PUT:
		command->err = last.phase == UPDATE_REQUESTED
		    ? refuse_busy(command, &last)
		    : update_files_put(call->reply, folder_of(call),
			  call->request, &command->problem);
		return;
	default: {
		const struct update_ref *asked = call->request;

		command->err = last.phase == UPDATE_REQUESTED
		    ? refuse_busy(command, &last)
		    : update_files_drop(folder_of(call), asked->digest,
			  &command->problem);
	}
	}
}

/* --- asked: the box -------------------------------------------------------------- */

struct warnings {
	struct appliance_warning items[APPLIANCE_WARNINGS_MAX];
	uint32_t n;
};

static void
warn(struct warnings *warnings, const char *text)
{
	if (warnings->n < APPLIANCE_WARNINGS_MAX && text[0] != '\0')
		text_copy(warnings->items[warnings->n++].text,
		    sizeof(warnings->items[0].text), text);
}

static void
fill_warnings(struct warnings *warnings, const struct update_view *last,
    const struct update_box *box, int box_err, const char *dir)
{
	if (box_err != 0)
		warn(warnings,
		    "the box has not told where it runs, nor its floor");
	else if (!box->confirmed)
		warn(warnings,
		    "this version is being tried: it has not passed its check "
		    "yet");
	warn(warnings, box->warning);
	if (update_files_room(dir) < ROOM_LOW_BYTES)
		warn(warnings, "less than 256 MiB are free on the box's disk");
	if (last->phase == UPDATE_FELL_BACK)
		warn(warnings,
		    "the last update was started and did not pass its check: "
		    "the old version runs");
	if (last->phase == UPDATE_FAILED)
		warn(warnings, "the last update was not installed");
}

static void
run_status(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	const struct ledger_process_options *options = call->process->options;
	struct appliance_status *reply =
	    arena_alloc(&call->arena, sizeof(*reply));
	struct warnings *warnings =
	    arena_alloc(&call->arena, sizeof(*warnings));
	struct update_progress progress;
	struct update_image image;
	struct update_box box;
	struct state_update last;

	command->err = reply == NULL || warnings == NULL
	    ? ERR_NOMEM
	    : last_update(&last, call);
	if (command->err != 0)
		return;
	memset(reply, 0, sizeof(*reply));
	memset(warnings, 0, sizeof(*warnings));
	look_at_progress(&progress, options->update_dir);
	fill_last(&reply->last, &last, &progress);
	if (update_files_image(&image, options->appliance) != 0)
		warn(warnings, "the box has not told which image runs");
	int err = update_files_box(&box, options->appliance);

	text_copy(reply->version, sizeof(reply->version), image.version);
	text_copy(reply->build, sizeof(reply->build), image.build_id);
	text_copy(reply->slot, sizeof(reply->slot), box.slot);
	reply->confirmed = box.confirmed;
	reply->level = box.level;
	reply->floor = box.floor;
	reply->store_format = ledger_store_format(call->tenant->ledger);
	fill_warnings(warnings, &reply->last, &box, err, options->update_dir);
	reply->warnings.items = warnings->items;
	reply->warnings.count = warnings->n;
	call->reply = reply;
}

/* --- asked: install -------------------------------------------------------------- */

static void
run_ask(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	const struct ledger_update *asked = command->request;
	struct update_request request = {
		.update = command->reply.update.update,
		.usb = asked->usb,
	};
	struct update_progress progress;

	look_at_progress(&progress, folder_of(call));
	/* It was asked before, and is under way. What else the file says is no
	 * reason not to ask: who wrote it believed a daemon. */
	if (progress.update == request.update)
		return;
	if (!asked->usb)
		text_to_hex(request.digest, asked->digest, 32);
	/* What cannot be written now is asked for by the next look. */
	if (update_files_ask(folder_of(call), &request) != 0)
		log_error("update",
		    "update-%" PRIu64 " is asked for again in a moment",
		    request.update);
}

static void
finish_commit(struct call *call)
{
	struct tenant *tenant = call->tenant;

	if (call->write.command.err != 0) {
		command_finish(call);
		return;
	}
	tenant->updating.pending = true;
	log_warn("update", "update-%" PRIu64 " of the box is asked for",
	    call->write.command.reply.update.update);
	call->finish = command_finish;
	call_vault(call, run_ask);
}

static void
finish_check(struct call *call)
{
	struct command *command = &call->write.command;

	if (command->err != 0) {
		command_finish(call);
		return;
	}
	command->op = LEDGER_UPDATE;
	command->request = call->own;
	call->finish = finish_commit;
	call_commit(call);
}

static int
check_bundle(struct ledger_update *update, struct call *call)
{
	const struct update_ref *asked = call->request;
	struct state_update last;
	struct update_view view;
	int err = last_update(&last, call);

	if (err != 0)
		return err;
	memcpy(update->digest, asked->digest, sizeof(update->digest));
	/* The runner may have it already. */
	if (last.phase == UPDATE_REQUESTED) {
		update->bytes = last.bytes;
		return 0;
	}
	err = update_files_check(&view, folder_of(call), asked->digest,
	    &call->write.command.problem);
	update->bytes = view.bytes;
	return err;
}

static void
run_check(struct work *work)
{
	struct call *call = (struct call *)work;
	struct ledger_update *update =
	    arena_alloc(&call->arena, sizeof(*update));
	struct update_image image;

	if (update == NULL) {
		call->write.command.err = ERR_NOMEM;
		return;
	}
	memset(update, 0, sizeof(*update));
	call->own = update;
	update->usb = call->op->id == OP_UPDATE_USB;
	(void)update_files_image(&image, call->process->options->appliance);
	text_copy(update->running, sizeof(update->running), image.version);
	call->write.command.err = update->usb ? 0 : check_bundle(update, call);
}

bool
updating_holds_format(const struct process *process)
{
	struct update_box box;

	if (process->options->appliance == NULL)
		return false;
	return update_files_box(&box, process->options->appliance) != 0 ||
	    !box.confirmed || box.hold;
}

/* --- looking what came of it --------------------------------------------------- */

struct looked {
	bool pending;
	bool over;
	struct ledger_update_ended ended;
};

static void
end_with(struct looked *looked, const struct state_update *last,
    const struct update_progress *progress)
{
	struct row_update_ended *row = &looked->ended.row;
	size_t len;

	looked->over = true;
	looked->ended.phase = progress->phase;
	row->update = last->update;
	if (text_from_hex(row->digest, sizeof(row->digest), &len,
		progress->digest, strlen(progress->digest)) != 0 ||
	    len != sizeof(row->digest))
		memcpy(row->digest, last->digest, sizeof(row->digest));
	text_copy(row->version, sizeof(row->version), progress->version);
	text_copy(row->slot, sizeof(row->slot), progress->slot);
	text_copy(row->reason, sizeof(row->reason), progress->reason);
}

/* It was journaled, and nobody has heard of it: ask again, or give it up. */
static void
ask_again(struct looked *looked, const struct state_update *last,
    const char *dir)
{
	struct update_request request = {
		.update = last->update,
		.usb = last->usb,
	};
	struct update_progress lost = {
		.phase = UPDATE_FAILED,
		.reason = "what was sent is not there any more: send it again",
	};
	struct update_view view;

	if (update_files_asked(dir))
		return;
	int err = last->usb ? 0 : update_files_show(&view, dir, last->digest);

	if (err == ERR_NOT_FOUND ||
	    (err == 0 && !last->usb && view.offset < view.bytes)) {
		end_with(looked, last, &lost);
		return;
	}
	if (!last->usb)
		text_to_hex(request.digest, last->digest, 32);
	if (err == 0)
		update_files_ask(dir, &request); /* it says so itself */
}

static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct looked *looked = call->own;
	struct update_progress progress;
	struct state_update last;

	call->write.command.err = last_update(&last, call);
	if (call->write.command.err != 0)
		return;
	looked->pending = last.phase == UPDATE_REQUESTED;
	if (!looked->pending)
		return;
	look_at_progress(&progress, folder_of(call));
	if (progress.update != last.update)
		ask_again(looked, &last, folder_of(call));
	else if (progress.phase >= UPDATE_DONE)
		end_with(looked, &last, &progress);
}

static void
finish_ended(struct call *call)
{
	const struct looked *looked = call->own;
	const struct row_update_ended *row = &looked->ended.row;
	struct tenant *tenant = call->tenant;

	tenant->updating.busy = false;
	if (call->write.command.err == 0) {
		tenant->updating.pending = false;
		log_warn("update", "update-%" PRIu64 " of the box: %s %s%s%s",
		    row->update, update_phase_names[looked->ended.phase],
		    row->version, row->reason[0] != '\0' ? ": " : "",
		    row->reason);
	}
	call_free(call);
}

/* Its bytes are of no use any more. */
static void
run_clear(struct work *work)
{
	update_files_clear(folder_of((struct call *)work));
}

static void
finish_journaled(struct call *call)
{
	if (call->write.command.err != 0) {
		finish_ended(call);
		return;
	}
	call->finish = finish_ended;
	call_vault(call, run_clear);
}

static void
finish_look(struct call *call)
{
	struct tenant *tenant = call->tenant;
	const struct looked *looked = call->own;

	tenant->updating.looked = call->write.command.err == 0;
	tenant->updating.pending = looked->pending;
	if (call->write.command.err != 0 || !looked->over) {
		tenant->updating.busy = false;
		call_free(call);
		return;
	}
	call->write.command.request = &looked->ended;
	call->finish = finish_journaled;
	call_commit(call);
}

void
updating_tick(struct tenant *tenant)
{
	const struct ledger_process_options *options = tenant->process->options;
	const struct looked nothing = { 0 };

	if (options->appliance == NULL || tenant->updating.busy ||
	    strcmp(tenant->name, SETUP_TENANT) != 0 ||
	    (tenant->updating.looked && !tenant->updating.pending))
		return;
	struct call *call = call_new_own(tenant, LEDGER_UPDATE_ENDED, &nothing,
	    sizeof(nothing));

	if (call == NULL)
		return;
	call->own = call->request;
	tenant->updating.busy = true;
	call->finish = finish_look;
	call_vault(call, run_look);
}

/* --- asked ----------------------------------------------------------------------- */

static bool
is_no_appliance(const struct request *request)
{
	struct problem problem;

	if (request->process->options->appliance != NULL)
		return false;
	problem_set(&problem, ERR_NOT_FOUND,
	    "update its packages as those of any program",
	    "this site runs on no appliance ([appliance] is not in its "
	    "settings), and %s is of those",
	    request->op->name);
	request_refuse(request, ERR_NOT_FOUND, &problem);
	return true;
}

static void
ask(const struct request *request, void (*run)(struct work *work),
    void (*finish)(struct call *call))
{
	struct call *call = is_no_appliance(request) ? NULL : call_new(request);

	if (call == NULL)
		return;
	call->finish = finish;
	call_vault(call, run);
}

void
appliance_status_asked(const struct request *request)
{
	ask(request, run_status, command_finish);
}

void
update_begin_asked(const struct request *request)
{
	ask(request, run_files, command_finish);
}

void
update_put_asked(const struct request *request)
{
	ask(request, run_files, command_finish);
}

void
update_show_asked(const struct request *request)
{
	ask(request, run_files, command_finish);
}

void
update_drop_asked(const struct request *request)
{
	ask(request, run_files, command_finish);
}

void
update_install_asked(const struct request *request)
{
	ask(request, run_check, finish_check);
}
