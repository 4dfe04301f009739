/* issue: a license for an activation request; see vendor.h. */
#include "appliance/vendor/vendor.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
/* Bytes of the site in a license id. */
#define SITE_SHORT_MAX 20

/* --- what was handed in
 * -------------------------------------------------------- */

static int
fail_request(const struct vendor_call *call, int err, const char *words)
{
	vendor_fail(call, err,
	    "Only a site's own request says truly which key the license is "
	    "for",
	    "on the site: leasehold site request --out request.txt", "%s: %s",
	    vendor_option(call, "--request"), words);
	return VENDOR_FAILED;
}

/* The request is signed with the key it names: whoever sent it holds that key,
 * and no byte was altered on the way. */
static int
verify_request(struct license_request *request, const char *token, size_t len,
    const struct vendor_call *call)
{
	struct arena arena = { 0 };
	struct buf payload = { 0 };
	struct record_error why = { "", "" };
	char words[320];
	int err = token_peek(&payload, token, len);

	if (err != 0) {
		buf_release(&payload);
		return fail_request(call, err, "is no activation request");
	}
	err = record_read_json(request, &license_request_record,
	    (const char *)payload.data, payload.len, &arena, &why);
	if (err == 0)
		err = license_document_read(request, &license_request_record,
		    TOKEN_REQUEST, token, len, request->site_key, &arena, &why);
	buf_release(&payload);
	arena_release(&arena);
	if (err == 0)
		return VENDOR_DONE;
	snprintf(words, sizeof(words), "is no activation request: %s%s%s",
	    why.field, why.field[0] != '\0' ? ": " : "", why.reason);
	return fail_request(call, err, words);
}

static int
read_request(struct license_request *request, const struct vendor_call *call)
{
	uint8_t *text = NULL;
	size_t len;
	int err = file_read(&text, &len, vendor_option(call, "--request"),
	    VENDOR_FILE_MAX);

	if (err != 0)
		return fail_request(call, err, vendor_reason(err));
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	int status = verify_request(request, (char *)text, len, call);

	free(text);
	return status;
}

static int
read_terms(struct license_terms *terms, struct arena *arena,
    const struct vendor_call *call)
{
	const char *path = vendor_option(call, "--terms");
	struct record_error why = { "", "" };
	uint8_t *text = NULL;
	size_t len;
	int err = file_read(&text, &len, path, VENDOR_FILE_MAX);

	if (err != 0)
		return vendor_fail(call, err,
		    "It should hold the terms as JSON; nothing was issued",
		    NULL, "%s: %s", path, vendor_reason(err));
	err = record_read_json(terms, &license_terms_record, (char *)text, len,
	    arena, &why);
	if (err == 0)
		err = license_terms_check(terms, &why);
	free(text);
	if (err == 0)
		return VENDOR_DONE;
	return vendor_fail(call, err,
	    "The terms are refused as a whole; nothing was issued",
	    "correct the file and type the same command again", "%s: %s%s%s",
	    path, why.field, why.field[0] != '\0' ? ": " : "", why.reason);
}

/* --- the id
 * ---------------------------------------------------------------------- */

/* "Mercedes-Benz AG, Halle 4" is "mercedes-benz-ag". Cut at a word's end where
 * there is one; what is left of a name in other letters is the site's id. */
static void
site_short(char out[SITE_SHORT_MAX + 1], const struct license_request *request)
{
	const char *from = request->name;
	size_t len = 0;

	for (; *from != '\0' && len < SITE_SHORT_MAX; from++) {
		char c = *from;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = c;
		else if (len > 0 && out[len - 1] != '-')
			out[len++] = '-';
	}
	out[len] = '\0';
	char *last = strrchr(out, '-');

	if (last != NULL && last != out && (*from != '\0' || last[1] == '\0'))
		*last = '\0';
	if (out[0] == '\0')
		snprintf(out, SITE_SHORT_MAX + 1, "%.*s", SITE_SHORT_MAX,
		    request->site);
}

