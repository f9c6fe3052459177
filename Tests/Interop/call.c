#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "receive.h"

bool connection_is_good(const struct connection *connection) { return connection->error[0] == 0; }

void connection_fail(struct connection *connection, const char *format, ...) {
  if (!connection_is_good(connection)) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(connection->error, sizeof connection->error, format, arguments);
  va_end(arguments);
}

bool connection_send(struct connection *connection, const struct frame *frame) {
  if (!connection_is_good(connection)) return false;
  if (send_frame(connection->socket, frame)) return true;
  connection_fail(connection, "the connection is closed");
  return false;
}

static bool begin(struct connection *connection, const struct settings *ours) {
  connection->ours = ours != NULL ? *ours : default_settings();
  connection->piece = 256 * 1024;
  if (!send_preface(connection->socket, &connection->ours)) {
    connection_fail(connection, "the connection was closed at once");
    return false;
  }
  bool is_told;
  const char *wrong =
      receive_preface(connection->socket, &connection->theirs, now_ms() + 5000, &is_told);
  if (wrong != NULL) connection_fail(connection, "%s", wrong);
  if (is_told) connection_report(connection);
  connection->send_limit = connection->theirs.value[CONNECTION_WINDOW];
  connection->granted = connection->ours.value[CONNECTION_WINDOW];
  return wrong == NULL;
}

bool connection_open(struct connection *connection, const char *address,
                     const struct settings *ours) {
  *connection = (struct connection){.is_client = true, .socket = connect_to(address)};
  if (connection->socket < 0) {
    connection_fail(connection, "nobody listens at %s", address);
    return false;
  }
  return begin(connection, ours);
}

bool connection_accept(struct connection *connection, int socket, const struct settings *ours) {
  *connection = (struct connection){.is_client = false, .socket = socket};
  return begin(connection, ours);
}

void connection_close(struct connection *connection) {
  while (connection->streams != NULL) stream_free(connection->streams);
  for (uint32_t i = 1; i <= connection->method_count; i++) free(connection->methods[i]);
  if (connection->peer_error != NULL) {
    holdfast__rpc__end_meta__free_unpacked(connection->peer_error, NULL);
  }
  if (connection->socket >= 0) close(connection->socket);
  *connection = (struct connection){.socket = -1, .error = "closed"};
}

struct stream *stream_new(struct connection *connection, uint32_t id) {
  struct stream *stream = must_allocate(sizeof *stream);
  stream->connection = connection;
  stream->id = id;
  stream->deadline = INT64_MAX;
  stream->send_limit = connection->theirs.value[CALL_WINDOW];
  stream->granted = connection->ours.value[CALL_WINDOW];
  /* At the end, so that whoever serves the calls takes them in their order. */
  struct stream **at = &connection->streams;
  while (*at != NULL) at = &(*at)->next;
  *at = stream;
  return stream;
}

void stream_free(struct stream *stream) {
  struct stream **at = &stream->connection->streams;
  while (*at != stream) at = &(*at)->next;
  *at = stream->next;
  for (struct message *message; (message = stream_take(stream)) != NULL;) free(message);
  if (stream->call != NULL) holdfast__rpc__call_meta__free_unpacked(stream->call, NULL);
  if (stream->head != NULL) holdfast__rpc__head_meta__free_unpacked(stream->head, NULL);
  if (stream->end != NULL) holdfast__rpc__end_meta__free_unpacked(stream->end, NULL);
  free(stream->method);
  free(stream->partial);
  free(stream);
}

/* Waits until `wanted` bytes of a piece may be sent. */
static bool wait_for_credit(struct stream *stream, size_t wanted) {
  struct connection *connection = stream->connection;
  for (;;) {
    if (!connection_is_good(connection) || stream->over != 0) return false;
    uint64_t cost = FRAME_COST + wanted;
    if (stream->sent + cost <= stream->send_limit &&
        connection->sent + cost <= connection->send_limit) {
      return true;
    }
    if (!connection_pump(connection, now_ms() + 30000)) {
      connection_fail(connection, "no credit for %zu bytes of stream %u in 30 s", wanted,
                      stream->id);
      return false;
    }
  }
}

