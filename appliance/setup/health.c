/*
 * Does the site of this box grant seats? Asked as everybody asks it, over TLS:
 * so fronts, ledger and store are all in it, and that its start was committed.
 * Root's unit asks before it confirms an update.
 */
#include "appliance/setup/settings.h"
#include "appliance/setup/verbs.h"
#include "shared/base/text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_S 10L

/* What it says does not matter here: its status does. */
static size_t
swallow(char *data, size_t size, size_t n, void *ctx)
{
	(void)data;
	(void)ctx;
	return size * n;
}

static int
complain(const char *what, const char *why)
{
	fprintf(stderr, "leaseholdd: the site is not well: %s%s%s\n", what,
	    why[0] != '\0' ? ": " : "", why);
	return STATUS_FAILED;
}

/* It listens there, or on all addresses. Its certificate names hosts and is
 * this site's own, whoever it is asked as. */
static int
ask(CURL *curl, const struct settings *settings)
{
	const char *address = settings->address;
	const bool all = address[0] == '\0' || strcmp(address, "::") == 0 ||
	    strcmp(address, "0.0.0.0") == 0;
	const bool v6 = !all && strchr(address, ':') != NULL;
	char url[128], ca[SETUP_PATH_MAX], error[CURL_ERROR_SIZE] = "";
	long status = 0;

	snprintf(url, sizeof(url), "https://%s%s%s:%lld/readyz", v6 ? "[" : "",
	    all ? "127.0.0.1" : address, v6 ? "]" : "",
	    (long long)settings->port);
	if (setup_path(ca, settings->state, "tls/ca.pem") != 0)
		return complain("the folder's path is too long", "");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	CURLcode rc = curl_easy_perform(curl);

	if (rc != CURLE_OK)
		return complain(url,
		    error[0] != '\0' ? error : curl_easy_strerror(rc));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return complain("it grants no seats", "");
	return 0;
}

int
verb_health(const struct arguments *arguments)
{
	struct settings settings;
	char error[512] = "";
	const char *path = arguments->config != NULL ? arguments->config
						     : SETTINGS_PATH_DEFAULT;

	settings_default(&settings);
	int rc = settings_read(&settings, path, arguments->config == NULL,
	    error, sizeof(error));

	if (rc != 0)
		return arguments_complain(error);
	CURL *curl = curl_easy_init();

	if (curl == NULL)
		return complain("out of memory", "");
	rc = ask(curl, &settings);
	curl_easy_cleanup(curl);
	if (rc == 0)
		puts("the site is well");
	return rc;
}
