#include <protobuf-c/protobuf-c.h>

/* What every string field of proto3 points to until it is set: Swift can't name an array of unknown size. */
static inline const char *protobuf_c_empty(void) { return protobuf_c_empty_string; }
