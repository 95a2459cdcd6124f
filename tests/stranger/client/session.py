"""A client session after docs/PROTOCOL.md: it survives its links. Single-threaded: call `step` again and again."""

import hashlib
import time
from collections import deque

import wire
from link import Link
from noise import MAX_PLAINTEXT, BadLink, Handshake, Records, mac1
from wire import Limits

ACK_MESSAGES, ACK_BYTES, ACK_DELAY = 32, 64 << 10, 0.04  # U-46
OUT_ENOUGH = 128 << 10  # no more records while so much waits for the socket


class Session:
    def __init__(self, address, pins, rng, credential=b"", realm=b"", limits=Limits(4096, 1 << 20, 1 << 20)):
        self.address, self.pins, self.realm, self.credential = address, list(pins), realm, credential
        self.limits, self.rng = limits, rng
        # What lives between the links: the session and its ratchet.
        self.id = self.handle = self.psk = self.mac1_key = None
        self.attempt = self.last_live = self.token = 0
        self.auth_result = None
        self.detached_ms = 0
        # What lives between the links: messages going out. `outbox` has what is not ACKed, from send_base on.
        self.outbox = deque()
        self.send_base = self.send_end = 0
        self.acked_bytes = 0  # payload of all messages below send_base
        self.edge_messages = self.edge_bytes = 0  # the right edges of the peer's credit, U-44
        self.peer_max = 0
        self.cursor = (0, 0)  # the next message to send on this link, and the offset within it
        self.cursor_bytes = 0  # payload of all messages below the cursor's
        # ... and messages coming in.
        self.recv_next = self.delivered = 0
        self.partial, self.partial_total = bytearray(), None
        self.arrived = deque()
        self.arrived_bytes = 0
        # This link.
        self.link = None
        self.budget = lambda: (None, False)
        self.mode = "connect"  # or "query"
        self.retry_at = 0.0
        self.ack_due, self.ack_messages, self.ack_bytes = None, 0, 0
        self.pongs_due, self.pings_due, self.unreliable_due = deque(), deque(), deque()
        self.closing = None
        # What the application sees.
        self.closed = None
        self.truncated, self.drained = False, None
        self.pongs, self.unreliable_in, self.refusals, self.close_acked = [], deque(), [], None
        self.resumes = self.cuts = self.lost_links = self.replayed = self.doubled = self.early_used = 0
        self.cut_during_flight = self.acks_in = 0
        self.furthest = 0  # the first message never sent on any link
        self.bad = []  # why links were ended by this side
        self.last_flight = b""

    # --- the application's side ------------------------------------------------------------------------------------

    def send(self, message):
        assert len(message) <= self.limits.message
        self.outbox.append(bytes(message))
        self.send_end += 1

    def unacked(self):
        return self.send_end - self.send_base

    def recv(self):
        """The next message or None. What is taken counts as delivered."""
        if not self.arrived:
            return None
        message = self.arrived.popleft()
        self.arrived_bytes -= len(message)
        self.delivered += 1
        self.ack_messages += 1
        self.ack_bytes += len(message)
        now = time.monotonic()
        if self.ack_messages >= ACK_MESSAGES or self.ack_bytes >= ACK_BYTES:
            self.ack_due = now
        elif self.ack_due is None:
            self.ack_due = now + ACK_DELAY
        return message

    def ping(self, token):
        self.pings_due.append(token)

    def send_unreliable(self, message):
        self.unreliable_due.append(message)

    def disconnect(self, code=0):
        self.closing = code

    def established(self):
        return self.link is not None and self.link.tx is not None and self.auth_result is not None

    # --- driving ---------------------------------------------------------------------------------------------------

    def step(self, wait=0.05):
        """One round: dial if there is no link, take in what came, send what may leave."""
        if self.closed is not None:
            return
        if self.link is None:
            if time.monotonic() < self.retry_at:
                return time.sleep(min(wait, 0.01))
            self._dial()
        if self.link is None:
            return
        if self.ack_due is not None:
            wait = min(wait, max(0.0, self.ack_due - time.monotonic()))
        self.link.wait(wait)
        self.link.fill()
        try:
            self._take_in()
        except BadLink as why:
            self.bad.append(str(why))
            self.drop_link()
            return
        if self.link is not None and self.closed is None:
            self._send_out()
            self.link.flush()
        if self.link is not None and self.link.ended:
            self.drop_link()

    def drop_link(self):
        """U-51: the end of a link ends no session."""
        link, self.link = self.link, None
        if link is None:
            return
        link.close()
        self.lost_links += 1
        self.cuts += link.cut
        self.cut_during_flight += link.cut and link.tx is None
        self.unreliable_due.clear()  # U-40
        self.pongs_due.clear()
        self.retry_at = max(self.retry_at, time.monotonic() + self.rng.random() * 0.004)

    def _dial(self):
        try:
            self.link = Link(self.address, *self.budget())
        except OSError:
            self.retry_at = time.monotonic() + 0.05
            return
        self.link.out += self._flight()

    # --- first flights, section 2 ----------------------------------------------------------------------------------

    def _flight(self):
        link, pin = self.link, self.pins[0]
        key_id, ephemeral = pin_id(pin), self.rng.randbytes(32)
        if self.handle is None:
            payload = wire.hello_payload(self.limits)
            link.attempt = 0
            link.header = wire.prelude(wire.HELLO, key_id, 32 + len(payload) + 16)
            link.handshake = Handshake(pin, self.realm, link.header, ephemeral)
            flight = link.header + link.handshake.write(payload)
        elif self.mode == "query":
            payload = wire.hello_payload(self.limits)
            link.attempt = self.attempt
            link.header = wire.prelude(wire.QUERY, key_id, 20 + 32 + len(payload) + 16)
            link.header += self.handle + self.attempt.to_bytes(4, "big")
            link.handshake = Handshake(pin, self.realm, link.header, ephemeral)
            flight = link.header + link.handshake.write(payload)
        else:
            self.attempt += 1  # U-13
            link.attempt = self.attempt
            payload = self._payload(self._early())
            link.header = wire.prelude(wire.RESUME, key_id, 20 + 16 + 32 + len(payload) + 16)
            link.header += self.handle + self.attempt.to_bytes(4, "big")
            link.handshake = Handshake(pin, self.realm, link.header, ephemeral, self.psk)
            message = link.handshake.write(payload)
            flight = link.header + mac1(self.mac1_key, link.header, link.handshake.e) + message
        self.last_flight = bytes(flight)
        return flight

    def _payload(self, early):
        self.recv_offset = len(self.partial)
        return wire.resume_payload(self, early)

    def _early(self):
        """U-16: un-ACKed messages from send_base on, as the credit allows."""
        self._move_cursor(self.send_base, 0)
        return self._messages(wire.EARLY_MAX)

    def _answer(self):
        """Takes the server's answer to the first flight, if it is whole."""
        link = self.link
        if len(link.inp) < 12:
            return False
        outer = bytes(link.inp[:12])
        kind, length = wire.parse_answer_prelude(outer, link.header[6:10])
        if len(link.inp) < 12 + length:
            return False
        body = bytes(link.inp[12:12 + length])
        del link.inp[:12 + length]
        if kind == wire.REFUSE:
            self._refused(*wire.parse_refuse(body))
            return False
        status, value = wire.parse_accept(link.handshake.read(body), outer)
        if status == wire.ALIVE:
            self.refusals.append("alive")
            self.mode = "connect"
            self.drop_link()
            return False
        if status != wire.OK:
            self._end(wire.STATUS[status], *value)
            return False
        if self.mode == "query" and self.handle is not None:
            raise BadLink("U-25: a QUERY answered by Ok")
        self._accepted(value)
        return True

    def _refused(self, code, retry_ms, low, high):
        self.refusals.append(code)
        if code == 4:
            self.mode = "query"  # U-24
        elif code == 3 and len(self.pins) > 1:
            self.pins.append(self.pins.pop(0))
        self.retry_at = time.monotonic() + min(retry_ms, 30000) / 1000 * (1 + self.rng.random() / 4)
        self.drop_link()

    def _accepted(self, a):
        link, first = self.link, self.handle is None
        if not first and a.id != self.id:
            raise BadLink("another session's id")
        keys = link.handshake.split()
        link.tx, link.rx = Records(keys.client), Records(keys.server)
        moved = not first and a.token != self.token
        self.id, self.handle, self.token, self.detached_ms = a.id, a.handle, a.token, a.detached_ms
        self.psk, self.mac1_key, self.last_live = keys.psk, keys.mac1, link.attempt  # U-35
        self.resumes += not first
        # U-21: what the server claims to know of us. Less than we know is normal, more means that we lost state.
        lost = a.recv_next > self.send_end or a.send_base > self.delivered
        if not lost and a.recv_next >= self.send_base and a.recv_offset:
            at = a.recv_next - self.send_base
            lost = at >= len(self.outbox) or a.recv_offset >= len(self.outbox[at])
        if moved:  # U-64: who took the session over must know as much as its owner told us
            lost = lost or a.delivered < self.send_base or a.send_end is not None and a.send_end < self.recv_next
        if lost:
            self._seal(wire.close(7, 0, self.send_end, self.delivered))
            link.flush()
            return self._end("RolledBack", 0, 0)
        early_end = self.cursor[0]
        self._acked(a.delivered)
        if a.delivered == self.send_base:
            self.edge_messages = max(self.edge_messages, a.delivered + a.limits.messages)
            self.edge_bytes = max(self.edge_bytes, self.acked_bytes + a.limits.bytes)
        self.peer_max = a.limits.message
        self.early_used += max(0, min(early_end, a.recv_next) - self.send_base)
        self.replayed += max(0, self.furthest - a.recv_next)
        if a.recv_next >= self.send_base:
            self._move_cursor(a.recv_next, a.recv_offset)
        else:  # ACKs on an older link overtook the answer
            self._move_cursor(self.send_base, 0)
        self.ack_due = time.monotonic()  # U-33, U-46

    # --- receiving, sections 3 to 6 --------------------------------------------------------------------------------

    def _take_in(self):
        link = self.link
        if link.tx is None and not self._answer():
            return
        while self.link is link and len(link.inp) >= 2:
            size = int.from_bytes(link.inp[:2], "big")
            if not 17 <= size <= 16400:
                raise BadLink("U-31: a record's length")
            if len(link.inp) < 2 + size:
                return
            sealed = bytes(link.inp[2:2 + size])
            del link.inp[:2 + size]
            frames = wire.parse_frames(link.rx.open(sealed))
            link.records_in += 1
            for frame in frames:
                self._frame(frame.code, frame.fields)
                if self.closed is not None:
                    return

    def _frame(self, code, f):
        if code == wire.DATA:
            for seq, message in enumerate(f[1], f[0]):
                self._message(seq, message)
        elif code == wire.FRAGMENT:
            self._fragment(*f)
        elif code == wire.ACK:
            self.acks_in += 1
            recv_next, messages, size = f
            if recv_next > self.send_end:
                raise BadLink("U-43: an ACK of what was never sent")
            if recv_next >= self.send_base:
                self._acked(recv_next)
                self.edge_messages = max(self.edge_messages, recv_next + messages)
                self.edge_bytes = max(self.edge_bytes, self.acked_bytes + size)
        elif code == wire.UNRELIABLE:
            self.unreliable_in.append(f[0])
        elif code == wire.PING:
            self.pongs_due.clear()  # U-41
            self.pongs_due.append(f[0])
        elif code == wire.PONG:
            self.pongs.append(f[0])
        elif code == wire.AUTH_RESULT:
            self.auth_result = f
        elif code == wire.CLOSE:
            kind, close_code, send_end, recv_next = f
            self.truncated = self.recv_next < send_end
            self._seal(bytes([wire.CLOSE_ACK]) + wire.varint(self.recv_next))
            self.link.flush()
            self._end("CLOSE", kind, close_code)
        elif code == wire.CLOSE_ACK:
            self.close_acked = f[0]
            self._end("closed by us", 0, self.closing)
        elif code == wire.DRAIN:
            self.drained = f  # U-53: when to move is the scenario's affair
        elif code == wire.KEYS:
            self.pins += [key for key, _ in f if key not in self.pins][: 16 - len(self.pins)]  # U-54
        elif code == wire.AUTH:
            raise BadLink("AUTH from a server")

    def _message(self, seq, message):
        if seq < self.recv_next:
            self.doubled += 1
            self.ack_due = time.monotonic()
            return
        if seq > self.recv_next:
            raise BadLink("U-37: a gap")
        if seq >= self.delivered + self.limits.messages or self.arrived_bytes + len(message) > self.limits.bytes:
            raise BadLink("U-44: the peer passed the credit")
        self.partial, self.partial_total = bytearray(), None
        self.arrived.append(message)
        self.arrived_bytes += len(message)
        self.recv_next += 1

    def _fragment(self, seq, total, offset, part):
        if seq < self.recv_next:
            self.ack_due = time.monotonic()
            return
        if seq > self.recv_next or offset > len(self.partial):
            raise BadLink("U-37: a gap")
        if total > self.limits.message or self.partial_total not in (None, total):
            raise BadLink("U-38: total")
        self.partial_total = total
        self.partial += part[len(self.partial) - offset:]
        if len(self.partial) == total:
            self._message(seq, bytes(self.partial))

    def _acked(self, recv_next):
        while self.send_base < recv_next:
            self.acked_bytes += len(self.outbox.popleft())
            self.send_base += 1
        if self.cursor[0] < self.send_base:
            self._move_cursor(self.send_base, 0)

    def _end(self, *why):
        self.closed = why
        self.drop_link()

    # --- sending ---------------------------------------------------------------------------------------------------

    def _move_cursor(self, seq, offset):
        self.cursor = (seq, offset)
        self.cursor_bytes = self.acked_bytes + sum(len(self.outbox[i]) for i in range(seq - self.send_base))

    def _seal(self, plaintext):
        if self.rng.random() < 0.2:  # U-32: padding is the sender's choice
            plaintext += bytes(min(-len(plaintext) % 16, MAX_PLAINTEXT - len(plaintext)))
        self.link.out += self.link.tx.seal(plaintext)

    def _send_out(self):
        if self.link.tx is None:
            return
        while len(self.link.out) < OUT_ENOUGH and (plaintext := self._record()):
            self._seal(plaintext)

    def _record(self):
        """The plaintext of the next record; empty if there is nothing to say."""
        out, link = bytearray(), self.link
        if self.auth_result is None and not link.auth_sent:  # U-42
            link.auth_sent = True
            out += wire.auth(self.credential)
        while self.pongs_due:
            out += bytes([wire.PONG]) + self.pongs_due.popleft()
        while self.pings_due and len(out) < 1000:
            out += bytes([wire.PING]) + self.pings_due.popleft()
        while self.unreliable_due and len(out) + len(self.unreliable_due[0]) + 100 < MAX_PLAINTEXT:
            out += wire.unreliable(self.unreliable_due.popleft())
        run = self._messages(MAX_PLAINTEXT - len(out) - 40)
        tail = bytearray()
        due = self.ack_due is not None and (self.ack_due <= time.monotonic() or run or out)
        if due:
            tail += wire.ack(self.delivered, self.limits.messages, self.limits.bytes)
            self.ack_due, self.ack_messages, self.ack_bytes = None, 0, 0
        if self.closing is not None and not self.outbox and not run and not link.close_sent:
            link.close_sent = True
            tail += wire.close(0, self.closing, self.send_end, self.delivered)
        if tail and self.rng.random() < 0.5:
            return bytes(out + tail) + run
        if run and run[0] == wire.DATA and tail:
            run += b"\x00"  # the end of the run: another frame follows
        return bytes(out) + run + bytes(tail)

    def _messages(self, room):
        """One run or one fragment from the cursor on, at most `room` bytes; moves the cursor."""
        seq, offset = self.cursor
        first, run, size = seq, [], 20
        while seq < self.send_end and seq < self.edge_messages:
            message = self.outbox[seq - self.send_base]
            if self.cursor_bytes + len(message) > self.edge_bytes:
                break  # U-44: a message starts only if all of it fits
            if offset or len(message) + 20 > MAX_PLAINTEXT:  # U-38: too long for any record
                if run or room < 100:
                    break
                part = message[offset:offset + room - 30]
                frame = wire.fragment(seq, len(message), offset, part)
                offset += len(part)
                if offset == len(message):
                    seq, offset = seq + 1, 0
                    self.cursor_bytes += len(message)
                self.cursor = (seq, offset)
                self.furthest = max(self.furthest, seq)
                return frame
            size += len(message) + 4
            if size > room:
                break
            run.append(message)
            self.cursor_bytes += len(message)
            seq += 1
        if not run:
            return b""
        self.cursor = (seq, 0)
        self.furthest = max(self.furthest, seq)
        return wire.data_frame(first, run)


def pin_id(public):
    """The key id, section 1."""
    return hashlib.sha256(public).digest()[:4]
