/*
 * Asking a directory whether it knows a login by a password (LDAP simple bind),
 * and what his groups make of him. Names in filters and DNs are escaped, an
 * empty password is never sent, referrals are not followed, and TLS with a
 * checked name is needed unless the configuration says otherwise. It must not
 * know of jobs or threads.
 */
#ifndef APPLIANCE_COURIER_DIRECTORY_H
#define APPLIANCE_COURIER_DIRECTORY_H

#include "appliance/courier/jobs.h"

#include <pthread.h>

#define DIRECTORY_TEXT 256
/** Roles that a directory gives: all but the owner's. */
#define DIRECTORY_ROLES (USER_ROLES - 1)

struct directory_options {
	char url[DIRECTORY_TEXT]; /* ldap:// or ldaps://; "": there is none */
	char tenant[64]; /* whose users */
	/** Either the name of everybody, with {login} in it; or a search below
	 * `base` by `filter`, with {login} in it, as the service account. */
	char bind_dn[DIRECTORY_TEXT];
	char base[DIRECTORY_TEXT];
	char filter[DIRECTORY_TEXT];
	char service_dn[DIRECTORY_TEXT];
	char service_password_file[DIRECTORY_TEXT];
	char ca[DIRECTORY_TEXT]; /* PEM file */
	bool plain; /* without TLS: passwords pass in the clear */
	int64_t timeout_s; /* of one login, all together */
	/** DN of a group for each role from admin on; "": none. */
	char groups[DIRECTORY_ROLES][DIRECTORY_TEXT];
};

/** The connection of a job, for whoever cuts it off. */
struct directory_line {
	pthread_mutex_t lock;
	int fd; /* -1: none */
	bool cut;
};

/** Once a process, before any question: TLS and its CA. Errors are logged. */
int directory_open(const struct directory_options *options);

/** Ask. Takes up to timeout_s, or until the line is cut. `service_password`:
 * NULL where there is no service account. */
void directory_ask(struct courier_bound *out,
    const struct directory_options *options, const char *service_password,
    const struct courier_bind *job, struct directory_line *line);
/** From another thread: no more bytes come or go. */
void directory_cut(struct directory_line *line);

/** `text` with each {login} replaced by the escaped login. False when it does
 * not fit. RFC 4515 for filters, RFC 4514 for names. */
bool directory_fill_filter(char *out, size_t size, const char *text,
    const char *login);
bool directory_fill_dn(char *out, size_t size, const char *text,
    const char *login);

#endif
