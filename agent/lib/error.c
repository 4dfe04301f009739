/* Words for results. */
#include "agent/lib/client.h"

#include "shared/base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* A thread's own, as errno is: what a call was told, until its next call. */
static _Thread_local char detail[640];

const char *
lh_strerror(int error)
{
	switch ((enum lh_error)error) {
	case LH_OK:
		return "done";
	case LH_E_MEMORY:
		return "out of memory";
	case LH_E_ARGUMENT:
		return "a parameter is out of its bounds";
	case LH_E_AGENT:
		return "no agent answers";
	case LH_E_SITE:
		return "the agent cannot reach the site";
	case LH_E_TIMEOUT:
		return "no answer in time";
	case LH_E_PROTOCOL:
		return "the agent said something impossible";
	case LH_E_SYSTEM:
		return "the operating system refused";
	case LH_E_NO_SEATS:
		return "every seat is taken";
	case LH_E_OVERAGE_EXHAUSTED:
		return "every seat and all allowed overage is taken";
	case LH_E_NOT_ENTITLED:
		return "no license for this product";
	case LH_E_VERSION:
		return "the license does not cover this version";
	case LH_E_EXPIRED:
		return "the license's contract is not running";
	case LH_E_SUSPENDED:
		return "the vendor has suspended the license";
	case LH_E_REFUSED:
		return "the site refused";
	case LH_E_GONE:
		return "the lease has ended";
	case LH_E_CANCELLED:
		return "the wait was given up";
	case LH_E_CLOCK:
		return "a clock went back";
	case LH_E_BAD_SIGNATURE:
		return "the answer does not come from the vendor's site";
	case LH_E_NOT_IN_JOURNAL:
		return "the lease stands in no signed journal";
	case LH_E_FORK:
		return "the site's journal was rolled back or forked";
	case LH_E_MISMATCH:
		return "the answer is for another question";
	case LH_E_BAD_PROOF:
		return "no device proves that it borrowed the seat";
	}
	return "unknown error";
}

const char *
lh_detail(void)
{
	return detail;
}

const char *
lh_version(void)
{
	return LEASEHOLD_VERSION;
}

int
detail_set(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return error;
}

int
detail_problem(int error, const struct problem *problem)
{
	return problem->hint[0] == '\0'
	    ? detail_set(error, "%s", problem->detail)
	    : detail_set(error, "%s (%s)", problem->detail, problem->hint);
}

/* Codes with a name of their own; every other refusal is LH_E_REFUSED and told
 * in words. */
static const struct {
	int err;
	int error;
} errors[] = {
	{ ERR_NOMEM, LH_E_MEMORY },
	{ ERR_CLOSED, LH_E_AGENT },
	{ ERR_TIMEOUT, LH_E_TIMEOUT },
	{ ERR_CORRUPT, LH_E_PROTOCOL },
	{ ERR_SYSTEM, LH_E_SYSTEM },
	{ ERR_IO, LH_E_SYSTEM },
	{ ERR_TOO_LARGE, LH_E_ARGUMENT },
	{ ERR_UNAVAILABLE, LH_E_SITE },
	{ ERR_BUSY, LH_E_SITE },
	{ ERR_FULL, LH_E_SITE },
	{ ERR_NO_SEATS, LH_E_NO_SEATS },
	{ ERR_OVERAGE_EXHAUSTED, LH_E_OVERAGE_EXHAUSTED },
	{ ERR_NOT_ENTITLED, LH_E_NOT_ENTITLED },
	{ ERR_VERSION_NOT_COVERED, LH_E_VERSION },
	{ ERR_LICENSE_EXPIRED, LH_E_EXPIRED },
	{ ERR_LICENSE_SUSPENDED, LH_E_SUSPENDED },
	{ ERR_GONE, LH_E_GONE },
	{ ERR_CLOCK_TAMPERED, LH_E_CLOCK },
	{ ERR_ROLLED_BACK, LH_E_FORK },
	{ ERR_FORK, LH_E_FORK },
};

int
error_from_err(int err)
{
	if (err == 0)
		return LH_OK;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].err == err)
			return errors[i].error;
	}
	return LH_E_REFUSED;
}
