/* Against a Node: how calls fail, are cancelled and run out of time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "holdfast/v1/node.pb-c.h"

#define ECHO "/holdfast.v1.Node/Echo"
#define STAT "/holdfast.v1.Node/StatChunk"

/* Expects a call to end with `code`, and the connection to be none the worse. */
static void expect_end(struct check *check, struct stream *stream, int code) {
  int got = call_wait(stream, soon());
  EXPECT(got == code, "it ended with %d (%s), not %d", got,
         stream->end != NULL ? stream->end->message : "", code);
  EXPECT(code == 0 || stream->end->message[0] != 0, "the error has no message");
  struct stream *next = call_begin(check->connection, ECHO, NULL, NULL, 0, true);
  EXPECT(call_wait(next, soon()) == 0, "the connection is of no more use");
}

static void unknown_chunk(struct check *check) {
  Holdfast__V1__ChunkId id = HOLDFAST__V1__CHUNK_ID__INIT;
  id.group = 7, id.upload = 77, id.index = 777;
  Holdfast__V1__StatChunkRequest request = HOLDFAST__V1__STAT_CHUNK_REQUEST__INIT;
  request.id = &id;
  expect_end(check, call_begin(check->connection, STAT, NULL, &request.base, 0, true), 5);
}

static void unknown_method(struct check *check) {
  expect_end(check, call_begin(check->connection, "/holdfast.v1.Node/Fly", NULL, NULL, 0, true), 12);
}

static void unknown_service(struct check *check) {
  expect_end(check, call_begin(check->connection, "/no.such.Service/Echo", NULL, NULL, 0, true), 12);
}

static void no_request(struct check *check) {
  expect_end(check, call_begin(check->connection, STAT, NULL, NULL, 0, true), 3);
}

static void two_requests(struct check *check) {
  Holdfast__V1__StatChunkRequest request = HOLDFAST__V1__STAT_CHUNK_REQUEST__INIT;
  struct stream *stream = call_begin(check->connection, STAT, NULL, &request.base, 0, false);
  stream_send(stream, &request.base, 0, true);
  expect_end(check, stream, 3);
}

/* Sends bytes that are no right request. */
static void send_wrong(struct check *check, const char *method, const char *bytes, size_t length) {
  struct stream *stream = call_begin(check->connection, method, NULL, NULL, 0, false);
  stream_send_bytes(stream, (const uint8_t *)bytes, length, 0, true);
  expect_end(check, stream, 3);
}

static void truncated_request(struct check *check) { send_wrong(check, STAT, "\x0a\x05\x08", 3); }

