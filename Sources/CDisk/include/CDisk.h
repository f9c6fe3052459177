#ifndef HOLDFAST_CDISK_H
#define HOLDFAST_CDISK_H

/* Calls of Linux that Swift's view of the C library lacks, because it shows them to GNU sources alone. */

#include <sys/types.h>

/* Gives the room of a range of a file back; the file keeps its length and reads as zeros there.
   Returns 0, or -1 with `errno` set; ENOSYS where the system has no such call. */
int disk_punch_hole(int descriptor, off_t offset, off_t length);

#endif
