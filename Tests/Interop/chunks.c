#include "chunks.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 65536, PIECE = 512 * 1024 };

struct chunk make_chunk(uint32_t group, uint64_t upload, uint32_t index, uint32_t length) {
  struct chunk chunk = {
      .group = group, .upload = upload, .index = index, .length = length, .epoch = 1};
  chunk.bytes = must_allocate(length);
  fill(chunk.bytes, length, group ^ (uint32_t)upload ^ index << 16 ^ length);
  chunk.checksum = crc32c(0, chunk.bytes, length);
  return chunk;
}

static Holdfast__V1__ChunkId chunk_id(const struct chunk *chunk) {
  Holdfast__V1__ChunkId id = HOLDFAST__V1__CHUNK_ID__INIT;
  id.group = chunk->group;
  id.upload = chunk->upload;
  id.index = chunk->index;
  return id;
}

int put_chunk(struct check *check, const struct chunk *chunk, uint32_t checksum) {
  Holdfast__V1__ChunkId id = chunk_id(chunk);
  Holdfast__V1__Name name = HOLDFAST__V1__NAME__INIT;
  name.bucket = "interop";
  name.key = "a/chunk's näme";
  Holdfast__V1__ChunkHeader header = HOLDFAST__V1__CHUNK_HEADER__INIT;
  header.id = &id;
  header.epoch = chunk->epoch;
  header.length = chunk->length;
  header.name = &name;
  struct stream *stream =
      call_begin(check->connection, "/holdfast.v1.Node/PutChunk", NULL, NULL, 0, false);
  for (uint32_t at = 0; at < chunk->length && stream->over == 0; at += PIECE) {
    Holdfast__V1__PutChunkRequest request = HOLDFAST__V1__PUT_CHUNK_REQUEST__INIT;
    uint32_t rest = chunk->length - at;
    bool is_last = rest <= PIECE;
    request.data = (ProtobufCBinaryData){is_last ? rest : PIECE, chunk->bytes + at};
    if (at == 0) {
      request.header = &header;
      request.forward = chunk->forward;
      request.n_forward = chunk->forward_count;
    }
    if (is_last) request.checksum = checksum;
    stream_send(stream, &request.base, request.data.len, is_last);
  }
  int code = call_wait(stream, soon());
  struct message *message = stream_take(stream);
  Holdfast__V1__PutChunkResponse *response = NULL;
  if (code == 0 && message != NULL) {
    response = holdfast__v1__put_chunk_response__unpack(NULL, message->length, message->bytes);
  }
  if (code == 0 && (response == NULL || response->n_replicas != 1 + chunk->forward_count)) {
    fail_check(check, "a put's response lacks a replica's result");
  }
  for (size_t i = 0; response != NULL && i < response->n_replicas && code == 0; i++) {
    code = (int)response->replicas[i]->code;
    if (code != 0) fail_check(check, "a replica failed: %s", response->replicas[i]->message);
  }
  free_message(response);
  free(message);
  stream_free(stream);
  return code;
}

/* Compares one piece and its blocks' checksums; where the next one should begin. */
static uint32_t compare_piece(struct check *check, const struct chunk *chunk, uint32_t at,
                              const Holdfast__V1__GetChunkResponse *piece) {
  uint32_t length = (uint32_t)piece->data.len;
  if (piece->offset != at || at % BLOCK != 0 || length > chunk->length - at ||
      (length % BLOCK != 0 && at + length != chunk->length) || length == 0) {
    fail_check(check, "a piece of %u bytes at %u came where %u was next", length, piece->offset, at);
    return chunk->length;
  }
  if (memcmp(piece->data.data, chunk->bytes + at, length) != 0) {
    fail_check(check, "the bytes at %u differ", at);
  }
  size_t blocks = (length + BLOCK - 1) / BLOCK;
  if (piece->n_block_checksums != blocks) {
    fail_check(check, "%zu checksums for %zu blocks", piece->n_block_checksums, blocks);
  }
  for (size_t i = 0; i < blocks && i < piece->n_block_checksums; i++) {
    size_t size = length - i * BLOCK < BLOCK ? length - i * BLOCK : BLOCK;
    if (piece->block_checksums[i] != crc32c(0, piece->data.data + i * BLOCK, size)) {
      fail_check(check, "block %zu of the piece at %u has another checksum", i, at);
    }
  }
  return at + length;
}

