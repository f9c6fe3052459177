/* Against a Directory with three Nodes: a file stored and read by a client in C, names, a node in C. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunks.h"
#include "holdfast/v1/directory.pb-c.h"

#define DIRECTORY "/holdfast.v1.Directory/"

/* Two chunks of a file, the first of full length. */
enum { CHUNK_COUNT = 2, LAST_CHUNK = 1234567 };

static Holdfast__V1__Name name_of(const char *key) {
  Holdfast__V1__Name name = HOLDFAST__V1__NAME__INIT;
  name.bucket = "interop";
  name.key = (char *)key;
  return name;
}

/* Sends a chunk to its group's first member, which passes it on to the others. */
static void put_to_group(struct check *check, struct chunk *chunk,
                         const Holdfast__V1__PlacementGroup *group) {
  struct connection node, *directory = check->connection;
  chunk->epoch = group->epoch;
  chunk->forward = group->members + 1;
  chunk->forward_count = group->n_members - 1;
  EXPECT(connection_open(&node, group->members[0]->address, NULL), "%s", node.error);
  check->connection = &node;
  int code = put_chunk(check, chunk, chunk->checksum);
  check->connection = directory;
  connection_close(&node);
  EXPECT(code == 0, "a chunk for group %u ended with %d", group->id, code);
}

static void commit(struct check *check, uint64_t upload, const char *key, struct chunk *chunks) {
  Holdfast__V1__ManifestChunk lines[CHUNK_COUNT], *pointers[CHUNK_COUNT];
  Holdfast__V1__ChunkId ids[CHUNK_COUNT];
  Holdfast__V1__Manifest manifest = HOLDFAST__V1__MANIFEST__INIT;
  for (int i = 0; i < CHUNK_COUNT; i++) {
    holdfast__v1__chunk_id__init(&ids[i]);
    ids[i].group = chunks[i].group;
    ids[i].upload = upload;
    ids[i].index = chunks[i].index;
    holdfast__v1__manifest_chunk__init(&lines[i]);
    lines[i].id = &ids[i];
    lines[i].length = chunks[i].length;
    lines[i].checksum = chunks[i].checksum;
    pointers[i] = &lines[i];
    manifest.size += chunks[i].length;
    manifest.checksum = crc32c(manifest.checksum, chunks[i].bytes, chunks[i].length);
  }
  manifest.storage_class = "replica-3";
  manifest.chunks = pointers;
  manifest.n_chunks = CHUNK_COUNT;
  Holdfast__V1__Name name = name_of(key);
  Holdfast__V1__CommitUploadRequest request = HOLDFAST__V1__COMMIT_UPLOAD_REQUEST__INIT;
  request.upload = upload;
  request.name = &name;
  request.manifest = &manifest;
  int code;
  Holdfast__V1__CommitUploadResponse *receipt =
      ask(check->connection, DIRECTORY "CommitUpload", &request.base,
          &holdfast__v1__commit_upload_response__descriptor, &code);
  EXPECT(receipt != NULL, "the commit ended with %d", code);
  bool is_good = receipt->fsynced && receipt->copies == 3 && receipt->target_copies == 3 &&
                 receipt->n_nodes == 3 && receipt->entry != NULL && receipt->entry->version > 0 &&
                 receipt->entry->size == manifest.size;
  free_message(receipt);
  EXPECT(is_good, "the receipt doesn't say what was stored");
}

static void read_back(struct check *check, const char *key, struct chunk *chunks) {
  Holdfast__V1__Name name = name_of(key);
  Holdfast__V1__OpenFileRequest request = HOLDFAST__V1__OPEN_FILE_REQUEST__INIT;
  request.name = &name;
  int code;
  Holdfast__V1__OpenFileResponse *file =
      ask(check->connection, DIRECTORY "OpenFile", &request.base,
          &holdfast__v1__open_file_response__descriptor, &code);
  EXPECT(file != NULL, "OpenFile ended with %d", code);
  struct connection node, *directory = check->connection;
  if (file->manifest == NULL || file->manifest->n_chunks != CHUNK_COUNT) {
    fail_check(check, "the manifest has other chunks");
  }
  for (size_t g = 0; g < file->n_groups && check->failure[0] == 0; g++) {
    for (size_t m = 0; m < file->groups[g]->n_members; m++) {
      if (!connection_open(&node, file->groups[g]->members[m]->address, NULL)) {
        fail_check(check, "%s", node.error);
      }
      check->connection = &node;
      for (int i = 0; i < CHUNK_COUNT; i++) {
        if (chunks[i].group == file->groups[g]->id) get_and_compare(check, &chunks[i], 0, 0);
      }
      check->connection = directory;
      connection_close(&node);
    }
  }
  free_message(file);
}

