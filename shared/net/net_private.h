/*
 * What the files of this part share: the context, its connections and the few
 * calls between them. Connections are found by name (index and generation),
 * never by libwebsockets' wsi: the name is what libwebsockets is given as
 * opaque data, so that a callback for a connection that is gone finds nothing.
 */
#ifndef SHARED_NET_NET_PRIVATE_H
#define SHARED_NET_NET_PRIVATE_H

#include "shared/base/buf.h"
#include "shared/net/net.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <uv.h>

struct event;
struct evconnlistener;
struct addrinfo;
struct sockaddr;

_Static_assert(sizeof(void *) == sizeof(net_conn),
    "a connection's name travels as a pointer");

/** Bytes of unfinished messages and bodies, of all connections. */
#define NET_INPUT_TOTAL_MAX ((size_t)64 << 20)
/** Bytes waiting to be sent, of all connections. */
#define NET_OUTPUT_TOTAL_MAX ((size_t)256 << 20)
/** The same of one address. */
#define NET_INPUT_ADDRESS_MAX ((size_t)16 << 20)
#define NET_OUTPUT_ADDRESS_MAX ((size_t)64 << 20)
/** A request takes as long to serve as so many bytes. */
#define NET_REQUEST_BYTES ((size_t)2 << 10)
/** What the kernel keeps for one connection each way, about twice. */
#define NET_SOCKET_BYTES (256 << 10)
/** A message that waits and does not move for so long ends its connection. */
#define NET_STALL_MS 30000
/** From the end of a request to the end of its answer. */
#define NET_ANSWER_S 60
/** From the head of a request to the end of its body. */
#define NET_BODY_S 60
/** A refused request's body is read and thrown away for so long. */
#define NET_LINGER_MS 3000
/** TLS, request headers, each piece of a body. */
#define NET_STEP_S 10
#define NET_KEEPALIVE_S 30
#define NET_CLOSE_S 5
/** libwebsockets sizes its tables by RLIMIT_NOFILE: never above this. */
#define NET_DESCRIPTORS_MAX 65536
/** Above the 16 KiB of a TLS record: libwebsockets forgets what is left of a
 * record that did not fit (README). */
#define NET_READ_BYTES ((unsigned int)32 << 10)
/** The wheel of silence.c, and how far ahead it may look. */
#define NET_SECONDS 64
#define NET_SILENCE_MAX_MS 60000
#define NET_REASON_SIZE 124 /* RFC 6455: 123 bytes */

enum net_kind {
	NET_HTTP, /* server side, until an upgrade */
	NET_SOCKET, /* server side WebSocket */
	NET_CLIENT,
};

/** A message that waits; LWS_PRE bytes of room before the data. */
struct net_message {
	struct net_message *next;
	size_t len;
	unsigned char data[];
};

/** One HTTP request and its answer. */
struct net_http {
	char method[8];
	char *path; /* one block of memory with all strings */
	const char *query, *host, *authorization, *idempotency_key,
	    *content_type, *accept, *cookie, *claims[NET_CLAIMS], *page;
	uint16_t host_port;
	size_t content_length;
	struct buf body;
	int refusal;
	bool head;
	bool close_after;
	bool delivered; /* the callback has it: an answer is owed */
	bool answered;
	bool old; /* HTTP/1.0: no chunks */
	bool streams; /* the answer has no end yet */
	unsigned char *reply; /* LWS_PRE, headers, body */
	size_t reply_len;
	size_t reply_at;
	struct event *stalled; /* waits until the socket takes more */
};

/** What only a client's connection has. */
struct net_target {
	char host[256];
	uint16_t port;
	char path[64];
	char protocol[32];
	uint8_t ca_sha256[32];
	bool pinned;
	bool refused; /* by us: another address would not help */
	X509 *ca; /* the one to trust; with a pin, once it was seen */
	struct addrinfo *addresses;
	struct addrinfo *next_address;
	int connect_timeout_s;
	struct event *deadline;
	struct event *step; /* the next address, or the end, soon */
	struct net_client_callbacks callbacks;
	void *ctx;
	enum net_trouble trouble;
	unsigned int trouble_code;
	char reason[384];
};

