/* Terms, the chain of signatures and what a license is for; see license.h. */
#include "shared/license/license.h"
#include "shared/proof/proof.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static int fail(int err, struct record_error *error, const char *field,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static int
fail(int err, struct record_error *error, const char *field, const char *format,
    ...)
{
	va_list args;

	if (error == NULL)
		return err;
	text_copy(error->field, sizeof(error->field), field);
	va_start(args, format);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
	va_end(args);
	return err;
}

/* --- terms ---------------------------------------------------------------- */

/* `of` is the object that the numbers stand in: "features[2]". */
static int
check_seats(const struct license_seats *seats, const char *of,
    struct record_error *error)
{
	/* Both are at most LICENSE_SEATS_MAX: no overflow. */
	uint32_t sum = seats->commit + seats->overage;
	char field[96];

	if (seats->commit > seats->total) {
		snprintf(field, sizeof(field), "%s.commit_qty", of);
		return fail(ERR_BAD_REQUEST, error, field,
		    "%u is above total_licenses %u", seats->commit,
		    seats->total);
	}
	if (seats->overage > seats->total) {
		snprintf(field, sizeof(field), "%s.max_overage", of);
		return fail(ERR_BAD_REQUEST, error, field,
		    "%u is above total_licenses %u", seats->overage,
		    seats->total);
	}
	if (sum != seats->total) {
		snprintf(field, sizeof(field), "%s.total_licenses", of);
		return fail(ERR_BAD_REQUEST, error, field,
		    "must be commit_qty + max_overage (%u + %u = %u), is %u",
		    seats->commit, seats->overage, sum, seats->total);
	}
	return 0;
}

static struct license_seats
seats_of_product(const struct license_entitlement *e)
{
	return (struct license_seats){ e->total_licenses, e->commit_qty,
		e->max_overage };
}

static struct license_seats
seats_of_feature(const struct license_feature *f)
{
	return (struct license_seats){ f->total_licenses, f->commit_qty,
		f->max_overage };
}

/* Prices of one statement are in one currency, and an id leads to one pool of
 * seats. */
static int
check_features(const struct license_terms *terms, struct record_error *error)
{
	const struct license_feature *features = terms->features.items;
	const char *currency = terms->entitlement.pricing.currency;
	char of[32], field[96];

	for (uint32_t i = 0; i < terms->features.count; i++) {
		struct license_seats seats = seats_of_feature(&features[i]);

		snprintf(of, sizeof(of), "features[%u]", i);
		int err = check_seats(&seats, of, error);

		if (err != 0)
			return err;
		if (strcmp(features[i].currency, currency) != 0) {
			snprintf(field, sizeof(field), "%s.currency", of);
			return fail(ERR_BAD_REQUEST, error, field,
			    "is %s, and the license is priced in %s",
			    features[i].currency, currency);
		}
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(features[i].id, features[j].id) != 0)
				continue;
			snprintf(field, sizeof(field), "%s.id", of);
			return fail(ERR_BAD_REQUEST, error, field,
			    "\"%s\" is that of features[%u] too",
			    features[i].id, j);
		}
	}
	return 0;
}

static int
check_currency(const char *currency, const char *of,
    const struct license_terms *terms, struct record_error *error)
{
	const char *theirs = terms->entitlement.pricing.currency;
	char field[96];

	if (strcmp(currency, theirs) == 0)
		return 0;
	snprintf(field, sizeof(field), "%s.currency", of);
	return fail(ERR_BAD_REQUEST, error, field,
	    "is %s, and the license is priced in %s", currency, theirs);
}

static int
check_usage(const struct license_terms *terms, struct record_error *error)
{
	const struct license_usage_price *usage = terms->billing.usage.items;
	char of[48], field[96];

	for (uint32_t i = 0; i < terms->billing.usage.count; i++) {
		snprintf(of, sizeof(of), "billing.usage[%u]", i);
		int err = check_currency(usage[i].currency, of, terms, error);

		if (err != 0)
			return err;
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(usage[i].metric, usage[j].metric) != 0)
				continue;
			snprintf(field, sizeof(field), "%s.metric", of);
			return fail(ERR_BAD_REQUEST, error, field,
			    "\"%s\" has a price in billing.usage[%u] too",
			    usage[i].metric, j);
		}
	}
	return 0;
}

