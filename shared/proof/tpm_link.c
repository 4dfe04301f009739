/* Connecting to a TPM; see tpm_link.h. The TCTI modules are linked, not loaded
 * by name at run time: a configuration cannot name code, and a sandbox that is
 * closed does not stand in the way of opening again. */
#include "shared/proof/tpm_link.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_tcti_device.h>
#include <tss2/tss2_tcti_mssim.h>
#include <tss2/tss2_tcti_swtpm.h>
#include <unistd.h>

#define NV_BUFFER_DEFAULT 512

/* TPM_HT, part 2, 7.2; tss2's own shift a sign bit. */
#define TRANSIENT_FIRST 0x80000000u
#define LOADED_SESSION_FIRST 0x02000000u

/* --- which one ------------------------------------------------------------ */

static bool
is_device(const char *target)
{
	return strncmp(target, "/dev/", 5) == 0 && strstr(target, "..") == NULL;
}

/* A TPM at the other end of a network is nobody's TPM: who owns the network is
 * the device. */
static bool
is_local(const char *target)
{
	static const char *const hosts[] = { "host=127.0.0.1,port=",
		"host=localhost,port=", "host=::1,port=" };
	uint64_t port;

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t len = strlen(hosts[i]);

		if (strncmp(target, hosts[i], len) == 0)
			return text_to_u64(&port, target + len,
				   strlen(target + len)) &&
			    port > 0 && port < 65535;
	}
	return false;
}

static bool
is_socket_or_local(const char *target)
{
	if (strncmp(target, "path=/", 6) == 0)
		return strchr(target, ',') == NULL;
	return is_local(target);
}

struct tpm_way {
	const char *prefix;
	const char *form; /* for people */
	bool (*fits)(const char *target);
	TSS2_TCTI_INIT_FUNC init;
};

static const struct tpm_way ways[] = {
	{ "device:", "device:/dev/tpmrm0", is_device, Tss2_Tcti_Device_Init },
	{ "swtpm:",
	    "swtpm:path=/absolute/socket or "
	    "swtpm:host=127.0.0.1,port=2321",
	    is_socket_or_local, Tss2_Tcti_Swtpm_Init },
	{ "mssim:", "mssim:host=127.0.0.1,port=2321", is_local,
	    Tss2_Tcti_Mssim_Init },
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

int
tpm_link_parse(struct tpm_link *link, const char *tcti)
{
	if (!text_copy(link->tcti, sizeof(link->tcti), tcti)) {
		log_error("proof", "the TPM's setting is too long");
		return ERR_BAD_REQUEST;
	}
	for (size_t i = 0; i < N_WAYS; i++) {
		size_t len = strlen(ways[i].prefix);

		if (strncmp(tcti, ways[i].prefix, len) != 0)
			continue;
		link->way = &ways[i];
		link->target = link->tcti + len;
		if (ways[i].fits(link->target))
			return 0;
		log_error("proof", "\"%s\" names no TPM: want %s", tcti,
		    ways[i].form);
		return ERR_BAD_REQUEST;
	}
	log_error("proof",
	    "\"%s\" names no TPM: want device:/dev/tpmrm0 (or swtpm:, mssim: "
	    "of this machine)",
	    tcti);
	return ERR_BAD_REQUEST;
}

/* --- connecting ----------------------------------------------------------- */

/* tss2 writes its own lines to standard error, which say nothing to people and
 * forge our log; it reads the setting once, and this is before any thread. */
__attribute__((constructor)) static void
silence_tss2(void)
{
	(void)setenv("TSS2_LOG", "all+none", 0);
}

/* The kernel's resource manager gives each of its users a TPM. */
static bool
is_shared(const struct tpm_link *link)
{
	return strncmp(link->tcti, "device:/dev/tpmrm", 17) == 0;
}

static void
say_unreachable(const struct tpm_link *link, const char *why)
{
	log_error("proof", "no TPM answers at %s: %s", link->tcti, why);
}

/* Words that the library's answer has not. */
static const char *
why_closed(const struct tpm_link *link, int error)
{
	const char *path = link->target;

	if (strncmp(path, "path=", 5) == 0)
		path += 5;
	if (path[0] == '/' && access(path, R_OK | W_OK) != 0)
		error = errno;
	if (error == EACCES)
		return "this user may not open it (group tss may)";
	return error != 0 ? strerror(error) : "nobody listens";
}

/* Anybody can listen there: is it a TPM 2.0, and how much does it read at
 * once? */
static int
greet(struct tpm_link *link)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_RC rc = Esys_GetCapability(link->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1,
	    NULL, &data);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_failed(link, rc, "speak to it");
	link->nv_buffer_bytes = NV_BUFFER_DEFAULT;
	if (data->data.tpmProperties.count == 1 &&
	    data->data.tpmProperties.tpmProperty[0].property ==
		TPM2_PT_NV_BUFFER_MAX)
		link->nv_buffer_bytes =
		    data->data.tpmProperties.tpmProperty[0].value;
	Esys_Free(data);
	if (link->nv_buffer_bytes > TPM2_MAX_NV_BUFFER_SIZE)
		link->nv_buffer_bytes = TPM2_MAX_NV_BUFFER_SIZE;
	return 0;
}

