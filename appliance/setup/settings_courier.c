/* What is said of the courier and of mail, and whether it goes together. */
#include "appliance/setup/settings.h"

#include "appliance/courier/txt.h"
#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

static int
say(char *error, size_t error_size, const char *words)
{
	snprintf(error, error_size, "%s", words);
	return ERR_BAD_REQUEST;
}

static bool
is_absolute(const char *path)
{
	return path[0] == '\0' || path[0] == '/';
}

static int
check_mail(const struct post_options *post, char *error, size_t error_size)
{
	if (post->mail_server[0] == '\0')
		return 0;
	if (strpbrk(post->mail_server, "/@?# \t\r\n") != NULL)
		return say(error, error_size,
		    "[mail] server: HOST, or HOST:PORT");
	if (strcmp(post->mail_tls, "starttls") != 0 &&
	    strcmp(post->mail_tls, "tls") != 0 &&
	    strcmp(post->mail_tls, "plain") != 0)
		return say(error, error_size,
		    "[mail] tls: starttls, tls or plain");
	if (!post_is_address(post->mail_from))
		return say(error, error_size,
		    "[mail] from: an address such as license@plant.example");
	if ((post->mail_user[0] == '\0') !=
	    (post->mail_password_file[0] == '\0'))
		return say(error, error_size,
		    "[mail] user and password_file go together");
	if (post->mail_user[0] != '\0' && strcmp(post->mail_tls, "plain") == 0)
		return say(error, error_size,
		    "[mail] tls=plain would send the password in the clear");
	if (!is_absolute(post->mail_ca) ||
	    !is_absolute(post->mail_password_file))
		return say(error, error_size,
		    "[mail] ca and password_file are absolute paths");
	return 0;
}

int
settings_check_courier(struct settings *settings, char *error,
    size_t error_size)
{
	struct post_options *post = &settings->post;
	char bad[64];

	if (!reach_read(&post->reach, post->allow, bad)) {
		snprintf(error, error_size,
		    "[courier] allow: %s is no range such as 10.0.0.0/8, or "
		    "there are more than %d",
		    bad, REACH_RANGES_MAX);
		return ERR_BAD_REQUEST;
	}
	if (!is_absolute(post->sync_ca))
		return say(error, error_size, "[sync] ca is an absolute path");
	if (post->sync_hub[0] != '\0' &&
	    (strncmp(post->sync_hub, "https://", 8) != 0 ||
		post->sync_hub[8] == '\0'))
		return say(error, error_size,
		    "[sync] hub: an address such as "
		    "https://hub.vector.example");
	if (settings->sync_retry_most_s < settings->sync_retry_s)
		return say(error, error_size,
		    "[sync] retry_most_s is less than retry_s");
	if (!is_absolute(post->ca) || post->syslog[0] != '/')
		return say(error, error_size,
		    "[courier] ca and syslog are absolute paths");
	if (post->dns[0] != '\0' && !txt_server_is_one(post->dns))
		return say(error, error_size,
		    "[courier] dns: an address such as 192.0.2.1 or "
		    "[2001:db8::1]:53");
	if (settings->retry_most_s < settings->retry_s)
		return say(error, error_size,
		    "[alerts] retry_most_s is less than retry_s");
	return check_mail(post, error, error_size);
}
