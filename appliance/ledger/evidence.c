/* Documents that others keep of this journal, or of a branch of it that was
 * lost: what they prove, whoever shows them. See ledger.h. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"
#include "shared/journal/ticket.h"

#include <string.h>

static bool
is_ours(const struct ledger *ledger, const char *site, const char *tenant)
{
	return strcmp(site, ledger->site) == 0 &&
	    strcmp(tenant, ledger->tenant) == 0;
}

static int
read_beat(struct row_mark *mark, const struct ledger *ledger, const char *token,
    size_t len)
{
	struct arena arena = { .chunks = NULL };
	struct journal_beat beat;
	int err = license_document_read(&beat, &journal_beat_record, TOKEN_BEAT,
	    token, len, site_keys_of(&ledger->site_keys, token, len), &arena,
	    NULL);

	arena_release(&arena);
	if (err != 0)
		return err;
	if (!is_ours(ledger, beat.site, beat.tenant))
		return ERR_MISMATCH;
	*mark = (struct row_mark){ .generation = beat.generation,
		.batch = beat.batch,
		.time = beat.time };
	memcpy(mark->head, beat.head, sizeof mark->head);
	return 0;
}

int
ledger_read_evidence(struct row_mark *mark, const struct ledger *ledger,
    const char *token, size_t len)
{
	struct journal_header header;
	uint8_t head[32];
	int err = journal_header_verify(&header, head, token, len,
	    site_keys_of(&ledger->site_keys, token, len));

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return read_beat(mark, ledger, token, len);
	if (!is_ours(ledger, header.site, header.tenant))
		return ERR_MISMATCH;
	*mark = (struct row_mark){ .generation = header.generation,
		.batch = header.batch,
		.time = header.time,
		.grants = header.totals.grants,
		.ends = header.totals.ends,
		.overage = header.totals.overage };
	memcpy(mark->head, head, sizeof mark->head);
	return 0;
}

int
ledger_adopt_read(struct ledger_adopt_item *out, const struct ledger *ledger,
    const struct attach_item *item, uint64_t device, struct arena *arena)
{
	struct journal_header header;
	struct row row;
	uint8_t head[32];
	int err = journal_header_verify(&header, head, item->header.data,
	    item->header.len,
	    site_keys_of(&ledger->site_keys, (const char *)item->header.data,
		item->header.len));

	if (err == 0 && !is_ours(ledger, header.site, header.tenant))
		err = ERR_MISMATCH;
	if (err == 0 && item->path.len % MERKLE_BYTES != 0)
		err = ERR_BAD_PATH;
	if (err == 0)
		err = journal_row_verify(&header, item->row_number,
		    item->row.data, item->row.len, item->path.data,
		    item->path.len / MERKLE_BYTES);
	if (err == 0)
		err = row_read(&row, item->row_number, item->row.data,
		    item->row.len, arena);
	if (err != 0)
		return err;
	bool borrowed =
	    row.kind == ROW_BORROWED || row.kind == ROW_BORROW_REISSUED;
	const struct row_lease_granted *grant =
	    borrowed ? &row.u.borrowed.grant : &row.u.lease_granted;

	if ((row.kind != ROW_LEASE_GRANTED && !borrowed) ||
	    grant->lease != item->lease || grant->device != device ||
	    !row_slots_are_sound(grant) ||
	    (borrowed && !ticket_is_sound(&row.u.borrowed)))
		return ERR_MISMATCH;
	*out = (struct ledger_adopt_item){
		.origin = { .generation = header.generation,
		    .batch = header.batch,
		    .row_number = item->row_number },
		.row = item->row,
		.grant = *grant,
		.borrowed = borrowed,
		.time = header.time,
	};
	if (borrowed)
		out->ticket = row.u.borrowed.ticket;
	memcpy(out->origin.head, head, sizeof head);
	return 0;
}
