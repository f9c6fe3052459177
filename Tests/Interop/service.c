/* The Node service in C. */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunk_files.h"
#include "forward.h"
#include "text.h"

enum { BLOCK = 65536, PIECE = 4 * BLOCK, LARGEST_CHUNK = 64 << 20, MAX_FORWARDS = 8 };

enum code {
  INVALID_ARGUMENT = 3,
  NOT_FOUND = 5,
  ALREADY_EXISTS = 6,
  INTERNAL = 13,
  DATA_LOSS = 15,
};

const char *own_address = "";

/* A request; NULL when the bytes are none, or have a string that is no text. */
static void *unpack(const ProtobufCMessageDescriptor *type, const struct message *message) {
  if (!strings_are_text(type, message->bytes, message->length)) return NULL;
  return protobuf_c_message_unpack(type, NULL, message->length, message->bytes);
}

/* A unary method's request, or NULL after the call was ended. */
static void *only_request(struct stream *stream, const struct message *message,
                          const ProtobufCMessageDescriptor *type) {
  if (stream->state != NULL) {
    stream_end(stream, INVALID_ARGUMENT, "more than one request", NULL, 0);
    return NULL;
  }
  stream->state = unpack(type, message);
  if (stream->state == NULL) {
    stream_end(stream, INVALID_ARGUMENT, "the request can't be decoded", NULL, 0);
  }
  return stream->state;
}

static void forget_request(struct stream *stream) {
  if (stream->state != NULL) protobuf_c_message_free_unpacked(stream->state, NULL);
}

/* A unary call's request once all has come; NULL after the call was ended. */
static void *request_of(struct stream *stream) {
  if (stream->state == NULL) stream_end(stream, INVALID_ARGUMENT, "no request", NULL, 0);
  return stream->state;
}

static void echo_message(struct stream *stream, const struct message *message) {
  Holdfast__V1__EchoRequest *request = unpack(&holdfast__v1__echo_request__descriptor, message);
  if (request == NULL) {
    stream_end(stream, INVALID_ARGUMENT, "the request can't be decoded", NULL, 0);
    return;
  }
  Holdfast__V1__EchoResponse response = HOLDFAST__V1__ECHO_RESPONSE__INIT;
  response.payload = request->payload;
  response.data = request->data;
  /* A payload that says so gets its echo in small pieces. */
  bool in_pieces = request->payload.len == 4 && memcmp(request->payload.data, "tiny", 4) == 0;
  size_t piece = stream->connection->piece;
  if (in_pieces) stream->connection->piece = 7;
  stream_send(stream, &response.base, response.data.len, false);
  stream->connection->piece = piece;
  holdfast__v1__echo_request__free_unpacked(request, NULL);
}

/* Ends an Echo with the metadata that it was called with as response and as trailing metadata. */
static void echo_finished(struct stream *stream) {
  if (stream->over != 0) return;
  Holdfast__Rpc__EndMeta end = HOLDFAST__RPC__END_META__INIT;
  end.metadata = stream->call->metadata;
  end.n_metadata = stream->call->n_metadata;
  stream_end_with(stream, &end, NULL, 0);
}

/* A chunk that is coming in. */
struct incoming {
  Holdfast__V1__PutChunkRequest *first;
  uint8_t *bytes;
  uint32_t length, checksum;
  struct forward *forwards;
  size_t forward_count;
};

static struct incoming *begin_chunk(Holdfast__V1__PutChunkRequest *request) {
  struct incoming *chunk = must_allocate(sizeof *chunk);
  chunk->first = request;
  chunk->bytes = must_allocate(request->header->length);
  chunk->forward_count = request->n_forward;
  chunk->forwards = must_allocate(request->n_forward * sizeof *chunk->forwards);
  for (size_t i = 0; i < chunk->forward_count; i++) {
    forward_open(&chunk->forwards[i], request->forward[i]);
  }
  return chunk;
}

static void put_message(struct stream *stream, const struct message *message) {
  Holdfast__V1__PutChunkRequest *request =
      unpack(&holdfast__v1__put_chunk_request__descriptor, message);
  struct incoming *chunk = stream->state;
  bool is_first = chunk == NULL;
  if (request == NULL ||
      (is_first && (request->header == NULL || request->header->id == NULL ||
                    request->header->length > LARGEST_CHUNK || request->n_forward > MAX_FORWARDS))) {
    stream_end(stream, INVALID_ARGUMENT, "the request has no chunk", NULL, 0);
    if (request != NULL) holdfast__v1__put_chunk_request__free_unpacked(request, NULL);
    return;
  }
  if (is_first) chunk = stream->state = begin_chunk(request);
  for (size_t i = 0; i < chunk->forward_count; i++) forward_send(&chunk->forwards[i], request);
  if (request->data.len > chunk->first->header->length - chunk->length) {
    stream_end(stream, INVALID_ARGUMENT, "more bytes than the header says", NULL, 0);
  } else if (request->data.len > 0) {
    memcpy(chunk->bytes + chunk->length, request->data.data, request->data.len);
    chunk->length += (uint32_t)request->data.len;
    chunk->checksum = request->checksum;
  }
  if (!is_first) holdfast__v1__put_chunk_request__free_unpacked(request, NULL);
}

