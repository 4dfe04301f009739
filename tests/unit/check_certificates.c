/* The certificates of a site and the page the fronts read them from. */
#include "appliance/setup/certificates.h"
#include "appliance/setup/tls.h"
#include "tests/unit/setup_site.h"
#include "tests/unit/suite.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

static X509 *
read_certificate(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", state, name);
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	X509 *x509 = PEM_read_X509(file, NULL, NULL, NULL);

	fclose(file);
	ck_assert_ptr_nonnull(x509);
	return x509;
}

static int
days_valid(const X509 *x509)
{
	int days, seconds;

	ck_assert_int_eq(ASN1_TIME_diff(&days, &seconds,
			     X509_get0_notBefore(x509),
			     X509_get0_notAfter(x509)),
	    1);
	return days;
}

/* --- certificates -------------------------------------------------------- */

START_TEST(certificates_say_what_they_may)
{
	ck_assert_int_eq(create(), 0);
	X509 *ca = read_certificate("tls/ca.pem");
	X509 *server = read_certificate("tls/server.pem");

	ck_assert_int_eq(days_valid(ca), CERTIFICATE_CA_DAYS);
	ck_assert_int_eq(days_valid(server), CERTIFICATE_SERVER_DAYS);
	ck_assert_int_eq(X509_check_ca(ca), 1);
	ck_assert_int_eq(X509_get_pathlen(ca), 0);
	ck_assert_uint_eq(X509_get_key_usage(ca),
	    KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	ck_assert_int_eq(X509_check_ca(server), 0);
	ck_assert_uint_eq(X509_get_key_usage(server), KU_DIGITAL_SIGNATURE);
	ck_assert_uint_eq(X509_get_extended_key_usage(server), XKU_SSL_SERVER);
	ck_assert_int_eq(X509_verify(server, X509_get0_pubkey(ca)), 1);
	ck_assert_int_eq(X509_check_host(server, "licenses.plant.example", 0, 0,
			     NULL),
	    1);
	ck_assert_int_eq(X509_check_ip_asc(server, "192.0.2.7", 0), 1);
	ck_assert_int_eq(X509_check_ip_asc(server, "2001:db8::7", 0), 1);
	ck_assert_int_ne(X509_check_host(server, "other.example", 0, 0, NULL),
	    1);
	ck_assert_int_ne(X509_check_ip_asc(server, "192.0.2.8", 0), 1);
	X509_free(ca);
	X509_free(server);
}
END_TEST

START_TEST(digest_of_the_ca_is_that_of_its_der)
{
	uint8_t digest[32], expected[32], *der = NULL;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_ca_digest(digest, state), 0);
	X509 *ca = read_certificate("tls/ca.pem");
	int len = i2d_X509(ca, &der);

	ck_assert_int_gt(len, 0);
	crypto_hash_sha256(expected, der, (unsigned long long)len);
	ck_assert_int_eq(memcmp(digest, expected, 32), 0);
	OPENSSL_free(der);
	X509_free(ca);
}
END_TEST

START_TEST(hosts_are_names_or_addresses)
{
	static const char *const good[] = { "a", "a-b.example", "*.example",
		"1.2.3.4", "::1", "xn--bcher-kva.example", "7.example" };
	static const char *const bad[] = { "", ".", "a..b", "-a", "a-", "a b",
		"a/b", "*", "a.*", "a:1", "[::1]", "b\xc3\xbc.example", "a." };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(certificate_host_is_valid(good[i]), "%s",
		    good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!certificate_host_is_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(page_takes_new_certificates_and_keeps_good_ones)
{
	struct tls_page *page;
	int fd;
	char path[160], other[160], tls[160];
	char before[64];

	ck_assert_int_eq(create(), 0);
	snprintf(tls, sizeof(tls), "%s/tls", state);
	ck_assert_int_eq(tls_page_new(&page, &fd, tls), 0);
	ck_assert_ptr_nonnull(strstr(page->cert_pem, "BEGIN CERTIFICATE"));
	ck_assert_ptr_nonnull(strstr(page->key_pem, "PRIVATE KEY"));
	snprintf(path, sizeof(path), "%s/tls/server.pem", state);
	ck_assert_int_eq(file_write(path, "new", 3, 0644), 0);
	ck_assert_int_eq(tls_page_reload(page, tls), 0);
	ck_assert_str_eq(page->cert_pem, "new");
	snprintf(before, sizeof(before), "%.63s", page->key_pem);
	snprintf(path, sizeof(path), "%s/tls/server.key", state);
	snprintf(other, sizeof(other), "%s/tls/away", state);
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert_int_eq(tls_page_reload(page, tls), ERR_NOT_FOUND);
	ck_assert_int_eq(memcmp(page->key_pem, before, 63), 0);
	tls_page_free(page, fd);
}
END_TEST

START_TEST(front_cannot_write_the_certificate_it_reads)
{
	const struct tls_page *view;
	struct tls_page *page;
	char tls[160];
	int fd;

	ck_assert_int_eq(create(), 0);
	snprintf(tls, sizeof(tls), "%s/tls", state);
	ck_assert_int_eq(tls_page_new(&page, &fd, tls), 0);
	int kept = dup(fd);

	ck_assert_int_eq(tls_page_for_reading(&view, page, fd), 0);
	ck_assert_ptr_nonnull(strstr(view->cert_pem, "BEGIN CERTIFICATE"));
	ck_assert_int_ne(mprotect((void *)(uintptr_t)view, sizeof(*view),
			     PROT_READ | PROT_WRITE),
	    0);
	ck_assert_ptr_eq(mmap(NULL, sizeof(*view), PROT_READ | PROT_WRITE,
			     MAP_SHARED, kept, 0),
	    MAP_FAILED);
	ck_assert_int_lt(write(kept, "x", 1), 0);
	close(kept);
}
END_TEST

START_TEST(renewed_certificate_is_of_the_same_ca)
{
	static const char *const others[] = { "new.example", NULL };

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(setup_renew(state, others), 0);
	X509 *ca = read_certificate("tls/ca.pem");
	X509 *server = read_certificate("tls/server.pem");

	ck_assert_int_eq(X509_verify(server, X509_get0_pubkey(ca)), 1);
	ck_assert_int_eq(X509_check_host(server, "new.example", 0, 0, NULL), 1);
	ck_assert_int_eq(mode_of("tls/server.key"), 0600);
	X509_free(ca);
	X509_free(server);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("certificates");
	TCase *tls = tcase_create("certificates");

	tcase_add_test(tls, certificates_say_what_they_may);
	tcase_add_test(tls, digest_of_the_ca_is_that_of_its_der);
	tcase_add_test(tls, renewed_certificate_is_of_the_same_ca);
	tcase_add_test(tls, hosts_are_names_or_addresses);
	tcase_add_test(tls, page_takes_new_certificates_and_keeps_good_ones);
	tcase_add_test(tls, front_cannot_write_the_certificate_it_reads);
	tcase_add_checked_fixture(tls, set_up, tear_down);
	suite_add_tcase(suite, tls);
	return suite;
}
