/* shared/net: TLS, and whom a client believes; both ends in one process. */
#include "tests/unit/net_world.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

static struct net_world world;

static void
setup(void)
{
	net_world_open(&world);
}

static void
teardown(void)
{
	net_world_close(&world);
}

/* --- TLS ----------------------------------------------------------------- */

START_TEST(plain_bytes_get_no_plain_answer)
{
	static const char plain[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = net_dial(world.port, 0);
	char answer[256];
	ssize_t n = -1;

	ck_assert_int_gt(write(fd, plain, strlen(plain)), 0);
	/* An alert, an end or a reset. */
	NET_WAIT(&world,
	    (n = read(fd, answer, sizeof(answer))) >= 0 || errno != EAGAIN);
	ck_assert(n <= 0 || answer[0] == 21);
	ck_assert_int_eq(world.seen.requests, 0);
	close(fd);
}
END_TEST

START_TEST(tls_1_2_is_refused)
{
	struct net_stranger s;

	net_stranger_open(&s, &world, TLS1_2_VERSION, 0);
	ck_assert(!net_stranger_greet(&s, &world));
	net_stranger_leave(&s);
}
END_TEST

START_TEST(no_session_ticket_is_given)
{
	struct net_stranger s;

	net_stranger_join(&s, &world);
	net_stranger_say(&s, &world, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, net_stranger_has(&s, "X-Test"));
	ck_assert(!SSL_SESSION_is_resumable(SSL_get0_session(s.ssl)));
	net_stranger_leave(&s);
}
END_TEST

START_TEST(exporter_is_equal_on_both_sides)
{
	static const uint8_t zero[NET_EXPORTER_BYTES];

	net_world_join(&world);
	ck_assert_mem_eq(world.seen.peer.exporter, world.felt.peer.exporter,
	    NET_EXPORTER_BYTES);
	ck_assert_mem_ne(world.seen.peer.exporter, zero, sizeof(zero));
	ck_assert_str_eq(world.seen.peer.address, "127.0.0.1");
	ck_assert_uint_ne(world.seen.peer.port, 0);
}
END_TEST

START_TEST(the_ca_of_a_token_is_found_and_kept)
{
	char pem[4096];

	net_conn conn =
	    net_world_connect(&world, "127.0.0.1", NULL, world.ca.sha256);
	NET_WAIT(&world, world.felt.opened == 1);
	ck_assert_uint_gt(net_peer_ca(pem, sizeof(pem), world.client, conn), 0);
	ck_assert_str_eq(pem, world.ca.pem);
	ck_assert_uint_eq(net_peer_ca(pem, 10, world.client, conn), 0);
}
END_TEST

START_TEST(another_ca_than_the_tokens_is_refused)
{
	uint8_t other[32];

	memcpy(other, world.ca.sha256, sizeof(other));
	other[31] ^= 1;
	net_world_connect(&world, "127.0.0.1", NULL, other);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
	ck_assert_int_eq(world.seen.opened, 0);
	ck_assert_ptr_nonnull(strstr(world.felt.reason, "token"));
}
END_TEST

/* The chain may hold the right CA without being signed by it. */
START_TEST(a_chain_that_only_shows_the_ca_is_refused)
{
	struct pki_ca liar = pki_ca_new("Test CA");
	struct pki_leaf leaf = pki_leaf_new(&liar, "site", "IP:127.0.0.1",
	    "serverAuth", -60, 3600);
	char *own = strstr(leaf.cert_pem + 1, "-----BEGIN");
	size_t n = (size_t)(own - leaf.cert_pem);
	char *chain = calloc(1, n + strlen(world.ca.pem) + 1);

	memcpy(chain, leaf.cert_pem, n);
	memcpy(chain + n, world.ca.pem, strlen(world.ca.pem));
	ck_assert_int_eq(net_reload(world.server, chain, leaf.key_pem), 0);
	net_world_connect(&world, "127.0.0.1", NULL, world.ca.sha256);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
	ck_assert_ptr_nonnull(strstr(world.felt.reason, "CA") != NULL
		? world.felt.reason
		: strstr(world.felt.reason, "signature"));
	free(chain);
	pki_leaf_release(&leaf);
	pki_ca_release(&liar);
}
END_TEST

/* A server that pins itself: its own certificate is no CA. */
START_TEST(the_servers_own_certificate_is_no_pin)
{
	uint8_t digest[32];
	unsigned int len;
	BIO *bio = BIO_new_mem_buf(world.leaf.cert_pem, -1);
	X509 *own = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	ck_assert_int_eq(X509_digest(own, EVP_sha256(), digest, &len), 1);
	net_world_connect(&world, "127.0.0.1", NULL, digest);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
	X509_free(own);
	BIO_free(bio);
}
END_TEST

static void
expect_refusal(const char *names, const char *usage, long from_s, long to_s,
    const char *words)
{
	struct pki_leaf leaf =
	    pki_leaf_new(&world.ca, "localhost", names, usage, from_s, to_s);

	ck_assert_int_eq(net_reload(world.server, leaf.cert_pem, leaf.key_pem),
	    0);
	net_world_connect(&world, "localhost", world.ca.pem, NULL);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
	ck_assert_msg(strstr(world.felt.reason, words) != NULL,
	    "reason is \"%s\"", world.felt.reason);
	pki_leaf_release(&leaf);
}

START_TEST(a_certificate_for_another_host_is_refused)
{
	expect_refusal("DNS:elsewhere.example", "serverAuth", -60, 3600,
	    "not for localhost");
}
END_TEST

START_TEST(the_subjects_common_name_is_no_host_name)
{
	expect_refusal(NULL, "serverAuth", -60, 3600, "not for localhost");
}
END_TEST

START_TEST(an_expired_certificate_is_refused)
{
	expect_refusal("DNS:localhost", "serverAuth", -3600, -60, "expired");
}
END_TEST

START_TEST(a_certificate_of_the_future_is_refused)
{
	expect_refusal("DNS:localhost", "serverAuth", 3600, 7200,
	    "not valid yet");
}
END_TEST

START_TEST(a_clients_certificate_does_not_make_a_server)
{
	expect_refusal("DNS:localhost", "clientAuth", -60, 3600, "refused");
}
END_TEST

START_TEST(an_unknown_ca_is_refused)
{
	struct pki_ca other = pki_ca_new("Another CA");

	net_world_connect(&world, "localhost", other.pem, NULL);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
	ck_assert_ptr_nonnull(strstr(world.felt.reason, "not signed by"));
	pki_ca_release(&other);
}
END_TEST

START_TEST(a_certificate_without_its_key_is_not_taken)
{
	struct pki_leaf other = pki_leaf_new(&world.ca, "site", "DNS:localhost",
	    "serverAuth", -60, 3600);

	ck_assert_int_eq(net_reload(world.server, other.cert_pem,
			     world.leaf.key_pem),
	    ERR_BAD_REQUEST);
	ck_assert_int_eq(net_reload(world.server, "nonsense", other.key_pem),
	    ERR_BAD_REQUEST);
	net_world_join(&world); /* the old pair still serves */
	pki_leaf_release(&other);
}
END_TEST

START_TEST(a_server_without_a_certificate_does_not_start)
{
	struct net *net = net_new(world.base);
	struct net_server_options options = net_world_options(&world);
	uint16_t port;

	options.cert_pem = "-----BEGIN CERTIFICATE-----\nAA==\n";
	ck_assert_int_eq(net_serve(net, net_listen(&port), &options,
			     &net_world_server, &world),
	    ERR_BAD_REQUEST);
	net_free(net);
}
END_TEST

START_TEST(a_client_certificate_is_named)
{
	struct pki_leaf device =
	    pki_leaf_new(&world.ca, "build-7", NULL, "clientAuth", -60, 3600);
	struct net_stranger s;

	net_free(world.server);
	struct pki_leaf leaf = world.leaf;
	struct net *client = world.client;
	struct event_base *base = world.base;

	net_world_open_with(&world, leaf, world.ca.pem, 0);
	net_free(client);
	event_base_free(base);
	net_stranger_open(&s, &world, TLS1_3_VERSION, 0);
	BIO *bio = BIO_new_mem_buf(device.cert_pem, -1);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO *key_bio = BIO_new_mem_buf(device.key_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);

	SSL_use_certificate(s.ssl, certificate);
	SSL_use_PrivateKey(s.ssl, key);
	ck_assert(net_stranger_greet(&s, &world));
	net_stranger_say(&s, &world, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, world.seen.requests == 1);
	ck_assert_str_eq(world.seen.peer.client_cn, "build-7");
	EVP_PKEY_free(key);
	X509_free(certificate);
	BIO_free(bio);
	BIO_free(key_bio);
	net_stranger_leave(&s);
	pki_leaf_release(&device);
}
END_TEST

static TCase *
tls_case(void)
{
	TCase *tls = tcase_create("net-tls");

	tcase_add_checked_fixture(tls, setup, teardown);
	tcase_set_timeout(tls, 30);
	tcase_add_test(tls, plain_bytes_get_no_plain_answer);
	tcase_add_test(tls, tls_1_2_is_refused);
	tcase_add_test(tls, no_session_ticket_is_given);
	tcase_add_test(tls, exporter_is_equal_on_both_sides);
	tcase_add_test(tls, the_ca_of_a_token_is_found_and_kept);
	tcase_add_test(tls, another_ca_than_the_tokens_is_refused);
	tcase_add_test(tls, a_chain_that_only_shows_the_ca_is_refused);
	tcase_add_test(tls, the_servers_own_certificate_is_no_pin);
	tcase_add_test(tls, a_certificate_for_another_host_is_refused);
	tcase_add_test(tls, the_subjects_common_name_is_no_host_name);
	tcase_add_test(tls, an_expired_certificate_is_refused);
	tcase_add_test(tls, a_certificate_of_the_future_is_refused);
	tcase_add_test(tls, a_clients_certificate_does_not_make_a_server);
	tcase_add_test(tls, an_unknown_ca_is_refused);
	tcase_add_test(tls, a_certificate_without_its_key_is_not_taken);
	tcase_add_test(tls, a_server_without_a_certificate_does_not_start);
	tcase_add_test(tls, a_client_certificate_is_named);
	return tls;
}

Suite *
suite(void)
{
	Suite *net = suite_create("net-tls");

	suite_add_tcase(net, tls_case());
	return net;
}
