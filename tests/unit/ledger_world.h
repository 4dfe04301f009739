/*
 * A site for tests of the ledger's core: keys, a vendor that issues licenses,
 * a folder for the store, and commands in one line. Random bytes come from a
 * counter, so that a run repeats. Header only; the simulator uses it too. It
 * knows the core by ledger.h alone.
 */
#ifndef TESTS_UNIT_LEDGER_WORLD_H
#define TESTS_UNIT_LEDGER_WORLD_H

#include "appliance/ledger/ledger.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORLD_NOW INT64_C(1780000000000) /* 2026-05-28 */
#define WORLD_DAY INT64_C(86400000)
#define WORLD_TODAY ((int32_t)(WORLD_NOW / WORLD_DAY))

#define world_must(x)                                                      \
	do {                                                               \
		if (!(x)) {                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
			    #x);                                           \
			abort();                                           \
		}                                                          \
	} while (0)

struct world_vendor {
	const char *id;
	uint8_t root_public[32], root_secret[64];
	uint8_t key_public[32], key_secret[64];
	struct buf issuer;
};

struct world {
	char dir[64];
	char path[96];
	uint8_t site_public[32], site_secret[64];
	uint8_t tenant_key[32], ca[32];
	struct ledger_options options;
	struct ledger *ledger;
	int64_t now;
	uint64_t random; /* the next random bytes */
	struct world_vendor vendor;
	const char *fault_step; /* fails the next time it is reached */
	int fault_err;
	int fault_skip; /* so many times it passes before */
};

static inline void
world_random(struct world *world, void *out, size_t len)
{
	uint8_t seed[randombytes_SEEDBYTES] = { 0 };

	memcpy(seed, &world->random, sizeof world->random);
	world->random++;
	randombytes_buf_deterministic(out, len, seed);
}

static inline void
world_keypair(struct world *world, uint8_t public_key[32], uint8_t secret[64])
{
	uint8_t seed[32];

	world_random(world, seed, sizeof seed);
	crypto_sign_seed_keypair(public_key, secret, seed);
}

static inline void
world_vendor_new(struct world_vendor *vendor, struct world *world,
    const char *id)
{
	struct license_issuer issuer = {
		.not_before = WORLD_NOW - 400 * WORLD_DAY,
		.not_after = WORLD_NOW + 4000 * WORLD_DAY,
	};

	memset(vendor, 0, sizeof *vendor);
	vendor->id = id;
	world_keypair(world, vendor->root_public, vendor->root_secret);
	world_keypair(world, vendor->key_public, vendor->key_secret);
	snprintf(issuer.vendor.id, sizeof issuer.vendor.id, "%s", id);
	snprintf(issuer.vendor.name, sizeof issuer.vendor.name, "%s GmbH", id);
	memcpy(issuer.key, vendor->key_public, 32);
	world_must(
	    license_document_sign(&vendor->issuer, &license_issuer_record,
		&issuer, TOKEN_ISSUER, vendor->root_secret) == 0);
}

static inline int
world_fault(void *ctx, const char *step)
{
	struct world *world = ctx;

	if (world->fault_step == NULL || strcmp(step, world->fault_step) != 0 ||
	    world->fault_skip-- > 0)
		return 0;
	world->fault_step = NULL;
	return world->fault_err;
}

static inline void
world_open(struct world *world)
{
	world_must(ledger_open(&world->ledger, &world->options) == 0);
}

static inline void
world_reopen(struct world *world)
{
	ledger_close(world->ledger);
	world->ledger = NULL;
	world_open(world);
}

/* `seed` tells one world from another. */
static inline void
world_init(struct world *world, uint64_t seed)
{
	const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	memset(world, 0, sizeof *world);
	world->now = WORLD_NOW;
	world->random = seed << 40;
	snprintf(world->dir, sizeof world->dir, "%s/ledger-XXXXXX", shm);
	world_must(mkdtemp(world->dir) != NULL);
	snprintf(world->path, sizeof world->path, "%s/store", world->dir);
	world_keypair(world, world->site_public, world->site_secret);
	world_random(world, world->tenant_key, 32);
	world_random(world, world->ca, 32);
	world_vendor_new(&world->vendor, world, "vector");
	world->options = (struct ledger_options){ .path = world->path,
		.site = "site-test",
		.tenant = "default",
		.site_public = world->site_public,
		.site_secret = world->site_secret,
		.tenant_key = world->tenant_key,
		.ca_sha256 = world->ca,
		.map_bytes = (size_t)1 << 30,
		.volatile_ = true,
		.fault = world_fault,
		.fault_ctx = world };
	world_must(ledger_create(&world->options, world->now) == 0);
	world_open(world);
}

static inline void
world_remove(const char *path)
{
	static const char *const files[] = { "data.mdb", "lock.mdb",
		"writer.lock", "people.key" };
	char name[512];

	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "%s/%s", path, files[i]);
		unlink(name);
	}
	rmdir(path);
}

