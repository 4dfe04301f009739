/*
 * The network of a box, as a person says it in `network.ini` on a USB stick: a
 * file of few keys becomes units of systemd-networkd, or one line says what is
 * wrong with it and what to write instead. What goes into a unit is made anew
 * from what was understood; no byte of the file is copied. It must not know
 * where the file came from, nor touch the network.
 */
#ifndef FIRMWARE_BOX_NETWORK_H
#define FIRMWARE_BOX_NETWORK_H

#include "shared/base/buf.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_FILE_MAX 4096
#define NETWORK_LIST_MAX 4
#define NETWORK_NAME_MAX 253 /* RFC 1035 */

struct network_address {
	int family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];
	unsigned int bits; /* of the prefix; 0: none was said */
};

struct network {
	struct network_address address[NETWORK_LIST_MAX]; /* none: DHCP */
	size_t n_address;
	struct network_address gateway[2]; /* one a family */
	size_t n_gateway;
	struct network_address dns[NETWORK_LIST_MAX];
	size_t n_dns;
	char ntp[NETWORK_LIST_MAX][NETWORK_NAME_MAX + 1];
	size_t n_ntp;
	bool has_mac;
	uint8_t mac[6]; /* of the one interface meant */
};

/** Read and check. `error` gets one line for people that begins with `name`
 * and, where one is at fault, the line's number. The text needs no NUL.
 * Returns 0 or ERR_BAD_REQUEST; then `network` is not to be used. */
int network_read(struct network *network, const char *name, const char *text,
    size_t len, char *error, size_t error_size);

/** The .network file of systemd-networkd. */
void network_write_unit(struct buf *out, const struct network *network);

/** Time servers, one a line; nothing where there are none. */
void network_write_ntp(struct buf *out, const struct network *network);

/** One line of what it says, for the console: "192.168.1.7/24 by
 * 192.168.1.1", "DHCP". */
void network_describe(struct buf *out, const struct network *network);

#endif
