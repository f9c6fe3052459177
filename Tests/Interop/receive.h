/* What call.c and receive.c share: the two halves of a connection. */
#ifndef RECEIVE_H
#define RECEIVE_H

#include "call.h"

/* What every frame with a piece of a message costs beside its bytes. */
enum { FRAME_COST = 64 };

/* Notes why the connection is of no more use, the first time. */
void connection_fail(struct connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Tells the peer why: an ERROR. */
void connection_report(struct connection *connection);
struct stream *stream_new(struct connection *connection, uint32_t id);

#endif