static inline void
world_free(struct world *world)
{
	ledger_close(world->ledger);
	buf_release(&world->vendor.issuer);
	world_remove(world->path);
	rmdir(world->dir);
}

/* --- commands ---------------------------------------------------------- */

static inline struct command
world_command(struct world *world, uint32_t op, uint32_t kind, uint64_t id,
    const void *request)
{
	struct command command = { .op = op,
		.who = { .kind = kind, .id = id },
		.request = request };

	world_random(world, command.entropy, sizeof command.entropy);
	return command;
}

/* One command in a batch of its own. Its outcome stays in *command, whose
 * arena the caller releases. */
static inline int
world_do(struct world *world, struct command *command)
{
	ledger_commit(world->ledger, &command, 1, world->now, NULL);
	if (command->err != 0 && getenv("LEDGER_WORLD_TELL") != NULL)
		fprintf(stderr, "%s: %s\n", err_name(command->err),
		    command->problem.detail);
	return command->err;
}

static inline struct license
world_license(const struct world *world, const char *product, uint32_t commit,
    uint32_t overage)
{
	struct license license = {
		.serial = 1,
		.entitlement = { .total_licenses = commit + overage,
		    .commit_qty = commit,
		    .max_overage = overage,
		    .pricing = { 500000, 50000, "EUR" } },
		.contract = { .start_date = WORLD_TODAY - 30,
		    .end_date = WORLD_TODAY + 330 },
		.terms = { .ttl_s = 120, .grace_s = 300 },
		.issued_at = WORLD_NOW - WORLD_DAY,
	};

	snprintf(license.license_id, sizeof license.license_id, "lic-%s",
	    product);
	snprintf(license.vendor.id, sizeof license.vendor.id, "%s",
	    world->vendor.id);
	snprintf(license.vendor.name, sizeof license.vendor.name, "%s GmbH",
	    world->vendor.id);
	snprintf(license.site, sizeof license.site, "site-test");
	snprintf(license.tenant, sizeof license.tenant, "default");
	memcpy(license.site_key, world->site_public, 32);
	snprintf(license.product.id, sizeof license.product.id, "%s", product);
	snprintf(license.product.name, sizeof license.product.name, "%s",
	    product);
	snprintf(license.product.version, sizeof license.product.version,
	    ">=8.0.0");
	return license;
}

/* Sign and install; the outcome in *command. */
static inline int
world_install_by(struct world *world, struct command *command,
    const struct license *license, const struct world_vendor *vendor)
{
	struct buf token = { .len = 0 };

	world_must(license_document_sign(&token, &license_record, license,
		       TOKEN_LICENSE, vendor->key_secret) == 0);
	struct license_install install = {
		.issuer = { vendor->issuer.data, (uint32_t)vendor->issuer.len },
		.license = { token.data, (uint32_t)token.len },
	};

	memcpy(install.vendor_key, vendor->root_public, 32);

	*command =
	    world_command(world, OP_LICENSE_INSTALL, ACTOR_ADMIN, 1, &install);
	int err = world_do(world, command);

	command->request = NULL;
	buf_release(&token);
	arena_release(&command->arena);
	return err;
}

static inline int
world_install(struct world *world, const struct license *license)
{
	struct command command;

	return world_install_by(world, &command, license, &world->vendor);
}

/* A join token of class software; owned by the caller. */
static inline int
world_join(struct world *world, struct buf *token, uint32_t uses,
    uint32_t valid_s)
{
	struct join_create create = { .uses = uses,
		.valid_s = valid_s,
		.approved = true };
	struct command command =
	    world_command(world, OP_JOIN_CREATE, ACTOR_ADMIN, 1, &create);
	int err = world_do(world, &command);

	if (err == 0)
		buf_add(token, command.reply.join.token.data,
		    command.reply.join.token.len);
	arena_release(&command.arena);
	return err;
}

/* The command's outcome stays, but for what is in its arena. */
static inline int
world_enroll_with(struct world *world, struct command *command,
    const struct buf *token, const char *name, const char *host,
    const uint8_t public_key[32], uint32_t class_,
    const struct proof_endorsement *endorsement)
{
	struct enroll enroll = {
		.join = { token->data, (uint32_t)token->len },
		.class_ = class_,
		.public_key = { public_key, 32 },
		/* The process around has verified it. */
		.proof = { .class_ = class_, .counter = 1 },
	};

	snprintf(enroll.name, sizeof enroll.name, "%s", name);
	snprintf(enroll.host, sizeof enroll.host, "%s", host);
	*command =
	    world_command(world, OP_DEVICE_ENROLL, ACTOR_DEVICE, 0, &enroll);
	command->endorsement = endorsement;
	int err = world_do(world, command);

	command->request = NULL;
	arena_release(&command->arena);
	return err;
}

