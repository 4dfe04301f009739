#include "shared/net/trouble.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum net_trouble
net_trouble(const struct net *net)
{
	return net->trouble;
}

unsigned int
net_trouble_code(const struct net *net)
{
	return net->trouble_code;
}

int
net_trouble_number(struct lws *wsi)
{
	int number = 0;
	socklen_t len = sizeof(number);
	int fd = (int)lws_get_socket_fd(wsi);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0)
		return 0;
	return number;
}

void
net_trouble_explain(struct net_connection *conn, int number, bool answered,
    const char *words)
{
	struct net_target *target = conn->target;

	if (target->refused || target->trouble == NET_TROUBLE_SILENT ||
	    target->reason[0] != '\0')
		return;
	if (answered) {
		target->trouble = NET_TROUBLE_STRANGER;
		snprintf(target->reason, sizeof(target->reason),
		    "the site refuses the connection (%s)", words);
	} else if (number == ECONNREFUSED) {
		target->trouble = NET_TROUBLE_REFUSED;
		snprintf(target->reason, sizeof(target->reason),
		    "cannot connect: nothing listens at %s port %u",
		    conn->peer->address, target->port);
	} else if (number == ENETUNREACH || number == EHOSTUNREACH ||
	    number == ENETDOWN) {
		target->trouble = NET_TROUBLE_ROUTE;
		snprintf(target->reason, sizeof(target->reason),
		    "cannot connect: no way to %s: %s", conn->peer->address,
		    strerror(number));
	} else if (number == ETIMEDOUT) {
		target->trouble = NET_TROUBLE_SILENT;
		snprintf(target->reason, sizeof(target->reason),
		    "cannot connect: no answer from %s", conn->peer->address);
	} else if (strstr(words, "SSL") != NULL) {
		target->trouble = NET_TROUBLE_STRANGER;
		snprintf(target->reason, sizeof(target->reason),
		    "cannot connect: what listens there speaks no TLS 1.3");
	} else {
		target->trouble = NET_TROUBLE_OTHER;
		snprintf(target->reason, sizeof(target->reason),
		    "cannot connect (%s)", words);
	}
}

void
net_trouble_at_once(struct net_connection *conn, const struct addrinfo *address)
{
	struct net_target *target = conn->target;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = { 0 };
	int fd = socket(address->ai_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (address->ai_addrlen <= sizeof(to))
		memcpy(&to, address->ai_addr, address->ai_addrlen);
	to.v4.sin_port = htons(target->port); /* in both it stands there */
	if (fd >= 0)
		rc = connect(fd, &to.any, address->ai_addrlen);
	if (fd >= 0 && rc != 0 && errno != EINPROGRESS)
		net_trouble_explain(conn, errno, false, strerror(errno));
	if (fd >= 0)
		close(fd);
}
