/* Reports and files of sync by strangers, and by a site that signs whatever it
 * likes: refused by name or taken, never worse, and what is taken adds up. The
 * first byte picks what is tried. */
#include "tests/fuzz/fuzz.h"

#include "shared/report/credit.h"
#include "shared/report/line.h"
#include "tests/unit/report_world.h"

#include <sodium.h>

static void
sign(struct report_world *world, const uint8_t *body, size_t size)
{
	struct report *report = &world->report;

	report->body_bytes = (uint32_t)size;
	crypto_generichash(report->body_digest, 32, body, size, NULL, 0);
	buf_clear(&world->token);
	fuzz_must(license_document_sign(&world->token, &report_record, report,
		      TOKEN_REPORT, world->maker->secret) == 0);
}

/* Whatever was taken: its numbers go on, and its seats are those of its rows. */
static void
look_at_finding(const struct report_world *world)
{
	const struct report_finding *found = &world->finding;
	uint64_t seats = 0;

	fuzz_must(found->answer < REPORT_ANSWERS);
	for (uint32_t i = 0; i < found->n_overage; i++)
		seats += found->overage[i].again ? 0 : found->overage[i].count;
	fuzz_must(seats == found->seats);
	if (found->answer == REPORT_TAKEN)
		fuzz_must(found->mark.sequence == found->report.sequence);
}

static void
verify(struct report_world *world, const uint8_t *body, size_t size)
{
	struct report_known known = {
		.site = "site-test",
		.tenant = "default",
		.vendor = "vector",
		.mark = world->hub.mark,
		.ctx = &world->hub,
		.overage = hub_overage,
		.installed = hub_installed,
		.counted = hub_counted,
	};

	known.keys = site_keys_one(world->site_key);
	fuzz_must(report_verify(&world->finding, &known,
		      (const char *)world->token.data, world->token.len, body,
		      size, &world->arena) == 0);
	look_at_finding(world);
}

/* A true body with bytes changed here and there, signed again. */
static void
bend(struct report_world *world, struct fuzz_input *input)
{
	while (input->size >= 3) {
		size_t at = (size_t)fuzz_byte(input) << 8;

		at |= fuzz_byte(input);
		world->body.data[at % world->body.len] = fuzz_byte(input);
	}
	sign(world, world->body.data, world->body.len);
	verify(world, world->body.data, world->body.len);
}

static void
open_box(struct report_world *world, struct fuzz_input *input, bool sealed)
{
	const uint8_t *secret = world->maker->secret;
	struct buf file = { .data = NULL }, clear = { .data = NULL };
	struct sync_box box;
	int err;

	if (sealed) {
		uint8_t key[32];
		size_t size = input->size + crypto_box_SEALBYTES;

		buf_add_str(&file, "leasehold-sync-1\n");
		buf_add(&file, world->site_key, 32);
		buf_add_be32(&file, (uint32_t)size);
		fuzz_must(crypto_sign_ed25519_pk_to_curve25519(key,
			      world->site_key) == 0);
		fuzz_must(crypto_box_seal(buf_extend(&file, size), input->data,
			      input->size, key) == 0);
	} else
		buf_add(&file, input->data, input->size);
	err = sync_box_open(&box, &clear, file.data, file.len, world->site_key,
	    secret, &world->arena);
	fuzz_must(err <= 0);
	if (err == 0)
		fuzz_must(record_check(&sync_box_record, &box, NULL) == 0);
	buf_release(&file);
	buf_release(&clear);
}

/* The word for a certificate: as it came, and signed by the site, whatever it
 * says. What is verified has been readable before. */
static void
peek_line(struct report_world *world, struct fuzz_input *input)
{
	const char *text = (const char *)input->data;
	struct report_line line, again;
	struct buf token = { .data = NULL };
	int err = report_line_peek(&line, text, input->size);

	fuzz_must(err <= 0);
	if (report_line_verify(&again, text, input->size, world->site_key) == 0)
		fuzz_must(err == 0 && memcmp(&line, &again, sizeof line) == 0);
	if (token_sign(&token, TOKEN_LINE, input->data, input->size,
		world->maker->secret) == 0) {
		text = (const char *)token.data;
		err = report_line_peek(&line, text, token.len);
		if (err == 0)
			fuzz_must(record_check(&report_line_record, &line,
				      NULL) == 0);
		if (report_line_verify(&again, text, token.len,
			world->site_key) == 0)
			fuzz_must(err == 0 &&
			    memcmp(&line, &again, sizeof line) == 0);
	}
	buf_release(&token);
}

/* A credit note that says whatever it likes, signed. */
static void
take_credit(struct report_world *world, struct fuzz_input *input)
{
	struct report_credit credit;
	struct buf token = { .data = NULL };

	if (token_sign(&token, TOKEN_CREDIT, input->data, input->size,
		world->maker->secret) == 0 &&
	    report_credit_verify(&credit, (const char *)token.data, token.len,
		world->site_key, "site-test", "default", "vector", NULL) == 0)
		fuzz_must(credit.credit.amount > 0 &&
		    record_check(&report_credit_record, &credit, NULL) == 0);
	buf_release(&token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct report_world *world;

	if (sodium_init() < 0)
		abort();
	world = report_world_new(1);
	for (uint64_t i = 1; i <= 3; i++)
		world_commit(world, world_grant(i, i % 2 + 1, (i + 1) / 2));
	fuzz_must(world_report_as(world, "vector") == 0);
	switch (fuzz_byte(&input) % 7) {
	case 0:
		bend(world, &input);
		break;
	case 1:
		if (input.size > 0) {
			sign(world, input.data, input.size);
			verify(world, input.data, input.size);
		}
		break;
	case 2:
		open_box(world, &input, true);
		break;
	case 3:
		open_box(world, &input, false);
		break;
	case 4:
		peek_line(world, &input);
		break;
	case 5:
		take_credit(world, &input);
		break;
	default:
		(void)report_peek(&world->report, (const char *)input.data,
		    input.size);
	}
	report_world_release(world);
	return 0;
}