/* Stores a chunk that came in; 0 or the status code of what is wrong. */
static enum code store(const struct incoming *chunk, const char **why) {
  const Holdfast__V1__ChunkHeader *header = chunk->first->header;
  uint32_t checksum = crc32c(0, chunk->bytes, chunk->length);
  if (chunk->length != header->length || checksum != chunk->checksum) {
    *why = "the bytes are not what the header and the checksum say";
    return DATA_LOSS;
  }
  Holdfast__V1__StatChunkResponse *stat = read_stat(header->id);
  if (stat != NULL) {
    bool is_same = stat->checksum == checksum && stat->header->length == chunk->length;
    holdfast__v1__stat_chunk_response__free_unpacked(stat, NULL);
    *why = "another content is stored under this id";
    return is_same ? 0 : ALREADY_EXISTS;
  }
  *why = "it can't be written";
  return write_chunk(header, checksum, chunk->bytes) ? 0 : INTERNAL;
}

static void put_finished(struct stream *stream) {
  struct incoming *chunk = stream->state;
  if (stream->over != 0) return;
  if (chunk == NULL) {
    stream_end(stream, INVALID_ARGUMENT, "no request", NULL, 0);
    return;
  }
  if (misbehave(stream, chunk->first->header->id->group)) return;
  for (size_t i = 0; i < chunk->forward_count; i++) forward_finish(&chunk->forwards[i]);
  const char *why = "";
  enum code code = store(chunk, &why);
  if (code != 0) {
    stream_end(stream, code, why, NULL, 0);
    return;
  }
  /* This node, and each of those that it passed the chunk on to. */
  Holdfast__V1__ReplicaResult results[1 + MAX_FORWARDS], *pointers[1 + MAX_FORWARDS];
  Holdfast__V1__PutChunkResponse response = HOLDFAST__V1__PUT_CHUNK_RESPONSE__INIT;
  response.replicas = pointers;
  response.n_replicas = 1 + chunk->forward_count;
  for (size_t i = 0; i < response.n_replicas; i++) {
    holdfast__v1__replica_result__init(&results[i]);
    pointers[i] = &results[i];
  }
  results[0].node = C_NODE;
  for (size_t i = 0; i < chunk->forward_count; i++) {
    struct forward *forward = &chunk->forwards[i];
    forward_wait(forward);
    results[1 + i].node = forward->node;
    results[1 + i].code = forward->code;
    results[1 + i].message = forward->message;
  }
  stream_end(stream, 0, NULL, &response.base, 0);
}

static void put_forget(struct stream *stream) {
  struct incoming *chunk = stream->state;
  if (chunk == NULL) return;
  holdfast__v1__put_chunk_request__free_unpacked(chunk->first, NULL);
  for (size_t i = 0; i < chunk->forward_count; i++) forward_close(&chunk->forwards[i]);
  free(chunk->forwards);
  free(chunk->bytes);
  free(chunk);
}

static void get_message(struct stream *stream, const struct message *message) {
  only_request(stream, message, &holdfast__v1__get_chunk_request__descriptor);
}

/* Sends a chunk's bytes from the block of `offset` to `end`. */
static void send_blocks(struct stream *stream, const uint8_t *bytes, uint32_t offset, uint32_t end,
                        uint32_t length) {
  /* Whole blocks, except at the chunk's end. */
  if (end < length) end = (end + BLOCK - 1) / BLOCK * BLOCK;
  if (end > length) end = length;
  for (uint32_t at = offset / BLOCK * BLOCK; at < end && stream->over == 0; at += PIECE) {
    Holdfast__V1__GetChunkResponse piece = HOLDFAST__V1__GET_CHUNK_RESPONSE__INIT;
    uint32_t size = end - at < PIECE ? end - at : PIECE, sums[PIECE / BLOCK];
    piece.offset = at;
    piece.data = (ProtobufCBinaryData){size, (uint8_t *)bytes + at};
    piece.block_checksums = sums;
    for (uint32_t i = 0; i < size; i += BLOCK) {
      sums[piece.n_block_checksums++] = crc32c(0, bytes + at + i, size - i < BLOCK ? size - i : BLOCK);
    }
    stream_send(stream, &piece.base, size, false);
  }
}

