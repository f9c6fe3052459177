/* Against any server: frames and bytes that break the rules. Each must get an ERROR frame and a closed
 * connection, or be ignored where the specification says so, and the server must go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* A method of the server under test that takes a stream of requests or is unknown: either will do. */
static const char *method;

/* The server still answers on another connection. */
static void expect_alive(struct check *check) {
  struct connection other;
  EXPECT(connection_open(&other, check->address, NULL), "the server is gone: %s", other.error);
  struct frame ping = {.type = FRAME_PING, .message = (const uint8_t *)"areyouup", .message_length = 8};
  connection_send(&other, &ping);
  while (!other.has_pong && connection_pump(&other, soon())) {
  }
  bool answered = other.has_pong;
  connection_close(&other);
  EXPECT(answered, "the server doesn't answer a ping");
}

/* The peer sends ERROR and closes. */
static void expect_error(struct check *check) {
  struct connection *connection = check->connection;
  while (connection_pump(connection, soon())) {
  }
  EXPECT(connection->peer_error != NULL, "no ERROR came, but: %s",
         connection->error[0] ? connection->error : "nothing");
  EXPECT(connection->peer_error->code != 0, "the ERROR says success");
  char byte;
  EXPECT(read_all(connection->socket, &byte, 1, soon()) == READ_CLOSED, "it isn't closed");
  expect_alive(check);
}

/* The frames that follow must be ignored: a ping is answered after them. */
static void expect_ignored(struct check *check) {
  struct connection *connection = check->connection;
  struct frame ping = {.type = FRAME_PING, .message = (const uint8_t *)"12345678", .message_length = 8};
  connection_send(connection, &ping);
  while (!connection->has_pong && connection_pump(connection, soon())) {
  }
  EXPECT(connection->has_pong, "no answer to a ping: %s", connection->error);
  EXPECT(memcmp(connection->pong, "12345678", 8) == 0, "the answer has other bytes");
}

static void open_call(struct check *check) {
  call_begin(check->connection, method, NULL, NULL, 0, false);
}

/* Opens a call as stream 1, then sends one frame. */
static void send_after_call(struct check *check, struct frame frame) {
  open_call(check);
  connection_send(check->connection, &frame);
  expect_error(check);
}

#define BYTES(text) (const uint8_t *)(text)

static void ping_is_answered(struct check *check) { expect_ignored(check); }

static void ignorable_frame(struct check *check) {
  struct frame frame = {.type = 77,
                        .flags = FLAG_IGNORABLE,
                        .stream = 9,
                        .meta = BYTES("meta"),
                        .meta_length = 4,
                        .message = BYTES("message"),
                        .message_length = 7,
                        .body = BYTES("body"),
                        .body_length = 4};
  connection_send(check->connection, &frame);
  expect_ignored(check);
}

static void unknown_type(struct check *check) { send_after_call(check, (struct frame){.type = 77}); }

static void settings_frame(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_SETTINGS});
}

static void type_of_the_server(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_END, .stream = 1});
}

static void unknown_flag(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_MSG, .flags = 0x42, .stream = 1});
}

static void flag_of_another_type(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_PING,
                                        .flags = FLAG_END_STREAM,
                                        .message = BYTES("12345678"),
                                        .message_length = 8});
}

static void part_of_another_type(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_MSG,
                                        .flags = FLAG_MESSAGE,
                                        .stream = 1,
                                        .meta = BYTES("\x08\x01"),
                                        .meta_length = 2});
}

static void short_window(struct check *check) {
  send_after_call(
      check, (struct frame){.type = FRAME_WINDOW, .message = BYTES("1234"), .message_length = 4});
}

static void long_ping(struct check *check) {
  send_after_call(
      check, (struct frame){.type = FRAME_PING, .message = BYTES("123456789"), .message_length = 9});
}

static void even_stream(struct check *check) {
  struct frame frame = {.type = FRAME_CALL, .stream = 2};
  connection_send(check->connection, &frame);
  expect_error(check);
}

static void stream_that_does_not_rise(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_CALL, .stream = 1});
}

static void call_on_stream_zero(struct check *check) {
  struct frame frame = {.type = FRAME_CALL};
  connection_send(check->connection, &frame);
  expect_error(check);
}

static void ping_on_a_call(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_PING,
                                        .stream = 1,
                                        .message = BYTES("12345678"),
                                        .message_length = 8});
}

static void stream_never_used(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_MSG, .flags = FLAG_MESSAGE, .stream = 99});
}

static void body_without_message(struct check *check) {
  send_after_call(
      check,
      (struct frame){.type = FRAME_BODY, .stream = 1, .body = BYTES("body"), .body_length = 4});
}

static void message_inside_a_body(struct check *check) {
  open_call(check);
  struct frame frame = {.type = FRAME_MSG,
                        .flags = FLAG_MESSAGE | FLAG_MORE_BODY,
                        .stream = 1,
                        .message = BYTES("\x7a\x05"),
                        .message_length = 2,
                        .body = BYTES("ab"),
                        .body_length = 2};
  connection_send(check->connection, &frame);
  connection_send(check->connection, &frame);
  expect_error(check);
}

