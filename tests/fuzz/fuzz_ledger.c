/*
 * A front that was taken: frames as it likes, to a real ledger process in a
 * thread of this one, with a license and a device that has logged in. Whatever
 * comes, the ledger answers the next question of an honest front. Input: lines,
 * each of three bytes and a payload: kind, operation, how to dress the payload.
 * JSON is dressed as the operation's record.
 */
#include "tests/fuzz/fuzz.h"

/* Longer than the fuzzer waits: it says where it hangs. */
#define ANSWER_MS 60000

#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "tests/unit/process_world.h"

#include <pthread.h>

/* A new site after so many inputs: journals grow. */
#define INPUTS_OF_A_SITE 4000

/* The ledger's own thread has no filter here, nor another user. */
int
sandbox_user_parse(uid_t *uid, gid_t *gid, const char *user)
{
	(void)uid;
	(void)gid;
	(void)user;
	return ERR_NOT_FOUND;
}

int
sandbox_drop_user(uid_t uid, gid_t gid, unsigned long long keep_caps)
{
	(void)uid;
	(void)gid;
	(void)keep_caps;
	return 0;
}

int
sandbox_drop_user_keep(uid_t uid, gid_t gid, unsigned long long keep_caps,
    const gid_t *groups, size_t n)
{
	(void)groups;
	(void)n;
	return sandbox_drop_user(uid, gid, keep_caps);
}

int
sandbox_empty_root(const char *path)
{
	(void)path;
	return 0;
}

int
sandbox_no_new_privileges(void)
{
	return 0;
}

int
sandbox_enter(enum sandbox_profile profile)
{
	(void)profile;
	return 0;
}

static struct process_world world;
static pthread_t ledger;
static int ledger_control = -1;
static unsigned int inputs;
static struct agent device; /* logged in as DEVICE */

#define DEVICE 9

static void *
run_ledger(void *ctx)
{
	const struct supervisor_child child = { .control = ledger_control,
		.edge_fd = -1 };

	(void)ctx;
	int status = ledger_main(&world.options, &child);

	if (status != 1)
		fprintf(stderr, "the ledger ended: status=%d\n", status);
	fuzz_must(status == 1);
	close(ledger_control);
	return NULL;
}

static void
open_ledger(void)
{
	static const char *const hosts[] = { "localhost", NULL };
	const struct setup_options setup = { .state = world.state,
		.name = "Fuzz",
		.hosts = hosts };
	int control[2];
	char byte;

	snprintf(world.dir, sizeof(world.dir), "/dev/shm/fuzz-ledger-XXXXXX");
	fuzz_must(mkdtemp(world.dir) != NULL);
	snprintf(world.state, sizeof(world.state), "%s/site", world.dir);
	log_open("fuzz", LOG_ERROR + 1, 0);
	fuzz_must(setup_create(world.key, &setup) == 0 &&
	    setup_read(&world.site, world.state) == 0);
	world.options = (struct ledger_process_options){
		.state = world.state,
		.map_bytes = (size_t)64 << 20,
		.connections_max = 100,
	};
	fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control) == 0);
	world.control = control[0];
	ledger_control = control[1];
	fuzz_must(pthread_create(&ledger, NULL, run_ledger, NULL) == 0);
	fuzz_must(recv(world.control, &byte, 1, 0) == 1);
	process_hand_front(&world);
	process_await_ready(&world);
	fuzz_must(crypto_sign_keypair(world.vendor_public,
		      world.vendor_secret) == 0 &&
	    crypto_sign_keypair(world.issuer_public, world.issuer_secret) == 0);
	install_license(&world, "p", 3, 60, 60);
	memset(&device, 0, sizeof(device));
	agent_enroll(&world, &device, "device", DEVICE);
	agent_login(&world, &device, DEVICE);
}

static void
close_ledger(void)
{
	char command[128];

	identity_close(device.identity);
	/* What is under way at the end is not freed: let it be done. */
	usleep(300000);
	/* The parent is gone: it ends. */
	close(world.front);
	close(world.control);
	fuzz_must(pthread_join(ledger, NULL) == 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", world.dir);
	fuzz_must(system(command) == 0);
}

static void
at_exit(void)
{
	char command[128];

	if (world.dir[0] == '\0')
		return;
	snprintf(command, sizeof(command), "rm -rf '%s'", world.dir);
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", world.dir);
}

static void
add_json(struct buf *out, const struct operation *op, const uint8_t *data,
    size_t len)
{
	struct arena arena = { .max_bytes = (size_t)1 << 20 };
	void *value = calloc(1, op->request->size + 1);

	fuzz_must(value != NULL);
	if (record_read_json(value, op->request, (const char *)data, len,
		&arena, NULL) == 0)
		record_write_msgpack(out, op->request, value);
	else
		buf_add(out, data, len);
	free(value);
	arena_release(&arena);
}

/* As a front would, with an admin's key, or with what the input says. */
static void
dress(struct buf *out, const struct operation *op, uint8_t how,
    const uint8_t *data, size_t len)
{
	struct wire_caller caller = {
		.address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) },
	};
	struct wire_peer peer = { .address = "192.0.2.7" };

	if (how % 4 == 1)
		record_write_msgpack(out, &wire_caller_record, &caller);
	if (how % 4 == 2)
		record_write_msgpack(out, &wire_peer_record, &peer);
	/* Otherwise the record itself is the input's too. */
	if (op != NULL && len > 0 && data[0] == '{')
		add_json(out, op, data, len);
	else
		buf_add(out, data, len);
}

static void
send_messages(struct fuzz_input *input)
{
	for (uint64_t tag = 1; input->size > 0 && tag < 64; tag++) {
		uint16_t kind = fuzz_byte(input) % 16;
		uint16_t op = fuzz_byte(input) % (OPERATION_COUNT + 2);
		uint8_t how = fuzz_byte(input);
		uint64_t conn = how >= 128 ? DEVICE : 1 + how % 3;
		const uint8_t *data = input->data;
		const uint8_t *end =
		    data != NULL ? memchr(data, '\n', input->size) : NULL;
		size_t len = fuzz_take(&data, input,
		    end != NULL ? (size_t)(end - data) : input->size);
		struct buf payload = { 0 };

		(void)fuzz_byte(input);
		if (kind == WIRE_CLOSED && conn == DEVICE)
			continue;
		dress(&payload, operation_get(op), how, data, len);
		front_write(&world, kind, op, conn, tag, &payload);
		buf_release(&payload);
	}
}

/* All that was asked is answered, or never will be. */
static void
ask_whether_it_lives(void)
{
	const struct empty nothing = { 0 };
	struct site_view site;
	int rc = admin_ask(&world, &site, world.key, "192.0.2.9", OP_SITE_SHOW,
	    &nothing, NULL);

	fuzz_must(rc == 0);
	for (uint64_t conn = 1; conn <= 3; conn++)
		front_write(&world, WIRE_CLOSED, 0, conn, 0, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct heard heard;

	if (inputs == 0) {
		fuzz_must(sodium_init() >= 0);
		atexit(at_exit);
	}
	if (inputs++ % INPUTS_OF_A_SITE == 0) {
		if (inputs > 1)
			close_ledger();
		open_ledger();
		world.tag = 1000;
	}
	send_messages(&input);
	ask_whether_it_lives();
	while (front_hear(&world, &heard, 0))
		;
	arena_clear(&world.arena);
	return 0;
}
