#define _GNU_SOURCE
#include "CDisk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

int disk_set_aside(int descriptor, off_t offset, off_t length) {
#ifdef __linux__
  return fallocate(descriptor, 0, offset, length);
#else
  (void)descriptor, (void)offset, (void)length;
  errno = ENOSYS;
  return -1;
#endif
}

int disk_punch_hole(int descriptor, off_t offset, off_t length) {
#ifdef FALLOC_FL_PUNCH_HOLE
  return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
#else
  (void)descriptor, (void)offset, (void)length;
  errno = ENOSYS;
  return -1;
#endif
}

ssize_t disk_read_cached(int descriptor, void *target, size_t length, off_t offset) {
#ifdef RWF_NOWAIT
  struct iovec piece = {target, length};
  return preadv2(descriptor, &piece, 1, offset, RWF_NOWAIT);
#else
  (void)descriptor, (void)target, (void)length, (void)offset;
  errno = ENOSYS;
  return -1;
#endif
}

void disk_give_free_memory_back(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
