/* Against a Node: every call kind, bodies of all sizes, credit, chunks in and out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunks.h"

#define ECHO "/holdfast.v1.Node/Echo"

static bool send_echo(struct stream *stream, const char *payload, const uint8_t *data,
                      size_t length, bool is_last) {
  Holdfast__V1__EchoRequest request = HOLDFAST__V1__ECHO_REQUEST__INIT;
  request.payload = (ProtobufCBinaryData){strlen(payload), (uint8_t *)payload};
  request.data = (ProtobufCBinaryData){length, (uint8_t *)data};
  return stream_send(stream, &request.base, length, is_last);
}

/* Receives one echo and compares it. */
static void expect_echo(struct check *check, struct stream *stream, const char *payload,
                        const uint8_t *data, size_t length) {
  struct message *message = stream_receive(stream, soon());
  EXPECT(message != NULL, "no echo of %zu bytes came", length);
  Holdfast__V1__EchoResponse *echo =
      holdfast__v1__echo_response__unpack(NULL, message->length, message->bytes);
  free(message);
  EXPECT(echo != NULL, "an echo can't be unpacked");
  bool is_same = echo->payload.len == strlen(payload) && echo->data.len == length &&
                 memcmp(echo->payload.data, payload, strlen(payload)) == 0 &&
                 (length == 0 || memcmp(echo->data.data, data, length) == 0);
  size_t got = echo->data.len;
  holdfast__v1__echo_response__free_unpacked(echo, NULL);
  EXPECT(is_same, "the echo of %zu bytes differs, it has %zu", length, got);
}

/* Sends one message of `length` and gets it back, on a call of its own. */
static void echo_once(struct check *check, size_t length) {
  uint8_t *data = must_allocate(length);
  fill(data, length, (uint32_t)length);
  struct stream *stream = call_begin(check->connection, ECHO, NULL, NULL, 0, false);
  if (!send_echo(stream, "payload", data, length, true)) {
    fail_check(check, "%zu bytes can't be sent", length);
  } else {
    expect_echo(check, stream, "payload", data, length);
    int code = call_wait(stream, soon());
    if (code != 0) fail_check(check, "the call of %zu bytes ended with %d", length, code);
  }
  stream_free(stream);
  free(data);
}

static void echo_of_the_example(struct check *check) {
  Holdfast__V1__EchoRequest request = HOLDFAST__V1__ECHO_REQUEST__INIT;
  request.payload = (ProtobufCBinaryData){2, (uint8_t *)"hi"};
  request.data = (ProtobufCBinaryData){3, (uint8_t *)"abc"};
  struct call_options options = {.timeout_us = 10000000};
  struct stream *stream = call_begin(check->connection, ECHO, &options, &request.base, 3, true);
  expect_echo(check, stream, "hi", (const uint8_t *)"abc", 3);
  EXPECT(call_wait(stream, soon()) == 0, "it ended with another code than 0");
}

static void echo_of_all_sizes(struct check *check) {
  static const size_t sizes[] = {0,     1,     127,     128,     16383,  16384,   65535,
                                 65536, 65537, 1048575, 1048576, 600000, 5000000, 20000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) echo_once(check, sizes[i]);
}

static void echo_in_tiny_pieces(struct check *check) {
  check->connection->piece = 3;
  echo_once(check, 100);
  check->connection->piece = 1000;
  echo_once(check, 100000);
}

static void echo_of_a_long_message_part(struct check *check) {
  size_t length = 3000000;
  char *payload = must_allocate(length + 1);
  memset(payload, 'x', length);
  struct stream *stream = call_begin(check->connection, ECHO, NULL, NULL, 0, false);
  if (send_echo(stream, payload, (const uint8_t *)"tail", 4, true)) {
    expect_echo(check, stream, payload, (const uint8_t *)"tail", 4);
  } else {
    fail_check(check, "it can't be sent");
  }
  free(payload);
  EXPECT(call_wait(stream, soon()) == 0, "it ended with another code than 0");
}

