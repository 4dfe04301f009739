#include "appliance/setup/settings.h"

#include "appliance/ledger/password.h"
#include "shared/base/clock.h"
#include "shared/base/config.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "shared/license/license.h"
#include "shared/proof/proof.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT(member)                                   \
	.offset = offsetof(struct settings, member), \
	.size = sizeof(((struct settings *)0)->member)

static const struct config_key keys[] = {
	{ "site", "state", CONFIG_TEXT, AT(state), .doc = "the site's folder" },
	{ "site", "role", CONFIG_TEXT, AT(role),
	    .doc = "site, or hub: tenants are accounts of vendors, who issue "
		   "licenses" },
	{ "site", "witness", CONFIG_TEXT, AT(witness),
	    .doc = "folder of the site's counter, outside of its stores" },
	{ "site", "tpm", CONFIG_TEXT, AT(tpm),
	    .doc = "the box's TPM, such as device:/dev/tpmrm0; empty: none" },
	{ "site", "tpm_pcrs", CONFIG_TEXT, AT(tpm_pcrs),
	    .doc = "PCRs that the site key is sealed to; empty: none" },
	{ "listen", "address", CONFIG_TEXT, AT(address),
	    .doc = "address to serve on; :: is IPv6 and IPv4" },
	{ "listen", "port", CONFIG_NUMBER, AT(port), 1, 65535,
	    .doc = "TCP port" },
	{ "tls", "client_ca", CONFIG_TEXT, AT(client_ca),
	    .doc = "PEM file of the CAs of client certificates that API keys "
		   "are bound to; empty: none is asked for" },
	{ "process", "user", CONFIG_TEXT, AT(user),
	    .doc = "who the ledger runs as, when started by root" },
	{ "process", "front_user", CONFIG_TEXT, AT(front_user),
	    .doc = "who the fronts run as" },
	{ "process", "courier_user", CONFIG_TEXT, AT(courier_user),
	    .doc = "who calls out, as the directory; empty: front_user" },
	{ "process", "run_dir", CONFIG_TEXT, AT(run_dir),
	    .doc = "where fronts and courier meet the ledger, as units of "
		   "their own" },
	{ "process", "fronts", CONFIG_NUMBER, AT(fronts), 1, 16,
	    .doc = "processes that face the network" },
	{ "process", "log", CONFIG_TEXT, AT(log),
	    .doc = "lowest level: debug, info, warn or error" },
	{ "limits", "connections", CONFIG_NUMBER, AT(connections), 16, 1000000,
	    .doc = "open connections at once, of all fronts together" },
	{ "limits", "address_connections", CONFIG_NUMBER,
	    AT(address_connections), 16, 1000000,
	    .doc = "of them, from one address or IPv6 /64" },
	{ "limits", "address_strangers", CONFIG_NUMBER, AT(address_strangers),
	    4, 1000000, .doc = "of those, that have not said who they are" },
	{ "limits", "address_rate", CONFIG_NUMBER, AT(address_rate), 0, 1000000,
	    .doc = "new ones a second from one address; 0: no bound" },
	{ "limits", "map_gib", CONFIG_NUMBER, AT(map_gib), 1, 4096,
	    .doc = "map of one tenant's store to begin with, GiB; sparse" },
	{ "devices", "tpm_ca", CONFIG_TEXT, AT(tpm_ca),
	    .doc = "PEM file of the CAs that makers of TPMs certify with" },
	{ "devices", "tpm_issuers", CONFIG_TEXT, AT(tpm_issuers),
	    .doc = "file that says which of them make chips" },
	{ "devices", "classes", CONFIG_TEXT, AT(classes),
	    .doc = "classes of devices that are let in; empty: all" },
	{ "tenants", "idle_s", CONFIG_NUMBER, AT(tenant_idle_s), 1, 86400,
	    .doc = "after so long with nothing to do a tenant's store is "
		   "closed" },
	{ "metrics", "open", CONFIG_BOOL, AT(metrics_open),
	    .doc = "answer /metrics without a credential" },
	{ "login", "password_cost", CONFIG_TEXT, AT(password_cost),
	    .doc = "of new passwords: interactive, moderate or sensitive" },
	{ "ldap", "url", CONFIG_TEXT, AT(directory.url),
	    .doc = "ldaps://HOST, or ldap://HOST for StartTLS; empty: none" },
	{ "ldap", "tenant", CONFIG_TEXT, AT(directory.tenant),
	    .doc = "the tenant whose users it knows" },
	{ "ldap", "bind_dn", CONFIG_TEXT, AT(directory.bind_dn),
	    .doc = "name to bind as, with {login} in it" },
	{ "ldap", "base", CONFIG_TEXT, AT(directory.base),
	    .doc = "or: where to search for a login" },
	{ "ldap", "filter", CONFIG_TEXT, AT(directory.filter),
	    .doc = "by what, with {login} in it" },
	{ "ldap", "service_dn", CONFIG_TEXT, AT(directory.service_dn),
	    .doc = "who searches" },
	{ "ldap", "service_password_file", CONFIG_TEXT,
	    AT(directory.service_password_file),
	    .doc = "file with its password" },
	{ "ldap", "ca", CONFIG_TEXT, AT(directory.ca),
	    .doc = "PEM file of the CA of the directory" },
	{ "ldap", "plain", CONFIG_BOOL, AT(directory.plain),
	    .doc = "without TLS: passwords pass in the clear" },
	{ "ldap", "timeout_s", CONFIG_NUMBER, AT(directory.timeout_s), 1, 60,
	    .doc = "seconds for one login" },
	{ "ldap", "admin_group", CONFIG_TEXT, AT(directory.groups[0]),
	    .doc = "DN of the group whose members are admins" },
	{ "ldap", "operator_group", CONFIG_TEXT, AT(directory.groups[1]),
	    .doc = "operators" },
	{ "ldap", "auditor_group", CONFIG_TEXT, AT(directory.groups[2]),
	    .doc = "auditors" },
	{ "ldap", "viewer_group", CONFIG_TEXT, AT(directory.groups[3]),
	    .doc = "viewers" },
	{ "audit", "keep_days", CONFIG_NUMBER, AT(audit_keep_days), 0, 36500,
	    .doc = "days of entries that searches find; 0: for ever" },
	{ "metering", "person_days", CONFIG_NUMBER, AT(metering_person_days), 0,
	    36500,
	    .doc = "days of hours of single users and hosts; 0: for ever" },
	{ "billing", "invoice_day", CONFIG_NUMBER, AT(invoice_day), 0, 28,
	    .doc = "of a hub: day of the next month on which invoices are made "
		   "by themselves; 0: never" },
	{ "billing", "invoice_from", CONFIG_TEXT, AT(invoice_from),
	    .doc = "the first month of which: 2026-11" },
	{ "journal", "keep_days", CONFIG_NUMBER, AT(journal_keep_days), 0,
	    36500, .doc = "days of the journal that are kept; 0: for ever" },
	{ "appliance", "state_dir", CONFIG_TEXT, AT(appliance),
	    .doc = "folder shared with the units of the appliance; empty: this "
		   "is none" },
	{ "appliance", "update_dir", CONFIG_TEXT, AT(update_dir),
	    .doc = "folder for updates of the box on their way" },
	{ "appliance", "update_most_mib", CONFIG_NUMBER, AT(update_most_mib), 1,
	    65536, .doc = "size of an update at most, MiB" },
	{ "alerts", "retry_s", CONFIG_NUMBER, AT(retry_s), 1, 3600,
	    .doc = "before an alert that was not taken is brought again" },
	{ "alerts", "retry_most_s", CONFIG_NUMBER, AT(retry_most_s), 1, 86400,
	    .doc = "it doubles each time, up to this" },
	{ "alerts", "attempts", CONFIG_NUMBER, AT(attempts), 1, 1000,
	    .doc = "after so many it is given up" },
	{ "courier", "ca", CONFIG_TEXT, AT(post.ca),
	    .doc = "PEM file of the CAs of webhooks; empty: the system's" },
	{ "courier", "allow", CONFIG_TEXT, AT(post.allow),
	    .doc = "ranges that webhooks may be in though they are not of the "
		   "public Internet" },
	{ "courier", "timeout_s", CONFIG_NUMBER, AT(post.timeout_s), 1, 60,
	    .doc = "seconds for one try" },
	{ "courier", "syslog", CONFIG_TEXT, AT(post.syslog),
	    .doc = "socket of the system's log" },
	{ "courier", "dns", CONFIG_TEXT, AT(post.dns),
	    .doc = "ADDRESS[:PORT] of the resolver; empty: that of "
		   "/etc/resolv.conf" },
	{ "sync", "interval_s", CONFIG_NUMBER, AT(sync_interval_s), 0, 2592000,
	    .doc = "seconds between reports to vendors' hubs; 0: by file, or "
		   "when asked to" },
	{ "sync", "hub", CONFIG_TEXT, AT(post.sync_hub),
	    .doc = "https:// address of the hub of vendors whose licenses name "
		   "none" },
	{ "sync", "ca", CONFIG_TEXT, AT(post.sync_ca),
	    .doc = "PEM file of the CAs of hubs; empty: as [courier] ca" },
	{ "sync", "timeout_s", CONFIG_NUMBER, AT(post.sync_timeout_s), 1, 600,
	    .doc = "seconds for one report" },
	{ "sync", "retry_s", CONFIG_NUMBER, AT(sync_retry_s), 1, 3600,
	    .doc = "before a report that was not taken is sent again" },
	{ "sync", "retry_most_s", CONFIG_NUMBER, AT(sync_retry_most_s), 1,
	    86400, .doc = "it doubles each time, up to this" },
	{ "mail", "server", CONFIG_TEXT, AT(post.mail_server),
	    .doc = "HOST[:PORT] that takes mail; empty: there is none" },
	{ "mail", "tls", CONFIG_TEXT, AT(post.mail_tls),
	    .doc = "starttls, tls or plain" },
	{ "mail", "from", CONFIG_TEXT, AT(post.mail_from),
	    .doc = "address that mail is from" },
	{ "mail", "user", CONFIG_TEXT, AT(post.mail_user),
	    .doc = "who logs in there; empty: nobody does" },
	{ "mail", "password_file", CONFIG_TEXT, AT(post.mail_password_file),
	    .doc = "file with his password" },
	{ "mail", "ca", CONFIG_TEXT, AT(post.mail_ca),
	    .doc = "PEM file of its CA; empty: as [courier] ca" },
	{ "borrow", "longest_s", CONFIG_NUMBER, AT(borrow_longest_s), 0,
	    LICENSE_BORROW_MAX_S,
	    .doc = "longest borrow; 0: as licenses say, never longer" },
	{ "borrow", "seats", CONFIG_NUMBER, AT(borrow_seats), 0,
	    LICENSE_SEATS_MAX,
	    .doc = "seats of a product or feature on loan at once; 0: as "
		   "licenses say" },
	{ "borrow", "keep", CONFIG_NUMBER, AT(borrow_keep), 0,
	    LICENSE_SEATS_MAX,
	    .doc = "seats of a product or feature that are never lent" },
	{ 0 },
};

