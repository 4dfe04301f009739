#include "appliance/courier/directory.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#define LDAP_DEPRECATED 0
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define MARK "{login}"
/* An entry with one name and one mail address is small. */
#define INCOMING_MAX ((ber_len_t)256 << 10)

/* --- names --------------------------------------------------------------- */

static const char hex[] = "0123456789abcdef";

/* RFC 4515, section 3: these as \XX; and every byte that is not ASCII, so that
 * encodings do not matter. */
static bool
filter_needs(unsigned char c, bool first, bool last)
{
	(void)first;
	(void)last;
	return c < 32 || c > 126 || strchr("*()\\", c) != NULL;
}

/* RFC 4514, section 2.4, each as \XX too. */
static bool
dn_needs(unsigned char c, bool first, bool last)
{
	return c < 32 || c > 126 || strchr("\"+,;<>\\=", c) != NULL ||
	    (c == ' ' && (first || last)) || (c == '#' && first);
}

static bool
fill(char *out, size_t size, const char *text, const char *login,
    bool (*needs)(unsigned char c, bool first, bool last))
{
	size_t n = 0, len = strlen(login);

	while (*text != '\0' && n + 1 < size) {
		if (strncmp(text, MARK, sizeof(MARK) - 1) != 0) {
			out[n++] = *text++;
			continue;
		}
		text += sizeof(MARK) - 1;
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)login[i];

			if (n + 4 >= size)
				return false;
			if (needs(c, i == 0, i + 1 == len)) {
				out[n++] = '\\';
				out[n++] = hex[c >> 4];
				out[n++] = hex[c & 15];
			} else {
				out[n++] = (char)c;
			}
		}
	}
	out[n] = '\0';
	return *text == '\0';
}

bool
directory_fill_filter(char *out, size_t size, const char *text,
    const char *login)
{
	return fill(out, size, text, login, filter_needs);
}

bool
directory_fill_dn(char *out, size_t size, const char *text, const char *login)
{
	return fill(out, size, text, login, dn_needs);
}

/* --- the line ------------------------------------------------------------ */

/* Called by libldap when a connection is there, before a byte is sent. */
static int
line_up(LDAP *ld, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *address,
    struct ldap_conncb *ctx)
{
	struct directory_line *line = ctx->lc_arg;
	ber_len_t most = INCOMING_MAX;
	int fd = -1, rc = 0;

	(void)ld;
	(void)url;
	(void)address;
	if (ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most) != 1 ||
	    ber_sockbuf_ctrl(sb, LBER_SB_OPT_GET_FD, &fd) != 1)
		return -1;
	pthread_mutex_lock(&line->lock);
	if (line->cut)
		rc = -1;
	else
		line->fd = fd;
	pthread_mutex_unlock(&line->lock);
	return rc;
}

static void
line_down(LDAP *ld, Sockbuf *sb, struct ldap_conncb *ctx)
{
	struct directory_line *line = ctx->lc_arg;

	(void)ld;
	(void)sb;
	pthread_mutex_lock(&line->lock);
	line->fd = -1;
	pthread_mutex_unlock(&line->lock);
}

void
directory_cut(struct directory_line *line)
{
	pthread_mutex_lock(&line->lock);
	line->cut = true;
	if (line->fd >= 0)
		(void)shutdown(line->fd, SHUT_RDWR);
	pthread_mutex_unlock(&line->lock);
}

/* --- connections --------------------------------------------------------- */

/* One login on its way. */
struct question {
	const struct directory_options *options;
	const char *service_password;
	const struct courier_bind *job;
	struct directory_line *line;
	struct ldap_conncb callbacks;
	char dn[2 * DIRECTORY_TEXT];
};

