/*
 * What a hub's ledger adds (DESIGN 1, 12, 13). A hub is the same daemon with
 * `[site] role = hub`; a tenant there is a vendor's account, and its customers,
 * what was ordered for them, the sites that it is for, what was issued, and the
 * reports of those sites are rows and tables of the account's ledger. So one
 * account never sees another's: each has its store, its keys, its journal.
 *
 * This room is of the ledger's core: decide_hub_* and fold_hub_* are entries of
 * its two tables (decide.c, fold.c) and use core.h; state_* here are values of
 * the HUB tables of store.h, each the record of its row and what followed. It
 * must not know sockets, sessions, threads or clocks: time and random bytes
 * come in the command, so that the same commands give the same rows and the
 * same signatures (Ed25519 is deterministic). The network is the courier's,
 * what a statement costs is appliance/billing's, what was used is
 * appliance/metering's, the form of reports, receipts and changes
 * shared/report's.
 *
 * Which operations there are: operation_place() in operations.h says of each
 * whether it is of a site, of a hub, or of both. What is of the other is
 * refused, with words, before its request is read.
 *
 * The issuing key is made here (decide_hub_key_make) of the command's random
 * bytes and never leaves: its secret is a sealed document (sealed.h,
 * SEALED_ISSUER) under the account's key, opened for one signature at a time.
 * The vendor's root vouches for it offline: `leasehold hub key` prints the
 * public half, `leasehold-vendor issuer DIR --key K` signs it, `leasehold hub
 * key install FILE` brings the word back. Another key may be made any time; the
 * one before signs until the new one is vouched for.
 *
 *   order      one per CRM opportunity: the same body again is the same answer,
 *              another one is `conflict`
 *   site       the site's own activation request says which key a license is
 *              for; until it is here an order is `awaiting_site`
 *   issue      order + site + issuing key -> license token, serial 1; renewals
 *              count on. The package is the file `leasehold license install`
 *              takes; it pins the vendor's root key
 *   revision   renew, suspend, resume, cancel: a row each; a signed
 *              license_change goes to the site with its next receipt
 *
 *   register a customer that waits for a TXT record at its domain, which the
 *              courier looks for; its token is made of the account's key, and
 *              kept nowhere
 *
 *   credit     a credit note: it stands in the statement of a month that is
 *              not over, and goes to the site with its next receipt
 *
 *   reissue  a site whose box was lost goes on in another, with another key to
 *              which the known one leads (shared/license/succession.h): an
 *              admin confirms it, the old key is retired, what is in force is
 *              issued anew
 *
 *   crm      what of all this a CRM is told (crm.h)
 *
 *   person   whose contact somebody is, for an export; and taken out when he is
 *              erased (person.h)
 *
 * Rows (shared/journal/rows_hub.h):
 *   130 account.key          131 account.issuer
 *   132 customer.added       133 customer.changed
 *   134 license.ordered      135 site.bound
 *   136 license.issued       137 license.revised
 *   138 license.released     139 report.taken
 *   145 credit.added
 *   148 invoice.made         149 invoice.again (these two: invoice.h)
 *   156 image.added             157 image.removed
 *   158 site.measured (these three: measured.h)
 *   162 site.reissued           163 license.expired (expire.h)
 *   165 license.found (lost.c)
 * Tables (all of the logical dump): hub_account, hub_customers, hub_names,
 * hub_orders, hub_issued, hub_revised, hub_sites,
 * hub_images, hub_measured.
 *
 * For sync: hub_site_by_id() finds whose site a report is of and where its last
 * one ended, hub_sign() signs a receipt in a decision, hub_each_revision() gives
 * the changes of a license; changes.c chooses of them.
 */
#ifndef APPLIANCE_HUB_HUB_H
#define APPLIANCE_HUB_HUB_H

#include "appliance/hub/expire.h"
#include "appliance/hub/renew.h"
#include "appliance/ledger/core.h"

/** Most orders of one customer that a site's arrival issues at once; the rest
 * are issued when they are asked for. */
#define HUB_ISSUE_ONCE 32
/** Days that a registration may wait for its record in the DNS. */
#define HUB_REGISTER_DAYS 7
/** Days before its contract's end that a license renews by itself. */
#define HUB_RENEW_DAYS 30
/** Numbers that leave the hub jump to behind the next so many when its store was
 * put back: hub_next(). */
#define HUB_SKIP UINT64_C(1000)