static bool
license_id_is_valid(const char *id)
{
	size_t len = strlen(id);

	return len >= 1 && len <= 63 &&
	    strspn(id,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.") == len;
}

static int
name_license(struct license *license, const struct license_request *request,
    const struct vendor_call *call)
{
	const char *wanted = vendor_option(call, "--license-id");
	char site[SITE_SHORT_MAX + 1];
	char day[CLOCK_TEXT_SIZE];
	size_t size = sizeof(license->license_id);
	int n;

	if (wanted != NULL) {
		text_copy(license->license_id, size, wanted);
		return VENDOR_DONE;
	}
	site_short(site, request);
	clock_format(day, license->issued_at);
	n = snprintf(license->license_id, size, "lic-%s-%s-%.4s-%03" PRIu64,
	    license->vendor.id, site, day, license->serial);
	if (n > 0 && (size_t)n < size)
		return VENDOR_DONE;
	return vendor_fail(call, ERR_BAD_REQUEST, "Nothing was issued",
	    "choose one with --license-id", "the license's id is too long");
}

/* --- issuing
 * --------------------------------------------------------------------- */

static int
read_issuing_key(uint8_t secret[TOKEN_SECRET_BYTES],
    const struct license_issuer *issuer, const struct vendor_folder *folder,
    const struct vendor_call *call)
{
	char path[PATH_MAX];
	char next[PATH_MAX];
	char day[CLOCK_TEXT_SIZE];
	int64_t now = clock_wall_ms();
	int err = vendor_path(path, folder->path, "issuer.key")
	    ? token_key_read(secret, path)
	    : ERR_NOT_FOUND;

	snprintf(next, sizeof(next), "leasehold-vendor issuer %.3000s --renew",
	    folder->path);
	if (err != 0)
		return vendor_fail(call, err,
		    "Without the issuing key nothing can be issued",
		    err == ERR_NOT_FOUND || err == ERR_CORRUPT ? next : NULL,
		    "%s: %s", path, vendor_reason(err));
	if (memcmp(secret + 32, issuer->key, TOKEN_PUBLIC_BYTES) != 0)
		return vendor_fail(call, ERR_UNTRUSTED,
		    "The root key vouches for another key than this one; the "
		    "last renewal was cut off",
		    next, "%s does not fit issuer.token", path);
	if (now >= issuer->not_before && now <= issuer->not_after)
		return VENDOR_DONE;
	clock_format(day,
	    now < issuer->not_before ? issuer->not_before : issuer->not_after);
	if (now < issuer->not_before)
		return vendor_fail(call, ERR_EXPIRED,
		    "A license signed now would be believed by nobody", NULL,
		    "the issuing key is good from %s on: is the clock right?",
		    day);
	return vendor_fail(call, ERR_EXPIRED,
	    "A license signed now would be believed by nobody; what it issued "
	    "before stays good",
	    next, "the issuing key was good until %s", day);
}

static void
fill_license(struct license *license, const struct license_request *request,
    const struct license_terms *terms, const struct vendor_folder *folder)
{
	memset(license, 0, sizeof(*license));
	license->vendor = folder->vendor;
	text_copy(license->site, sizeof(license->site), request->site);
	text_copy(license->tenant, sizeof(license->tenant), request->tenant);
	memcpy(license->site_key, request->site_key, TOKEN_PUBLIC_BYTES);
	license->product = terms->product;
	license->entitlement = terms->entitlement;
	license->features = terms->features;
	license->contract = terms->contract;
	license->terms = terms->terms;
	license->billing = terms->billing;
	license->tier = terms->tier;
	license->limits = terms->limits;
	license->sync = terms->sync;
	license->customer = terms->customer;
	license->issued_at = clock_wall_ms();
}

/* A license is replaced by its renewal; anything else that lies there (a key,
 * by a slip of the finger) is not. */
static int
check_out(const struct vendor_call *call)
{
	const char *path = vendor_option(call, "--out");
	struct license_file file;
	struct arena arena = { 0 };
	uint8_t *text = NULL;
	size_t len;
	int err = file_read(&text, &len, path, VENDOR_FILE_MAX);

	if (err == ERR_NOT_FOUND)
		return VENDOR_DONE;
	if (err == 0)
		err = record_read_json(&file, &license_file_record,
		    (const char *)text, len, &arena, NULL);
	free(text);
	arena_release(&arena);
	if (err == 0)
		return VENDOR_DONE;
	return vendor_fail(call, ERR_CONFLICT,
	    "Only a license file is overwritten; nothing was issued",
	    "choose another name with --out",
	    "%s is there already and is no license file", path);
}

/* Both tokens as one file, after looking at them as an application will. */
static int
write_license(const struct license *license, const struct buf *issuer_token,
    const uint8_t secret[TOKEN_SECRET_BYTES],
    const struct vendor_folder *folder, const struct vendor_call *call)
{
	const char *path = vendor_option(call, "--out");
	struct buf token = { 0 };
	struct buf out = { 0 };
	struct license seen;
	struct license_issuer issuer;
	struct arena arena = { 0 };
	struct record_error why = { "", "" };
	int err = license_document_sign(&token, &license_record, license,
	    TOKEN_LICENSE, secret);

	if (err == 0)
		err = license_verify(&seen, &issuer,
		    (const char *)issuer_token->data, issuer_token->len,
		    (const char *)token.data, token.len, folder->root, &arena,
		    &why);
	arena_release(&arena);
	if (err == 0 && token.len > LICENSE_TOKEN_MAX) {
		err = ERR_TOO_LARGE;
		text_copy(why.reason, sizeof(why.reason),
		    "the names of its features are too long");
	}
	if (err == 0) {
		struct license_file file = {
			.issuer = { issuer_token->data,
			    (uint32_t)issuer_token->len },
			.license = { token.data, (uint32_t)token.len },
		};

		memcpy(file.vendor_key, folder->root, sizeof(file.vendor_key));
		record_write_json_pretty(&out, &license_file_record, &file);
		buf_add_byte(&out, '\n');
		err = out.failed ? ERR_NOMEM
				 : file_write(path, out.data, out.len, 0644);
		text_copy(why.reason, sizeof(why.reason),
		    err != 0 ? vendor_reason(err) : "");
	}
	buf_release(&token);
	buf_release(&out);
	if (err == 0)
		return VENDOR_DONE;
	return vendor_fail(call, err, "No license was written", NULL,
	    "%s: %s%s%s", path, why.field, why.field[0] != '\0' ? ": " : "",
	    why.reason[0] != '\0' ? why.reason : err_str(err));
}

static void
print_features(struct buf *out, const struct license *license)
{
	const struct license_feature *features = license->features.items;
	char price[32];

	for (uint32_t i = 0; i < license->features.count; i++) {
		const struct license_feature *f = &features[i];

		money_format(price, f->overage_per_use, f->currency);
		buf_printf(out,
		    "  feature  %s: %u committed, %u overage at %s %s each\n",
		    f->id, f->commit_qty, f->max_overage, price, f->currency);
	}
}

static void
print_words(struct buf *out, const struct vendor_call *call,
    const struct license *license)
{
	const struct license_entitlement *e = &license->entitlement;
	char start[CLOCK_TEXT_SIZE];
	char end[CLOCK_TEXT_SIZE];
	char fee[32];
	char price[32];

	clock_format_date(start, license->contract.start_date);
	clock_format_date(end, license->contract.end_date);
	money_format(fee, e->pricing.commit_fee_monthly, e->pricing.currency);
	money_format(price, e->pricing.overage_per_use, e->pricing.currency);
	buf_printf(out,
	    "Issued %s, serial %" PRIu64 ".\n"
	    "  for      site %s, tenant %s\n"
	    "  product  %s %s\n"
	    "  seats    %u committed at %s %s a month, %u overage at "
	    "%s %s each\n",
	    license->license_id, license->serial, license->site,
	    license->tenant, license->product.id, license->product.version,
	    e->commit_qty, fee, e->pricing.currency, e->max_overage, price,
	    e->pricing.currency);
	print_features(out, license);
	buf_printf(out, "  contract %s to %s\n", start, end);
	if (license->terms.enforce == LICENSE_GRACE)
		buf_printf(out,
		    "  beyond   for %u days after it, its seats as overage\n",
		    license->terms.grace_days);
	if (license->terms.enforce == LICENSE_ADVISORY)
		buf_printf(out,
		    "  beyond   seats above these, and all after it, as "
		    "overage\n");
	buf_printf(out, "Next, on the site: leasehold license install %s",
	    vendor_option(call, "--out"));
}

static int
print_license(const struct vendor_call *call, const struct license *license)
{
	struct buf out = { 0 };

	if (call->json) {
		buf_add_byte(&out, '{');
		vendor_add_member(&out, "file", vendor_option(call, "--out"));
		buf_add_str(&out, ",\"license\":");
		record_write_json(&out, &license_record, license);
		buf_add_byte(&out, '}');
	} else {
		print_words(&out, call, license);
	}
	int status = vendor_print(call, &out);

	buf_release(&out);
	return status;
}

/* Everything is checked before the serial is taken, and the serial is taken
 * before anything is signed. */
static int
issue(struct license *license, const struct license_request *request,
    uint64_t wanted, const struct vendor_folder *folder,
    const struct vendor_call *call)
{
	struct license_issuer issuer;
	struct buf token = { 0 };
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);

	if (secret == NULL) {
		vendor_fail(call, ERR_NOMEM, "Nothing was issued", NULL, "%s",
		    err_str(ERR_NOMEM));
		return VENDOR_FAILED;
	}
	int status = vendor_issuer_read(&issuer, &token, folder, call);

	if (status == VENDOR_DONE)
		status = read_issuing_key(secret, &issuer, folder, call);
	if (status == VENDOR_DONE)
		status =
		    vendor_serial_take(&license->serial, folder, wanted, call);
	if (status == VENDOR_DONE)
		status = name_license(license, request, call);
	if (status == VENDOR_DONE)
		status = write_license(license, &token, secret, folder, call);
	sodium_free(secret);
	buf_release(&token);
	return status;
}

