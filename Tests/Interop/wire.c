#include "wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void put_u16(uint8_t *at, uint16_t value) {
  at[0] = (uint8_t)value;
  at[1] = (uint8_t)(value >> 8);
}

void put_u32(uint8_t *at, uint32_t value) {
  put_u16(at, (uint16_t)value);
  put_u16(at + 2, (uint16_t)(value >> 16));
}

void put_u64(uint8_t *at, uint64_t value) {
  put_u32(at, (uint32_t)value);
  put_u32(at + 4, (uint32_t)(value >> 32));
}

uint16_t get_u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

uint32_t get_u32(const uint8_t *at) { return get_u16(at) | (uint32_t)get_u16(at + 2) << 16; }

uint64_t get_u64(const uint8_t *at) { return get_u32(at) | (uint64_t)get_u32(at + 4) << 32; }

uint32_t crc32c(uint32_t before, const void *bytes, size_t length) {
  static uint32_t table[256];
  if (table[1] == 0) {
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t crc = byte;
      for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
      table[byte] = crc;
    }
  }
  uint32_t crc = ~before;
  const uint8_t *at = bytes;
  for (size_t i = 0; i < length; i++) crc = crc >> 8 ^ table[(crc ^ at[i]) & 0xff];
  return ~crc;
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void *must_reallocate(void *old, size_t size) {
  void *memory = realloc(old, size > 0 ? size : 1);
  if (memory == NULL) {
    fprintf(stderr, "out of memory\n");
    exit(70);
  }
  return memory;
}

void *must_allocate(size_t size) {
  return memset(must_reallocate(NULL, size), 0, size);
}

char *must_copy(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(must_allocate(size), text, size);
}

void fill(uint8_t *bytes, size_t length, uint32_t seed) {
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < length; i++) {
    state = state * 1664525u + 1013904223u;
    bytes[i] = (uint8_t)(state >> 24);
  }
}

/* The addresses that HOST:PORT means; NULL when none. */
static struct addrinfo *resolve(const char *address, int flags) {
  char host[256];
  const char *colon = strrchr(address, ':');
  if (colon == NULL || (size_t)(colon - address) >= sizeof host) return NULL;
  memcpy(host, address, (size_t)(colon - address));
  host[colon - address] = 0;
  struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
  struct addrinfo *found = NULL;
  return getaddrinfo(host, colon + 1, &wanted, &found) == 0 ? found : NULL;
}

int connect_to(const char *address) {
  struct addrinfo *found = resolve(address, 0);
  int result = -1;
  for (struct addrinfo *at = found; at != NULL && result < 0; at = at->ai_next) {
    result = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (result >= 0 && connect(result, at->ai_addr, at->ai_addrlen) != 0) {
      close(result);
      result = -1;
    }
  }
  if (found != NULL) freeaddrinfo(found);
  int yes = 1;
  if (result >= 0) setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return result;
}

int listen_on(const char *address, char *bound, size_t size) {
  struct addrinfo *found = resolve(address, AI_PASSIVE);
  if (found == NULL) return -1;
  int result = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  int yes = 1;
  setsockopt(result, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_storage where;
  socklen_t length = sizeof where;
  char host[64], port[16];
  if (result < 0 || bind(result, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(result, 64) != 0 || getsockname(result, (struct sockaddr *)&where, &length) != 0 ||
      getnameinfo((struct sockaddr *)&where, length, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    if (result >= 0) close(result);
    result = -1;
  } else {
    snprintf(bound, size, "%s:%s", host, port);
  }
  freeaddrinfo(found);
  return result;
}

bool write_all(int socket, const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  while (length > 0) {
    ssize_t written = send(socket, at, length, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    length -= (size_t)written;
  }
  return true;
}

bool wait_readable(int socket, int64_t deadline) {
  for (;;) {
    int64_t left = deadline - now_ms();
    struct pollfd wanted = {.fd = socket, .events = POLLIN};
    int ready = poll(&wanted, 1, left > 0 ? (int)left : 0);
    if (ready > 0) return true;
    if (ready == 0 && left <= 0) return false;
  }
}

enum read_result read_all(int socket, void *bytes, size_t length, int64_t deadline) {
  uint8_t *at = bytes;
  while (length > 0) {
    if (!wait_readable(socket, deadline)) return READ_TIMEOUT;
    ssize_t count = recv(socket, at, length, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return READ_CLOSED;
    at += count;
    length -= (size_t)count;
  }
  return READ_DONE;
}
