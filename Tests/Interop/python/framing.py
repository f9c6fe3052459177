"""A client for Holdfast's framing, written from Protos/FRAMING.md: one connection, many calls at once.

It reads whenever somebody waits for something, so it needs no thread; a call is used by whoever made it.
"""
import socket
import struct
from collections import deque

from holdfast.rpc import frame_pb2

MAGIC = b"\x89HFRPC\r\n"
CALL, HEAD, MSG, BODY, END, CANCEL, WINDOW, PING, GOAWAY, _, ERROR, REFUSE = range(1, 13)
END_STREAM, MESSAGE, MORE_MESSAGE, MORE_BODY, ACK, IGNORABLE = 1, 2, 4, 8, 16, 128
FRAME = struct.Struct("<IIBBHI")
PIECE = 256 << 10
# What each side takes, by the settings' ids; ours says nothing, so these are what we take.
DEFAULTS = {1: 1114112, 2: 4194304, 3: 67108864, 4: 65535, 5: 1024, 6: 4194304, 7: 67108864, 8: 1000}


class PeerError(Exception):
    """The connection is over."""


def varint(number):
    """A number as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def split(message, body_field=15):
    """A message's message part and its body: the body's tag and length stay with the message part."""
    body = message.data if body_field and "data" in message.DESCRIPTOR.fields_by_name else b""
    if not body:
        return message.SerializeToString(), b""
    head = type(message)()
    head.CopyFrom(message)
    head.ClearField("data")
    return head.SerializeToString() + varint(body_field << 3 | 2) + varint(len(body)), body


class Call:
    """A call: its messages as they came in, and how it ended."""

    def __init__(self, connection, stream, response):
        self.connection, self.stream, self.response = connection, stream, response
        self.messages, self.metadata = deque(), []
        self.code = None  # a status code once the call is over
        self.message, self.trailers, self.refused = "", [], False
        self.part, self.body, self.wants = bytearray(), bytearray(), None
        self.sent, self.limit = 0, connection.settings[6]
        self.received, self.held, self.told = 0, 0, DEFAULTS[6]

    def send(self, message=None, end=False):
        """Sends a request, in pieces that the credit allows, and says whether it was the last."""
        if message is None:
            self.connection.write(MSG, self.stream, END_STREAM)
            return
        part, body = split(message)
        self.connection.pieces(self, MSG, b"", part, body, end)

    def receive(self):
        """The next response; None when there are no more."""
        while not self.messages and self.code is None:
            self.connection.pump()
        if not self.messages:
            return None
        data, cost = self.messages.popleft()
        self.connection.grant(self, cost)
        return self.response.FromString(data)

    def finish(self):
        """Waits for the call's end; returns its status code."""
        while self.code is None:
            self.connection.pump()
        return self.code

    def cancel(self):
        """Wants no more of it."""
        meta = frame_pb2.EndMeta(code=1).SerializeToString()
        self.connection.write(CANCEL, self.stream, 0, meta)
        self.code = 1