static void file_stored_and_read(struct check *check) {
  Holdfast__V1__BeginUploadRequest request = HOLDFAST__V1__BEGIN_UPLOAD_REQUEST__INIT;
  request.storage_class = "replica-3";
  request.groups = CHUNK_COUNT;
  int code;
  Holdfast__V1__BeginUploadResponse *upload =
      ask(check->connection, DIRECTORY "BeginUpload", &request.base,
          &holdfast__v1__begin_upload_response__descriptor, &code);
  EXPECT(upload != NULL, "BeginUpload ended with %d", code);
  EXPECT(upload->n_groups > 0 && upload->first_upload > 0, "no group or no upload id");
  struct chunk chunks[CHUNK_COUNT];
  for (uint32_t i = 0; i < CHUNK_COUNT; i++) {
    const Holdfast__V1__PlacementGroup *group = upload->groups[i % upload->n_groups];
    uint32_t length = i + 1 < CHUNK_COUNT ? upload->chunk_size : LAST_CHUNK;
    chunks[i] = make_chunk(group->id, upload->first_upload, i, length);
    if (check->failure[0] == 0) put_to_group(check, &chunks[i], group);
  }
  uint64_t id = upload->first_upload;
  if (check->failure[0] == 0) commit(check, id, "dir/file", chunks);
  for (int i = 0; i < CHUNK_COUNT; i++) chunks[i].forward = NULL;
  free_message(upload);
  if (check->failure[0] == 0) read_back(check, "dir/file", chunks);
  for (int i = 0; i < CHUNK_COUNT; i++) free(chunks[i].bytes);
}

/* Lists a prefix; how many entries and folded prefixes there are, or -1. */
static int list(struct check *check, const char *prefix, const char *delimiter, size_t *folded) {
  Holdfast__V1__ListEntriesRequest request = HOLDFAST__V1__LIST_ENTRIES_REQUEST__INIT;
  request.bucket = "interop";
  request.prefix = (char *)prefix;
  request.delimiter = (char *)delimiter;
  int code;
  Holdfast__V1__ListEntriesResponse *page =
      ask(check->connection, DIRECTORY "ListEntries", &request.base,
          &holdfast__v1__list_entries_response__descriptor, &code);
  if (page == NULL) return -1;
  int count = (int)page->n_entries;
  *folded = page->n_prefixes;
  free_message(page);
  return count;
}

static int copy(struct check *check, const char *from, const char *to) {
  Holdfast__V1__Name source = name_of(from), target = name_of(to);
  uint8_t key[16];
  fill(key, sizeof key, crc32c(0, to, strlen(to)));
  Holdfast__V1__CopyEntryRequest request = HOLDFAST__V1__COPY_ENTRY_REQUEST__INIT;
  request.source = &source;
  request.target = &target;
  request.idempotency_key = (ProtobufCBinaryData){sizeof key, key};
  return unary(check->connection, DIRECTORY "CopyEntry", &request.base, NULL);
}

static int move(struct check *check, const char *from, const char *to) {
  Holdfast__V1__Name source = name_of(from), target = name_of(to);
  uint8_t key[16];
  fill(key, sizeof key, crc32c(1, to, strlen(to)));
  Holdfast__V1__RenameEntryRequest request = HOLDFAST__V1__RENAME_ENTRY_REQUEST__INIT;
  request.source = &source;
  request.target = &target;
  request.idempotency_key = (ProtobufCBinaryData){sizeof key, key};
  return unary(check->connection, DIRECTORY "RenameEntry", &request.base, NULL);
}

static int stat_name(struct check *check, const char *bucket, const char *key) {
  Holdfast__V1__Name name = name_of(key);
  name.bucket = (char *)bucket;
  Holdfast__V1__GetEntryRequest request = HOLDFAST__V1__GET_ENTRY_REQUEST__INIT;
  request.name = &name;
  return unary(check->connection, DIRECTORY "GetEntry", &request.base, NULL);
}

