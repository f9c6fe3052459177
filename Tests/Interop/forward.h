/* A chunk passed on, piece by piece, to another member of its group. */
#ifndef FORWARD_H
#define FORWARD_H

#include "call.h"
#include "holdfast/v1/node.pb-c.h"

struct forward {
  struct connection connection;
  struct stream *stream;
  uint64_t node;
  /* How it ended: 0, or a status code with words for people. */
  uint32_t code;
  char message[256];
};

void forward_open(struct forward *forward, const Holdfast__V1__GroupMember *member);
/* Passes a request on without the members it should go to. */
void forward_send(struct forward *forward, const Holdfast__V1__PutChunkRequest *request);
/* Says that there are no more pieces. */
void forward_finish(struct forward *forward);
/* Waits for the other node's answer: afterwards `code` and `message` are set. */
void forward_wait(struct forward *forward);
void forward_close(struct forward *forward);

#endif
