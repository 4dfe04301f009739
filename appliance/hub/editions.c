/* Which usage that a site reports costs money: see struct hub_editions. */
#include "appliance/hub/reported.h"

#include "shared/base/err.h"

#include <string.h>

struct hub_edition {
	struct hub_edition *next;
	uint8_t digest[32];
	struct license license;
};

static struct hub_edition *
look(const struct hub_editions *editions, const struct report_overage *shown)
{
	struct hub_edition *at = editions->newest;

	while (at != NULL &&
	    (at->license.serial != shown->serial ||
		memcmp(at->digest, shown->digest, sizeof at->digest) != 0 ||
		strcmp(at->license.license_id, shown->license_id) != 0))
		at = at->next;
	return at;
}

/* The row of what was issued; ERR_NOT_FOUND_INTERNAL: to others, or not. */
static int
find_issued(struct row_license_issued *out, const struct hub_editions *editions,
    const struct report_overage *shown, struct arena *arena)
{
	struct hub_order order;
	uint64_t number;
	int err = hub_name(&number, editions->state, HUB_NAME_LICENSE,
	    shown->license_id);

	if (err == 0)
		err = hub_order(&order, editions->state, number, arena);
	if (err == 0 && order.site != editions->site)
		err = ERR_NOT_FOUND_INTERNAL;
	if (err == 0)
		err = hub_issued(out, editions->state, number, shown->serial,
		    arena);
	if (err == 0 &&
	    (out->site != editions->site ||
		memcmp(out->digest, shown->digest, sizeof out->digest) != 0))
		err = ERR_NOT_FOUND_INTERNAL;
	return err;
}

static int
learn(struct hub_edition **out, struct hub_editions *editions,
    const struct report_overage *shown)
{
	struct arena arena = { .chunks = NULL };
	struct row_license_issued issued;
	struct hub_edition *edition = NULL;
	int err = find_issued(&issued, editions, shown, &arena);

	if (err == 0) {
		edition = arena_alloc(editions->arena, sizeof *edition);
		err = edition == NULL ? ERR_NOMEM : 0;
	}
	if (err == 0)
		err = license_read_stored(&edition->license, issued.token.data,
		    issued.token.len, editions->arena);
	if (err == 0) {
		memcpy(edition->digest, issued.digest, sizeof edition->digest);
		edition->next = editions->newest;
		editions->newest = edition;
		*out = edition;
	}
	arena_release(&arena);
	return err;
}

/* As its price is looked for. */
static bool
has_feature(const struct license *license, const char *feature)
{
	const struct license_feature *features = license->features.items;

	if (feature[0] == '\0')
		return true;
	for (uint32_t i = 0; i < license->features.count; i++)
		if (strcmp(features[i].id, feature) == 0)
			return true;
	return false;
}

int
hub_is_billed(bool *yes, struct hub_editions *editions,
    const struct report_overage *shown)
{
	struct hub_edition *edition = look(editions, shown);
	int err = edition == NULL ? learn(&edition, editions, shown) : 0;

	*yes = err == 0 && has_feature(&edition->license, shown->feature);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}
