/*
 * leasehold-box network: network.ini from a stick becomes a unit of
 * systemd-networkd and a list of time servers on /data. A file with a mistake
 * changes nothing, and the console says which.
 */
#include "firmware/box/gather.h"
#include "firmware/box/network.h"
#include "firmware/box/tool.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TO_DEFAULT "/data/etc"
#define FOLDER_DEFAULT "/run/leasehold/appliance"
/* Below TO: what the image's units look for. */
#define UNIT_FOLDER "network"
#define UNIT_FILE UNIT_FOLDER "/10-leasehold.network"
#define NTP_FILE "ntp"

static const char usage[] =
    "usage: leasehold-box network [OPTION]... FILE\n"
    "\n"
    "Take the network's settings from FILE, usually network.ini on a USB "
    "stick\n"
    "labelled LEASEHOLD:\n"
    "\n"
    "  [network]\n"
    "  address = 192.168.1.7/24     or dhcp; several with commas\n"
    "  gateway = 192.168.1.1\n"
    "  dns = 192.168.1.53\n"
    "  ntp = time.example.com\n"
    "  mac = 52:54:00:12:34:56      where there are several interfaces\n"
    "\n"
    "  --to FOLDER         where the settings are kept (default " TO_DEFAULT
    ")\n"
    "  --state-dir FOLDER  whose notices the console shows\n"
    "                      (default " FOLDER_DEFAULT ")\n"
    "  --check             say whether FILE is good, and change nothing\n"
    "  --help              this text\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 the file has a mistake.\n";

struct asked {
	const char *to;
	const char *folder;
	const char *file;
	bool check;
};

/* An exit status, or -1 to go on. */
static int
read_options(struct asked *asked, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "to", required_argument, NULL, 't' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "check", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			asked->to = optarg;
			break;
		case 's':
			asked->folder = optarg;
			break;
		case 'c':
			asked->check = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("try: leasehold-box network --help\n", stderr);
			return TOOL_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fputs("try: leasehold-box network --help\n", stderr);
		return TOOL_USAGE;
	}
	asked->file = argv[optind];
	return -1;
}

static int
write_below(const char *to, const char *name, const struct buf *data)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", to, name);

	if (n < 0 || (size_t)n >= sizeof(path) || data->failed)
		return ERR_TOO_LARGE;
	if (data->len != 0)
		return tool_write_changed(path, data->data, data->len, 0644);
	if (unlink(path) == 0)
		return 1;
	return errno == ENOENT ? 0 : ERR_IO;
}

/* Both files, whole or not at all each; 1: something changed. */
static int
keep(const struct asked *asked, const struct network *network)
{
	struct buf unit = { .max = 16384 }, ntp = { .max = 4096 };
	char folder[PATH_MAX];
	int rc = ERR_TOO_LARGE;
	int n = snprintf(folder, sizeof(folder), "%s/" UNIT_FOLDER, asked->to);

	if (n < 0 || (size_t)n >= sizeof(folder))
		return rc;
	if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
		log_error("leasehold-box", "cannot make %s: %s", folder,
		    strerror(errno));
		return ERR_IO;
	}
	network_write_unit(&unit, network);
	network_write_ntp(&ntp, network);
	rc = write_below(asked->to, UNIT_FILE, &unit);
	if (rc >= 0) {
		int other = write_below(asked->to, NTP_FILE, &ntp);

		rc = other < 0 ? other : rc | other;
	}
	buf_release(&unit);
	buf_release(&ntp);
	return rc;
}

static int
refuse(const struct asked *asked, const char *words)
{
	char line[PAGE_NOTICE_MAX];

	snprintf(line, sizeof(line), "%.150s; the network stays as it was",
	    words);
	log_error("leasehold-box", "%s", line);
	if (!asked->check)
		tool_notice(asked->folder, "network", line);
	return TOOL_REFUSED;
}

static int
take(const struct asked *asked, const struct network *network)
{
	struct buf words = { .max = 512 };

	network_describe(&words, network);
	const char *text = buf_text(&words) != NULL ? buf_text(&words) : "";
	int rc = asked->check ? 0 : keep(asked, network);

	if (rc < 0) {
		tool_notice(asked->folder, "network",
		    "network.ini is good, and cannot be kept: see the log");
	} else {
		log_info("leasehold-box", "network: %s%s", text,
		    asked->check  ? " is good"
			: rc == 1 ? ""
				  : ", as it was");
		if (!asked->check)
			tool_notice(asked->folder, "network", NULL);
	}
	buf_release(&words);
	return rc < 0 ? TOOL_FAILED : EXIT_SUCCESS;
}

int
tool_network(int argc, char **argv)
{
	struct asked asked = { .to = TO_DEFAULT, .folder = FOLDER_DEFAULT };
	char text[NETWORK_FILE_MAX + 2];
	char error[256];
	struct network network;
	int status = read_options(&asked, argc, argv);

	if (status >= 0)
		return status;
	int len = gather_file(text, sizeof(text), AT_FDCWD, asked.file);

	if (len == ERR_NOT_FOUND && !asked.check) {
		log_info("leasehold-box", "there is no %s", asked.file);
		return EXIT_SUCCESS;
	}
	if (len < 0)
		return refuse(&asked,
		    len == ERR_TOO_LARGE
			? "network.ini: more than 4096 bytes"
			: "network.ini: is no file that can be read");
	if (network_read(&network, "network.ini", text, (size_t)len, error,
		sizeof(error)) != 0)
		return refuse(&asked, error);
	return take(&asked, &network);
}