class Connection:
    """A connection to a server."""

    def __init__(self, host, port, timeout=20):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.sendall(MAGIC + struct.pack("<BBHI", 1, 1, 0, 0))
        head = self.read(16)
        assert head[:8] == MAGIC, "the server speaks something else"
        low, high, _, length = struct.unpack("<BBHI", head[8:])
        assert low <= 1 <= high, "no common version"
        self.settings = dict(DEFAULTS)
        rest = self.read(length)
        while rest:
            number, size = struct.unpack_from("<HH", rest)
            if number in self.settings:
                (self.settings[number],) = struct.unpack_from("<Q", rest, 4)
            rest = rest[4 + size:]
        self.calls, self.methods, self.next_stream = {}, {}, 1
        self.sent, self.limit = 0, self.settings[7]
        self.received, self.held, self.told = 0, 0, DEFAULTS[7]
        self.goaways, self.pongs = [], []

    def close(self):
        self.socket.close()

    def call(self, method, response, request=None, end=True, timeout=None, metadata=()):
        """Begins a call, with its first request if there is one."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        meta = frame_pb2.CallMeta(timeout_us=int((timeout or 0) * 1e6))
        if method in self.methods:
            meta.method_id = self.methods[method]
        else:
            meta.method = method
            if len(self.methods) < 1024:
                meta.method_id = self.methods[method] = len(self.methods) + 1
        for key, value in metadata:
            meta.metadata.add(key=key, value=value)
        call = self.calls[stream] = Call(self, stream, response)
        if request is None:
            self.write(CALL, stream, END_STREAM if end else 0, meta.SerializeToString())
        else:
            part, body = split(request)
            self.pieces(call, CALL, meta.SerializeToString(), part, body, end)
        return call

    def unary(self, method, response, request, **options):
        """One request, one response: returns it and the call, which says how it ended."""
        call = self.call(method, response, request, **options)
        return call.receive(), call if call.finish() is not None else None

    def ping(self, data):
        self.write(PING, 0, 0, b"", data)
        while data not in self.pongs:
            self.pump()

    # Sending

    def write(self, kind, stream, flags, meta=b"", message=b"", body=b""):
        length = len(meta) + len(message) + len(body)
        header = FRAME.pack(length, stream, kind, flags, len(meta), len(message))
        self.socket.sendall(header + meta + message + body)

    def pieces(self, call, kind, meta, part, body, end):
        """Writes a message in frames of at most a piece each, as far as credit goes."""
        at_part = at_body = 0
        first = True
        while first or at_part < len(part) or at_body < len(body):
            room = self.credit(call, min(len(part) + len(body) - at_part - at_body, 16 << 10))
            piece = part[at_part:at_part + room]
            at_part += len(piece)
            more_part = at_part < len(part)
            bytes_ = b"" if more_part else body[at_body:at_body + room - len(piece)]
            at_body += len(bytes_)
            flags = 0
            if first or piece:
                flags |= MESSAGE
            else:
                kind = BODY
            if more_part:
                flags |= MORE_MESSAGE
            elif at_body < len(body):
                flags |= MORE_BODY
            elif end:
                flags |= END_STREAM
            self.write(kind, call.stream, flags, meta, piece, bytes_)
            cost = 64 + len(piece) + len(bytes_)
            call.sent, self.sent = call.sent + cost, self.sent + cost
            kind, meta, first = MSG, b"", False

    def credit(self, call, least):
        """How many bytes may be sent now; waits until it is the least."""
        while True:
            if call.code is not None:
                raise PeerError("the call is over")
            room = min(call.limit - call.sent, self.limit - self.sent) - 64
            if room >= least:
                return max(min(room, PIECE), 0)
            self.pump()

    def grant(self, call, cost):
        """A message was taken: its cost is held no more."""
        self.held, call.held = self.held - cost, call.held - cost
        self.offer(call)

    def offer(self, call):
        """Raises the limits of the server's sending that are due to be raised by half a window."""
        for who, stream, window in ((self, 0, DEFAULTS[7]), (call, call.stream, DEFAULTS[6])):
            due = who.received - who.held + window
            if due - who.told >= window // 2 and (stream == 0 or call.code is None):
                who.told = due
                self.write(WINDOW, stream, 0, b"", struct.pack("<Q", due))

    # Receiving

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise PeerError("closed")
            data += part
        return bytes(data)

    def pump(self):
        """Reads one frame and does what it says."""
        length, stream, kind, flags, meta_length, message_length = FRAME.unpack(self.read(16))
        payload = self.read(length)
        meta, message = payload[:meta_length], payload[meta_length:meta_length + message_length]
        body = payload[meta_length + message_length:]
        cost = 64 + len(message) + len(body) if flags & MESSAGE or kind == BODY else 0
        self.received += cost
        if kind == WINDOW:
            limit = struct.unpack("<Q", message)[0]
            target = self if stream == 0 else self.calls.get(stream)
            if target:
                target.limit = max(target.limit, limit)
        elif kind == PING and flags & ACK:
            self.pongs.append(message)
        elif kind == PING:
            self.write(PING, 0, ACK, b"", message)
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack("<I", message)[0])
        elif kind == ERROR:
            raise PeerError(frame_pb2.EndMeta.FromString(meta).message)
        elif kind in (HEAD, MSG, BODY, END, REFUSE):
            call = self.calls.get(stream)
            if call and call.code is None:
                self.take(call, kind, flags, meta, message, body, cost)
        elif not flags & IGNORABLE:
            raise PeerError(f"a frame of unknown type {kind}")

    def take(self, call, kind, flags, meta, message, body, cost):
        """A frame of a call that is open."""
        call.received += cost
        if kind == HEAD:
            call.metadata = list(frame_pb2.HeadMeta.FromString(meta).metadata)
        if flags & MESSAGE or kind == BODY:
            call.part += message
            call.body += body
            call.wants = (call.wants or 0) + cost
            if not flags & (MORE_MESSAGE | MORE_BODY):
                call.messages.append((bytes(call.part + call.body), call.wants))
                self.held, call.held = self.held + call.wants, call.held + call.wants
                call.part, call.body, call.wants = bytearray(), bytearray(), None
            self.offer(call)
        if kind in (END, REFUSE):
            status = frame_pb2.EndMeta.FromString(meta)
            call.code, call.message = status.code, status.message
            call.trailers, call.refused = list(status.metadata), kind == REFUSE
