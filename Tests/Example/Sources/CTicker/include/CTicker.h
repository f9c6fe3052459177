/* Generated. Every header of this module; adapters use deprecated fields without a warning. */
#ifndef PROTOBUF_C__NO_DEPRECATED
#define PROTOBUF_C__NO_DEPRECATED
#endif
#include "ticker.pb-c.h"
