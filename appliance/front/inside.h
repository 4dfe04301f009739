/*
 * What the files of the front share. A connection is a session (an agent's
 * WebSocket) or a call (an HTTP request that waits for its answer); both are
 * found by the name that shared/net gave them, which is also what the ledger
 * calls them by.
 */
#ifndef APPLIANCE_FRONT_INSIDE_H
#define APPLIANCE_FRONT_INSIDE_H

#include "appliance/front/front.h"
#include "appliance/ledger/wire.h"
#include "shared/base/buf.h"
#include "shared/ipc/ipc.h"
#include "shared/net/net.h"
#include "shared/record/record.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

struct event;
struct event_base;

/** Requests of one agent that wait for their answers; one more closes. */
#define SESSION_CALLS_MAX 256
/** Messages of one agent that are no requests; one more closes. */
#define SESSION_FAULTS_MAX 16
/** Bytes on the way to the ledger above which new requests are refused. */
#define LEDGER_QUEUE_MAX ((size_t)16 << 20)
/** What one request may unfold to. */
#define REQUEST_ARENA_MAX ((size_t)16 << 20)
/** Time for an agent to prove itself: strangers do not keep connections. */
#define PROVE_MS 30000
/** Answers that are still out get so long when the site stops. */
#define DRAIN_MS 2000
/** And connections so long to end. */
#define FAREWELL_MS 1000

/** RFC 6455, and the IANA registry of close codes. */
enum close_code {
	CLOSE_GOING_AWAY = 1001,
	CLOSE_POLICY = 1008,
	CLOSE_RESTART = 1012,
	CLOSE_TRY_LATER = 1013,
};

struct peer {
	net_conn conn;
	bool is_call;
	uint32_t waiting; /* answers owed */
	uint32_t faults;
	bool proved; /* the ledger knows which device it is */
	int64_t opened_ms;
	uint64_t tag; /* of the call */
	const struct operation *op; /* of the call */
	bool streams; /* its answer goes on */
	bool owes_more; /* the ledger waits to hear that the last page is out */
	int64_t told_ms; /* last bytes of the stream */
	struct wire_limits limits; /* of the caller's key; limit 0: none */
};

enum ledger_state {
	LEDGER_STARTING,
	LEDGER_READY,
	LEDGER_DRAINING,
	LEDGER_UNAVAILABLE,
	LEDGER_ROLLED_BACK,
};

struct front {
	const struct front_options *options;
	struct event_base *base;
	struct net *net;
	struct ipc *ledger;
	struct event *on_term, *on_hup, *on_control, *on_farewell, *on_look;
	struct peer **peers; /* by the index of their names */
	size_t peers_size;
	size_t n_waiting; /* answers owed, in all */
	size_t n_peers;
	uint64_t next_tag;
	enum ledger_state state;
	struct health health; /* as the ledger says */
	bool draining;
	bool leaving; /* everybody has been told to go */
	bool ledger_gone;
	int64_t leave_by_ms;
	int status; /* exit status */
	struct wire_limits limits; /* for the next answer, and that alone */
	struct buf openapi;
	struct buf text; /* JSON on its way out or in */
	struct buf payload; /* MessagePack on its way to the ledger */
	struct arena arena;
};

/* peer.c */
struct peer *peer_new(struct front *front, net_conn conn, bool is_call);
struct peer *peer_get(struct front *front, net_conn conn);
void peer_free(struct front *front, struct peer *peer);
void peer_free_all(struct front *front);
/** One answer less is owed. */
void peer_answered(struct front *front, struct peer *peer);
/** The peers as they are now, for what is done to one may change them; the
 * list is the caller's to release. */
struct peer **peer_list(struct buf *list, const struct front *front, size_t *n);

/* ledger.c */
/** Send to the ledger; ERR_BUSY when it does not keep up. */
int front_tell(struct front *front, const struct ipc_message *message);
/** ipc_callbacks.message */
void ledger_message(void *ctx, const struct ipc_message *message);

/* front.c */
int64_t front_now_ms(void);
/** Tell everybody to go, and end when they have, or soon. */
void front_leave(struct front *front, uint16_t code, const char *reason);

/* session.c */
/** Send away who has not proved itself in time. */
void session_look(struct front *front);
void session_opened(void *ctx, net_conn conn, const struct net_peer *peer);
void session_message(void *ctx, net_conn conn, const uint8_t *data, size_t len);
void session_closed(void *ctx, net_conn conn);
void session_reply(struct front *front, struct peer *peer, uint64_t tag,
    const struct operation *op, const void *reply);
void session_refuse(struct front *front, struct peer *peer, uint64_t tag,
    int err, const struct problem *problem);
void session_notice(struct front *front, net_conn conn,
    const struct operation *op, const void *notice);

/* call.c */
void call_request(void *ctx, net_conn conn, const struct net_request *request);
void call_aborted(void *ctx, net_conn conn);
/** Once a second: whoever hung up while he waited gets nothing any more. */
void call_look(struct front *front);
void call_reply(struct front *front, struct peer *peer, const void *reply);
void call_refuse(struct front *front, struct peer *peer, int err,
    const struct problem *problem);

/* cookie.c */
/** A page's token; empty when it has none. With the problem filled in:
 * ERR_BAD_REQUEST, or ERR_FORBIDDEN for what another site's page may have
 * sent. */
int cookie_read(struct record_span *token, const struct net_request *request,
    struct problem *problem);
#define COOKIE_HEADER 224
void cookie_set(char *header, size_t size, const struct record_span *token);
void cookie_clear(char *header, size_t size);

/** What the ledger was told to do is done, and nobody waits any more: frees the
 * peer. */
void call_abandon(struct front *front, struct peer *peer);

/* document.c */
void document_reply(struct front *front, net_conn conn,
    const struct billing_document *document);
bool document_is_long(const struct peer *peer,
    const struct billing_document *document);
void document_piece(struct front *front, struct peer *peer,
    const struct billing_document *piece);

/* stream.c */
/** The next events: the first begin the answer. */
void stream_reply(struct front *front, struct peer *peer,
    const struct event_page *page);
/** net_server_callbacks.http_sent */
void stream_sent(void *ctx, net_conn conn);
/** The end, as far as the site is concerned. */
void stream_end(struct front *front, struct peer *peer);
/** A sign of life to those who heard nothing for a while; the old ones end. */
void stream_look(struct front *front);
/** Last-Event-ID into the request's JSON; ERR_BAD_REQUEST. */
int stream_resume(struct event_query *query, const char *last_event,
    struct problem *problem);

/* answer.c */
/** Answer with a problem (RFC 9457). */
void answer_problem(struct front *front, net_conn conn, int status,
    const struct problem *problem, const char *allow);
/** Answer with a record as JSON; `extra`: more headers, or NULL. */
void answer_record(struct front *front, net_conn conn, int status,
    const struct record *record, const void *value, const char *extra);

/* query.c */
/**
 * The request record's JSON out of parameters of path and query and a body.
 * Returns 0 or, with the problem filled in, ERR_BAD_REQUEST. What the JSON
 * holds is for the record's reader to judge.
 */
int query_to_json(struct buf *out, const struct record *record,
    const struct operation_parameter *parameters, size_t n_parameters,
    const char *query, const uint8_t *body, size_t body_len,
    struct problem *problem);

#endif
