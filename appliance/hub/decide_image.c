/* Released images: an admin of the account says which there are. */
#include "appliance/hub/decide.h"
#include "appliance/hub/measured.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* That counts, with that version; 0: none. */
static int
find_image(struct hub_image_state *out, uint64_t *number, struct batch *batch,
    struct command *command, const char *version)
{
	uint64_t last;
	int err = hub_last(&last, &batch->state, STORE_HUB_IMAGES);

	for (*number = last; *number > 0 && err == 0; --*number) {
		err = hub_image(out, &batch->state, *number, &command->arena);
		if (err == 0 && !out->removed &&
		    strcmp(out->row.version, version) == 0)
			return 0;
	}
	return err;
}

static int
read_pcrs(struct record_list *out, struct command *command,
    const struct hub_image *asked)
{
	const struct hub_image_pcr *from = asked->pcrs.items;
	struct row_image_pcr *to =
	    arena_alloc(&command->arena, asked->pcrs.count * sizeof *to);

	if (to == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < asked->pcrs.count; i++) {
		size_t len = 0;

		to[i].pcr = from[i].pcr;
		if (quote_place(from[i].pcr) < 0)
			return decide_refuse_field(command, "pcrs",
			    ERR_BAD_REQUEST, "leave it out: 0 to 7 and 11",
			    "PCR %u is not quoted", from[i].pcr);
		if (text_from_hex(to[i].value, sizeof to[i].value, &len,
			from[i].sha256, strlen(from[i].sha256)) != 0 ||
		    len != sizeof to[i].value)
			return decide_refuse_field(command, "pcrs",
			    ERR_BAD_REQUEST, "64 digits of hex",
			    "the value of PCR %u is no SHA-256", from[i].pcr);
	}
	*out = (struct record_list){ to, asked->pcrs.count };
	return 0;
}

static bool
is_same(const struct row_image_added *a, const struct row_image_added *b)
{
	const struct row_image_pcr *x = a->pcrs.items, *y = b->pcrs.items;
	bool same = strcmp(a->build_id, b->build_id) == 0 &&
	    a->pcrs.count == b->pcrs.count;

	for (uint32_t i = 0; same && i < a->pcrs.count; i++)
		same = x[i].pcr == y[i].pcr &&
		    memcmp(x[i].value, y[i].value, sizeof x[i].value) == 0;
	return same;
}

int
decide_hub_image_add(struct batch *batch, struct command *command)
{
	const struct hub_image *asked = command->request;
	struct hub_image *reply = hub_reply(command, sizeof *reply);
	struct row_image_added wanted = { .image = 0 };
	struct hub_image_state known;
	uint64_t number = 0;
	int err =
	    reply == NULL ? ERR_NOMEM : read_pcrs(&wanted.pcrs, command, asked);

	if (err == 0 && command->err == 0)
		err =
		    find_image(&known, &number, batch, command, asked->version);
	if (err != 0 || command->err != 0)
		return err;
	*reply = *asked;
	reply->added_at = number != 0 ? known.at : batch->place.time;
	text_copy(wanted.version, sizeof wanted.version, asked->version);
	text_copy(wanted.build_id, sizeof wanted.build_id, asked->build_id);
	if (number != 0)
		return is_same(&wanted, &known.row)
		    ? 0
		    : decide_refuse_field(command, "version", ERR_CONFLICT,
			  "leasehold hub images remove VERSION, then add it",
			  "image %s is known with other values",
			  asked->version);
	err = hub_last(&number, &batch->state, STORE_HUB_IMAGES);
	struct row *row = err == 0 ? batch_row(batch, ROW_IMAGE_ADDED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	row->u.image_added = wanted;
	row->u.image_added.image = number + 1;
	row->u.image_added.by = decide_actor(&command->who);
	return batch_emit(batch);
}

int
decide_hub_image_remove(struct batch *batch, struct command *command)
{
	const struct hub_image_ref *asked = command->request;
	struct hub_image_ref *reply = hub_reply(command, sizeof *reply);
	struct hub_image_state known;
	uint64_t number = 0;
	int err = reply == NULL
	    ? ERR_NOMEM
	    : find_image(&known, &number, batch, command, asked->version);

	if (err != 0)
		return err;
	*reply = *asked;
	if (number == 0)
		return decide_refuse_field(command, "version", ERR_NOT_FOUND,
		    "leasehold hub images list", "there is no image %s",
		    asked->version);
	struct row *row = batch_row(batch, ROW_IMAGE_REMOVED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.image_removed.image = number;
	row->u.image_removed.by = decide_actor(&command->who);
	return batch_emit(batch);
}
