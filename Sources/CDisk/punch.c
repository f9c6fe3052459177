#define _GNU_SOURCE
#include "CDisk.h"

#include <errno.h>
#include <fcntl.h>

int disk_punch_hole(int descriptor, off_t offset, off_t length) {
#ifdef FALLOC_FL_PUNCH_HOLE
  return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
#else
  (void)descriptor, (void)offset, (void)length;
  errno = ENOSYS;
  return -1;
#endif
}