static int delete_name(struct check *check, const char *from) {
  Holdfast__V1__Name name = name_of(from);
  uint8_t key[16];
  fill(key, sizeof key, crc32c(2, from, strlen(from)));
  Holdfast__V1__DeleteEntryRequest request = HOLDFAST__V1__DELETE_ENTRY_REQUEST__INIT;
  request.name = &name;
  request.idempotency_key = (ProtobufCBinaryData){sizeof key, key};
  return unary(check->connection, DIRECTORY "DeleteEntry", &request.base, NULL);
}

static void names(struct check *check) {
  size_t folded = 0;
  int code = copy(check, "dir/file", "dir/copy");
  EXPECT(code == 0, "copy ended with %d", code);
  code = move(check, "dir/copy", "other/moved näme");
  EXPECT(code == 0, "rename ended with %d", code);
  EXPECT(stat_name(check, "interop", "dir/copy") == 5, "the old name is still there");
  EXPECT(stat_name(check, "interop", "other/moved näme") == 0, "the new name isn't there");
  int count = list(check, "dir/", "", &folded);
  EXPECT(count == 1 && folded == 0, "%d entries and %zu prefixes in dir/", count, folded);
  count = list(check, "", "/", &folded);
  EXPECT(count == 0 && folded == 2, "%d entries and %zu prefixes at top", count, folded);
  code = delete_name(check, "other/moved näme");
  EXPECT(code == 0, "delete ended with %d", code);
  EXPECT(stat_name(check, "interop", "other/moved näme") == 5, "the deleted name is there");
  /* The same call again, with its idempotency key, has the effect and answer of the first. */
  code = delete_name(check, "other/moved näme");
  EXPECT(code == 0, "the repeated delete ended with %d", code);
}

static void wrong_names(struct check *check) {
  char longest[1030];
  memset(longest, 'k', sizeof longest);
  longest[1025] = 0;
  EXPECT(stat_name(check, "interop", longest) == 3, "1,025 bytes are taken for a key");
  longest[1024] = 0;
  EXPECT(stat_name(check, "interop", longest) == 5, "1,024 bytes are not taken for a key");
  EXPECT(stat_name(check, "interop", "") == 3, "an empty key is taken");
  EXPECT(stat_name(check, "", "key") == 3, "an empty bucket is taken");
  EXPECT(stat_name(check, "UPPER", "key") == 3, "a bucket in capitals is taken");
  EXPECT(stat_name(check, "interop", "\xc3\x28") == 3, "a key that isn't UTF-8 is taken");
}

static void status(struct check *check) {
  Holdfast__V1__GetStatusRequest request = HOLDFAST__V1__GET_STATUS_REQUEST__INIT;
  int code;
  Holdfast__V1__GetStatusResponse *status =
      ask(check->connection, DIRECTORY "GetStatus", &request.base,
          &holdfast__v1__get_status_response__descriptor, &code);
  EXPECT(status != NULL, "it ended with %d", code);
  uint32_t up = status->nodes_up;
  bool has_cluster = status->cluster[0] != 0;
  uint64_t entries = status->entries;
  free_message(status);
  EXPECT(up == 3, "%u nodes are up, not 3", up);
  EXPECT(has_cluster && entries > 0, "no cluster or no entries");
}

void directory_checks(const char *address) {
  run_check("directory: a file stored and read by C", address, file_stored_and_read);
  run_check("directory: copy, rename, list, delete", address, names);
  run_check("directory: wrong names", address, wrong_names);
  run_check("directory: status", address, status);
}

/* Registers the node in C; false when that failed. */
static bool register_node(struct connection *connection, const char *node, int *code) {
  Holdfast__V1__NodeStatistics statistics = HOLDFAST__V1__NODE_STATISTICS__INIT;
  statistics.capacity_bytes = (uint64_t)1 << 40;
  statistics.free_bytes = (uint64_t)1 << 39;
  Holdfast__V1__RegisterNodeRequest request = HOLDFAST__V1__REGISTER_NODE_REQUEST__INIT;
  request.node = C_NODE;
  request.address = (char *)node;
  request.zone = "written-in-c";
  request.statistics = &statistics;
  Holdfast__V1__RegisterNodeResponse *response =
      ask(connection, DIRECTORY "RegisterNode", &request.base,
          &holdfast__v1__register_node_response__descriptor, code);
  bool is_good =
      response != NULL && response->cluster[0] != 0 && response->heartbeat_interval_us > 0;
  free_message(response);
  return is_good;
}

