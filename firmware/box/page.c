/* See page.h. */
#include "firmware/box/page.h"

#include "firmware/box/code.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABEL 11 /* columns */
#define SEATS_SHOWN_MAX 60

/* --- the gate --------------------------------------------------------------- */

/* The bytes of one character that may pass, 0: it is not one of them. Latin-1
 * is what the kernel's font has; each is one column wide and has no direction.
 */
static size_t
clean_length(const char *text)
{
	const uint8_t *c = (const uint8_t *)text;

	if (c[0] >= 0x20 && c[0] < 0x7f)
		return 1;
	/* U+00A1 to U+00FF, without the soft hyphen */
	if (c[0] == 0xc2 && c[1] >= 0xa1 && c[1] <= 0xbf && c[1] != 0xad)
		return 2;
	if (c[0] == 0xc3 && c[1] >= 0x80 && c[1] <= 0xbf)
		return 2;
	return 0;
}

void
page_add_clean(struct buf *out, const char *text, size_t columns)
{
	for (size_t n = 0; *text != '\0' && n < columns; n++) {
		size_t len = clean_length(text);

		if (len != 0) {
			buf_add(out, text, len);
			text += len;
			continue;
		}
		buf_add_byte(out, '?');
		/* One mark for one character, whole or not. */
		text++;
		while (((uint8_t)*text & 0xc0) == 0x80)
			text++;
	}
}

static void
add_line(struct page *page, const char *text)
{
	struct buf clean = { .max = PAGE_COLUMNS * 2 };

	if (page->n == PAGE_LINES_MAX)
		return;
	page_add_clean(&clean, text, PAGE_COLUMNS);
	text_copy(page->line[page->n], sizeof(page->line[0]),
	    buf_text(&clean) != NULL ? buf_text(&clean) : "");
	page->n++;
	buf_release(&clean);
}

static void __attribute__((format(printf, 3, 4)))
say(struct page *page, const char *label, const char *format, ...)
{
	char text[512];
	char line[sizeof(text) + LABEL + 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "%-*s%s", LABEL, label, text);
	add_line(page, line);
}

/* A long text over several lines, broken at spaces where there are any. */
static void
say_long(struct page *page, const char *label, const char *text)
{
	const size_t width = PAGE_COLUMNS - LABEL;

	for (int lines = 0; *text != '\0' && lines < 4; lines++) {
		size_t len = strnlen(text, width);

		if (text[len] != '\0')
			for (size_t at = len; at > width / 2; at--)
				if (text[at] == ' ') {
					len = at;
					break;
				}
		say(page, lines == 0 ? label : "", "%.*s", (int)len, text);
		text += len;
		while (*text == ' ')
			text++;
	}
}

/* --- parts ------------------------------------------------------------------ */

/* "2026-11-23 02:10 UTC" */
static void
minute_of(char out[CLOCK_TEXT_SIZE], int64_t time)
{
	clock_format(out, time);
	out[10] = ' ';
	text_copy(out + 16, CLOCK_TEXT_SIZE - 16, " UTC");
}

static bool
is_stale(const struct page_facts *facts)
{
	const struct box_status *status = facts->status;

	return status == NULL || facts->boottime_ms < status->boottime_ms ||
	    facts->boottime_ms - status->boottime_ms > PAGE_STALE_MS;
}

static void
add_head(struct page *page, const struct page_facts *facts)
{
	const struct box_status *status = facts->status;
	char time[CLOCK_TEXT_SIZE] = "";

	if (status != NULL)
		minute_of(time, status->time);
	say(page, "LEASEHOLD", "%-44.44s %s",
	    status != NULL ? status->name : "", time);
	add_line(page, "");
}

static void
add_state(struct page *page, const struct page_facts *facts)
{
	const struct box_status *status = facts->status;

	if (status == NULL) {
		say_long(page, "State",
		    facts->trouble != NULL && facts->trouble[0] != '\0'
			? facts->trouble
			: "the service has said nothing yet");
		return;
	}
	if (is_stale(facts))
		say(page, "State",
		    "NO WORD FROM THE SERVICE; what follows is of the time "
		    "above");
	else if (status->state == BOX_REFUSING)
		say_long(page, "State", "GRANTS NOTHING:");
	else
		say(page, "State", "%s",
		    status->state == BOX_READY          ? "ready"
			: status->state == BOX_STARTING ? "starting"
							: "stopping");
	if (status->reason[0] != '\0')
		say_long(page, "", status->reason);
	say(page, "Site", "%s", status->site);
}

