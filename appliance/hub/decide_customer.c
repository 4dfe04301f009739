/* Customers of an account, and their sites. */
#include "appliance/hub/decide.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

int
hub_find_customer(struct hub_customer *out, struct batch *batch,
    struct command *command, const char *crm_account_id)
{
	uint64_t number;
	int err =
	    hub_name(&number, &batch->state, HUB_NAME_CRM, crm_account_id);

	memset(out, 0, sizeof *out);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "crm_account_id",
		    ERR_NOT_FOUND, "see: leasehold hub customer list",
		    "there is no customer %s", crm_account_id);
	if (err == 0)
		err = hub_customer(out, &batch->state, number, &command->arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* A name of a tenant is one customer's. */
static int
check_tenant(struct batch *batch, struct command *command,
    const char *tenant_id, uint64_t customer)
{
	uint64_t number;

	if (tenant_id[0] == '\0')
		return 0;
	int err = hub_name(&number, &batch->state, HUB_NAME_TENANT, tenant_id);

	if (err == ERR_NOT_FOUND_INTERNAL || (err == 0 && number == customer))
		return 0;
	return err != 0
	    ? err
	    : decide_refuse_field(command, "tenant_id", ERR_CONFLICT, "",
		  "the tenant %s is another customer's", tenant_id);
}

int
hub_check_email(struct command *command, const char *email, const char *field)
{
	const char *at = strchr(email, '@');

	if (email[0] == '\0' ||
	    (at != NULL && at != email && at[1] != '\0' &&
		strpbrk(email, " \t\"<>,;") == NULL &&
		strchr(at + 1, '@') == NULL))
		return 0;
	return decide_refuse_field(command, field, ERR_BAD_REQUEST, "",
	    "is no mail address such as ops@plant.example");
}

/* It is given out as it is, to be followed. */
static int
check_url(struct command *command, const char *url)
{
	const size_t scheme = sizeof "https://" - 1;

	if (url[0] == '\0')
		return 0;
	bool good = strncmp(url, "https://", scheme) == 0 &&
	    url[scheme] != '\0' && url[scheme] != '/';

	for (const char *at = url; *at != '\0'; at++)
		good = good && *at > ' ' && *at < 0x7f &&
		    strchr("\"'<>\\^`{|}@", *at) == NULL;
	return good
	    ? 0
	    : decide_refuse_field(command, "tenant_url", ERR_BAD_REQUEST, "",
		  "is no address such as "
		  "https://mercedes.plant.example");
}

/* --- customers -------------------------------------------------------------------- */

int
hub_add_customer(uint64_t *number, struct batch *batch, struct command *command,
    const struct customer_add *asked)
{
	struct row_customer r = { .plan = asked->plan,
		.status = CUSTOMER_ACTIVE,
		.by = decide_actor(&command->who) };
	struct customer_contact contact = { .email = "" };
	int err =
	    hub_check_email(command, asked->contact_email, "contact_email");

	if (err == 0 && command->err == 0)
		err = check_url(command, asked->tenant_url);
	if (err == 0 && command->err == 0)
		err = check_tenant(batch, command, asked->tenant_id, 0);
	if (err == 0 && command->err == 0)
		err = hub_next_customer(&r.customer, &batch->state,
		    &command->arena);
	if (err != 0 || command->err != 0)
		return err;
	*number = r.customer;
	text_copy(r.crm_account_id, sizeof r.crm_account_id,
	    asked->crm_account_id);
	text_copy(r.name, sizeof r.name, asked->name);
	text_copy(r.tenant_id, sizeof r.tenant_id, asked->tenant_id);
	text_copy(r.country, sizeof r.country, asked->country);
	text_copy(r.region, sizeof r.region, asked->region);
	text_copy(contact.email, sizeof contact.email, asked->contact_email);
	text_copy(contact.name, sizeof contact.name, asked->contact_name);
	text_copy(contact.tenant_url, sizeof contact.tenant_url,
	    asked->tenant_url);
	err = hub_contact_seal(&r, batch, &contact, command->entropy);
	sodium_memzero(&contact, sizeof contact);
	return err == 0 ? hub_emit_customer(batch, ROW_CUSTOMER_ADDED, &r)
			: err;
}

static int
answer_customer(struct batch *batch, struct command *command, uint64_t number)
{
	struct customer_view *reply = hub_reply(command, sizeof *reply);
	struct hub_customer customer;

	if (reply == NULL)
		return ERR_NOMEM;
	int err =
	    hub_customer(&customer, &batch->state, number, &command->arena);

	if (err != 0)
		return err;
	hub_view_customer(reply, &customer);
	return hub_view_contact(reply, batch->ledger, &batch->state, &customer);
}

int
decide_hub_customer_add(struct batch *batch, struct command *command)
{
	const struct customer_add *request = command->request;
	uint64_t number;
	int err = hub_name(&number, &batch->state, HUB_NAME_CRM,
	    request->crm_account_id);

	if (err == 0)
		return decide_refuse_field(command, "crm_account_id",
		    ERR_CONFLICT, "look at it: leasehold hub customer show",
		    "the customer %s is known already",
		    request->crm_account_id);
	if (err == ERR_NOT_FOUND_INTERNAL)
		err = hub_add_customer(&number, batch, command, request);
	return err != 0 || command->err != 0
	    ? err
	    : answer_customer(batch, command, number);
}

/* Who waits to be verified is not let in by it. */
static uint32_t
status_of(const struct hub_customer *customer, bool suspended)
{
	if (suspended)
		return CUSTOMER_SUSPENDED;
	return customer->row.status == CUSTOMER_SUSPENDED
	    ? CUSTOMER_ACTIVE
	    : customer->row.status;
}

static int
change_customer(struct batch *batch, struct command *command,
    const struct hub_customer *customer)
{
	const struct customer_put *request = command->request;
	struct row_customer r = customer->row;
	struct customer_contact contact;
	/* The tax id came with a registration, and is not asked for again. */
	int err = hub_contact(&contact, &batch->state, batch->ledger->sealed,
	    customer);

	if (err == ERR_NOT_FOUND_INTERNAL)
		err = 0;
	text_copy(r.name, sizeof r.name, request->name);
	text_copy(r.tenant_id, sizeof r.tenant_id, request->tenant_id);
	text_copy(r.country, sizeof r.country, request->country);
	text_copy(r.region, sizeof r.region, request->region);
	r.plan = request->plan;
	r.status = status_of(customer, request->suspended);
	r.by = decide_actor(&command->who);
	text_copy(contact.email, sizeof contact.email, request->contact_email);
	text_copy(contact.name, sizeof contact.name, request->contact_name);
	text_copy(contact.tenant_url, sizeof contact.tenant_url,
	    request->tenant_url);
	if (err == 0)
		err = hub_contact_forget(batch, customer);
	if (err == 0)
		err = hub_contact_seal(&r, batch, &contact, command->entropy);
	sodium_memzero(&contact, sizeof contact);
	return err == 0 ? hub_emit_customer(batch, ROW_CUSTOMER_CHANGED, &r)
			: err;
}

int
decide_hub_customer_set(struct batch *batch, struct command *command)
{
	const struct customer_put *request = command->request;
	struct hub_customer customer;
	int err = hub_find_customer(&customer, batch, command,
	    request->crm_account_id);

	if (err == 0 && command->err == 0)
		err = hub_check_email(command, request->contact_email,
		    "contact_email");
	if (err == 0 && command->err == 0)
		err = check_url(command, request->tenant_url);
	if (err == 0 && command->err == 0)
		err = check_tenant(batch, command, request->tenant_id,
		    customer.row.customer);
	if (err == 0 && command->err == 0)
		err = change_customer(batch, command, &customer);
	return err != 0 || command->err != 0
	    ? err
	    : answer_customer(batch, command, customer.row.customer);
}

/* --- sites ------------------------------------------------------------------------ */

/* The request is signed with the key that it names: who sent it holds it. */
int
hub_read_request(struct license_request *out, struct command *command,
    const struct record_span *token)
{
	struct record_error error = { .reason = "" };
	struct buf payload = { 0 };
	const char *text = token->data;
	size_t len = token->len;

	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	int err = token_peek(&payload, text, len);

	if (err == 0)
		err = record_read_json(out, &license_request_record,
		    (const char *)payload.data, payload.len, &command->arena,
		    &error);
	if (err == 0)
		err = license_document_read(out, &license_request_record,
		    TOKEN_REQUEST, text, len, out->site_key, &command->arena,
		    &error);
	buf_release(&payload);
	if (err == 0)
		return 0;
	if (error.reason[0] == '\0')
		text_copy(error.reason, sizeof error.reason,
		    "is no activation request; on the site: leasehold site "
		    "request");
	text_copy(error.field, sizeof error.field, "request");
	return decide_refuse_document(command, err, &error);
}

/* Known already: the same key, of the same customer. */
static int
find_bound(uint64_t *number, struct batch *batch, struct command *command,
    const struct license_request *request, uint64_t customer)
{
	struct hub_site site;
	int err = hub_site_by_id(&site, &batch->state, request->site,
	    request->tenant, &command->arena);

	*number = 0;
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err != 0)
		return err;
	*number = site.row.number;
	if (site.row.customer != customer)
		return decide_refuse_field(command, "request", ERR_CONFLICT, "",
		    "the site %s is another customer's", request->site);
	if (memcmp(site.row.request.site_key, request->site_key,
		sizeof request->site_key) != 0)
		return decide_refuse_field(command, "request", ERR_CONFLICT,
		    request->succession.count > 0
			? "where its box was lost: leasehold hub reissue "
			  "REQUEST"
			: "ask who runs that site which of the two is his",
		    "the site %s is known with another key", request->site);
	return 0;
}

