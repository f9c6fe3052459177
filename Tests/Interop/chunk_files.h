/* The chunks of the server in C: a file of bytes and one of what is known of them, each. */
#ifndef CHUNK_FILES_H
#define CHUNK_FILES_H

#include "holdfast/v1/node.pb-c.h"
#include "wire.h"

/* Where the chunks are. */
extern const char *chunk_directory;

/* Writes a chunk and syncs it. */
bool write_chunk(const Holdfast__V1__ChunkHeader *header, uint32_t checksum, const uint8_t *bytes);
/* What is known of a chunk, to be freed; NULL when it isn't here. */
Holdfast__V1__StatChunkResponse *read_stat(const Holdfast__V1__ChunkId *id);
/* A chunk's bytes, to be freed; NULL when they can't be read. */
uint8_t *read_chunk(const Holdfast__V1__ChunkId *id, uint32_t length);
/* What is known of every chunk after `after` (NULL: of all), in the order of their ids; each is to be
 * freed, and the array, too. */
Holdfast__V1__StatChunkResponse **list_chunks(const Holdfast__V1__ChunkId *after, size_t *count);
bool remove_chunk(const Holdfast__V1__ChunkId *id);

#endif
