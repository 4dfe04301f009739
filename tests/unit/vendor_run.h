/*
 * Runs of the vendor's tool for tests: each is a process of its own in a folder
 * of its own, as people run it.
 */
#ifndef TESTS_UNIT_VENDOR_RUN_H
#define TESTS_UNIT_VENDOR_RUN_H

#include "appliance/vendor/vendor.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char out[16384]; /* of the last run */
static char err[16384];

static inline void
slurp(char *text, size_t size, const char *path)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(file_read(&data, &len, path, size - 1), 0);
	memcpy(text, data, len + 1);
	free(data);
}

static inline void
spill(const char *path, const char *text)
{
	ck_assert_int_eq(file_write(path, text, strlen(text), 0644), 0);
}

static inline void
redirect(const char *path, int to)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(99);
}

/* Words are split at spaces; a + stands for a space within one. */
static inline int
run(const char *line)
{
	char words[1024];
	char *argv[32] = { (char[]){ "leasehold-vendor" } };
	char *rest;
	int argc = 1;
	int status;

	ck_assert(text_copy(words, sizeof(words), line));
	for (char *w = strtok_r(words, " ", &rest); w != NULL;
	     w = strtok_r(NULL, " ", &rest)) {
		for (char *p = w; *p != '\0'; p++)
			if (*p == '+')
				*p = ' ';
		argv[argc++] = w;
	}
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		redirect("stdout.txt", STDOUT_FILENO);
		redirect("stderr.txt", STDERR_FILENO);
		status = vendor_main(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	slurp(out, sizeof(out), "stdout.txt");
	slurp(err, sizeof(err), "stderr.txt");
	unlink("stdout.txt");
	unlink("stderr.txt");
	return WEXITSTATUS(status);
}

static inline void
has(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part,
	    text);
}

static inline int
files_in(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		if (e->d_name[0] != '.')
			n++;
	closedir(dir);
	return n;
}

#define TERMS                                                              \
	"{\"product\":{\"id\":\"davinci\",\"version\":\">=8.0.0\"},"       \
	"\"entitlement\":{\"total_licenses\":20,\"commit_qty\":5,"         \
	"\"max_overage\":15,\"pricing\":{\"commit_fee_monthly\":5000.00,"  \
	"\"overage_per_use\":500.00,\"currency\":\"EUR\"}},"               \
	"\"contract\":{\"start_date\":\"2020-01-01\",\"end_date\":\"%s\"," \
	"\"auto_renew\":true,\"billing_cycle\":\"monthly\"}}"

static inline void
write_terms(const char *path, const char *end)
{
	char text[1024];

	snprintf(text, sizeof(text), TERMS, end);
	spill(path, text);
}

static uint8_t site_secret[64];

static inline void
write_request(const char *path, const char *name)
{
	struct license_request request = { .site = "site-abcdefghijklm",
		.tenant = "default",
		.key_class = "file",
		.software = "leaseholdd 0.1.0",
		.created_at = 1 };
	struct buf token = { 0 };

	text_copy(request.name, sizeof(request.name), name);
	memcpy(request.site_key, site_secret + 32, 32);
	ck_assert_int_eq(license_document_sign(&token, &license_request_record,
			     &request, TOKEN_REQUEST, site_secret),
	    0);
	buf_add_byte(&token, '\n');
	spill(path, buf_text(&token));
	buf_release(&token);
}

static inline void
start(void)
{
	uint8_t seed[32] = { 7 };
	uint8_t public_key[32];

	text_copy(folder, sizeof(folder), "/tmp/check_vendor.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	crypto_sign_seed_keypair(public_key, site_secret, seed);
	write_request("request.txt", "Mercedes");
	write_terms("terms.json", "9000-12-31");
}

static inline void
finish(void)
{
	static const char *const known[] = { "v/vendor.json", "v/root.key",
		"v/root.pub", "v/issuer.key", "v/issuer.token", "v/serial.json",
		"v", "request.txt", "terms.json", "a.lic", "b.lic", "x.txt",
		NULL };

	for (size_t i = 0; known[i] != NULL; i++)
		remove(known[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0); /* and nothing else was left */
}

#define INIT "init v --name Vector+Informatik --id vector"
#define ISSUE "issue v --request request.txt --terms terms.json --out a.lic"

static inline void
vendor_ready(void)
{
	ck_assert_int_eq(run(INIT), 0);
	ck_assert_int_eq(run("issuer v"), 0);
}

/* The license of a file, verified from the root; its features live until the
 * next one. */
static inline struct license
license_of(const char *path)
{
	static struct arena features;
	struct license license;
	struct license_issuer issuer;
	struct license_file file;
	struct record_error why;
	struct arena arena = { 0 };
	uint8_t root[32];
	static char text[65536];
	char pub[128];

	arena_release(&features);
	slurp(pub, sizeof(pub), "v/root.pub");
	pub[strcspn(pub, "\n")] = '\0';
	ck_assert_int_eq(token_public_parse(root, pub), 0);
	slurp(text, sizeof(text), path);
	ck_assert_int_eq(record_read_json(&file, &license_file_record, text,
			     strlen(text), &arena, &why),
	    0);
	ck_assert_msg(license_verify(&license, &issuer, file.issuer.data,
			  file.issuer.len, file.license.data, file.license.len,
			  root, &features, &why) == 0,
	    "%s: %s", why.field, why.reason);
	arena_release(&arena);
	return license;
}

#endif
