#include "agent/lib/known.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096
/* Others hold the lock for one small write; who waits longer than this has a
 * stuck file system, and an application must start all the same. */
#define LOCK_WAIT_MS 500
#define LOCK_POLL_MS 10

struct known_entry {
	struct known_entry *next;
	char site[64];
	char tenant[64];
	struct journal_known kept;
	struct journal_known floor;
};

struct known {
	pthread_mutex_t lock;
	char *folder; /* NULL: memory only */
	uint8_t root[32];
	struct known_entry *entries;
	unsigned int n_entries;
};

/* A file: whose it is, so that a moved file is not taken for another's. */
struct known_file {
	char site[64];
	char tenant[64];
	struct journal_known known;
};
static const struct record_field known_file_fields[] = {
	R_TEXT(known_file, site, 1, 63, 0, "site"),
	R_TEXT(known_file, tenant, 1, 63, 0, "tenant"),
	R_STRUCT(known_file, known, &journal_known_record, 0,
	    "last header seen of its journal"),
};
static RECORD_DEFINE(known_file, 1, "what a library keeps of a site");

int
known_open(struct known **out, const char *folder, const uint8_t root[32])
{
	struct known *known = calloc(1, sizeof(*known));

	if (known == NULL)
		return ERR_NOMEM;
	if (folder != NULL && folder[0] != '\0' &&
	    (known->folder = strdup(folder)) == NULL) {
		free(known);
		return ERR_NOMEM;
	}
	memcpy(known->root, root, sizeof(known->root));
	pthread_mutex_init(&known->lock, NULL);
	*out = known;
	return 0;
}

void
known_close(struct known *known)
{
	if (known == NULL)
		return;
	while (known->entries != NULL) {
		struct known_entry *entry = known->entries;

		known->entries = entry->next;
		free(entry);
	}
	pthread_mutex_destroy(&known->lock);
	free(known->folder);
	free(known);
}

char *
known_default_folder(void)
{
	const char *state = secure_getenv("XDG_STATE_HOME");
	const char *home = secure_getenv("HOME");
	char *folder = NULL;
	char names[4096];
	struct passwd entry, *found = NULL;

	/* The base directory specification passes over relative ones. */
	if (state != NULL && state[0] == '/')
		return asprintf(&folder, "%s/leasehold", state) < 0 ? NULL
								    : folder;
	if ((home == NULL || home[0] != '/') && getuid() == geteuid() &&
	    getpwuid_r(getuid(), &entry, names, sizeof(names), &found) == 0 &&
	    found != NULL)
		home = entry.pw_dir;
	if (home == NULL || home[0] != '/')
		return NULL;
	return asprintf(&folder, "%s/.local/state/leasehold", home) < 0
	    ? NULL
	    : folder;
}

/* --- files -----------------------------------------------------------------
 */

/* A name of hex alone, because site and tenant are a stranger's words. */
static char *
file_path(const struct known *known, const char *site, const char *tenant)
{
	crypto_generichash_state state;
	uint8_t id[16];
	char hex[2 * sizeof(id) + 1];
	char *path;

	crypto_generichash_init(&state, NULL, 0, sizeof(id));
	crypto_generichash_update(&state, known->root, sizeof(known->root));
	/* The NULs keep the two apart. */
	crypto_generichash_update(&state, (const uint8_t *)site,
	    strlen(site) + 1);
	crypto_generichash_update(&state, (const uint8_t *)tenant,
	    strlen(tenant) + 1);
	crypto_generichash_final(&state, id, sizeof(id));
	text_to_hex(hex, id, sizeof(id));
	return asprintf(&path, "%s/%s.json", known->folder, hex) < 0 ? NULL
								     : path;
}

static void
file_load(struct journal_known *header, const char *path, const char *site,
    const char *tenant)
{
	struct arena arena = { .max_bytes = FILE_BYTES_MAX };
	struct known_file file;
	uint8_t *data = NULL;
	size_t len;

	*header = (struct journal_known){ 0 };
	if (file_read(&data, &len, path, FILE_BYTES_MAX) != 0)
		return;
	if (record_read_json(&file, &known_file_record, (const char *)data, len,
		&arena, NULL) == 0 &&
	    strcmp(file.site, site) == 0 && strcmp(file.tenant, tenant) == 0)
		*header = file.known;
	arena_release(&arena);
	free(data);
}

static void
file_store(const char *path, const char *site, const char *tenant,
    const struct journal_known *header)
{
	struct known_file file = { .known = *header };
	struct buf json = { .max = FILE_BYTES_MAX };

	if (text_copy(file.site, sizeof(file.site), site) &&
	    text_copy(file.tenant, sizeof(file.tenant), tenant)) {
		record_write_json(&json, &known_file_record, &file);
		buf_add_byte(&json, '\n');
		if (!json.failed)
			(void)file_write(path, json.data, json.len, 0600);
	}
	buf_release(&json);
}

