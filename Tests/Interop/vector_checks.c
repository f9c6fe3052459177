/* Against any Node: the exchanges of Protos/vectors, as section 10 of FRAMING.md says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static const uint8_t bare_preface[PREFACE_BYTES] = {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n', 1, 1};

/* Bytes that are sent, or frames that must come, in a row. */
struct step {
  char what;
  size_t length, room;
  uint8_t *bytes;
};

/* An exchange that is run. */
struct exchange {
  struct check check;
  int socket;
  bool has_preface;
  struct settings ours, theirs;
};

/* Reads the next frame, past those that may come at any time; false when the connection is closed. */
static bool next_frame(struct exchange *exchange, struct frame *frame, uint8_t **payload) {
  for (;;) {
    if (!exchange->has_preface) {
      if (receive_preface(exchange->socket, &exchange->theirs, soon(), NULL) != NULL) return false;
      exchange->has_preface = true;
    }
    if (receive_frame(exchange->socket, &exchange->ours, frame, payload, soon()) != FRAME_RECEIVED) {
      return false;
    }
    bool is_its_own = frame->type == FRAME_WINDOW || frame->type == FRAME_HEAD ||
                      (frame->type == FRAME_PING && !(frame->flags & FLAG_ACK));
    if (!is_its_own) return true;
    free(*payload);
  }
}

static uint32_t code_of(const uint8_t *meta, size_t length) {
  Holdfast__Rpc__EndMeta *end = holdfast__rpc__end_meta__unpack(NULL, length, meta);
  uint32_t code = end != NULL ? end->code : UINT32_MAX;
  if (end != NULL) holdfast__rpc__end_meta__free_unpacked(end, NULL);
  return code;
}

/* The next frame must be the one that these bytes begin with. Returns how many those are; 0: it isn't. */
static size_t expect_frame(struct exchange *exchange, const uint8_t *bytes, size_t length) {
  struct frame frame;
  uint8_t *payload;
  size_t whole = length < FRAME_HEADER_BYTES ? length + 1 : FRAME_HEADER_BYTES + get_u32(bytes);
  if (whole > length) {
    fail_check(&exchange->check, "the file has half a frame");
    return 0;
  }
  if (!next_frame(exchange, &frame, &payload)) {
    fail_check(&exchange->check, "it closes where a frame of type %u must come", bytes[8]);
    return 0;
  }
  size_t meta = get_u16(bytes + 10), message = get_u32(bytes + 12);
  const uint8_t *parts = bytes + FRAME_HEADER_BYTES;
  size_t rest = whole - FRAME_HEADER_BYTES - meta;
  bool is_same = frame.type == bytes[8] && frame.flags == bytes[9] &&
                 frame.stream == get_u32(bytes + 4) && frame.message_length == message &&
                 frame.message_length + frame.body_length == rest &&
                 (rest == 0 || memcmp(frame.message, parts + meta, rest) == 0);
  if (!is_same) {
    fail_check(&exchange->check, "a frame of type %u, stream %u, flags %02x came, not type %u",
               frame.type, frame.stream, frame.flags, bytes[8]);
  } else if (frame.type == FRAME_END) {
    uint32_t code = code_of(frame.meta, frame.meta_length), right = code_of(parts, meta);
    is_same = code == right;
    if (!is_same) fail_check(&exchange->check, "it ended with %u, not %u", code, right);
  }
  free(payload);
  return is_same ? whole : 0;
}

static void expect_pong(struct exchange *exchange) {
  uint8_t pong[FRAME_HEADER_BYTES + 8] = {8, 0, 0, 0, 0, 0, 0, 0, FRAME_PING, FLAG_ACK, 0, 0, 8};
  memcpy(pong + FRAME_HEADER_BYTES, "are you?", 8);
  struct frame ping = {.type = FRAME_PING, .message = pong + FRAME_HEADER_BYTES, .message_length = 8};
  send_frame(exchange->socket, &ping);
  expect_frame(exchange, pong, sizeof pong);
}

