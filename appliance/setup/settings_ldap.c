/* What is said of a directory, and whether it goes together. */
#include "appliance/setup/settings.h"

#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int
say(char *error, size_t error_size, const char *words)
{
	snprintf(error, error_size, "[ldap] %s", words);
	return ERR_BAD_REQUEST;
}

static bool
has_role(const struct directory_options *directory)
{
	for (size_t i = 0; i < DIRECTORY_ROLES; i++)
		if (directory->groups[i][0] != '\0')
			return true;
	return false;
}

int
settings_check_directory(struct settings *settings, char *error,
    size_t error_size)
{
	const struct directory_options *d = &settings->directory;
	bool secret = strncasecmp(d->url, "ldaps://", 8) == 0;
	bool search = d->base[0] != '\0';

	if (d->url[0] == '\0')
		return 0;
	if (!secret && strncasecmp(d->url, "ldap://", 7) != 0)
		return say(error, error_size,
		    "url: ldaps://HOST[:PORT], or ldap://HOST[:PORT] for "
		    "StartTLS");
	if (secret && d->plain)
		return say(error, error_size,
		    "plain and ldaps:// contradict each other");
	if (!d->plain && d->ca[0] != '/')
		return say(error, error_size,
		    "ca: the absolute path of the CA's PEM file; without it "
		    "anybody could be the directory");
	if (search == (d->bind_dn[0] != '\0'))
		return say(error, error_size,
		    "either bind_dn, with {login} in it, or base, filter, "
		    "service_dn and service_password_file");
	if (strstr(search ? d->filter : d->bind_dn, "{login}") == NULL)
		return say(error, error_size,
		    "bind_dn and filter need {login} where the login goes");
	if (search &&
	    (d->service_dn[0] == '\0' || d->service_password_file[0] != '/'))
		return say(error, error_size,
		    "a search needs service_dn, and service_password_file as "
		    "an absolute path");
	if (!has_role(d))
		return say(error, error_size,
		    "name a group: admin_group, operator_group, auditor_group "
		    "or viewer_group; who is in none does not get in");
	return 0;
}
