/* Every header that protoc-c makes of Protos/, as one Swift module. Fields that a schema calls
 * deprecated are used by their adapters, so the compiler is not to warn of them. */
#ifndef PROTOBUF_C__NO_DEPRECATED
#define PROTOBUF_C__NO_DEPRECATED
#endif
#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "holdfast/rpc/frame.pb-c.h"
#include "holdfast/rpc/options.pb-c.h"
#include "holdfast/v1/types.pb-c.h"
#include "holdfast/v1/directory.pb-c.h"
#include "holdfast/v1/node.pb-c.h"
