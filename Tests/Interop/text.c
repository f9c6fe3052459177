#include "text.h"

#include <string.h>

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_text(const uint8_t *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    uint8_t lead = bytes[at++];
    if (lead == 0) return false;
    if (lead < 0x80) continue;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)more > length - at) return false;
    uint8_t least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[at] < least || bytes[at] > most) return false;
    for (int i = 1; i < more; i++) {
      if ((bytes[at + i] & 0xc0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}

/* Reads a varint; false at the end of the bytes. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (int shift = 0; *at < end && shift < 64; shift += 7) {
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool strings_are_text(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length) {
  const uint8_t *at = bytes, *end = bytes + length;
  uint64_t tag, size;
  while (at < end && read_varint(&at, end, &tag)) {
    switch (tag & 7) {
      case 0:
        if (!read_varint(&at, end, &size)) return true;
        size = 0;
        break;
      case 1: size = 8; break;
      case 2:
        if (!read_varint(&at, end, &size)) return true;
        break;
      case 5: size = 4; break;
      default: return true;
    }
    if (size > (size_t)(end - at)) return true;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
    if (field != NULL && (tag & 7) == 2) {
      if (field->type == PROTOBUF_C_TYPE_STRING && !is_text(at, size)) return false;
      if (field->type == PROTOBUF_C_TYPE_MESSAGE && !strings_are_text(field->descriptor, at, size)) {
        return false;
      }
    }
    at += size;
  }
  return true;
}
