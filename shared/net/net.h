/*
 * HTTP, WebSocket and TLS behind one narrow interface: libwebsockets (through
 * its libuv plugin) inside the libevent base, FACTS in this folder's README.
 * Only this part calls libwebsockets, and every net_* call schedules its own
 * pump. Connections are named by index and generation, so that a stale name
 * hits nothing. It must not know JSON, operations or keys other than TLS.
 */
#ifndef SHARED_NET_NET_H
#define SHARED_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct net;

/** A WebSocket message, and an HTTP request's body, at most; bytes. */
#define NET_MESSAGE_MAX ((size_t)64 << 10)
/** A receipt, an installed license or an import may be larger; bytes. */
#define NET_BODY_MAX ((size_t)1 << 20)
/** Output queued on one connection before it is dropped as a slow reader. */
#define NET_QUEUE_MAX ((size_t)256 << 10)
#define NET_EXPORTER_BYTES 32
/** RFC 5705 label of the exporter both sides take. */
#define NET_EXPORTER_LABEL "EXPORTER-leasehold-v1"

/** 0 is no connection. */
typedef uint64_t net_conn;

/** Of the connections that are open at once no two have the same, and it is
 * below the most that ever were: for tables. */
static inline uint32_t
net_conn_index(net_conn conn)
{
	return (uint32_t)conn;
}

/** Headers in which a client says things of itself. */
enum net_claim {
	NET_CLAIM_HOSTNAME, /* X-Hostname */
	NET_CLAIM_FINGERPRINT, /* X-App-Fingerprint */
	NET_CLAIM_LIBRARY, /* X-Lib-Version */
	NET_CLAIM_LAST_EVENT, /* Last-Event-ID */
	NET_CLAIM_VENDOR, /* X-Vendor-ID */
	NET_CLAIMS,
};

struct net_peer {
	char address[64]; /* "192.0.2.7", "2001:db8::1" */
	uint16_t port;
	uint8_t exporter[NET_EXPORTER_BYTES]; /* TLS 1.3 exporter */
	char client_cn[65]; /* of a verified client certificate, or "" */
	/** Of a WebSocket at the server: the Host header without its port, or
	 * "" where there is none or it is too long. */
	char host[128];
	uint8_t client_sha256[32]; /* of its DER; zero: none was shown */
	/** The same of one that no authority speaks for: who showed it has its
	 * key, and that is all that is known. Zero: none, or client_any is not
	 * set. */
	uint8_t shown_sha256[32];
	/** The server's certificate ends, ms since 1970; 0 at the server. */
	int64_t certificate_end;
};

struct net_request {
	const char *method; /* "GET" */
	const char *path; /* "/api/v1/leases/7", decoded, no query */
	const char *query; /* "limit=10&cursor=x", or "" */
	const char *host; /* Host header without port, or "" */
	uint16_t host_port; /* of it; 0: it named none */
	const char *authorization; /* or "" */
	const char *idempotency_key;
	const char *claims[NET_CLAIMS]; /* each "" where it says nothing */
	const char *content_type;
	const char *accept;
	const char *cookie; /* all of them, or "" */
	const char
	    *page; /* X-Leasehold-Page: no form of another site sets it */
	const uint8_t *body;
	size_t len;
	const struct net_peer *peer;
	/** Not 0: the status with which to refuse it, because its body cannot
	 * be read (411 no length or chunked, 413 too large, 400, 503), or for
	 * the many that came before it (429). Answer
	 * with it at once; the connection ends. */
	int refusal;
};

struct net_server_callbacks {
	/** A WebSocket is up (subprotocol leasehold.v1, no Origin). */
	void (*ws_open)(void *ctx, net_conn conn, const struct net_peer *peer);
	void (*ws_message)(void *ctx, net_conn conn, const uint8_t *data,
	    size_t len);
	void (*ws_close)(void *ctx, net_conn conn);
	/** A whole HTTP request; answer it with net_reply, now or later. Its
	 * strings are valid until the return. */
	void (
	    *http)(void *ctx, net_conn conn, const struct net_request *request);
	/** An HTTP request ended without waiting for its answer. */
	void (*http_abort)(void *ctx, net_conn conn);
	/** All of a streamed answer that was given so far is with the kernel:
	 * time for more. May be called from within net_reply_chunk. */
	void (*http_sent)(void *ctx, net_conn conn);
};

struct net_server_options {
	const char *cert_pem; /* chain; text in memory */
	const char *key_pem;
	const char *client_ca_pem; /* NULL: client certificates not asked for */
	/** They are, and those of nobody's are let in as well (shown_sha256). */
	bool client_any;
	const char *ws_path; /* "/agent/v1" */
	const char *ws_protocol; /* "leasehold.v1" */
	const char *server_name; /* "Server:" header, "leasehold" */
	int connections_max;
	/** From one address (IPv6: one /64) at once; 0: no bound but that of
	 * all. When strangers (net_trust) have used it up, the oldest of them
	 * ends. */
	int address_connections_max;
	/** Strangers from one address; one more ends the oldest. 0: no bound. */
	int address_strangers_max;
	/** New connections a second from one address, after a burst of five
	 * seconds' worth; what is above is closed unread. 0: no bound. */
	int address_rate;
	/** A message that waits to go out and does not move for so long ends
	 * its connection; 0: 30 s. */
	int stall_ms;
	/** Silence before a ping; after twice that a WebSocket is hung up on;
	 * 0: 30 s. */
	int silence_ms;
};

