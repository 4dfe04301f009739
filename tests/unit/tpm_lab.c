/* Processes of swtpm; see tpm_lab.h. */
#include "tests/unit/tpm_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tcti_swtpm.h>
#include <unistd.h>

#define STATE "tpm2-00.permall"
#define START_MS 10000

__attribute__((format(printf, 1, 2), noreturn)) static void
die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("tpm_lab: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

/* --- processes ------------------------------------------------------------ */

static void
wait_ms(long ms)
{
	struct timespec span = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&span, NULL);
}

static bool
answers(const char *dir, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%.64s/%s", dir,
	    name);
	bool there = fd >= 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return there;
}

static void
exec_swtpm(const struct lab_tpm *tpm)
{
	char state[128], server[128], control[128];
	char log[128];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(state, sizeof(state), "dir=%s", tpm->dir);
	snprintf(server, sizeof(server), "type=unixio,path=%s/sock", tpm->dir);
	snprintf(control, sizeof(control), "type=unixio,path=%s/sock.ctrl",
	    tpm->dir);
	snprintf(log, sizeof(log), "%s/log", tpm->dir);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	dup2(fd, 1);
	dup2(fd, 2);
	execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state,
	    "--server", server, "--ctrl", control, "--flags",
	    "not-need-init,startup-clear", (char *)NULL);
	_exit(127);
}

void
lab_tpm_start(struct lab_tpm *tpm)
{
	static const char *const names[] = { "sock", "sock.ctrl" };
	char path[128];

	for (size_t i = 0; i < 2; i++) { /* of a process that was killed */
		snprintf(path, sizeof(path), "%s/%s", tpm->dir, names[i]);
		unlink(path);
	}
	tpm->pid = fork();
	if (tpm->pid < 0)
		die("fork: %s", strerror(errno));
	if (tpm->pid == 0)
		exec_swtpm(tpm);
	for (int ms = 0; ms < START_MS; ms += 5) {
		if (waitpid(tpm->pid, NULL, WNOHANG) == tpm->pid)
			die("swtpm does not run (package swtpm); see %s/log",
			    tpm->dir);
		if (answers(tpm->dir, "sock") && answers(tpm->dir, "sock.ctrl"))
			return;
		wait_ms(5);
	}
	die("swtpm does not answer; see %s/log", tpm->dir);
}

void
lab_tpm_new(struct lab_tpm *tpm)
{
	snprintf(tpm->dir, sizeof(tpm->dir), "/tmp/leasehold-tpm.XXXXXX");
	if (mkdtemp(tpm->dir) == NULL)
		die("mkdtemp: %s", strerror(errno));
	snprintf(tpm->tcti, sizeof(tpm->tcti), "swtpm:path=%s/sock", tpm->dir);
	lab_tpm_start(tpm);
}

void
lab_tpm_kill(struct lab_tpm *tpm)
{
	if (tpm->pid <= 0)
		return;
	kill(tpm->pid, SIGKILL);
	waitpid(tpm->pid, NULL, 0);
	tpm->pid = 0;
}

void
lab_tpm_remove(struct lab_tpm *tpm)
{
	static const char *const names[] = { "sock", "sock.ctrl", "log", STATE,
		"tpm2-00.volatilestate", ".lock", "saved" };
	char path[128];

	lab_tpm_kill(tpm);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", tpm->dir, names[i]);
		unlink(path);
	}
	rmdir(tpm->dir);
}

static void
copy_file(const char *from, const char *to)
{
	uint8_t data[1 << 16];
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");

	if (in == NULL || out == NULL)
		die("cannot copy %s to %s", from, to);
	size_t n = fread(data, 1, sizeof(data), in);

	if (n == 0 || n == sizeof(data) || fwrite(data, 1, n, out) != n)
		die("cannot copy %s to %s", from, to);
	fclose(in);
	if (fclose(out) != 0)
		die("cannot copy %s to %s", from, to);
}

void
lab_tpm_save(const struct lab_tpm *tpm, const char *name)
{
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/" STATE, tpm->dir);
	snprintf(to, sizeof(to), "%s/%s", tpm->dir, name);
	copy_file(from, to);
}

