#define _GNU_SOURCE
#include "CCallLog.h"

#ifdef __linux__
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX];
static FILE *text;
static char *lines;
static size_t length;
static atomic_bool is_begun;
static atomic_int syncs;

void call_log_begin(const char *path) {
  pthread_mutex_lock(&lock);
  snprintf(directory, sizeof directory, "%s", path);
  text = open_memstream(&lines, &length);
  if (text == NULL) abort();
  atomic_store(&is_begun, 1);
  pthread_mutex_unlock(&lock);
}

char *call_log_end(void) {
  pthread_mutex_lock(&lock);
  atomic_store(&is_begun, 0);
  fclose(text);
  text = NULL;
  pthread_mutex_unlock(&lock);
  return lines;
}

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&lock);
  if (text != NULL) vfprintf(text, format, arguments);
  pthread_mutex_unlock(&lock);
  va_end(arguments);
}

void call_log_note(const char *what) { add("note %s\n", what); }

/* The path from the directory on; NULL where it leads elsewhere, or nobody wants to know. */
static const char *within(const char *path) {
  if (!atomic_load(&is_begun)) return NULL;
  pthread_mutex_lock(&lock);
  size_t count = strlen(directory);
  int is_within = strncmp(path, directory, count) == 0;
  pthread_mutex_unlock(&lock);
  if (!is_within) return NULL;
  if (path[count] == 0) return ".";
  return path[count] == '/' ? path + count + 1 : NULL;
}

/* The same for an open file, whose path is kept in `memory`. */
static const char *within_open(int descriptor, char memory[PATH_MAX]) {
  char link[64];
  if (!atomic_load(&is_begun)) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t count = readlink(link, memory, PATH_MAX - 1);
  if (count < 0) return NULL;
  memory[count] = 0;
  return within(memory);
}

/* A sanitizer stands before the library, too, and is to see what it sees without us. */
#define NEXT(name) \
  (__interceptor_##name != NULL ? __interceptor_##name \
                                : (__typeof__(&name))dlsym(RTLD_NEXT, #name))

extern __typeof__(pwrite) __interceptor_pwrite __attribute__((weak));
extern __typeof__(fdatasync) __interceptor_fdatasync __attribute__((weak));
extern __typeof__(fsync) __interceptor_fsync __attribute__((weak));
extern __typeof__(rename) __interceptor_rename __attribute__((weak));

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  ssize_t done = NEXT(pwrite)(descriptor, bytes, count, offset);
  char memory[PATH_MAX];
  const char *path = done > 0 ? within_open(descriptor, memory) : NULL;
  if (path != NULL) add("write %s %lld %zd\n", path, (long long)offset, done);
  return done;
}

static int log_sync(int descriptor, int (*next)(int)) {
  char memory[PATH_MAX];
  const char *path = within_open(descriptor, memory);
  int number = path != NULL ? atomic_fetch_add(&syncs, 1) : 0;
  if (path != NULL) add("sync %d %s\n", number, path);
  int code = next(descriptor);
  if (path != NULL && code == 0) add("synced %d %s\n", number, path);
  return code;
}

int fdatasync(int descriptor) { return log_sync(descriptor, NEXT(fdatasync)); }

int fsync(int descriptor) { return log_sync(descriptor, NEXT(fsync)); }

int rename(const char *source, const char *target) {
  int code = NEXT(rename)(source, target);
  const char *from = within(source), *to = within(target);
  if (code == 0 && from != NULL && to != NULL) add("rename %s %s\n", from, to);
  return code;
}
#endif
