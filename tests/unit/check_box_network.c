/* network.ini: what becomes of it, and what is said of a mistake. */
#include "firmware/box/network.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static struct network network;
static char error[256];

static int
take(const char *text)
{
	memset(error, 0, sizeof(error));
	return network_read(&network, "network.ini", text, strlen(text), error,
	    sizeof(error));
}

static void
refuses(const char *lines, const char *words)
{
	char text[4096];

	snprintf(text, sizeof(text), "[network]\n%s", lines);
	ck_assert_int_eq(take(text), ERR_BAD_REQUEST);
	if (strstr(error, words) == NULL)
		ck_abort_msg("%s: said \"%s\", not \"%s\"", lines, error,
		    words);
}

static void
becomes(const char *lines, const char *const *wanted)
{
	struct buf unit = { .max = 16384 };
	char text[4096];

	snprintf(text, sizeof(text), "[network]\n%s", lines);
	if (take(text) != 0)
		ck_abort_msg("%s: %s", lines, error);
	network_write_unit(&unit, &network);
	for (; *wanted != NULL; wanted++)
		if (strstr(buf_text(&unit), *wanted) == NULL)
			ck_abort_msg("no \"%s\" in:\n%s", *wanted,
			    buf_text(&unit));
	buf_release(&unit);
}

START_TEST(a_fixed_address_becomes_a_unit)
{
	static const char *const wanted[] = { "DHCP=no\n", "IPv6AcceptRA=no\n",
		"\nAddress=192.168.1.7/24\n", "\nAddress=fd00::7/64\n",
		"\nGateway=192.168.1.1\n", "\nGateway=fe80::1\n",
		"\nDNS=192.168.1.53\n", "\nDNS=192.168.1.54\n",
		"\nMACAddress=52:54:00:12:34:56\n", "\nType=ether\n", NULL };

	becomes("address = 192.168.1.7/24, fd00:0:0::7/64\n"
		"gateway = 192.168.1.1, fe80::1\n"
		"dns = 192.168.1.53 ,192.168.1.54\n"
		"ntp = time.example.com, 10.0.0.1\n"
		"mac = 52:54:00:12:34:56\n",
	    wanted);
}
END_TEST

START_TEST(nothing_said_is_dhcp)
{
	static const char *const wanted[] = { "DHCP=yes\n",
		"IPv6AcceptRA=yes\n", "[Match]\nType=ether\n", NULL };

	becomes("", wanted);
	becomes("address=dhcp\nntp=10.0.0.1\n", wanted);
	ck_assert_uint_eq(network.n_ntp, 1);
}
END_TEST

START_TEST(a_file_from_another_system_is_read)
{
	ck_assert_int_eq(take("\xef\xbb\xbf[network]\r\n; of the cellar\r\n"
			      "address = 10.1.0.2/16\r\n\r\n"),
	    0);
	ck_assert_uint_eq(network.n_address, 1);
	ck_assert_uint_eq(network.address[0].bits, 16);
}
END_TEST

START_TEST(a_mistake_is_told_with_what_to_write)
{
	refuses("address=192.168.1.7\n",
	    "no prefix; write it as 192.168.1.7/24");
	refuses("address=192.168.1.300/24\n", "is no address");
	refuses("address=192.168.1.7/33\n", "must be 1 to 32");
	refuses("address=fd00::1/129\n", "must be 1 to 128");
	refuses("address=192.168.1.7/0\n", "must be 1 to 32");
	refuses("address=192.168.1.7/24x\n", "must be 1 to 32");
	refuses("address=192.168.1.0/24\n", "the whole network's");
	refuses("address=192.168.1.255/24\n", "the whole network's");
	refuses("address=127.0.0.1/8\n", "cannot be a box's own");
	refuses("address=224.0.0.1/8\n", "cannot be a box's own");
	refuses("address=ff02::1/64\n", "cannot be a box's own");
	refuses("address=::ffff:10.0.0.1/96\n", "cannot be a box's own");
	refuses("address=10.0.0.1/8,,\n", "has no prefix");
	refuses("address=10.0.0.1/8,10.0.0.2/8,10.0.0.3/8,10.0.0.4/8,"
		"10.0.0.5/8\n",
	    "more than 4");
	refuses("gateway=10.0.0.1\n", "comes from DHCP");
	refuses("address=10.0.0.2/24\ngateway=10.0.1.1\n", "in the network of");
	refuses("address=10.0.0.2/24\ngateway=fe80::1\n", "in the network of");
	refuses("address=10.0.0.2/24\ngateway=10.0.0.1,10.0.0.3\n",
	    "one for IPv4 and one for IPv6");
	refuses("dns=dns.example.com\n", "no address of a name server");
	refuses("ntp=-x.example\n", "time server");
	refuses("ntp=x..example\n", "time server");
	refuses("ntp=x example\n", "time server");
	refuses("mac=52:54:00:12:34\n", "write it as 52:54:00");
	refuses("mac=53:54:00:12:34:56\n", "write it as 52:54:00");
	refuses("adress=10.0.0.1/8\n", "address");
}
END_TEST

START_TEST(no_line_of_the_file_gets_into_the_unit)
{
	refuses("ntp=a\\nExecStart=b\n", "time server");
	refuses("dns=10.0.0.1\x1b[2J\n", "no plain text");
	refuses("ntp=caf\xc3\xa9.example\n", "time server");
	refuses("ntp=\xff\n", "no plain text");
	ck_assert_int_eq(network_read(&network, "network.ini",
			     "[network]\n\0ntp=a\n", 18, error, sizeof(error)),
	    ERR_BAD_REQUEST);
}
END_TEST

START_TEST(a_file_has_a_bound)
{
	char text[NETWORK_FILE_MAX + 2];

	memset(text, '\n', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(network_read(&network, "n", text, NETWORK_FILE_MAX,
			     error, sizeof(error)),
	    0);
	ck_assert_int_eq(network_read(&network, "n", text, NETWORK_FILE_MAX + 1,
			     error, sizeof(error)),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(error, "n: file: more than 4096 bytes");
}
END_TEST

START_TEST(time_servers_are_a_list_of_their_own)
{
	struct buf out = { .max = 4096 };

	ck_assert_int_eq(take("[network]\nntp=a.example, 10.0.0.1\n"), 0);
	network_write_ntp(&out, &network);
	ck_assert_str_eq(buf_text(&out), "a.example\n10.0.0.1\n");
	buf_clear(&out);
	ck_assert_int_eq(take("[network]\naddress=10.0.0.2/24\n"
			      "gateway=10.0.0.1\n"),
	    0);
	network_write_ntp(&out, &network);
	ck_assert_uint_eq(out.len, 0);
	network_describe(&out, &network);
	ck_assert_str_eq(buf_text(&out), "10.0.0.2/24 by 10.0.0.1");
	buf_release(&out);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("box_network");
	TCase *tcase = tcase_create("network");

	tcase_add_test(tcase, a_fixed_address_becomes_a_unit);
	tcase_add_test(tcase, nothing_said_is_dhcp);
	tcase_add_test(tcase, a_file_from_another_system_is_read);
	tcase_add_test(tcase, a_mistake_is_told_with_what_to_write);
	tcase_add_test(tcase, no_line_of_the_file_gets_into_the_unit);
	tcase_add_test(tcase, a_file_has_a_bound);
	tcase_add_test(tcase, time_servers_are_a_list_of_their_own);
	suite_add_tcase(s, tcase);
	return s;
}
