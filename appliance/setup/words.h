/*
 * The words of leaseholdd's command line: what each does and which options it
 * takes; help comes from here. It must not know how it is done.
 */
#ifndef APPLIANCE_SETUP_WORDS_H
#define APPLIANCE_SETUP_WORDS_H

#include <stdbool.h>
#include <stdio.h>

/** NULL or "": of all; else of one word. Unknown words get that of all. */
void words_help(FILE *out, const char *word);
/** Does the word ("": run the site) take this option? */
bool words_take(const char *word, const char *option);
/** The word that was meant; NULL: none is near. */
const char *words_closest(const char *word);

#endif
