/* Calls on a connection, for both sides: messages in pieces, credit, cancellation, how calls end.
 * Written from Protos/FRAMING.md, sections 3 to 8. One thread; sending blocks until there is credit
 * and meanwhile takes in what comes. What the peer does against the specification ends the
 * connection and stands in `error`. */
#ifndef CALL_H
#define CALL_H

#include "frame.h"
#include "holdfast/rpc/frame.pb-c.h"

enum { MAX_METHODS = 1024, MAX_PATH_BYTES = 1024, MAX_EARLY_PINGS = 16 };

/* A whole message that came in: message part and body put together, which is plain protobuf. */
struct message {
  struct message *next;
  uint64_t cost;
  size_t length;
  uint8_t bytes[];
};

struct stream {
  struct stream *next;
  struct connection *connection;
  uint32_t id;
  /* The server's: what the CALL said. `method` is owned. */
  Holdfast__Rpc__CallMeta *call;
  char *method;
  int64_t deadline;
  /* The client's: what HEAD and END said; NULL until then. */
  Holdfast__Rpc__HeadMeta *head;
  Holdfast__Rpc__EndMeta *end;
  /* The type of the frame that ended the call, from either side; 0 while it is open. */
  uint8_t over;
  /* The peer sends no more messages; `finished` once whoever serves the call has seen that. */
  bool peer_done, finished;
  /* Costs, as in section 5. */
  uint64_t sent, send_limit, received, granted, held;
  /* The message that is coming in. */
  uint8_t *partial;
  size_t partial_length, partial_message, partial_body;
  uint64_t partial_cost;
  enum { BETWEEN_MESSAGES, IN_MESSAGE, IN_BODY } place;
  bool has_response, has_sent_head;
  /* Whole messages not yet taken. */
  struct message *first, *last;
  /* Whatever serves the call keeps here. */
  void *state;
};

struct connection {
  int socket;
  bool is_client;
  struct settings ours, theirs;
  uint64_t sent, send_limit, received, granted, held;
  /* The largest stream id used so far, by the client. */
  uint32_t last_stream;
  char *methods[MAX_METHODS + 1];
  uint32_t method_count;
  struct stream *streams;
  /* Bytes of a message that go into one frame at most. */
  size_t piece;
  /* Drain: the GOAWAY that came. */
  bool is_draining;
  uint32_t last_accepted;
  /* When the peer's last PING came, and how many in a row came too soon after the one before. */
  int64_t last_ping;
  int early_pings;
  /* The last PING that was answered. */
  bool has_pong;
  uint8_t pong[8];
  /* What the peer's ERROR said. */
  Holdfast__Rpc__EndMeta *peer_error;
  /* Why the connection is of no more use; empty while it is. */
  char error[256];
};

/* Connects and exchanges prefaces. `error` says what failed. */
bool connection_open(struct connection *connection, const char *address,
                     const struct settings *ours);
/* The same for a connection that was accepted. */
bool connection_accept(struct connection *connection, int socket, const struct settings *ours);
void connection_close(struct connection *connection);
bool connection_is_good(const struct connection *connection);
/* Takes in one frame; false when none came by the deadline or the connection is of no more use. */
bool connection_pump(struct connection *connection, int64_t deadline);
/* Sends a frame as it is, right or wrong. */
bool connection_send(struct connection *connection, const struct frame *frame);

struct call_options {
  uint64_t timeout_us;
  Holdfast__Rpc__MetadataEntry **metadata;
  size_t metadata_count;
  /* Sends the method's full path although it has a number. */
  bool without_number;
};

/* Opens a call; with a request, whose last `body` bytes are its body, and with END_STREAM. */
struct stream *call_begin(struct connection *connection, const char *method,
                          const struct call_options *options, const ProtobufCMessage *request,
                          size_t body, bool is_last);
/* Sends a message whose last `body` bytes, when packed, are its body. False when the call is over. */
bool stream_send(struct stream *stream, const ProtobufCMessage *message, size_t body, bool is_last);
/* Whether there is credit for a message of so many bytes, or for half a window if that is less. */
bool stream_has_room(const struct stream *stream, size_t length);
/* The same for bytes that are packed already, right or wrong. */
bool stream_send_bytes(struct stream *stream, const uint8_t *bytes, size_t length, size_t body,
                       bool is_last);
/* Says that no more messages come. */
bool stream_finish(struct stream *stream);
/* The next message, to be freed; NULL when there is none by the deadline or no more will come. */
struct message *stream_receive(struct stream *stream, int64_t deadline);
/* The next message if it is here already. */
struct message *stream_take(struct stream *stream);
/* Waits until the call is over; its status code, or -1 when it isn't by the deadline. */
int call_wait(struct stream *stream, int64_t deadline);
/* Wants no more of a call. */
void call_cancel(struct stream *stream, uint32_t code);
/* Forgets a stream; frames for it are late from now on. */
void stream_free(struct stream *stream);

/* The server's: response metadata, and the end of a call with an optional last response. */
bool stream_head(struct stream *stream, Holdfast__Rpc__HeadMeta *head);
bool stream_end(struct stream *stream, uint32_t code, const char *text,
                const ProtobufCMessage *response, size_t body);
bool stream_end_with(struct stream *stream, const Holdfast__Rpc__EndMeta *end,
                     const ProtobufCMessage *response, size_t body);

#endif