static void
make_folders(const char *folder)
{
	char *path = strdup(folder);

	if (path == NULL)
		return;
	for (char *at = strchr(path + 1, '/'); at != NULL;
	     at = strchr(at + 1, '/')) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
	(void)mkdir(path, 0700);
	free(path);
}

/* Returns a descriptor that holds the folder's lock, or -1. */
static int
lock_folder(const char *folder)
{
	char *path;

	if (asprintf(&path, "%s/lock", folder) < 0)
		return -1;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == ENOENT) {
		make_folders(folder);
		fd =
		    open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	free(path);
	for (int waited = 0; fd >= 0; waited += LOCK_POLL_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if ((errno != EWOULDBLOCK && errno != EINTR) ||
		    waited >= LOCK_WAIT_MS)
			break;
		(void)poll(NULL, 0, LOCK_POLL_MS);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- moving forward --------------------------------------------------------
 */

static bool
is_something(const struct journal_known *header)
{
	return header->batch != 0 ||
	    !sodium_is_zero(header->head, sizeof(header->head));
}

/* Put the newer one into `at`: of two generations the later. ERR_FORK: same
 * batch, two heads. */
static int
advance(struct journal_known *at, const struct journal_known *to)
{
	uint32_t had = journal_known_generation(at);
	uint32_t has = journal_known_generation(to);

	if (!is_something(to))
		return 0;
	if (is_something(at) && has < had)
		return 0;
	if (!is_something(at) || has > had || to->batch > at->batch) {
		*at = *to;
		return 0;
	}
	return to->batch == at->batch &&
		memcmp(to->head, at->head, sizeof(at->head)) != 0
	    ? ERR_FORK
	    : 0;
}

/* With the lock. NULL: out of memory or of entries. */
static struct known_entry *
find_entry(struct known *known, const char *site, const char *tenant)
{
	struct known_entry *entry;

	for (entry = known->entries; entry != NULL; entry = entry->next) {
		if (strcmp(entry->site, site) == 0 &&
		    strcmp(entry->tenant, tenant) == 0)
			return entry;
	}
	if (known->n_entries == KNOWN_ENTRIES_MAX ||
	    (entry = calloc(1, sizeof(*entry))) == NULL)
		return NULL;
	if (!text_copy(entry->site, sizeof(entry->site), site) ||
	    !text_copy(entry->tenant, sizeof(entry->tenant), tenant)) {
		free(entry);
		return NULL;
	}
	entry->next = known->entries;
	known->entries = entry;
	known->n_entries++;
	return entry;
}

void
known_get(struct journal_known *kept, struct journal_known *floor,
    struct known *known, const char *site, const char *tenant)
{
	struct known_entry spare = { .next = NULL };

	pthread_mutex_lock(&known->lock);
	struct known_entry *entry = find_entry(known, site, tenant);
	char *path =
	    known->folder == NULL ? NULL : file_path(known, site, tenant);

	if (entry == NULL)
		entry = &spare;
	if (path != NULL) {
		struct journal_known file;

		/* A fork between two processes shows when either sends what
		 * it kept: here the first word stands. */
		file_load(&file, path, site, tenant);
		(void)advance(&entry->kept, &file);
		(void)advance(&entry->floor, &file);
		free(path);
	}
	*kept = entry->kept;
	*floor = entry->floor;
	pthread_mutex_unlock(&known->lock);
}

/* Under the folder's lock: read, compare, write. */
static int
put_file(const struct known *known, struct journal_known *kept,
    const char *site, const char *tenant, const struct journal_known *header)
{
	char *path = file_path(known, site, tenant);
	int fd = path == NULL ? -1 : lock_folder(known->folder);
	int err = 0;

	if (fd >= 0) {
		struct journal_known file, before;

		file_load(&before, path, site, tenant);
		file = before;
		err = advance(&file, header);
		if (err == 0 && memcmp(&file, &before, sizeof(file)) != 0)
			file_store(path, site, tenant, &file);
		if (err == 0)
			err = advance(kept, &file);
		close(fd);
	}
	free(path);
	return err;
}

int
known_put(struct known *known, const char *site, const char *tenant,
    const struct journal_known *header)
{
	struct known_entry spare = { .next = NULL };

	pthread_mutex_lock(&known->lock);
	struct known_entry *entry = find_entry(known, site, tenant);

	if (entry == NULL)
		entry = &spare;
	int err = advance(&entry->kept, header);

	if (err == 0)
		err = advance(&entry->floor, header);
	if (err == 0 && known->folder != NULL)
		err = put_file(known, &entry->kept, site, tenant, header);
	pthread_mutex_unlock(&known->lock);
	return err;
}

int
known_see(struct known *known, const char *site, const char *tenant,
    uint32_t generation, uint64_t batch, const uint8_t head[32])
{
	struct journal_known seen = { .batch = batch,
		.generation = generation };
	int err = 0;

	memcpy(seen.head, head, sizeof(seen.head));
	pthread_mutex_lock(&known->lock);
	struct known_entry *entry = find_entry(known, site, tenant);

	if (entry != NULL)
		err = advance(&entry->floor, &seen);
	pthread_mutex_unlock(&known->lock);
	return err;
}