int
directory_open(const struct directory_options *options)
{
	int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND;
	int least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;

	/* No ldap.conf, no .ldaprc, no LDAP* of the environment. */
	if (setenv("LDAPNOINIT", "1", 1) != 0)
		return ERR_NOMEM;
	if (ldap_set_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version) != 0)
		return ERR_SYSTEM;
	if (options->plain && options->ca[0] == '\0')
		return 0;
	if (ldap_set_option(NULL, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) != 0 ||
	    ldap_set_option(NULL, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) != 0 ||
	    ldap_set_option(NULL, LDAP_OPT_X_TLS_CACERTFILE, options->ca) !=
		0 ||
	    ldap_set_option(NULL, LDAP_OPT_X_TLS_NEWCTX, &client) != 0) {
		log_error("courier",
		    "[ldap] ca: %s is not a PEM file of certificates",
		    options->ca);
		return ERR_BAD_REQUEST;
	}
	return 0;
}

static bool
is_secret(const struct directory_options *options)
{
	return strncasecmp(options->url, "ldaps://", 8) == 0;
}

/* What went wrong, without a word of what was asked. */
static int
failed(const struct question *question, const char *what, LDAP *ld, int rc)
{
	char *words = NULL;

	if (ld != NULL)
		(void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
	bool shown = words != NULL &&
	    text_is_printable(words, strnlen(words, 200)) && words[0] != '\0';

	bool reached = rc != LDAP_SERVER_DOWN && rc != LDAP_CONNECT_ERROR;

	log_warn("courier", "the directory %s: cannot %s: %s%s%.200s%s",
	    question->options->url, what, ldap_err2string(rc),
	    shown ? ": " : "", shown ? words : "",
	    reached ? ""
		    : "; does it run, and is its certificate for this very "
		      "name, by [ldap] ca?");
	ldap_memfree(words);
	return ERR_UNAVAILABLE;
}

/* A connection of its own, secret where it must be. */
static int
connect_to(LDAP **out, struct question *question)
{
	const struct directory_options *options = question->options;
	struct timeval patience = { .tv_sec = (time_t)options->timeout_s };
	int version = LDAP_VERSION3, limit = 2, never = LDAP_DEREF_NEVER;
	LDAP *ld = NULL;
	int rc = ldap_initialize(&ld, options->url);

	if (rc != LDAP_SUCCESS)
		return failed(question, "use its URL", NULL, rc);
	if (ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_DEREF, &never) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_SIZELIMIT, &limit) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &patience) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_TIMEOUT, &patience) != 0 ||
	    ldap_set_option(ld, LDAP_OPT_CONNECT_CB, &question->callbacks) !=
		0) {
		ldap_unbind_ext_s(ld, NULL, NULL);
		return failed(question, "be set up", NULL, LDAP_NO_MEMORY);
	}
	if (!options->plain && !is_secret(options)) {
		rc = ldap_start_tls_s(ld, NULL, NULL);
		if (rc != LDAP_SUCCESS) {
			rc = failed(question, "be reached by TLS", ld, rc);
			ldap_unbind_ext_s(ld, NULL, NULL);
			return rc;
		}
	}
	*out = ld;
	return 0;
}

static void
hang_up(LDAP *ld)
{
	if (ld != NULL)
		ldap_unbind_ext_s(ld, NULL, NULL);
}

/* An empty password would be an anonymous bind, which always succeeds (RFC
 * 4513, section 5.1.2). */
static int
bind_as(LDAP *ld, struct question *question, const char *dn,
    const char *password, size_t len)
{
	char copy[USER_PASSWORD_MAX + 1];
	struct berval credentials = { .bv_len = len, .bv_val = copy };

	if (dn[0] == '\0' || len == 0 || len > USER_PASSWORD_MAX ||
	    memchr(password, '\0', len) != NULL)
		return ERR_UNAUTHENTICATED;
	memcpy(copy, password, len);
	copy[len] = '\0';
	int rc = ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &credentials, NULL,
	    NULL, NULL);

	explicit_bzero(copy, sizeof(copy));
	if (rc == LDAP_SUCCESS)
		return 0;
	if (rc == LDAP_INVALID_CREDENTIALS || rc == LDAP_NO_SUCH_OBJECT ||
	    rc == LDAP_INVALID_DN_SYNTAX || rc == LDAP_INAPPROPRIATE_AUTH ||
	    rc == LDAP_UNWILLING_TO_PERFORM || rc == LDAP_CONSTRAINT_VIOLATION)
		return ERR_UNAUTHENTICATED;
	return failed(question, "be asked", ld, rc);
}

