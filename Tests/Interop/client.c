/* The client: runs the checks of a suite against a server, a line each.
 *
 *   client node ADDRESS                    a Holdfast Node
 *   client vectors ADDRESS FILE            a Holdfast Node, by a file of Protos/vectors
 *   client directory ADDRESS               a Directory with three Nodes that are up
 *   client register DIRECTORY NODE         registers as the Node at NODE would
 *   client stand-for-node DIRECTORY NODE   the same until SIGTERM
 *   client drain ADDRESS PROCESS           stops the Node at ADDRESS and watches
 */
#include <stdio.h>
#include <string.h>

#include "check.h"

int main(int count, char **arguments) {
  const char *suite = count > 2 ? arguments[1] : "";
  if (strcmp(suite, "node") == 0 && count == 3) {
    node_checks(arguments[2]);
    error_checks(arguments[2]);
    wire_checks(arguments[2], "/holdfast.v1.Node/Echo");
  } else if (strcmp(suite, "directory") == 0 && count == 3) {
    directory_checks(arguments[2]);
    wire_checks(arguments[2], "/holdfast.v1.Directory/Heartbeat");
  } else if (strcmp(suite, "vectors") == 0 && count == 4) {
    vector_checks(arguments[2], arguments[3]);
  } else if (strcmp(suite, "register") == 0 && count == 4) {
    register_check(arguments[2], arguments[3]);
  } else if (strcmp(suite, "stand-for-node") == 0 && count == 4) {
    return stand_for_node(arguments[2], arguments[3]);
  } else if (strcmp(suite, "drain") == 0 && count == 4) {
    drain_check(arguments[2], arguments[3]);
  } else {
    fprintf(stderr, "usage: client node|vectors|directory|register|stand-for-node|drain ADDRESS...\n");
    return 64;
  }
  return failed_checks() == 0 ? 0 : 1;
}