void
settings_default(struct settings *settings)
{
	*settings = (struct settings){
		.state = SETTINGS_STATE_DEFAULT,
		.role = "site",
		.address = "0.0.0.0",
		.port = SETTINGS_PORT_DEFAULT,
		.fronts = 1,
		.run_dir = "/run/leaseholdd",
		.log = "info",
		.password_cost = "moderate",
		.tenant_idle_s = 300,
		.directory = {
			.tenant = "default",
			.filter = "(uid={login})",
			.timeout_s = 10,
		},
		.post = {
			.timeout_s = 10,
			.mail_tls = "starttls",
			.sync_timeout_s = 60,
			.syslog = "/dev/log",
		},
		.sync_retry_s = 30,
		.sync_retry_most_s = 3600,
		.retry_s = 5,
		.retry_most_s = 3600,
		.attempts = 24,
		.update_dir = "/data/update",
		.update_most_mib = 512,
		.connections = 12000,
		.address_connections = 4096,
		.address_strangers = 256,
		.address_rate = 200,
		.map_gib = 64,
	};
}

int
settings_read(struct settings *settings, const char *path, bool optional,
    char *error, size_t error_size)
{
	int rc = config_read(settings, keys, path, error, error_size);

	if (rc != ERR_NOT_FOUND)
		return rc;
	if (optional)
		return 0;
	snprintf(error, error_size, "there is no configuration file %s", path);
	return rc;
}

