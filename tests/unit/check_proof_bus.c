/* Who sits on the bus between device and TPM: reads all that passes, and
 * changes an answer. */
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/proof/identity.h"
#include "shared/proof/tpm_store.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CC_NV_READ 0x14e

static const char *const names[] = { "sock", "sock.ctrl" };

/* One client at a time, on both of its sockets. */
static struct {
	pthread_t thread;
	char dir[64];
	int listening[2], client[2], real[2];
	int stop[2]; /* pipe */
	uint32_t command; /* the last on the first socket */
	/* Read by the test while the thread waits for more. */
	struct buf heard;
	_Atomic uint32_t change; /* answers to this command; 0: none */
	_Atomic int changed;
} bus;

static struct lab_tpm tpm;
static char folder[128], tcti[128];
static struct identity *identity;

static int
make_socket(bool listens, const char *dir, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed;

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.64s/%s", dir,
	    name);
	if (listens)
		failed = bind(fd, (struct sockaddr *)&address,
			     sizeof(address)) != 0 ||
		    listen(fd, 4) != 0;
	else
		failed = connect(fd, (struct sockaddr *)&address,
			     sizeof(address)) != 0;
	ck_assert_msg(!failed, "%s", address.sun_path);
	return fd;
}

static void
hang_up(int i)
{
	close(bus.client[i]);
	close(bus.real[i]);
	bus.client[i] = bus.real[i] = -1;
}

static void
look_at(uint8_t *data, size_t len, int i, bool is_answer)
{
	buf_add(&bus.heard, data, len);
	if (i != 0 || len < 10)
		return;
	if (!is_answer) {
		bus.command = be32_read(data + 6);
	} else if (bus.change != 0 && bus.command == bus.change && len > 24) {
		data[23] ^= 1; /* the last byte of an NV index of eight */
		bus.changed++;
	}
}

static void
pass_on(int from, int to, int i, bool is_answer)
{
	uint8_t data[8192];
	ssize_t n = read(from, data, sizeof(data));

	if (n <= 0) {
		hang_up(i);
		return;
	}
	look_at(data, (size_t)n, i, is_answer);
	if (write(to, data, (size_t)n) != n)
		hang_up(i);
}

static void *
listen_in(void *ctx)
{
	(void)ctx;
	for (;;) {
		struct pollfd fds[7] = { { bus.stop[0], POLLIN, 0 } };

		for (int i = 0; i < 2; i++) {
			fds[1 + i] =
			    (struct pollfd){ bus.listening[i], POLLIN, 0 };
			fds[3 + i] =
			    (struct pollfd){ bus.client[i], POLLIN, 0 };
			fds[5 + i] = (struct pollfd){ bus.real[i], POLLIN, 0 };
			if (bus.client[i] >= 0)
				fds[1 + i].fd = -1;
		}
		if (poll(fds, 7, -1) < 0 || fds[0].revents != 0)
			return NULL;
		for (int i = 0; i < 2; i++) {
			if (fds[1 + i].revents != 0) {
				bus.client[i] =
				    accept(bus.listening[i], NULL, NULL);
				bus.real[i] =
				    make_socket(false, tpm.dir, names[i]);
				continue;
			}
			if (fds[3 + i].revents != 0)
				pass_on(bus.client[i], bus.real[i], i, false);
			if (bus.real[i] >= 0 && fds[5 + i].revents != 0)
				pass_on(bus.real[i], bus.client[i], i, true);
		}
	}
}

