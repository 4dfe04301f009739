/* Decide on licenses: may this one be installed, and what does it replace. */
#include "appliance/ledger/core.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

/* A license on its way in. */
struct install {
	const struct license_install *request;
	struct license document;
	uint8_t digest[32];
	uint64_t license; /* its number */
};

/* The chain vendor -> issuer -> license -> this site, from the root key that
 * came with the documents; check_vendor says whether it is the vendor's. */
static int
check_documents(struct install *in, struct batch *batch,
    struct command *command)
{
	const struct license_install *request = in->request;
	const struct ledger *ledger = batch->ledger;
	struct license_issuer issuer;
	struct record_error error = { .reason = "" };
	int err = license_verify(&in->document, &issuer, request->issuer.data,
	    request->issuer.len, request->license.data, request->license.len,
	    request->vendor_key, &command->arena, &error);

	if (err == 0)
		err = license_check_for(&in->document, ledger->site,
		    ledger->tenant, ledger->site_public, &error);
	if (err != 0)
		return decide_refuse_document(command, err, &error);
	license_digest(in->digest, request->license.data, request->license.len);
	if (batch->place.time >= license_grants_until(&in->document)) {
		char text[CLOCK_TEXT_SIZE];

		clock_format_date(text, in->document.contract.end_date);
		return decide_refuse(command, ERR_LICENSE_EXPIRED,
		    "ask the vendor for a renewal",
		    "the contract of license %s ended on %s",
		    in->document.license_id, text);
	}
	return 0;
}

/* The first license of a vendor pins its root key, whose id stands in the
 * issuer token and was verified with it: another root with the same name is
 * somebody else. */
static int
check_vendor(const struct install *in, struct batch *batch,
    struct command *command)
{
	const char *vendor = in->document.vendor.id;
	char pinned[TOKEN_KID_TEXT], kid[TOKEN_KID_TEXT];
	int err =
	    token_kid(kid, in->request->issuer.data, in->request->issuer.len);

	if (err != 0)
		return decide_refuse(command, err, "",
		    "the issuer document names no key");
	err = state_vendor(pinned, &batch->state, vendor);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && strcmp(pinned, kid) != 0)
		return decide_refuse(command, ERR_CONFLICT,
		    "ask the vendor which of the two keys is theirs",
		    "vendor %s is known here by root key %s; this license "
		    "comes from %s",
		    vendor, pinned, kid);
	return err;
}

/* The one that grants the product now, if any: only a later edition of itself
 * replaces it. */
static int
check_replaced(struct install *in, struct batch *batch, struct command *command)
{
	const struct license *new = &in->document;
	const struct state_license *old;
	uint64_t number;
	int err = state_product(&number, &batch->state, new->product.id);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		in->license = batch->state.counters.next_license;
		return 0;
	}
	if (err == 0)
		err =
		    state_license(&old, &batch->state, number, &command->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	const struct license *is = &old->document;

	if (strcmp(is->vendor.id, new->vendor.id) != 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "%s is licensed here by vendor %s (license %s)",
		    new->product.id, is->vendor.id, is->license_id);
	if (strcmp(is->license_id, new->license_id) != 0)
		return decide_refuse(command, ERR_CONFLICT,
		    "a renewal has the same license id and a higher serial",
		    "%s is licensed here by license %s", new->product.id,
		    is->license_id);
	if (new->serial == is->serial &&
	    memcmp(in->digest, old->digest, sizeof in->digest) == 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "license %s, serial %" PRIu64 ", is installed already",
		    is->license_id, is->serial);
	if (new->serial <= is->serial)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "license %s is installed with serial %" PRIu64
		    "; this one has %" PRIu64,
		    is->license_id, is->serial, new->serial);
	in->license = number;
	return 0;
}

struct find_id {
	const struct install *install;
	bool found;
	char product[64];
};

static int
find_license_id(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct find_id *find = ctx;
	struct state_license license;
	struct arena arena = { .chunks = NULL };
	int err = state_license_read(&license, key, value, &arena);

	/* Its features are not looked at. */
	arena_release(&arena);
	if (err != 0)
		return err;
	if (strcmp(license.document.license_id,
		find->install->document.license_id) != 0 ||
	    strcmp(license.document.vendor.id,
		find->install->document.vendor.id) != 0)
		return 0;
	find->found = true;
	memcpy(find->product, license.document.product.id,
	    sizeof find->product);
	return 0;
}

/* A license id stands for one product: a later edition may not move it. */
static int
check_id(const struct install *in, struct batch *batch, struct command *command)
{
	struct find_id find = { .install = in };
	int err = store_each(&batch->state.txn, STORE_LICENSES, NULL, 0,
	    find_license_id, &find);

	if (err != 0 || !find.found)
		return err;
	return decide_refuse(command, ERR_CONFLICT, "",
	    "license %s is installed for %s; this one is for %s",
	    in->document.license_id, find.product, in->document.product.id);
}

int
decide_install(struct batch *batch, struct command *command)
{
	struct install in = { .request = command->request };
	int err = check_documents(&in, batch, command);

	if (err == 0 && command->err == 0)
		err = check_vendor(&in, batch, command);
	if (err == 0 && command->err == 0)
		err = check_replaced(&in, batch, command);
	if (err == 0 && command->err == 0 &&
	    in.license == batch->state.counters.next_license)
		err = check_id(&in, batch, command);
	if (err != 0 || command->err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_LICENSE_INSTALLED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_license_installed *r = &row->u.license_installed;

	r->license = in.license;
	memcpy(r->digest, in.digest, sizeof r->digest);
	r->document = in.document;
	r->issuer_token = in.request->issuer;
	r->license_token = in.request->license;
	r->by = decide_actor(&command->who);
	err = batch_emit(batch);
	if (err != 0)
		return err;
	const struct state_license *license;

	err =
	    state_license(&license, &batch->state, in.license, &command->arena);
	return err != 0 ? err
			: view_license(&command->reply.license, &batch->state,
			      license, batch->place.time, &command->arena);
}
