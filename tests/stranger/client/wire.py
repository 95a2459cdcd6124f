"""Flights and frames of docs/PROTOCOL.md (sections 2 and 4): bytes to values and back. No state, no sockets."""

import struct
from collections import namedtuple

from noise import BadLink

HELLO, ACCEPT, RESUME, REFUSE, QUERY = 1, 2, 3, 4, 5
OK, UNKNOWN, CLOSED, ROLLED_BACK, OWNER_CRASHED, REFUSED, ALIVE = range(7)
STATUS = ["Ok", "Unknown", "Closed", "RolledBack", "OwnerCrashed", "Refused", "Alive"]
REFUSALS = {1: "busy", 2: "version unknown", 3: "key unknown", 4: "session not here", 5: "retry later", 6: "draining"}
PAD, DATA, ACK, UNRELIABLE, PING, PONG, AUTH, AUTH_RESULT, CLOSE, CLOSE_ACK, DRAIN, KEYS, FRAGMENT = range(13)
EARLY_MAX = 16384

Limits = namedtuple("Limits", "messages bytes message")  # what an end is ready to receive
Accepted = namedtuple("Accepted", "handle id token recv_next recv_offset delivered limits detached_ms address send_base send_end")
Frame = namedtuple("Frame", "code fields")


# --- varints -------------------------------------------------------------------------------------------------------

def varint(value):
    for prefix, size in ((0, 1), (1, 2), (2, 4), (3, 8)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


class Reader:
    """Takes fields off the front; running out of bytes is the peer's fault."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise BadLink("U-36: a field reaches past the end")
        self.at += count
        return self.data[self.at - count:self.at]

    def int(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        first = self.int(1)
        size = 1 << (first >> 6)
        return (first & 0x3F) << (8 * size - 8) | self.int(size - 1)


# --- first flights -------------------------------------------------------------------------------------------------

def prelude(kind, key_id, length, version=1):
    return b"UNB" + bytes([version, kind, 0]) + key_id + struct.pack(">H", length)


def hello_payload(limits, versions=(1, 1)):
    return struct.pack(">BBIIII", *versions, 0, *limits)


def resume_payload(state, early, versions=(1, 1)):
    """U-14 to U-16. `state` has the fields as attributes."""
    return struct.pack(
        ">BBIQQIQQQIII", *versions, state.last_live, state.token, state.recv_next, state.recv_offset,
        state.delivered, state.send_base, state.send_end, *state.limits,
    ) + early


def parse_answer_prelude(data, sent_key_id):
    if data[:3] != b"UNB" or data[5] != 0 or data[4] not in (ACCEPT, REFUSE):
        raise BadLink("U-4: not an answer")
    if data[3] != 1 and data[4] != REFUSE:
        raise BadLink("an ACCEPT of another version")
    if data[6:10] != sent_key_id:
        raise BadLink("another key id than asked for")
    length = int.from_bytes(data[10:12], "big")
    if data[4] == REFUSE and length != 7 or not 0 < length <= 2048:
        raise BadLink("U-7: length out of bounds")
    return data[4], length


def parse_refuse(body):
    return struct.unpack(">BIBB", body)  # code, retry_ms, min_version, max_version


def parse_accept(payload, outer):
    """The status, and Accepted or (kind, code)."""
    r = Reader(payload)
    if r.take(12) != outer:
        raise BadLink("U-19: the two preludes differ")
    status = r.int(1)
    if status > ALIVE:
        raise BadLink("unknown status")
    if status != OK:
        return status, (r.int(1), r.int(4))
    values = [r.take(16), r.take(16), r.int(8), r.int(8), r.int(4), r.int(8), Limits(r.int(4), r.int(4), r.int(4)), r.int(4)]
    values += [r.take(r.int(1)).decode(), r.int(8)]
    return status, Accepted(*values, r.int(8) if r.left() >= 8 else None)  # U-64: send_end may be missing


# --- frames --------------------------------------------------------------------------------------------------------

def data_frame(seq, messages):
    """A run of messages without its end mark: the caller adds 00 if another frame follows."""
    return bytes([DATA]) + varint(seq) + b"".join(varint(len(m) + 1) + m for m in messages)


def fragment(seq, total, offset, part):
    return bytes([FRAGMENT]) + varint(seq) + varint(total) + varint(offset) + varint(len(part)) + part


def ack(recv_next, messages, size):
    return bytes([ACK]) + varint(recv_next) + varint(messages) + varint(size)


def unreliable(message):
    return bytes([UNRELIABLE]) + varint(len(message)) + message


def auth(credential):
    return bytes([AUTH]) + varint(len(credential)) + credential


def close(kind, code, send_end, recv_next):
    return bytes([CLOSE, kind]) + struct.pack(">I", code) + varint(send_end) + varint(recv_next)


def parse_frames(plaintext):
    """All frames of a record as a list; raises BadLink for a malformed one."""
    r, frames = Reader(plaintext), []
    while r.left():
        code = r.int(1)
        if code == PAD:
            if any(r.take(r.left())):
                raise BadLink("U-36: a non-zero byte in PAD")
        elif code == DATA:
            seq, messages = r.varint(), []
            while r.left():
                at = r.at
                size = r.varint()
                if size == 0:
                    if r.at - at != 1:
                        raise BadLink("U-36: a zero length in a longer varint")
                    break
                messages.append(r.take(size - 1))
            if not messages:
                raise BadLink("U-36: DATA without a message")
            frames.append(Frame(code, (seq, messages)))
        elif code == ACK:
            frames.append(Frame(code, (r.varint(), r.varint(), r.varint())))
        elif code in (UNRELIABLE, AUTH):
            frames.append(Frame(code, (r.take(r.varint()),)))
        elif code in (PING, PONG):
            frames.append(Frame(code, (r.take(8),)))
        elif code == AUTH_RESULT:
            frames.append(Frame(code, (r.int(1), r.int(4), r.take(r.varint()))))
        elif code == CLOSE:
            frames.append(Frame(code, (r.int(1), r.int(4), r.varint(), r.varint())))
        elif code == CLOSE_ACK:
            frames.append(Frame(code, (r.varint(),)))
        elif code == DRAIN:
            frames.append(Frame(code, (r.int(4), r.take(r.varint()).decode())))
        elif code == KEYS:
            count = r.int(1)
            if not 1 <= count <= 4:
                raise BadLink("KEYS with a count outside 1 to 4")
            frames.append(Frame(code, [(r.take(32), r.int(4)) for _ in range(count)]))
        elif code == FRAGMENT:
            seq, total, offset = r.varint(), r.varint(), r.varint()
            part = r.take(r.varint())
            if not part or offset + len(part) > total:
                raise BadLink("U-36: a fragment that is empty or longer than its message")
            frames.append(Frame(code, (seq, total, offset, part)))
        elif 0x40 <= code <= 0x7F:
            r.take(r.varint())
        else:
            raise BadLink(f"unknown frame {code:02x}")
    return frames
