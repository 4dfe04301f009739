/*
 * A passphrase from whoever sits at the terminal, or from a file for programs:
 * never from the command line, where everybody could see it.
 */
#ifndef SHARED_BACKUP_PASSPHRASE_H
#define SHARED_BACKUP_PASSPHRASE_H

#include "shared/backup/archive.h"

struct passphrase {
	char *text; /* guarded */
	size_t len;
};

/**
 * From the first line of `file`, or, where that is NULL, from the terminal,
 * unseen; `twice`: it is a new one, and typed again. What is wrong is said in
 * `error`. The passphrase is empty then.
 */
int passphrase_read(struct passphrase *passphrase, const char *file, bool twice,
    char *error, size_t error_size);
void passphrase_release(struct passphrase *passphrase);

#endif
