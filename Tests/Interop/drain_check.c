/* Against a server that is told to stop while a call is open. */
#include <signal.h>
#include <stdlib.h>

#include "chunks.h"

#define ECHO "/holdfast.v1.Node/Echo"

static pid_t process;

static void drain(struct check *check) {
  struct connection *connection = check->connection;
  struct stream *stream = call_begin(connection, ECHO, NULL, NULL, 0, false);
  Holdfast__V1__EchoRequest request = HOLDFAST__V1__ECHO_REQUEST__INIT;
  EXPECT(stream_send(stream, &request.base, 0, false), "the call can't begin");
  struct message *echo = stream_receive(stream, soon());
  EXPECT(echo != NULL, "the call doesn't run");
  free(echo);
  EXPECT(kill(process, SIGTERM) == 0, "there is no such process");
  /* Two GOAWAYs come: the first one refuses nothing yet. */
  while ((!connection->is_draining || connection->last_accepted == UINT32_MAX) &&
         connection_pump(connection, soon())) {
  }
  EXPECT(connection->is_draining, "no GOAWAY came: %s", connection->error);
  EXPECT(connection->last_accepted == stream->id, "GOAWAY names stream %u, not %u",
         connection->last_accepted, stream->id);
  struct stream *late = call_begin(connection, ECHO, NULL, NULL, 0, true);
  call_wait(late, soon());
  EXPECT(late->over == FRAME_REFUSE, "a call after GOAWAY was not refused: %s", connection->error);
  EXPECT(stream_send(stream, &request.base, 0, true), "the open call was cut off");
  echo = stream_receive(stream, soon());
  EXPECT(echo != NULL, "the open call doesn't go on");
  free(echo);
  EXPECT(call_wait(stream, soon()) == 0, "the open call doesn't end well");
  while (connection_pump(connection, soon())) {
  }
  char byte;
  EXPECT(read_all(connection->socket, &byte, 1, soon()) == READ_CLOSED, "it isn't closed");
  connection->error[0] = 0;
}

void drain_check(const char *address, const char *server) {
  process = (pid_t)atoi(server);
  run_check("drain: open calls finish, new ones are refused", address, drain);
}
