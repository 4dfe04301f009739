/*
 * Telling a customer by mail that his license is ready: when it is committed,
 * and before the answer goes out, which says whether the mail server took it.
 * Nothing of it is kept: who hears that nobody was told asks again. It must not
 * know what provisioning is.
 */
#include "appliance/ledger/inside.h"
#include "appliance/ledger/people.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define MAIL_ID_BYTES 16

/* The same for the same words about the same license: whoever gets it twice,
 * because an answer was lost, can tell. */
static void
write_id(char out[2 * MAIL_ID_BYTES + 1], const struct call *call)
{
	const struct hub_provision *asked = call->request;
	const struct hub_provisioned *reply = call->reply;
	const char *parts[] = { call->tenant->name, asked->license_id,
		asked->notification.email, asked->notification.message };
	uint8_t hash[MAIL_ID_BYTES], at[8];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		crypto_generichash_update(&state, (const uint8_t *)parts[i],
		    strlen(parts[i]) + 1);
	be64_write(at, (uint64_t)reply->provisioned_at);
	crypto_generichash_update(&state, at, sizeof(at));
	crypto_generichash_final(&state, hash, sizeof(hash));
	text_to_hex(out, hash, sizeof(hash));
}

static void
write_body(struct buf *out, const struct call *call)
{
	const struct hub_provision *asked = call->request;
	const struct hub_provisioned *reply = call->reply;

	if (asked->notification.message[0] != '\0')
		buf_printf(out, "%s\n\n", asked->notification.message);
	buf_printf(out, "License: %s\nStatus:  %s\n", asked->license_id,
	    hub_status_names[reply->status]);
	if (reply->tenant_url[0] != '\0')
		buf_printf(out, "Tenant:  %s\n", reply->tenant_url);
	buf_add_str(out,
	    reply->status == HUB_STATUS_AWAITING_SITE
		? "\nIt is issued when your vendor has the request of your "
		  "site:\n\n    leasehold site request\n"
		: "\nYour vendor gives you its file; on your site:\n\n    "
		  "leasehold license install FILE\n");
}

static void
was_told(void *ctx, int err, const uint8_t *payload, size_t len)
{
	struct call *call = ctx;
	struct hub_provisioned *reply = call->reply;
	struct courier_posted posted;

	if (err == 0)
		err = courier_posted_read(&posted, payload, len);
	reply->customer_notified =
	    err == 0 && posted.outcome == COURIER_DELIVERED;
	if (!reply->customer_notified)
		log_warn("hub",
		    "account %s: the mail about a license did not go out: %s",
		    call->tenant->name, err != 0 ? err_str(err) : posted.error);
	command_finish(call);
}

static int
send_mail(struct call *call)
{
	const struct hub_provision *asked = call->request;
	struct courier_address to = { .address = "" };
	struct courier_mail mail = { .to = { &to, 1 },
		.date = process_now(call->process) };
	struct buf body = { .max = COURIER_BODY_MAX }, payload = { 0 };

	text_copy(to.address, sizeof(to.address), asked->notification.email);
	write_id(mail.id, call);
	snprintf(mail.subject, sizeof(mail.subject), "License %s",
	    asked->license_id);
	write_body(&body, call);
	mail.body = (struct record_span){ body.data, (uint32_t)body.len };
	record_write_msgpack(&payload, &courier_mail_record, &mail);
	int err = body.failed || payload.failed
	    ? ERR_NOMEM
	    : outward_send(call->process->people->outward, COURIER_MAIL,
		  payload.data, payload.len, was_told, call);

	sodium_memzero(&to, sizeof(to));
	buf_release(&body);
	buf_release(&payload);
	return err;
}

static void
finish_provision(struct call *call)
{
	const struct command *command = &call->write.command;

	if (command->err == 0)
		call->reply = arena_copy(&call->arena, command->said,
		    sizeof(struct hub_provisioned));
	/* Issued it is; that nobody was told is what the answer says then. */
	if (command->err != 0 || call->reply == NULL)
		command_finish(call);
	else if (send_mail(call) != 0)
		was_told(call, ERR_UNAVAILABLE, NULL, 0);
}

void
hub_provision_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct hub_provision *asked = call->request;

	call->finish = command_finish;
	if (asked->notification.email[0] != '\0') {
		/* The answer that is kept for a repeat is the whole one. */
		call->write.command.again = NULL;
		call->finish = finish_provision;
	}
	call_commit(call);
}