/* A vendor may want it, to settle the past: not an error. */
static void
warn_ended(const struct license *license, const struct vendor_call *call)
{
	char day[CLOCK_TEXT_SIZE];

	if (license->issued_at < license_grants_until(license))
		return;
	clock_format_date(day, license->contract.end_date);
	vendor_warn(call,
	    "%s: contract.end_date: the contract ended on %s already; the "
	    "license grants no seat",
	    vendor_option(call, "--terms"), day);
}

static int
run_issue(struct vendor_call *call)
{
	const char *id = vendor_option(call, "--license-id");
	struct vendor_folder folder;
	struct license_request request;
	struct license_terms terms = { .tier = LICENSE_NO_TIER };
	struct license license;
	struct arena arena = { 0 };
	uint64_t serial;

	if (vendor_option_number(&serial, call, "--serial", 1, U53_MAX, 0) !=
	    VENDOR_DONE)
		return VENDOR_USAGE;
	if (id != NULL && !license_id_is_valid(id)) {
		vendor_fail(call, ERR_BAD_REQUEST, "Nothing was issued", NULL,
		    "--license-id \"%.64s\": must be 1 to 63 letters, digits, "
		    "hyphens, dots and underscores",
		    id);
		return VENDOR_USAGE;
	}
	int status = vendor_folder_open(&folder, call, call->subject);

	if (status != VENDOR_DONE)
		return status;
	status = check_out(call);
	if (status == VENDOR_DONE)
		status = read_request(&request, call);
	if (status == VENDOR_DONE)
		status = read_terms(&terms, &arena, call);
	if (status == VENDOR_DONE) {
		fill_license(&license, &request, &terms, &folder);
		status = issue(&license, &request, serial, &folder, call);
	}
	if (status == VENDOR_DONE) {
		warn_ended(&license, call);
		status = print_license(call, &license);
	}
	vendor_folder_close(&folder);
	arena_release(&arena);
	return status;
}

static const struct vendor_option issue_options[] = {
	{ "--request", "FILE", "the site's activation request", true },
	{ "--terms", "FILE",
	    "product, seats, features, prices and contract, JSON", true },
	{ "--out", "FILE", "the license file to write", true },
	{ "--license-id", "ID", "instead of lic-VENDOR-SITE-YEAR-NNN", false },
	{ "--serial", "N", "instead of the next; replaces lower ones", false },
	{ NULL, NULL, NULL, false },
};
const struct vendor_command vendor_issue_command = { "issue", "DIR",
	"Issue a license for an activation request",
	"leasehold-vendor issue vendor --request request.txt --terms "
	"terms.json --out davinci.lic",
	issue_options, run_issue };
