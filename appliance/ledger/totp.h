/*
 * One-time codes that a phone shows: RFC 6238 with SHA-1, 30 seconds and six
 * digits, which is what every authenticator understands. A code is good for its
 * own step and one on either side, and once only: the caller keeps the last
 * step that was used. It must not know users or clocks.
 */
#ifndef APPLIANCE_LEDGER_TOTP_H
#define APPLIANCE_LEDGER_TOTP_H

#include <stddef.h>
#include <stdint.h>

#define TOTP_SECRET_BYTES 20
#define TOTP_STEP_S 30
#define TOTP_DIGITS 6
/** Of the secret in base32, with its NUL. */
#define TOTP_SECRET_TEXT 33
#define TOTP_URI_TEXT 448

/** RFC 4226: the code of one step. */
uint32_t totp_code(const uint8_t *secret, size_t len, uint64_t step);

/**
 * Is it a code of now? Every step that may be is looked at, whichever fits.
 *
 * @param[out] step  Of the code: to be kept as `last`. Untouched otherwise.
 * @param[in]  text  What was typed: six digits, spaces between them are fine.
 * @param[in]  last  The newest step that was used; codes up to it are not good
 *                   again. 0: none was.
 * @retval ERR_UNAUTHENTICATED  No, or not any more.
 */
int totp_check(uint64_t *step, const uint8_t secret[TOTP_SECRET_BYTES],
    const char *text, int64_t now_ms, uint64_t last);

/** RFC 4648, without padding. */
void totp_secret_text(char out[TOTP_SECRET_TEXT],
    const uint8_t secret[TOTP_SECRET_BYTES]);

/** What an authenticator reads from a picture:
 * "otpauth://totp/ISSUER:ACCOUNT?secret=...". Names are percent-encoded; long
 * ones are cut. */
void totp_uri(char out[TOTP_URI_TEXT], const char *issuer, const char *account,
    const uint8_t secret[TOTP_SECRET_BYTES]);

#endif
