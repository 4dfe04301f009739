/* What an agent's grant says, for people: a lease of the site's, or a seat that
 * this workstation has borrowed. */
#include "agent/cli/hold.h"
#include "shared/base/clock.h"
#include "shared/journal/rows.h"

#include <stdio.h>

static void
say_slots(char *out, size_t size, const struct row_lease_granted *lease)
{
	const struct row_slots *runs = lease->slots.items;
	size_t len = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < lease->slots.count && len < size; i++) {
		uint32_t last = runs[i].first + runs[i].count - 1;
		int n = runs[i].count == 1
		    ? snprintf(out + len, size - len, "%s%u", i > 0 ? ", " : "",
			  runs[i].first)
		    : snprintf(out + len, size - len, "%s%u-%u",
			  i > 0 ? ", " : "", runs[i].first, last);

		len += n > 0 ? (size_t)n : 0;
	}
}

/* Seats of this workstation's own: how many of them, and until when. */
static void
say_borrowed(const struct hold *hold, const struct row_borrowed *row,
    const char *until)
{
	const struct row_lease_granted *lease = &row->grant;
	const char *slash = lease->feature[0] != '\0' ? "/" : "";
	char end[CLOCK_TEXT_SIZE], shown[32];

	clock_format(end, row->ticket.until);
	cli_time(shown, row->ticket.until);
	if (hold->cli->json)
		printf("{\"lease\":%llu,\"type\":\"%s\",\"count\":%u,"
		       "\"product\":\"%s\",\"feature\":\"%s\","
		       "\"borrowed_until\":\"%s\"}\n",
		    (unsigned long long)lease->lease,
		    seat_type_names[lease->type], hold->count, lease->product,
		    lease->feature, end);
	else
		printf("borrow-%llu: %u of %u borrowed %s of %s%s%s (%s, until "
		       "%s), %s\n",
		    (unsigned long long)lease->lease, hold->count, lease->count,
		    lease->count == 1 ? "seat" : "seats", lease->product, slash,
		    lease->feature, seat_type_names[lease->type], shown, until);
	fflush(stdout);
}

static void
say_grant(const struct cli *cli, const struct row_lease_granted *lease,
    const char *until)
{
	const char *slash = lease->feature[0] != '\0' ? "/" : "";
	const struct row_slots *runs = lease->slots.items;
	char slots[96];

	say_slots(slots, sizeof(slots), lease);
	if (cli->json)
		printf("{\"lease\":%llu,\"type\":\"%s\",\"slot\":%u,"
		       "\"count\":%u,\"product\":\"%s\",\"feature\":\"%s\"}\n",
		    (unsigned long long)lease->lease,
		    seat_type_names[lease->type],
		    lease->slots.count > 0 ? runs[0].first : 0, lease->count,
		    lease->product, lease->feature);
	else if (lease->count == 1)
		printf("lease-%llu: a seat of %s%s%s (%s, slot %s), %s\n",
		    (unsigned long long)lease->lease, lease->product, slash,
		    lease->feature, seat_type_names[lease->type], slots, until);
	else
		printf("lease-%llu: %u seats of %s%s%s (%s, slots %s), %s\n",
		    (unsigned long long)lease->lease, lease->count,
		    lease->product, slash, lease->feature,
		    seat_type_names[lease->type], slots, until);
	fflush(stdout);
}

int
take_say(const struct hold *hold, const char *until)
{
	const struct local_checkout_reply *reply = &hold->lease;
	struct arena arena = { 0 };
	struct row row;
	int err = row_read(&row, reply->row_number, reply->row.data,
	    reply->row.len, &arena);
	bool borrowed = err == 0 &&
	    (row.kind == ROW_BORROWED || row.kind == ROW_BORROW_REISSUED);
	bool granted = err == 0 && row.kind == ROW_LEASE_GRANTED;

	if (granted)
		say_grant(hold->cli, &row.u.lease_granted, until);
	else if (borrowed)
		say_borrowed(hold, &row.u.borrowed, until);
	else
		cli_say("the agent's answer holds no grant");
	arena_release(&arena);
	return granted || borrowed ? CLI_DONE : CLI_FAILED;
}