static void echo_back_and_forth(struct check *check) {
  struct stream *stream = call_begin(check->connection, ECHO, NULL, NULL, 0, false);
  char payload[32];
  for (int i = 0; i < 100; i++) {
    snprintf(payload, sizeof payload, "%d", i);
    EXPECT(send_echo(stream, payload, (uint8_t *)payload, strlen(payload), false), "not sent");
    expect_echo(check, stream, payload, (uint8_t *)payload, strlen(payload));
  }
  EXPECT(stream_finish(stream), "the end can't be sent");
  EXPECT(call_wait(stream, soon()) == 0, "it ended with another code than 0");
}

static void echo_through_small_windows(struct check *check) {
  struct settings small = default_settings();
  small.value[MAX_FRAME_PAYLOAD] = 16384;
  small.value[CALL_WINDOW] = 65536;
  small.value[CONNECTION_WINDOW] = 65536;
  struct connection connection, *other = check->connection;
  check->connection = &connection;
  EXPECT(connection_open(&connection, check->address, &small), "%s", connection.error);
  echo_once(check, 3000000);
  for (int i = 0; i < 200; i++) echo_once(check, 1000);
  if (!connection_is_good(&connection)) fail_check(check, "%s", connection.error);
  connection_close(&connection);
  check->connection = other;
}

static void slow_call_beside_fast_ones(struct check *check) {
  /* One call whose echoes are not taken must not stall the others on the connection. */
  struct connection *connection = check->connection;
  struct stream *slow = call_begin(connection, ECHO, NULL, NULL, 0, false);
  uint8_t *data = must_allocate(1 << 20);
  fill(data, 1 << 20, 7);
  for (int i = 0; i < 6; i++) send_echo(slow, "slow", data, 1 << 20, i == 5);
  for (int i = 0; i < 20; i++) echo_once(check, 10000);
  for (int i = 0; i < 6; i++) expect_echo(check, slow, "slow", data, 1 << 20);
  free(data);
  EXPECT(call_wait(slow, soon()) == 0, "the slow call ended with another code than 0");
}

static void many_calls_at_once(struct check *check) {
  enum { COUNT = 200 };
  struct stream *streams[COUNT];
  char payload[32];
  for (int i = 0; i < COUNT; i++) {
    streams[i] = call_begin(check->connection, ECHO, NULL, NULL, 0, false);
  }
  for (int i = COUNT - 1; i >= 0; i--) {
    snprintf(payload, sizeof payload, "call %d", i);
    EXPECT(send_echo(streams[i], payload, (uint8_t *)payload, 5, true), "call %d not sent", i);
  }
  for (int i = 0; i < COUNT; i++) {
    snprintf(payload, sizeof payload, "call %d", i);
    expect_echo(check, streams[i], payload, (uint8_t *)payload, 5);
    EXPECT(call_wait(streams[i], soon()) == 0, "call %d ended with another code than 0", i);
  }
}

static void method_paths_and_numbers(struct check *check) {
  struct call_options by_path = {.without_number = true};
  for (int i = 0; i < 4; i++) {
    struct stream *stream =
        call_begin(check->connection, ECHO, i % 2 ? &by_path : NULL, NULL, 0, true);
    int code = call_wait(stream, soon());
    EXPECT(code == 0, "call %d ended with %d", i, code);
    stream_free(stream);
  }
}

static void status_of_a_node(struct check *check) {
  Holdfast__V1__GetNodeStatusRequest request = HOLDFAST__V1__GET_NODE_STATUS_REQUEST__INIT;
  int code;
  Holdfast__V1__GetNodeStatusResponse *status =
      ask(check->connection, "/holdfast.v1.Node/GetNodeStatus", &request.base,
          &holdfast__v1__get_node_status_response__descriptor, &code);
  EXPECT(status != NULL, "it ended with %d", code);
  bool is_good = status->node != NULL && status->node->id != 0 && status->cluster[0] != 0 &&
                 strchr(status->node->address, ':') != NULL;
  free_message(status);
  EXPECT(is_good, "the status lacks an id, an address or a cluster");
}

