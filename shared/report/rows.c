#include "shared/report/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

bool
report_may_show(const uint8_t *data, size_t len)
{
	static const enum row_kind kinds[] = { ROW_LICENSE_INSTALLED,
		ROW_LEASE_GRANTED, ROW_CLOCK, ROW_GENERATION, ROW_LEASE_ADOPTED,
		ROW_BORROWED, ROW_BORROW_ENDED };

	if (len < 2)
		return false;
	uint16_t kind = be16_read(data);

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kind == kinds[i])
			return true;
	return false;
}

static int
seats_of_grant(struct report_seats *out, const struct row *row,
    struct arena *arena)
{
	struct row_lease_granted grant;
	int err = row_grant(&grant, row, arena);

	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	if (!row_slots_are_sound(&grant))
		return ERR_CORRUPT;
	out->license = grant.license;
	out->lease = grant.lease;
	out->device = grant.device;
	out->first = grant.overage;
	out->count = grant.overage_count;
	memcpy(out->digest, grant.license_digest, sizeof out->digest);
	memcpy(out->user, grant.user, sizeof out->user);
	memcpy(out->host, grant.host, sizeof out->host);
	text_copy(out->feature, sizeof out->feature, grant.feature);
	return 0;
}

int
report_seats_of(struct report_seats *out, const struct row *row,
    struct arena *arena)
{
	memset(out, 0, sizeof *out);
	if (row->kind == ROW_LEASE_GRANTED || row->kind == ROW_BORROWED)
		return seats_of_grant(out, row, arena);
	if (row->kind == ROW_LEASE_ADOPTED) {
		out->origin = &row->u.lease_adopted.origin;
		return seats_of_grant(out, row, arena);
	}
	if (row->kind != ROW_BORROW_ENDED)
		return 0;
	const struct row_borrow_ended *end = &row->u.borrow_ended;

	if (!row_borrow_end_is_sound(end))
		return ERR_CORRUPT;
	out->license = end->license;
	out->lease = end->lease;
	out->device = end->device;
	out->first = end->overage;
	out->count = end->overage_count;
	return 0;
}

int64_t
report_hour_start(int64_t time)
{
	int64_t over = time % REPORT_HOUR_MS;

	return time - (over < 0 ? over + REPORT_HOUR_MS : over);
}

int
report_hour_compare(const void *a, const void *b)
{
	const struct report_hour *x = a, *y = b;
	int order = strcmp(x->license, y->license);

	if (order != 0)
		return order;
	if (x->serial != y->serial)
		return x->serial < y->serial ? -1 : 1;
	if (x->metric != y->metric)
		return x->metric ? 1 : -1;
	order = strcmp(x->feature, y->feature);
	if (order != 0)
		return order;
	return (x->start > y->start) - (x->start < y->start);
}

struct report_mark
report_mark_of(uint64_t sequence, const struct journal_header *header,
    const uint8_t head[32])
{
	struct report_mark mark = {
		.sequence = sequence,
		.batch = header->batch,
		.generation = header->generation,
		.time = header->time,
		.overage = header->totals.overage,
	};

	memcpy(mark.head, head, sizeof mark.head);
	memcpy(mark.history, header->history, sizeof mark.history);
	return mark;
}
