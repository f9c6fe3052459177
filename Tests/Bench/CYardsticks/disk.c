// Durable writes: whole chunks past the page cache, and small appends.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "yardsticks.h"

enum { WRITE_BYTES = 1 << 20, CHUNK_BYTES = 8 << 20, APPEND_BYTES = 4096, ALIGNMENT = 4096 };

#ifndef O_DIRECT
#define O_DIRECT 0
#endif

// Writes `count` times `length` bytes, `piece` bytes a write, with a sync after each; returns seconds.
static double write_all(const char *directory, int flags, int count, size_t length, size_t piece) {
  char path[PATH_MAX];
  void *buffer = NULL;
  double failure = 0;
  snprintf(path, sizeof path, "%s/yardstick", directory);
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | flags, 0600);
  if (fd < 0) return -errno;
  if (posix_memalign(&buffer, ALIGNMENT, piece)) failure = -ENOMEM;
  if (buffer) memset(buffer, 0x5a, piece);
  double start = now_seconds();
  for (int i = 0; i < count && !failure; i++) {
    for (size_t done = 0; done < length && !failure; done += piece)
      if (write(fd, buffer, piece) != (ssize_t)piece) failure = -(errno ? errno : EIO);
    if (!failure && fdatasync(fd)) failure = -errno;
  }
  double elapsed = now_seconds() - start;
  close(fd);
  unlink(path);
  free(buffer);
  return failure ? failure : elapsed;
}

double yardstick_chunks(const char *directory, int count) {
  double elapsed = write_all(directory, O_DIRECT, count, CHUNK_BYTES, WRITE_BYTES);
  if (elapsed == -EINVAL) elapsed = write_all(directory, 0, count, CHUNK_BYTES, WRITE_BYTES);
  return elapsed < 0 ? elapsed : (double)count * CHUNK_BYTES / elapsed;
}

double yardstick_appends(const char *directory, int count) {
  double elapsed = write_all(directory, O_APPEND, count, APPEND_BYTES, APPEND_BYTES);
  return elapsed < 0 ? elapsed : count / elapsed;
}
