/*
 * An application that works when it is told to, and renews its seat when it is
 * told to: so that a test, and no clock, says what comes first.
 *
 *   idle_tool VENDOR_KEY SOCKET PRODUCT VERSION STATE
 *
 * A line of stdin each: "active" (somebody works with it), "beat" (renew it
 * now). After the checkout and after each line one of JSON is printed:
 *   {"lease":7,"valid":true,"error":0,"why":""}
 */
#include "agent/lib/leasehold.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 60000

static int lost;
static char why[512];

static void
on_lost(void *ctx, struct lh_seat *seat, int error)
{
	(void)ctx;
	(void)seat;
	lost = error;
	snprintf(why, sizeof(why), "%s", lh_detail());
}

static void
tell(const struct lh_seat *seat, int error)
{
	printf("{\"lease\":%llu,\"valid\":%s,\"error\":%d,\"lost\":%d,"
	       "\"why\":\"%s\"}\n",
	    (unsigned long long)lh_seat_id(seat),
	    lh_seat_valid(seat) ? "true" : "false", error, lost, why);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct lh_options options = { .size = sizeof(options),
		.manual_beats = 1,
		.lost = on_lost };
	struct lh_client *client;
	struct lh_seat *seat;
	char line[32];

	if (argc != 6)
		return 2;
	options.vendor_key = argv[1];
	options.socket_path = argv[2];
	options.state_folder = argv[5];
	int error = lh_client_new(&client, &options);

	if (error != LH_OK) {
		fprintf(stderr, "%s\n", lh_detail());
		return 1;
	}
	error = lh_checkout(&seat, client, argv[3], argv[4], NULL, NULL, 0);
	if (error != LH_OK) {
		fprintf(stderr, "%s\n", lh_detail());
		lh_client_free(client);
		return 1;
	}
	tell(seat, LH_OK);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		error = LH_OK;
		if (strcmp(line, "active\n") == 0)
			lh_seat_active(seat);
		else
			error = lh_beat(client, PATIENCE_MS);
		tell(seat, error);
	}
	lh_client_free(client);
	return 0;
}