/** Where connections come from: an IPv4 address or an IPv6 /64. */
struct net_address {
	uint8_t key[16];
	uint32_t refs; /* connections that name it */
	uint32_t n; /* those of them that are not being ended for others */
	uint32_t n_strangers;
	TAILQ_HEAD(, net_connection) strangers; /* oldest first */
	size_t input_bytes;
	size_t output_bytes;
	int64_t due_us; /* its bucket of new connections is full again */
	int64_t read_due_us; /* and that of what its strangers send */
	bool resting; /* nobody is there, but its bucket is not full */
	TAILQ_ENTRY(net_address) rest;
};

struct net_connection {
	net_conn name;
	struct net *net;
	struct lws *wsi;
	enum net_kind kind;
	bool open; /* the user knows of it: messages may be sent */
	bool closing; /* no more messages either way */
	bool may_upgrade;
	uint16_t close_code;
	char *close_reason;
	struct net_peer *peer;
	bool described; /* TLS has said who it is: HTTP */
	struct buf input; /* the message that is not whole yet */
	struct net_message *first, *last;
	size_t queued_bytes;
	struct net_http *http;
	uint64_t read_bytes; /* when the last answer was complete */
	struct net_target *target;
	int64_t writing_since_ms; /* last progress of what waits, or 0 */
	int64_t heard_ms; /* of a WebSocket: its last message or pong */
	int64_t asked_ms; /* for a sign of life; 0: not since it was heard */
	int64_t deadline_ms; /* of HTTP */
	bool watched; /* in the list of `second` */
	unsigned int second; /* of the wheel */
	TAILQ_ENTRY(net_connection) by_silence;
	struct net_address *address; /* server side */
	bool counted; /* among those of its address */
	bool stranger; /* not trusted yet: in both lists */
	TAILQ_ENTRY(net_connection) by_age, by_address;
	int64_t read_due_us; /* of what it sends when it is trusted */
	uint32_t prepaid; /* bytes that were counted before they came */
	bool throttled; /* in one of the lists: to_hold, or held */
	bool held; /* it is not read from */
	TAILQ_ENTRY(net_connection) by_turn;
	bool read_tried; /* by TLS, since it was asked to go on */
	bool ahead; /* in the list: TLS may hold whole records */
	TAILQ_ENTRY(net_connection) by_reading;
	bool late; /* in the list: its answer is to be written */
	TAILQ_ENTRY(net_connection) by_answer;
};

struct net_slot {
	struct net_connection *conn;
	uint32_t generation;
	uint32_t next_free;
};

struct net {
	struct event_base *base;
	uv_loop_t uv;
	struct event *uv_event;
	struct event *uv_timer;
	struct lws_context *lws;
	bool running; /* inside uv_run */
	bool dying;

	struct net_slot *slots;
	uint32_t n_slots;
	uint32_t first_free; /* index + 1, 0: none */
	size_t n_connections;
	size_t n_accepted; /* of them, server side */
	size_t input_bytes;
	size_t output_bytes;
	size_t n_writing; /* connections whose output waits */
	struct event *watch; /* while something has to be looked after */
	/* Whom to look at in which second, and when that was done last. */
	TAILQ_HEAD(, net_connection) seconds[NET_SECONDS];
	int64_t listened_s;
	int64_t silence_ms;
	struct event *silence; /* while somebody is connected */
	unsigned char *scratch; /* LWS_PRE + NET_MESSAGE_MAX */

