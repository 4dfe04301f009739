/*
 * Keys and values of the table hub_reported, between the files that fold it: the
 * site, what it is, and of what. Nobody else includes this.
 */
#ifndef APPLIANCE_HUB_REPORTED_PRIVATE_H
#define APPLIANCE_HUB_REPORTED_PRIVATE_H

#include "appliance/hub/reported.h"

#define HUB_REPORTED_TALLY 'a'
#define HUB_REPORTED_GENERATION 'g'
#define HUB_REPORTED_OVERAGE 'o'
#define HUB_REPORTED_INSTALLED 'i'
#define HUB_REPORTED_COUNTED 'r'
#define HUB_REPORTED_INCIDENT 'x'
#define HUB_REPORTED_KEY_MAX 64

/** 17 bytes, and their number. */
size_t hub_reported_key(uint8_t key[HUB_REPORTED_KEY_MAX], uint64_t site,
    char what, uint64_t number);
int hub_reported_get(void *out, const struct record *record,
    const struct state *state, const uint8_t *key, size_t len);
int hub_reported_put(struct state *state, const uint8_t *key, size_t len,
    const struct record *record, const void *value);
int hub_reported_tally_put(struct state *state, uint64_t site,
    const struct hub_reported *reported);

/** Counted in the tally, which is written with it. */
int hub_incident_add(struct state *state, uint64_t site,
    struct hub_reported *reported, const struct hub_incident *incident);

#endif
