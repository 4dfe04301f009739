/* The seccomp filter of each profile, by libseccomp; see sandbox.h. */
#include "shared/base/sandbox_filter.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef SANDBOX_LOG
#define SANDBOX_REFUSED SCMP_ACT_LOG
#else
#define SANDBOX_REFUSED SCMP_ACT_KILL_PROCESS
#endif

struct filter {
	scmp_filter_ctx ctx;
	enum sandbox_profile profile;
	int error; /* the first one, negative errno */
};

static const char *
profile_name(enum sandbox_profile profile)
{
	switch (profile) {
	case SANDBOX_PARENT:
		return "parent";
	case SANDBOX_FRONT:
		return "front";
	case SANDBOX_LEDGER:
	case SANDBOX_LEDGER_SOCKET:
		return "ledger";
	case SANDBOX_KEEPER:
		return "keeper";
	case SANDBOX_UPLINK:
		return "uplink";
	case SANDBOX_COURIER:
		return "courier";
	}
	return "unknown";
}

static bool
filter_is_for(const struct filter *filter, unsigned profiles)
{
	return (SANDBOX_BIT(filter->profile) & profiles) != 0;
}

static void
allow(struct filter *filter, int call)
{
	int result = seccomp_rule_add(filter->ctx, SCMP_ACT_ALLOW, call, 0);

	if (result != 0 && filter->error == 0)
		filter->error = result;
}

/* One condition; several rules for one call are alternatives. */
static void
rule_if(struct filter *filter, uint32_t action, int call,
    struct scmp_arg_cmp condition)
{
	int result =
	    seccomp_rule_add_array(filter->ctx, action, call, 1, &condition);

	if (result != 0 && filter->error == 0)
		filter->error = result;
}

static void
add_table(struct filter *filter)
{
	size_t n;
	const struct sandbox_call *calls = sandbox_calls(&n);

	for (size_t i = 0; i < n; i++)
		if (calls[i].number >= 0 &&
		    filter_is_for(filter, calls[i].profiles))
			allow(filter, calls[i].number);
}

/* No new code: no page becomes executable. Where name services may want a
 * module, they are told no and go on with the next service; front and ledger
 * have no reason to ask. */
static void
add_memory(struct filter *filter)
{
	static const int calls[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	const uint64_t exec = PROT_EXEC;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (filter->profile == SANDBOX_PARENT) {
			allow(filter, calls[i]);
			continue;
		}
		rule_if(filter, SCMP_ACT_ALLOW, calls[i],
		    SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0));
		if (filter_is_for(filter,
			SANDBOX_BIT(SANDBOX_KEEPER) |
			    SANDBOX_BIT(SANDBOX_UPLINK) |
			    SANDBOX_BIT(SANDBOX_COURIER)))
			rule_if(filter, SCMP_ACT_ERRNO(EACCES), calls[i],
			    SCMP_A2(SCMP_CMP_MASKED_EQ, exec, exec));
	}
}

static void
add_files(struct filter *filter)
{
	const uint64_t writes = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND |
	    (O_TMPFILE & ~O_DIRECTORY);

	switch (filter->profile) {
	case SANDBOX_PARENT:
	case SANDBOX_LEDGER:
	case SANDBOX_LEDGER_SOCKET:
	case SANDBOX_KEEPER:
		allow(filter, SCMP_SYS(openat));
		break;
	case SANDBOX_UPLINK:
	case SANDBOX_COURIER:
		/* /etc/resolv.conf, /etc/hosts and their like */
		rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat),
		    SCMP_A2(SCMP_CMP_MASKED_EQ, writes, O_RDONLY));
		break;
	case SANDBOX_FRONT:
		break;
	}
}

static void
add_sockets(struct filter *filter)
{
	static const int of_uplink[] = { AF_INET, AF_INET6, AF_NETLINK,
		AF_UNIX };

	switch (filter->profile) {
	case SANDBOX_PARENT:
		allow(filter, SCMP_SYS(socket));
		break;
	case SANDBOX_LEDGER_SOCKET:
	case SANDBOX_KEEPER:
		rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket),
		    SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
		break;
	case SANDBOX_UPLINK:
	case SANDBOX_COURIER:
		for (size_t i = 0; i < sizeof(of_uplink) / sizeof(of_uplink[0]);
		     i++)
			rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket),
			    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)of_uplink[i]));
		break;
	case SANDBOX_FRONT:
	case SANDBOX_LEDGER:
		break;
	}
}

static void
add_own_process(struct filter *filter)
{
	static const unsigned long requests[] = { FIONREAD, FIONBIO, FIOCLEX,
		FIONCLEX, TIOCOUTQ, TCGETS, SIOCGIFINDEX };

	if (filter->profile == SANDBOX_PARENT) {
		allow(filter, SCMP_SYS(tgkill));
		allow(filter, SCMP_SYS(prlimit64));
		allow(filter, SCMP_SYS(prctl));
		allow(filter, SCMP_SYS(ioctl));
		return;
	}
	/* abort() and raise(), for this process only */
	rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* reading limits */
	rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64),
	    SCMP_A2(SCMP_CMP_EQ, 0));
	rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl),
	    SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
		    SCMP_A1(SCMP_CMP_EQ, requests[i]));
}

static void
set_attribute(struct filter *filter, enum scmp_filter_attr attribute,
    uint32_t value)
{
	int result = seccomp_attr_set(filter->ctx, attribute, value);

	if (result != 0 && filter->error == 0)
		filter->error = result;
}

int
sandbox_enter(enum sandbox_profile profile)
{
	struct filter filter = { .profile = profile };

	/* A library's localtime() or mktime() must not look for its file later:
	 * glibc looks again each time where TZ is not set, and opens what it no
	 * longer finds in an empty root. libwebsockets does so once a day, for
	 * the ends of certificates. */
	if (setenv("TZ", "UTC0", 0) != 0)
		return ERR_NOMEM;
	tzset();
	filter.ctx = seccomp_init(SANDBOX_REFUSED);
	if (filter.ctx == NULL) {
		log_error("sandbox", "no memory for the filter");
		return ERR_SYSTEM;
	}
	set_attribute(&filter, SCMP_FLTATR_CTL_TSYNC, 1);
	set_attribute(&filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree, not a list: hot calls are not the last to be found. */
	set_attribute(&filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	add_table(&filter);
	add_memory(&filter);
	add_files(&filter);
	add_sockets(&filter);
	add_own_process(&filter);
	if (filter.error == 0)
		filter.error = seccomp_load(filter.ctx);
	seccomp_release(filter.ctx);
	if (filter.error != 0) {
		log_error("sandbox", "the %s filter does not load: %s",
		    profile_name(profile), strerror(-filter.error));
		return ERR_SYSTEM;
	}
	return 0;
}
