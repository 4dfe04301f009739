/* Mail over SMTP, and lines to the system's log; see post.h. */
#include "appliance/courier/post_private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- the mail ---------------------------------------------------------------- */

bool
post_is_address(const char *text)
{
	const char *at = strchr(text, '@');
	size_t len = strlen(text);

	if (at == NULL || at == text || at[1] == '\0' || len > 254 ||
	    strchr(at + 1, '@') != NULL || text[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f ||
		    strchr("<>()[],;:\\\"", text[i]) != NULL)
			return false;
	return true;
}

/* RFC 2047: words of base64, none above 75 characters, none that cuts a
 * character of UTF-8 in two. */
static void
add_encoded(struct buf *out, const char *text)
{
	size_t len = strlen(text), at = 0;

	while (at < len) {
		char word[96];
		size_t n = len - at < 42 ? len - at : 42;

		while (at + n < len && n > 1 &&
		    ((unsigned char)text[at + n] & 0xc0) == 0x80)
			n--;
		sodium_bin2base64(word, sizeof(word),
		    (const unsigned char *)text + at, n,
		    sodium_base64_VARIANT_ORIGINAL);
		buf_printf(out, "%s=?utf-8?B?%s?=", at == 0 ? "" : "\r\n ",
		    word);
		at += n;
	}
}

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text >= 0x7f || *text == '=')
			return false;
	return true;
}

static void
add_date(struct buf *out, int64_t ms)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL)
		return;
	buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* In lines of 76: whatever it says, no line of it is a dot alone. */
static void
add_body(struct buf *out, const struct record_span *body)
{
	char line[96];

	for (size_t at = 0; at < body->len; at += 57) {
		size_t n = body->len - at < 57 ? body->len - at : 57;

		sodium_bin2base64(line, sizeof(line),
		    (const unsigned char *)body->data + at, n,
		    sodium_base64_VARIANT_ORIGINAL);
		buf_printf(out, "%s\r\n", line);
	}
}

void
post_mail_write(struct buf *out, const char *from,
    const struct courier_mail *job)
{
	const struct courier_address *to = job->to.items;
	const char *host = strchr(from, '@');

	add_date(out, job->date);
	buf_printf(out, "From: Leasehold <%s>\r\n", from);
	for (uint32_t i = 0; i < job->to.count; i++)
		buf_printf(out, i == 0 ? "To: %s" : ",\r\n %s", to[i].address);
	buf_add_str(out, "\r\nSubject: ");
	if (is_plain(job->subject))
		buf_add_str(out, job->subject);
	else
		add_encoded(out, job->subject);
	/* The same each time: who gets it twice can tell. */
	buf_printf(out,
	    "\r\nMessage-ID: <%s@%s>\r\nLeasehold-Delivery: %s\r\n"
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n",
	    job->id, host != NULL ? host + 1 : "leasehold", job->id);
	add_body(out, &job->body);
}

/* --- SMTP ---------------------------------------------------------------------- */

struct reading {
	struct buf mail;
	size_t at;
};

static size_t
read_mail(char *data, size_t size, size_t n, void *ctx)
{
	struct reading *reading = ctx;
	size_t left = reading->mail.len - reading->at, room = size * n;
	size_t len = left < room ? left : room;

	if (len > 0)
		memcpy(data, reading->mail.data + reading->at, len);
	reading->at += len;
	return len;
}

static struct curl_slist *
list_recipients(const struct courier_mail *job)
{
	const struct courier_address *to = job->to.items;
	struct curl_slist *list = NULL;

	for (uint32_t i = 0; i < job->to.count; i++) {
		char text[sizeof(to->address) + 2];

		snprintf(text, sizeof(text), "<%s>", to[i].address);
		struct curl_slist *more = curl_slist_append(list, text);

		if (more == NULL) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = more;
	}
	return list;
}

static void
set_mail(CURL *curl, const struct post *post, struct reading *reading)
{
	const struct post_options *options = post->options;
	bool tls = strcmp(options->mail_tls, "tls") == 0;
	bool plain = strcmp(options->mail_tls, "plain") == 0;
	char url[POST_TEXT + 16], from[POST_TEXT + 2];

	snprintf(url, sizeof(url), "%s://%s", tls ? "smtps" : "smtp",
	    options->mail_server);
	snprintf(from, sizeof(from), "<%s>", options->mail_from);
	post_set_common(curl, post, true);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_USE_SSL,
	    plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_mail);
	curl_easy_setopt(curl, CURLOPT_READDATA, reading);
	if (post->mail_password != NULL) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, options->mail_user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, post->mail_password);
	}
}

/* Its host may be a name: no look-up of curl's own, which begins a thread.
 * The admin of the site has set it, so it may be anywhere. */
static struct curl_slist *
resolve_server(const struct post_options *options)
{
	return post_resolve(options->mail_server,
	    strcmp(options->mail_tls, "tls") == 0 ? "465" : "25");
}

void
post_mail(struct courier_posted *out, const struct post *post,
    const struct courier_mail *job)
{
	const struct post_options *options = post->options;
	struct curl_slist *to = list_recipients(job);
	struct curl_slist *resolved = resolve_server(options);
	struct reading reading = { .at = 0 };
	CURL *curl = curl_easy_init();
	long status = 0;

	*out = (struct courier_posted){ .outcome = COURIER_FAILED };
	post_mail_write(&reading.mail, options->mail_from, job);
	if (options->mail_server[0] == '\0') {
		post_fail(out, "[mail] server= is not set in leaseholdd.ini");
	} else if (to == NULL || curl == NULL || reading.mail.failed) {
		post_fail(out, "out of memory");
	} else {
		set_mail(curl, post, &reading);
		curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
		curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved);
		CURLcode code = curl_easy_perform(curl);

		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		out->status =
		    status > 0 && status < 1000 ? (uint32_t)status : 0;
		if (code == CURLE_OK)
			out->outcome = COURIER_DELIVERED;
		else
			post_fail(out, "%.90s (SMTP %u)",
			    curl_easy_strerror(code), out->status);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(to);
	curl_slist_free_all(resolved);
	buf_release(&reading.mail);
}

/* --- the system's log ---------------------------------------------------------- */

void
post_line(struct courier_posted *out, const struct post *post,
    const struct courier_line *job)
{
	const struct post_options *options = post->options;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char line[sizeof(job->text) + 64];

	*out = (struct courier_posted){ .outcome = COURIER_FAILED };
	if (!text_copy(address.sun_path, sizeof(address.sun_path),
		options->syslog)) {
		post_fail(out, "[courier] syslog= is too long");
		return;
	}
	/* RFC 3164 as daemons on the same machine say it; LOG_DAEMON is 3. */
	int n = snprintf(line, sizeof(line), "<%u>leasehold: %s",
	    3u << 3 | (job->priority & 7), job->text);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && n > 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		out->outcome = COURIER_DELIVERED;
	else
		post_fail(out, "%.100s: %s", options->syslog, strerror(errno));
	if (fd >= 0)
		close(fd);
}
