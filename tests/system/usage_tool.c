/*
 * An application that tells what was used, for the system tests: it knows its
 * vendor's key and leasehold.h, and nothing else of us.
 *
 *   usage_tool VENDOR_KEY SOCKET PRODUCT EVENT_ID METRIC AMOUNT [gauge]
 *
 * Prints a line of JSON, {"error":0,"repeated":false}, and on standard error
 * what was told. Exit status 0 when it counts or counted, else 3.
 */
#include "agent/lib/leasehold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 15000

int
main(int argc, char **argv)
{
	struct lh_options options = { .size = sizeof(options),
		.state_folder = "" };
	struct lh_usage usage = { .size = sizeof(usage) };
	struct lh_client *client;
	int repeated = 0;

	if (argc < 7)
		return 2;
	options.vendor_key = argv[1];
	options.socket_path = argv[2];
	usage.product = argv[3];
	usage.event_id = argv[4];
	usage.metric = argv[5];
	usage.amount = strtoull(argv[6], NULL, 10);
	if (argc > 7 && strcmp(argv[7], "gauge") == 0)
		usage.kind = LH_USAGE_GAUGE;
	int error = lh_client_new(&client, &options);

	if (error == LH_OK) {
		error = lh_usage_report(&repeated, client, &usage, ANSWER_MS);
		if (error != LH_OK)
			fprintf(stderr, "%s\n", lh_detail());
		lh_client_free(client);
	}
	printf("{\"error\":%d,\"repeated\":%s}\n", error,
	    repeated ? "true" : "false");
	return error == LH_OK ? 0 : 3;
}
