/* The receiving half of a connection: every frame is checked against the specification. */
#include "receive.h"

#include <stdlib.h>
#include <string.h>

/* Who may send a type, what it may have. */
struct rule {
  bool by_client, by_server, on_connection, on_call, meta, message, body;
  uint8_t flags;
};

static const uint8_t of_message = FLAG_END_STREAM | FLAG_MESSAGE | FLAG_MORE_MESSAGE | FLAG_MORE_BODY;

static struct rule rule_for(uint8_t type) {
  switch (type) {
    case FRAME_CALL: return (struct rule){1, 0, 0, 1, 1, 1, 1, of_message};
    case FRAME_HEAD: return (struct rule){0, 1, 0, 1, 1, 0, 0, 0};
    case FRAME_MSG: return (struct rule){1, 1, 0, 1, 0, 1, 1, of_message};
    case FRAME_BODY: return (struct rule){1, 1, 0, 1, 0, 0, 1, FLAG_END_STREAM | FLAG_MORE_BODY};
    case FRAME_END: return (struct rule){0, 1, 0, 1, 1, 1, 1, FLAG_MESSAGE};
    case FRAME_CANCEL: return (struct rule){1, 0, 0, 1, 1, 0, 0, 0};
    case FRAME_WINDOW: return (struct rule){1, 1, 1, 1, 0, 1, 0, 0};
    case FRAME_PING: return (struct rule){1, 1, 1, 0, 0, 1, 0, FLAG_ACK};
    case FRAME_GOAWAY: return (struct rule){0, 1, 1, 0, 1, 1, 0, 0};
    case FRAME_ERROR: return (struct rule){1, 1, 1, 0, 1, 0, 0, 0};
    case FRAME_REFUSE: return (struct rule){0, 1, 0, 1, 1, 0, 0, 0};
    default: return (struct rule){0};
  }
}

static const char *fault(const struct connection *connection, const struct frame *frame) {
  struct rule rule = rule_for(frame->type);
  bool client_sent = !connection->is_client;
  if (!(client_sent ? rule.by_client : rule.by_server)) return "a type that it may not send";
  if (!(frame->stream == 0 ? rule.on_connection : rule.on_call)) return "on a wrong stream";
  if ((frame->flags & ~rule.flags) != 0) return "with a flag that its type doesn't have";
  if ((frame->meta_length > 0 && !rule.meta) || (frame->message_length > 0 && !rule.message) ||
      (frame->body_length > 0 && !rule.body)) {
    return "with a part that its type doesn't have";
  }
  bool more_message = frame->flags & FLAG_MORE_MESSAGE, more_body = frame->flags & FLAG_MORE_BODY;
  if (more_message && (more_body || frame->body_length > 0)) return "with body before its message";
  if ((frame->flags & FLAG_END_STREAM) && (!client_sent || more_message || more_body)) {
    return "with END_STREAM where it can't stand";
  }
  if (!(frame->flags & FLAG_MESSAGE) && frame->type != FRAME_BODY && frame->stream != 0 &&
      frame->type != FRAME_WINDOW &&
      (more_message || more_body || frame->message_length + frame->body_length > 0)) {
    return "with a message but no flag that says so";
  }
  if (frame->type == FRAME_MSG && !(frame->flags & (FLAG_MESSAGE | FLAG_END_STREAM))) {
    return "with nothing in it";
  }
  size_t fixed = frame->type == FRAME_WINDOW || frame->type == FRAME_PING ? 8
                 : frame->type == FRAME_GOAWAY                           ? 4
                                                                         : frame->message_length;
  return frame->message_length == fixed ? NULL : "with a message part of a wrong length";
}

static struct stream *find(const struct connection *connection, uint32_t id) {
  struct stream *at = connection->streams;
  while (at != NULL && at->id != id) at = at->next;
  return at;
}

/* Raises the peer's limit when what is due exceeds what was told by half the window. */
static void grant(struct connection *connection, uint32_t stream, uint64_t received, uint64_t held,
                  uint64_t window, uint64_t *granted) {
  uint64_t due = received - held + window;
  if (due < *granted + window / 2) return;
  uint8_t limit[8];
  put_u64(limit, due);
  struct frame frame = {
      .type = FRAME_WINDOW, .stream = stream, .message = limit, .message_length = sizeof limit};
  *granted = due;
  connection_send(connection, &frame);
}

