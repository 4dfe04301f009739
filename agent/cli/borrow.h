/*
 * What the commands about borrows share: the words for one on this workstation
 * (borrow.c), and the site's side of the list (borrow_site.c). It must not know
 * how a borrow is proved.
 */
#ifndef AGENT_CLI_BORROW_H
#define AGENT_CLI_BORROW_H

#include "agent/cli/cli.h"

#define BORROW_CSV_SITE                                                   \
	"borrow,product,version,feature,seats,type,state,license,device," \
	"device_name,class,user,host,taken,until,epoch\r\n"
#define BORROW_CSV_LOCAL                                                   \
	"borrow,product,version,feature,seats,used,type,state,user,taken," \
	"until,length_s,epoch\r\n"

/** "3 d 4 h", or "over"; until a time of the wall clock. */
void borrow_left(char out[32], int64_t until, int64_t now);

/** "borrow-17", "lease-17" or "17"; says what is wrong. */
bool borrow_id(uint64_t *id, const char *text);

/** The table's rows of this workstation's borrows, in `out`. */
void borrow_table(struct buf *out, const struct local_borrows *borrows,
    unsigned int columns, bool clip, int64_t now);

/** `borrow list --site`, whose options are left in argv. */
int borrow_list_site(struct cli *cli, int argc, char **argv, bool csv);

#endif
