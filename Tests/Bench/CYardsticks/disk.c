// Durable writes: whole chunks past the page cache, and small appends.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "yardsticks.h"

enum { WRITE_BYTES = 1 << 20, CHUNK_BYTES = 8 << 20, APPEND_BYTES = 4096, ALIGNMENT = 4096, BLOCK_BYTES = 64 << 10 };

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

// Makes a file of `count` chunks; returns its descriptor for reading, or a negated errno.
static int make_file(char *path, const char *directory, int count, int flags) {
  snprintf(path, PATH_MAX, "%s/yardstick", directory);
  int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
  char *buffer = malloc(CHUNK_BYTES);
  int failure = fd < 0 ? -errno : buffer == NULL ? -ENOMEM : 0;
  if (buffer) memset(buffer, 0x5a, CHUNK_BYTES);
  for (int i = 0; i < count && !failure; i++)
    if (write(fd, buffer, CHUNK_BYTES) != CHUNK_BYTES) failure = -(errno ? errno : EIO);
  if (!failure && fdatasync(fd)) failure = -errno;
  free(buffer);
  if (fd >= 0) close(fd);
  if (failure) return failure;
  fd = open(path, O_RDONLY | flags);
  if (fd < 0 && errno == EINVAL) fd = open(path, O_RDONLY);
  return fd < 0 ? -errno : fd;
}

int yardstick_evict(const char *path) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -errno;
  int code = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  return -code;
}

// Neither `.` nor `..`.
static int is_file_name(const struct dirent *entry) { return entry->d_name[0] != '.'; }

// Reads a file to its end, or up to `most` bytes; returns how many, or a negated errno.
static double read_file(const char *path, double most, unsigned char *buffer, int is_summed) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -errno;
  double bytes = 0;
  ssize_t length = 0;
  volatile unsigned sum = 0;
  while (bytes < most && (length = read(fd, buffer, WRITE_BYTES)) > 0) {
    bytes += length;
    for (ssize_t at = 0; is_summed && at < length; at += BLOCK_BYTES) {
      ssize_t block = length - at < BLOCK_BYTES ? length - at : BLOCK_BYTES;
      sum ^= crc32_iscsi(buffer + at, (int)block, ~0u);
    }
  }
  int failure = length < 0 ? errno : 0;
  close(fd);
  return failure ? -failure : bytes;
}

double yardstick_reads(const char *directory, double most, int rounds, int is_summed) {
  char path[PATH_MAX];
  struct dirent **names;
  int count = scandir(directory, &names, is_file_name, alphasort);
  if (count < 0) return -errno;
  unsigned char *buffer = malloc(WRITE_BYTES);
  double all = 0, failure = buffer ? 0 : -ENOMEM, start = now_seconds();
  for (int round = 0; round < rounds && !failure; round++) {
    double bytes = 0;
    for (int i = 0; i < count && bytes < most && !failure; i++) {
      snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name);
      double more = read_file(path, most - bytes, buffer, is_summed);
      if (more < 0) failure = more;
      bytes += more;
    }
    all += bytes;
  }
  double elapsed = now_seconds() - start;
  for (int i = 0; i < count; i++) free(names[i]);
  free(names);
  free(buffer);
  return failure ? failure : all / elapsed;
}

double yardstick_random_reads(const char *directory, int count, int reads) {
  enum { BYTES = 2 * APPEND_BYTES };
  char path[PATH_MAX];
  int fd = make_file(path, directory, count, O_DIRECT);
  if (fd < 0) return fd;
  void *buffer = NULL;
  if (posix_memalign(&buffer, ALIGNMENT, BYTES)) return -ENOMEM;
  yardstick_evict(path);
  unsigned long long state = 88172645463325252ull, places = (unsigned long long)count * CHUNK_BYTES / BYTES;
  double failure = 0, start = now_seconds();
  for (int i = 0; i < reads && !failure; i++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    if (pread(fd, buffer, BYTES, (off_t)(state % places * BYTES)) != BYTES) failure = -EIO;
  }
  double elapsed = now_seconds() - start;
  close(fd);
  unlink(path);
  free(buffer);
  return failure ? failure : reads / elapsed;
}