static inline int
world_enroll_as(struct world *world, struct command *command,
    const struct buf *token, const char *name, const char *host,
    const uint8_t public_key[32], uint32_t class_)
{
	return world_enroll_with(world, command, token, name, host, public_key,
	    class_, NULL);
}

/* With a TPM as the process has judged it; NULL: without. */
static inline int
world_enroll_tpm(struct world *world, struct command *command,
    const struct buf *token, const uint8_t public_key[32], uint32_t class_,
    const struct proof_endorsement *endorsement)
{
	return world_enroll_with(world, command, token, "ws-1", "ws-1",
	    public_key, class_, endorsement);
}

/* A new device; its number. */
static inline uint64_t
world_device(struct world *world, const char *name)
{
	struct buf token = { .len = 0 };
	struct command command;
	uint8_t key[32];

	world_must(world_join(world, &token, 1, 3600) == 0);
	world_random(world, key, sizeof key);
	world_must(world_enroll_as(world, &command, &token, name, name, key,
		       PROOF_SOFTWARE) == 0);
	buf_release(&token);
	return command.reply.enroll.device;
}

static inline struct checkout
world_checkout_body(struct world *world, const char *product, const char *user)
{
	struct checkout checkout = { .count = 1 };

	world_random(world, checkout.request, sizeof checkout.request);
	world_random(world, checkout.nonce, sizeof checkout.nonce);
	snprintf(checkout.product, sizeof checkout.product, "%s", product);
	snprintf(checkout.version, sizeof checkout.version, "8.1.0");
	snprintf(checkout.user, sizeof checkout.user, "%s", user);
	snprintf(checkout.host, sizeof checkout.host, "ws-1");
	return checkout;
}

static inline int
world_checkout(struct world *world, struct command *command, uint64_t device,
    const struct checkout *checkout)
{
	*command = world_command(world, OP_LEASE_CHECKOUT, ACTOR_DEVICE, device,
	    checkout);
	return world_do(world, command);
}

/* A lease, whatever it shows; 0 when refused. */
static inline uint64_t
world_lease(struct world *world, uint64_t device, const char *product)
{
	struct checkout checkout = world_checkout_body(world, product, "alice");
	struct command command;
	int err = world_checkout(world, &command, device, &checkout);
	uint64_t lease = err == 0 ? command.reply.checkout.lease : 0;

	arena_release(&command.arena);
	return lease;
}

static inline int
world_return(struct world *world, uint64_t device, uint64_t lease)
{
	struct lease_return request = { .lease = lease };
	struct command command = world_command(world, OP_LEASE_RETURN,
	    ACTOR_DEVICE, device, &request);
	int err = world_do(world, &command);

	arena_release(&command.arena);
	return err;
}

/* --- looking ----------------------------------------------------------- */

static inline void
world_check(struct world *world)
{
	struct ledger_view *view;
	char error[256];

	world_must(ledger_view_open(&view, world->ledger) == 0);
	if (ledger_check(view, error, sizeof error) != 0) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	ledger_view_close(view);
}

/* The state is sound, and folding the journal anew gives the same. */
static inline void
world_check_folded(struct world *world)
{
	struct ledger_options to = world->options;
	struct ledger_view *view;
	char path[160];

	world_check(world);
	to.fault = NULL;
	snprintf(path, sizeof path, "%s/folded", world->dir);
	to.path = path;
	world_must(ledger_view_open(&view, world->ledger) == 0);
	world_must(ledger_refold(view, &to) == 0);
	ledger_view_close(view);
	world_remove(path);
}

static inline struct license_view
world_usage(struct world *world, uint64_t license)
{
	struct license_number number = { license };
	struct license_view reply;
	struct problem problem;
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;

	world_must(ledger_view_open(&view, world->ledger) == 0);
	world_must(ledger_query(&reply, view, OP_LICENSE_SHOW, &number,
		       world->now, &arena, &problem) == 0);
	ledger_view_close(view);
	arena_release(&arena);
	return reply;
}

static inline void
world_state_hash(uint8_t hash[32], struct world *world)
{
	struct ledger_view *view;
	struct journal_header header;
	uint8_t head[32];

	world_must(ledger_view_open(&view, world->ledger) == 0);
	world_must(ledger_state_hash(hash, &header, head, view) == 0);
	ledger_view_close(view);
}

/* What somebody keeps of the newest header. */
static inline struct journal_known
world_known(struct world *world)
{
	struct journal_known known = { .batch = 0 };
	struct ledger_view *view;
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };

	world_must(ledger_view_open(&view, world->ledger) == 0);
	world_must(
	    ledger_newest(&header, known.head, &token, view, &arena) == 0);
	known.batch = header.batch;
	known.generation = header.generation;
	memcpy(known.history, header.history, 32);
	ledger_view_close(view);
	arena_release(&arena);
	return known;
}

#endif
