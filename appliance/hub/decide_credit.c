/* Decide on credit notes. One never changes what was invoiced: it stands in the
 * statement of a month that is not over. And nobody is credited more than he
 * owes for it, which is what would be left of a credit that is lost. */
#include "appliance/hub/credit.h"
#include "appliance/hub/decide.h"
#include "appliance/ledger/credits.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

const struct record hub_credit_record = {
	.name = "hub_credit",
	.doc = "A credit note, and what is owed.",
	.version = 1,
	.size = sizeof(struct hub_credit),
};

struct crediting {
	struct batch *batch;
	struct command *command;
	const struct hub_credit *request;
	const struct billing_credit_add *asked;
	struct hub_customer customer;
	uint64_t site;
	/* Of its month, before it: */
	int64_t credited, credited_license;
	int64_t credited_all; /* of no license, in the same currency */
	uint32_t n;
	bool known; /* it is there */
	struct row_credit same;
};

/* They stand on statements, in files and in a journal that is kept: numbers of
 * documents, and nothing that names a person. */
static bool
is_number(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_./#:";

	return text[strspn(text, letters)] == '\0';
}

static int
check_words(struct crediting *c)
{
	const struct billing_credit_add *asked = c->asked;
	const bool id = is_number(asked->credit_id);

	if (id && is_number(asked->evidence))
		return 0;
	return decide_refuse_field(c->command, id ? "evidence" : "credit_id",
	    ERR_BAD_REQUEST, "its number alone, such as INC-4711",
	    "a document's number is letters, digits and - _ . / # :");
}

static int
see_credit(void *ctx, const struct row_credit *credit)
{
	struct crediting *c = ctx;

	if (strcmp(credit->id, c->asked->credit_id) == 0) {
		c->known = true;
		c->same = *credit;
	}
	if (credit->first != c->request->first)
		return 0;
	c->n++;
	c->credited += credit->amount;
	if (strcmp(credit->license_id, c->asked->license) == 0)
		c->credited_license += credit->amount;
	else if (credit->license_id[0] == '\0' &&
	    strcmp(credit->currency, c->asked->currency) == 0)
		c->credited_all += credit->amount;
	return 0;
}

/* --- whose, and who is told ---------------------------------------------------- */

static int
find_site_of_license(struct crediting *c)
{
	struct hub_order order;
	int err =
	    hub_find_order(&order, c->batch, c->command, c->asked->license);

	if (err != 0 || c->command->err != 0)
		return err;
	if (order.row.customer != c->customer.row.customer)
		return decide_refuse_field(c->command, "license",
		    ERR_BAD_REQUEST, "leasehold hub license list",
		    "license %s is not of customer %s", c->asked->license,
		    c->asked->customer_crm_id);
	if (order.serial == 0)
		return decide_refuse_field(c->command, "license", ERR_CONFLICT,
		    "", "license %s is not issued yet: nothing is owed for it",
		    c->asked->license);
	c->site = order.site;
	return 0;
}

struct sites {
	uint32_t n;
	uint64_t last;
};

static int
see_site(void *ctx, uint64_t site)
{
	struct sites *sites = ctx;

	sites->n++;
	sites->last = site;
	return 0;
}

/* Each site makes statements of its own licenses: one without a license would
 * stand in those of all, and be given as often. */
static int
find_only_site(struct crediting *c)
{
	struct sites sites = { .n = 0 };
	int err = hub_each_site(&c->batch->state, c->customer.row.customer, 0,
	    see_site, &sites);

	if (err != 0)
		return err;
	if (sites.n > 1)
		return decide_refuse_field(c->command, "license",
		    ERR_BAD_REQUEST, "leasehold hub license list",
		    "customer %s has %u sites: name the license, whose site is "
		    "told",
		    c->asked->customer_crm_id, sites.n);
	c->site = sites.last;
	return 0;
}

/* --- may it be given ------------------------------------------------------------- */

/* The same again is the same; another one of that id is none. */
static int
check_same(struct crediting *c)
{
	const struct billing_credit_add *asked = c->asked;
	const struct row_credit *same = &c->same;
	uint64_t number;

	if (!c->known) {
		int err = hub_name(&number, &c->batch->state, HUB_NAME_CREDIT,
		    asked->credit_id);

		if (err == ERR_NOT_FOUND_INTERNAL)
			return 0;
		if (err != 0)
			return err;
	} else if (strcmp(same->license_id, asked->license) == 0 &&
	    same->first == c->request->first && same->amount == asked->amount &&
	    strcmp(same->currency, asked->currency) == 0 &&
	    same->reason == asked->reason &&
	    strcmp(same->evidence, asked->evidence) == 0)
		return 0;
	return decide_refuse_field(c->command, "credit_id", ERR_CONFLICT,
	    "give this one another id", "credit %s was given, and is another",
	    asked->credit_id);
}

