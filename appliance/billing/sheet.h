/*
 * Pages of A4 with a table, through libharu: fonts, wrapped text, a running
 * line, page numbers "2 / 5" when all pages are there. Coordinates are points
 * from the top left. Floating point is for places alone, never for amounts. It
 * must not know statements.
 */
#ifndef APPLIANCE_BILLING_SHEET_H
#define APPLIANCE_BILLING_SHEET_H

#include "appliance/billing/billing.h"

#include <hpdf.h>

#define SHEET_LEFT 56.0F
#define SHEET_RIGHT 540.0F
#define SHEET_BOTTOM 770.0F /* of the table */
#define SHEET_LINE 13.0F
#define SHEET_SIZE 9.0F /* of the letters */

struct sheet {
	HPDF_Doc pdf;
	HPDF_Font regular, bold;
	HPDF_Page pages[BILLING_PAGES_MAX];
	uint32_t n_pages;
	HPDF_Page page; /* the last one */
	float y; /* of the next line's top */
	int err; /* the first one; all calls after it do nothing */
	char foot[256];
};

/** An empty document. `sheet` is large: not for a stack. */
int sheet_open(struct sheet *sheet, const struct billing_fonts *fonts,
    const char *title);
/** Numbers the pages, appends the bytes, releases all. Returns the first
 * error. */
int sheet_close(struct buf *out, struct sheet *sheet);

void sheet_page(struct sheet *sheet);
/** Text at x on the line that is `down` below y. */
void sheet_text(struct sheet *sheet, bool bold, float size, float x, float down,
    const char *text);
/** The same, ending at x. */
void sheet_right(struct sheet *sheet, bool bold, float size, float x,
    float down, const char *text);
/** How many lines of `width` it takes, at least 1. */
uint32_t sheet_lines(struct sheet *sheet, bool bold, float size, float width,
    const char *text);
/** In lines of SHEET_LINE; y stays. Returns how many. */
uint32_t sheet_wrapped(struct sheet *sheet, bool bold, float size, float x,
    float width, const char *text);
/** A thin line from edge to edge at y, `down` below. */
void sheet_rule(struct sheet *sheet, float down);

#endif