static void
add_address(struct page *page, const struct page_facts *facts)
{
	uint32_t port = facts->status != NULL ? facts->status->port : 0;

	if (facts->n_address == 0)
		say_long(page, "Address",
		    "none; is the cable in? For a fixed address put "
		    "network.ini on a USB stick labelled LEASEHOLD");
	for (size_t i = 0; i < facts->n_address; i++) {
		bool v6 = strchr(facts->address[i], ':') != NULL;

		if (port == 0)
			say(page, i == 0 ? "Address" : "", "%s",
			    facts->address[i]);
		else
			say(page, i == 0 ? "Address" : "",
			    "https://%s%s%s:%" PRIu32, v6 ? "[" : "",
			    facts->address[i], v6 ? "]" : "", port);
	}
}

static void
add_fingerprint(struct page *page, const struct box_status *status)
{
	char hex[65];
	char spaced[2][64] = { "", "" };

	text_to_hex(hex, status->ca_sha256, 32);
	for (size_t i = 0; i < 16; i++) {
		char *to = spaced[i / 8];
		size_t len = strlen(to);

		snprintf(to + len, sizeof(spaced[0]) - len, "%.4s ",
		    hex + 4 * i);
	}
	say(page, "CA SHA-256", "%s", spaced[0]);
	say(page, "", "%s", spaced[1]);
}

static void
add_seats(struct page *page, const struct box_status *status)
{
	const struct box_license *items = status->items.items;
	uint64_t used = 0, seats = 0, overage = 0;

	for (uint32_t i = 0; i < status->items.count; i++) {
		used += items[i].used;
		seats += items[i].seats;
		overage += items[i].overage_used;
	}
	if (status->licenses == 0)
		say(page, "Licenses",
		    "none; as an admin: leasehold license install FILE");
	else
		say(page, "Licenses", "%" PRIu64, status->licenses);
	say(page, "Seats",
	    "%" PRIu64 " of %" PRIu64 " held%s, %" PRIu64 " overage; %" PRIu64
	    " of %" PRIu64 " workstations connected",
	    used, seats,
	    status->licenses > status->items.count ? " (of the first licenses)"
						   : "",
	    overage, status->connected, status->devices);
	if (status->waiting > 0)
		say(page, "", "%" PRIu64 " wait for a seat", status->waiting);
}

static void
add_sync(struct page *page, const struct box_status *status)
{
	char time[CLOCK_TEXT_SIZE];

	if (status->receipt_at != 0) {
		minute_of(time, status->receipt_at);
		say(page, "Sync", "last receipt %s, %" PRIu64 " batches since",
		    time, status->unreported);
	} else {
		say(page, "Sync", "no receipt yet, %" PRIu64 " batches wait",
		    status->unreported);
	}
	if (status->stops_at != 0) {
		minute_of(time, status->stops_at);
		say(page, "", "without another nothing is granted from %s",
		    time);
	}
}

static void
add_update(struct page *page, const struct page_facts *facts)
{
	if (facts->image[0] != '\0')
		say(page, "Image", "%s", facts->image);
	if (facts->update[0] != '\0')
		say_long(page, "Update", facts->update);
}

static void
add_warnings(struct page *page, const struct page_facts *facts)
{
	const struct box_warning *items =
	    facts->status != NULL ? facts->status->warnings.items : NULL;
	uint32_t count = items != NULL ? facts->status->warnings.count : 0;

	if (count == 0 && facts->n_notice == 0) {
		say(page, "Warnings", "none");
		return;
	}
	for (size_t i = 0; i < facts->n_notice; i++)
		say_long(page, i == 0 ? "Warnings" : "", facts->notice[i]);
	for (uint32_t i = 0; i < count; i++)
		say_long(page, i == 0 && facts->n_notice == 0 ? "Warnings" : "",
		    items[i].text);
}

