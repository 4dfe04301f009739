/*
 * What an application waits for a seat: checkout and return, one after the
 * other, through libleasehold and a running agent. The first one, for which the
 * agent hashes the executable, is not counted.
 *
 *   agent_bench --vendor-key KEY --socket PATH --product ID --seconds S
 */
#include "agent/lib/leasehold.h"
#include "tests/bench/meter.h"

static int
fail(const char *what, int error)
{
	fprintf(stderr, "agent_bench: %s: %s: %s\n", what, lh_strerror(error),
	    lh_detail());
	return 1;
}

static int
measure(struct meter *meter, struct lh_client *client, const char *product)
{
	const struct lh_request request = { .size = sizeof(request),
		.product = product,
		.version = "8.1.0",
		.user = "load" };
	bool first = true, more = true;

	while (more) {
		struct lh_seat *seat;
		int64_t began = clock_boottime_us();
		int error = lh_checkout_with(&seat, client, &request);

		if (error != LH_OK)
			return fail("checkout", error);
		if (first)
			meter_start(meter);
		else
			more = meter_count(meter, began, true);
		first = false;
		lh_return(seat);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct lh_options options = { .size = sizeof(options),
		.vendor_key = option_text(argc, argv, "--vendor-key", NULL),
		.socket_path = option_text(argc, argv, "--socket", NULL),
		.state_folder = "" };
	const char *product = option_text(argc, argv, "--product", NULL);
	struct meter meter = {
		.seconds = option_number(argc, argv, "--seconds", 1),
	};
	struct lh_client *client;

	if (meter_init(&meter) != 0)
		return 1;
	int error = lh_client_new(&client, &options);

	if (error != LH_OK)
		return fail("client", error);
	int status = measure(&meter, client, product);

	if (status == 0)
		meter_print(&meter, 1);
	lh_client_free(client);
	free(meter.samples);
	return status;
}
