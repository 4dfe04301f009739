/* A customer's contact: whom to write to, in a sealed document beside its row,
 * so that it can be forgotten (sealed.h). */
#include "appliance/hub/decide.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

int
hub_contact(struct customer_contact *out, const struct state *state,
    const struct sealed_keys *keys, const struct hub_customer *customer)
{
	const uint8_t *id = customer->row.document;
	struct arena arena = { .chunks = NULL };

	memset(out, 0, sizeof *out);
	if (sodium_is_zero(id, sizeof customer->row.document))
		return ERR_NOT_FOUND_INTERNAL;
	struct sealed *sealed = sodium_malloc(sizeof *sealed);

	if (sealed == NULL)
		return ERR_NOMEM;
	int err = sealed_get(sealed, state, keys, SEALED_CUSTOMER, id);

	if (err == 0)
		err = record_read_msgpack(out, &customer_contact_record,
		    sealed->data, sealed->len, NULL, &arena, NULL);
	sodium_free(sealed);
	arena_release(&arena);
	return err == ERR_BAD_REQUEST ? ERR_CORRUPT : err;
}

int
hub_tenant_url(char out[160], const struct ledger *ledger,
    const struct state *state, const struct hub_customer *customer)
{
	struct customer_contact contact;
	int err = hub_contact(&contact, state, ledger->sealed, customer);

	out[0] = '\0';
	if (err == 0)
		memcpy(out, contact.tenant_url, sizeof contact.tenant_url);
	sodium_memzero(&contact, sizeof contact);
	/* It may have been forgotten since this snapshot's row. */
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
hub_contact_seal(struct row_customer *r, struct batch *batch,
    const struct customer_contact *contact,
    const uint8_t entropy[SEALED_ENTROPY])
{
	struct buf bytes = { 0 };

	memset(r->document, 0, sizeof r->document);
	memset(r->commitment, 0, sizeof r->commitment);
	if (contact->email[0] == '\0' && contact->name[0] == '\0' &&
	    contact->tax_id[0] == '\0' && contact->tenant_url[0] == '\0')
		return 0;
	record_write_msgpack(&bytes, &customer_contact_record, contact);
	int err = bytes.failed
	    ? ERR_NOMEM
	    : sealed_put(r->document, r->commitment, &batch->state,
		  batch->ledger->sealed, SEALED_CUSTOMER, bytes.data, bytes.len,
		  entropy);

	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.len);
	buf_release(&bytes);
	return err;
}

int
hub_contact_forget(struct batch *batch, const struct hub_customer *customer)
{
	if (sodium_is_zero(customer->row.document,
		sizeof customer->row.document))
		return 0;
	int err = sealed_delete(&batch->state, customer->row.document);

	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
hub_emit_customer(struct batch *batch, enum row_kind kind,
    const struct row_customer *r)
{
	struct row *row = batch_row(batch, kind);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.customer = *r;
	return batch_emit(batch);
}