/** Why a client's connection ended or never came about; `close` has the words
 * for people. */
enum net_trouble {
	NET_TROUBLE_OTHER,
	NET_TROUBLE_NAME, /* the host's name leads nowhere */
	NET_TROUBLE_REFUSED, /* the machine answers, its port does not */
	NET_TROUBLE_ROUTE, /* no way to the machine */
	NET_TROUBLE_SILENT, /* no answer in time */
	NET_TROUBLE_STRANGER, /* it speaks, but not as a site does */
	NET_TROUBLE_CA, /* its certificate is not of the CA we trust */
	NET_TROUBLE_EXPIRED, /* the certificate; or it is not valid yet */
	NET_TROUBLE_HOST, /* the certificate is for other names */
	NET_TROUBLE_TLS, /* the certificate is refused for another reason */
	NET_TROUBLE_CLOSED, /* the other side ended it, with words */
	NET_TROUBLE_LOST, /* it ended without a word */
};

struct net_client_callbacks {
	void (*open)(void *ctx, net_conn conn, const struct net_peer *peer);
	void (*message)(void *ctx, net_conn conn, const uint8_t *data,
	    size_t len);
	/** Once, also when the connection never came about; `reason` is for
	 * people ("the site's certificate is not signed by its CA"). */
	void (*close)(void *ctx, net_conn conn, const char *reason);
};

struct net_client_options {
	const char *host; /* name or address, also checked in the certificate */
	uint16_t port;
	const char *path;
	const char *protocol;
	/** PEM of the only CA to trust; or NULL with ca_sha256: then the chain
	 * that the server sends must hold a CA certificate with this SHA-256
	 * and be signed by it (first contact, from a join token). */
	const char *ca_pem;
	const uint8_t *ca_sha256;
	int connect_timeout_s;
	int silence_ms; /* as of the server */
};

/** One context on one base; for servers, clients or both. NULL: log says why.
 */
struct net *net_new(struct event_base *base);
/** Closes everything; callbacks for closing are not called. */
void net_free(struct net *net);

/**
 * Serve on a listening descriptor, which others may share (taken). Makes a
 * start-up self-test over a socketpair that plain bytes get no answer but a
 * TLS alert. TLS 1.3 only, no resumption, no early data, ALPN http/1.1.
 * Returns 0, ERR_SYSTEM, ERR_BAD_REQUEST (certificate or key).
 */
int net_serve(struct net *net, int listen_fd,
    const struct net_server_options *options,
    const struct net_server_callbacks *callbacks, void *ctx);

/** New certificate and key for connections to come. */
int net_reload(struct net *net, const char *cert_pem, const char *key_pem);

/** The peer has said who it is, and it is so. Until then it is a stranger:
 * when places run short strangers are ended, oldest first. */
void net_trust(struct net *net, net_conn conn);

/** Stop accepting; what is open stays. */
void net_stop_accepting(struct net *net);

/** Begin a TLS WebSocket connection. Returns 0 and a name, or an error. */
int net_connect(net_conn *conn, struct net *net,
    const struct net_client_options *options,
    const struct net_client_callbacks *callbacks, void *ctx);

/** While `close` of a client connection is called: why it ended. */
enum net_trouble net_trouble(const struct net *net);
/** And with NET_TROUBLE_CLOSED the code of RFC 6455 that it named. */
unsigned int net_trouble_code(const struct net *net);

/** After `open` of a client connection that was pinned by ca_sha256: the PEM
 * of the CA, to keep. Returns its length (0: none). */
size_t net_peer_ca(char *pem, size_t size, struct net *net, net_conn conn);

/** One text message. Copied; written at once when nothing waits. Returns 0,
 * ERR_CLOSED (unknown name) or ERR_FULL (slow reader: connection is ending). */
int net_send(struct net *net, net_conn conn, const void *data, size_t len);

/** Close a WebSocket with an RFC 6455 code and a reason for people. What is
 * queued goes out first. */
void net_close(struct net *net, net_conn conn, uint16_t code,
    const char *reason);

/** Extra headers are "Name: value\r\n" lines or NULL. */
int net_reply(struct net *net, net_conn conn, int status,
    const char *content_type, const char *extra_headers, const void *body,
    size_t len);

/** Has the client of a request that waits for its answer ended its side? Reading
 * is held back meanwhile, so nobody else says so. */
bool net_is_gone(struct net *net, net_conn conn);

/**
 * An answer without a known end, in pieces (RFC 9112 section 7.1), until
 * net_reply_end or the end of the connection (http_abort). Give more when
 * `http_sent` asks for it. ERR_CLOSED (unknown name) or ERR_FULL (memory, or
 * more than NET_QUEUE_MAX waits: the connection is ending).
 */
int net_reply_begin(struct net *net, net_conn conn, int status,
    const char *content_type, const char *extra_headers);
int net_reply_chunk(struct net *net, net_conn conn, const void *data,
    size_t len);
int net_reply_end(struct net *net, net_conn conn);
/** It cannot be given whole: end the connection in the middle of it, so that the
 * client does not take it for all there is. */
void net_reply_cut(struct net *net, net_conn conn);

size_t net_connections(const struct net *net);

#endif