static void request_without_sense(struct check *check) {
  send_wrong(check, STAT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
}

static void invalid_utf8(struct check *check) {
  /* header { id { group: 1 upload: 1 } epoch: 1 length: 1 name { bucket: "b" key: <c3 28> } } */
  static const char bytes[] = "\x0a\x13\x0a\x04\x08\x01\x10\x01\x10\x01\x18\x01\x22\x07\x0a\x01\x62"
                              "\x12\x02\xc3\x28";
  send_wrong(check, "/holdfast.v1.Node/PutChunk", bytes, 21);
}

static void nul_in_a_string(struct check *check) {
  static const char bytes[] = "\x0a\x13\x0a\x04\x08\x01\x10\x01\x10\x01\x18\x01\x22\x07\x0a\x01\x62"
                              "\x12\x02\x61\x00";
  send_wrong(check, "/holdfast.v1.Node/PutChunk", bytes, 21);
}

static void meta_that_is_none(struct check *check) {
  check->connection->last_stream = 1;
  struct frame frame = {.type = FRAME_CALL,
                        .flags = FLAG_MESSAGE | FLAG_END_STREAM,
                        .stream = 3,
                        .meta = (const uint8_t *)"\x0a\x7f\x01",
                        .meta_length = 3};
  struct stream *first = call_begin(check->connection, ECHO, NULL, NULL, 0, false);
  frame.stream = first->id + 2;
  connection_send(check->connection, &frame);
  check->connection->last_stream = frame.stream;
  /* The stream of the wrong CALL is one of ours that we have not kept: its END is late for us. */
  stream_finish(first);
  expect_end(check, first, 0);
}

static void message_too_large(struct check *check) {
  size_t length = check->connection->theirs.value[MAX_MESSAGE] + 1;
  char *bytes = must_allocate(length);
  struct stream *stream = call_begin(check->connection, ECHO, NULL, NULL, 0, false);
  stream_send_bytes(stream, (uint8_t *)bytes, length, 0, true);
  free(bytes);
  expect_end(check, stream, 8);
}

static void deadline(struct check *check) {
  struct call_options options = {.timeout_us = 100000};
  int64_t begin = now_ms();
  struct stream *stream = call_begin(check->connection, ECHO, &options, NULL, 0, false);
  expect_end(check, stream, 4);
  EXPECT(now_ms() - begin >= 90, "it ended after %d ms", (int)(now_ms() - begin));
}

static void cancellation(struct check *check) {
  struct connection *connection = check->connection;
  uint8_t *data = must_allocate(200000);
  for (int i = 0; i < 20; i++) {
    Holdfast__V1__EchoRequest request = HOLDFAST__V1__ECHO_REQUEST__INIT;
    request.data = (ProtobufCBinaryData){200000, data};
    struct stream *stream = call_begin(connection, ECHO, NULL, &request.base, 200000, false);
    if (i % 2 == 0) stream_send(stream, &request.base, 200000, false);
    call_cancel(stream, 1);
    stream_free(stream);
  }
  free(data);
  struct stream *next = call_begin(connection, ECHO, NULL, NULL, 0, true);
  EXPECT(call_wait(next, soon()) == 0, "calls after a cancelled one fail");
}

static void cancelled_inside_a_message(struct check *check) {
  struct connection *connection = check->connection;
  struct stream *stream = call_begin(connection, ECHO, NULL, NULL, 0, false);
  /* The tag and length of a body of 1,000 bytes, and 10 of them. */
  struct frame frame = {.type = FRAME_MSG,
                        .flags = FLAG_MESSAGE | FLAG_MORE_BODY,
                        .stream = stream->id,
                        .message = (const uint8_t *)"\x7a\xe8\x07",
                        .message_length = 3,
                        .body = (const uint8_t *)"0123456789",
                        .body_length = 10};
  connection_send(connection, &frame);
  call_cancel(stream, 1);
  struct stream *next = call_begin(connection, ECHO, NULL, NULL, 0, true);
  EXPECT(call_wait(next, soon()) == 0, "calls after it fail");
}

static void late_frames(struct check *check) {
  struct connection *connection = check->connection;
  struct stream *stream = call_begin(connection, STAT, NULL, NULL, 0, true);
  EXPECT(call_wait(stream, soon()) == 3, "it ended otherwise");
  struct frame frame = {.type = FRAME_CANCEL, .stream = stream->id};
  connection_send(connection, &frame);
  frame = (struct frame){
      .type = FRAME_WINDOW, .stream = stream->id, .message = (uint8_t[8]){0xff}, .message_length = 8};
  connection_send(connection, &frame);
  expect_end(check, stream, 3);
}

static void metadata_in_calls(struct check *check) {
  Holdfast__Rpc__MetadataEntry text = HOLDFAST__RPC__METADATA_ENTRY__INIT, binary = text;
  text.key = "trace-id";
  text.value = (ProtobufCBinaryData){3, (uint8_t *)"abc"};
  binary.key = "token-bin";
  binary.value = (ProtobufCBinaryData){3, (uint8_t *)"\x00\xff\x80"};
  Holdfast__Rpc__MetadataEntry *entries[] = {&text, &binary, &text};
  struct call_options options = {.metadata = entries, .metadata_count = 3};
  expect_end(check, call_begin(check->connection, ECHO, &options, NULL, 0, true), 0);
}

void error_checks(const char *address) {
  run_check("errors: a chunk that isn't there", address, unknown_chunk);
  run_check("errors: an unknown method", address, unknown_method);
  run_check("errors: an unknown service", address, unknown_service);
  run_check("errors: no request", address, no_request);
  run_check("errors: two requests", address, two_requests);
  run_check("errors: a request that is cut off", address, truncated_request);
  run_check("errors: a request without sense", address, request_without_sense);
  run_check("errors: a string that isn't UTF-8", address, invalid_utf8);
  run_check("errors: a string with NUL", address, nul_in_a_string);
  run_check("errors: meta that is none", address, meta_that_is_none);
  run_check("errors: a message too large", address, message_too_large);
  run_check("calls: a deadline passes", address, deadline);
  run_check("calls: cancellation", address, cancellation);
  run_check("calls: cancellation inside a message", address, cancelled_inside_a_message);
  run_check("calls: late frames", address, late_frames);
  run_check("calls: metadata", address, metadata_in_calls);
}