/* --- state: state.c ------------------------------------------------------- */

/** Keys are kept, also those that issue no more: what they signed names them. */
struct hub_account {
	uint64_t keys; /* number of the newest; 0: there is none */
	/** That issues: the newest that is vouched for; 0: none is. */
	uint64_t issuing;
	uint64_t credits; /* number of the last one */
	int64_t credited_at; /* then */
};

struct hub_customer {
	struct row_customer row;
	int64_t added_at, changed_at;
	uint64_t orders; /* so many it has */
};

struct hub_site {
	struct row_site_bound row;
	int64_t at;
	/* Of the last report taken, as its report_mark; sequence 0: none was. */
	uint64_t sequence;
	uint64_t batch;
	uint8_t head[32];
	uint8_t history[32];
	uint32_t generation;
	int64_t time; /* of the batch */
	uint64_t overage;
	int64_t reported_at;
};

enum hub_order_state {
	HUB_ORDERED, /* waits to be released */
	HUB_AWAITING_SITE, /* released; its site is not known, or no key */
	HUB_ISSUED,
	HUB_SUSPENDED,
	HUB_CANCELLED,
};
struct hub_order {
	struct row_license_ordered row;
	int64_t at;
	uint32_t state; /* enum hub_order_state */
	uint64_t serial; /* in force; 0: none */
	uint64_t site;
	uint64_t revision; /* the last one */
	struct license_contract contract; /* of the serial in force */
	int64_t issued_at; /* the first one */
	int64_t changed_at;
	int64_t revised_at; /* the last revision; 0: none */
};

extern const struct record hub_account_record, hub_customer_record,
    hub_site_record, hub_order_record;

/* Readers: 0, ERR_NOT_FOUND_INTERNAL, ERR_CORRUPT or a fault. Lists and spans
 * are borrowed from the transaction or live in the arena. */
int hub_account(struct hub_account *out, const struct state *state);
int hub_key(struct row_account_key *out, const struct state *state,
    uint64_t key, struct arena *arena);
int hub_issuer(struct row_account_issuer *out, const struct state *state,
    uint64_t key, struct arena *arena);
int hub_customer(struct hub_customer *out, const struct state *state,
    uint64_t customer, struct arena *arena);
int hub_site(struct hub_site *out, const struct state *state, uint64_t site,
    struct arena *arena);
int hub_order(struct hub_order *out, const struct state *state, uint64_t order,
    struct arena *arena);
int hub_issued(struct row_license_issued *out, const struct state *state,
    uint64_t order, uint64_t serial, struct arena *arena);
int hub_revision(struct row_license_revised *out, const struct state *state,
    uint64_t order, uint64_t revision, struct arena *arena);

/** By what people and programs call them. */
enum hub_name {
	HUB_NAME_CRM = 'a', /* customer by crm_account_id */
	HUB_NAME_TENANT = 't', /* customer by tenant_id */
	HUB_NAME_OPPORTUNITY = 'o', /* order */
	HUB_NAME_LICENSE = 'l', /* order by license_id */
	HUB_NAME_SERIES = 'y', /* last number of "lic-vector-mercedes-2026" */
	HUB_NAME_CREDIT = 'c', /* credit by its id */
	HUB_NAME_INVOICE = 'i', /* invoice by "CUSTOMER/MONTH", see invoice.h */
	HUB_NAME_SITE = 's', /* site by "SITE/TENANT" */
	/** Last day of the contract that is known to be over, by the number of
	 * the order. */
	HUB_NAME_OVER = 'x',
};
/** Lists of a customer, in the same table. */
#define HUB_LIST_ORDERS 'O'
#define HUB_LIST_SITES 'S'
/** The issuing keys, in the table of the account. */
#define HUB_ACCOUNT_KEY 1
#define HUB_ACCOUNT_ISSUER 2
#define HUB_ACCOUNT_STATE 3
int hub_name(uint64_t *number, const struct state *state, enum hub_name kind,
    const char *name);

/**
 * The number after `last`, which was given at that time, of what others know by
 * it: serials and changes of a license, licenses of a customer's year, credits,
 * invoices, customers. One more, unless the store was put back since: the branch
 * that was abandoned gave the next ones, so they are left out (HUB_SKIP). A clock
 * that was corrected to before that makes it leave out more, never less.
 */
uint64_t hub_next(uint64_t last, int64_t at, const struct state *state);