static void chunks_in_and_out(struct check *check) {
  static const uint32_t sizes[] = {1, 65535, 65536, 65537, 3000000, 8 << 20};
  for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct chunk chunk = make_chunk(900001, 1, i, sizes[i]);
    int code = put_chunk(check, &chunk, chunk.checksum);
    if (code != 0) fail_check(check, "a chunk of %u bytes: put ended with %d", sizes[i], code);
    code = put_chunk(check, &chunk, chunk.checksum);
    if (code != 0) fail_check(check, "the same chunk again: %d", code);
    code = get_and_compare(check, &chunk, 0, 0);
    if (code != 0) fail_check(check, "a chunk of %u bytes: get ended with %d", sizes[i], code);
    if (sizes[i] > 65540) get_and_compare(check, &chunk, 65530, 10);
    if (sizes[i] > 200000) get_and_compare(check, &chunk, 131072, 65536);
    stat_and_compare(check, &chunk);
    free(chunk.bytes);
  }
}

static void chunks_that_are_refused(struct check *check) {
  struct chunk chunk = make_chunk(900002, 1, 0, 100000);
  int code = put_chunk(check, &chunk, chunk.checksum ^ 1);
  EXPECT(code > 0, "a chunk with a wrong checksum was taken");
  EXPECT(get_and_compare(check, &chunk, 0, 0) == 5, "the refused chunk is there");
  EXPECT(put_chunk(check, &chunk, chunk.checksum) == 0, "the right one was not taken");
  free(chunk.bytes);
  struct chunk other = make_chunk(900002, 1, 0, 100001);
  code = put_chunk(check, &other, other.checksum);
  EXPECT(code == 6, "another content under the same id ended with %d, not 6", code);
  free(other.bytes);
}

static void listing_and_removing_chunks(struct check *check) {
  for (uint32_t i = 0; i < 20; i++) {
    struct chunk chunk = make_chunk(900003, 1, i, 100 + i);
    int code = put_chunk(check, &chunk, chunk.checksum);
    free(chunk.bytes);
    EXPECT(code == 0, "put %u ended with %d", i, code);
  }
  int count = count_chunks(check, 900003);
  EXPECT(count == 20, "%d chunks are listed, not 20", count);
  for (uint32_t i = 0; i < 20; i++) {
    int code = delete_chunk(check, 900003, 1, i);
    EXPECT(code == 0, "delete %u ended with %d", i, code);
  }
  EXPECT(delete_chunk(check, 900003, 1, 0) == 5, "a chunk can be deleted twice");
  count = count_chunks(check, 900003);
  EXPECT(count == 0, "%d chunks are left", count);
}

void node_checks(const char *address) {
  run_check("node: the example of FRAMING.md", address, echo_of_the_example);
  run_check("node: bodies of all sizes", address, echo_of_all_sizes);
  run_check("node: messages in tiny pieces", address, echo_in_tiny_pieces);
  run_check("node: a message part over many frames", address, echo_of_a_long_message_part);
  run_check("node: back and forth on one call", address, echo_back_and_forth);
  run_check("node: small windows and frames", address, echo_through_small_windows);
  run_check("node: a slow reader stalls nobody", address, slow_call_beside_fast_ones);
  run_check("node: 200 calls at once", address, many_calls_at_once);
  run_check("node: methods by path and by number", address, method_paths_and_numbers);
  run_check("node: status", address, status_of_a_node);
  run_check("node: chunks in and out", address, chunks_in_and_out);
  run_check("node: chunks that are refused", address, chunks_that_are_refused);
  run_check("node: chunks listed and removed", address, listing_and_removing_chunks);
}
