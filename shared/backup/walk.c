#include "shared/backup/walk.h"

#include "shared/backup/dump.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct archive_reader *reader;
	const struct backup_listener *listener;
	struct backup_summary *summary;
	struct site_keys keys;
	uint32_t pinned; /* of these: this one, or a later one, signed the end
			    of each journal */
	struct dump_reader *dump; /* of the part at hand; NULL: none */
	char tenant[64]; /* its; "": the site's */
	bool batches; /* the table at hand is the journal */
	bool meta; /* or the one that says where it begins */
	bool sealed; /* the part has its key */
	struct journal_walk *journal;
	bool *seen; /* by tenant of the header */
	char *error;
	size_t error_size;
};

static int fail(struct walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
fail(struct walk *walk, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(walk->error, walk->error_size, format, args);
	va_end(args);
	return ERR_CORRUPT;
}

void
backup_site_id(char site[64], const uint8_t site_key[32])
{
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t hash[32];

	crypto_generichash(hash, sizeof(hash), site_key, 32, NULL, 0);
	text_copy(site, 64, "site-");
	for (size_t i = 0; i < 13; i++) {
		size_t bit = i * 5;
		unsigned int pair =
		    (unsigned int)hash[bit / 8] << 8 | hash[bit / 8 + 1];

		site[5 + i] = alphabet[(pair >> (11 - bit % 8)) & 31];
	}
	site[18] = '\0';
}

/* --- a store --------------------------------------------------------------- */

static int
on_table(void *ctx, const char *name)
{
	struct walk *walk = ctx;
	const struct backup_listener *listener = walk->listener;

	walk->batches = walk->tenant[0] != '\0' && strcmp(name, "batches") == 0;
	walk->meta = walk->tenant[0] != '\0' && strcmp(name, "meta") == 0;
	walk->sealed |= strcmp(name, DUMP_KEY_TABLE) == 0;
	return listener->table != NULL ? listener->table(listener->ctx, name)
				       : 0;
}

static int
walk_batch(struct walk *walk, const uint8_t *key, size_t key_len,
    const uint8_t *value, size_t value_len)
{
	char words[200] = "";
	int err = journal_walk_stored(walk->journal, walk->batches, key,
	    key_len, value, value_len, words, sizeof(words));

	if (err == 0)
		return 0;
	fail(walk, "tenant %s: the journal does not hold: %s", walk->tenant,
	    words[0] != '\0' ? words : err_str(err));
	return err == ERR_NOMEM ? err : ERR_CORRUPT;
}

static int
on_entry(void *ctx, const void *key, size_t key_len, const void *value,
    size_t value_len)
{
	struct walk *walk = ctx;
	const struct backup_listener *listener = walk->listener;

	walk->summary->entries++;
	int err = walk->batches || walk->meta
	    ? walk_batch(walk, key, key_len, value, value_len)
	    : 0;

	if (err == 0 && listener->entry != NULL)
		err = listener->entry(listener->ctx, key, key_len, value,
		    value_len);
	return err;
}

static const struct archive_tenant *
find_tenant(size_t *index, const struct walk *walk)
{
	const struct archive_header *header = archive_header(walk->reader);
	const struct archive_tenant *tenants = header->tenants.items;

	for (size_t i = 0; i < header->tenants.count; i++)
		if (strcmp(tenants[i].tenant, walk->tenant) == 0) {
			*index = i;
			return &tenants[i];
		}
	return NULL;
}

/* The journal ends where the header says, and is whose it says. */
static int
check_journal(struct walk *walk)
{
	const struct archive_header *header = archive_header(walk->reader);
	const struct journal_walk *journal = walk->journal;
	size_t i = 0;
	const struct archive_tenant *said = find_tenant(&i, walk);

	if (journal->next_batch == 0 || journal->next_batch == journal->anchor)
		return fail(walk, "tenant %s: its journal is not there",
		    walk->tenant);
	if (!journal_walk_is_explained(journal))
		return fail(walk,
		    "tenant %s: the beginning of its journal is missing, and "
		    "nothing in it says that it was given up",
		    walk->tenant);
	if (strcmp(journal->site, header->site) != 0 ||
	    strcmp(journal->tenant, walk->tenant) != 0)
		return fail(walk,
		    "tenant %s: the journal is that of site %s, tenant %s",
		    walk->tenant, journal->site, journal->tenant);
	/* Else nothing vouches for what an older key is said to have been. */
	if (site_keys_find(&walk->keys, journal->site_key) < walk->pinned)
		return fail(walk,
		    "tenant %s: nothing in its journal is signed with the key "
		    "that was named",
		    walk->tenant);
	if (said == NULL || said->batch != journal->next_batch - 1 ||
	    said->rows != journal->next_row - 1 ||
	    said->generation != journal->generation ||
	    memcmp(said->head, journal->head, 32) != 0)
		return fail(walk,
		    "tenant %s: the journal ends with batch %llu, and not "
		    "where the file's header says",
		    walk->tenant, (unsigned long long)journal->next_batch - 1);
	walk->summary->batches += journal->next_batch - journal->anchor;
	walk->summary->rows += journal->next_row - 1;
	walk->summary->tenants++;
	return 0;
}

static int
end_part(struct walk *walk)
{
	const struct backup_listener *listener = walk->listener;
	bool tenant = walk->tenant[0] != '\0';
	int err;

	if (walk->dump == NULL)
		return 0;
	err = dump_finish(walk->dump);
	if (err != 0)
		return fail(walk, "%s%s: %s", tenant ? "tenant " : "the site",
		    walk->tenant, dump_error(walk->dump));
	dump_reader_free(walk->dump);
	walk->dump = NULL;
	if (!walk->sealed)
		return fail(walk, "%s%s: its key is not there",
		    tenant ? "tenant " : "the site", walk->tenant);
	err = tenant ? check_journal(walk) : 0;
	if (err == 0 && listener->part_end != NULL)
		err = listener->part_end(listener->ctx, walk->tenant,
		    tenant ? walk->journal : NULL);
	return err;
}

/* --- items ----------------------------------------------------------------- */

static int
begin_part(struct walk *walk, const struct record_span *data)
{
	const struct dump_callbacks callbacks = { walk, on_table, on_entry };
	const struct backup_listener *listener = walk->listener;
	struct archive_part part;
	struct arena arena = { 0 };
	size_t index = 0;
	int err = end_part(walk);

	if (err != 0)
		return err;
	err = record_read_msgpack(&part, &archive_part_record, data->data,
	    data->len, NULL, &arena, NULL);
	arena_release(&arena);
	if (err != 0)
		return fail(walk, "the beginning of a store is not understood");
	memcpy(walk->tenant, part.tenant, sizeof(walk->tenant));
	bool tenant = part.tenant[0] != '\0';
	bool *seen = &walk->summary->system;

	if (tenant && find_tenant(&index, walk) == NULL)
		return fail(walk, "tenant %s is not named in the file's header",
		    part.tenant);
	if (tenant)
		seen = &walk->seen[index];
	if (*seen)
		return fail(walk, "%s%s stands in it twice",
		    tenant ? "tenant " : "the site's own store", part.tenant);
	*seen = true;
	walk->sealed = false;
	journal_walk_init(walk->journal, site_keys_last(&walk->keys));
	journal_walk_trust(walk->journal, &walk->keys);
	walk->dump = dump_reader_new(&callbacks);
	if (walk->dump == NULL)
		return ERR_NOMEM;
	return listener->part != NULL
	    ? listener->part(listener->ctx, part.tenant)
	    : 0;
}

static int
take_data(struct walk *walk, const struct record_span *data)
{
	const struct backup_listener *listener = walk->listener;

	if (walk->dump == NULL)
		return fail(walk, "data stands in it that belongs to no store");
	int err = listener->data != NULL
	    ? listener->data(listener->ctx, data->data, data->len)
	    : 0;

	if (err != 0)
		return err;
	err = dump_feed(walk->dump, data->data, data->len);
	/* Else whoever ended it has said why. */
	if (err == ERR_CORRUPT && dump_error(walk->dump)[0] != '\0')
		return fail(walk, "%s%s: %s",
		    walk->tenant[0] != '\0' ? "tenant " : "the site",
		    walk->tenant, dump_error(walk->dump));
	return err;
}

static int
take_file(struct walk *walk, const struct record_span *data)
{
	const struct backup_listener *listener = walk->listener;
	struct archive_file file;
	struct arena arena = { 0 };
	int err = record_read_msgpack(&file, &archive_file_record, data->data,
	    data->len, NULL, &arena, NULL);

	if (err != 0) {
		err = fail(walk, "a file in it is not understood");
	} else {
		walk->summary->site_key |=
		    strcmp(file.name, "keys/site.key") == 0;
		walk->summary->tls |= strcmp(file.name, "tls/ca.key") == 0;
		if (listener->file != NULL)
			err = listener->file(listener->ctx, &file);
	}
	arena_release(&arena);
	return err;
}

static int
walk_items(struct walk *walk)
{
	enum archive_item item;
	struct record_span data;
	int err;

	for (;;) {
		err = archive_next(&item, &data, walk->reader);
		if (err != 0) {
			fail(walk, "%s", archive_error(walk->reader));
			return err;
		}
		if (item == ARCHIVE_END)
			break;
		if (item == ARCHIVE_PART)
			err = begin_part(walk, &data);
		else if (item == ARCHIVE_DATA)
			err = take_data(walk, &data);
		else
			err = take_file(walk, &data);
		if (err != 0)
			return err;
	}
	return end_part(walk);
}

static int
check_whole(struct walk *walk)
{
	const struct archive_header *header = archive_header(walk->reader);
	const struct archive_tenant *tenants = header->tenants.items;

	for (size_t i = 0; i < header->tenants.count; i++)
		if (!walk->seen[i])
			return fail(walk,
			    "tenant %s is named in its header and not in it",
			    tenants[i].tenant);
	if (header->whole != walk->summary->system)
		return fail(walk,
		    header->whole ? "the site's own store is not in it"
				  : "it is of one tenant, and the site's own "
				    "store is in it");
	return 0;
}

int
backup_walk(struct backup_summary *summary, struct archive_reader *reader,
    const uint8_t site_key[32], const struct backup_listener *listener,
    char *error, size_t error_size)
{
	static const struct backup_listener nobody = { 0 };
	const struct archive_header *header = archive_header(reader);
	struct walk walk = { .reader = reader,
		.listener = listener != NULL ? listener : &nobody,
		.summary = summary,
		.error = error,
		.error_size = error_size };
	char site[64];
	int err;

	*summary = (struct backup_summary){ 0 };
	error[0] = '\0';
	if (header->succession.count == 0)
		walk.keys = site_keys_one(header->site_key);
	else if (succession_keys(&walk.keys, header->site, NULL,
		     &header->succession) != 0 ||
	    memcmp(site_keys_last(&walk.keys), header->site_key, 32) != 0)
		return fail(&walk,
		    "what it says of the keys of site %s does not lead to the "
		    "key that it names",
		    header->site);
	if (site_key != NULL) {
		walk.pinned = site_keys_find(&walk.keys, site_key);
		if (walk.pinned == walk.keys.n) {
			walk.keys = site_keys_one(site_key);
			walk.pinned = 0;
		}
	}
	backup_site_id(site, walk.keys.key[0]);
	if (strcmp(site, header->site) != 0)
		return fail(&walk,
		    "it is of site %s, and the key is that of %s", header->site,
		    site);
	walk.journal = calloc(1, sizeof(*walk.journal));
	walk.seen = calloc(header->tenants.count + 1, sizeof(bool));
	err = walk.journal == NULL || walk.seen == NULL ? ERR_NOMEM
							: walk_items(&walk);
	if (err == 0)
		err = check_whole(&walk);
	dump_reader_free(walk.dump);
	free(walk.journal);
	free(walk.seen);
	return err;
}
