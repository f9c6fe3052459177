"""Calls a node through `framing`, as a stranger's client would. Usage: check.py HOST:PORT [PID]

Prints `pass NAME` or `FAIL NAME: why` for each check. With a process id the server is told to stop at the end.
"""
import os
import signal
import sys
import traceback

from framing import Connection, PeerError
from holdfast.v1 import node_pb2, types_pb2

NODE = "/holdfast.v1.Node/"
checks = []


def check(title):
    def note(body):
        checks.append((title, body))
        return body
    return note


def crc32c(data, crc=0xFFFFFFFF):
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def entry(number):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    return number


TABLE = [entry(number) for number in range(256)]


def echo(connection, end=True, **options):
    request = node_pb2.EchoRequest(payload=b"hi", data=b"abc")
    return connection.call(NODE + "Echo", node_pb2.EchoResponse, request, end, **options)


@check("a message with a body comes back")
def _(connection):
    call = echo(connection)
    response = call.receive()
    assert (response.payload, response.data) == (b"hi", b"abc"), response
    assert call.receive() is None and call.finish() == 0, call.message


@check("many messages both ways, and two calls between each other")
def _(connection):
    one, other = echo(connection, end=False), echo(connection, end=False)
    for number in range(50):
        for call in (one, other):
            call.send(node_pb2.EchoRequest(payload=b"%d" % number))
    for call in (other, one):
        assert call.receive().data == b"abc"
        for number in range(50):
            assert call.receive().payload == b"%d" % number
        call.send(end=True)
        assert call.receive() is None and call.finish() == 0, call.message


@check("20 MB of bodies, more than a call's window, under flow control both ways")
def _(connection):
    call = echo(connection, end=False)
    call.receive()
    for number in range(20):
        body = bytes([number]) * 1_000_000
        call.send(node_pb2.EchoRequest(data=body))
        assert call.receive().data == body
    call.send(end=True)
    assert call.finish() == 0, call.message


@check("a message of a body larger than its call's window")
def _(connection):
    body = os.urandom(6 << 20)
    call = connection.call(
        NODE + "Echo", node_pb2.EchoResponse, node_pb2.EchoRequest(payload=b"x", data=body))
    response = call.receive()
    assert response.data == body and response.payload == b"x"
    assert call.finish() == 0


@check("a unary call, its error, and a method that isn't there")
def _(connection):
    response, call = connection.unary(
        NODE + "GetNodeStatus", node_pb2.GetNodeStatusResponse, node_pb2.GetNodeStatusRequest(),
        metadata=[("who", b"python"), ("any-bin", b"\x00\xff")])
    assert call.code == 0 and response.node.id != 0, call.message
    missing = node_pb2.StatChunkRequest(id=types_pb2.ChunkId(group=9, upload=9, index=9))
    response, call = connection.unary(NODE + "StatChunk", node_pb2.StatChunkResponse, missing)
    assert (response, call.code) == (None, 5) and "9/9/9" in call.message, call.message
    _, call = connection.unary("/no.Such/Method", node_pb2.EchoResponse, missing)
    assert call.code == 12, call.code


@check("a chunk is stored by a stream of requests and read by a stream of responses")
def _(connection):
    content = os.urandom(150_000)
    chunk = types_pb2.ChunkId(group=77, upload=1 << 40, index=3)
    header = node_pb2.ChunkHeader(
        id=chunk, epoch=1, length=len(content),
        name=types_pb2.Name(bucket="python", key="a file"))
    call = connection.call(
        NODE + "PutChunk", node_pb2.PutChunkResponse,
        node_pb2.PutChunkRequest(header=header, data=content[:100_000]), end=False)
    call.send(
        node_pb2.PutChunkRequest(checksum=crc32c(content), data=content[100_000:]), end=True)
    response = call.receive()
    assert call.finish() == 0, call.message
    assert [replica.code for replica in response.replicas] == [0], response
    call = connection.call(
        NODE + "GetChunk", node_pb2.GetChunkResponse,
        node_pb2.GetChunkRequest(id=chunk, offset=70_000))
    found = bytearray()
    while (piece := call.receive()) is not None:
        assert piece.offset == 65_536 + len(found)
        for block, checksum in enumerate(piece.block_checksums):
            assert crc32c(piece.data[block << 16:(block + 1) << 16]) == checksum
        found += piece.data
    assert call.finish() == 0 and bytes(found) == content[65_536:]
    _, call = connection.unary(
        NODE + "DeleteChunk", node_pb2.DeleteChunkResponse,
        node_pb2.DeleteChunkRequest(id=chunk))
    assert call.code == 0, call.message


@check("a deadline that passes ends the call at the server")
def _(connection):
    call = echo(connection, end=False, timeout=0.2)
    call.receive()
    assert call.finish() == 4, (call.code, call.message)


@check("a call that was cancelled answers nothing, and the next one works")
def _(connection):
    call = echo(connection, end=False)
    call.receive()
    call.cancel()
    following = echo(connection)
    assert following.receive().data == b"abc" and following.finish() == 0


@check("a ping is answered")
def _(connection):
    connection.ping(b"12345678")


@check("a frame that breaks the rules is answered with ERROR")
def _(connection):
    connection.write(1, 2, 0)
    try:
        while True:
            connection.pump()
    except PeerError as error:
        assert str(error) != "closed", "no ERROR came before the end"


def drain(connection, process):
    call = echo(connection, end=False)
    call.receive()
    os.kill(process, signal.SIGTERM)
    while not connection.goaways or connection.goaways[-1] == 0xFFFFFFFF:
        connection.pump()
    late = echo(connection)
    late.finish()
    assert late.refused and late.code == 14, (late.refused, late.code)
    call.send(node_pb2.EchoRequest(payload=b"last"), end=True)
    assert call.receive().payload == b"last" and call.finish() == 0, call.message
    try:
        while True:
            connection.pump()
    except PeerError as error:
        assert str(error) == "closed", error


def run(title, host, port, body):
    connection = Connection(host, int(port))
    try:
        body(connection)
        print("pass python:", title)
        return True
    except Exception as error:  # whatever it is, it is this check's failure
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(f"FAIL python: {title}: {type(error).__name__} {error} (line {where.lineno})")
        return False
    finally:
        connection.close()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    results = [run(title, host, port, body) for title, body in checks]
    if len(sys.argv) > 2:
        title = "a server that stops finishes open calls and refuses new ones"
        results.append(
            run(title, host, port, lambda connection: drain(connection, int(sys.argv[2]))))
    sys.exit(0 if all(results) else 1)


main()
