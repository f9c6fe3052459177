#include "forward.h"

#include <stdio.h>
#include <stdlib.h>

enum { UNAVAILABLE = 14 };

static void fail(struct forward *forward, uint32_t code, const char *message) {
  if (forward->code != 0) return;
  forward->code = code;
  snprintf(forward->message, sizeof forward->message, "%s", message);
}

void forward_open(struct forward *forward, const Holdfast__V1__GroupMember *member) {
  forward->node = member->node;
  if (!connection_open(&forward->connection, member->address, NULL)) {
    fail(forward, UNAVAILABLE, forward->connection.error);
    return;
  }
  forward->stream =
      call_begin(&forward->connection, "/holdfast.v1.Node/PutChunk", NULL, NULL, 0, false);
}

void forward_send(struct forward *forward, const Holdfast__V1__PutChunkRequest *request) {
  if (forward->code != 0) return;
  Holdfast__V1__PutChunkRequest copy = *request;
  copy.forward = NULL;
  copy.n_forward = 0;
  /* A call that is over says why when it is waited for. */
  stream_send(forward->stream, &copy.base, copy.data.len, false);
}

void forward_finish(struct forward *forward) {
  if (forward->code == 0) stream_finish(forward->stream);
}

void forward_wait(struct forward *forward) {
  if (forward->code != 0) return;
  int code = call_wait(forward->stream, now_ms() + 30000);
  struct message *message = stream_take(forward->stream);
  Holdfast__V1__PutChunkResponse *response = NULL;
  if (code < 0) {
    fail(forward, UNAVAILABLE, forward->connection.error);
  } else if (code > 0) {
    fail(forward, (uint32_t)code, forward->stream->end->message);
  } else if (message != NULL) {
    response = holdfast__v1__put_chunk_response__unpack(NULL, message->length, message->bytes);
  }
  if (response != NULL && response->n_replicas == 1 && response->replicas[0]->code != 0) {
    fail(forward, response->replicas[0]->code, response->replicas[0]->message);
  }
  if (code == 0 && (response == NULL || response->n_replicas != 1)) {
    fail(forward, UNAVAILABLE, "the node answered without a result");
  }
  if (response != NULL) holdfast__v1__put_chunk_response__free_unpacked(response, NULL);
  free(message);
}

void forward_close(struct forward *forward) {
  if (forward->stream != NULL) connection_close(&forward->connection);
}
