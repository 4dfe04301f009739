/*
 * The page that the console of an appliance shows: state, address, licenses,
 * seats, sync, update and warnings, in lines of plain text that fit a screen
 * of 80 by 25, and while no workstation is enrolled the code that a phone can
 * read. Every text passes through one narrow gate, for names are strangers'.
 * It must not know files, sockets or terminals.
 */
#ifndef FIRMWARE_BOX_PAGE_H
#define FIRMWARE_BOX_PAGE_H

#include "shared/base/buf.h"
#include "shared/box/status.h"

#define PAGE_COLUMNS 80
#define PAGE_ROWS 24 /* the last of the screen is left alone: no scrolling */
#define PAGE_LINES_MAX 240
#define PAGE_ADDRESSES_MAX 6
#define PAGE_NOTICES_MAX 16
#define PAGE_NOTICE_MAX 240
/** The daemon writes every few seconds: older is no news. */
#define PAGE_STALE_MS 30000

struct page_facts {
	const struct box_status *status; /* NULL: none could be read */
	const char *trouble; /* why, for people; "" or NULL */
	uint64_t boottime_ms; /* now */
	char address[PAGE_ADDRESSES_MAX][64]; /* of the box, as text */
	size_t n_address;
	char image[64]; /* its version; "": not known */
	char update[PAGE_NOTICE_MAX]; /* what became of the last one; "" */
	char notice[PAGE_NOTICES_MAX][PAGE_NOTICE_MAX]; /* of root's units */
	size_t n_notice;
};

/** UTF-8 in lines of at most PAGE_COLUMNS characters. */
struct page {
	char line[PAGE_LINES_MAX][PAGE_COLUMNS * 3 + 1];
	size_t n;
};

void page_make(struct page *page, const struct page_facts *facts);

/** How many screens it takes, at least 1. */
size_t page_screens(const struct page *page);

/** One screen of it (from 0) as bytes for a terminal: each row is addressed and
 * cleared, so that what was there is gone. */
void page_draw(struct buf *out, const struct page *page, size_t screen);

/** What a phone reads: "LEASEHOLD/1/ADDRESS/PORT/SHA256", all of it in QR's
 * alphanumeric set. */
void page_code_text(struct buf *out, const char *address, uint32_t port,
    const uint8_t ca_sha256[32]);

/** Printable ASCII and Latin-1 as they are, anything else as '?'; never more
 * than `columns` characters. */
void page_add_clean(struct buf *out, const char *text, size_t columns);

#endif