/** That of the next customer, whose id is made of it. */
int hub_next_customer(uint64_t *number, const struct state *state,
    struct arena *arena);

/** The last number given; 0: none was. */
int hub_last(uint64_t *number, const struct state *state,
    enum store_table table);

/** A value of a table by its number, and the second one unless that is 0. */
int hub_get(void *out, const struct state *state, enum store_table table,
    uint64_t number, uint64_t second, const struct record *record,
    struct arena *arena);

/** Writers: for folding alone. */
int hub_put(struct state *state, enum store_table table, uint64_t number,
    uint64_t second, const struct record *record, const void *value);
int hub_name_put(struct state *state, enum hub_name kind, const char *name,
    uint64_t number);
/** The order or the site is that customer's. */
int hub_list_put(struct state *state, char list, uint64_t customer,
    uint64_t number);

/** Orders (or sites) of a customer, by number from `after` on; stops on
 * non-zero, which is returned. */
int hub_each_order(const struct state *state, uint64_t customer, uint64_t after,
    int (*each)(void *ctx, uint64_t order), void *ctx);
int hub_each_site(const struct state *state, uint64_t customer, uint64_t after,
    int (*each)(void *ctx, uint64_t site), void *ctx);

/** Customers in order of their ids in the CRM; stops on non-zero, likewise. */
int hub_each_customer(const struct state *state,
    int (*each)(void *ctx, uint64_t customer), void *ctx);

/* --- for sync --------------------------------------------------------------- */

/** The site of a report: by its id and tenant. */
int hub_site_by_id(struct hub_site *out, const struct state *state,
    const char *site, const char *tenant, struct arena *arena);
/** Its keys, with those that were retired; the last one is its. */
int hub_site_keys(struct site_keys *keys, const struct hub_site *site);
/** Changes of one license after `after`, in order: those with a token. */
int hub_each_revision(const struct state *state, uint64_t order, uint64_t after,
    int (*each)(void *ctx, const struct row_license_revised *revision),
    void *ctx);
/** What was issued of one license, by serial; non-zero stops, likewise. */
int hub_each_issued(const struct state *state, uint64_t order,
    int (*each)(void *ctx, const struct row_license_issued *issued), void *ctx);
/**
 * Sign a document with the account's issuing key, within a decision or a view;
 * `time`: the key must be vouched for then.
 * @retval ERR_NOT_FOUND_INTERNAL  There is no issuing key that is vouched for.
 * @retval ERR_EXPIRED             It was not valid at that time.
 */
int hub_sign(struct buf *token, const struct ledger *ledger,
    const struct state *state, const struct record *record, const void *value,
    enum token_kind kind, int64_t time);

/* --- fold.c ------------------------------------------------------------------- */

int fold_hub(struct state *state, const struct row *row,
    const struct fold_place *place);
/** Of it, in expire.c. */
int fold_expired(struct state *state, const struct row *row);

/* --- decide ------------------------------------------------------------------- */

int decide_hub_key_make(struct batch *batch, struct command *command);
int decide_hub_key_install(struct batch *batch, struct command *command);
int decide_hub_customer_add(struct batch *batch, struct command *command);
int decide_hub_customer_set(struct batch *batch, struct command *command);
int decide_hub_register(struct batch *batch, struct command *command);
/** The process has looked: the record is there. */
int decide_hub_verify(struct batch *batch, struct command *command);
int decide_hub_site_add(struct batch *batch, struct command *command);
int decide_hub_reissue(struct batch *batch, struct command *command);
int decide_hub_generate(struct batch *batch, struct command *command);
int decide_hub_provision(struct batch *batch, struct command *command);
int decide_hub_revise(struct batch *batch, struct command *command);
int decide_hub_renew(struct batch *batch, struct command *command);

/** The process has looked what is owed: struct hub_credit. */
int decide_hub_credit(struct batch *batch, struct command *command);
int decide_hub_auto_renew(struct batch *batch, struct command *command);
int decide_hub_expire(struct batch *batch, struct command *command);

/* --- contract.c ----------------------------------------------------------------- */

/** Is it in force, goes on by itself, and is its end near? */
bool hub_is_to_renew(const struct hub_order *order, int64_t now_ms);
/** The last day after one more term of the first contract's length; months are
 * counted from its first day. */
int32_t hub_next_end(const struct license_contract *first,
    const struct license_contract *now);

#endif
