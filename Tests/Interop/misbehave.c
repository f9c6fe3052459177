/* Chunks of certain groups stand for what a server may do to its client: so a test asks for it. */
#include <string.h>
#include <unistd.h>

#include "service.h"

enum behaviour {
  /* An error with this group's status code, 1 to 16, with details and trailing metadata. */
  ERROR_CODES = 0xE0000000,
  /* No answer at all. */
  SILENCE = 0xE1000000,
  /* REFUSE, the first time on a connection; then an answer. */
  REFUSE_ONCE = 0xE2000000,
  /* A frame that breaks the rules. */
  BAD_FRAME = 0xE3000000,
  /* The connection is closed without a word. */
  HANG_UP = 0xE4000000,
  /* Success in the middle of a message. */
  CUT_SHORT = 0xE5000000,
  /* Success without a response. */
  NO_RESPONSE = 0xE6000000,
  /* A response that can't be decoded. */
  NONSENSE = 0xE7000000,
  /* Two responses to a unary call. */
  TWO_RESPONSES = 0xE8000000,
  /* GOAWAY, then an answer: the call was accepted. */
  GO_AWAY = 0xE9000000,
  /* More bytes than the client gave credit for. */
  OVERRUN = 0xEA000000,
  /* An unknown frame that may be ignored, then an answer. */
  IGNORABLE_FRAME = 0xEB000000,
};

static void send_error(struct stream *stream, uint32_t code) {
  Holdfast__Rpc__MetadataEntry entry = HOLDFAST__RPC__METADATA_ENTRY__INIT, *entries[] = {&entry};
  entry.key = "reason-bin";
  entry.value = (ProtobufCBinaryData){3, (uint8_t *)"\x00\x01\xff"};
  Holdfast__Rpc__EndMeta end = HOLDFAST__RPC__END_META__INIT;
  end.code = code;
  end.message = "as you wished";
  end.metadata = entries;
  end.n_metadata = 1;
  /* A google.rpc.Status: code 5, and a detail {type_url: "x/y", value: "z"}. */
  end.details = (ProtobufCBinaryData){12, (uint8_t *)"\x08\x05\x1a\x08\x0a\x03x/y\x12\x01z"};
  stream_end_with(stream, &end, NULL, 0);
}

/* An empty response: every method's response may be one. */
static void answer(struct stream *stream) {
  struct frame frame = {.type = FRAME_END, .flags = FLAG_MESSAGE, .stream = stream->id};
  connection_send(stream->connection, &frame);
  stream->over = FRAME_END;
}

static void overrun(struct stream *stream) {
  static const uint8_t zeros[60000];
  struct frame frame = {.type = FRAME_MSG,
                        .flags = FLAG_MESSAGE,
                        .stream = stream->id,
                        .message = (const uint8_t *)"\x7a\xe0\xd4\x03",
                        .message_length = 4,
                        .body = zeros,
                        .body_length = sizeof zeros};
  for (int i = 0; i < 4000; i++) {
    if (!connection_send(stream->connection, &frame)) break;
  }
}

static void send_odd_frame(struct stream *stream, enum behaviour behaviour) {
  struct connection *connection = stream->connection;
  struct frame frame = {.stream = stream->id};
  uint8_t last[4];
  switch (behaviour) {
    case REFUSE_ONCE:
      frame.type = FRAME_REFUSE;
      frame.meta = (const uint8_t *)"\x08\x0e\x12\x04" "busy";
      frame.meta_length = 8;
      stream->over = FRAME_REFUSE;
      break;
    case BAD_FRAME: frame.type = FRAME_CALL; break;
    case CUT_SHORT:
      frame.type = FRAME_MSG;
      frame.flags = FLAG_MESSAGE | FLAG_MORE_BODY;
      frame.message = (const uint8_t *)"\x7a\x64";
      frame.message_length = 2;
      break;
    case NONSENSE:
    case TWO_RESPONSES:
      frame.type = FRAME_MSG;
      frame.flags = FLAG_MESSAGE;
      frame.message = (const uint8_t *)"\xff\xff\xff";
      frame.message_length = behaviour == NONSENSE ? 3 : 0;
      break;
    case GO_AWAY:
      put_u32(last, stream->id);
      frame = (struct frame){.type = FRAME_GOAWAY, .message = last, .message_length = 4};
      break;
    default:
      frame.type = 200;
      frame.flags = FLAG_IGNORABLE;
      frame.body = last;
      frame.body_length = 0;
      break;
  }
  connection_send(connection, &frame);
}

bool misbehave(struct stream *stream, uint32_t group) {
  /* Whether this connection has refused a call before: one process serves one connection. */
  static bool has_refused;
  enum behaviour behaviour = (enum behaviour)(group & 0xFF000000);
  switch (behaviour) {
    case ERROR_CODES: send_error(stream, group & 0xFF); return true;
    case SILENCE: return true;
    case HANG_UP: _exit(0);
    case OVERRUN: overrun(stream); return true;
    case NO_RESPONSE: stream_end(stream, 0, NULL, NULL, 0); return true;
    case BAD_FRAME: send_odd_frame(stream, behaviour); return true;
    case CUT_SHORT:
      send_odd_frame(stream, behaviour);
      stream_end(stream, 0, NULL, NULL, 0);
      return true;
    case REFUSE_ONCE:
      if (has_refused) {
        answer(stream);
      } else {
        send_odd_frame(stream, behaviour);
        has_refused = true;
      }
      return true;
    case NONSENSE:
    case TWO_RESPONSES:
    case GO_AWAY:
    case IGNORABLE_FRAME:
      send_odd_frame(stream, behaviour);
      answer(stream);
      return true;
    default: return false;
  }
}
