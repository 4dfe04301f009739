#include "appliance/ledger/tenants.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TENANT "default"
#define HOST_SIZE 256 /* RFC 1035: 253 characters */

struct tenant_host {
	char host[HOST_SIZE];
	struct tenant_entry *entry;
	struct tenant_host *next;
};

/* FNV-1a. Names and hosts are an admin's; what strangers ask for is not kept.
 */
static size_t
bucket_of(const char *text)
{
	uint32_t hash = UINT32_C(2166136261);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT32_C(16777619);
	return hash % TENANTS_BUCKETS;
}

static void
free_host(struct tenant_host **link)
{
	struct tenant_host *host = *link;

	*link = host->next;
	free(host);
}

void
tenants_release(struct tenants *tenants)
{
	struct tenant_entry *entry = tenants->first;

	for (size_t i = 0; i < TENANTS_BUCKETS; i++)
		while (tenants->hosts[i] != NULL)
			free_host(&tenants->hosts[i]);
	while (entry != NULL) {
		struct tenant_entry *following = entry->following;

		free(entry);
		entry = following;
	}
	free(tenants->site_hosts);
	*tenants = (struct tenants){ .first = NULL };
}

/* --- names ---------------------------------------------------------------- */

struct tenant_entry *
tenants_find(const struct tenants *tenants, const char *name)
{
	struct tenant_entry *entry = tenants->names[bucket_of(name)];

	while (entry != NULL && strcmp(entry->facts.name, name) != 0)
		entry = entry->next;
	return entry;
}

int
tenants_add(struct tenant_entry **out, struct tenants *tenants,
    const struct system_tenant *facts)
{
	size_t bucket = bucket_of(facts->name);

	if (tenants_find(tenants, facts->name) != NULL)
		return ERR_CONFLICT;
	struct tenant_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return ERR_NOMEM;
	entry->facts = *facts;
	entry->next = tenants->names[bucket];
	tenants->names[bucket] = entry;
	if (tenants->last == NULL)
		tenants->last = &tenants->first;
	*tenants->last = entry;
	tenants->last = &entry->following;
	tenants->count++;
	*out = entry;
	return 0;
}

void
tenants_remove(struct tenants *tenants, struct tenant_entry *entry)
{
	struct tenant_entry **link =
	    &tenants->names[bucket_of(entry->facts.name)];

	tenants_clear_hosts(tenants, entry);
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	link = &tenants->first;
	while (*link != entry)
		link = &(*link)->following;
	*link = entry->following;
	if (tenants->last == &entry->following)
		tenants->last = link;
	tenants->count--;
	free(entry);
}

/* --- host names ----------------------------------------------------------- */

/* As we compare it; false when it is longer than a host name can be. */
static bool
plain_host(char out[HOST_SIZE], const char *host)
{
	size_t len = strlen(host);

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len >= HOST_SIZE)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)host[i]);
	out[len] = '\0';
	return true;
}

static struct tenant_host **
find_host(const struct tenants *tenants, const char *plain)
{
	struct tenant_host *const *link = &tenants->hosts[bucket_of(plain)];

	while (*link != NULL && strcmp((*link)->host, plain) != 0)
		link = &(*link)->next;
	return (struct tenant_host **)(uintptr_t)link;
}

int
tenants_set_host(struct tenants *tenants, struct tenant_entry *entry,
    const char *name)
{
	char plain[HOST_SIZE];

	if (!plain_host(plain, name))
		return ERR_BAD_REQUEST;
	struct tenant_host **link = find_host(tenants, plain);

	if (*link != NULL) {
		(*link)->entry = entry;
		return 0;
	}
	*link = calloc(1, sizeof(**link));
	if (*link == NULL)
		return ERR_NOMEM;
	memcpy((*link)->host, plain, sizeof(plain));
	(*link)->entry = entry;
	return 0;
}

void
tenants_clear_hosts(struct tenants *tenants, const struct tenant_entry *entry)
{
	for (size_t i = 0; i < TENANTS_BUCKETS; i++) {
		struct tenant_host **link = &tenants->hosts[i];

		while (*link != NULL)
			if ((*link)->entry == entry)
				free_host(link);
			else
				link = &(*link)->next;
	}
}

int
tenants_add_site_host(struct tenants *tenants, const char *host)
{
	char plain[HOST_SIZE];

	if (!plain_host(plain, host) || strlen(plain) >= 128 ||
	    plain[0] == '*' || strspn(plain, "0123456789.:") == strlen(plain))
		return 0;
	char(*hosts)[128] = reallocarray(tenants->site_hosts,
	    tenants->n_site_hosts + 1, sizeof(*hosts));

	if (hosts == NULL)
		return ERR_NOMEM;
	tenants->site_hosts = hosts;
	text_copy(hosts[tenants->n_site_hosts++], sizeof(*hosts), plain);
	return 0;
}

/* TENANT.SITE, where SITE is one of ours. */
static struct tenant_entry *
by_label(const struct tenants *tenants, const char *plain)
{
	char name[SYSTEM_TENANT_MAX + 1];
	const char *dot = strchr(plain, '.');

	if (dot == NULL ||
	    !text_copy_n(name, sizeof(name), plain, (size_t)(dot - plain)))
		return NULL;
	for (size_t i = 0; i < tenants->n_site_hosts; i++)
		if (strcmp(tenants->site_hosts[i], dot + 1) == 0)
			return tenants_find(tenants, name);
	return NULL;
}

struct tenant_entry *
tenants_by_host(const struct tenants *tenants, const char *host)
{
	struct tenant_entry *entry = NULL;
	char plain[HOST_SIZE];

	if (plain_host(plain, host)) {
		const struct tenant_host *given = *find_host(tenants, plain);

		entry = given != NULL ? given->entry : by_label(tenants, plain);
	}
	return entry != NULL ? entry : tenants_find(tenants, DEFAULT_TENANT);
}