int
settings_set_listen(struct settings *settings, const char *text, char *error,
    size_t error_size)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon != NULL ? colon + 1 : text;
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	const char *address = text;
	uint64_t number;

	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (!text_to_u64(&number, port, strlen(port)) || number < 1 ||
	    number > 65535) {
		snprintf(error, error_size,
		    "--listen %s: not ADDR:PORT, such as 0.0.0.0:%d", text,
		    SETTINGS_PORT_DEFAULT);
		return ERR_BAD_REQUEST;
	}
	if (len > 0 &&
	    !text_copy_n(settings->address, sizeof(settings->address), address,
		len)) {
		snprintf(error, error_size, "--listen %s: too long", text);
		return ERR_BAD_REQUEST;
	}
	settings->port = (int64_t)number;
	return 0;
}

static socklen_t
parse_address(struct sockaddr_storage *out, const struct settings *settings)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, settings->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)settings->port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, settings->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)settings->port);
		return sizeof(*v6);
	}
	return 0;
}

/* "tpm, vtpm": one bit each of enum proof_class. */
static int
read_classes(struct settings *settings, char *error, size_t error_size)
{
	const char *at = settings->classes;

	settings->class_bits = 0;
	while (*(at += strspn(at, ", \t")) != '\0') {
		size_t len = strcspn(at, ", \t");
		uint32_t found = 0;

		/* An API key is no device that enrolls. */
		for (uint32_t i = 0; i < PROOF_KEY; i++)
			if (strlen(proof_class_names[i]) == len &&
			    strncmp(proof_class_names[i], at, len) == 0)
				found = 1u << i;
		if (found == 0) {
			snprintf(error, error_size,
			    "[devices] classes: \"%.*s\" is not one of tpm, "
			    "vtpm, software, assigned",
			    (int)len, at);
			return ERR_BAD_REQUEST;
		}
		settings->class_bits |= found;
		at += len;
	}
	return 0;
}

