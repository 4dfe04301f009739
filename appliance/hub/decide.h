/*
 * What the deciding files of this room share. It must not be included from
 * anywhere else.
 */
#ifndef APPLIANCE_HUB_DECIDE_H
#define APPLIANCE_HUB_DECIDE_H

#include "appliance/hub/hub.h"

/** The command's reply, zeroed, in its arena; NULL: no memory. */
void *hub_reply(struct command *command, size_t size);

/** By its id in the CRM. Refuses where there is none. */
int hub_find_customer(struct hub_customer *out, struct batch *batch,
    struct command *command, const char *crm_account_id);
/** contact.c. ERR_NOT_FOUND_INTERNAL: it has none, or it was forgotten. Personal:
 * the caller wipes it. */
int hub_contact(struct customer_contact *out, const struct state *state,
    const struct sealed_keys *keys, const struct hub_customer *customer);
/** Where its tenant is; "": nobody said it. */
int hub_tenant_url(char out[160], const struct ledger *ledger,
    const struct state *state, const struct hub_customer *customer);
/** Into its row: a document of its own, or none where nothing is in it. */
int hub_contact_seal(struct row_customer *r, struct batch *batch,
    const struct customer_contact *contact,
    const uint8_t entropy[SEALED_ENTROPY]);
int hub_contact_forget(struct batch *batch,
    const struct hub_customer *customer);
/** Journal a customer as it is from now on. */
int hub_emit_customer(struct batch *batch, enum row_kind kind,
    const struct row_customer *r);
/** Refuses what is no address; "" is none, and good. */
int hub_check_email(struct command *command, const char *email,
    const char *field);
/** A new customer with its contact; its number. */
int hub_add_customer(uint64_t *number, struct batch *batch,
    struct command *command, const struct customer_add *asked);
/** By its id. Refuses where there is none. */
int hub_find_order(struct hub_order *out, struct batch *batch,
    struct command *command, const char *license_id);

/** That key's word, now; refuses where none is in force. */
int hub_find_issuer(struct row_account_issuer *out, struct batch *batch,
    struct command *command);
/**
 * Sign and journal the next serial of an order, for that site, with that
 * contract; `order` is then as folded. May refuse.
 */
int hub_issue(struct hub_order *order, struct batch *batch,
    struct command *command, uint64_t site,
    const struct license_contract *contract);
/** A site's activation request; signed with the key that it names. May refuse. */
int hub_read_request(struct license_request *out, struct command *command,
    const struct record_span *token);
/** The site that an order is for: that of this id, or ("") the one that fits;
 * 0: none is known yet. Refuses an id that is not the customer's. */
int hub_choose_site(uint64_t *site, struct batch *batch,
    struct command *command, const struct hub_order *order, const char *id);

/** In credit_tokens.c: those of the site, signed, for its receipt; of very many
 * the newest, and older ones in turns. Bytes live in the command's arena. */
int hub_credit_tokens(struct record_list *out, struct batch *batch,
    struct command *command, const struct hub_site *site);

/** view.c: as it is told of. */
int hub_view_order(struct hub_license_view *out, const struct state *state,
    const struct hub_order *order, int64_t now_ms, struct arena *arena);
int hub_view_site(struct hub_site_view *out, const struct state *state,
    const struct hub_site *site, struct arena *arena);
void hub_view_customer(struct customer_view *out,
    const struct hub_customer *customer);
int hub_view_contact(struct customer_view *out, const struct ledger *ledger,
    const struct state *state, const struct hub_customer *customer);
int hub_view_key(struct hub_key_view *out, const struct state *state,
    struct arena *arena);
int hub_view_credit(struct billing_credit_view *out, const struct state *state,
    const struct row_credit *credit, struct arena *arena);
uint32_t hub_status(const struct hub_order *order, int64_t now_ms);
/** "CUST-00001". */
void hub_customer_id(char out[32], uint64_t customer);

#endif
