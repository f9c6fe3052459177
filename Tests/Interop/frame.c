#include "frame.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[8] = {0x89, 'H', 'F', 'R', 'P', 'C', '\r', '\n'};

/* A frame that was begun is whole within this time. */
static const int64_t frame_time_ms = 30000;

struct settings default_settings(void) {
  return (struct settings){.value = {
                               [MAX_FRAME_PAYLOAD] = 1114112,
                               [MAX_MESSAGE] = 4194304,
                               [MAX_BODY] = 67108864,
                               [MAX_META] = 65535,
                               [MAX_CALLS] = 1024,
                               [CALL_WINDOW] = 4194304,
                               [CONNECTION_WINDOW] = 67108864,
                               [MIN_PING_INTERVAL_MS] = 1000,
                           }};
}

bool send_preface(int socket, const struct settings *ours) {
  uint8_t bytes[PREFACE_BYTES + 12 * (SETTING_END - 1)];
  memcpy(bytes, magic, sizeof magic);
  bytes[8] = 1;
  bytes[9] = 1;
  put_u16(bytes + 10, 0);
  put_u32(bytes + 12, 12 * (SETTING_END - 1));
  for (uint16_t id = 1; id < SETTING_END; id++) {
    uint8_t *at = bytes + PREFACE_BYTES + 12 * (id - 1);
    put_u16(at, id);
    put_u16(at + 2, 8);
    put_u64(at + 4, ours->value[id]);
  }
  return write_all(socket, bytes, sizeof bytes);
}

static const char *read_settings(const uint8_t *settings, uint32_t length, struct settings *theirs) {
  static const uint64_t least[SETTING_END] = {0, 16384, 16384, 0, 1024, 1, 65536, 65536, 0};
  *theirs = default_settings();
  uint32_t at = 0;
  while (at < length) {
    if (length - at < 4) return "a setting is cut off";
    uint16_t id = get_u16(settings + at), size = get_u16(settings + at + 2);
    if (length - at - 4 < size) return "a setting's value is cut off";
    if (id >= 1 && id < SETTING_END) {
      if (size != 8) return "a known setting has another length than 8";
      theirs->value[id] = get_u64(settings + at + 4);
      if (theirs->value[id] < least[id]) return "a setting is below its least value";
    }
    at += 4u + size;
  }
  return NULL;
}

const char *receive_preface(int socket, struct settings *theirs, int64_t deadline, bool *is_told) {
  uint8_t head[PREFACE_BYTES], settings[4096];
  bool unasked;
  if (is_told == NULL) is_told = &unasked;
  *is_told = false;
  if (read_all(socket, head, sizeof head, deadline) != READ_DONE) return "no preface came";
  if (memcmp(head, magic, sizeof magic) != 0) return "the preface has another magic";
  if (head[8] > 1 || head[9] < 1) return "the peer doesn't speak version 1";
  uint32_t length = get_u32(head + 12);
  *is_told = length > sizeof settings;
  if (*is_told) return "the settings are too long";
  if (read_all(socket, settings, length, deadline) != READ_DONE) return "the settings didn't come";
  const char *wrong = read_settings(settings, length, theirs);
  *is_told = wrong != NULL;
  return wrong;
}

bool send_frame(int socket, const struct frame *frame) {
  uint8_t head[FRAME_HEADER_BYTES];
  size_t payload = frame->meta_length + frame->message_length + frame->body_length;
  put_u32(head, (uint32_t)payload);
  put_u32(head + 4, frame->stream);
  head[8] = frame->type;
  head[9] = frame->flags;
  put_u16(head + 10, (uint16_t)frame->meta_length);
  put_u32(head + 12, (uint32_t)frame->message_length);
  return write_all(socket, head, sizeof head) &&
         write_all(socket, frame->meta, frame->meta_length) &&
         write_all(socket, frame->message, frame->message_length) &&
         write_all(socket, frame->body, frame->body_length);
}

enum frame_result receive_frame(int socket, const struct settings *ours, struct frame *frame,
                                uint8_t **payload, int64_t deadline) {
  *payload = NULL;
  if (!wait_readable(socket, deadline)) return FRAME_TIMEOUT;
  uint8_t head[FRAME_HEADER_BYTES];
  int64_t end = now_ms() + frame_time_ms;
  if (read_all(socket, head, sizeof head, end) != READ_DONE) return FRAME_CLOSED;
  uint64_t length = get_u32(head);
  uint64_t meta = get_u16(head + 10), message = get_u32(head + 12);
  if (length > ours->value[MAX_FRAME_PAYLOAD] || meta > ours->value[MAX_META] ||
      meta + message > length) {
    return FRAME_BAD;
  }
  *payload = must_allocate(length);
  if (read_all(socket, *payload, length, end) != READ_DONE) {
    free(*payload);
    *payload = NULL;
    return FRAME_CLOSED;
  }
  *frame = (struct frame){
      .type = head[8],
      .flags = head[9],
      .stream = get_u32(head + 4),
      .meta = *payload,
      .meta_length = meta,
      .message = *payload + meta,
      .message_length = message,
      .body = *payload + meta + message,
      .body_length = length - meta - message,
  };
  return FRAME_RECEIVED;
}
