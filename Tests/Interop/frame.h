/* Prefaces and frames on a socket, written from Protos/FRAMING.md, sections 1 and 2. */
#ifndef FRAME_H
#define FRAME_H

#include "wire.h"

enum { FRAME_HEADER_BYTES = 16, PREFACE_BYTES = 16 };

enum frame_type {
  FRAME_CALL = 1,
  FRAME_HEAD = 2,
  FRAME_MSG = 3,
  FRAME_BODY = 4,
  FRAME_END = 5,
  FRAME_CANCEL = 6,
  FRAME_WINDOW = 7,
  FRAME_PING = 8,
  FRAME_GOAWAY = 9,
  FRAME_SETTINGS = 10,
  FRAME_ERROR = 11,
  FRAME_REFUSE = 12,
};

enum frame_flag {
  FLAG_END_STREAM = 0x01,
  FLAG_MESSAGE = 0x02,
  FLAG_MORE_MESSAGE = 0x04,
  FLAG_MORE_BODY = 0x08,
  FLAG_ACK = 0x10,
  FLAG_IGNORABLE = 0x80,
};

/* What a side says of itself in its preface, by the setting's number. */
enum setting {
  MAX_FRAME_PAYLOAD = 1,
  MAX_MESSAGE = 2,
  MAX_BODY = 3,
  MAX_META = 4,
  MAX_CALLS = 5,
  CALL_WINDOW = 6,
  CONNECTION_WINDOW = 7,
  MIN_PING_INTERVAL_MS = 8,
  SETTING_END = 9,
};

struct settings {
  uint64_t value[SETTING_END];
};

/* The settings of a side that says nothing. */
struct settings default_settings(void);

/* A frame; its parts lie in the sender's memory, or in what receive_frame allocated. */
struct frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  const uint8_t *meta;
  size_t meta_length;
  const uint8_t *message;
  size_t message_length;
  const uint8_t *body;
  size_t body_length;
};

/* The first bytes of a connection: written without waiting for the other's. */
bool send_preface(int socket, const struct settings *ours);
/* The other side's; NULL when it is good, else what is wrong with it. `is_told`, unless NULL, says whether the
 * other side is to hear of that: when its settings are wrong. */
const char *receive_preface(int socket, struct settings *theirs, int64_t deadline, bool *is_told);

bool send_frame(int socket, const struct frame *frame);

enum frame_result { FRAME_RECEIVED, FRAME_CLOSED, FRAME_TIMEOUT, FRAME_BAD };
/* The next frame; `payload` is its memory, to be freed. Nothing has been read on FRAME_TIMEOUT. */
enum frame_result receive_frame(int socket, const struct settings *ours, struct frame *frame,
                                uint8_t **payload, int64_t deadline);

#endif
