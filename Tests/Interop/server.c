/* The server: a Node in C that a Swift client calls. A process for each connection.
 *
 *   server DIRECTORY [ADDRESS]    keeps chunks in DIRECTORY; prints the address it listens at
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chunk_files.h"
#include "service.h"

/* Sends the response metadata before the first response: what the call came with. */
static void send_head(struct stream *stream) {
  if (stream->has_sent_head || stream->call->n_metadata == 0) return;
  Holdfast__Rpc__HeadMeta head = HOLDFAST__RPC__HEAD_META__INIT;
  head.metadata = stream->call->metadata;
  head.n_metadata = stream->call->n_metadata;
  stream_head(stream, &head);
}

static void forget(struct stream *stream) {
  const struct method *method = find_method(stream->method);
  if (method != NULL && method->forget != NULL) method->forget(stream);
  stream->state = NULL;
  stream_free(stream);
}

/* Does one thing for a call; false when there is nothing to do. */
static bool step(struct stream *stream) {
  if (stream->over != 0) {
    forget(stream);
    return true;
  }
  if (now_ms() >= stream->deadline) {
    stream_end(stream, 4, "the deadline has passed", NULL, 0);
    return true;
  }
  const struct method *method = find_method(stream->method);
  if (method == NULL) {
    stream_end(stream, 12, "there is no such method", NULL, 0);
    return true;
  }
  /* The answer may be as long as the request. One whose client takes nothing waits by itself; the
   * others go on. */
  if (stream->first != NULL && !stream_has_room(stream, stream->first->length)) return false;
  struct message *message = stream_take(stream);
  if (message != NULL) {
    send_head(stream);
    method->message(stream, message);
    free(message);
    return true;
  }
  if (!stream->peer_done || stream->finished) return false;
  stream->finished = true;
  method->finished(stream);
  return true;
}

static void serve(int socket) {
  struct connection connection;
  connection_accept(&connection, socket, NULL);
  while (connection_is_good(&connection)) {
    bool is_busy = false;
    int64_t deadline = now_ms() + 3600 * 1000;
    for (struct stream *stream = connection.streams, *next; stream != NULL; stream = next) {
      if (stream->deadline < deadline) deadline = stream->deadline;
      next = stream->next;
      is_busy = step(stream) || is_busy;
    }
    if (!is_busy) connection_pump(&connection, deadline);
  }
  while (connection.streams != NULL) forget(connection.streams);
  connection_close(&connection);
}

int main(int count, char **arguments) {
  if (count < 2 || count > 3) {
    fprintf(stderr, "usage: server DIRECTORY [ADDRESS]\n");
    return 64;
  }
  chunk_directory = arguments[1];
  char address[128];
  int listener = listen_on(count > 2 ? arguments[2] : "127.0.0.1:0", address, sizeof address);
  if (listener < 0) {
    fprintf(stderr, "can't listen\n");
    return 69;
  }
  own_address = address;
  printf("listening at %s\n", address);
  fflush(stdout);
  signal(SIGCHLD, SIG_IGN);
  for (;;) {
    int socket = accept(listener, NULL, NULL);
    if (socket < 0) continue;
    pid_t child = fork();
    if (child == 0) {
      close(listener);
      serve(socket);
      return 0;
    }
    close(socket);
  }
}