static void grant_both(struct connection *connection, struct stream *stream) {
  grant(connection, 0, connection->received, connection->held,
        connection->ours.value[CONNECTION_WINDOW], &connection->granted);
  if (stream == NULL || stream->over != 0 || stream->peer_done) return;
  grant(connection, stream->id, stream->received, stream->held, connection->ours.value[CALL_WINDOW],
        &stream->granted);
}

struct message *stream_take(struct stream *stream) {
  struct message *message = stream->first;
  if (message == NULL) return NULL;
  stream->first = message->next;
  if (stream->first == NULL) stream->last = NULL;
  stream->held -= message->cost;
  stream->connection->held -= message->cost;
  if (connection_is_good(stream->connection)) grant_both(stream->connection, stream);
  return message;
}

/* Counts a frame's cost; false when the peer had no credit for it. */
static bool charge(struct connection *connection, struct stream *stream, const struct frame *frame) {
  bool is_costly = (frame->flags & FLAG_MESSAGE) || frame->type == FRAME_BODY;
  if (!is_costly) return true;
  uint64_t cost = FRAME_COST + frame->message_length + frame->body_length;
  connection->received += cost;
  if (stream != NULL) stream->received += cost, stream->partial_cost += cost;
  if (connection->received > connection->granted) {
    connection_fail(connection, "the peer sent more than the connection's credit");
  }
  if (stream != NULL && stream->received > stream->granted) {
    connection_fail(connection, "the peer sent more than the credit of stream %u", stream->id);
  }
  return connection_is_good(connection);
}

/* Takes in a frame's piece of a message. */
static void take_piece(struct stream *stream, const struct frame *frame) {
  struct connection *connection = stream->connection;
  bool is_body = frame->type == FRAME_BODY, has_message = frame->flags & FLAG_MESSAGE;
  if (!is_body && !has_message) return;
  if (is_body ? stream->place != IN_BODY
              : stream->place == IN_BODY ||
                    (stream->place == IN_MESSAGE && frame->type != FRAME_MSG)) {
    connection_fail(connection, "a message's frames are out of order on stream %u", stream->id);
    return;
  }
  size_t more = frame->message_length + frame->body_length;
  if (stream->partial_message + frame->message_length > connection->ours.value[MAX_MESSAGE] ||
      stream->partial_body + frame->body_length > connection->ours.value[MAX_BODY]) {
    /* An error of this call alone: what still comes of the message is late. */
    const char *why = "a message is larger than this side takes";
    if (connection->is_client) {
      connection_fail(connection, "%s", why);
    } else {
      stream_end(stream, 8, why, NULL, 0);
    }
    return;
  }
  stream->partial = must_reallocate(stream->partial, stream->partial_length + more);
  if (more > 0) memcpy(stream->partial + stream->partial_length, frame->message, more);
  stream->partial_length += more;
  stream->partial_message += frame->message_length;
  stream->partial_body += frame->body_length;
  stream->place = frame->flags & FLAG_MORE_MESSAGE ? IN_MESSAGE
                  : frame->flags & FLAG_MORE_BODY  ? IN_BODY
                                                   : BETWEEN_MESSAGES;
  if (stream->place != BETWEEN_MESSAGES) return;
  struct message *message = must_allocate(sizeof *message + stream->partial_length);
  message->cost = stream->partial_cost;
  message->length = stream->partial_length;
  memcpy(message->bytes, stream->partial, stream->partial_length);
  *(stream->last != NULL ? &stream->last->next : &stream->first) = message;
  stream->last = message;
  stream->held += message->cost;
  connection->held += message->cost;
  stream->partial_length = stream->partial_message = stream->partial_body = 0;
  stream->partial_cost = 0;
  stream->has_response = true;
}

static uint64_t count_open(const struct connection *connection) {
  uint64_t count = 0;
  for (const struct stream *at = connection->streams; at != NULL; at = at->next) {
    count += at->over == 0;
  }
  return count;
}

