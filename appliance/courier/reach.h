/*
 * Which addresses jobs of tenants may reach: those of the public Internet, and
 * what the site's admin has allowed. It is asked about the address that a
 * connection goes to, not about a name, so a name that means another address a
 * moment later is of no use. It must not know jobs.
 */
#ifndef APPLIANCE_COURIER_REACH_H
#define APPLIANCE_COURIER_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

#define REACH_RANGES_MAX 32

struct reach_range {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned int bits;
};
struct reach {
	struct reach_range ranges[REACH_RANGES_MAX];
	size_t n;
};

/** "10.0.0.0/8, fd00::/8 192.0.2.7"; false, and which one is wrong in `bad`. */
bool reach_read(struct reach *reach, const char *text, char bad[64]);
/** Is it of the public Internet? */
bool reach_is_public(const struct sockaddr *address);
bool reach_may(const struct reach *reach, const struct sockaddr *address);

#endif