static int
check_devices(struct settings *settings, char *error, size_t error_size)
{
	if ((settings->tpm_ca[0] == '\0') !=
	    (settings->tpm_issuers[0] == '\0')) {
		snprintf(error, error_size,
		    "[devices] tpm_ca and tpm_issuers go together: the CAs, "
		    "and "
		    "which of them make chips");
		return ERR_BAD_REQUEST;
	}
	return read_classes(settings, error, error_size);
}

/* "0, 7": one bit each. */
static int
read_pcrs(struct settings *settings, char *error, size_t error_size)
{
	const char *at = settings->tpm_pcrs;

	settings->pcr_bits = 0;
	while (*(at += strspn(at, ", \t")) != '\0') {
		size_t len = strcspn(at, ", \t");
		uint64_t pcr;

		if (!text_to_u64(&pcr, at, len) || pcr > 23) {
			snprintf(error, error_size,
			    "[site] tpm_pcrs: \"%.*s\" is not one of 0 to 23",
			    (int)len, at);
			return ERR_BAD_REQUEST;
		}
		settings->pcr_bits |= 1u << pcr;
		at += len;
	}
	if (settings->pcr_bits == 0 || settings->tpm[0] != '\0')
		return 0;
	snprintf(error, error_size,
	    "[site] tpm_pcrs says to which state of a TPM the site key is "
	    "sealed: say which TPM, tpm=device:/dev/tpmrm0");
	return ERR_BAD_REQUEST;
}

