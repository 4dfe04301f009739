/*
 * Bringing what is finished to where it goes: a webhook over HTTPS, a mail over
 * SMTP, a line to the system's log; each by libcurl or a socket, on the calling
 * thread, within a few seconds and a few KiB of answer. TLS is verified,
 * redirects are not followed, addresses that are not of the public Internet are
 * refused to webhooks unless they are allowed (reach.h). What the other end
 * says is never repeated, but for its status. It must not know why anything is
 * sent.
 */
#ifndef APPLIANCE_COURIER_POST_H
#define APPLIANCE_COURIER_POST_H

#include "appliance/courier/jobs.h"
#include "appliance/courier/own.h"
#include "appliance/courier/reach.h"

#define POST_TEXT 256
#define POST_CA_MAX ((size_t)1 << 20)
/** Of an answer's head and body; what comes beyond is not read. */
#define POST_HEAD_MAX ((size_t)16 << 10)
#define POST_BODY_MAX ((size_t)4 << 10)

enum post_tls { POST_STARTTLS, POST_TLS, POST_PLAIN };

struct post_options {
	char ca[POST_TEXT]; /* PEM file; "": the system's */
	char allow[POST_TEXT]; /* ranges that are not public */
	struct reach reach; /* the same, read */
	int64_t timeout_s; /* of one try, all together */
	/* Of mail; server "": there is none. */
	char mail_server[POST_TEXT]; /* "mail.example:587" */
	char mail_tls[16]; /* "starttls", "tls", "plain" */
	char mail_from[POST_TEXT];
	char mail_user[POST_TEXT]; /* "": without a login */
	char mail_password_file[POST_TEXT];
	char mail_ca[POST_TEXT]; /* "": as ca */
	char syslog[POST_TEXT]; /* the socket of the system's log */
	/* Of reports to hubs. */
	char sync_hub[POST_TEXT]; /* of vendors whose licenses name none */
	char sync_ca[POST_TEXT]; /* "": as ca */
	int64_t sync_timeout_s; /* of one report */
	char dns[POST_TEXT]; /* resolver; "": of /etc/resolv.conf */
};

/** What is read at the start, by who may read it. */
struct post {
	const struct post_options *options;
	uint8_t *ca, *mail_ca, *sync_ca; /* PEM; NULL: the system's */
	size_t ca_len, mail_ca_len, sync_ca_len;
	struct own own; /* what it shows to hubs */
	char *mail_password; /* guarded; NULL: none */
};

/** Once for the process, before its threads. 0, ERR_BAD_REQUEST (logged: the
 * configuration is at fault) or ERR_SYSTEM. */
int post_open(struct post *post, const struct post_options *options);
/** No thread uses it any more. */
void post_close(struct post *post);

void post_webhook(struct courier_posted *out, const struct post *post,
    const struct courier_post *job);
void post_mail(struct courier_posted *out, const struct post *post,
    const struct courier_mail *job);
/** A report to a hub, over mutual TLS; in post_sync.c. What is answered with it
 * is appended to `file`. */
void post_report(struct courier_synced *out, struct buf *file,
    const struct post *post, const struct courier_sync *job);
/** What a hub said: bytes of a stranger. DELIVERED with its file, or why not. */
void post_report_read(struct courier_synced *out, struct buf *file,
    const uint8_t *answer, size_t len);
void post_line(struct courier_posted *out, const struct post *post,
    const struct courier_line *job);

/** The mail itself, as it goes over the wire; in post_mail.c. No field can add
 * a header: what is not printable ASCII is encoded (RFC 2047, base64). */
void post_mail_write(struct buf *out, const char *from,
    const struct courier_mail *job);
/** "a@b.example": printable ASCII, one @, nothing that SMTP gives a meaning. */
bool post_is_address(const char *text);

#endif
