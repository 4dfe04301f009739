#include "appliance/ledger/denials.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60 * 1000)

bool
denials_want(int err)
{
	return (err <= ERR_NO_SEATS && err >= ERR_TENANT_SUSPENDED) ||
	    err == ERR_FORBIDDEN || err == ERR_POLICY_MAX ||
	    err == ERR_RESERVED;
}

/* By device alone: a device's own entries are few, and it cannot make those of
 * others slow. */
static struct denial **
bucket(struct denials *denials, uint64_t device)
{
	return &denials->buckets[device % DENIALS_BUCKETS];
}

static struct denial *
find(struct denials *denials, const struct row_denied *row, size_t *of_device)
{
	struct denial *denial = *bucket(denials, row->device);

	*of_device = 0;
	for (; denial != NULL; denial = denial->next) {
		if (denial->row.device != row->device ||
		    denial->row.minute != row->minute)
			continue;
		(*of_device)++;
		if (denial->row.license == row->license &&
		    strcmp(denial->row.product, row->product) == 0 &&
		    strcmp(denial->row.code, row->code) == 0)
			return denial;
	}
	return NULL;
}

struct denial *
denials_add(struct denials *denials, uint64_t device, uint64_t license,
    const char *product, const char *code, int64_t now_ms)
{
	struct row_denied row = {
		.device = device,
		.license = license,
		.minute = now_ms - now_ms % MINUTE_MS,
	};
	size_t of_device;

	text_copy(row.product, sizeof(row.product), product);
	text_copy(row.code, sizeof(row.code), code);
	struct denial *denial = find(denials, &row, &of_device);

	if (denial == NULL && of_device >= DENIALS_PER_DEVICE) {
		row.product[0] = '\0';
		row.license = 0;
		denial = find(denials, &row, &of_device);
	}
	if (denial == NULL) {
		denial = denials->count < DENIALS_MAX
		    ? calloc(1, sizeof(*denial))
		    : NULL;
		if (denial == NULL) {
			denials->lost++;
			return NULL;
		}
		denial->row = row;
		denial->next = *bucket(denials, row.device);
		*bucket(denials, row.device) = denial;
		denials->count++;
	}
	denial->row.count++;
	return denial;
}

void
denials_say_from(struct denial *denial, const char *address, const char *host,
    const char *user, const uint8_t fingerprint[32])
{
	if (denial == NULL || denial->of_key)
		return;
	denial->of_key = true;
	text_copy(denial->address, sizeof(denial->address), address);
	text_copy(denial->host, sizeof(denial->host), host);
	text_copy(denial->user, sizeof(denial->user), user);
	memcpy(denial->fingerprint, fingerprint, sizeof(denial->fingerprint));
}

struct denial *
denials_take(struct denials *denials, int64_t minute)
{
	for (size_t i = 0; denials->count > 0 && i < DENIALS_BUCKETS; i++) {
		struct denial **link = &denials->buckets[i];

		for (; *link != NULL; link = &(*link)->next) {
			struct denial *denial = *link;

			if (denial->row.minute >= minute)
				continue;
			*link = denial->next;
			denial->next = NULL;
			denials->count--;
			return denial;
		}
	}
	return NULL;
}

void
denials_release(struct denials *denials)
{
	struct denial *denial;

	while ((denial = denials_take(denials, INT64_MAX)) != NULL)
		free(denial);
}