static void both_mores(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_MSG,
                                        .flags = FLAG_MESSAGE | FLAG_MORE_MESSAGE | FLAG_MORE_BODY,
                                        .stream = 1});
}

static void empty_message_frame(struct check *check) {
  send_after_call(check, (struct frame){.type = FRAME_MSG, .stream = 1});
}

static void method_number_out_of_order(struct check *check) {
  /* CallMeta {method: "/a/b", method_id: 9} */
  struct frame frame = {.type = FRAME_CALL,
                        .stream = 1,
                        .meta = BYTES("\x0a\x04/a/b\x10\x09"),
                        .meta_length = 8};
  connection_send(check->connection, &frame);
  expect_error(check);
}

static void method_number_never_bound(struct check *check) {
  struct frame frame = {
      .type = FRAME_CALL, .stream = 1, .meta = BYTES("\x10\x09"), .meta_length = 2};
  /* So that the END that comes is one of a call that we know. */
  check->connection->last_stream = 1;
  connection_send(check->connection, &frame);
  expect_ignored(check);
}

/* Sends a frame's header alone, with lengths that lie. */
static void send_lengths(struct check *check, uint32_t payload, uint16_t meta, uint32_t message) {
  uint8_t head[FRAME_HEADER_BYTES] = {0};
  put_u32(head, payload);
  put_u32(head + 4, 1);
  head[8] = FRAME_CALL;
  put_u16(head + 10, meta);
  put_u32(head + 12, message);
  write_all(check->connection->socket, head, sizeof head);
  expect_error(check);
}

static void payload_too_large(struct check *check) {
  send_lengths(check, (uint32_t)check->connection->theirs.value[MAX_FRAME_PAYLOAD] + 1, 0, 0);
}

static void largest_payload(struct check *check) { send_lengths(check, UINT32_MAX, 0, 0); }

static void parts_longer_than_the_payload(struct check *check) { send_lengths(check, 8, 4, 5); }

static void parts_that_overflow(struct check *check) { send_lengths(check, 8, 16, UINT32_MAX - 7); }

/* Opens a connection that hasn't said anything; to be closed. */
static int open_socket(struct check *check) {
  int socket = connect_to(check->address);
  if (socket < 0) fail_check(check, "the server is gone");
  return socket;
}

/* Reads whatever comes until the other side closes. */
static void expect_closed(struct check *check, int socket) {
  char bytes[4096];
  int64_t end = soon();
  enum read_result result = READ_DONE;
  while (result == READ_DONE) result = read_all(socket, bytes, 1, end);
  if (result != READ_CLOSED) fail_check(check, "it isn't closed");
  close(socket);
}

static void other_protocols(struct check *check) {
  static const char *const texts[] = {
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello there",
      "\x89HFRPX\r\n garbage",
      "SSH-2.0-OpenSSH_9.9\r\n",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    int socket = open_socket(check);
    EXPECT(socket >= 0, "no connection");
    write_all(socket, texts[i], strlen(texts[i]));
    expect_closed(check, socket);
  }
  expect_alive(check);
}

