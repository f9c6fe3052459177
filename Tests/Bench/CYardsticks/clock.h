// A monotonic clock, in seconds.
#ifndef HOLDFAST_YARDSTICKS_CLOCK_H
#define HOLDFAST_YARDSTICKS_CLOCK_H

#include <time.h>

static inline double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

#endif