static void expect_error(struct exchange *exchange) {
  struct frame frame;
  uint8_t *payload;
  bool has_error = false;
  while (next_frame(exchange, &frame, &payload)) {
    has_error = has_error || (frame.type == FRAME_ERROR && code_of(frame.meta, frame.meta_length) != 0);
    free(payload);
  }
  if (!has_error) fail_check(&exchange->check, "no ERROR came");
}

static void expect_closed(struct exchange *exchange) {
  uint8_t byte;
  enum read_result result;
  while ((result = read_all(exchange->socket, &byte, 1, soon())) == READ_DONE) {
  }
  if (result != READ_CLOSED) fail_check(&exchange->check, "it isn't closed");
}

static void run_step(struct exchange *exchange, const struct step *step) {
  switch (step->what) {
    case '>': write_all(exchange->socket, step->bytes, step->length); break;
    case '<':
      for (size_t at = 0, size; at < step->length; at += size) {
        size = expect_frame(exchange, step->bytes + at, step->length - at);
        if (size == 0) return;
      }
      break;
    case '!':
      expect_error(exchange);
      expect_closed(exchange);
      break;
    case 'x': expect_closed(exchange); break;
  }
}

/* Ends an exchange: unless its last step closed the connection, that must still be of use. */
static void end_exchange(struct exchange *exchange, char last) {
  if (exchange->check.name == NULL) return;
  if (exchange->check.failure[0] == 0 && last != '!' && last != 'x') expect_pong(exchange);
  report_check(&exchange->check);
  close(exchange->socket);
  free((char *)exchange->check.name);
  exchange->check.name = NULL;
}

static void begin_exchange(struct exchange *exchange, const char *name, const char *address) {
  char title[1100];
  snprintf(title, sizeof title, "vector: %s", name);
  *exchange = (struct exchange){.check = {.name = must_copy(title), .address = address},
                                .socket = connect_to(address),
                                .ours = default_settings()};
  if (exchange->socket < 0) fail_check(&exchange->check, "nobody listens at %s", address);
}

/* Makes a step longer by bytes that are the caller's to fill in. */
static uint8_t *append(struct step *step, size_t count) {
  if (step->length + count > step->room) {
    step->room = 2 * (step->length + count);
    step->bytes = must_reallocate(step->bytes, step->room);
  }
  step->length += count;
  return step->bytes + step->length - count;
}

/* Appends what a line says to a step. */
static void read_bytes(struct step *step, const char *text) {
  if (strncmp(text, " preface", 8) == 0) {
    memcpy(append(step, sizeof bare_preface), bare_preface, sizeof bare_preface);
    return;
  }
  unsigned byte;
  for (int used; sscanf(text, " %2x%n", &byte, &used) == 1;) {
    unsigned count = 1;
    int more = 0;
    if (text[used] == '*' && sscanf(text + used, "*%u%n", &count, &more) != 1) return;
    memset(append(step, count), (int)byte, count);
    text += used + more;
  }
}

void vector_checks(const char *address, const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    printf("FAIL vectors: '%s' can't be read\n", path);
    exit(1);
  }
  struct exchange exchange = {0};
  struct step step = {0};
  char line[1024];
  bool has_more = true;
  while (has_more) {
    has_more = fgets(line, sizeof line, file) != NULL;
    if (has_more) line[strcspn(line, "\n")] = 0;
    char what = has_more ? line[0] : '=';
    if (what == '#' || what == 0) continue;
    if (what != step.what || what == '=') {
      if (exchange.check.name != NULL && exchange.check.failure[0] == 0) run_step(&exchange, &step);
      if (what == '=') end_exchange(&exchange, step.what);
      step.what = what;
      step.length = 0;
    }
    if (what == '=' && has_more) {
      begin_exchange(&exchange, line + 2, address);
    } else {
      read_bytes(&step, line + 1);
    }
  }
  fclose(file);
  free(step.bytes);
}
