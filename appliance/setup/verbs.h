/*
 * The command line of leaseholdd, and what it does besides running the site.
 * It must not know what happens in a running one.
 */
#ifndef APPLIANCE_SETUP_VERBS_H
#define APPLIANCE_SETUP_VERBS_H

#include "appliance/setup/parts.h"
#include "appliance/setup/setup.h"

#include <stdbool.h>
#include <stdint.h>

#define STATUS_FAILED 1
#define STATUS_CONFIG 2
#define HOSTS_MAX 64

struct arguments {
	const char *config;
	const char *listen;
	const char *name;
	const char *user;
	const char *hosts[HOSTS_MAX + 1]; /* ends with NULL */
	int n_hosts;
	char state[SETUP_PATH_MAX - 64]; /* absolute, or "" */
	bool json;
	bool check;
	bool help;
	bool heir; /* of init */
	const char *file; /* of restore */
	const char *tenant; /* the same: of this one only */
	const char *passphrase_file;
	const char *site_key;
	enum part part;
	const char *recovery_file;
	const char *word; /* "": run the site */
	uint32_t seen; /* a bit for each row of the options */
};

/** Read the command line. -1: go on; else the exit status, and why was said. */
int arguments_read(struct arguments *arguments, int argc, char **argv);
/** Say it; returns STATUS_CONFIG, as the next one does. */
int arguments_complain(const char *text);
int arguments_unknown(const char *word);

/* Each returns an exit status. */
int verb_init(const struct arguments *arguments);
int verb_request(const struct arguments *arguments);
int verb_certificate(const struct arguments *arguments);
int verb_key(const struct arguments *arguments);
int verb_heir(const struct arguments *arguments);
int verb_restore(const struct arguments *arguments);
int verb_health(const struct arguments *arguments);
int verb_hand_over(const struct arguments *arguments);

/** The file that they are read from. */
const char *arguments_config(const struct arguments *arguments);
/** The settings of --config, over the defaults, and --state and --listen over
 * them, checked. STATUS_CONFIG: said why. */
int arguments_settings(struct settings *settings, struct settings_users *users,
    const struct arguments *arguments);

#endif
