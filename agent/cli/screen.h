/*
 * The terminal: how large it is, whether it shows colors, and a screen that is
 * drawn again and again (--watch) without flicker, until a person has seen
 * enough. It must not know what is drawn.
 */
#ifndef AGENT_CLI_SCREEN_H
#define AGENT_CLI_SCREEN_H

#include "agent/cli/cli.h"

/** Columns of standard output; 0: it is no terminal. */
unsigned int screen_columns(void);

/** How words stand out on standard output. */
enum screen_tone { TONE_PLAIN, TONE_GOOD, TONE_WARNING, TONE_BAD };
/** The start of a tone, and its end: "" unless standard output is a terminal
 * that understands it; and NO_COLOR is not set (https://no-color.org). */
const char *screen_tone(enum screen_tone tone);
const char *screen_tone_end(void);

/** What a frame may use. */
struct frame {
	struct buf out;
	unsigned int columns; /* 0: as many as it needs */
	unsigned int rows; /* 0: likewise */
};
/** Draw one frame. Returns an exit status: what it would be without --watch.
 * What is wrong is drawn, or said where nothing can be drawn. */
typedef int screen_draw(void *ctx, struct frame *frame);

#define WATCH_S_MAX 86400

/**
 * "--watch [SECONDS]" out of argv, as cli_option: 1 with `seconds` (2 where
 * none are named), 0, or -1 (said).
 */
int screen_watch_option(uint64_t *seconds, int *argc, char **argv);

/**
 * Draw every so many seconds until q, Ctrl-C or a signal; on a terminal in
 * place, else one frame after the other, an empty line between. Returns the
 * exit status of the last frame.
 */
int screen_watch(struct cli *cli, uint64_t seconds, screen_draw *draw,
    void *ctx);

#endif
