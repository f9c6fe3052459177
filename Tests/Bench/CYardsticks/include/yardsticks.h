// What the machine gives to a C program of a few lines: the measures that our own figures are held
// against. Every function returns a rate, or a negated errno when it failed.
#ifndef HOLDFAST_YARDSTICKS_H
#define HOLDFAST_YARDSTICKS_H

#include <stddef.h>
#include <stdint.h>

// Round trips a second of 64 bytes over `connections` loopback connections, one in flight on each:
// two threads with an epoll each, for `seconds`.
double yardstick_pingpong(int connections, double seconds);

// Bytes a second over one loopback connection, `piece` bytes a write and a read, for `seconds`.
double yardstick_copy(size_t piece, double seconds);

// Bytes a second into a new file in `directory`: `count` chunks of 8 MiB, 1 MiB a write with O_DIRECT,
// one fdatasync each. The file is removed.
double yardstick_chunks(const char *directory, int count);

// Appends a second to a new file in `directory`: `count` times 4 KiB, one fdatasync each. The file is
// removed.
double yardstick_appends(const char *directory, int count);

// Bytes a second out of the files of `directory`, one after the other, 1 MiB a read, the first `most` bytes of them
// all, `rounds` times; each 64 KiB may be summed by ISA-L's CRC-32C.
double yardstick_reads(const char *directory, double most, int rounds, int is_summed);

// Reads a second of 8 KiB at random places of a file of `count` times 8 MiB in `directory`, past the page cache, one
// after the other. The file is removed.
double yardstick_random_reads(const char *directory, int count, int reads);

// Has the system forget what it has in memory of a file. 0 or a negated errno.
int yardstick_evict(const char *path);

// Bare protobuf-c on the bench's message, given encoded: packs a second into one buffer...
double yardstick_pack(const uint8_t *message, size_t length, int count);
// ...and unpacks a second into an arena.
double yardstick_unpack(const uint8_t *message, size_t length, int count);

// Bytes of memory that this process has, after what it freed was given back to the system.
double yardstick_resident_bytes(void);

// CPU seconds that this process has used.
double yardstick_cpu_seconds(void);

#endif