static void get_finished(struct stream *stream) {
  Holdfast__V1__GetChunkRequest *request = stream->over == 0 ? request_of(stream) : NULL;
  if (request == NULL) return;
  if (request->id != NULL && misbehave(stream, request->id->group)) return;
  Holdfast__V1__StatChunkResponse *stat = request->id != NULL ? read_stat(request->id) : NULL;
  if (stat == NULL) {
    stream_end(stream, NOT_FOUND, "the chunk isn't here", NULL, 0);
    return;
  }
  uint32_t length = stat->header->length;
  uint32_t end = request->length == 0 || request->length > length - request->offset
                     ? length
                     : request->offset + request->length;
  uint8_t *bytes = read_chunk(request->id, length);
  if (bytes == NULL) {
    stream_end(stream, DATA_LOSS, "the chunk can't be read", NULL, 0);
  } else {
    send_blocks(stream, bytes, request->offset, end, length);
    stream_end(stream, 0, NULL, NULL, 0);
  }
  free(bytes);
  holdfast__v1__stat_chunk_response__free_unpacked(stat, NULL);
}

static void stat_message(struct stream *stream, const struct message *message) {
  only_request(stream, message, &holdfast__v1__stat_chunk_request__descriptor);
}

static void stat_finished(struct stream *stream) {
  Holdfast__V1__StatChunkRequest *request = stream->over == 0 ? request_of(stream) : NULL;
  if (request == NULL) return;
  if (request->id != NULL && misbehave(stream, request->id->group)) return;
  Holdfast__V1__StatChunkResponse *stat = request->id != NULL ? read_stat(request->id) : NULL;
  if (stat == NULL) {
    stream_end(stream, NOT_FOUND, "the chunk isn't here", NULL, 0);
    return;
  }
  stream_end(stream, 0, NULL, &stat->base, 0);
  holdfast__v1__stat_chunk_response__free_unpacked(stat, NULL);
}

static void delete_message(struct stream *stream, const struct message *message) {
  only_request(stream, message, &holdfast__v1__delete_chunk_request__descriptor);
}

static void delete_finished(struct stream *stream) {
  Holdfast__V1__DeleteChunkRequest *request = stream->over == 0 ? request_of(stream) : NULL;
  if (request == NULL) return;
  Holdfast__V1__DeleteChunkResponse response = HOLDFAST__V1__DELETE_CHUNK_RESPONSE__INIT;
  if (request->id != NULL && remove_chunk(request->id)) {
    stream_end(stream, 0, NULL, &response.base, 0);
  } else {
    stream_end(stream, NOT_FOUND, "the chunk isn't here", NULL, 0);
  }
}

static void list_message(struct stream *stream, const struct message *message) {
  only_request(stream, message, &holdfast__v1__list_chunks_request__descriptor);
}

static void list_finished(struct stream *stream) {
  enum { CHUNKS_A_MESSAGE = 500 };
  Holdfast__V1__ListChunksRequest *request = stream->over == 0 ? request_of(stream) : NULL;
  if (request == NULL) return;
  size_t count;
  Holdfast__V1__StatChunkResponse **chunks = list_chunks(request->after, &count);
  for (size_t at = 0; at < count && stream->over == 0; at += CHUNKS_A_MESSAGE) {
    Holdfast__V1__ListChunksResponse page = HOLDFAST__V1__LIST_CHUNKS_RESPONSE__INIT;
    page.chunks = chunks + at;
    page.n_chunks = count - at < CHUNKS_A_MESSAGE ? count - at : CHUNKS_A_MESSAGE;
    stream_send(stream, &page.base, 0, false);
  }
  for (size_t i = 0; i < count; i++) {
    holdfast__v1__stat_chunk_response__free_unpacked(chunks[i], NULL);
  }
  free(chunks);
  stream_end(stream, 0, NULL, NULL, 0);
}

static void status_message(struct stream *stream, const struct message *message) {
  only_request(stream, message, &holdfast__v1__get_node_status_request__descriptor);
}

static void status_finished(struct stream *stream) {
  if (stream->over != 0 || request_of(stream) == NULL) return;
  Holdfast__V1__NodeDescription node = HOLDFAST__V1__NODE_DESCRIPTION__INIT;
  node.id = C_NODE;
  node.address = (char *)own_address;
  Holdfast__V1__GetNodeStatusResponse response = HOLDFAST__V1__GET_NODE_STATUS_RESPONSE__INIT;
  response.node = &node;
  response.cluster = "a node in C by itself";
  stream_end(stream, 0, NULL, &response.base, 0);
}

static const struct method methods[] = {
    {"/holdfast.v1.Node/Echo", echo_message, echo_finished, NULL},
    {"/holdfast.v1.Node/PutChunk", put_message, put_finished, put_forget},
    {"/holdfast.v1.Node/GetChunk", get_message, get_finished, forget_request},
    {"/holdfast.v1.Node/StatChunk", stat_message, stat_finished, forget_request},
    {"/holdfast.v1.Node/DeleteChunk", delete_message, delete_finished, forget_request},
    {"/holdfast.v1.Node/ListChunks", list_message, list_finished, forget_request},
    {"/holdfast.v1.Node/GetNodeStatus", status_message, status_finished, forget_request},
};

const struct method *find_method(const char *path) {
  for (size_t i = 0; path != NULL && i < sizeof methods / sizeof *methods; i++) {
    if (strcmp(methods[i].path, path) == 0) return &methods[i];
  }
  return NULL;
}