/* Prices that the model never looks at are a mistake of who wrote them. */
static int
check_model(const struct license_billing *billing, struct record_error *error)
{
	bool subscribes = billing->model == LICENSE_SUBSCRIPTION ||
	    billing->model == LICENSE_HYBRID;
	bool uses = billing->model == LICENSE_PER_USE ||
	    billing->model == LICENSE_HYBRID;
	bool shares = billing->model == LICENSE_REVENUE_SHARE;

	if (!subscribes && billing->subscription_fee != 0)
		return fail(ERR_BAD_REQUEST, error, "billing.subscription_fee",
		    "is for the models subscription and hybrid");
	if (!uses && billing->usage.count != 0)
		return fail(ERR_BAD_REQUEST, error, "billing.usage",
		    "is for the models per_use and hybrid");
	if (shares != (billing->share_ppm != 0))
		return fail(ERR_BAD_REQUEST, error, "billing.share_ppm",
		    shares ? "is required with the model revenue_share"
			   : "is for the model revenue_share");
	if (shares != (billing->share_metric[0] != '\0'))
		return fail(ERR_BAD_REQUEST, error, "billing.share_metric",
		    shares ? "is required with the model revenue_share"
			   : "is for the model revenue_share");
	return 0;
}

static int
check_billing(const struct license_terms *terms, struct record_error *error)
{
	const struct license_billing *billing = &terms->billing;

	if (billing->currency[0] == '\0')
		return 0; /* there is none: commit_overage */
	int err = check_currency(billing->currency, "billing", terms, error);

	if (err == 0)
		err = check_model(billing, error);
	return err == 0 ? check_usage(terms, error) : err;
}

static int
check_limits(const struct license_terms *terms, struct record_error *error)
{
	const struct license_limit *limits = terms->limits.items;
	char field[96];

	for (uint32_t i = 0; i < terms->limits.count; i++)
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(limits[i].metric, limits[j].metric) != 0 ||
			    limits[i].per != limits[j].per ||
			    limits[i].soft != limits[j].soft)
				continue;
			snprintf(field, sizeof(field), "limits[%u].metric", i);
			return fail(ERR_BAD_REQUEST, error, field,
			    "\"%s\" is limited so in limits[%u] too",
			    limits[i].metric, j);
		}
	return 0;
}

static int
check_grace(const struct license_bounds *terms, struct record_error *error)
{
	bool graceful = terms->enforce == LICENSE_GRACE;

	if (graceful == (terms->grace_days != 0))
		return 0;
	return fail(ERR_BAD_REQUEST, error, "terms.grace_days",
	    graceful ? "is required with enforce grace"
		     : "is for enforce grace");
}

int
license_terms_check(struct license_terms *terms, struct record_error *error)
{
	if (terms->terms.ttl_s == 0) {
		/* No `terms` object: its ttl_s is at least 1. */
		terms->terms.ttl_s = LICENSE_TTL_DEFAULT_S;
		terms->terms.grace_s = LICENSE_GRACE_DEFAULT_S;
		terms->terms.enforce = LICENSE_HARD;
	}
	if (terms->terms.borrow_max_s == 0)
		terms->terms.borrow_max_s = LICENSE_BORROW_DEFAULT_S;
	int err = record_check(&license_terms_record, terms, error);

	if (err != 0)
		return err;
	struct license_seats seats = seats_of_product(&terms->entitlement);

	err = check_seats(&seats, "entitlement", error);
	if (err == 0)
		err = check_features(terms, error);
	if (err == 0)
		err = check_grace(&terms->terms, error);
	if (err == 0)
		err = check_billing(terms, error);
	if (err == 0)
		err = check_limits(terms, error);
	if (err != 0)
		return err;
	if (!version_range_is_valid(terms->product.version))
		return fail(ERR_BAD_REQUEST, error, "product.version",
		    "\"%s\" is not a version range", terms->product.version);
	if (terms->contract.end_date < terms->contract.start_date)
		return fail(ERR_BAD_REQUEST, error, "contract.end_date",
		    "is before start_date");
	return 0;
}

static int
check_license_terms(struct license *license, struct record_error *error)
{
	struct license_terms terms = {
		.product = license->product,
		.entitlement = license->entitlement,
		.features = license->features,
		.contract = license->contract,
		.terms = license->terms,
		.billing = license->billing,
		.tier = license->tier,
		.limits = license->limits,
		.sync = license->sync,
		.customer = license->customer,
	};
	int err = license_terms_check(&terms, error);

	license->terms = terms.terms;
	return err;
}

