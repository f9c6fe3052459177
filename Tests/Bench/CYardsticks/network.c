// Loopback TCP: ping-pong and copying.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "yardsticks.h"

enum { MESSAGE_BYTES = 64, MAX_CONNECTIONS = 1024, EVENTS = 64 };

// Makes one TCP connection over loopback; ends[0] connected, ends[1] accepted.
static int make_pair(int ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int one = 1, failure = 0;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || ends[0] < 0 || bind(listener, (struct sockaddr *)&address, length) ||
      listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &length) ||
      connect(ends[0], (struct sockaddr *)&address, length) ||
      (ends[1] = accept(listener, NULL, NULL)) < 0)
    failure = -errno;
  if (listener >= 0) close(listener);
  if (failure) {
    if (ends[0] >= 0) close(ends[0]);
    return failure;
  }
  for (int i = 0; i < 2; i++) setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return 0;
}

struct pingpong {
  int connections;
  int fds[MAX_CONNECTIONS];
  int failure;
};

static int watch_all(const struct pingpong *side) {
  int epoll = epoll_create1(0);
  for (int i = 0; epoll >= 0 && i < side->connections; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = side->fds[i]};
    fcntl(side->fds[i], F_SETFL, O_NONBLOCK);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, side->fds[i], &event)) {
      close(epoll);
      return -1;
    }
  }
  return epoll;
}

// Sends back what comes in until a connection ends.
static void *answer(void *argument) {
  struct pingpong *side = argument;
  int epoll = watch_all(side);
  if (epoll < 0) return NULL;
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      char message[MESSAGE_BYTES];
      ssize_t got = read(events[i].data.fd, message, sizeof message);
      if (got <= 0 || write(events[i].data.fd, message, got) != got) {
        close(epoll);
        return NULL;
      }
    }
  }
}

static double ask(struct pingpong *side, double seconds) {
  char message[MESSAGE_BYTES] = {0};
  long answers = 0;
  int epoll = watch_all(side);
  if (epoll < 0) return -errno;
  double start = now_seconds(), elapsed = 0;
  for (int i = 0; i < side->connections; i++)
    if (write(side->fds[i], message, sizeof message) != sizeof message) return -EIO;
  while (elapsed < seconds) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      if (read(events[i].data.fd, message, sizeof message) != sizeof message) return -EIO;
      answers++;
      if (write(events[i].data.fd, message, sizeof message) != sizeof message) return -EIO;
    }
    elapsed = now_seconds() - start;
  }
  close(epoll);
  return answers / elapsed;
}

double yardstick_pingpong(int connections, double seconds) {
  static struct pingpong client, server;
  if (connections < 1 || connections > MAX_CONNECTIONS) return -EINVAL;
  client.connections = server.connections = connections;
  for (int i = 0; i < connections; i++) {
    int ends[2], failure = make_pair(ends);
    if (failure) return failure;
    client.fds[i] = ends[0];
    server.fds[i] = ends[1];
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, answer, &server)) return -EAGAIN;
  double rate = ask(&client, seconds);
  for (int i = 0; i < connections; i++) shutdown(client.fds[i], SHUT_RDWR);
  pthread_join(thread, NULL);
  for (int i = 0; i < connections; i++) {
    close(client.fds[i]);
    close(server.fds[i]);
  }
  return rate;
}

struct sender {
  int fd;
  size_t piece;
  atomic_bool stop;
};

static void *send_all(void *argument) {
  struct sender *sender = argument;
  char *buffer = calloc(1, sender->piece);
  while (buffer && !sender->stop && write(sender->fd, buffer, sender->piece) > 0) continue;
  shutdown(sender->fd, SHUT_WR);
  free(buffer);
  return NULL;
}

double yardstick_copy(size_t piece, double seconds) {
  int ends[2], failure = make_pair(ends);
  if (failure) return failure;
  struct sender sender = {.fd = ends[0], .piece = piece};
  char *buffer = malloc(piece);
  pthread_t thread;
  if (!buffer || pthread_create(&thread, NULL, send_all, &sender)) return -ENOMEM;
  double start = now_seconds(), total = 0;
  for (ssize_t got; (got = read(ends[1], buffer, piece)) > 0; total += got)
    if (now_seconds() - start >= seconds) sender.stop = true;
  double elapsed = now_seconds() - start;
  pthread_join(thread, NULL);
  free(buffer);
  close(ends[0]);
  close(ends[1]);
  return total / elapsed;
}
