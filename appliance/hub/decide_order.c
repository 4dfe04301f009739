/* Licenses: ordered from the CRM, and issued for a site. */
#include "appliance/hub/crm.h"
#include "appliance/hub/decide.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a license's token that are not its payload's own: site, vendor,
 * signature, footer. */
#define TOKEN_ROOM 2048
#define SHORT_MAX 20

int
hub_find_order(struct hub_order *out, struct batch *batch,
    struct command *command, const char *license_id)
{
	uint64_t number;
	int err =
	    hub_name(&number, &batch->state, HUB_NAME_LICENSE, license_id);

	memset(out, 0, sizeof *out);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "license_id", ERR_NOT_FOUND,
		    "see: leasehold hub license list", "there is no license %s",
		    license_id);
	if (err == 0)
		err = hub_order(out, &batch->state, number, &command->arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* --- issuing ---------------------------------------------------------------------- */

struct choice {
	struct batch *batch;
	struct arena *arena;
	const char *tenant, *id;
	uint64_t fits, only;
	uint32_t n;
	int err;
};

static int
look_at_site(void *ctx, uint64_t number)
{
	struct choice *choice = ctx;
	struct hub_site site;

	choice->err =
	    hub_site(&site, &choice->batch->state, number, choice->arena);
	if (choice->err != 0)
		return choice->err;
	choice->only = number;
	choice->n++;
	if (choice->id[0] != '\0'
		? strcmp(site.row.request.site, choice->id) == 0
		: strcmp(site.row.request.tenant, choice->tenant) == 0)
		choice->fits = number;
	return 0;
}

int
hub_choose_site(uint64_t *site, struct batch *batch, struct command *command,
    const struct hub_order *order, const char *id)
{
	struct hub_customer customer;
	int err = hub_customer(&customer, &batch->state, order->row.customer,
	    &command->arena);
	struct choice choice = { .batch = batch,
		.arena = &command->arena,
		.tenant = customer.row.tenant_id,
		.id = id };

	if (err == 0)
		err = hub_each_site(&batch->state, order->row.customer, 0,
		    look_at_site, &choice);
	*site = choice.fits;
	if (err != 0)
		return err;
	if (id[0] != '\0' && choice.fits == 0)
		return decide_refuse_field(command, "site", ERR_NOT_FOUND,
		    "see: leasehold hub site list",
		    "the customer has no site %s", id);
	/* With one there is no choice; of several one must fit. */
	if (choice.fits == 0 && choice.n == 1)
		*site = choice.only;
	return 0;
}

static int
next_serial(uint64_t *serial, const struct state *state,
    const struct hub_order *order, struct arena *arena)
{
	struct row_license_issued last = { .at = order->at };
	int err = order->serial == 0
	    ? 0
	    : hub_issued(&last, state, order->row.order, order->serial, arena);

	*serial = err == 0 ? hub_next(order->serial, last.at, state) : 0;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

static void
fill_license(struct license *license, const struct hub_order *order,
    const struct hub_site *site, const struct row_account_issuer *issuer,
    const struct license_contract *contract, int64_t now)
{
	const struct license_terms *terms = &order->row.terms;
	const struct license_request *request = &site->row.request;

	*license = (struct license){ .serial = license->serial,
		.vendor = issuer->vendor,
		.product = terms->product,
		.entitlement = terms->entitlement,
		.features = terms->features,
		.contract = *contract,
		.terms = terms->terms,
		.billing = terms->billing,
		.tier = terms->tier,
		.limits = terms->limits,
		.sync = terms->sync,
		.customer = terms->customer,
		.issued_at = now };
	memcpy(license->license_id, order->row.license_id,
	    sizeof license->license_id);
	memcpy(license->site, request->site, sizeof license->site);
	memcpy(license->tenant, request->tenant, sizeof license->tenant);
	memcpy(license->site_key, request->site_key, sizeof license->site_key);
}

/* Looked at as a site will. The token outlives the row. */
static int
sign(struct record_span *out, struct batch *batch, struct command *command,
    const struct license *license, const struct row_account_issuer *issuer)
{
	struct record_error error = { .reason = "" };
	struct license_issuer by;
	struct license seen;
	struct buf token = { 0 };
	int err = hub_sign(&token, batch->ledger, &batch->state,
	    &license_record, license, TOKEN_LICENSE, batch->place.time);

	if (err == 0 && token.len > LICENSE_TOKEN_MAX)
		err = ERR_TOO_LARGE;
	if (err == 0)
		err = license_verify(&seen, &by, issuer->issuer.data,
		    issuer->issuer.len, (const char *)token.data, token.len,
		    issuer->root, &command->arena, &error);
	if (err == 0) {
		out->len = (uint32_t)token.len;
		out->data = arena_copy(&command->arena, token.data, token.len);
		err = out->data == NULL ? ERR_NOMEM : 0;
	}
	buf_release(&token);
	return err;
}

int
hub_issue(struct hub_order *order, struct batch *batch, struct command *command,
    uint64_t site, const struct license_contract *contract)
{
	struct row_account_issuer issuer;
	struct record_span token;
	struct license license;
	struct hub_account account;
	struct hub_site at;
	const bool first = order->serial == 0;
	int err = hub_find_issuer(&issuer, batch, command);

	if (err == 0 && command->err == 0)
		err = hub_account(&account, &batch->state);
	if (err == 0 && command->err == 0)
		err = hub_site(&at, &batch->state, site, &command->arena);
	if (err == 0 && command->err == 0)
		err = next_serial(&license.serial, &batch->state, order,
		    &command->arena);
	if (err != 0 || command->err != 0)
		return err;
	fill_license(&license, order, &at, &issuer, contract,
	    batch->place.time);
	err = sign(&token, batch, command, &license, &issuer);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_LICENSE_ISSUED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_license_issued *r = &row->u.license_issued;

	r->order = order->row.order;
	r->serial = license.serial;
	r->site = site;
	r->key = account.issuing;
	r->at = license.issued_at;
	r->contract = *contract;
	license_digest(r->digest, token.data, token.len);
	r->token = token;
	r->by = decide_actor(&command->who);
	err = batch_emit(batch);
	if (err == 0)
		err = hub_order(order, &batch->state, order->row.order,
		    &command->arena);
	/* Later ones are what became of it: who decides on that tells it. */
	return err == 0 && first
	    ? hub_tell_license(batch, command, CRM_LICENSE_PROVISIONED, order)
	    : err;
}

/* --- the id -------------------------------------------------------------------------- */

/* "Mercedes-Benz AG" is "mercedes-benz-ag"; cut at a word's end. */
static void
shorten(char out[SHORT_MAX + 1], const char *from)
{
	size_t len = 0;

	for (; *from != '\0' && len < SHORT_MAX; from++) {
		char c = *from;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = c;
		else if (len > 0 && out[len - 1] != '-')
			out[len++] = '-';
	}
	out[len] = '\0';
	char *last = strrchr(out, '-');

	if (last != NULL && last != out && (*from != '\0' || last[1] == '\0'))
		*last = '\0';
}

#define ID_FORMAT "%.47s-%03" PRIu64

/* When the license of that number was ordered. */
static int
ordered_at(int64_t *at, const struct state *state, const char *series,
    uint64_t number)
{
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	char id[64];

	snprintf(id, sizeof id, ID_FORMAT, series, number);
	int err = hub_name(&number, state, HUB_NAME_LICENSE, id);

	if (err == 0)
		err = hub_order(&order, state, number, &arena);
	*at = err == 0 ? order.at : 0;
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
make_id(char out[64], struct batch *batch, const struct hub_customer *customer,
    const struct license_contract *contract)
{
	char vendor[SHORT_MAX + 1], whom[SHORT_MAX + 1], series[64];
	char day[CLOCK_TEXT_SIZE];
	uint64_t number = 0;
	int64_t at = 0;

	shorten(vendor, batch->ledger->tenant);
	shorten(whom,
	    customer->row.tenant_id[0] != '\0' ? customer->row.tenant_id
					       : customer->row.name);
	if (whom[0] == '\0')
		snprintf(whom, sizeof whom, "%" PRIu64, customer->row.customer);
	clock_format_date(day, contract->start_date);
	snprintf(series, sizeof series, "lic-%s-%s-%.4s", vendor, whom, day);
	int err = hub_name(&number, &batch->state, HUB_NAME_SERIES, series);

	if (err == ERR_NOT_FOUND_INTERNAL)
		err = 0;
	else if (err == 0)
		err = ordered_at(&at, &batch->state, series, number);
	snprintf(out, 64, ID_FORMAT, series,
	    hub_next(number, at, &batch->state));
	return err;
}

/* --- generate ------------------------------------------------------------------------ */

/* The same words give the same digest, however they were spelled in JSON. */
static int
digest_asked(uint8_t out[32], const struct hub_generate *request)
{
	struct buf bytes = { 0 };

	record_write_msgpack(&bytes, &hub_generate_record, request);
	int err = bytes.failed ? ERR_NOMEM : 0;

	if (err == 0)
		crypto_generichash(out, 32, bytes.data, bytes.len, NULL, 0);
	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.len);
	buf_release(&bytes);
	return err;
}

static int
answer_generated(struct batch *batch, struct command *command,
    const struct hub_order *order)
{
	struct hub_generated *reply = hub_reply(command, sizeof *reply);
	struct hub_license_view *view =
	    arena_alloc(&command->arena, sizeof *view);

	if (reply == NULL || view == NULL)
		return ERR_NOMEM;
	int err = hub_view_order(view, &batch->state, order, batch->place.time,
	    &command->arena);

	if (err != 0)
		return err;
	memcpy(reply->license_id, view->license_id, sizeof reply->license_id);
	memcpy(reply->crm_opportunity_id, view->crm_opportunity_id,
	    sizeof reply->crm_opportunity_id);
	memcpy(reply->customer_tenant, view->tenant,
	    sizeof reply->customer_tenant);
	reply->status = view->status;
	reply->provisioned_at = order->issued_at;
	if (order->serial > 0)
		snprintf(reply->package_url, sizeof reply->package_url,
		    "/api/v1/licenses/%s/package", view->license_id);
	return 0;
}

static int
check_terms(struct license_terms *terms, struct command *command,
    const struct hub_generate *request)
{
	struct record_error error = { .reason = "" };
	struct buf json = { 0 };

	*terms = (struct license_terms){ .product = request->product,
		.entitlement = request->entitlement,
		.features = request->features,
		.contract = request->contract,
		.terms = request->terms,
		.billing = request->billing,
		.tier = request->tier,
		.limits = request->limits,
		.sync = request->sync };
	int err = license_terms_check(terms, &error);

	if (err != 0)
		return decide_refuse_document(command, err, &error);
	record_write_json(&json, &license_terms_record, terms);
	size_t len = json.failed ? SIZE_MAX / 4 : json.len;

	buf_release(&json);
	if (len * 4 / 3 + TOKEN_ROOM > LICENSE_TOKEN_MAX)
		return decide_refuse(command, ERR_TOO_LARGE, "",
		    "its terms are too long for a license");
	return 0;
}

static uint64_t
plan_licenses(uint32_t plan)
{
	switch ((enum customer_plan)plan) {
	case CUSTOMER_FREE:
		return 10;
	case CUSTOMER_STARTUP:
		return 100;
	case CUSTOMER_PROFESSIONAL:
		return 1000;
	case CUSTOMER_NO_PLAN:
	case CUSTOMER_ENTERPRISE:
		break;
	}
	return UINT64_MAX;
}

static int
check_customer(struct command *command, const struct hub_customer *customer)
{
	const struct row_customer *r = &customer->row;

	if (r->status == CUSTOMER_SUSPENDED)
		return decide_refuse_field(command, "customer",
		    ERR_TENANT_SUSPENDED,
		    "let it go on: leasehold hub customer set",
		    "the customer %s is suspended", r->crm_account_id);
	if (r->status != CUSTOMER_ACTIVE)
		return decide_refuse_field(command, "customer", ERR_FORBIDDEN,
		    "its domain is verified with POST /api/v1/tenants/verify",
		    "the customer %s is not verified", r->crm_account_id);
	if (customer->orders >= plan_licenses(r->plan))
		return decide_refuse_field(command, "customer",
		    ERR_QUOTA_EXCEEDED, "give it another plan",
		    "the plan %s of customer %s has %" PRIu64 " licenses",
		    customer_plan_names[r->plan], r->crm_account_id,
		    plan_licenses(r->plan));
	return 0;
}

/* That which the CRM names; it is added the first time, when all else is
 * checked. `number` 0: it is to be. */
static int
look_for_customer(struct hub_customer *out, struct batch *batch,
    struct command *command, const struct hub_for *asked)
{
	uint64_t number;
	int err = hub_name(&number, &batch->state, HUB_NAME_CRM,
	    asked->crm_account_id);

	memset(out, 0, sizeof *out);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return asked->name[0] != '\0'
		    ? 0
		    : decide_refuse_field(command, "customer.name",
			  ERR_BAD_REQUEST, "",
			  "the customer %s is not known yet: say its name",
			  asked->crm_account_id);
	if (err == 0)
		err = hub_customer(out, &batch->state, number, &command->arena);
	if (err == 0 && asked->tenant_id[0] != '\0' &&
	    out->row.tenant_id[0] != '\0' &&
	    strcmp(asked->tenant_id, out->row.tenant_id) != 0)
		return decide_refuse_field(command, "customer.tenant_id",
		    ERR_CONFLICT, "change it: leasehold hub customer set",
		    "the tenant of customer %s is %s", asked->crm_account_id,
		    out->row.tenant_id);
	return err == 0 ? check_customer(command, out) : err;
}

static int
add_new(struct hub_customer *out, struct batch *batch, struct command *command,
    const struct hub_for *asked)
{
	struct customer_add add = { .plan = CUSTOMER_NO_PLAN };
	uint64_t number;

	memcpy(add.crm_account_id, asked->crm_account_id,
	    sizeof add.crm_account_id);
	memcpy(add.name, asked->name, sizeof add.name);
	memcpy(add.tenant_id, asked->tenant_id, sizeof add.tenant_id);
	memcpy(add.contact_email, asked->contact_email,
	    sizeof add.contact_email);
	int err = hub_add_customer(&number, batch, command, &add);

	return err != 0 || command->err != 0
	    ? err
	    : hub_customer(out, &batch->state, number, &command->arena);
}

static int
emit_order(struct hub_order *out, struct batch *batch, struct command *command,
    const struct hub_customer *customer, const struct license_terms *terms,
    const uint8_t asked[32])
{
	const struct hub_generate *request = command->request;
	char id[64];
	uint64_t last;
	int err = make_id(id, batch, customer, &terms->contract);

	if (err == 0)
		err = hub_last(&last, &batch->state, STORE_HUB_ORDERS);
	struct row *row =
	    err == 0 ? batch_row(batch, ROW_LICENSE_ORDERED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_license_ordered *r = &row->u.license_ordered;

	r->order = last + 1;
	r->customer = customer->row.customer;
	memcpy(r->license_id, id, sizeof r->license_id);
	memcpy(r->opportunity, request->crm_opportunity_id,
	    sizeof r->opportunity);
	memcpy(r->asked, asked, sizeof r->asked);
	r->provision = request->auto_provision;
	r->terms = *terms;
	memcpy(r->terms.customer.crm_account_id, customer->row.crm_account_id,
	    sizeof r->terms.customer.crm_account_id);
	memcpy(r->terms.customer.name, customer->row.name,
	    sizeof r->terms.customer.name);
	r->by = decide_actor(&command->who);
	err = batch_emit(batch);
	if (err == 0)
		err = hub_order(out, &batch->state, last + 1, &command->arena);
	return err == 0
	    ? hub_tell_license(batch, command, CRM_LICENSE_GENERATED, out)
	    : err;
}

/* What the CRM asked for before. */
static int
answer_again(struct batch *batch, struct command *command, uint64_t number,
    const uint8_t asked[32])
{
	struct hub_order order;
	int err = hub_order(&order, &batch->state, number, &command->arena);

	if (err != 0)
		return err;
	if (memcmp(order.row.asked, asked, 32) != 0)
		return decide_refuse_field(command, "crm_opportunity_id",
		    ERR_CONFLICT,
		    "a deal with other terms has an id of its own",
		    "license %s was generated for %s with other words",
		    order.row.license_id, order.row.opportunity);
	return answer_generated(batch, command, &order);
}

static int
generate(struct batch *batch, struct command *command, const uint8_t asked[32])
{
	const struct hub_generate *request = command->request;
	struct row_account_issuer issuer;
	struct hub_customer customer;
	struct license_terms terms;
	struct hub_order order;
	uint64_t site = 0;
	int err = check_terms(&terms, command, request);

	if (err == 0 && command->err == 0)
		err = hub_find_issuer(&issuer, batch, command);
	if (err == 0 && command->err == 0)
		err = look_for_customer(&customer, batch, command,
		    &request->customer);
	if (err == 0 && command->err == 0 && customer.row.customer == 0)
		err = add_new(&customer, batch, command, &request->customer);
	if (err == 0 && command->err == 0)
		err = emit_order(&order, batch, command, &customer, &terms,
		    asked);
	if (err == 0 && command->err == 0 && request->auto_provision)
		err = hub_choose_site(&site, batch, command, &order, "");
	if (err == 0 && command->err == 0 && site != 0)
		err = hub_issue(&order, batch, command, site, &order.contract);
	return err != 0 || command->err != 0
	    ? err
	    : answer_generated(batch, command, &order);
}

int
decide_hub_generate(struct batch *batch, struct command *command)
{
	const struct hub_generate *request = command->request;
	uint8_t asked[32];
	uint64_t number;
	int err = digest_asked(asked, request);

	if (err == 0)
		err = hub_name(&number, &batch->state, HUB_NAME_OPPORTUNITY,
		    request->crm_opportunity_id);
	if (err == 0)
		return answer_again(batch, command, number, asked);
	return err == ERR_NOT_FOUND_INTERNAL ? generate(batch, command, asked)
					     : err;
}

/* --- provision -------------------------------------------------------------------- */

static int
check_provision(struct batch *batch, struct command *command,
    const struct hub_order *order)
{
	const struct hub_provision *request = command->request;
	struct hub_customer customer;
	int err = hub_customer(&customer, &batch->state, order->row.customer,
	    &command->arena);

	if (err != 0)
		return err;
	if (request->customer.crm_account_id[0] != '\0' &&
	    strcmp(request->customer.crm_account_id,
		customer.row.crm_account_id) != 0)
		return decide_refuse_field(command, "customer.crm_account_id",
		    ERR_CONFLICT, "", "license %s is not of customer %s",
		    order->row.license_id, request->customer.crm_account_id);
	if (order->state == HUB_CANCELLED)
		return decide_refuse_field(command, "license_id", ERR_CONFLICT,
		    "generate another", "license %s is cancelled",
		    order->row.license_id);
	if (customer.row.status != CUSTOMER_ACTIVE)
		return decide_refuse_field(command, "customer",
		    ERR_TENANT_SUSPENDED, "see: leasehold hub customer show",
		    "the customer %s is not active",
		    customer.row.crm_account_id);
	return 0;
}

static int
release(struct hub_order *order, struct batch *batch, struct command *command)
{
	struct row *row = batch_row(batch, ROW_LICENSE_RELEASED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.license_released.order = order->row.order;
	row->u.license_released.by = decide_actor(&command->who);
	int err = batch_emit(batch);

	return err == 0
	    ? hub_order(order, &batch->state, order->row.order, &command->arena)
	    : err;
}

static int
answer_provisioned(struct batch *batch, struct command *command,
    const struct hub_order *order)
{
	struct hub_provisioned *reply = hub_reply(command, sizeof *reply);
	struct hub_customer customer;

	if (reply == NULL)
		return ERR_NOMEM;
	reply->status = hub_status(order, batch->place.time);
	reply->provisioned_at = order->issued_at;
	int err = hub_customer(&customer, &batch->state, order->row.customer,
	    &command->arena);

	return err != 0 ? err
			: hub_tenant_url(reply->tenant_url, batch->ledger,
			      &batch->state, &customer);
}

int
decide_hub_provision(struct batch *batch, struct command *command)
{
	const struct hub_provision *request = command->request;
	struct row_account_issuer issuer;
	struct hub_order order;
	uint64_t site = 0;
	int err = hub_find_order(&order, batch, command, request->license_id);

	if (err == 0 && command->err == 0)
		err = hub_check_email(command, request->notification.email,
		    "notification.email");
	if (err == 0 && command->err == 0)
		err = check_provision(batch, command, &order);
	if (err != 0 || command->err != 0)
		return err;
	/* What is issued is issued. */
	if (order.serial > 0)
		return answer_provisioned(batch, command, &order);
	err = hub_find_issuer(&issuer, batch, command);
	if (err == 0 && command->err == 0)
		err = hub_choose_site(&site, batch, command, &order,
		    request->site);
	if (err == 0 && command->err == 0 && order.state == HUB_ORDERED)
		err = release(&order, batch, command);
	if (err == 0 && command->err == 0 && site != 0)
		err = hub_issue(&order, batch, command, site, &order.contract);
	return err != 0 || command->err != 0
	    ? err
	    : answer_provisioned(batch, command, &order);
}
