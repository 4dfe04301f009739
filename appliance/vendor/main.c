/* leasehold-vendor: only wires. */
#include "appliance/vendor/vendor.h"

#include <sodium.h>
#include <stdio.h>
#include <sys/resource.h>

int
main(int argc, char **argv)
{
	/* A crash must not leave the root key in a core file. */
	const struct rlimit none = { 0, 0 };

	if (sodium_init() < 0 || setrlimit(RLIMIT_CORE, &none) != 0) {
		fputs("leasehold-vendor: cannot start safely\n", stderr);
		return VENDOR_FAILED;
	}
	return vendor_main(argc, argv);
}
