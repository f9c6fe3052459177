#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

int failed_checks(void) { return failed; }

int64_t soon(void) { return now_ms() + 20000; }

void fail_check(struct check *check, const char *format, ...) {
  if (check->failure[0] != 0) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(check->failure, sizeof check->failure, format, arguments);
  va_end(arguments);
}

void run_check(const char *name, const char *address, check_function *function) {
  struct connection connection;
  struct check check = {.name = name, .address = address, .connection = &connection};
  if (connection_open(&connection, address, NULL)) function(&check);
  if (!connection_is_good(&connection) && connection.peer_error == NULL) {
    size_t used = strlen(check.failure);
    snprintf(check.failure + used, sizeof check.failure - used, "%s%s", used > 0 ? "; " : "",
             connection.error);
  }
  connection_close(&connection);
  report_check(&check);
}

void report_check(const struct check *check) {
  if (check->failure[0] == 0) {
    printf("pass %s\n", check->name);
  } else {
    printf("FAIL %s: %s\n", check->name, check->failure);
    failed++;
  }
  fflush(stdout);
}

int unary(struct connection *connection, const char *method, const ProtobufCMessage *request,
          struct message **response) {
  struct stream *stream = call_begin(connection, method, NULL, request, 0, true);
  int code = call_wait(stream, soon());
  struct message *message = stream_take(stream);
  if (response != NULL) {
    *response = message;
  } else {
    free(message);
  }
  stream_free(stream);
  return code;
}

void *ask(struct connection *connection, const char *method, const ProtobufCMessage *request,
          const ProtobufCMessageDescriptor *type, int *code) {
  struct message *response = NULL;
  *code = unary(connection, method, request, &response);
  void *result = NULL;
  if (*code == 0 && response != NULL) {
    result = protobuf_c_message_unpack(type, NULL, response->length, response->bytes);
  }
  free(response);
  return result;
}

void free_message(void *message) {
  if (message != NULL) protobuf_c_message_free_unpacked(message, NULL);
}