static void
add_licenses(struct page *page, const struct box_status *status)
{
	const struct box_license *items = status->items.items;

	if (status->items.count == 0)
		return;
	add_line(page, "");
	for (uint32_t i = 0; i < status->items.count && i < SEATS_SHOWN_MAX;
	     i++)
		say(page, i == 0 ? "In use" : "",
		    "%-24.24s %-22.22s %" PRIu32 "/%" PRIu32 " + %" PRIu32
		    "/%" PRIu32 "%s%s",
		    items[i].license_id, items[i].product, items[i].used,
		    items[i].seats, items[i].overage_used,
		    items[i].overage_seats,
		    strcmp(items[i].state, "active") == 0 ? "" : " ",
		    strcmp(items[i].state, "active") == 0 ? ""
							  : items[i].state);
}

/* --- the code --------------------------------------------------------------- */

void
page_code_text(struct buf *out, const char *address, uint32_t port,
    const uint8_t ca_sha256[32])
{
	char hex[65];

	text_to_hex(hex, ca_sha256, 32);
	buf_printf(out, "LEASEHOLD/1/%s/%" PRIu32 "/%s", address, port, hex);
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] >= 'a' && out->data[i] <= 'z')
			out->data[i] = (uint8_t)(out->data[i] - 'a' + 'A');
}

/* On a screen of its own, for its rows fill one. */
static void
add_code(struct page *page, const struct page_facts *facts)
{
	const struct box_status *status = facts->status;
	struct buf text = { .max = 256 };
	struct code code;

	page_code_text(&text, facts->address[0], status->port,
	    status->ca_sha256);
	if (text.failed || code_make(&code, buf_text(&text)) != 0 ||
	    code_rows(&code) > PAGE_ROWS - 3)
		goto out;
	add_line(page,
	    "No workstation is enrolled yet. Address, port and CA "
	    "fingerprint as a QR code:");
	for (size_t row = 0; row < code_rows(&code); row++) {
		if (page->n == PAGE_LINES_MAX)
			break;
		code_row(page->line[page->n++], sizeof(page->line[0]), &code,
		    row);
	}
	add_line(page,
	    "As an admin: leasehold join create; on each: leasehold "
	    "enroll URL --token TOKEN");
	while (page->n % (PAGE_ROWS - 1) != 0)
		add_line(page, "");
out:
	buf_release(&text);
}

void
page_make(struct page *page, const struct page_facts *facts)
{
	const struct box_status *status = facts->status;

	page->n = 0;
	if (status != NULL && status->devices == 0 && facts->n_address > 0 &&
	    status->state == BOX_READY)
		add_code(page, facts);
	add_head(page, facts);
	add_state(page, facts);
	add_address(page, facts);
	if (status != NULL) {
		add_fingerprint(page, status);
		add_seats(page, status);
		add_sync(page, status);
	}
	add_update(page, facts);
	add_warnings(page, facts);
	if (status != NULL)
		add_licenses(page, status);
}

/* --- screens ---------------------------------------------------------------- */

size_t
page_screens(const struct page *page)
{
	/* The last row tells that there is more. */
	return page->n == 0 ? 1 : (page->n + PAGE_ROWS - 2) / (PAGE_ROWS - 1);
}

void
page_draw(struct buf *out, const struct page *page, size_t screen)
{
	size_t screens = page_screens(page);
	size_t from = screen % screens * (PAGE_ROWS - 1);

	/* White on black, no wrapping, no cursor. */
	buf_add_str(out, "\033[0;37;40m\033[?7l\033[?25l");
	for (size_t i = 0; i < PAGE_ROWS - 1; i++) {
		buf_printf(out, "\033[%zu;1H", i + 1);
		if (from + i < page->n)
			buf_add_str(out, page->line[from + i]);
		buf_add_str(out, "\033[K");
	}
	buf_printf(out, "\033[%d;1H", PAGE_ROWS);
	if (screens > 1)
		buf_printf(out, "-- %zu of %zu; Page Up: the next --",
		    screen % screens + 1, screens);
	buf_add_str(out, "\033[J");
}