static void
setup(void)
{
	lab_tpm_new(&tpm);
	snprintf(bus.dir, sizeof(bus.dir), "/tmp/leasehold-bus.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(bus.dir));
	for (int i = 0; i < 2; i++) {
		bus.listening[i] = make_socket(true, bus.dir, names[i]);
		bus.client[i] = bus.real[i] = -1;
	}
	ck_assert_int_eq(pipe(bus.stop), 0);
	ck_assert_int_eq(pthread_create(&bus.thread, NULL, listen_in, NULL), 0);
	snprintf(folder, sizeof(folder), "%s/id", tpm.dir);
	snprintf(tcti, sizeof(tcti), "swtpm:path=%s/sock", bus.dir);
	ck_assert_int_eq(identity_open(&identity, folder, tcti), 0);
	ck_assert_int_eq(identity_bind(identity, "site-a", "default"), 0);
}

static void
teardown(void)
{
	char command[300];

	identity_close(identity);
	ck_assert_int_eq(write(bus.stop[1], "", 1), 1);
	pthread_join(bus.thread, NULL);
	buf_release(&bus.heard);
	snprintf(command, sizeof(command), "rm -r %s %s", bus.dir, folder);
	ck_assert_int_eq(system(command), 0);
	lab_tpm_remove(&tpm);
}

static bool
was_heard(const void *data, size_t len)
{
	return memmem(bus.heard.data, bus.heard.len, data, len) != NULL;
}

START_TEST(who_listens_reads_no_secret)
{
	static struct tpm_store store;
	uint8_t secret[64], opened[IDENTITY_SEAL_MAX];
	uint8_t challenge_secret[32], answer[32], key[PROOF_KEY_MAX];
	struct proof_subject subject = { .purpose = PROOF_LOGIN,
		.site = "site-a",
		.tenant = "default" };
	struct proof_material material;
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	struct buf blob = { 0 };
	struct proof proof;
	uint8_t qualifying[32];
	size_t len;

	randombytes_buf(secret, sizeof(secret));
	randombytes_buf(challenge_secret, sizeof(challenge_secret));
	ck_assert_int_eq(identity_counter_raise(identity, 2), 0);
	ck_assert_int_eq(proof_make(&proof, identity, &subject), 0);
	ck_assert_int_eq(identity_seal(&blob, identity, secret, 64, 0), 0);
	ck_assert_int_eq(identity_unseal(opened, &len, identity, blob.data,
			     blob.len),
	    0);
	ck_assert_mem_eq(opened, secret, 64);
	ck_assert_int_eq(identity_enroll_material(&material, identity, &arena),
	    0);
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena,
			     challenge_secret, &material, key,
			     identity_public(key, identity)),
	    0);
	ck_assert_int_eq(identity_challenge_answer(answer, identity,
			     &challenge),
	    0);
	ck_assert_mem_eq(answer, challenge_secret, 32);
	/* It hears what is no secret... */
	proof_qualifying_data(qualifying, &subject);
	ck_assert(was_heard(qualifying, sizeof(qualifying)));
	ck_assert(was_heard(challenge.credential.data, 34));
	/* ...and nothing of what is one. */
	ck_assert_int_eq(tpm_store_read(&store, folder), 0);
	ck_assert_uint_eq(store.n_sites, 1);
	ck_assert(!was_heard(store.sites[0].secret, 16));
	for (size_t i = 0; i + 8 <= sizeof(secret); i += 8)
		ck_assert(!was_heard(secret + i, 8));
	for (size_t i = 0; i + 8 <= sizeof(challenge_secret); i += 8)
		ck_assert(!was_heard(challenge_secret + i, 8));
	arena_release(&arena);
	buf_release(&blob);
}
END_TEST

START_TEST(changed_answer_is_noticed)
{
	uint64_t value = 77;

	ck_assert_int_eq(identity_counter_read(&value, identity), 0);
	ck_assert_uint_eq(value, 1);
	value = 77;
	bus.change = CC_NV_READ;
	ck_assert_int_lt(identity_counter_read(&value, identity), 0);
	ck_assert_int_ge(bus.changed, 1);
	ck_assert_uint_eq(value, 77);
	ck_assert_int_lt(identity_counter_raise(identity, 2), 0);
	bus.change = 0;
	ck_assert_int_eq(identity_counter_read(&value, identity), 0);
	ck_assert_uint_eq(value, 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_bus");
	TCase *tc = tcase_create("bus");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who_listens_reads_no_secret);
	tcase_add_test(tc, changed_answer_is_noticed);
	suite_add_tcase(s, tc);
	return s;
}