static int
check_month(struct crediting *c)
{
	const int64_t today = c->batch->place.time / DAY_MS;

	if (c->request->last < today) {
		char day[CLOCK_TEXT_SIZE];
		char hint[64];

		clock_format_date(day, (int32_t)today);
		snprintf(hint, sizeof hint, "--period %.7s", day);
		return decide_refuse_field(c->command, "period", ERR_CONFLICT,
		    hint,
		    "%s is over, and its invoice does not change: a credit "
		    "stands in a later one",
		    c->asked->period);
	}
	if (c->n >= HUB_CREDITS_MONTH_MAX)
		return decide_refuse_field(c->command, "period",
		    ERR_QUOTA_EXCEEDED, "", "%s has %u credits already",
		    c->asked->period, c->n);
	return 0;
}

static int
refuse_amount(struct crediting *c, int64_t owed, int64_t credited,
    const char *whose)
{
	const char *currency = c->asked->currency;
	char amount[32], all[32], gone[32];

	money_format(amount, c->asked->amount, currency);
	money_format(all, owed, currency);
	money_format(gone, credited, currency);
	return decide_refuse_field(c->command, "amount", ERR_CONFLICT,
	    "leasehold billing statement PERIOD --customer ID",
	    "over-credited: %s %s is owed for %s so far (%s), and %s is "
	    "credited: %s more is too much",
	    all, currency, c->asked->period, whose, gone, amount);
}

static int
check_amount(struct crediting *c)
{
	const struct hub_credit *request = c->request;
	const int64_t amount = c->asked->amount;
	const bool one = c->asked->license[0] != '\0';

	if (amount <= 0)
		return decide_refuse_field(c->command, "amount",
		    ERR_BAD_REQUEST, "", "a credit is above 0");
	if (request->currency[0] != '\0' &&
	    strcmp(request->currency, c->asked->currency) != 0)
		return decide_refuse_field(c->command, "currency",
		    ERR_BAD_REQUEST, "credit in the currency of the license",
		    "what customer %s owes is in %s, not in %s",
		    c->asked->customer_crm_id, request->currency,
		    c->asked->currency);
	int64_t credited = c->credited_license;

	if (request->alone)
		credited += c->credited_all;
	if (one && amount > request->owed_license - credited)
		return refuse_amount(c, request->owed_license, credited,
		    c->asked->license);
	if (!request->alone && amount > request->owed - c->credited)
		return refuse_amount(c, request->owed, c->credited,
		    "all licenses");
	return 0;
}

static int
check(struct crediting *c)
{
	int err = check_words(c);

	if (err == 0 && c->command->err == 0)
		err = hub_find_customer(&c->customer, c->batch, c->command,
		    c->asked->customer_crm_id);
	if (err == 0 && c->command->err == 0)
		err = state_each_credit(&c->batch->state,
		    c->customer.row.customer, see_credit, c);
	if (err == 0 && c->command->err == 0)
		err = check_same(c);
	if (err != 0 || c->command->err != 0 || c->known)
		return err;
	err = check_month(c);
	if (err == 0 && c->command->err == 0)
		err = c->asked->license[0] != '\0' ? find_site_of_license(c)
						   : find_only_site(c);
	return err == 0 && c->command->err == 0 ? check_amount(c) : err;
}

/* --- giving it -------------------------------------------------------------------- */

static int
emit(struct crediting *c)
{
	const struct billing_credit_add *asked = c->asked;
	struct hub_account account;
	int err = hub_account(&account, &c->batch->state);
	struct row *row =
	    err == 0 ? batch_row(c->batch, ROW_CREDIT_ADDED) : NULL;

	if (row == NULL)
		return err != 0 ? err : ERR_NOMEM;
	struct row_credit *r = &row->u.credit;

	r->number =
	    hub_next(account.credits, account.credited_at, &c->batch->state);
	r->customer = c->customer.row.customer;
	r->site = c->site;
	r->first = c->request->first;
	r->last = c->request->last;
	r->amount = asked->amount;
	r->reason = asked->reason;
	r->at = c->batch->place.time;
	r->by = decide_actor(&c->command->who);
	text_copy(r->id, sizeof r->id, asked->credit_id);
	text_copy(r->license_id, sizeof r->license_id, asked->license);
	text_copy(r->currency, sizeof r->currency, asked->currency);
	text_copy(r->evidence, sizeof r->evidence, asked->evidence);
	c->same = *r;
	return batch_emit(c->batch);
}

int
decide_hub_credit(struct batch *batch, struct command *command)
{
	struct crediting *c = arena_alloc(&command->arena, sizeof *c);
	struct billing_credit_view *reply = hub_reply(command, sizeof *reply);

	if (c == NULL || reply == NULL)
		return ERR_NOMEM;
	memset(c, 0, sizeof *c);
	c->batch = batch;
	c->command = command;
	c->request = command->request;
	c->asked = &c->request->asked;
	int err = check(c);

	if (err == 0 && command->err == 0 && !c->known)
		err = emit(c);
	return err != 0 || command->err != 0
	    ? err
	    : hub_view_credit(reply, &batch->state, &c->same, &command->arena);
}
