/* Who made a TPM, by its EK's certificate; see enroll.h. Source: TCG EK
 * Credential Profile for TPM 2.0, section 3. What no maker signed, or nobody
 * listed, is of class vtpm; a certificate of another key is a lie. */
#include "shared/proof/endorse.h"
#include "shared/proof/trust.h"

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* tcg-kp-EKCertificate, tcg-at-tpmManufacturer */
#define OID_EK_CERTIFICATE "2.23.133.8.1"
#define OID_MANUFACTURER "2.23.133.2.1"

/* Chains above this are nobody's. */
#define CHAIN_MAX 8
/* 112 bits: RSA-2048, P-256, SHA-256; no SHA-1. */
#define SECURITY_LEVEL 2

/* --- the key -------------------------------------------------------------- */

static int
check_key(X509 *certificate, const struct record_span *ek)
{
	EVP_PKEY *key = endorse_ek_read(ek);
	int same =
	    key == NULL ? 0 : EVP_PKEY_eq(X509_get0_pubkey(certificate), key);

	EVP_PKEY_free(key);
	return same == 1 ? 0 : ERR_BAD_PROOF;
}

/* --- what a certificate of an EK says ------------------------------------- */

static bool
has_oid(const ASN1_OBJECT *object, const char *oid)
{
	char text[64];

	return OBJ_obj2txt(text, sizeof(text), object, 1) > 0 &&
	    strcmp(text, oid) == 0;
}

/* No extended usage allows any; one without EKs' is of something else. */
static bool
is_for_ek(X509 *certificate)
{
	int critical = -1;
	EXTENDED_KEY_USAGE *usage =
	    X509_get_ext_d2i(certificate, NID_ext_key_usage, &critical, NULL);
	bool fits = critical == -1; /* not there at all */

	for (int i = 0; usage != NULL && i < sk_ASN1_OBJECT_num(usage); i++)
		fits = fits ||
		    has_oid(sk_ASN1_OBJECT_value(usage, i), OID_EK_CERTIFICATE);
	EXTENDED_KEY_USAGE_free(usage);
	return fits;
}

/* "id:49465800" is "IFX". False: not of that form. */
static bool
read_manufacturer(char out[16], const ASN1_STRING *value)
{
	const unsigned char *text = ASN1_STRING_get0_data(value);
	uint8_t letters[5] = { 0 };
	char hex[8];
	size_t len;

	if (ASN1_STRING_length(value) != 11 || memcmp(text, "id:", 3) != 0)
		return false;
	for (size_t i = 0; i < sizeof(hex); i++) {
		char c = (char)text[3 + i];

		hex[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
	}
	if (text_from_hex(letters, 4, &len, hex, sizeof(hex)) != 0)
		return false;
	size_t n = strnlen((const char *)letters, 4);

	while (n > 0 && letters[n - 1] == ' ')
		n--;
	if (n == 0 || !text_is_printable((const char *)letters, n))
		text_copy_n(out, 16, (const char *)text + 3, 8);
	else
		text_copy_n(out, 16, (const char *)letters, n);
	return true;
}

static bool
find_manufacturer(char out[16], const X509_NAME *name)
{
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);

		if (has_oid(X509_NAME_ENTRY_get_object(entry),
			OID_MANUFACTURER))
			return read_manufacturer(out,
			    X509_NAME_ENTRY_get_data(entry));
	}
	return false;
}

/* The alternative name of an EK's certificate names the TPM's maker. */
static bool
names_tpm(char manufacturer[16], X509 *certificate)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		found = found ||
		    (name->type == GEN_DIRNAME &&
			find_manufacturer(manufacturer, name->d.directoryName));
	}
	GENERAL_NAMES_free(names);
	return found;
}

static void
name_issuer(char out[128], X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	/* RFC 2253 escapes all that is not printable ASCII. */
	if (bio != NULL &&
	    X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0,
		XN_FLAG_RFC2253) >= 0) {
		long len = BIO_get_mem_data(bio, &text);

		if (len > 127)
			len = 127;
		text_copy_n(out, 128, text, (size_t)len);
	}
	BIO_free(bio);
}

/* A certificate by issuer and number: its signature can be written in more
 * than one way, so its own digest would not be one for each. */
static int
identify(uint8_t out[32], X509 *certificate)
{
	crypto_hash_sha256_state state;
	unsigned char *der[2] = { NULL, NULL };
	int len[2] = {
		i2d_X509_NAME(X509_get_issuer_name(certificate), &der[0]),
		i2d_ASN1_INTEGER(X509_get_serialNumber(certificate), &der[1]),
	};
	int err = len[0] > 0 && len[1] > 0 ? 0 : ERR_NOMEM;

	crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < 2; i++) { /* DER says its own length */
		if (err == 0)
			crypto_hash_sha256_update(&state, der[i],
			    (unsigned int)len[i]);
		OPENSSL_free(der[i]);
	}
	crypto_hash_sha256_final(&state, out);
	return err;
}

/* --- the chain ------------------------------------------------------------ */