static bool
has_class(const struct record_list *list, uint32_t class_)
{
	const struct license_class *classes = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (classes[i].class_ == class_)
			return true;
	return false;
}

bool
license_accepts(const struct license_bounds *terms, uint32_t class_)
{
	return terms->classes.count == 0 || has_class(&terms->classes, class_);
}

bool
license_may_borrow(const struct license_bounds *terms, uint32_t class_)
{
	if (terms->no_borrow || !license_accepts(terms, class_))
		return false;
	if (terms->borrow_classes.count == 0)
		return class_ == PROOF_TPM;
	return has_class(&terms->borrow_classes, class_);
}

bool
license_seats(struct license_seats *out, const struct license *license,
    const char *feature)
{
	const struct license_feature *features = license->features.items;

	if (feature[0] == '\0') {
		*out = seats_of_product(&license->entitlement);
		return true;
	}
	for (uint32_t i = 0; i < license->features.count; i++) {
		if (strcmp(features[i].id, feature) != 0)
			continue;
		*out = seats_of_feature(&features[i]);
		return true;
	}
	*out = (struct license_seats){ 0 };
	return false;
}

uint64_t
license_usage_max(const struct license *license, const char *metric)
{
	const struct license_usage_price *usage = license->billing.usage.items;
	const uint64_t money = LICENSE_USAGE_MONEY_MAX;
	uint64_t max = U53_MAX;

	if (license->billing.share_ppm > 0 &&
	    strcmp(license->billing.share_metric, metric) == 0)
		max = money;
	for (uint32_t i = 0; i < license->billing.usage.count; i++) {
		if (strcmp(usage[i].metric, metric) != 0 || usage[i].price <= 0)
			continue;
		uint64_t units = money / (uint64_t)usage[i].price;

		if (units == 0)
			units = 1; /* the vendor knows what it costs */
		if (units < max / usage[i].unit)
			max = units * usage[i].unit;
	}
	return max;
}

/* --- documents ------------------------------------------------------------ */

/* Why a token is not what it should be, in words. */
static int
fail_token(int err, struct record_error *error, enum token_kind kind,
    const char *token, size_t len, const uint8_t key[TOKEN_PUBLIC_BYTES])
{
	const char *name = token_kind_name(kind);
	char named[TOKEN_KID_TEXT];
	char wanted[TOKEN_KID_TEXT];

	switch (err) {
	case ERR_BAD_TOKEN:
		return fail(err, error, name, "is not a signed document");
	case ERR_BAD_SIGNATURE:
		return fail(err, error, name,
		    "the signature does not hold: altered, or another kind of "
		    "document");
	case ERR_UNTRUSTED:
		token_key_id(wanted, key);
		if (token_kid(named, token, len) == 0)
			return fail(err, error, name, "is signed by %s, not %s",
			    named, wanted);
		break;
	default:
		break;
	}
	return fail(err, error, name, "%s", err_str(err));
}

static int
read_payload(void *out, const struct record *record, const struct buf *payload,
    struct arena *arena, struct record_error *error)
{
	/* Spans point into the text: it has to live as long as they do. */
	const char *text = arena_copy(arena, payload->data, payload->len);

	if (text == NULL)
		return fail(ERR_NOMEM, error, "", "%s", err_str(ERR_NOMEM));
	return record_read_json(out, record, text, payload->len, arena, error);
}

int
license_document_read(void *out, const struct record *record,
    enum token_kind kind, const char *token, size_t len,
    const uint8_t public_key[TOKEN_PUBLIC_BYTES], struct arena *arena,
    struct record_error *error)
{
	struct buf payload = { 0 };
	int err = token_verify(&payload, kind, token, len, public_key);

	if (err != 0)
		fail_token(err, error, kind, token, len, public_key);
	else
		err = read_payload(out, record, &payload, arena, error);
	if (err != 0)
		memset(out, 0, record->size);
	buf_release(&payload);
	return err;
}

int
license_read_stored(struct license *out, const char *token, size_t len,
    struct arena *arena)
{
	struct buf payload = { 0 };
	int err = token_peek(&payload, token, len);
	const char *text = NULL;

