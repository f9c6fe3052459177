/* What the server does for its methods. */
#ifndef SERVICE_H
#define SERVICE_H

#include "call.h"

/* One method. `message` takes each request; `finished` comes after the last one; `forget` frees what
 * the call kept. */
struct method {
  const char *path;
  void (*message)(struct stream *stream, const struct message *message);
  void (*finished)(struct stream *stream);
  void (*forget)(struct stream *stream);
};

/* Where this server listens. */
extern const char *own_address;

/* The method with this path; NULL when there is none. */
const struct method *find_method(const char *path);

/* Answers a call that names a chunk of one of the groups that stand for a misbehaviour (see
 * misbehave.c); false when the group is an ordinary one. */
bool misbehave(struct stream *stream, uint32_t group);

#endif