bool stream_has_room(const struct stream *stream, size_t length) {
  const struct connection *connection = stream->connection;
  uint64_t cost = length + FRAME_COST * (1 + length / connection->piece);
  uint64_t window = connection->theirs.value[CALL_WINDOW] / 2;
  if (cost > window) cost = window;
  return stream->sent + cost <= stream->send_limit &&
         connection->sent + cost <= connection->send_limit;
}

/* Bytes that one frame may carry now. */
static size_t room_for_piece(const struct stream *stream, size_t meta_length) {
  const struct connection *connection = stream->connection;
  uint64_t room = connection->theirs.value[MAX_FRAME_PAYLOAD] - meta_length;
  uint64_t of_call = stream->send_limit - stream->sent - FRAME_COST;
  uint64_t of_connection = connection->send_limit - connection->sent - FRAME_COST;
  if (room > of_call) room = of_call;
  if (room > of_connection) room = of_connection;
  return room < connection->piece ? (size_t)room : connection->piece;
}

/* Sends a message whose frames begin with one of type `frame.type` and its meta. */
static bool send_message(struct stream *stream, struct frame frame, const uint8_t *bytes,
                         size_t length, size_t body, uint8_t last_flag) {
  struct connection *connection = stream->connection;
  size_t message_end = length - body, at = 0;
  frame.stream = stream->id;
  do {
    size_t rest = length - at;
    if (!wait_for_credit(stream, rest < 16384 ? rest : 16384)) return false;
    size_t room = room_for_piece(stream, frame.meta_length);
    bool is_body = at >= message_end && at > 0;
    size_t of_message = is_body ? 0 : message_end - at;
    if (of_message > room) of_message = room;
    size_t of_body = at + of_message < message_end ? 0 : length - at - of_message;
    if (of_body > room - of_message) of_body = room - of_message;
    frame.message = bytes + at;
    frame.message_length = of_message;
    frame.body = bytes + at + of_message;
    frame.body_length = of_body;
    at += of_message + of_body;
    frame.flags = is_body ? 0 : FLAG_MESSAGE;
    if (is_body) frame.type = FRAME_BODY;
    if (at < message_end) frame.flags |= FLAG_MORE_MESSAGE;
    if (at >= message_end && at < length) frame.flags |= FLAG_MORE_BODY;
    if (at == length) frame.flags |= last_flag;
    uint64_t cost = FRAME_COST + of_message + of_body;
    stream->sent += cost;
    connection->sent += cost;
    if (!connection_send(connection, &frame)) return false;
    frame.type = FRAME_MSG;
    frame.meta_length = 0;
  } while (at < length);
  return true;
}

/* A message packed; to be freed. */
static uint8_t *pack(const ProtobufCMessage *message, size_t *length) {
  *length = protobuf_c_message_get_packed_size(message);
  uint8_t *bytes = must_allocate(*length);
  protobuf_c_message_pack(message, bytes);
  return bytes;
}

/* The number that this connection knows a method by, and whether it is new. */
static uint32_t bind_method(struct connection *connection, const char *method, bool *is_new) {
  *is_new = false;
  for (uint32_t i = 1; i <= connection->method_count; i++) {
    if (strcmp(connection->methods[i], method) == 0) return i;
  }
  if (connection->method_count == MAX_METHODS) return 0;
  *is_new = true;
  connection->methods[++connection->method_count] = must_copy(method);
  return connection->method_count;
}

struct stream *call_begin(struct connection *connection, const char *method,
                          const struct call_options *options, const ProtobufCMessage *request,
                          size_t body, bool is_last) {
  static const struct call_options none;
  if (options == NULL) options = &none;
  Holdfast__Rpc__CallMeta meta = HOLDFAST__RPC__CALL_META__INIT;
  bool is_new = true;
  if (!options->without_number) meta.method_id = bind_method(connection, method, &is_new);
  if (is_new || meta.method_id == 0) meta.method = (char *)method;
  meta.timeout_us = options->timeout_us;
  meta.metadata = options->metadata;
  meta.n_metadata = options->metadata_count;
  connection->last_stream += connection->last_stream == 0 ? 1 : 2;
  struct stream *stream = stream_new(connection, connection->last_stream);
  size_t meta_length, length;
  uint8_t *packed_meta = pack(&meta.base, &meta_length);
  struct frame frame = {.type = FRAME_CALL, .meta = packed_meta, .meta_length = meta_length};
  if (request != NULL) {
    uint8_t *bytes = pack(request, &length);
    send_message(stream, frame, bytes, length, body, is_last ? FLAG_END_STREAM : 0);
    free(bytes);
  } else {
    frame.stream = stream->id;
    frame.flags = is_last ? FLAG_END_STREAM : 0;
    connection_send(connection, &frame);
  }
  free(packed_meta);
  return stream;
}

