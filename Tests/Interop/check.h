/* Cases: each has a connection of its own and says `pass NAME` or `FAIL NAME: why`. */
#ifndef CHECK_H
#define CHECK_H

#include "call.h"

/* What a case is given. `connection` is open, with default settings. */
struct check {
  const char *name;
  const char *address;
  struct connection *connection;
  char failure[512];
};

typedef void check_function(struct check *check);

/* Runs a case on a connection of its own. */
void run_check(const char *name, const char *address, check_function *function);
/* Says how a case went. */
void report_check(const struct check *check);
/* How many failed so far. */
int failed_checks(void);
/* Notes why a case failed, the first time. */
void fail_check(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Leaves the case with a reason unless `condition` holds. */
#define EXPECT(condition, ...)                       \
  do {                                               \
    if (!(condition)) {                              \
      fail_check(check, __VA_ARGS__);                \
      return;                                        \
    }                                                \
  } while (0)

/* How long a case waits for anything. */
int64_t soon(void);

/* A unary call: its status code, -1 when it didn't end; the response, to be freed, when there is one. */
int unary(struct connection *connection, const char *method, const ProtobufCMessage *request,
          struct message **response);
/* The same, unpacked as `type`; NULL unless it succeeded. To be freed with free_message. */
void *ask(struct connection *connection, const char *method, const ProtobufCMessage *request,
          const ProtobufCMessageDescriptor *type, int *code);
void free_message(void *message);

/* The suites. */
void node_checks(const char *address);
void error_checks(const char *address);
void wire_checks(const char *address, const char *method);
void vector_checks(const char *address, const char *path);
void directory_checks(const char *address);
void register_check(const char *directory, const char *node);
void drain_check(const char *address, const char *process);
/* Registers `node` and heartbeats for it until it is killed. */
int stand_for_node(const char *directory, const char *node);

#endif
