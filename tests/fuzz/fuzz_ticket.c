/*
 * What a hostile keeper answers when a seat is borrowed. The input is the JSON
 * of an answer, or edits of a true one: parts, numbers and proof. Whatever is
 * still believed says exactly what the true one says. First byte: 0 JSON, else
 * edits of four bytes: which part, where in it (two bytes), and the byte.
 */
#include "tests/fuzz/fuzz.h"

#include "agent/lib/leasehold.h"
#include "agent/lib/verify.h"
#include "shared/record/record_json.h"
#include "tests/unit/lib_ticket.h"

#define PARTS 5
#define NUMBERS 8

struct truth {
	struct chain chain;
	struct chain_device device;
	struct verify_question question;
	struct local_checkout_reply ticket;
	struct verify_lease lease;
	struct verify_borrow borrow;
};

static struct truth *truth;

static void
make_truth(void)
{
	struct local_checkout ask = { .product = "tool",
		.version = "8.1.0",
		.count = 3 };
	char why[VERIFY_WHY];

	truth = calloc(1, sizeof(*truth));
	fuzz_must(truth != NULL && sodium_init() >= 0);
	chain_open(&truth->chain);
	chain_may_lend(&truth->chain);
	chain_device_tpm(&truth->device, PROOF_TPM);
	memset(truth->question.nonce, 7, NONCE_BYTES);
	memcpy(truth->question.root, truth->chain.root.public_key, 32);
	memcpy(truth->question.product, "tool", 5);
	memcpy(truth->question.version, "8.1.0", 6);
	truth->question.count = 2;
	chain_lend(&truth->chain, &truth->device, &ask, 0, TICKET_DAY_S);
	chain_commit(&truth->chain);
	chain_ticket(&truth->ticket, &truth->chain, &truth->device,
	    truth->question.nonce);
	fuzz_must(verify_ticket(&truth->lease, &truth->borrow, &truth->ticket,
		      &truth->question, truth->chain.time, why) == LH_OK);
}

/* Of what an application goes by nothing may have moved. */
static void
must_be_true(const struct local_checkout_reply *reply,
    const struct verify_lease *lease, const struct verify_borrow *borrow)
{
	const struct local_checkout_reply *ticket = &truth->ticket;

	fuzz_must(lease->lease == truth->lease.lease &&
	    lease->type == truth->lease.type && lease->count == 2 &&
	    lease->ttl_s == truth->lease.ttl_s && lease->grace_s == 0);
	fuzz_must(memcmp(lease->site_key, truth->lease.site_key, 32) == 0);
	fuzz_must(memcmp(lease->head, truth->lease.head, 32) == 0);
	fuzz_must(borrow->device == truth->borrow.device &&
	    borrow->until == truth->borrow.until &&
	    borrow->left_ms == truth->borrow.left_ms &&
	    borrow->clock_ms == truth->borrow.clock_ms &&
	    borrow->resets == truth->borrow.resets);
	fuzz_must(reply->row_number == ticket->row_number &&
	    reply->row.len == ticket->row.len &&
	    memcmp(reply->row.data, ticket->row.data, ticket->row.len) == 0);
	/* A signature has one form. */
	fuzz_must(reply->proof.counter == ticket->proof.counter &&
	    reply->proof.restarts == ticket->proof.restarts &&
	    reply->proof.clock_unsafe == ticket->proof.clock_unsafe &&
	    memcmp(reply->proof.signature, ticket->proof.signature, 64) == 0 &&
	    memcmp(reply->proof.firmware, ticket->proof.firmware, 8) == 0);
}

static void
try_reply(const struct local_checkout_reply *reply)
{
	struct verify_borrow borrow;
	struct verify_lease lease;
	char why[VERIFY_WHY];

	(void)verify_is_ticket(reply);
	if (verify_ticket(&lease, &borrow, reply, &truth->question,
		truth->chain.time, why) == LH_OK) {
		must_be_true(reply, &lease, &borrow);
		fuzz_must(verify_ticket_goes_on(&lease, &borrow, &truth->lease,
			      &truth->borrow, why) == LH_OK);
	} else {
		fuzz_must(
		    memchr(why, '\0', sizeof(why)) != NULL && why[0] != '\0');
	}
	/* Never a lease of the site's. */
	fuzz_must(verify_grant(&lease, reply, &truth->question, why) != LH_OK);
}

