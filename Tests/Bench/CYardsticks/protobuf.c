// Bare protobuf-c, as a C program would use it in its hot path: an arena, one buffer.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <malloc.h>
#endif

#include "bench/bench.pb-c.h"
#include "yardsticks.h"

struct arena {
  size_t used;
  _Alignas(16) char bytes[16384];
};

static void *take(void *data, size_t size) {
  struct arena *arena = data;
  size_t rounded = (size + 15) & ~(size_t)15;
  if (rounded > sizeof arena->bytes - arena->used) return NULL;
  void *start = arena->bytes + arena->used;
  arena->used += rounded;
  return start;
}

static void give_back(void *data, void *pointer) {
  (void)data;
  (void)pointer;
}

double yardstick_pack(const uint8_t *message, size_t length, int count) {
  struct arena arena = {0};
  ProtobufCAllocator allocator = {take, give_back, &arena};
  Holdfast__Bench__Record *record = holdfast__bench__record__unpack(&allocator, length, message);
  if (!record) return -EINVAL;
  uint8_t *buffer = malloc(length);
  if (!buffer) return -ENOMEM;
  double start = yardstick_cpu_seconds();
  for (int i = 0; i < count; i++) {
    if (holdfast__bench__record__get_packed_size(record) != length) return -EINVAL;
    holdfast__bench__record__pack(record, buffer);
    __asm__ volatile("" ::"r"(buffer) : "memory");
  }
  double elapsed = yardstick_cpu_seconds() - start;
  free(buffer);
  return count / elapsed;
}

double yardstick_unpack(const uint8_t *message, size_t length, int count) {
  struct arena arena = {0};
  ProtobufCAllocator allocator = {take, give_back, &arena};
  double start = yardstick_cpu_seconds();
  for (int i = 0; i < count; i++) {
    arena.used = 0;
    Holdfast__Bench__Record *record = holdfast__bench__record__unpack(&allocator, length, message);
    if (!record) return -EINVAL;
    __asm__ volatile("" ::"r"(record) : "memory");
  }
  return count / (yardstick_cpu_seconds() - start);
}

double yardstick_cpu_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

double yardstick_resident_bytes(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  long total = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE);
}
