#!/usr/bin/env bash
# C and Python against Swift, Swift against C and against itself, over TCP, from FRAMING.md: builds all sides, runs every
# check and ends with `N passed, N failed`. Usage: run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

swift=${SWIFT:-swift}
read -r -a flags <<< "${SWIFT_FLAGS:-}"
build=.build/interop
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-interop.XXXXXX")
log=$work/results
pids=()

finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

make -s -C Tests/Interop SANITIZE=1 BUILD="$PWD/$build"
"$swift" build --product interop-client "${flags[@]}" > "$work/build.log" 2>&1 \
  || { cat "$work/build.log" >&2; exit 1; }
"$swift" build --product holdfast "${flags[@]}" > "$work/build.log" 2>&1 \
  || { cat "$work/build.log" >&2; exit 1; }
bin=$("$swift" build --show-bin-path "${flags[@]}")

# Python gets protobuf in an environment of its own; the runtime's version must fit the compiler's.
python=$build/python/bin/python
if [[ ! -x $python ]]; then
  protobuf=protobuf
  [[ "$(protoc --version)" == "libprotoc 3."* ]] && protobuf='protobuf>=4.21,<5'
  python3 -m venv "$build/python"
  "$python" -m pip install --quiet --disable-pip-version-check "$protobuf"
fi
mkdir -p "$work/python"
(cd Protos && protoc -I . --python_out "$work/python" holdfast/rpc/{frame,options}.proto \
  holdfast/v1/{types,node}.proto)

client=$build/client
server=$build/server
holdfast=$bin/holdfast

# Starts a server in the background and waits for the line that says where it listens. Leaves the
# address in $address and the process in $started.
start() {
  local name=$1 line ready
  shift
  mkfifo "$work/$name.ready"
  "$@" > "$work/$name.ready" 2> "$work/$name.log" &
  started=$!
  pids+=("$started")
  # The pipe stays open: a server that says more must not die of it.
  exec {ready}< "$work/$name.ready"
  if ! IFS= read -r line <&"$ready"; then
    echo "$name did not start:" >&2
    cat "$work/$name.log" >&2
    exit 1
  fi
  address=${line##* }
}

# Runs a program that prints `pass NAME` or `FAIL NAME: why` for each check.
checks() {
  local title=$1 status=0
  shift
  printf '\n%s\n' "$title"
  "$@" > "$work/checks" 2> "$work/checks.log" || status=$?
  tee -a "$log" < "$work/checks"
  # 1 says that a check failed, which stands in its lines; more is a crash or a sanitizer's finding.
  if (( status > 1 )) || ! grep -qE '^(pass|FAIL) ' "$work/checks"; then
    echo "FAIL $title: ended with $status" | tee -a "$log"
    head -n 40 "$work/checks.log"
  fi
}

# One check of this script: passes when the command does.
check() {
  local name=$1
  shift
  if "$@" > "$work/check.log" 2>&1; then
    echo "pass $name" | tee -a "$log"
  else
    echo "FAIL $name: $(tail -n 3 "$work/check.log" | tr '\n' ' ')" | tee -a "$log"
  fi
}

# Waits until so many nodes are up.
wait_for_nodes() {
  local wanted=$1 end=$((SECONDS + 30)) found
  while (( SECONDS < end )); do
    found=$("$holdfast" nodes --json 2> /dev/null | grep -cE '"state" *: *"up"' || true)
    (( found == wanted )) && return 0
  done
  echo "$wanted nodes did not come up; the log of node-1:" >&2
  cat "$work"/node-1.log >&2 || true
  return 1
}

puts_and_gets() {
  local class=$1 file=$2 name=$3
  "$holdfast" put --class "$class" "$file" "$name"
  "$holdfast" get "$name" "$work/back"
  cmp "$file" "$work/back"
}

start directory "$holdfast" directory --data "$work/directory" --listen 127.0.0.1:0
directory=$address
export HOLDFAST_DIRECTORY=$directory
for number in 1 2 3; do
  start "node-$number" "$holdfast" node --data "$work/node-$number" --directory "$directory"
  node=$address
  node_pid=$started
done
wait_for_nodes 3

checks "C client, Swift node" "$client" node "$node"
for vectors in calls errors; do
  checks "Vectors ($vectors), Swift node" "$client" vectors "$node" Protos/vectors/$vectors.txt
done
checks "Swift client, Swift node" "$bin/interop-client" --node "$node"
checks "C client, Swift directory" "$client" directory "$directory"
checks "C node, Swift directory" "$client" register "$directory" 127.0.0.1:9
checks "C client, Swift node that stops" "$client" drain "$node" "$node_pid"

mkdir "$work/c-chunks"
start c-server "$server" "$work/c-chunks"
checks "C client, C server" "$client" node "$address"
for vectors in calls errors; do
  checks "Vectors ($vectors), C server" "$client" vectors "$address" Protos/vectors/$vectors.txt
done

start python-node "$holdfast" node --data "$work/python-node" --directory "$directory"
PYTHONPATH=$work/python PYTHONDONTWRITEBYTECODE=1 checks "Python client, Swift node" \
  "$python" Tests/Interop/python/check.py "$address" "$started"

mkdir "$work/chunks"
start server "$server" "$work/chunks"
checks "Swift client, C server" "$bin/interop-client" "$address"

printf '\nSwift directory and client, C node\n'
c_node=$address
start other-directory "$holdfast" directory --data "$work/other-directory" --listen 127.0.0.1:0
HOLDFAST_DIRECTORY=$address
start stand-in "$client" stand-for-node "$address" "$c_node"
wait_for_nodes 1
head -c 20000000 /dev/urandom > "$work/large"
head -c 1 /dev/urandom > "$work/small"
: > "$work/empty"
for size in large small empty; do
  check "mixed: a $size file through a node in C" puts_and_gets replica-1 "$work/$size" "$size"
done
for number in 1 2; do
  start "other-node-$number" "$holdfast" node --data "$work/other-node-$number" \
    --directory "$HOLDFAST_DIRECTORY"
done
wait_for_nodes 3
for number in 1 2 3 4; do
  check "mixed: file $number on two nodes in Swift and one in C" \
    puts_and_gets replica-3 "$work/large" "copies-$number"
done
check "mixed: a call by hand" "$holdfast" rpc call "$c_node" holdfast.v1.Node/Echo '{"payload": "aGk="}'
if [[ -s $work/server.log ]]; then
  echo "FAIL the server in C complained" | tee -a "$log"
  head -n 40 "$work/server.log"
fi

passed=$(grep -c '^pass ' "$log" || true)
failed=$(grep -c '^FAIL ' "$log" || true)
printf '\n%d passed, %d failed\n' "$passed" "$failed"
(( failed == 0 ))
