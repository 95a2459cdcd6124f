"""What the client does to the server, one function per scenario. Each returns a line to print, or raises.

The payload of a reliable message begins with its number, so that the server can check the order too; the rest is drawn from
the seed. The server sends each message back; `Traffic` compares the echoes with what was sent, byte for byte.
"""

import time
from collections import deque
from types import SimpleNamespace

import wire
from noise import Handshake, rekey
from session import Session, pin_id
from wire import Limits

REALM, TICKET = b"stranger", b"ticket of the stranger"


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def session(run, limits=Limits(4096, 1 << 20, 1 << 20), ticket=TICKET, pins=None):
    return Session(run.server.address, pins or [run.server.public], run.rng, ticket, REALM, limits)


def until(s, condition, what, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"timed out: {what}; closed {s.closed}, bad {s.bad}")
        check(s.closed is None, f"closed {s.closed} before: {what}")
        s.step(0.02)


def ended(s, seconds=10.0):
    end = time.monotonic() + seconds
    while s.closed is None:
        check(time.monotonic() < end, f"the session did not end; bad {s.bad}")
        s.step(0.02)
    return s.closed


def up(run, **kwargs):
    s = session(run, **kwargs)
    until(s, s.established, "the first connect")
    return s


class Traffic:
    """Numbered messages out, their echoes in."""

    def __init__(self, run, s):
        self.rng, self.s, self.expected = run.rng, s, deque()
        self.sent = self.back = 0

    def send(self, size):
        message = self.sent.to_bytes(8, "big") + self.rng.randbytes(max(0, size - 8))
        self.s.send(message)
        self.expected.append(message)
        self.sent += 1

    def take(self):
        while (message := self.s.recv()) is not None:
            check(self.expected, f"an echo more than was sent (after {self.back})")
            want = self.expected.popleft()
            if message != want:
                number = int.from_bytes(message[:8], "big")
                kind = "lost" if number > self.back else "doubled" if number < self.back else "damaged"
                raise Failed(f"echo {self.back} is {number}: {kind}")
            self.back += 1

    def finish(self, seconds=20.0):
        def done():
            self.take()
            return self.back == self.sent

        until(self.s, done, f"echoes: {self.back} of {self.sent}", seconds)


def goodbye(s, code=5):
    """U-48: everything ACKed, CLOSE, CLOSE_ACK."""
    s.disconnect(code)
    ended(s)
    check(s.closed == ("closed by us", 0, code), f"ended as {s.closed}")
    check(s.close_acked == s.send_end, f"CLOSE_ACK says {s.close_acked}, sent {s.send_end}")


# --- first connect -------------------------------------------------------------------------------------------------

def first_connect(run):
    s = up(run)
    check(s.auth_result == (0, 0, b"welcome"), f"AUTH_RESULT {s.auth_result}")
    check(len(s.id) == 16 and s.detached_ms == 30000, "id or detached_ms")
    t = Traffic(run, s)
    for size in (8, 9, 100, 16000):
        t.send(size)
    t.finish()
    goodbye(s)
    return "HELLO, AUTH, 4 echoes, CLOSE and CLOSE_ACK"


def wrong_ticket(run):
    s = session(run, ticket=b"stolen")
    ended(s)
    check(s.auth_result == (1, 77, b"no such ticket"), f"AUTH_RESULT {s.auth_result}")
    check(s.closed[:2] == ("CLOSE", 4), f"ended as {s.closed}")
    return "verdict 1, then CLOSE of kind 4"


def ping_and_unreliable(run):
    s = up(run)
    tokens = [run.rng.randbytes(8) for _ in range(5)]
    for token in tokens:
        s.ping(token)
        until(s, lambda: token in s.pongs, "PONG")
    s.ping(b"many-one"), s.ping(b"many-two")
    until(s, lambda: b"many-two" in s.pongs, "PONG for the last")
    sizes = [0, 1, 50, 16000]
    for size in sizes:
        s.send_unreliable(bytes(size))
    until(s, lambda: len(s.unreliable_in) == 4, "unreliable echoes")
    check([len(m) for m in s.unreliable_in] == sizes, "unreliable sizes")
    goodbye(s)
    return "7 PINGs, 4 unreliable messages there and back"


def one_mebibyte(run):
    s = up(run)
    t = Traffic(run, s)
    for size in (1 << 20, 8, 16384, 16385, 1 << 20, 40000):
        t.send(size)
    t.finish()
    goodbye(s)
    return "two messages of 1 MiB there and back in fragments"