/* --- searches ------------------------------------------------------------ */

/* Exactly one entry, or ERR_NOT_FOUND; the caller frees the result. */
static int
search_one(LDAPMessage **result, LDAPMessage **entry, LDAP *ld,
    struct question *question, const char *base, int scope, const char *filter,
    const char *const *attributes)
{
	struct timeval patience = {
		.tv_sec = (time_t)question->options->timeout_s,
	};
	/* libldap does not write to them. */
	char **wanted = (char **)(uintptr_t)attributes;
	int rc = ldap_search_ext_s(ld, base, scope, filter, wanted, 0, NULL,
	    NULL, &patience, 2, result);

	if (rc == LDAP_NO_SUCH_OBJECT || rc == LDAP_SIZELIMIT_EXCEEDED ||
	    rc == LDAP_INSUFFICIENT_ACCESS || rc == LDAP_INVALID_DN_SYNTAX)
		return ERR_NOT_FOUND;
	if (rc != LDAP_SUCCESS)
		return failed(question, "be searched", ld, rc);
	if (ldap_count_entries(ld, *result) != 1)
		return ERR_NOT_FOUND;
	*entry = ldap_first_entry(ld, *result);
	return *entry != NULL ? 0 : ERR_NOT_FOUND;
}

/* His name in the directory, by the service account. */
static int
find_dn(LDAP *ld, struct question *question)
{
	static const char *const nothing[] = { LDAP_NO_ATTRS, NULL };
	const struct directory_options *options = question->options;
	char filter[4 * DIRECTORY_TEXT];
	LDAPMessage *result = NULL, *entry = NULL;

	if (!directory_fill_filter(filter, sizeof(filter), options->filter,
		question->job->login))
		return ERR_UNAUTHENTICATED;
	int rc = search_one(&result, &entry, ld, question, options->base,
	    LDAP_SCOPE_SUBTREE, filter, nothing);
	char *dn = rc == 0 ? ldap_get_dn(ld, entry) : NULL;

	if (rc == 0 &&
	    (dn == NULL || dn[0] == '\0' ||
		!text_copy(question->dn, sizeof(question->dn), dn)))
		rc = ERR_NOT_FOUND;
	ldap_memfree(dn);
	ldap_msgfree(result);
	return rc == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : rc;
}

static void
copy_value(char *out, size_t size, LDAP *ld, LDAPMessage *entry,
    const char *attribute)
{
	struct berval **values = ldap_get_values_len(ld, entry, attribute);

	/* A value that we would not show is none. */
	if (values != NULL && values[0] != NULL && out[0] == '\0' &&
	    text_is_printable(values[0]->bv_val, values[0]->bv_len))
		(void)text_copy_n(out, size, values[0]->bv_val,
		    values[0]->bv_len);
	ldap_value_free_len(values);
}