/* --- edits ---------------------------------------------------------------- */

struct edited {
	struct local_checkout_reply reply;
	uint8_t *data[PARTS];
	size_t len[PARTS];
};

static struct record_span *
part(struct edited *edited, size_t i)
{
	struct record_span *const parts[PARTS] = { &edited->reply.row,
		&edited->reply.path, &edited->reply.header,
		&edited->reply.issuer, &edited->reply.license };

	return parts[i];
}

static void
change_number(struct local_checkout_reply *reply, size_t which, size_t at,
    uint8_t value)
{
	uint64_t bits = (uint64_t)value << (at % 57);
	uint64_t *const numbers[NUMBERS] = { &reply->lease, &reply->row_number,
		&reply->device, &reply->proof.counter, &reply->proof.clock_ms,
		&reply->proof.resets, &reply->proof.sequence,
		&reply->proof.restarts };

	*numbers[which % NUMBERS] ^= bits;
}

static void
edit(struct edited *edited, struct fuzz_input *input)
{
	uint8_t which = fuzz_byte(input);
	size_t at = (size_t)fuzz_byte(input) << 8;
	uint8_t value;
	size_t i = which % PARTS;

	at |= fuzz_byte(input);
	value = fuzz_byte(input);
	if (which >= 200)
		edited->reply.proof.signature[at % 64] ^= value;
	else if (which >= 190)
		edited->reply.proof.firmware[at % 8] ^= value;
	else if (which >= 185)
		edited->reply.proof.clock_unsafe ^= value & 1;
	else if (which >= 180)
		edited->reply.proof.class_ = value % 5;
	else if (which >= 140)
		change_number(&edited->reply, which, at, value);
	else if (which >= 120)
		edited->len[i] = edited->len[i] > at ? at : edited->len[i];
	else if (edited->len[i] > 0)
		edited->data[i][at % edited->len[i]] ^= value;
}

static void
try_edits(struct fuzz_input *input)
{
	struct edited edited = { .reply = truth->ticket };

	for (size_t i = 0; i < PARTS; i++) {
		const struct record_span *span = part(&edited, i);

		edited.len[i] = span->len;
		edited.data[i] = malloc(span->len + 1u);
		fuzz_must(edited.data[i] != NULL);
		memcpy(edited.data[i], span->data, span->len);
	}
	while (input->size >= 4)
		edit(&edited, input);
	for (size_t i = 0; i < PARTS; i++)
		*part(&edited, i) = (struct record_span){ edited.data[i],
			(uint32_t)edited.len[i] };
	try_reply(&edited.reply);
	for (size_t i = 0; i < PARTS; i++)
		free(edited.data[i]);
}

/* --- from the socket ------------------------------------------------------ */

static void
try_json(struct fuzz_input *input)
{
	struct arena arena = { .max_bytes = (size_t)256 << 10 };
	struct local_renew_reply renewed;
	struct local_checkout_reply reply;
	struct record_error error;
	char *text = malloc(input->size + 1);

	fuzz_must(text != NULL);
	memcpy(text, input->data, input->size);
	text[input->size] = '\0';
	if (record_read_json(&reply, &local_checkout_reply_record, text,
		input->size, &arena, &error) == 0)
		try_reply(&reply);
	if (record_read_json(&renewed, &local_renew_reply_record, text,
		input->size, &arena, &error) == 0)
		try_reply(&renewed.ticket);
	arena_release(&arena);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };

	if (truth == NULL)
		make_truth();
	if (fuzz_byte(&input) == 0)
		try_json(&input);
	else
		try_edits(&input);
	return 0;
}