/* One heartbeat and its answer. */
static bool beat(struct stream *stream, bool is_leaving) {
  Holdfast__V1__NodeStatistics statistics = HOLDFAST__V1__NODE_STATISTICS__INIT;
  statistics.capacity_bytes = (uint64_t)1 << 40;
  statistics.free_bytes = (uint64_t)1 << 39;
  Holdfast__V1__HeartbeatRequest request = HOLDFAST__V1__HEARTBEAT_REQUEST__INIT;
  request.node = C_NODE;
  request.statistics = &statistics;
  request.leaving = is_leaving;
  if (!stream_send(stream, &request.base, 0, false)) return false;
  struct message *answer = stream_receive(stream, soon());
  bool is_good = answer != NULL;
  free(answer);
  return is_good;
}

/* The state of the node in C as the Directory tells it; 0 when it isn't listed. */
static int state_of_node(struct check *check) {
  Holdfast__V1__ListNodesRequest request = HOLDFAST__V1__LIST_NODES_REQUEST__INIT;
  int code, state = 0;
  Holdfast__V1__ListNodesResponse *nodes =
      ask(check->connection, DIRECTORY "ListNodes", &request.base,
          &holdfast__v1__list_nodes_response__descriptor, &code);
  for (size_t i = 0; nodes != NULL && i < nodes->n_nodes; i++) {
    if (nodes->nodes[i]->id == C_NODE) state = (int)nodes->nodes[i]->state;
  }
  free_message(nodes);
  return state;
}

static const char *node_address;

static void node_in_c(struct check *check) {
  int code;
  EXPECT(register_node(check->connection, node_address, &code), "RegisterNode ended with %d", code);
  struct stream *stream =
      call_begin(check->connection, DIRECTORY "Heartbeat", NULL, NULL, 0, false);
  for (int i = 0; i < 3; i++) EXPECT(beat(stream, false), "heartbeat %d has no answer", i);
  int state = state_of_node(check);
  EXPECT(state == 1, "the node is in state %d, not up", state);
  /* A stream that breaks makes it suspect. */
  call_cancel(stream, 1);
  int64_t end = soon();
  do state = state_of_node(check);
  while (state == 1 && now_ms() < end);
  EXPECT(state == 2, "after its stream broke it is in state %d, not suspect", state);
  stream = call_begin(check->connection, DIRECTORY "Heartbeat", NULL, NULL, 0, false);
  EXPECT(beat(stream, false), "no answer after it came back");
  EXPECT(state_of_node(check) == 1, "it isn't up again");
  EXPECT(beat(stream, true), "no answer to the last heartbeat");
  EXPECT(stream_finish(stream), "the stream can't be finished");
  EXPECT(call_wait(stream, soon()) == 0, "the stream doesn't end well");
}

void register_check(const char *directory, const char *node) {
  node_address = node;
  run_check("directory: a node in C registers and heartbeats", directory, node_in_c);
}

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

int stand_for_node(const char *directory, const char *node) {
  struct connection connection;
  int code = 0;
  signal(SIGTERM, stop);
  if (!connection_open(&connection, directory, NULL) ||
      !register_node(&connection, node, &code)) {
    fprintf(stderr, "can't register: %d %s\n", code, connection.error);
    connection_close(&connection);
    return 1;
  }
  struct stream *stream = call_begin(&connection, DIRECTORY "Heartbeat", NULL, NULL, 0, false);
  bool is_good = beat(stream, false);
  printf("registered %s\n", node);
  fflush(stdout);
  while (is_good && !stopped) {
    /* Nothing comes between the answers: this waits for the next beat's time. */
    int64_t next = now_ms() + 1000;
    while (!stopped && now_ms() < next && connection_pump(&connection, next)) {
    }
    is_good = beat(stream, stopped);
  }
  if (!is_good) fprintf(stderr, "no more heartbeats: %s\n", connection.error);
  connection_close(&connection);
  return is_good ? 0 : 1;
}
