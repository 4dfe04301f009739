/*
 * What lh_seat_valid() costs: one line, nanoseconds a call. The target is 1 us
 * (DESIGN 15). The seat is made by hand: what is measured does not depend on
 * how it was got.
 */
#include "agent/lib/client.h"

#include "shared/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 20000000

int
main(void)
{
	struct lh_options options = { .size = sizeof(options),
		.socket_path = "/nonexistent",
		.state_folder = "",
		.manual_beats = 1 };
	uint8_t root[TOKEN_PUBLIC_BYTES] = { 1 };
	char vendor_key[TOKEN_PUBLIC_TEXT];
	struct local_checkout_reply reply = { .row_number = 1 };
	struct verify_lease lease = { .lease = 1, .ttl_s = 3600 };
	struct lh_client *client;
	struct lh_seat *seat;
	long valid = 0;

	token_public_format(vendor_key, root);
	options.vendor_key = vendor_key;
	if (lh_client_new(&client, &options) != LH_OK ||
	    seat_new(&seat, client, &lease, NULL, NULL, &reply, 1,
		clock_boottime_ms()) != LH_OK) {
		fprintf(stderr, "seat_bench: %s\n", lh_detail());
		return 1;
	}
	int64_t began_us = clock_boottime_us();

	for (long i = 0; i < CALLS; i++)
		valid += lh_seat_valid(seat);
	int64_t took_us = clock_boottime_us() - began_us;

	if (valid != CALLS) {
		fprintf(stderr, "seat_bench: the seat was not valid\n");
		return 1;
	}
	printf("lh_seat_valid: %.1f ns a call (%d calls)\n",
	    (double)took_us * 1000 / CALLS, CALLS);
	lh_client_free(client);
	return 0;
}