# --- ACKs and credit -----------------------------------------------------------------------------------------------

def server_acks(run):
    s = up(run)
    t = Traffic(run, s)
    for tries in range(1, 6):
        t.send(10)
        start = time.monotonic()
        until(s, lambda: s.send_base == tries, "the ACK of one message")
        took = time.monotonic() - start
        t.finish()
        if took < 1.0:
            break  # one of them may have waited for a busy machine, not all
    check(took < 1.0, f"an ACK took {took:.3f} s, as did those before; U-46 says 40 ms")
    # Not delivered is not ACKed.
    acks = s.acks_in
    run.server.tell("hold", 1)
    for _ in range(100):
        t.send(10)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        s.step(0.02)
    s.drop_link()  # after a handover an ACK comes at once, and so do doubles of what is there
    until(s, lambda: s.resumes == 1 and s.acks_in > acks, "the ACK after the handover")
    check(s.send_base == tries, f"ACKed up to {s.send_base} while the application took nothing")
    run.server.tell("hold", 0)
    t.finish()
    until(s, lambda: s.unacked() == 0, "the last ACK")
    goodbye(s)
    return f"an ACK after {took * 1000:.0f} ms, none of what was not delivered"


def client_credit(run):
    """The server's window is used up while its application takes nothing: then the client must stop by itself."""
    s = up(run)
    run.server.tell("hold", 1)
    t = Traffic(run, s)
    for _ in range(5000):
        t.send(10)
    until(s, lambda: s.cursor[0] == s.edge_messages, "the window is used up")
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        s.step(0.02)
    sent = s.cursor[0]
    check(sent == s.edge_messages < 5000, f"sent {sent}, credit {s.edge_messages}")
    run.server.tell("cut")  # the same credit again after a resume
    until(s, lambda: s.resumes == 1 and s.established(), "the resume")
    run.server.tell("hold", 0)
    t.finish()
    goodbye(s)
    return f"stopped at {sent} messages, went on after a resume; {s.early_used} came as early data"


def server_credit(run):
    """A small window of ours: the server must never pass it, however much it has (Session raises if it does)."""
    s = up(run, limits=Limits(7, 70000, 65536))
    t = Traffic(run, s)
    for size in [9, 60000, 12, 20000, 20000, 20000, 20000] + [8] * 60:
        t.send(size)
    stalled = 0
    for _ in range(2000):
        s.step(0.005)
        if len(s.arrived) == 7 or s.arrived_bytes > 50000:
            stalled += 1
            t.take()  # only now do we deliver, and so give credit
        if t.back == t.sent:
            break
        if s.arrived and not s.link.inp:
            t.take()
    check(t.back == t.sent and not s.bad, f"{t.back} of {t.sent}, bad {s.bad}")
    check(stalled > 3, f"the window was full only {stalled} times")
    goodbye(s)
    return f"a window of 7 messages filled {stalled} times and never passed"


# --- handovers -----------------------------------------------------------------------------------------------------