/* Whether a call's metadata is what it may be: section 4. */
static bool has_good_metadata(const Holdfast__Rpc__CallMeta *call) {
  for (size_t i = 0; i < call->n_metadata; i++) {
    const Holdfast__Rpc__MetadataEntry *entry = call->metadata[i];
    size_t length = strlen(entry->key);
    if (length == 0 || strspn(entry->key, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != length) {
      return false;
    }
    if (length >= 4 && strcmp(entry->key + length - 4, "-bin") == 0) continue;
    for (size_t at = 0; at < entry->value.len; at++) {
      if (entry->value.data[at] < 0x20 || entry->value.data[at] > 0x7e) return false;
    }
  }
  return true;
}

static void accept_call(struct connection *connection, const struct frame *frame) {
  if (frame->stream % 2 == 0 || frame->stream <= connection->last_stream) {
    connection_fail(connection, "stream id %u is even or doesn't rise", frame->stream);
    return;
  }
  connection->last_stream = frame->stream;
  if (count_open(connection) >= connection->ours.value[MAX_CALLS]) {
    struct frame refusal = {.type = FRAME_REFUSE,
                            .stream = frame->stream,
                            .meta = (const uint8_t *)"\x08\x0e\x12\x08" "too many",
                            .meta_length = 12};
    connection_send(connection, &refusal);
    if (charge(connection, NULL, frame)) grant_both(connection, NULL);
    return;
  }
  struct stream *stream = stream_new(connection, frame->stream);
  stream->call = holdfast__rpc__call_meta__unpack(NULL, frame->meta_length, frame->meta);
  if (!charge(connection, stream, frame)) return;
  take_piece(stream, frame);
  stream->peer_done = frame->flags & FLAG_END_STREAM;
  if (stream->call == NULL || !has_good_metadata(stream->call)) {
    stream_end(stream, 13, "the call's meta can't be decoded", NULL, 0);
    return;
  }
  const char *method = stream->call->method;
  if (strlen(method) > MAX_PATH_BYTES) {
    connection_fail(connection, "a path of %zu bytes", strlen(method));
    return;
  }
  uint32_t number = stream->call->method_id;
  if (method[0] != 0 && number != 0) {
    if (number != connection->method_count + 1 || number > MAX_METHODS) {
      connection_fail(connection, "method number %u is bound out of order", number);
      return;
    }
    connection->methods[++connection->method_count] = must_copy(method);
  } else if (number != 0 && number <= connection->method_count) {
    method = connection->methods[number];
  }
  stream->method = must_copy(method);
  if (method[0] == 0) stream_end(stream, 13, "the call names no method", NULL, 0);
  if (stream->call->timeout_us > 0) {
    stream->deadline = now_ms() + (int64_t)(stream->call->timeout_us / 1000);
  }
}

static void take_head(struct stream *stream, const struct frame *frame) {
  if (stream->head != NULL || stream->has_response) {
    connection_fail(stream->connection, "a second or late HEAD on stream %u", stream->id);
    return;
  }
  stream->head = holdfast__rpc__head_meta__unpack(NULL, frame->meta_length, frame->meta);
}

/* Takes in a frame of a call that is open. */
static void apply_to_call(struct stream *stream, const struct frame *frame) {
  struct connection *connection = stream->connection;
  if (!charge(connection, stream, frame)) return;
  switch (frame->type) {
    case FRAME_HEAD: take_head(stream, frame); break;
    case FRAME_MSG:
    case FRAME_BODY:
      if (stream->peer_done) {
        connection_fail(connection, "stream %u goes on after its end", stream->id);
        return;
      }
      if (frame->type == FRAME_MSG && !(frame->flags & FLAG_MESSAGE) &&
          stream->place != BETWEEN_MESSAGES) {
        connection_fail(connection, "stream %u ends inside a message", stream->id);
        return;
      }
      take_piece(stream, frame);
      if (frame->flags & FLAG_END_STREAM) stream->peer_done = true;
      break;
    case FRAME_WINDOW:
      if (get_u64(frame->message) > stream->send_limit) stream->send_limit = get_u64(frame->message);
      return;
    default:
      take_piece(stream, frame);
      stream->peer_done = true;
      stream->over = frame->type;
      stream->end = holdfast__rpc__end_meta__unpack(NULL, frame->meta_length, frame->meta);
      if (stream->end == NULL) connection_fail(connection, "an END that can't be decoded");
      break;
  }
  grant_both(connection, stream);
}

/* Whether a PING is one too many of those that come too soon: section 6. */
static bool is_one_too_many(struct connection *connection) {
  int64_t now = now_ms();
  int64_t least = (int64_t)(connection->ours.value[MIN_PING_INTERVAL_MS] / 2);
  connection->early_pings = now - connection->last_ping < least ? connection->early_pings + 1 : 0;
  connection->last_ping = now;
  return connection->early_pings > MAX_EARLY_PINGS;
}

static void apply_to_connection(struct connection *connection, const struct frame *frame) {
  switch (frame->type) {
    case FRAME_WINDOW:
      if (get_u64(frame->message) > connection->send_limit) {
        connection->send_limit = get_u64(frame->message);
      }
      break;
    case FRAME_PING:
      if (frame->flags & FLAG_ACK) {
        connection->has_pong = true;
        memcpy(connection->pong, frame->message, sizeof connection->pong);
      } else if (is_one_too_many(connection)) {
        connection_fail(connection, "too many PINGs");
      } else {
        struct frame answer = *frame;
        answer.flags = FLAG_ACK;
        connection_send(connection, &answer);
      }
      break;
    case FRAME_GOAWAY:
      if (connection->is_draining && get_u32(frame->message) > connection->last_accepted) {
        connection_fail(connection, "a GOAWAY with a larger id than before");
      }
      connection->is_draining = true;
      connection->last_accepted = get_u32(frame->message);
      break;
    case FRAME_ERROR:
      connection->peer_error =
          holdfast__rpc__end_meta__unpack(NULL, frame->meta_length, frame->meta);
      connection_fail(connection, "the peer found an error: %s",
                      connection->peer_error != NULL ? connection->peer_error->message : "");
      break;
  }
}

static void apply(struct connection *connection, const struct frame *frame) {
  if (rule_for(frame->type).flags == 0 && !rule_for(frame->type).by_client &&
      !rule_for(frame->type).by_server && (frame->flags & FLAG_IGNORABLE)) {
    return;
  }
  const char *wrong = fault(connection, frame);
  if (wrong != NULL) {
    connection_fail(connection, "a frame of type %u on stream %u %s", frame->type, frame->stream,
                    wrong);
    return;
  }
  if (frame->stream == 0) {
    apply_to_connection(connection, frame);
  } else if (frame->type == FRAME_CALL) {
    accept_call(connection, frame);
  } else {
    struct stream *stream = find(connection, frame->stream);
    if (stream != NULL && stream->over == 0) {
      apply_to_call(stream, frame);
    } else if (frame->stream > connection->last_stream || frame->stream % 2 == 0) {
      connection_fail(connection, "a frame for stream %u, which was never used", frame->stream);
    } else if (charge(connection, NULL, frame)) {
      grant_both(connection, NULL);
    }
  }
}

void connection_report(struct connection *connection) {
  Holdfast__Rpc__EndMeta meta = HOLDFAST__RPC__END_META__INIT;
  meta.code = 13;
  meta.message = connection->error;
  uint8_t bytes[512];
  struct frame report = {.type = FRAME_ERROR,
                         .meta = bytes,
                         .meta_length = holdfast__rpc__end_meta__pack(&meta, bytes)};
  send_frame(connection->socket, &report);
}

bool connection_pump(struct connection *connection, int64_t deadline) {
  if (!connection_is_good(connection)) return false;
  struct frame frame;
  uint8_t *payload;
  switch (receive_frame(connection->socket, &connection->ours, &frame, &payload, deadline)) {
    case FRAME_TIMEOUT: return false;
    case FRAME_CLOSED: connection_fail(connection, "the connection is closed"); return false;
    case FRAME_BAD: connection_fail(connection, "a frame's lengths are wrong"); break;
    case FRAME_RECEIVED: apply(connection, &frame); break;
  }
  free(payload);
  if (connection_is_good(connection)) return true;
  /* Ours to report: say why, then give up. */
  if (connection->peer_error == NULL) connection_report(connection);
  return false;
}