bool stream_send_bytes(struct stream *stream, const uint8_t *bytes, size_t length, size_t body,
                       bool is_last) {
  struct frame frame = {.type = FRAME_MSG};
  return send_message(stream, frame, bytes, length, body, is_last ? FLAG_END_STREAM : 0);
}

bool stream_send(struct stream *stream, const ProtobufCMessage *message, size_t body,
                 bool is_last) {
  size_t length;
  uint8_t *bytes = pack(message, &length);
  bool done = stream_send_bytes(stream, bytes, length, body, is_last);
  free(bytes);
  return done;
}

bool stream_finish(struct stream *stream) {
  struct frame frame = {.type = FRAME_MSG, .stream = stream->id, .flags = FLAG_END_STREAM};
  return stream->over == 0 && connection_send(stream->connection, &frame);
}

struct message *stream_receive(struct stream *stream, int64_t deadline) {
  while (stream->first == NULL && stream->over == 0 && !stream->peer_done) {
    if (!connection_pump(stream->connection, deadline)) break;
  }
  return stream_take(stream);
}

int call_wait(struct stream *stream, int64_t deadline) {
  while (stream->over == 0) {
    if (!connection_pump(stream->connection, deadline)) return -1;
  }
  return stream->end != NULL ? (int)stream->end->code : 0;
}

void call_cancel(struct stream *stream, uint32_t code) {
  if (stream->over != 0) return;
  Holdfast__Rpc__EndMeta meta = HOLDFAST__RPC__END_META__INIT;
  meta.code = code;
  size_t length;
  uint8_t *bytes = pack(&meta.base, &length);
  struct frame frame = {
      .type = FRAME_CANCEL, .stream = stream->id, .meta = bytes, .meta_length = length};
  connection_send(stream->connection, &frame);
  stream->over = FRAME_CANCEL;
  free(bytes);
}

bool stream_head(struct stream *stream, Holdfast__Rpc__HeadMeta *head) {
  size_t length;
  uint8_t *bytes = pack(&head->base, &length);
  struct frame frame = {
      .type = FRAME_HEAD, .stream = stream->id, .meta = bytes, .meta_length = length};
  bool done = stream->over == 0 && connection_send(stream->connection, &frame);
  stream->has_sent_head = true;
  free(bytes);
  return done;
}

bool stream_end_with(struct stream *stream, const Holdfast__Rpc__EndMeta *end,
                     const ProtobufCMessage *response, size_t body) {
  if (stream->over != 0) return false;
  size_t length;
  uint8_t *bytes = pack(&end->base, &length);
  struct frame frame = {
      .type = FRAME_END, .stream = stream->id, .meta = bytes, .meta_length = length};
  /* A response stands in the END only when it is small; else it goes before it. */
  size_t size = response != NULL ? protobuf_c_message_get_packed_size(response) : 0;
  bool done;
  if (response != NULL && size + length <= 16384) {
    size_t packed;
    uint8_t *payload = pack(response, &packed);
    done = wait_for_credit(stream, packed) && send_message(stream, frame, payload, packed, body, 0);
    free(payload);
  } else {
    done = response == NULL || stream_send(stream, response, body, false);
    done = done && connection_send(stream->connection, &frame);
  }
  free(bytes);
  if (stream->over == 0) stream->over = FRAME_END;
  return done;
}

bool stream_end(struct stream *stream, uint32_t code, const char *text,
                const ProtobufCMessage *response, size_t body) {
  Holdfast__Rpc__EndMeta meta = HOLDFAST__RPC__END_META__INIT;
  meta.code = code;
  meta.message = (char *)(text != NULL ? text : "");
  return stream_end_with(stream, &meta, response, body);
}
