/* Reports and files of sync by strangers, and by a site that signs whatever it
 * likes: refused by name or taken, never worse, and what is taken adds up. The
 * first byte picks what is tried. */
#include "tests/fuzz/fuzz.h"

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

	memcpy(known.site_key, world->site_key, 32);
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
	switch (fuzz_byte(&input) % 5) {
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
	default:
		(void)report_peek(&world->report, (const char *)input.data,
		    input.size);
	}
	report_world_release(world);
	return 0;
}