	if (err == 0) {
		text = arena_copy(arena, payload.data, payload.len);
		err = text == NULL ? ERR_NOMEM : 0;
	}
	if (err == 0)
		err = record_read_json(out, &license_record, text, payload.len,
		    arena, NULL);
	buf_release(&payload);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
license_document_sign(struct buf *token, const struct record *record,
    const void *value, enum token_kind kind,
    const uint8_t secret[TOKEN_SECRET_BYTES])
{
	struct buf payload = { 0 };

	record_write_json(&payload, record, value);
	int err = payload.failed
	    ? ERR_NOMEM
	    : token_sign(token, kind, payload.data, payload.len, secret);

	buf_release(&payload);
	return err;
}

void
license_digest(uint8_t out[32], const char *token, size_t len)
{
	crypto_generichash(out, 32, (const uint8_t *)token, len, NULL, 0);
}

/* --- the chain ------------------------------------------------------------ */

static int
read_issuer(struct license_issuer *issuer, const char *token, size_t len,
    const uint8_t *root, struct arena *arena, struct record_error *error)
{
	struct buf payload = { 0 };
	int err;

	if (root != NULL)
		return license_document_read(issuer, &license_issuer_record,
		    TOKEN_ISSUER, token, len, root, arena, error);
	err = token_peek(&payload, token, len);
	if (err != 0)
		fail(err, error, token_kind_name(TOKEN_ISSUER), "%s",
		    err_str(err));
	else
		err = read_payload(issuer, &license_issuer_record, &payload,
		    arena, error);
	buf_release(&payload);
	return err;
}

static int
check_issuer(const struct license *license, const struct license_issuer *issuer,
    struct record_error *error)
{
	char from[CLOCK_TEXT_SIZE];
	char to[CLOCK_TEXT_SIZE];

	if (strcmp(license->vendor.id, issuer->vendor.id) != 0)
		return fail(ERR_UNTRUSTED, error, "vendor.id",
		    "\"%s\" is not the issuing key's vendor \"%s\"",
		    license->vendor.id, issuer->vendor.id);
	if (license->issued_at >= issuer->not_before &&
	    license->issued_at <= issuer->not_after)
		return 0;
	clock_format(from, issuer->not_before);
	clock_format(to, issuer->not_after);
	return fail(ERR_EXPIRED, error, "issued_at",
	    "is not within the issuing key's validity, %s to %s", from, to);
}

int
license_verify(struct license *license, struct license_issuer *issuer,
    const char *issuer_token, size_t issuer_len, const char *license_token,
    size_t license_len, const uint8_t *root, struct arena *arena,
    struct record_error *error)
{
	int err =
	    read_issuer(issuer, issuer_token, issuer_len, root, arena, error);

	if (err == 0)
		err = license_document_read(license, &license_record,
		    TOKEN_LICENSE, license_token, license_len, issuer->key,
		    arena, error);
	if (err == 0)
		err = check_issuer(license, issuer, error);
	if (err == 0)
		err = check_license_terms(license, error);
	if (err != 0) {
		memset(license, 0, sizeof(*license));
		memset(issuer, 0, sizeof(*issuer));
	}
	return err;
}

/* --- what it is for ------------------------------------------------------- */

int
license_check_for(const struct license *license, const char *site,
    const char *tenant, const uint8_t site_key[TOKEN_PUBLIC_BYTES],
    struct record_error *error)
{
	if (strcmp(license->site, site) != 0)
		return fail(ERR_MISMATCH, error, "site",
		    "the license is for site %s, this is %s", license->site,
		    site);
	if (strcmp(license->tenant, tenant) != 0)
		return fail(ERR_MISMATCH, error, "tenant",
		    "the license is for tenant %s, this is %s", license->tenant,
		    tenant);
	if (memcmp(license->site_key, site_key, TOKEN_PUBLIC_BYTES) != 0)
		return fail(ERR_MISMATCH, error, "site_key",
		    "the license is for another key of site %s", site);
	return 0;
}

int
license_check_dates(const struct license *license, int64_t now_ms,
    struct record_error *error)
{
	char day[CLOCK_TEXT_SIZE];
	int64_t start_ms = license->contract.start_date * DAY_MS;
	int64_t end_ms = (license->contract.end_date + 1) * DAY_MS;

	if (now_ms < start_ms) {
		clock_format_date(day, license->contract.start_date);
		return fail(ERR_LICENSE_EXPIRED, error, "contract.start_date",
		    "the contract has not begun: it starts on %s", day);
	}
	if (now_ms >= end_ms) {
		clock_format_date(day, license->contract.end_date);
		return fail(ERR_LICENSE_EXPIRED, error, "contract.end_date",
		    "the contract is over: it ended on %s", day);
	}
	return 0;
}
