/* The list of released images. */
#include "appliance/hub/measured.h"

#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

static int
view_image(struct hub_image *out, const struct hub_image_state *image,
    struct arena *arena)
{
	const struct row_image_pcr *from = image->row.pcrs.items;
	struct hub_image_pcr *to =
	    arena_alloc(arena, image->row.pcrs.count * sizeof *to);

	if (to == NULL)
		return ERR_NOMEM;
	*out = (struct hub_image){ .added_at = image->at };
	text_copy(out->version, sizeof out->version, image->row.version);
	text_copy(out->build_id, sizeof out->build_id, image->row.build_id);
	for (uint32_t i = 0; i < image->row.pcrs.count; i++) {
		to[i].pcr = from[i].pcr;
		text_to_hex(to[i].sha256, from[i].value, sizeof from[i].value);
	}
	out->pcrs = (struct record_list){ to, image->row.pcrs.count };
	return 0;
}

int
query_hub_images(struct query *q)
{
	const struct hub_image_query *request = q->request;
	struct hub_image_page *out = q->reply;
	uint32_t limit = query_limit(request->limit), n = 0;
	struct hub_image *items = arena_alloc(q->arena, limit * sizeof *items);
	uint64_t last, at = request->after;
	int err = items == NULL
	    ? ERR_NOMEM
	    : hub_last(&last, &q->view->state, STORE_HUB_IMAGES);

	while (err == 0 && at < last && n < limit) {
		struct hub_image_state image;

		err = hub_image(&image, &q->view->state, ++at, q->arena);
		if (err == 0 && !image.removed)
			err = view_image(&items[n++], &image, q->arena);
	}
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	out->items = (struct record_list){ items, n };
	out->next = at < last ? at : 0;
	return 0;
}
