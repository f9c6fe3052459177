#ifndef HOLDFAST_CDISK_H
#define HOLDFAST_CDISK_H

/* Calls of Linux that Swift's view of the C library lacks, because it shows them to GNU sources alone. */

#include <sys/types.h>

/* Makes a file at least as long as a range ends, with room on the disk for all of the range. Returns 0, or -1 with
   `errno` set: EOPNOTSUPP where the file system can't, ENOSYS where the system has no such call. Unlike
   `posix_fallocate` it never writes into the file instead, which would race with those who do. */
int disk_set_aside(int descriptor, off_t offset, off_t length);

/* Gives the room of a range of a file back; the file keeps its length and reads as zeros there.
   Returns 0, or -1 with `errno` set; ENOSYS where the system has no such call. */
int disk_punch_hole(int descriptor, off_t offset, off_t length);

/* Reads what the system has in memory of a file, as `pread` does, but never waits for the disk: returns -1
   with EAGAIN where it would have to, and ENOSYS or EOPNOTSUPP where that can't be told. */
ssize_t disk_read_cached(int descriptor, void *target, size_t length, off_t offset);

/* Gives the system the memory that was freed and kept for the next who wants some; does nothing where the C
   library has no such call. */
void disk_give_free_memory_back(void);

#endif