	/* server */
	struct lws_vhost *server;
	SSL_CTX *server_tls; /* the vhost's */
	struct lws_protocols server_protocols[3];
	struct net_server_options options; /* strings of its own */
	struct net_server_callbacks callbacks;
	void *ctx;
	struct evconnlistener *listener;
	struct event *listener_retry; /* after accept(2) failed */
	struct event *listener_next; /* while newcomers wait their turn */
	int64_t trusted_ms; /* when a trusted connection was last heard */
	void *addresses; /* tsearch(3), by key */
	TAILQ_HEAD(, net_address) resting;
	TAILQ_HEAD(, net_connection) strangers; /* oldest first */
	size_t n_strangers;
	size_t n_strange_addresses; /* that have any */
	TAILQ_HEAD(, net_connection) to_hold, held; /* who talks too fast */
	struct event *look; /* while one is held */
	TAILQ_HEAD(, net_connection) ahead; /* whom TLS has read for */
	size_t n_ahead;
	TAILQ_HEAD(, net_connection) late; /* answered within a callback */
	bool stopped; /* no more accepting */
	const char *cert_pem, *key_pem; /* only while net_serve runs */
	const char *client_ca_pem;
	bool client_any;
	int tls_error;

	/* client */
	struct lws_vhost *client;
	SSL_CTX *client_tls;
	struct lws_protocols client_protocols[2];
	/* of the connection that just ended */
	enum net_trouble trouble;
	unsigned int trouble_code;
};

/* net.c */
struct net_connection *net_connection_new(struct net *net, enum net_kind kind);
/** NULL for a stale name. */
struct net_connection *net_connection_get(struct net *net, net_conn name);
/** The connection of a callback, or NULL. */
struct net_connection *net_connection_of(struct lws *wsi);
/** Forget it and free what it holds; tells nobody. */
void net_connection_remove(struct net_connection *conn);
/** Run the pump soon; `timers`: libwebsockets' timers changed outside it. */
void net_schedule(struct net *net, bool timers);
/** Run it now; only from an event of libevent. */
void net_pump(struct net *net);
/** End a connection without ceremony, soon. */
void net_kill(struct net_connection *conn);
void net_log_quietly(void);
void net_log_loudly(void);

/* message.c */
/** Add a piece of a message. Returns 0 and, when whole, *data and *len (valid
 * until the next call); else an RFC 6455 close code. */
int net_input(const uint8_t **data, size_t *len, struct net_connection *conn,
    const uint8_t *piece, size_t piece_len, bool binary);
void net_input_release(struct net_connection *conn);
/** Send what waits, then the close that was asked for; -1: it is broken. */
int net_flush(struct net_connection *conn);
void net_output_release(struct net_connection *conn);

/* address.c */
int net_watch_open(struct net *net);
/** Look again in a second. */
void net_watch(struct net *net);
int64_t net_now_ms(void);
/** The entry of an address, to be named by a connection or put back; NULL:
 * out of memory. */
struct net_address *net_address_get(struct net *net,
    const struct sockaddr *from);
void net_address_put(struct net *net, struct net_address *address);
/** May one more come from there? Ends strangers of it to make room. */
bool net_address_admits(struct net *net, struct net_address *address);
/** A stranger of this address from now on; takes the entry. */
void net_address_join(struct net_connection *conn, struct net_address *address);
void net_address_leave(struct net_connection *conn);
/** End another stranger when places run short. */
void net_make_room(struct net *net, const struct net_connection *newcomer);
void net_evict_oldest(struct net *net, int n);
void net_addresses_free(struct net *net);
/** Bytes in memory: of all and of its address. */
bool net_input_fits(const struct net_connection *conn, size_t more);
void net_input_count(struct net_connection *conn, size_t more, size_t less);
bool net_output_fits(const struct net_connection *conn, size_t more);
void net_output_count(struct net_connection *conn, size_t more, size_t less);
/** Its output waits, or has moved and still waits; or waits no longer. */
void net_writing(struct net_connection *conn, bool waits);

/* ahead.c */
void net_ahead_open(struct net *net);
/** A WebSocket is up: read ahead from now on. */
void net_ahead_begin(struct net_connection *conn);
/** TLS has tried to read; and got something? */
void net_ahead_read(struct net_connection *conn, bool got);
void net_ahead_leave(struct net_connection *conn);
/** After libwebsockets has run; true: again, soon. */
bool net_ahead_serve(struct net *net);

