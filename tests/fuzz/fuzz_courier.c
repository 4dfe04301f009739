/* What comes back from a courier, and what is sent to one: it may be anything,
 * and nothing of it that is taken steers a terminal or is out of its bounds. */
#include "appliance/courier/post.h"
#include "shared/base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_text(const char *text)
{
	struct courier_address to = { "a@b.example" };
	struct courier_mail mail = { .id = "1", .to = { &to, 1 } };
	struct buf out = { .len = 0 };
	struct reach reach;
	char bad[64];

	if (!reach_read(&reach, text, bad))
		assert(strlen(bad) < sizeof(bad));
	if (post_is_address(text))
		assert(strpbrk(text, " \r\n<>,") == NULL);
	text_copy_n(mail.subject, sizeof(mail.subject), text,
	    strnlen(text, sizeof(mail.subject) - 1));
	mail.body = (struct record_span){ (const uint8_t *)text,
		(uint32_t)strlen(text) };
	post_mail_write(&out, "l@b.example", &mail);
	for (size_t i = 0; i + 1 < out.len && !out.failed; i++)
		assert((out.data[i] >= 0x20 && out.data[i] < 0x7f) ||
		    (out.data[i] == '\r' && out.data[i + 1] == '\n') ||
		    out.data[i] == '\n');
	buf_release(&out);
}

/* What a hub answers to a report: a file, or words that go to a log. */
static void
try_answer(const uint8_t *data, size_t size, uint32_t status)
{
	struct courier_synced synced = { .outcome = COURIER_FAILED,
		.status = status };
	struct buf file = { .len = 0 };

	post_report_read(&synced, &file, data, size);
	assert(synced.outcome <= COURIER_FAILED);
	assert(text_is_printable(synced.error, strlen(synced.error)));
	assert(file.len <= SYNC_FILE_MAX);
	assert(synced.outcome == COURIER_DELIVERED || file.len == 0);
	buf_release(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct courier_posted posted;
	struct courier_bound bound;
	struct courier_post post;
	struct arena arena = { 0 };
	char *text = malloc(size + 1);

	try_answer(data, size, 200);
	try_answer(data, size, 429);
	if (courier_posted_read(&posted, data, size) == 0) {
		assert(posted.outcome <= COURIER_FAILED);
		assert(text_is_printable(posted.error, strlen(posted.error)));
	} else {
		assert(posted.outcome == COURIER_FAILED);
	}
	(void)record_read_msgpack(&bound, &courier_bound_record, data, size,
	    NULL, &arena, NULL);
	if (record_read_msgpack(&post, &courier_post_record, data, size, NULL,
		&arena, NULL) == 0)
		assert(strlen(post.url) < sizeof(post.url));
	arena_release(&arena);
	if (text != NULL) {
		memcpy(text, data, size);
		text[size] = '\0';
		try_text(text);
	}
	free(text);
	return 0;
}