static void wrong_prefaces(struct check *check) {
  static const uint8_t prefaces[][28] = {
      {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n', 2, 9, 0, 0, 0, 0, 0, 0},
      {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n', 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff},
      {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n', 1, 1, 0, 0, 3, 0, 0, 0, 1, 0, 8},
      {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n', 1, 1, 0, 0, 12, 0, 0, 0, 1, 0, 8, 0, 5},
  };
  for (size_t i = 0; i < sizeof prefaces / sizeof *prefaces; i++) {
    int socket = open_socket(check);
    EXPECT(socket >= 0, "no connection");
    write_all(socket, prefaces[i], sizeof prefaces[i]);
    expect_closed(check, socket);
  }
  expect_alive(check);
}

static void unknown_setting(struct check *check) {
  static const uint8_t preface[] = {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n', 1, 3, 0x34, 0x12,
                                    9,    0,   0,   0,   0x99, 0x99, 5,   0,   1, 2, 3, 4, 5};
  struct connection *connection = check->connection;
  close(connection->socket);
  connection->socket = open_socket(check);
  EXPECT(connection->socket >= 0, "no connection");
  write_all(connection->socket, preface, sizeof preface);
  const char *wrong = receive_preface(connection->socket, &connection->theirs, soon(), NULL);
  EXPECT(wrong == NULL, "%s", wrong);
  expect_ignored(check);
}

static void silence_instead_of_a_preface(struct check *check) {
  int socket = open_socket(check);
  EXPECT(socket >= 0, "no connection");
  write_all(socket, "\x89HF", 3);
  int64_t begin = now_ms();
  expect_closed(check, socket);
  EXPECT(now_ms() - begin >= 3000, "closed after %d ms", (int)(now_ms() - begin));
}

static void random_bytes(struct check *check) {
  uint8_t bytes[3000];
  for (uint32_t seed = 1; seed <= 200; seed++) {
    struct connection connection;
    EXPECT(connection_open(&connection, check->address, NULL), "the server is gone");
    fill(bytes, sizeof bytes, seed);
    /* Half of them begin as a frame that could be one. */
    if (seed % 2 == 0) {
      put_u32(bytes, seed * 8);
      put_u32(bytes + 4, 1);
      bytes[8] = (uint8_t)(1 + seed / 2 % 12);
      bytes[9] &= 0x0f;
      put_u16(bytes + 10, (uint16_t)(seed % 64));
      put_u32(bytes + 12, seed % 128);
    }
    write_all(connection.socket, bytes, sizeof bytes);
    connection_close(&connection);
  }
  expect_alive(check);
}

static void cut_off_frames(struct check *check) {
  uint8_t frame[FRAME_HEADER_BYTES + 4] = {100, 0, 0, 0, 1, 0, 0, 0, FRAME_CALL};
  for (size_t length = 1; length < sizeof frame; length++) {
    struct connection connection;
    EXPECT(connection_open(&connection, check->address, NULL), "the server is gone");
    write_all(connection.socket, frame, length);
    connection_close(&connection);
  }
  expect_alive(check);
}

static void more_than_the_credit(struct check *check) {
  struct connection *connection = check->connection;
  open_call(check);
  /* Echoes that nobody takes: the server stops reading the call, and its credit runs out. */
  uint8_t *data = must_allocate(60000);
  struct frame frame = {.type = FRAME_MSG,
                        .flags = FLAG_MESSAGE,
                        .stream = 1,
                        .message = BYTES("\x7a\xe0\xd4\x03"),
                        .message_length = 4,
                        .body = data,
                        .body_length = 60000};
  for (int i = 0; i < 400 && connection_is_good(connection); i++) {
    connection_send(connection, &frame);
  }
  free(data);
  /* The ERROR may be lost when the close of the connection overtakes it: being closed is enough. */
  while (connection_pump(connection, soon())) {
  }
  EXPECT(!connection_is_good(connection), "the server took it all");
  connection->error[0] = 0;
  expect_alive(check);
}

static void too_many_calls(struct check *check) {
  struct connection *connection = check->connection;
  uint32_t most = (uint32_t)connection->theirs.value[MAX_CALLS];
  EXPECT(most <= 100000, "the server takes %u calls", most);
  for (uint32_t i = 0; i < most; i++) open_call(check);
  struct stream *extra = call_begin(connection, method, NULL, NULL, 0, true);
  int code = call_wait(extra, soon());
  EXPECT(extra->over == FRAME_REFUSE, "call %u was not refused but ended with %d", most + 1, code);
  EXPECT(code == 14, "it was refused with %d, not UNAVAILABLE", code);
  call_cancel(connection->streams, 1);
  stream_free(connection->streams);
}

void wire_checks(const char *address, const char *streaming_method) {
  method = streaming_method;
  run_check("wire: a ping is answered", address, ping_is_answered);
  run_check("wire: an ignorable frame", address, ignorable_frame);
  run_check("wire: an unknown type", address, unknown_type);
  run_check("wire: SETTINGS", address, settings_frame);
  run_check("wire: a type that the server sends", address, type_of_the_server);
  run_check("wire: an unknown flag", address, unknown_flag);
  run_check("wire: a flag of another type", address, flag_of_another_type);
  run_check("wire: a part of another type", address, part_of_another_type);
  run_check("wire: a short WINDOW", address, short_window);
  run_check("wire: a long PING", address, long_ping);
  run_check("wire: an even stream", address, even_stream);
  run_check("wire: a stream that doesn't rise", address, stream_that_does_not_rise);
  run_check("wire: a CALL on stream 0", address, call_on_stream_zero);
  run_check("wire: a PING on a call", address, ping_on_a_call);
  run_check("wire: a stream never used", address, stream_never_used);
  run_check("wire: a body without a message", address, body_without_message);
  run_check("wire: a message inside a body", address, message_inside_a_body);
  run_check("wire: both MOREs", address, both_mores);
  run_check("wire: an empty MSG", address, empty_message_frame);
  run_check("wire: a method number out of order", address, method_number_out_of_order);
  run_check("wire: a method number never bound", address, method_number_never_bound);
  run_check("wire: a payload too large", address, payload_too_large);
  run_check("wire: the largest payload", address, largest_payload);
  run_check("wire: parts longer than the payload", address, parts_longer_than_the_payload);
  run_check("wire: parts that overflow", address, parts_that_overflow);
  run_check("wire: other protocols", address, other_protocols);
  run_check("wire: wrong prefaces", address, wrong_prefaces);
  run_check("wire: an unknown setting", address, unknown_setting);
  run_check("wire: silence instead of a preface", address, silence_instead_of_a_preface);
  run_check("wire: random bytes", address, random_bytes);
  run_check("wire: frames cut off", address, cut_off_frames);
  /* Only a method that answers stops taking requests when its answers are not taken. */
  if (strstr(method, "Echo") != NULL) {
    run_check("wire: more than the credit", address, more_than_the_credit);
  }
  run_check("wire: more calls than allowed", address, too_many_calls);
}