static int
read_person(struct courier_bound *out, LDAP *ld, struct question *question)
{
	static const char *const wanted[] = { "displayName", "cn", "mail",
		NULL };
	LDAPMessage *result = NULL, *entry = NULL;
	int rc = search_one(&result, &entry, ld, question, question->dn,
	    LDAP_SCOPE_BASE, "(objectClass=*)", wanted);

	if (rc == 0) {
		copy_value(out->name, sizeof(out->name), ld, entry,
		    "displayName");
		copy_value(out->name, sizeof(out->name), ld, entry, "cn");
		copy_value(out->mail, sizeof(out->mail), ld, entry, "mail");
	}
	ldap_msgfree(result);
	/* He need not be allowed to read himself. */
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
is_member(bool *member, LDAP *ld, struct question *question, const char *group)
{
	static const char *const nothing[] = { LDAP_NO_ATTRS, NULL };
	char filter[8 * DIRECTORY_TEXT], part[4 * DIRECTORY_TEXT];
	LDAPMessage *result = NULL, *entry = NULL;
	int n = 0;

	*member = false;
	if (!directory_fill_filter(part, sizeof(part), MARK, question->dn))
		return 0;
	n = snprintf(filter, sizeof(filter),
	    "(|(member=%.900s)(uniqueMember=%.900s)", part, part);
	if (strlen(part) > 900 ||
	    !directory_fill_filter(part, sizeof(part), "(memberUid={login}))",
		question->job->login) ||
	    (size_t)n + strlen(part) >= sizeof(filter))
		return 0;
	memcpy(filter + n, part, strlen(part) + 1);
	int rc = search_one(&result, &entry, ld, question, group,
	    LDAP_SCOPE_BASE, filter, nothing);

	*member = rc == 0;
	ldap_msgfree(result);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* The highest role of his groups. */
static int
read_role(struct courier_bound *out, LDAP *ld, struct question *question)
{
	for (uint32_t i = 0; i < DIRECTORY_ROLES; i++) {
		const char *group = question->options->groups[i];
		bool member = false;
		int rc = group[0] != '\0'
		    ? is_member(&member, ld, question, group)
		    : 0;

		if (rc != 0)
			return rc;
		if (member) {
			out->role = i + 1;
			return 0;
		}
	}
	return ERR_FORBIDDEN;
}

/* --- one login ----------------------------------------------------------- */

static int
check_password(LDAP *ld, struct question *question)
{
	return bind_as(ld, question, question->dn, question->job->password.data,
	    question->job->password.len);
}

/* The service account finds him and reads his groups; his password is tried on
 * a connection of its own. */
static int
ask_with_service(struct courier_bound *out, struct question *question)
{
	const struct directory_options *options = question->options;
	const char *password = question->service_password;
	LDAP *service = NULL, *own = NULL;
	int rc = connect_to(&service, question);

	if (rc == 0) {
		rc = bind_as(service, question, options->service_dn, password,
		    strlen(password));
		if (rc == ERR_UNAUTHENTICATED) {
			log_error("courier",
			    "the directory does not take the service account "
			    "%s",
			    options->service_dn);
			rc = ERR_UNAVAILABLE;
		}
	}
	if (rc == 0)
		rc = find_dn(service, question);
	if (rc == 0)
		rc = connect_to(&own, question);
	if (rc == 0)
		rc = check_password(own, question);
	hang_up(own);
	if (rc == 0)
		rc = read_person(out, service, question);
	if (rc == 0)
		rc = read_role(out, service, question);
	hang_up(service);
	return rc;
}

static int
ask_as_himself(struct courier_bound *out, struct question *question)
{
	LDAP *own = NULL;

	if (!directory_fill_dn(question->dn, sizeof(question->dn),
		question->options->bind_dn, question->job->login))
		return ERR_UNAUTHENTICATED;
	int rc = connect_to(&own, question);

	if (rc == 0)
		rc = check_password(own, question);
	if (rc == 0)
		rc = read_person(out, own, question);
	if (rc == 0)
		rc = read_role(out, own, question);
	hang_up(own);
	return rc;
}

void
directory_ask(struct courier_bound *out,
    const struct directory_options *options, const char *service_password,
    const struct courier_bind *job, struct directory_line *line)
{
	struct question question = {
		.options = options,
		.service_password = service_password,
		.job = job,
		.line = line,
		.callbacks = { line_up, line_down, line },
	};

	memset(out, 0, sizeof(*out));
	out->role = USER_VIEWER;
	int rc = job->password.len == 0   ? ERR_UNAUTHENTICATED
	    : options->bind_dn[0] != '\0' ? ask_as_himself(out, &question)
					  : ask_with_service(out, &question);

	out->outcome = rc == 0          ? COURIER_DONE
	    : rc == ERR_UNAUTHENTICATED ? COURIER_WRONG
	    : rc == ERR_FORBIDDEN       ? COURIER_NO_ROLE
					: COURIER_UNAVAILABLE;
}
