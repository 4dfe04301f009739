/*
 * The key that an enrolment is made with: the device's own, or a new one that
 * takes its place. What a TPM does for it is done in the helper thread, step by
 * step, and outlives an enrolment that ends meanwhile. It must not know of
 * connections, nor what the site says.
 */
#ifndef AGENT_KEEPER_ENROLL_KEY_H
#define AGENT_KEEPER_ENROLL_KEY_H

#include "agent/keeper/proofs.h"

#include <limits.h>
#include <stdbool.h>

struct enroll_key;

struct enroll_key_plan {
	struct proofs *proofs;
	/** A new identity is to be made, in options.folder; what else the
	 * options point to is borrowed as long as the proofs live. */
	bool fresh;
	struct identity_options options;
	char folder[PATH_MAX];
	/** Which site it is for. */
	char site[64], tenant[64];
	/** The key in use: its folder, and whose it is; "" and "": nobody's. */
	char old_folder[PATH_MAX];
	char old_site[64], old_tenant[64];
};

/** What a step came to; not called any more after enroll_key_end(). */
typedef void enroll_key_done(void *ctx, int err);

/** Make or take the key and bind it to the site; `done` of this and of every
 * further step gets `ctx`. 0, or an error: then there is nothing to end. */
int enroll_key_begin(struct enroll_key **key,
    const struct enroll_key_plan *plan, enroll_key_done *done, void *ctx);

/* After the first step. */
size_t enroll_key_public(uint8_t out[PROOF_KEY_MAX],
    const struct enroll_key *key);
enum proof_class enroll_key_class(const struct enroll_key *key);
/** Empty without a TPM; lives as long as the key. */
const struct proof_material *enroll_key_material(const struct enroll_key *key);

/** Make a proof, and answer a challenge (copied). 0: `done` follows. */
int enroll_key_prove(struct enroll_key *key,
    const struct proof_subject *subject, enroll_key_done *done);
const struct proof *enroll_key_proof(const struct enroll_key *key);
int enroll_key_answer(struct enroll_key *key,
    const struct proof_challenge *challenge, enroll_key_done *done);
const uint8_t *enroll_key_secret(const struct enroll_key *key);

enum enroll_key_end {
	/** The site has it: it is the device's key now, and what was before is
	 * gone, its counter too. */
	ENROLL_KEY_KEEP,
	/** The site does not want it: a new one is gone, with its counter. */
	ENROLL_KEY_FORGET,
	/** Nobody knows: a new one stays in its folder for another try. */
	ENROLL_KEY_LEAVE,
};
/** Takes the key. `ended`, if not NULL: when it is done (ERR_CLOSED: never);
 * proofs that are asked for from now on are made with the key that stays. */
void enroll_key_end(struct enroll_key *key, enum enroll_key_end how,
    proofs_ran *ended, void *ctx);

#endif