static bool
prepare(X509_STORE_CTX *ctx, const struct proof_trust *trust, X509 *certificate,
    int64_t now_ms, unsigned long flags)
{
	if (X509_STORE_CTX_init(ctx, trust->store, certificate, NULL) != 1)
		return false;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / 1000));
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	return true;
}

/* One CA on the way that makes chips, and none that makes programs. */
static enum trust_word
judge_chain(const struct proof_trust *trust, STACK_OF(X509) * chain)
{
	enum trust_word word = TRUST_UNKNOWN;

	for (int i = 1; i < sk_X509_num(chain); i++) {
		enum trust_word here = trust_of(trust, sk_X509_value(chain, i));

		if (word != TRUST_VIRTUAL && here != TRUST_UNKNOWN)
			word = here;
	}
	return word;
}

/* 0 when the chain holds; else the reason is written. */
static int
walk_once(enum trust_word *word, struct proof_endorsement *out,
    const struct proof_trust *trust, X509 *certificate, int64_t now_ms,
    unsigned long flags)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (ctx == NULL || !prepare(ctx, trust, certificate, now_ms, flags)) {
		X509_STORE_CTX_free(ctx);
		return ERR_NOMEM;
	}
	int held = X509_verify_cert(ctx);

	if (held == 1)
		*word = judge_chain(trust, X509_STORE_CTX_get0_chain(ctx));
	else
		snprintf(out->reason, sizeof(out->reason),
		    "its certificate does not chain to a CA of the bundle: %s",
		    X509_verify_cert_error_string(
			X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_free(ctx);
	return held == 1 ? 0 : ERR_UNTRUSTED;
}

/* Up to a root, so that every CA on the way is seen; a bundle that stops below
 * its roots will do as well. */
static int
walk_chain(enum trust_word *word, struct proof_endorsement *out,
    const struct proof_trust *trust, X509 *certificate, int64_t now_ms)
{
	int err = walk_once(word, out, trust, certificate, now_ms, 0);

	if (err == ERR_UNTRUSTED)
		err = walk_once(word, out, trust, certificate, now_ms,
		    X509_V_FLAG_PARTIAL_CHAIN);
	if (err == 0)
		out->reason[0] = '\0';
	return err;
}

/* --- the verdict ---------------------------------------------------------- */

static void
say_why(struct proof_endorsement *out, const char *reason)
{
	text_copy(out->reason, sizeof(out->reason), reason);
}

static int
judge(struct proof_endorsement *out, const struct proof_trust *trust,
    X509 *certificate, int64_t now_ms)
{
	enum trust_word word = TRUST_UNKNOWN;

	name_issuer(out->issuer, certificate);
	if (trust == NULL || trust->store == NULL) {
		say_why(out, "the site has no bundle of makers' CAs");
		return 0;
	}
	int err = walk_chain(&word, out, trust, certificate, now_ms);

	if (err < 0)
		return err == ERR_UNTRUSTED ? 0 : err;
	if (!names_tpm(out->manufacturer, certificate)) {
		say_why(out, "its certificate names no maker of TPMs");
		return 0;
	}
	if (!is_for_ek(certificate)) {
		say_why(out, "its certificate is not for an endorsement key");
		return 0;
	}
	err = identify(out->certificate_id, certificate);
	if (err < 0)
		return err;
	if (word == TRUST_HARDWARE)
		out->class_ = PROOF_TPM;
	else if (word == TRUST_VIRTUAL)
		say_why(out, "its issuer is listed as virtual");
	else
		say_why(out, "its issuer is not listed as hardware");
	return 0;
}

static X509 *
read_certificate(const struct record_span *der)
{
	const unsigned char *at = der->data, *end = at + der->len;
	X509 *certificate = d2i_X509(NULL, &at, (long)der->len);

	/* Not all of it, or a key that cannot be read. */
	if (at == end && X509_get0_pubkey(certificate) != NULL)
		return certificate;
	X509_free(certificate);
	return NULL;
}

int
proof_material_judge(struct proof_endorsement *out,
    const struct proof_trust *trust, const struct proof_material *material,
    const uint8_t *public_key, size_t len, int64_t now_ms)
{
	uint8_t ek_public[TEMPLATE_PUBLIC_MAX];
	struct template_key key;
	int err = 0;

	*out = (struct proof_endorsement){ .class_ = PROOF_VTPM };
	if (!endorse_key_fits(&key, material, public_key, len))
		return ERR_BAD_PROOF;
	crypto_hash_sha256(out->ek_id, ek_public,
	    template_ek_public(ek_public, material->ek.data, material->ek.len));
	if (material->certificate.len == 0) {
		say_why(out, "the TPM shows no certificate");
		return 0;
	}
	ERR_set_mark();
	X509 *certificate = read_certificate(&material->certificate);

	if (certificate == NULL)
		say_why(out, "its certificate cannot be read");
	else
		err = check_key(certificate, &material->ek);
	if (certificate != NULL && err == 0)
		err = judge(out, trust, certificate, now_ms);
	X509_free(certificate);
	ERR_pop_to_mark(); /* our refusals are nobody else's errors */
	return err;
}
