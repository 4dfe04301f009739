#include "appliance/setup/words.h"

#include "appliance/setup/settings.h"
#include "shared/base/text.h"

#include <string.h>

static const struct word {
	const char *name;
	const char *arguments;
	const char *doc;
	const char *options; /* lines of help */
	const char *example;
} words[] = {
	{ "", "", "run the site",
	    "  --config FILE    settings (default " SETTINGS_PATH_DEFAULT
	    ", if it is there)\n"
	    "  --state DIR      the site's folder "
	    "(default " SETTINGS_STATE_DEFAULT ")\n"
	    "  --listen A:P     address and port, instead of the settings'\n"
	    "  --part PART      ledger, front or courier: this part alone, as "
	    "a unit of its own\n"
	    "  --check-config   read the settings, say whether they are good\n",
	    "leaseholdd --state /var/lib/leasehold" },
	{ "init", "--name NAME --host HOST",
	    "make a site: keys, certificate, journal, admin key",
	    "  --state DIR      its folder (default " SETTINGS_STATE_DEFAULT
	    ")\n"
	    "  --name NAME      of the site, for people\n"
	    "  --host HOST      a name or address that agents use; may be "
	    "repeated\n"
	    "  --user USER      owner of the ledger's files\n"
	    "  --heir           make its recovery key, too: see leaseholdd "
	    "heir\n",
	    "leaseholdd init --name 'Plant 7' --host licenses.plant7.example "
	    "--host 192.0.2.7" },
	{ "request", "", "print the activation request for a vendor",
	    "  --state DIR      the site's folder "
	    "(default " SETTINGS_STATE_DEFAULT ")\n",
	    "leaseholdd request >request.txt" },
	{ "certificate", "--host HOST",
	    "make a new certificate for the server; a running one takes it "
	    "on SIGHUP",
	    "  --state DIR      the site's folder "
	    "(default " SETTINGS_STATE_DEFAULT ")\n"
	    "  --host HOST      a name or address that agents use; may be "
	    "repeated\n",
	    "leaseholdd certificate --host licenses.plant7.example" },
	{ "key", "--name NAME", "make one more admin key, shown once",
	    "  --state DIR      the site's folder "
	    "(default " SETTINGS_STATE_DEFAULT ")\n"
	    "  --name NAME      of who gets it, for people\n",
	    "leaseholdd key --name 'night shift'" },
	{ "heir", "",
	    "make the site's recovery key: with it and a backup another box "
	    "can go on",
	    "  --state DIR      the site's folder "
	    "(default " SETTINGS_STATE_DEFAULT ")\n"
	    "It is shown once. What was made before it is of no use for "
	    "backups made from now on.\n",
	    "leaseholdd heir --state /var/lib/leasehold" },
	{ "restore", "FILE", "make a site, or a tenant of one, out of a backup",
	    "  --state DIR      its folder (default " SETTINGS_STATE_DEFAULT
	    "), which is not there or empty\n"
	    "  --tenant T       of this tenant only, into the site that is "
	    "there and stopped\n"
	    "  --passphrase-file FILE its first line (default: you are "
	    "asked)\n"
	    "  --site-key FILE  the copy of keys/site.key from its safe, when "
	    "the backup has none\n"
	    "  --recovery-file FILE the site's recovery key: this box gets a "
	    "key of its own, and\n"
	    "                   the vendor retires that of the old box\n"
	    "  --host HOST      a name or address that agents use, beside "
	    "those in the\n"
	    "                   backup's certificates; may be repeated\n"
	    "  --user USER      owner of the ledger's files\n",
	    "leaseholdd restore site.backup --state /var/lib/leasehold" },
	{ "health", "", "does the site that runs here grant seats?",
	    "  --config FILE    settings (default " SETTINGS_PATH_DEFAULT
	    ", if it is there)\n"
	    "It is asked over TLS, as everybody asks. Exit status 0: it does; "
	    "1: it does not.\n",
	    "leaseholdd health" },
	{ "hand-over", "--part PART",
	    "as root, before a part's unit starts: what only root may read",
	    "  --config FILE    settings (default " SETTINGS_PATH_DEFAULT
	    ", if it is there)\n"
	    "  --part PART      ledger, front or courier\n"
	    "Certificate, passwords and CAs of the settings are copied for the "
	    "part's user into\nRUNTIME_DIRECTORY, which is the service "
	    "manager's to make.\n",
	    "leaseholdd hand-over --part front" },
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))

static const char everywhere[] =
    "\nEverywhere:\n"
    "  --json           answer in JSON\n"
    "  --help           help on a word\n"
    "  --version        the version\n"
    "Exit status: 0 done, 1 failed, 2 usage or settings.\n";

static const struct word *
find_word(const char *name)
{
	for (size_t i = 0; i < N_WORDS; i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	return NULL;
}

static void
help_one(FILE *out, const struct word *word)
{
	fprintf(out, "leaseholdd%s%s [OPTION]...%s%s\n%s.\n\n%s\n",
	    word->name[0] != '\0' ? " " : "", word->name,
	    word->arguments[0] != '\0' ? " " : "", word->arguments, word->doc,
	    word->options);
	fprintf(out, "Example:\n  %s\n", word->example);
}

void
words_help(FILE *out, const char *name)
{
	const struct word *word = name != NULL ? find_word(name) : NULL;

	if (word != NULL && word->name[0] != '\0') {
		help_one(out, word);
	} else {
		fputs("leaseholdd: the daemon of a Leasehold site.\n\n", out);
		for (size_t i = 0; i < N_WORDS; i++)
			fprintf(out, "  leaseholdd %-13s %s\n", words[i].name,
			    words[i].doc);
		fprintf(out, "\n%s\nExample:\n  %s\n", words[0].options,
		    words[0].example);
	}
	fputs(everywhere, out);
}

bool
words_take(const char *name, const char *option)
{
	const struct word *word = find_word(name);
	size_t len = strlen(option);
	const char *at;

	if (word == NULL || strcmp(option, "json") == 0)
		return true;
	at = word->options;
	while ((at = strstr(at, "  --")) != NULL) {
		at += 4;
		if (strncmp(at, option, len) == 0 && at[len] == ' ')
			return true;
	}
	return false;
}

const char *
words_closest(const char *name)
{
	const char *known[N_WORDS + 1];
	size_t n = 0;

	for (size_t i = 1; i < N_WORDS; i++)
		known[n++] = words[i].name;
	known[n] = NULL;
	return text_closest(name, known);
}
