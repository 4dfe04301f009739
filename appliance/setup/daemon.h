/*
 * What the parent of leaseholdd holds: settings, users, lock, port, certificate,
 * and the doors where its other parts are units of their own; how it comes by
 * them and lets them go. It must not know what its children do with them.
 */
#ifndef APPLIANCE_SETUP_DAEMON_H
#define APPLIANCE_SETUP_DAEMON_H

#include "appliance/setup/parts.h"
#include "appliance/setup/settings.h"
#include "appliance/setup/verbs.h"
#include "shared/base/log.h"

struct proof_trust;
struct tls_page;

struct daemon {
	enum part part;
	struct settings settings;
	struct settings_users users;
	enum log_level level;
	int journal;
	int lock;
	int listen_fd;
	struct tls_page *tls;
	struct proof_trust *trust;
	char *client_ca; /* PEM; NULL: none */
	int tls_fd;
	char
	    tls_folder[SETUP_PATH_MAX]; /* STATE/tls, or what was handed over */
	char empty_root[SETUP_PATH_MAX];
	struct supervisor_door doors[PARTS_DOORS_MAX];
};

/* Those that return a value: 0, or the exit status, and why was said. */

/** Settings, users, level of the log. */
int daemon_read(struct daemon *daemon, const struct arguments *arguments);
/** A part that root starts becomes its user; and its files are those that were
 * handed over. Nothing to do for the whole. */
int daemon_become(struct daemon *daemon);
/** CAs of TPMs and of clients, as far as the part needs them. */
int daemon_read_cas(struct daemon *daemon);
/** Lock, certificate, port, doors: what this part needs of the machine; the
 * whole is all parts but the doors between them. */
int daemon_open(struct daemon *daemon);
void daemon_close(struct daemon *daemon);
/** In a child that needs neither port nor key, and so does not have them. */
void daemon_leave_network(struct daemon *daemon);

#endif