static int
check_role(struct settings *settings, char *error, size_t error_size)
{
	settings->hub = strcmp(settings->role, "hub") == 0;
	if (settings->hub || strcmp(settings->role, "site") == 0)
		return 0;
	snprintf(error, error_size, "[site] role: \"%s\" is not site or hub",
	    settings->role);
	return ERR_BAD_REQUEST;
}

/* What was billed otherwise before is not billed again. */
static int
check_invoices(struct settings *settings, char *error, size_t error_size)
{
	char day[32];

	if (settings->invoice_day == 0)
		return 0;
	if (!settings->hub) {
		snprintf(error, error_size,
		    "[billing] invoice_day is a hub's: [site] role = hub");
		return ERR_BAD_REQUEST;
	}
	snprintf(day, sizeof(day), "%s-01", settings->invoice_from);
	if (clock_parse_date(&settings->invoice_first, day, strlen(day)) == 0)
		return 0;
	snprintf(error, error_size,
	    "[billing] invoice_from: \"%s\" is no month such as 2026-11: say "
	    "which is the first that gets invoices by itself",
	    settings->invoice_from);
	return ERR_BAD_REQUEST;
}

static int
check_login(struct settings *settings, char *error, size_t error_size)
{
	for (uint32_t i = 0; password_cost_names[i] != NULL; i++)
		if (strcmp(settings->password_cost, password_cost_names[i]) ==
		    0) {
			settings->cost = i;
			return 0;
		}
	snprintf(error, error_size,
	    "[login] password_cost: \"%s\" is not one of interactive, "
	    "moderate, sensitive",
	    settings->password_cost);
	return ERR_BAD_REQUEST;
}

static int
check_user(uid_t *uid, gid_t *gid, const char *key, const char *user,
    char *error, size_t error_size)
{
	if (sandbox_user_parse(uid, gid, user) == 0)
		return 0;
	snprintf(error, error_size,
	    "[process] %s: there is no user \"%s\"; make one with: useradd "
	    "--system %s",
	    key, user, user);
	return ERR_BAD_REQUEST;
}

int
settings_check(struct settings_users *users, struct settings *settings,
    char *error, size_t error_size)
{
	struct sockaddr_storage address;
	int rc = 0;

	*users = (struct settings_users){ 0 };
	if (settings->state[0] != '/') {
		snprintf(error, error_size,
		    "the state folder must be an absolute path, not \"%s\"",
		    settings->state);
		return ERR_BAD_REQUEST;
	}
	if (settings->witness[0] != '\0' && settings->witness[0] != '/') {
		snprintf(error, error_size,
		    "[site] witness must be an absolute path, not \"%s\"",
		    settings->witness);
		return ERR_BAD_REQUEST;
	}
	if (settings->appliance[0] != '\0' &&
	    (settings->appliance[0] != '/' || settings->update_dir[0] != '/')) {
		snprintf(error, error_size,
		    "[appliance] state_dir and update_dir must be absolute "
		    "paths");
		return ERR_BAD_REQUEST;
	}
	if (settings->run_dir[0] != '/') {
		snprintf(error, error_size,
		    "[process] run_dir must be an absolute path, not \"%s\"",
		    settings->run_dir);
		return ERR_BAD_REQUEST;
	}
	if (parse_address(&address, settings) == 0) {
		snprintf(error, error_size,
		    "[listen] address: \"%s\" is not an IPv4 or IPv6 address",
		    settings->address);
		return ERR_BAD_REQUEST;
	}
	rc = read_pcrs(settings, error, error_size);
	if (rc == 0)
		rc = check_devices(settings, error, error_size);
	if (rc == 0)
		rc = check_role(settings, error, error_size);
	if (rc == 0)
		rc = check_invoices(settings, error, error_size);
	if (rc == 0)
		rc = check_login(settings, error, error_size);
	if (rc == 0)
		rc = settings_check_directory(settings, error, error_size);
	if (rc == 0)
		rc = settings_check_courier(settings, error, error_size);
	if (rc != 0)
		return rc;
	if (log_level_parse(settings->log) < 0) {
		snprintf(error, error_size,
		    "[process] log: \"%s\" is not one of debug, info, warn, "
		    "error",
		    settings->log);
		return ERR_BAD_REQUEST;
	}
	if (strcmp(settings->user, settings->front_user) == 0 ||
	    settings->user[0] == '\0' || settings->front_user[0] == '\0') {
		if (settings->user[0] == '\0' &&
		    settings->front_user[0] == '\0')
			return 0;
		snprintf(error, error_size,
		    "[process] user and front_user go together and must be two "
		    "users, so that a front cannot open the store");
		return ERR_BAD_REQUEST;
	}
	rc = check_user(&users->ledger_uid, &users->ledger_gid, "user",
	    settings->user, error, error_size);
	if (rc == 0)
		rc = check_user(&users->front_uid, &users->front_gid,
		    "front_user", settings->front_user, error, error_size);
	users->courier_uid = users->front_uid;
	users->courier_gid = users->front_gid;
	if (rc == 0 && settings->courier_user[0] != '\0')
		rc = check_user(&users->courier_uid, &users->courier_gid,
		    "courier_user", settings->courier_user, error, error_size);
	users->drop = rc == 0 && geteuid() == 0;
	return rc;
}

