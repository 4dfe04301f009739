/*
 * What an admin sets: leaseholdd.ini over defaults, and a few flags over both.
 * Strict: a key it does not know is an error with its line. It must not know
 * what the processes do with the values.
 */
#ifndef APPLIANCE_SETUP_SETTINGS_H
#define APPLIANCE_SETUP_SETTINGS_H

#include "appliance/courier/directory.h"
#include "appliance/courier/post.h"
#include "appliance/setup/setup.h"

#include <sys/types.h>

#define SETTINGS_PATH_DEFAULT "/etc/leasehold/leaseholdd.ini"
#define SETTINGS_STATE_DEFAULT "/var/lib/leasehold"
#define SETTINGS_PORT_DEFAULT 7443

struct settings {
	char state[SETUP_PATH_MAX - 64];
	char role[16]; /* "site" or "hub" */
	bool hub; /* the same, by settings_check */
	char witness[SETUP_PATH_MAX - 64]; /* "": STATE.witness */
	char tpm[256]; /* the box's; "": none is used */
	char tpm_pcrs[96]; /* "0 7"; "": none */
	uint32_t pcr_bits; /* the same, by settings_check */
	char address[64];
	int64_t port;
	char user[64]; /* of the ledger; "": stay who we are */
	char front_user[64]; /* and the fronts: another one */
	int64_t fronts;
	char log[16];
	int64_t connections; /* of all fronts together */
	int64_t address_connections; /* of them, from one address */
	int64_t address_strangers; /* of those, not proved yet */
	int64_t address_rate; /* new ones a second; 0: no bound */
	char client_ca[SETUP_PATH_MAX - 64]; /* "": none is asked for */
	int64_t map_gib; /* of one tenant's store; it grows */
	char tpm_ca[SETUP_PATH_MAX - 64]; /* "": no maker of TPMs is known */
	char tpm_issuers[SETUP_PATH_MAX - 64];
	char classes[64]; /* "tpm vtpm"; "": all */
	uint32_t class_bits; /* the same, by settings_check */
	int64_t tenant_idle_s; /* before a tenant's store is closed */
	bool metrics_open; /* without a credential */
	char password_cost[16]; /* "moderate" */
	uint32_t cost; /* the same, by settings_check: enum password_cost */
	char courier_user[64]; /* "": as front_user */
	char run_dir[96]; /* of the doors of parts; absolute */
	struct directory_options directory; /* url "": there is none */
	struct post_options post; /* reach by settings_check */
	int64_t retry_s, retry_most_s, attempts; /* of deliveries */
	int64_t sync_interval_s; /* of reports to hubs; 0: none by themselves */
	int64_t sync_retry_s, sync_retry_most_s;
	/** Of borrows; 0: as the licenses say. */
	int64_t borrow_longest_s;
	int64_t borrow_seats; /* of a product or feature on loan at once */
	int64_t borrow_keep; /* of them, that are never lent */
	int64_t audit_keep_days; /* that are searched; 0: for ever */
	/** Of a hub: the day of the next month on which invoices are made by
	 * themselves; 0: never. */
	int64_t invoice_day;
	char invoice_from[16]; /* the first month of which: "2026-11" */
	int32_t invoice_first; /* its first day; by settings_check */
	int64_t metering_person_days; /* hours of users and hosts; 0: ever */
	int64_t journal_keep_days; /* 0: for ever */
	char appliance[SETUP_PATH_MAX - 64]; /* shared folder; "": no box */
	char update_dir[SETUP_PATH_MAX - 64];
	int64_t update_most_mib;
};

struct settings_users {
	uid_t ledger_uid, front_uid, courier_uid;
	gid_t ledger_gid, front_gid, courier_gid;
	bool drop; /* root, and a user was named */
};

void settings_default(struct settings *settings);

/** Read a file over what is there. `optional`: a missing file changes nothing.
 * Errors are one line for people in `error`. */
int settings_read(struct settings *settings, const char *path, bool optional,
    char *error, size_t error_size);

/** "ADDR:PORT", "[V6]:PORT", ":PORT" or "PORT" of --listen. */
int settings_set_listen(struct settings *settings, const char *text,
    char *error, size_t error_size);

/** In settings_ldap.c: what is said of a directory goes together. */
int settings_check_directory(struct settings *settings, char *error,
    size_t error_size);

/** In settings_courier.c: where deliveries may go, and by which mail server. */
int settings_check_courier(struct settings *settings, char *error,
    size_t error_size);

/** What one row cannot say: addresses are addresses, users exist, the state
 * is an absolute path; and the classes by their names. */
int settings_check(struct settings_users *users, struct settings *settings,
    char *error, size_t error_size);

/**
 * The one listening socket that all fronts share: non-blocking; "::" listens
 * on IPv4 as well. ERR_BUSY: the port is taken, and still was after 2 s;
 * ERR_FORBIDDEN: not allowed to; ERR_NOT_FOUND: no such address here. Words and what to type in `error`.
 */
int settings_listen(int *fd, const struct settings *settings, char *error,
    size_t error_size);

#endif
