/* Strings of messages: libprotobuf-c takes any bytes for one, and ends it at the first NUL. */
#ifndef TEXT_H
#define TEXT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Whether every string in a message's bytes, and in the messages within it, is UTF-8 without NUL. Bytes
 * that are no message are left to whoever unpacks them. */
bool strings_are_text(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length);

#endif