static void
flush_all(struct tpm_link *link, TPM2_HANDLE first)
{
	TPMS_CAPABILITY_DATA *data = NULL;

	if (Esys_GetCapability(link->esys, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES,
		NULL, &data) != TSS2_RC_SUCCESS)
		return;
	for (uint32_t i = 0; i < data->data.handles.count; i++) {
		ESYS_TR left = ESYS_TR_NONE;

		if (Esys_TR_FromTPMPublic(link->esys,
			data->data.handles.handle[i], ESYS_TR_NONE,
			ESYS_TR_NONE, ESYS_TR_NONE, &left) == TSS2_RC_SUCCESS)
			(void)Esys_FlushContext(link->esys, left);
	}
	Esys_Free(data);
}

static void
empty_slots(struct tpm_link *link)
{
	link->crowded = false;
	flush_all(link, TRANSIENT_FIRST);
	flush_all(link, LOADED_SESSION_FIRST);
	log_info("proof",
	    "emptied the slots of the TPM at %s, which a program that ended "
	    "had left full",
	    link->tcti);
}

static int
open_tcti(struct tpm_link *link)
{
	size_t size = 0;
	TSS2_RC rc = link->way->init(NULL, &size, NULL);

	if (rc != TSS2_RC_SUCCESS)
		return ERR_SYSTEM;
	link->tcti_context = calloc(1, size);
	if (link->tcti_context == NULL)
		return ERR_NOMEM;
	errno = 0;
	rc = link->way->init(link->tcti_context, &size, link->target);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	say_unreachable(link, why_closed(link, errno));
	free(link->tcti_context); /* not begun: there is nothing to finalize */
	link->tcti_context = NULL;
	return ERR_UNAVAILABLE;
}

int
tpm_link_open(struct tpm_link *link)
{
	if (link->esys != NULL)
		return 0;
	int err = open_tcti(link);

	if (err < 0)
		return err;
	TSS2_RC rc = Esys_Initialize(&link->esys, link->tcti_context, NULL);

	if (rc != TSS2_RC_SUCCESS) {
		link->esys = NULL;
		err = tpm_link_failed(link, rc, "speak to it");
	} else {
		err = greet(link);
	}
	if (err == 0 && link->crowded)
		empty_slots(link);
	if (err < 0)
		tpm_link_close(link);
	return err;
}

void
tpm_link_close(struct tpm_link *link)
{
	if (link->esys != NULL)
		Esys_Finalize(&link->esys);
	link->esys = NULL;
	if (link->tcti_context != NULL) {
		Tss2_Tcti_Finalize(link->tcti_context);
		free(link->tcti_context);
	}
	link->tcti_context = NULL;
}

void
tpm_link_rest(struct tpm_link *link)
{
	if (link->lost || !is_shared(link))
		tpm_link_close(link);
}

/* --- words ---------------------------------------------------------------- */

/* Part 2, 6.6: format-one codes carry in their other bits what they blame. */
bool
tpm_rc_is(TSS2_RC rc, TSS2_RC code)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return false;
	rc &= ~(TSS2_RC)TSS2_RC_LAYER_MASK;
	if ((rc & TPM2_RC_FMT1) != 0)
		rc &= TPM2_RC_FMT1 | 0x3f;
	return rc == code;
}

