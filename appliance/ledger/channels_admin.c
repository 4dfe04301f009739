/* A channel is made: its secret is drawn here, shown once, and kept sealed. */
#include "appliance/courier/post.h"
#include "appliance/ledger/deliver.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SECRET_BYTES 32

static int
refuse_field(struct problem *problem, const char *field, const char *words)
{
	problem_set(problem, ERR_BAD_REQUEST, NULL, "%s %s", field, words);
	text_copy(problem->field, sizeof problem->field, field);
	return ERR_BAD_REQUEST;
}

static int
check_mail(struct problem *problem, const struct channel_add *asked)
{
	const struct channel_address *to = asked->to.items;

	if (asked->to.count == 0)
		return refuse_field(problem, "to",
		    "says who gets it: at least one address");
	for (uint32_t i = 0; i < asked->to.count; i++)
		if (!post_is_address(to[i].address))
			return refuse_field(problem, "to",
			    "is a list of addresses such as ops@plant.example");
	return 0;
}

static bool
is_url(const char *url)
{
	if (strncasecmp(url, "https://", 8) != 0 || url[8] == '\0')
		return false;
	for (; *url != '\0'; url++)
		if (*url <= 0x20 || *url >= 0x7f)
			return false;
	return true;
}

static int
check(struct problem *problem, const struct channel_add *asked, bool hub)
{
	bool webhook = asked->kind == CHANNEL_WEBHOOK;

	if (asked->takes != CHANNEL_ALERTS && !hub)
		return refuse_field(problem, "takes",
		    "is alerts: only a vendor's hub has anything else to send");
	if (asked->takes != CHANNEL_ALERTS && !webhook)
		return refuse_field(problem, "takes",
		    "is alerts, but for a webhook");

	if (!text_is_printable(asked->name, strlen(asked->name)))
		return refuse_field(problem, "name", "is printable text");
	if (webhook && !is_url(asked->url))
		return refuse_field(problem, "url",
		    "is an address that begins with https://");
	if (!webhook && asked->url[0] != '\0')
		return refuse_field(problem, "url", "is of webhooks only");
	if (asked->kind == CHANNEL_MAIL)
		return check_mail(problem, asked);
	return asked->to.count == 0
	    ? 0
	    : refuse_field(problem, "to", "is of mail only");
}

static int
begin_adding(struct call *call)
{
	const struct channel_add *asked = call->request;
	struct command *command = &call->write.command;
	struct ledger_channel_add *add = arena_alloc(&call->arena, sizeof *add);
	struct channel_added *reply = arena_alloc(&call->arena, sizeof *reply);
	struct channel_document document = { .to = asked->to };
	struct buf bytes = { 0 };
	uint8_t random[SECRET_BYTES];

	if (add == NULL || reply == NULL)
		return ERR_NOMEM;
	*reply = (struct channel_added){ .channel = 0 };
	memcpy(document.name, asked->name, sizeof document.name);
	memcpy(document.url, asked->url, sizeof document.url);
	if (asked->kind == CHANNEL_WEBHOOK) {
		randombytes_buf(random, sizeof random);
		memcpy(reply->secret, "whsec_", 6);
		text_to_base64(reply->secret + 6, random, sizeof random);
		sodium_memzero(random, sizeof random);
		memcpy(document.secret, reply->secret, sizeof document.secret);
	}
	record_write_msgpack(&bytes, &channel_document_record, &document);
	sodium_memzero(document.secret, sizeof document.secret);
	add->kind = asked->kind;
	add->least = asked->least;
	add->takes = asked->takes;
	add->document.data = bytes.failed
	    ? NULL
	    : arena_copy(&call->arena, bytes.data, bytes.len);
	add->document.len = (uint32_t)bytes.len;
	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.len);
	buf_release(&bytes);
	call->own = reply;
	call->wipe = reply;
	call->wipe_len = sizeof *reply;
	command->op = LEDGER_CHANNEL_ADD;
	command->request = add;
	return add->document.data != NULL ? 0 : ERR_NOMEM;
}

static void
finish_adding(struct call *call)
{
	struct command *command = &call->write.command;
	struct channel_added *reply = call->own;

	if (command->err == 0) {
		reply->channel = command->reply.channel.channel;
		call->reply = reply;
	} else {
		call->process->counts.refused++;
	}
	call_answer(call);
}

void
channel_add_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	int err = check(&call->write.command.problem, call->request,
	    call->process->options->hub);

	if (err == 0)
		err = begin_adding(call);
	if (err == 0) {
		call->finish = finish_adding;
		call_commit(call);
		return;
	}
	call->write.command.err = err;
	call->process->counts.refused++;
	call_answer(call);
}