static int
bind_site(uint64_t *number, struct batch *batch, struct command *command,
    const struct license_request *request, uint64_t customer)
{
	int err = hub_last(number, &batch->state, STORE_HUB_SITES);
	struct row *row = err == 0 ? batch_row(batch, ROW_SITE_BOUND) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	row->u.site_bound.number = ++*number;
	row->u.site_bound.customer = customer;
	row->u.site_bound.request = *request;
	row->u.site_bound.by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* --- what waited for it -------------------------------------------------------- */

struct waiting {
	struct batch *batch;
	struct arena *arena;
	uint64_t orders[HUB_ISSUE_ONCE];
	uint32_t n;
	int err;
};

static int
gather_waiting(void *ctx, uint64_t number)
{
	struct waiting *waiting = ctx;
	struct hub_order order;

	waiting->err =
	    hub_order(&order, &waiting->batch->state, number, waiting->arena);
	if (waiting->err != 0)
		return waiting->err;
	if (order.state == HUB_AWAITING_SITE)
		waiting->orders[waiting->n++] = number;
	return waiting->n == HUB_ISSUE_ONCE;
}

static int
issue_waiting(struct hub_site_added *reply, struct batch *batch,
    struct command *command, uint64_t customer)
{
	struct waiting waiting = { .batch = batch, .arena = &command->arena };
	struct hub_license_name *issued =
	    arena_alloc(&command->arena, HUB_ISSUE_ONCE * sizeof *issued);
	int err = issued == NULL ? ERR_NOMEM
				 : hub_each_order(&batch->state, customer, 0,
				       gather_waiting, &waiting);

	reply->issued.items = issued;
	for (uint32_t i = 0; i < waiting.n && err == 0; i++) {
		struct hub_order order;
		uint64_t site;

		err = hub_order(&order, &batch->state, waiting.orders[i],
		    &command->arena);
		if (err == 0)
			err =
			    hub_choose_site(&site, batch, command, &order, "");
		if (err != 0 || site == 0)
			continue;
		err = hub_issue(&order, batch, command, site, &order.contract);
		if (err != 0 || command->err != 0)
			return err;
		memcpy(issued[reply->issued.count++].license_id,
		    order.row.license_id, sizeof issued->license_id);
	}
	return err;
}

int
decide_hub_site_add(struct batch *batch, struct command *command)
{
	const struct hub_site_add *asked = command->request;
	struct hub_site_added *reply = hub_reply(command, sizeof *reply);
	struct row_account_issuer issuer;
	struct license_request request = { .site = "" };
	struct hub_customer customer;
	struct hub_site site = { .at = 0 };
	uint64_t number = 0;
	int err = reply == NULL ? ERR_NOMEM
				: hub_find_customer(&customer, batch, command,
				      asked->crm_account_id);

	if (err == 0 && command->err == 0)
		err = hub_read_request(&request, command, &asked->request);
	if (err == 0 && command->err == 0)
		err = find_bound(&number, batch, command, &request,
		    customer.row.customer);
	/* Before a row is written: what waits is issued with it. */
	if (err == 0 && command->err == 0)
		err = hub_find_issuer(&issuer, batch, command);
	if (err == 0 && command->err == 0 && number == 0)
		err = bind_site(&number, batch, command, &request,
		    customer.row.customer);
	if (err == 0 && command->err == 0 &&
	    customer.row.status == CUSTOMER_ACTIVE)
		err =
		    issue_waiting(reply, batch, command, customer.row.customer);
	if (err == 0 && command->err == 0)
		err = hub_site(&site, &batch->state, number, &command->arena);
	return err != 0 || command->err != 0
	    ? err
	    : hub_view_site(&reply->site, &batch->state, &site,
		  &command->arena);
}