void
lab_tpm_restore(const struct lab_tpm *tpm, const char *name)
{
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/%s", tpm->dir, name);
	snprintf(to, sizeof(to), "%s/" STATE, tpm->dir);
	copy_file(from, to);
}

/* --- its certificate ------------------------------------------------------ */

static void
define_certificate(ESYS_CONTEXT *esys, ESYS_TR *index, size_t ek_len,
    size_t len)
{
	static const TPM2B_AUTH none = { 0 };
	TPM2B_NV_PUBLIC area = {
		.nvPublic = {
			.nvIndex = ek_len == 256 ? 0x01c00002 : 0x01c0000a,
			.nameAlg = TPM2_ALG_SHA256,
			.attributes = TPMA_NV_PPWRITE | TPMA_NV_PPREAD |
			    TPMA_NV_OWNERREAD | TPMA_NV_AUTHREAD |
			    TPMA_NV_NO_DA | TPMA_NV_PLATFORMCREATE,
			.dataSize = (uint16_t)len,
		},
	};

	if (Esys_TR_FromTPMPublic(esys, area.nvPublic.nvIndex, ESYS_TR_NONE,
		ESYS_TR_NONE, ESYS_TR_NONE, index) == TSS2_RC_SUCCESS)
		Esys_NV_UndefineSpace(esys, ESYS_TR_RH_PLATFORM, *index,
		    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);
	TSS2_RC rc = Esys_NV_DefineSpace(esys, ESYS_TR_RH_PLATFORM,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &none, &area, index);

	if (rc != TSS2_RC_SUCCESS)
		die("NV_DefineSpace: 0x%x", rc);
}

static void
write_index(ESYS_CONTEXT *esys, ESYS_TR index, const uint8_t *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		TPM2B_MAX_NV_BUFFER part = { 0 };

		part.size = (uint16_t)(len - at < 512 ? len - at : 512);
		memcpy(part.buffer, data + at, part.size);
		TSS2_RC rc = Esys_NV_Write(esys, ESYS_TR_RH_PLATFORM, index,
		    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &part,
		    (uint16_t)at);

		if (rc != TSS2_RC_SUCCESS)
			die("NV_Write: 0x%x", rc);
		at += part.size;
	}
}

/* Of a moment; close_tpm() after it. */
static ESYS_CONTEXT *
open_tpm(TSS2_TCTI_CONTEXT **tcti, const struct lab_tpm *tpm)
{
	const char *conf = strchr(tpm->tcti, ':') + 1;
	ESYS_CONTEXT *esys = NULL;
	size_t size = 0;

	Tss2_Tcti_Swtpm_Init(NULL, &size, NULL);
	*tcti = calloc(1, size);
	if (*tcti == NULL ||
	    Tss2_Tcti_Swtpm_Init(*tcti, &size, conf) != TSS2_RC_SUCCESS ||
	    Esys_Initialize(&esys, *tcti, NULL) != TSS2_RC_SUCCESS)
		die("no TPM at %s", tpm->tcti);
	return esys;
}

static void
close_tpm(ESYS_CONTEXT *esys, TSS2_TCTI_CONTEXT *tcti)
{
	Esys_Finalize(&esys);
	Tss2_Tcti_Finalize(tcti);
	free(tcti);
}

void
lab_tpm_put_certificate(const struct lab_tpm *tpm, size_t ek_len,
    const uint8_t *der, size_t len)
{
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys = open_tpm(&tcti, tpm);
	ESYS_TR index;

	define_certificate(esys, &index, ek_len, len);
	write_index(esys, index, der, len);
	Esys_TR_Close(esys, &index);
	close_tpm(esys, tcti);
}

void
lab_tpm_extend(const struct lab_tpm *tpm, uint32_t pcr,
    const uint8_t digest[32])
{
	TPML_DIGEST_VALUES values = { .count = 1 };
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys = open_tpm(&tcti, tpm);

	values.digests[0].hashAlg = TPM2_ALG_SHA256;
	memcpy(values.digests[0].digest.sha256, digest, 32);
	TSS2_RC rc = Esys_PCR_Extend(esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &values);

	if (rc != TSS2_RC_SUCCESS)
		die("PCR %u is not extended: 0x%x", pcr, rc);
	close_tpm(esys, tcti);
}