int get_and_compare(struct check *check, const struct chunk *chunk, uint32_t offset,
                    uint32_t length) {
  Holdfast__V1__ChunkId id = chunk_id(chunk);
  Holdfast__V1__GetChunkRequest request = HOLDFAST__V1__GET_CHUNK_REQUEST__INIT;
  request.id = &id;
  request.offset = offset;
  request.length = length;
  struct stream *stream =
      call_begin(check->connection, "/holdfast.v1.Node/GetChunk", NULL, &request.base, 0, true);
  uint32_t at = offset / BLOCK * BLOCK;
  for (struct message *message; (message = stream_receive(stream, soon())) != NULL;) {
    Holdfast__V1__GetChunkResponse *piece =
        holdfast__v1__get_chunk_response__unpack(NULL, message->length, message->bytes);
    free(message);
    if (piece == NULL) {
      fail_check(check, "a piece can't be unpacked");
      break;
    }
    at = compare_piece(check, chunk, at, piece);
    free_message(piece);
  }
  int code = call_wait(stream, soon());
  uint32_t end = length == 0 ? chunk->length : offset + length;
  if (code == 0 && at < end) fail_check(check, "the bytes end at %u, not %u", at, end);
  stream_free(stream);
  return code;
}

void stat_and_compare(struct check *check, const struct chunk *chunk) {
  Holdfast__V1__ChunkId id = chunk_id(chunk);
  Holdfast__V1__StatChunkRequest request = HOLDFAST__V1__STAT_CHUNK_REQUEST__INIT;
  request.id = &id;
  int code;
  Holdfast__V1__StatChunkResponse *stat =
      ask(check->connection, "/holdfast.v1.Node/StatChunk", &request.base,
          &holdfast__v1__stat_chunk_response__descriptor, &code);
  EXPECT(stat != NULL, "stat ended with %d", code);
  bool is_same = stat->checksum == chunk->checksum && stat->header != NULL &&
                 stat->header->length == chunk->length && stat->header->id != NULL &&
                 stat->header->id->upload == chunk->upload && stat->header->name != NULL &&
                 strcmp(stat->header->name->key, "a/chunk's näme") == 0;
  free_message(stat);
  EXPECT(is_same, "stat says something else than was stored");
}

int delete_chunk(struct check *check, uint32_t group, uint64_t upload, uint32_t index) {
  Holdfast__V1__ChunkId id = HOLDFAST__V1__CHUNK_ID__INIT;
  id.group = group;
  id.upload = upload;
  id.index = index;
  Holdfast__V1__DeleteChunkRequest request = HOLDFAST__V1__DELETE_CHUNK_REQUEST__INIT;
  request.id = &id;
  return unary(check->connection, "/holdfast.v1.Node/DeleteChunk", &request.base, NULL);
}

int count_chunks(struct check *check, uint32_t group) {
  Holdfast__V1__ListChunksRequest request = HOLDFAST__V1__LIST_CHUNKS_REQUEST__INIT;
  struct stream *stream =
      call_begin(check->connection, "/holdfast.v1.Node/ListChunks", NULL, &request.base, 0, true);
  int count = 0;
  for (struct message *message; (message = stream_receive(stream, soon())) != NULL;) {
    Holdfast__V1__ListChunksResponse *page =
        holdfast__v1__list_chunks_response__unpack(NULL, message->length, message->bytes);
    free(message);
    if (page == NULL) break;
    for (size_t i = 0; i < page->n_chunks; i++) {
      const Holdfast__V1__ChunkHeader *header = page->chunks[i]->header;
      if (header != NULL && header->id != NULL && header->id->group == group) count++;
    }
    free_message(page);
  }
  if (call_wait(stream, soon()) != 0) count = -1;
  stream_free(stream);
  return count;
}