def many_cuts(run):
    """The main thing: thousands of messages both ways over links that both ends cut at random bytes."""
    s = up(run)
    before = run.server.tell("budget", 200, 250000)
    rng, t = run.rng, Traffic(run, s)
    spans = [(1, 300), (300, 1500), (1000, 30000), (5000, 150000), (50000, 400000)]
    s.budget = lambda: (rng.randint(*rng.choice(spans)), rng.random() < 0.5)
    s.link.budget = 40000
    total, big = run.messages, 5
    end = time.monotonic() + 40
    while t.back < total:
        check(time.monotonic() < end, f"{t.back} of {total} echoes after 40 s, {s.lost_links} links")
        check(s.closed is None, f"closed {s.closed}")
        while t.sent < total and s.unacked() < 500:
            if t.sent % (total // big) == total // big - 1:
                t.send(1 << 20)
            else:
                t.send(rng.choice((8, 20, 100, 1000, 5000)))
        s.step(0.02)
        if rng.random() < 0.9:
            t.take()
    after = run.server.tell("budget", 0, 0)
    s.budget = lambda: (None, False)
    run.server.tell("cut")
    until(s, s.established, "a last resume")
    got = run.server.tell("report")
    goodbye(s)
    server_cuts = after["cuts"] - before["cuts"]
    received = got["received"] - before["received"]
    check(received == total, f"the server received {received} of {total}")
    check(got["wrong"] == before["wrong"], f"the server saw {got['wrong']} wrong numbers")
    check(not s.bad, f"links ended by this client: {s.bad}")
    check(s.cuts + server_cuts >= 50, f"only {s.cuts} + {server_cuts} cuts")
    check(s.cut_during_flight >= 5, f"only {s.cut_during_flight} cuts within the flights")
    check(s.replayed > 0 and s.early_used > 0 and s.resumes >= 30, "no replay, no early data or hardly a resume")
    run.cuts += s.cuts + server_cuts
    run.echoed += total
    return (
        f"{total} messages each way, lost 0, doubled 0, reordered 0; {s.cuts} cuts by the client "
        f"({s.cut_during_flight} within a flight or its answer), {server_cuts} by the server; {s.resumes} resumes, "
        f"{s.replayed} messages sent again, {s.early_used} taken from early data, {s.doubled} doubles dropped"
    )


def lost_accept(run):
    """The client never sees ACCEPT: it resumes again under the older generation, and nothing is doubled."""
    s, cut = up(run), 0
    t = Traffic(run, s)
    for round_ in range(12):
        for _ in range(20):
            t.send(100)
        resumes, attempt = s.resumes, s.attempt
        s.drop_link()
        s.retry_at = 0
        s.budget = lambda: (s_flight_size(s) + round_ * 12, False)  # ends within the ACCEPT
        until(s, lambda: s.lost_links > cut * 2 + 1, "the cut")
        cut += 1
        check(s.resumes == resumes, "the link carried an ACCEPT after all")
        s.budget = lambda: (None, False)
        until(s, lambda: s.resumes > resumes, "the next resume")
        check(s.last_live == s.attempt == attempt + 2, f"attempts {attempt} {s.attempt} {s.last_live}")
        t.take()
    t.finish()
    goodbye(s)
    run.cuts += cut
    return f"{cut} ACCEPTs cut off at various bytes, each followed by a good resume"


def s_flight_size(s):
    """The bytes of the RESUME that the session would send now; the session itself is left as it is."""
    cursor, at = s.cursor, s.cursor_bytes
    size = 12 + 20 + 16 + 32 + 62 + len(s._early()) + 16
    s.cursor, s.cursor_bytes = cursor, at
    return size


def lost_first_record(run):
    """The link of the HELLO breaks right behind the ACCEPT, before anything could confirm it: the session stands."""
    s = session(run)
    s.send(bytes(8) + b"early data of a session without a verdict")
    s.budget = lambda: (12 + 66 + 12 + 48 + 106, False)  # the HELLO and the ACCEPT, and not a byte more
    until(s, lambda: s.lost_links == 1, "the cut")
    check(s.handle is not None, "the ACCEPT came whole")
    s.budget = lambda: (None, False)
    until(s, s.established, "a resume under the first handle")
    check(s.resumes == 1, f"{s.resumes} resumes")
    until(s, lambda: s.recv() is not None, "the echo")
    goodbye(s)
    run.cuts += 1
    return "resumed under the handle of an ACCEPT that was never confirmed, AUTH on the second link"


# --- refusals and ends ---------------------------------------------------------------------------------------------

def hello(run, version=1, key_id=None, kind=wire.HELLO, flags=0, cut=None):
    payload = wire.hello_payload(Limits(10, 1 << 20, 1 << 20))
    header = bytearray(wire.prelude(kind, key_id or pin_id(run.server.public), 48 + len(payload), version))
    header[5] = flags
    flight = bytes(header) + Handshake(run.server.public, REALM, bytes(header), run.rng.randbytes(32)).write(payload)
    return flight[:cut]


def damaged(flight):
    """With its last byte changed: to write a certain value there would change nothing in one of 256."""
    return flight[:-1] + bytes([flight[-1] ^ 1])


def refusals(run):
    raw, public = run.server.raw, run.server.public
    answer = raw(hello(run, version=9))
    check(answer[:6] == b"UNB\x01\x04\x00" and wire.parse_refuse(answer[12:])[0] == 2, f"version 9: {answer}")
    check(wire.parse_refuse(answer[12:])[2:] == (1, 1), "the server's range")
    answer = raw(hello(run, key_id=b"none"))
    check(answer[6:12] == b"none\x00\x07" and wire.parse_refuse(answer[12:])[0] == 3, f"unknown key: {answer}")
    for name, data in {
        "magic": b"BNU" + hello(run)[3:], "type 9": hello(run, kind=9), "flags": hello(run, flags=1),
        "ACCEPT to a server": hello(run, kind=wire.ACCEPT), "type and version unknown": hello(run, kind=9, version=9),
        "short HELLO": wire.prelude(wire.HELLO, pin_id(public), 65) + bytes(65),
        "long HELLO": wire.prelude(wire.HELLO, pin_id(public), 2049),
        "empty": wire.prelude(wire.HELLO, pin_id(public), 0),
        "damaged HELLO": damaged(hello(run)),
        "zero point": hello(run)[:12] + bytes(32) + hello(run)[44:],
        "HTTP": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    }.items():
        answer = raw(data)
        check(answer == b"", f"{name}: expected the end without a byte, got {answer}")
    s = up(run, pins=[bytes(31) + b"\x09", public])  # an unknown key first: REFUSE 3, then the other pin
    check(s.refusals == [3], f"refusals {s.refusals}")
    goodbye(s)
    return "codes 2 and 3 as REFUSE, 11 bad flights without an answer, the second pin after code 3"


def recorded_flights(run):
    """RESUMEs that were recorded, or made up by somebody without the keys, do nothing to the session."""
    s = up(run)
    t = Traffic(run, s)
    t.send(50)
    t.finish()
    recorded = forge(s)  # good, but never sent on the session's own link
    s.attempt -= 1
    for name, flight in {
        "another mac1": recorded[:32] + bytes(16) + recorded[48:],
        "a higher attempt": recorded[:31] + bytes([recorded[31] + 9]) + recorded[32:],
        "another e": recorded[:48] + bytes([recorded[48] ^ 1]) + recorded[49:],
        "a damaged payload": damaged(recorded),
    }.items():
        answer = run.server.raw(flight)
        check(answer == b"", f"{name}: expected the end without a byte, got {answer}")
    t.send(50)
    t.finish()
    check(s.lost_links == 0, "a forgery disturbed the session's own link")
    # A flight whose attempt was accepted already; its ACCEPT was lost, so its handle is still a good one.
    s.drop_link()
    twice = forge(s)
    check(run.server.raw(twice, enough=12)[4:5] == b"\x02", "a good RESUME gets no ACCEPT")
    check(run.server.raw(twice) == b"", "an attempt was accepted twice")
    until(s, s.established, "a resume after that")
    t.send(50)
    t.finish()
    # A recorded flight of a generation that both ends have left.
    for flight in (recorded, twice):
        answer = run.server.raw(flight)
        check(answer[4:5] == b"\x04" and wire.parse_refuse(answer[12:])[0] == 4, f"a left generation: {answer}")
    t.send(50)
    t.finish()
    check(s.lost_links == 1 and not s.bad, f"the session's own link was disturbed: {s.bad}")
    goodbye(s)
    return "forged RESUMEs get no byte, recorded ones none or REFUSE 4; the session goes on"


def forge(s):
    """The RESUME that the session would send now, without sending it."""
    link, s.link = s.link, SimpleNamespace()
    flight = s._flight()
    s.link = link
    s._move_cursor(s.send_end, 0)
    return bytes(flight)


def rolled_back(run):
    """An authentic RESUME whose counts cannot be: U-17."""
    s = up(run)
    t = Traffic(run, s)
    for _ in range(5):
        t.send(30)
    t.finish()
    s.drop_link()
    s.token += 1000
    ended(s)
    check(s.closed[0] == "RolledBack", f"ended as {s.closed}")
    # The other way round: this end forgot what it sent. It says so by CLOSE of kind 7, and the server remembers (U-21).
    s = up(run)
    t = Traffic(run, s)
    for _ in range(5):
        t.send(30)
    t.finish()
    s.drop_link()
    s.outbox.clear()
    s.send_base = s.send_end = s.acked_bytes = 0
    ended(s)
    check(s.closed[0] == "RolledBack", f"ended as {s.closed}")
    wait_links(run, 0)
    s.closed, s.mode = None, "query"
    ended(s)
    check(s.closed[0] == "RolledBack" and run.server.tell("report")["sessions"] == 0, f"QUERY: ended as {s.closed}")
    return "a lost state on either end ends the session as RolledBack on both"


def bad_resumes(run):
    """Authentic RESUMEs that are malformed: the link ends without a byte, the session does not (U-7, U-9, U-11, U-16)."""
    s = up(run)
    t = Traffic(run, s)
    t.send(50)
    t.finish()
    s.drop_link()
    whole = s._payload(b"")
    bad = {
        "min_version over max_version": b"\x02\x01" + whole[2:],
        "a version outside the range": b"\x02\x02" + whole[2:],
        "delivered over recv_next": whole[:26] + (99).to_bytes(8, "big") + whole[34:],
        "a window of 0 messages": whole[:50] + bytes(4) + whole[54:],
        "a window below max_message": whole[:54] + (5).to_bytes(4, "big") + whole[58:],
        "an ACK among early frames": whole + b"\x02\x00\x10\x10",
        "frame 40 among early frames": whole + b"\x40\x00",
        "early frames with a gap": whole + b"\x01\x32\x02a",
    }
    for name, payload in bad.items():
        s._payload = lambda early: payload
        answer = run.server.raw(forge(s))
        check(answer == b"", f"{name}: {answer}")
    del s._payload
    until(s, s.established, "a good RESUME")
    t.send(50)
    t.finish()
    goodbye(s)
    return f"{len(bad)} malformed RESUMEs, each without an answer and without harm"


def queries(run):
    # Alive: the client asks although nothing is wrong.
    s = up(run)
    s.drop_link()
    s.mode = "query"
    until(s, s.established, "a resume after the answer Alive")
    check(s.refusals == ["alive"], f"refusals {s.refusals}")
    # Closed: the server ended the session while the client was away.
    s.drop_link()
    wait_links(run, 0)
    run.server.tell("kick", 321)
    ended(s)
    check(s.closed == ("Closed", 2, 321), f"ended as {s.closed}")
    s.closed, s.mode = None, "query"
    ended(s)
    check(s.closed == ("Closed", 2, 321), f"QUERY: ended as {s.closed}")
    # Unknown: a server without memory refuses (code 4), and the QUERY after it is authentic.
    s = up(run)
    run.server.tell("restart")
    ended(s)
    check(s.closed[0] == "Unknown" and s.refusals[-1] == 4, f"ended as {s.closed} after {s.refusals}")
    return "Alive, Closed with kind and code, REFUSE 4 and then Unknown"


def wait_links(run, count):
    end = time.monotonic() + 20
    while run.server.tell("report")["links"] != count:
        check(time.monotonic() < end, f"the server does not come to {count} links")
        time.sleep(0.005)


def vetoed(run):
    s = up(run)
    run.server.tell("veto", 99)
    s.drop_link()
    ended(s)
    run.server.tell("veto", 0)
    check(s.closed == ("Refused", 0, 99), f"ended as {s.closed}")
    return "a resume that the server's application refuses ends with status 5 and its code"


def server_closes(run):
    s = up(run)
    t = Traffic(run, s)
    for _ in range(10):
        t.send(100)
    t.finish()
    run.server.tell("close", 1234)
    ended(s)
    check(s.closed == ("CLOSE", 0, 1234) and not s.truncated, f"ended as {s.closed}, truncated {s.truncated}")
    s = up(run)
    run.server.tell("kick", 4321)
    ended(s)
    check(s.closed == ("CLOSE", 2, 4321), f"ended as {s.closed}")
    wait_links(run, 0)
    return "CLOSE of kinds 0 and 2 from the server"


def two_links(run):
    """The second link is confirmed: the server closes the first with kind 3; that ends no session."""
    s = up(run)
    old, s.link = s.link, None
    until(s, s.established, "the second link")
    t = Traffic(run, s)
    t.send(100)
    t.finish()
    end = time.monotonic() + 5
    frames = []
    while not old.ended and time.monotonic() < end:
        old.wait(0.02)
        old.fill()
    while len(old.inp) >= 2:
        size = int.from_bytes(old.inp[:2], "big")
        frames += wire.parse_frames(old.rx.open(bytes(old.inp[2:2 + size])))
        del old.inp[:2 + size]
    closes = [f.fields for f in frames if f.code == wire.CLOSE]
    check(old.ended, "the old link stayed open")
    check(len(closes) == 1 and closes[0][0] == 3, f"on the old link: {frames}")
    t.send(100)
    t.finish()
    goodbye(s)
    return "CLOSE of kind 3 on the older link only"


def drain_and_keys(run):
    """DRAIN moves the client to another link with nothing lost; KEYS adds a pin."""
    s = up(run)
    t = Traffic(run, s)
    run.server.tell("drain", 50, f"{run.server.address[0]}:{run.server.address[1]}")
    run.server.tell("keys", 66, 3600)
    until(s, lambda: s.drained and len(s.pins) == 2, "DRAIN and KEYS")
    window_ms, address = s.drained
    check((window_ms, address) == (50, "%s:%d" % run.server.address), f"DRAIN says {s.drained}")
    check(s.pins[1] == bytes([66]) * 32, "KEYS has another key")
    for _ in range(50):
        t.send(100)
    old, s.link = s.link, None  # at a moment within the window: a second link first, the old one afterwards
    time.sleep(run.rng.random() * window_ms / 1000)
    until(s, s.established, "the second link")
    t.finish()
    old.close()
    goodbye(s)
    return "told to move, moved with 50 messages on their way; one more pin"


def malformed(run):
    """Each of these ends the link and never the session."""
    bad = {
        "PAD with a one": b"\x00\x01", "DATA without a message": b"\x01\x00\x00", "DATA that is only a number": b"\x01\x00",
        "long zero": b"\x01\x00\x02a\x40\x00", "message past the end": b"\x01\x00\x20abc",
        "empty FRAGMENT": b"\x0c\x00\x05\x00\x00", "FRAGMENT over its total": b"\x0c\x00\x05\x03\x03abc",
        "a gap": b"\x01\x32\x02a", "number 2^62 - 1": b"\x01" + b"\xff" * 8 + b"\x02a", "ACK of the future": b"\x02\x3f\x10\x10",
        "FRAGMENT gap": b"\x0c\x00\x05\x01\x01a", "unknown frame": b"\x0d\x00", "frame 80": b"\x80\x00",
        "CLOSE of kind 8": b"\x08\x08" + bytes(6), "KEYS with 0": b"\x0b\x00", "KEYS with 5": b"\x0b\x05" + bytes(36 * 5),
        "verdict 2": b"\x07\x02" + bytes(5), "long AUTH": b"\x06\x60\x01" + bytes(0x2001),
        "a record that does not open": None,
    }
    s = up(run)
    t = Traffic(run, s)
    for count, (name, plaintext) in enumerate(bad.items()):
        if plaintext is None:
            s.link.out += b"\x00\x20" + bytes(32)
        else:
            s.link.out += s.link.tx.seal(plaintext)
        until(s, lambda: s.lost_links == count + 1, f"the end of the link after {name}")
        until(s, s.established, f"the resume after {name}")
    # These are well formed, if odd, and change nothing.
    lost = s.lost_links
    for plaintext in (b"\x00", bytes(16384), b"\x40\x03abc", b"\x7f\x00\x05" + bytes(8), b"\x02\x40\x00\x10\x10"):
        s.link.out += s.link.tx.seal(plaintext)
    t.send(500)
    t.finish()
    check(s.lost_links == lost, "a good record ended the link")
    goodbye(s)
    return f"{len(bad)} bad records, each ends its link and no session"


def rekey_up(run):
    """More than 65536 records from the client on one link."""
    s = up(run)
    t = Traffic(run, s)
    key = s.link.tx.key
    while s.link.tx.number < 66500:
        for _ in range(50):
            s.send_unreliable(b"")
            s._seal(wire.unreliable(b"x"))
        s.unreliable_due.clear()
        s.link.wait(0)
        s.step(0)
        s.unreliable_in.clear()
        check(s.lost_links == 0, "the link was lost")
    check(s.link.tx.key == rekey(key), "one REKEY")
    t.send(1000)
    t.finish()
    check(s.lost_links == 0, "the link was lost")
    goodbye(s)
    return "66500 records from the client on one link"


def rekey_down(run):
    """More than 65536 records from the server on one link."""
    s = up(run)
    t = Traffic(run, s)
    key = s.link.rx.key
    run.server.process.stdin.write("flood 66500\n")
    run.server.process.stdin.flush()
    until(s, lambda: s.link.records_in > 66500, "66500 records", 20)
    run.server.process.stdout.readline()
    numbers = [int.from_bytes(m, "big") for m in s.unreliable_in]
    check(numbers == sorted(set(numbers)), "unreliable messages doubled or out of order")
    check(s.link.rx.key == rekey(key), "one REKEY")
    t.send(1000)
    t.finish()
    check(s.lost_links == 0, "the link was lost")
    goodbye(s)
    return f"over {len(numbers)} records from the server on one link"


ALL = [
    first_connect, lost_first_record, wrong_ticket, ping_and_unreliable, one_mebibyte, server_acks, client_credit,
    server_credit, lost_accept, many_cuts, refusals, recorded_flights, bad_resumes, rolled_back, queries, vetoed,
    server_closes, two_links, drain_and_keys, malformed, rekey_up, rekey_down,
]