/* silence.c */
int net_silence_open(struct net *net);
/** Ping after so long, hang up after twice that; 0: 30 s. */
void net_silence_set(struct net *net, int ms);
/** An HTTP connection ends in so many seconds, NET_KEEPALIVE_S or more, unless
 * it is told anew. */
void net_deadline_set(struct net_connection *conn, int seconds);
/** A WebSocket is up: watch it. */
void net_silence_join(struct net_connection *conn);
/** It said something. */
void net_silence_heard(struct net_connection *conn);
void net_silence_leave(struct net_connection *conn);

/* accept.c */
int net_accept(struct net *net, int listen_fd);
/** A connection, whose descriptor and entry of where it comes from it takes;
 * address NULL: it is our own. */
int net_adopt(struct net *net, int fd, const struct sockaddr *from,
    struct net_address *address);
/** A place became free: accept again, if accepting had stopped for it. */
void net_accept_resume(struct net *net);

/* throttle.c */
int net_throttle_open(struct net *net);
/** Count what it sends. */
void net_throttle_join(struct net_connection *conn);
void net_throttle_leave(struct net_connection *conn);
/** It costs as much as so many bytes. */
void net_throttle_charge(struct net_connection *conn, size_t bytes);
/** Has it, or have the strangers of its address, sent more than they may? */
bool net_throttle_is_over(struct net_connection *conn);
/** Hold back those that were over; after libwebsockets has run. */
void net_throttle_hold(struct net *net);

/* server.c */
void net_server_free(struct net *net);

/* http.c */
int net_http_callback(struct lws *wsi, enum lws_callback_reasons reason,
    void *user, void *in, size_t len);
void net_http_free(struct net_connection *conn);
/** Write what the socket takes, and go on once all is out; -1: broken. Within
 * a callback of libwebsockets: after its turn. */
int net_http_push(struct net_connection *conn);
/** What was answered within callbacks; after libwebsockets has run. True: there
 * was some. */
bool net_http_push_late(struct net *net);
void net_http_leave(struct net_connection *conn);

/* http_stream.c */
/** All of a stream that there is was written. */
void net_stream_idle(struct net_connection *conn);

/** Did this request come in the same bytes as the one before? */
bool net_http_is_pipelined(const struct net_connection *conn);

/* http_head.c */
/** Read the request line and headers; NULL when out of memory. `refusal` is
 * set where the request cannot be served. */
struct net_http *net_http_read(struct lws *wsi);
/** A header's value without surrounding blanks into out; false when there is
 * none or it does not fit. */
bool net_http_header(char *out, size_t size, struct lws *wsi,
    enum lws_token_indexes token);
/** Is it there, be it empty? */
bool net_http_has_header(struct lws *wsi, enum lws_token_indexes token);
/** "site.example:7443" and "[::1]:7443" without the port, which is returned;
 * 0: there is none. */
uint16_t net_http_cut_port(char *host);
/** `len` of an answer that comes in pieces. */
#define NET_HTTP_STREAM SIZE_MAX
/** Status line and headers of an answer. */
void net_http_write_head(struct buf *out, const struct net *net,
    const struct net_http *http, int status, const char *content_type,
    const char *extra_headers, size_t len);

/* client.c */
void net_client_free(struct net *net);
/** Give up a connection that is not open yet. */
void net_client_abort(struct net_connection *conn, const char *reason);
void net_target_free(struct net_connection *conn);

/* tls.c */
int net_tls_server(SSL_CTX *tls, const char *cert_pem, const char *key_pem,
    const char *client_ca_pem, bool client_any);
int net_tls_use(SSL_CTX *tls, const char *cert_pem, const char *key_pem);
SSL_CTX *net_tls_client(struct net *net);
/** The first certificate of a text; NULL: there is none. */
X509 *net_tls_read_certificate(const char *pem);
/** Exporter and client certificate into the peer; ERR_SYSTEM when the
 * handshake is not done or is not TLS 1.3. */
int net_tls_describe(struct net_peer *peer, struct lws *wsi);

#endif
