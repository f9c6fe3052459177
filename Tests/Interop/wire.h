/* Numbers, checksums, time and sockets: what frames are made of. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Little-endian numbers in memory. */
void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);
uint16_t get_u16(const uint8_t *at);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);

/* The CRC-32C of what was summed as `before` (0 at first) followed by `length` bytes. */
uint32_t crc32c(uint32_t before, const void *bytes, size_t length);

/* The number of the node that the C programs stand for. */
#define C_NODE ((uint64_t)0xc0ffee)

/* Milliseconds on a clock that never goes back. */
int64_t now_ms(void);

/* Memory, or the end of the program: a test has no use for a half-done allocation. */
void *must_allocate(size_t size);
void *must_reallocate(void *old, size_t size);
char *must_copy(const char *text);

/* Fills `bytes` with the pseudo-random stream of `seed`. */
void fill(uint8_t *bytes, size_t length, uint32_t seed);

/* Connects to HOST:PORT; -1 when nobody listens there. */
int connect_to(const char *address);
/* Listens on HOST:PORT and writes the real address to `bound`; -1 on failure. */
int listen_on(const char *address, char *bound, size_t size);

/* Writes all of it; false when the connection is gone. */
bool write_all(int socket, const void *bytes, size_t length);

enum read_result { READ_DONE, READ_CLOSED, READ_TIMEOUT };
/* Reads exactly `length` bytes by `deadline` (of now_ms). */
enum read_result read_all(int socket, void *bytes, size_t length, int64_t deadline);
/* Waits until something can be read, or the peer is gone; false at the deadline. */
bool wait_readable(int socket, int64_t deadline);

#endif
