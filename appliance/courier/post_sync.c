/* Reports to hubs; see post.h. The hub's answer is read here, where there is
 * nothing to take: the ledger gets a sealed file, or words. */
#include "appliance/courier/post.h"

#include "appliance/courier/post_private.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/rpc.h"

#include <stdio.h>
#include <string.h>

#define REPORT_PATH "/api/v1/sync/report"
/** Of an answer: a file of SYNC_FILE_MAX in base64, and what is told beside. */
#define ANSWER_MAX ((size_t)2 << 20)

struct reporting {
	struct post_way way; /* first: post_way_head() gets it */
	struct buf answer;
};

/* --- what it answers ---------------------------------------------------------- */

static size_t
got_answer(char *data, size_t size, size_t n, void *ctx)
{
	struct reporting *reporting = ctx;

	buf_add(&reporting->answer, data, size * n);
	return reporting->answer.failed ? 0 : size * n;
}

static void
fail(struct courier_synced *out, const char *words)
{
	out->outcome = COURIER_FAILED;
	text_copy(out->error, sizeof(out->error), words);
}

/* Its own words for people, where it has some: RFC 9457. */
static void
read_problem(struct courier_synced *out, const uint8_t *answer, size_t len)
{
	struct problem problem;

	memset(&problem, 0, sizeof(problem));
	out->outcome = COURIER_FAILED;
	if (len == 0 ||
	    rpc_read_problem(&problem, (const char *)answer, len) != 0 ||
	    !text_is_printable(problem.code, strlen(problem.code)) ||
	    !text_is_printable(problem.detail, strlen(problem.detail))) {
		snprintf(out->error, sizeof(out->error), "it answered %u",
		    out->status);
		return;
	}
	snprintf(out->error, sizeof(out->error), "the hub says %.40s: %.130s",
	    problem.code, problem.detail);
	/* Cut within a character, it would be none. */
	for (size_t n = strlen(out->error);
	     n > 0 && !text_is_printable(out->error, strlen(out->error));)
		out->error[--n] = '\0';
}

void
post_report_read(struct courier_synced *out, struct buf *file,
    const uint8_t *answer, size_t len)
{
	struct hub_reports_taken taken;
	struct arena arena = { 0 };

	if (out->status < 200 || out->status >= 300) {
		read_problem(out, answer, len);
		return;
	}
	out->outcome = COURIER_DELIVERED;
	if (len == 0 ||
	    record_read_json(&taken, &hub_reports_taken_record,
		(const char *)answer, len, &arena, NULL) != 0)
		fail(out, "it answers, but not as a hub does");
	else if (taken.file.len > SYNC_FILE_MAX)
		fail(out, "its answer is too large: fetch it as a file");
	else
		buf_add(file, taken.file.data, taken.file.len);
	arena_release(&arena);
}

/* --- the request ---------------------------------------------------------------- */

static bool
write_request(struct buf *body, const struct courier_sync *job)
{
	const struct hub_report_sent sent = { .line = job->line,
		.file = job->file };

	record_write_json(body, &hub_report_sent_record, &sent);
	return !body->failed;
}

static bool
add_headers(struct post_way *way, const struct courier_sync *job)
{
	char vendor[96];
	struct curl_slist *list =
	    curl_slist_append(NULL, "Content-Type: application/json");

	snprintf(vendor, sizeof(vendor), "X-Vendor-ID: %s", job->vendor);
	if (list != NULL && curl_slist_append(list, "Expect:") != NULL &&
	    strpbrk(vendor, "\r\n") == NULL &&
	    curl_slist_append(list, vendor) != NULL) {
		way->headers = list;
		return true;
	}
	curl_slist_free_all(list);
	return false;
}

static void
set_tls(CURL *curl, const struct post *post)
{
	struct curl_blob certificate = { post->own.certificate,
		post->own.certificate_len, CURL_BLOB_NOCOPY };
	struct curl_blob key = { post->own.key, post->own.key_len,
		CURL_BLOB_NOCOPY };
	struct curl_blob ca = { post->sync_ca, post->sync_ca_len,
		CURL_BLOB_NOCOPY };
	const long timeout_ms = (long)post->options->sync_timeout_s * 1000;

	post_set_common(curl, post, false);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &certificate);
	curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key);
	if (ca.data != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca);
}

static void
set_request(struct reporting *reporting, const char *url,
    const struct buf *body)
{
	CURL *curl = reporting->way.curl;

	set_tls(curl, reporting->way.post);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
	    "Leasehold/" LEASEHOLD_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, reporting->way.headers);
	curl_easy_setopt(curl, CURLOPT_RESOLVE, reporting->way.resolved);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, post_way_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &reporting->way);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)body->data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->len);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, post_way_head);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reporting->way);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, got_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reporting);
}

/* RFC 9110, 10.2.3; with an answer that says it is for now. */
static uint32_t
read_wait(CURL *curl, uint32_t status)
{
	curl_off_t wait = 0;

	if ((status != 429 && status != 503) ||
	    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) != CURLE_OK ||
	    wait <= 0)
		return 0;
	return wait < COURIER_WAIT_MAX_S ? (uint32_t)wait : COURIER_WAIT_MAX_S;
}

static void
do_report(struct courier_synced *out, struct buf *file,
    struct reporting *reporting, const char *url, const struct buf *body)
{
	struct courier_posted posted = { .outcome = COURIER_FAILED };

	set_request(reporting, url, body);
	CURLcode code = curl_easy_perform(reporting->way.curl);

	post_way_judge(&posted, &reporting->way, code);
	out->status = posted.status;
	out->retry_after_s = read_wait(reporting->way.curl, out->status);
	if (code == CURLE_OK && posted.status != 0)
		post_report_read(out, file, reporting->answer.data,
		    reporting->answer.len);
	else
		fail(out, posted.error);
}

void
post_report(struct courier_synced *out, struct buf *file,
    const struct post *post, const struct courier_sync *job)
{
	struct reporting reporting = {
		.way = { .post = post, .anywhere = job->anywhere },
		.answer = { .max = ANSWER_MAX },
	};
	struct courier_posted posted = { .outcome = COURIER_FAILED };
	struct buf body = { .data = NULL };
	size_t len = strlen(job->url);
	char url[sizeof(job->url) + sizeof(REPORT_PATH)];

	*out = (struct courier_synced){ .outcome = COURIER_FAILED };
	while (len > 0 && job->url[len - 1] == '/')
		len--;
	snprintf(url, sizeof(url), "%.*s" REPORT_PATH, (int)len, job->url);
	if (!post_way_find(&posted, &reporting.way, url)) {
		fail(out, posted.error);
		return;
	}
	reporting.way.curl = curl_easy_init();
	if (reporting.way.curl != NULL && add_headers(&reporting.way, job) &&
	    write_request(&body, job))
		do_report(out, file, &reporting, url, &body);
	else
		fail(out, "out of memory");
	curl_easy_cleanup(reporting.way.curl);
	curl_slist_free_all(reporting.way.headers);
	curl_slist_free_all(reporting.way.resolved);
	buf_release(&reporting.answer);
	buf_release(&body);
}
