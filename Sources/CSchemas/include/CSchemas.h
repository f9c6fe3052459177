/* Generated. Every header of this module; adapters use deprecated fields without a warning. */
#ifndef PROTOBUF_C__NO_DEPRECATED
#define PROTOBUF_C__NO_DEPRECATED
#endif
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "holdfast/rpc/debug.pb-c.h"
#include "holdfast/rpc/frame.pb-c.h"
#include "holdfast/rpc/options.pb-c.h"
#include "holdfast/v1/directory.pb-c.h"
#include "holdfast/v1/node.pb-c.h"
#include "holdfast/v1/types.pb-c.h"