bool
tpm_rc_is_of_parameter(TSS2_RC rc)
{
	return (rc & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER &&
	    (rc & (TPM2_RC_FMT1 | TPM2_RC_P)) == (TPM2_RC_FMT1 | TPM2_RC_P);
}

struct tpm_words {
	TSS2_RC code;
	int err;
	const char *words;
};

static const struct tpm_words answers[] = {
	{ TPM2_RC_LOCKOUT, ERR_UNAVAILABLE,
	    "the TPM is locked after wrong passwords; it opens by itself after "
	    "a time, or at once with tpm2_dictionarylockout --clear-lockout" },
	{ TPM2_RC_NV_SPACE, ERR_FULL,
	    "the TPM has no room for one more index" },
	{ TPM2_RC_NV_RATE, ERR_BUSY,
	    "the TPM writes no more often, to spare its memory" },
	{ TPM2_RC_NV_UNAVAILABLE, ERR_BUSY, "the TPM's memory is busy" },
	{ TPM2_RC_RETRY, ERR_BUSY, "the TPM is busy" },
	{ TPM2_RC_TESTING, ERR_BUSY, "the TPM tests itself" },
	{ TPM2_RC_YIELDED, ERR_BUSY, "the TPM is busy" },
	{ TPM2_RC_CANCELED, ERR_BUSY, "the TPM was told to stop" },
	{ TPM2_RC_FAILURE, ERR_UNAVAILABLE,
	    "the TPM is in failure mode until the machine is restarted" },
	{ TPM2_RC_REBOOT, ERR_UNAVAILABLE,
	    "the TPM wants the machine to be restarted" },
	{ TPM2_RC_INITIALIZE, ERR_UNAVAILABLE,
	    "the TPM was not started by the machine's firmware" },
	{ TPM2_RC_HIERARCHY, ERR_UNAVAILABLE,
	    "the machine's firmware has switched this part of the TPM off" },
	{ TPM2_RC_OBJECT_MEMORY, ERR_BUSY,
	    "other programs fill the TPM's slots; device:/dev/tpmrm0 shares "
	    "them" },
	{ TPM2_RC_SESSION_MEMORY, ERR_BUSY,
	    "other programs fill the TPM's sessions; device:/dev/tpmrm0 shares "
	    "them" },
	{ TPM2_RC_SESSION_HANDLES, ERR_BUSY,
	    "other programs fill the TPM's sessions; device:/dev/tpmrm0 shares "
	    "them" },
	{ TPM2_RC_MEMORY, ERR_BUSY, "the TPM is out of memory" },
	{ TPM2_RC_COMMAND_CODE, ERR_UNAVAILABLE,
	    "the TPM lacks a command that is needed" },
	{ TPM2_RC_INTEGRITY, ERR_MISMATCH,
	    "it is not of this TPM, or the TPM was cleared since" },
};

/* No answer, or half of one. */
static bool
is_lost(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	return layer == TSS2_TCTI_RC_LAYER ||
	    (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER &&
		(rc & ~(TSS2_RC)TSS2_RC_LAYER_MASK) ==
		    TSS2_BASE_RC_MALFORMED_RESPONSE);
}

/* Slots that a program left full when it was killed: without a resource
 * manager nobody else empties them. */
static bool
is_crowded(const struct tpm_link *link, TSS2_RC rc)
{
	return !is_shared(link) &&
	    (tpm_rc_is(rc, TPM2_RC_OBJECT_MEMORY) ||
		tpm_rc_is(rc, TPM2_RC_SESSION_MEMORY) ||
		tpm_rc_is(rc, TPM2_RC_SESSION_HANDLES));
}

int
tpm_link_failed(struct tpm_link *link, TSS2_RC rc, const char *what)
{
	if (is_lost(rc)) {
		link->lost = true;
		if (link->again)
			log_error("proof",
			    "the TPM at %s went away: cannot %s (0x%x)",
			    link->tcti, what, rc);
		else
			log_debug("proof", "the TPM at %s went away (0x%x)",
			    link->tcti, rc);
		return ERR_UNAVAILABLE;
	}
	if (is_crowded(link, rc) && !link->again) {
		link->lost = link->crowded = true;
		return ERR_BUSY;
	}
	if (rc == TSS2_ESYS_RC_RSP_AUTH_FAILED) {
		log_error("proof",
		    "ALERT: the answer of the TPM at %s was changed on its way "
		    "(cannot %s): somebody stands between",
		    link->tcti, what);
		return ERR_UNAVAILABLE;
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (!tpm_rc_is(rc, answers[i].code))
			continue;
		log_error("proof", "the TPM at %s cannot %s: %s", link->tcti,
		    what, answers[i].words);
		return answers[i].err;
	}
	log_error("proof", "the TPM at %s cannot %s: error 0x%x", link->tcti,
	    what, rc);
	return ERR_UNAVAILABLE;
}

int
tpm_link_refused(struct tpm_link *link, TSS2_RC rc, const char *what,
    const char *whose, int err)
{
	if (!tpm_rc_is(rc, TPM2_RC_AUTH_FAIL) &&
	    !tpm_rc_is(rc, TPM2_RC_BAD_AUTH))
		return tpm_link_failed(link, rc, what);
	log_error("proof", "the TPM at %s cannot %s: %s", link->tcti, what,
	    whose);
	return err;
}
