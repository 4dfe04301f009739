/* Companies that register: a domain that is proved by a record in the DNS. */
#include "appliance/hub/decide.h"
#include "appliance/hub/register.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_MS (HUB_REGISTER_DAYS * INT64_C(86400000))
#define TOKEN_BYTES 16

/* --- the token --------------------------------------------------------------- */

/* Of this account, tenant and domain, and nobody else's to guess; so it need not
 * be kept. */
static void
make_token(char out[64], const struct ledger *ledger,
    const struct row_customer *customer)
{
	static const char context[] = "leasehold registration";
	uint8_t number[8], hash[TOKEN_BYTES];
	crypto_generichash_state state;

	be64_write(number, customer->customer);
	crypto_generichash_init(&state, ledger->tenant_key, 32, sizeof hash);
	crypto_generichash_update(&state, (const uint8_t *)context,
	    sizeof context);
	crypto_generichash_update(&state, number, sizeof number);
	crypto_generichash_update(&state, (const uint8_t *)customer->tenant_id,
	    strlen(customer->tenant_id) + 1);
	crypto_generichash_update(&state, (const uint8_t *)customer->domain,
	    strlen(customer->domain) + 1);
	crypto_generichash_final(&state, hash, sizeof hash);
	text_to_hex(out, hash, sizeof hash);
}

static bool
is_token(const struct ledger *ledger, const struct row_customer *customer,
    const char *text)
{
	char token[64] = { 0 }, told[64] = { 0 };

	make_token(token, ledger, customer);
	text_copy(told, sizeof told, text);
	return sodium_memcmp(token, told, sizeof token) == 0;
}

static void
record_of(char name[160], char text[128], const struct ledger *ledger,
    const struct row_customer *customer)
{
	char token[64];

	make_token(token, ledger, customer);
	snprintf(name, 160, "_leasehold.%s", customer->domain);
	snprintf(text, 128, "leasehold-verification=%s", token);
}

static bool
is_over(const struct hub_customer *customer, int64_t now_ms)
{
	return now_ms >= customer->changed_at + WINDOW_MS;
}

/* --- register ------------------------------------------------------------------- */

