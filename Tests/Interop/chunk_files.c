#include "chunk_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *chunk_directory;

static void path_of(const Holdfast__V1__ChunkId *id, const char *suffix, char *path, size_t size) {
  snprintf(path, size, "%s/%u-%llu-%u%s", chunk_directory, id->group,
           (unsigned long long)id->upload, id->index, suffix);
}

/* Writes a file beside its place, syncs it, and moves it there. */
static bool write_file(const char *path, const uint8_t *bytes, size_t length) {
  char temporary[4200];
  snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
  FILE *file = fopen(temporary, "wb");
  if (file == NULL) return false;
  bool done = fwrite(bytes, 1, length, file) == length && fflush(file) == 0 &&
              fsync(fileno(file)) == 0;
  done = fclose(file) == 0 && done;
  return done && rename(temporary, path) == 0;
}

static uint8_t *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = must_allocate(*length);
  bool done = fread(bytes, 1, *length, file) == *length;
  fclose(file);
  if (done) return bytes;
  free(bytes);
  return NULL;
}

bool write_chunk(const Holdfast__V1__ChunkHeader *header, uint32_t checksum, const uint8_t *bytes) {
  char path[4096];
  Holdfast__V1__StatChunkResponse stat = HOLDFAST__V1__STAT_CHUNK_RESPONSE__INIT;
  stat.header = (Holdfast__V1__ChunkHeader *)header;
  stat.checksum = checksum;
  size_t length = holdfast__v1__stat_chunk_response__get_packed_size(&stat);
  uint8_t *packed = must_allocate(length);
  holdfast__v1__stat_chunk_response__pack(&stat, packed);
  path_of(header->id, ".bytes", path, sizeof path);
  bool done = write_file(path, bytes, header->length);
  path_of(header->id, ".stat", path, sizeof path);
  done = done && write_file(path, packed, length);
  free(packed);
  return done;
}

Holdfast__V1__StatChunkResponse *read_stat(const Holdfast__V1__ChunkId *id) {
  char path[4096];
  size_t length;
  path_of(id, ".stat", path, sizeof path);
  uint8_t *bytes = read_file(path, &length);
  if (bytes == NULL) return NULL;
  Holdfast__V1__StatChunkResponse *stat =
      holdfast__v1__stat_chunk_response__unpack(NULL, length, bytes);
  free(bytes);
  return stat;
}

uint8_t *read_chunk(const Holdfast__V1__ChunkId *id, uint32_t length) {
  char path[4096];
  size_t found;
  path_of(id, ".bytes", path, sizeof path);
  uint8_t *bytes = read_file(path, &found);
  if (bytes != NULL && found == length) return bytes;
  free(bytes);
  return NULL;
}

/* By group, then upload, then index. */
static int compare_ids(const Holdfast__V1__ChunkId *a, const Holdfast__V1__ChunkId *b) {
  if (a->group != b->group) return a->group < b->group ? -1 : 1;
  if (a->upload != b->upload) return a->upload < b->upload ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_chunks(const void *a, const void *b) {
  Holdfast__V1__StatChunkResponse *const *one = a, *const *other = b;
  return compare_ids((*one)->header->id, (*other)->header->id);
}

Holdfast__V1__StatChunkResponse **list_chunks(const Holdfast__V1__ChunkId *after, size_t *count) {
  Holdfast__V1__StatChunkResponse **chunks = NULL;
  *count = 0;
  DIR *directory = opendir(chunk_directory);
  if (directory == NULL) return NULL;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    Holdfast__V1__ChunkId id = HOLDFAST__V1__CHUNK_ID__INIT;
    unsigned long long upload;
    int end = 0;
    if (sscanf(entry->d_name, "%u-%llu-%u.stat%n", &id.group, &upload, &id.index, &end) != 3 ||
        end == 0 || entry->d_name[end] != 0) {
      continue;
    }
    id.upload = upload;
    if (after != NULL && compare_ids(&id, after) <= 0) continue;
    Holdfast__V1__StatChunkResponse *stat = read_stat(&id);
    if (stat == NULL) continue;
    chunks = must_reallocate(chunks, (*count + 1) * sizeof *chunks);
    chunks[(*count)++] = stat;
  }
  closedir(directory);
  if (*count > 0) qsort(chunks, *count, sizeof *chunks, compare_chunks);
  return chunks;
}

bool remove_chunk(const Holdfast__V1__ChunkId *id) {
  char path[4096];
  path_of(id, ".stat", path, sizeof path);
  bool was_there = unlink(path) == 0;
  path_of(id, ".bytes", path, sizeof path);
  unlink(path);
  return was_there;
}
