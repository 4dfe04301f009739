/*
 * Hold a seat while a program works. Copy what you need.
 *
 *     hold VENDOR_KEY PRODUCT VERSION [WAIT_SECONDS]
 *
 * cc hold.c $(pkg-config --cflags --libs leasehold)
 *
 * In a real program the vendor's key is a constant: whoever can choose the key
 * chooses whom to believe.
 */
#include <leasehold.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Called about once a second while the seat is waited for. */
static int
show_place(void *ctx, uint32_t place, uint32_t length)
{
	(void)ctx;
	if (place != 0)
		printf("number %u of %u in the queue\n", (unsigned int)place,
		    (unsigned int)length);
	fflush(stdout);
	return 0; /* go on */
}

static void
work(const struct lh_seat *seat)
{
	struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

	/* Look at the seat as often as you like: it is no system call. */
	for (int step = 0; step < 3 && lh_seat_valid(seat); step++) {
		printf("step %d, %d s left\n", step,
		    (int)(lh_seat_left_ms(seat) / 1000));
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}

int
main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr,
		    "usage: hold VENDOR_KEY PRODUCT VERSION [WAIT_SECONDS]\n");
		return 2;
	}
	struct lh_options options = { .size = sizeof(options),
		.vendor_key = argv[1] };
	struct lh_request request = { .size = sizeof(request),
		.product = argv[2],
		.version = argv[3],
		.wait_s = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0,
		.waiting = show_place };
	struct lh_client *client = NULL;
	struct lh_seat *seat = NULL;
	int error = lh_client_new(&client, &options);

	if (error == LH_OK)
		error = lh_checkout_with(&seat, client, &request);
	if (error == LH_OK) {
		printf("holding lease %llu (%s)\n",
		    (unsigned long long)lh_seat_id(seat),
		    lh_seat_type(seat) == LH_SEAT_OVERAGE ? "overage"
							  : "commit");
		work(seat);
	} else {
		/* lh_detail() is for people: what happened, what to type. */
		fprintf(stderr, "%s: %s\n", lh_strerror(error), lh_detail());
	}
	lh_client_free(client); /* gives every seat back */
	return error == LH_OK                                           ? 0
	    : error == LH_E_NO_SEATS || error == LH_E_OVERAGE_EXHAUSTED ? 3
									: 1;
}