static bool
is_label(const char *label, size_t len)
{
	if (len == 0 || len > 63 || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((label[i] < 'a' || label[i] > 'z') &&
		    (label[i] < '0' || label[i] > '9') && label[i] != '-')
			return false;
	return true;
}

/* Two labels at least, in lower case. */
static bool
read_domain(char out[128], const char *text)
{
	size_t labels = 0;

	for (size_t i = 0; i < 128; i++) {
		char c = text[i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		if (c == '\0')
			break;
	}
	for (const char *at = out;; labels++) {
		size_t len = strcspn(at, ".");

		if (!is_label(at, len))
			return false;
		if (at[len] == '\0')
			return labels > 0;
		at += len + 1;
	}
}

static int
answer_registered(struct batch *batch, struct command *command, uint64_t number)
{
	struct tenant_registered *reply = hub_reply(command, sizeof *reply);
	struct register_step *steps =
	    arena_alloc(&command->arena, 2 * sizeof *steps);
	struct hub_customer customer;

	if (reply == NULL || steps == NULL)
		return ERR_NOMEM;
	int err =
	    hub_customer(&customer, &batch->state, number, &command->arena);

	if (err != 0)
		return err;
	const struct row_customer *r = &customer.row;
	struct register_record *record = &reply->verification.dns_record;

	memcpy(reply->tenant_id, r->tenant_id, sizeof reply->tenant_id);
	reply->status = r->status;
	text_copy(reply->verification.method, sizeof reply->verification.method,
	    "dns");
	text_copy(record->type, sizeof record->type, "TXT");
	record_of(record->name, record->value, batch->ledger, r);
	make_token(reply->verification_token, batch->ledger, r);
	reply->expires_at = customer.changed_at + WINDOW_MS;
	snprintf(steps[0].step, sizeof steps[0].step,
	    "Let %.120s say, as TXT: %.90s", record->name, record->value);
	snprintf(steps[1].step, sizeof steps[1].step,
	    "Then POST /api/v1/tenants/verify with tenant_id and "
	    "verification_token");
	reply->next_steps = (struct record_list){ steps, 2 };
	return 0;
}

static int
fill(struct row_customer *r, struct batch *batch, struct command *command,
    const char *domain)
{
	const struct tenant_register *request = command->request;
	struct customer_contact contact = { .email = "" };

	text_copy(r->name, sizeof r->name, request->company.name);
	text_copy(r->domain, sizeof r->domain, domain);
	text_copy(r->tenant_id, sizeof r->tenant_id, request->tenant.id);
	text_copy(r->country, sizeof r->country, request->company.country);
	text_copy(r->region, sizeof r->region, request->tenant.region);
	r->plan = request->tenant.plan;
	r->status = CUSTOMER_PENDING;
	r->by = decide_actor(&command->who);
	text_copy(contact.email, sizeof contact.email, request->admin.email);
	text_copy(contact.name, sizeof contact.name, request->admin.name);
	text_copy(contact.tax_id, sizeof contact.tax_id,
	    request->company.tax_id);
	int err = hub_contact_seal(r, batch, &contact, command->entropy);

	sodium_memzero(&contact, sizeof contact);
	return err;
}

static int
register_new(struct batch *batch, struct command *command, const char *domain)
{
	struct row_customer r = { .customer = 0 };
	char id[32];
	uint64_t taken;
	int err =
	    hub_next_customer(&r.customer, &batch->state, &command->arena);

	if (err != 0)
		return err;
	hub_customer_id(id, r.customer);
	text_copy(r.crm_account_id, sizeof r.crm_account_id, id);
	err = hub_name(&taken, &batch->state, HUB_NAME_CRM, id);
	if (err == 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "a customer is called %s in the CRM", id);
	if (err == ERR_NOT_FOUND_INTERNAL)
		err = fill(&r, batch, command, domain);
	if (err == 0)
		err = hub_emit_customer(batch, ROW_CUSTOMER_ADDED, &r);
	return err == 0 ? answer_registered(batch, command, r.customer) : err;
}

/* A registration that waits is one; one that waited too long makes room. */
static int
register_again(struct batch *batch, struct command *command, const char *domain,
    uint64_t number)
{
	struct hub_customer customer;
	int err =
	    hub_customer(&customer, &batch->state, number, &command->arena);

	if (err != 0)
		return err;
	const bool over = is_over(&customer, batch->place.time);

	if (customer.row.status != CUSTOMER_PENDING ||
	    (!over && strcmp(customer.row.domain, domain) != 0))
		return decide_refuse_field(command, "tenant.id", ERR_CONFLICT,
		    "choose another", "the tenant %s is taken",
		    customer.row.tenant_id);
	if (over) {
		err = hub_contact_forget(batch, &customer);
		if (err == 0)
			err = fill(&customer.row, batch, command, domain);
		if (err == 0)
			err = hub_emit_customer(batch, ROW_CUSTOMER_CHANGED,
			    &customer.row);
	}
	return err == 0 ? answer_registered(batch, command, number) : err;
}

int
decide_hub_register(struct batch *batch, struct command *command)
{
	const struct tenant_register *request = command->request;
	char domain[128];
	uint64_t number;

	if (!is_label(request->tenant.id, strlen(request->tenant.id)))
		return decide_refuse_field(command, "tenant.id",
		    ERR_BAD_REQUEST, "", "is of a-z, 0-9 and -");
	if (!read_domain(domain, request->company.domain) ||
	    strlen(domain) > 100)
		return decide_refuse_field(command, "company.domain",
		    ERR_BAD_REQUEST, "", "is a domain such as plant.example");
	int err = hub_check_email(command, request->admin.email, "admin.email");

	if (err != 0 || command->err != 0)
		return err;
	err = hub_name(&number, &batch->state, HUB_NAME_TENANT,
	    request->tenant.id);
	if (err == 0)
		return register_again(batch, command, domain, number);
	return err == ERR_NOT_FOUND_INTERNAL
	    ? register_new(batch, command, domain)
	    : err;
}

/* --- verify ------------------------------------------------------------------------ */

/* 0, or what is wrong with it. */
static int
judge(const char **words, const struct ledger *ledger,
    const struct hub_customer *customer, const char *token, int64_t now_ms)
{
	const struct row_customer *r = &customer->row;

	*words = "the tenant did not register here";
	if (r->domain[0] == '\0')
		return ERR_NOT_FOUND;
	*words = "the verification_token is another one";
	if (!is_token(ledger, r, token))
		return ERR_FORBIDDEN;
	if (r->status == CUSTOMER_ACTIVE)
		return 0;
	*words = "the customer is suspended";
	if (r->status != CUSTOMER_PENDING)
		return ERR_TENANT_SUSPENDED;
	*words = "the registration waited too long: register again";
	return is_over(customer, now_ms) ? ERR_GONE : 0;
}

int
hub_pending(struct hub_pending *out, struct ledger_view *view,
    const struct tenant_verify *asked, int64_t now_ms, struct arena *arena,
    struct problem *problem)
{
	const struct state *state = &view->state;
	struct hub_customer customer;
	const char *words;
	uint64_t number;
	int err = hub_name(&number, state, HUB_NAME_TENANT, asked->tenant_id);

	if (err == 0)
		err = hub_customer(&customer, state, number, arena);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(problem, ERR_NOT_FOUND,
		    "the tenant %s did not register here", asked->tenant_id);
	if (err != 0)
		return err;
	err = judge(&words, view->ledger, &customer, asked->verification_token,
	    now_ms);
	if (err != 0)
		return query_refuse(problem, err, "%s", words);
	out->verified = customer.row.status == CUSTOMER_ACTIVE;
	record_of(out->name, out->text, view->ledger, &customer.row);
	return 0;
}

int
decide_hub_verify(struct batch *batch, struct command *command)
{
	const struct tenant_verify *request = command->request;
	struct tenant_verified *reply = hub_reply(command, sizeof *reply);
	struct hub_customer customer;
	const char *words;
	uint64_t number;
	int err = reply == NULL ? ERR_NOMEM
				: hub_name(&number, &batch->state,
				      HUB_NAME_TENANT, request->tenant_id);

	if (err == 0)
		err = hub_customer(&customer, &batch->state, number,
		    &command->arena);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "tenant_id", ERR_NOT_FOUND,
		    "", "the tenant %s did not register here",
		    request->tenant_id);
	if (err != 0)
		return err;
	err = judge(&words, batch->ledger, &customer,
	    request->verification_token, batch->place.time);
	if (err != 0)
		return decide_refuse(command, err, "", "%s", words);
	if (customer.row.status == CUSTOMER_PENDING) {
		customer.row.status = CUSTOMER_ACTIVE;
		customer.row.by = decide_actor(&command->who);
		err = hub_emit_customer(batch, ROW_CUSTOMER_CHANGED,
		    &customer.row);
	}
	memcpy(reply->tenant_id, customer.row.tenant_id,
	    sizeof reply->tenant_id);
	memcpy(reply->crm_id, customer.row.crm_account_id,
	    sizeof reply->crm_id);
	text_copy(reply->status, sizeof reply->status, "verified");
	reply->created_at = customer.added_at;
	return err;
}