static int
listen_failed(int fd, const char *what, const struct settings *settings,
    char *error, size_t error_size)
{
	int problem = errno;
	int port = (int)settings->port;

	if (fd >= 0)
		close(fd);
	if (problem == EADDRINUSE) {
		snprintf(error, error_size,
		    "port %d of %s is in use by another program; see which "
		    "with: ss -ltnp 'sport = :%d'; or take another one with: "
		    "--listen %s:%d",
		    port, settings->address, port, settings->address, port + 1);
		return ERR_BUSY;
	}
	if (problem == EACCES) {
		snprintf(error, error_size,
		    "not allowed to listen on port %d of %s; ports below 1024 "
		    "need root; take another one with: --listen %s:%d",
		    port, settings->address, settings->address,
		    SETTINGS_PORT_DEFAULT);
		return ERR_FORBIDDEN;
	}
	if (problem == EADDRNOTAVAIL) {
		snprintf(error, error_size,
		    "this machine has no address %s; see those it has with: "
		    "ip address",
		    settings->address);
		return ERR_NOT_FOUND;
	}
	snprintf(error, error_size, "cannot %s %s port %d: %s", what,
	    settings->address, port, strerror(problem));
	return ERR_SYSTEM;
}

/* As with the lock of a site: a front of a daemon that was killed a moment ago
 * holds the port until it has ended too. */
static bool
bind_soon(int fd, const struct sockaddr_storage *address, socklen_t len)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (int tries = 0; tries < 100; tries++) {
		if (bind(fd, (const struct sockaddr *)address, len) == 0)
			return true;
		if (errno != EADDRINUSE)
			return false;
		nanosleep(&pause, NULL);
	}
	errno = EADDRINUSE;
	return false;
}

int
settings_listen(int *out, const struct settings *settings, char *error,
    size_t error_size)
{
	struct sockaddr_storage address;
	socklen_t len = parse_address(&address, settings);
	int on = 1, off = 0;
	int fd = socket(address.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return listen_failed(fd, "open a socket for", settings, error,
		    error_size);
	/* Else a restart would wait for old connections to be forgotten. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (address.ss_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) !=
		    0) ||
	    !bind_soon(fd, &address, len))
		return listen_failed(fd, "bind", settings, error, error_size);
	if (listen(fd, 4096) != 0)
		return listen_failed(fd, "listen on", settings, error,
		    error_size);
	*out = fd;
	return 0;
}
