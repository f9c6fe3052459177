/* Chunks as a client of a Node handles them. */
#ifndef CHUNKS_H
#define CHUNKS_H

#include "check.h"
#include "holdfast/v1/node.pb-c.h"

struct chunk {
  uint32_t group, index, length, checksum;
  uint64_t upload;
  uint8_t *bytes;
  /* Where the other replicas go. */
  Holdfast__V1__GroupMember **forward;
  size_t forward_count;
  uint64_t epoch;
};

/* A chunk with bytes that follow from its id and length; `bytes` is to be freed. */
struct chunk make_chunk(uint32_t group, uint64_t upload, uint32_t index, uint32_t length);
/* These answer with a call's status code, or a replica's when the call succeeded. */
int put_chunk(struct check *check, const struct chunk *chunk, uint32_t checksum);
int get_and_compare(struct check *check, const struct chunk *chunk, uint32_t offset,
                    uint32_t length);
int delete_chunk(struct check *check, uint32_t group, uint64_t upload, uint32_t index);
void stat_and_compare(struct check *check, const struct chunk *chunk);
/* How many chunks of a group a Node lists. */
int count_chunks(struct check *check, uint32_t group);

#endif
