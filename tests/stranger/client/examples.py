"""Checks every worked example of docs/PROTOCOL.md by computing it anew: examples.py PATH_OF_THE_DOCUMENT.

The values come from the appendix, what they should be from this client's own code and from the words above each block. An
example that nothing here looks at counts as a failure, so none can be added unchecked.
"""

import re
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import noise
import wire
from wire import Limits

WINDOW = Limits(4096, 1 << 20, 1 << 20)
LOCATOR = bytes(range(0xC0, 0xC8))
SESSION = bytes(range(0xC0, 0xD0))


def read(path):
    """{(section, name): bytes} of the appendix."""
    text = open(path, encoding="utf-8").read()
    text = text.split("<!-- examples: begin -->")[1].split("<!-- examples: end -->")[0]
    values, section, name = {}, None, None
    for line in text.splitlines():
        if heading := re.match(r"### (A\.\d+) ", line):
            section = heading[1]
        elif value := re.match(r"(\S.*?)  +([0-9a-f]+)$", line):
            name = (section, value[1])
            assert name not in values, f"{name} stands there twice"
            values[name] = bytes.fromhex(value[2])
        elif more := re.match(r" {20,}([0-9a-f]+)$", line):
            values[name] += bytes.fromhex(more[1])
    return values


class Examples:
    def __init__(self, path):
        self.values, self.seen, self.failed = read(path), set(), []

    def get(self, section, name):
        self.seen.add((section, name))
        return self.values[section, name]

    def is_(self, section, name, expected):
        if self.get(section, name) != expected:
            self.failed.append(f"{section} {name}: the document has {self.get(section, name).hex()}, not {expected.hex()}")


def keys(x):
    public = noise.public_key(x.get("A.1", "server private key"))
    x.is_("A.1", "server public key", public)
    x.is_("A.1", "key id", noise.hashlib.sha256(public).digest()[:4])
    x.is_("A.1", "realm", b"example")


def flight(x, section, kind, payload, psk=None, header=b""):
    """A first flight from its payload; the handshake goes on with the answer."""
    name = {wire.HELLO: "HELLO", wire.RESUME: "RESUME", wire.QUERY: "QUERY"}[kind]
    extra = len(header) + (16 if kind == wire.RESUME else 0)
    header = wire.prelude(kind, x.get("A.1", "key id"), extra + 32 + len(payload) + 16) + header
    x.is_(section, "header", header)
    x.is_(section, "payload", payload)
    ephemeral = x.get(section, "client ephemeral private key")
    handshake = noise.Handshake(x.get("A.1", "server public key"), x.get("A.1", "realm"), header, ephemeral, psk)
    message = handshake.write(payload)
    x.is_(section, "Noise message 1", message)
    if kind == wire.RESUME:
        mac1 = noise.mac1(x.get("A.4", "mac1 key"), header, handshake.e)
        x.is_(section, "mac1", mac1)
        header += mac1
    x.is_(section, f"whole {name}", header + message)
    return handshake


def answer(x, section, handshake, payload):
    """The server's answer: its prelude, its ephemeral key, its payload as this client reads it."""
    outer = wire.prelude(wire.ACCEPT, x.get("A.1", "key id"), 32 + 12 + len(payload) + 16)
    x.is_(section, "prelude", outer)
    x.is_(section, "payload", outer + payload)
    message = x.get(section, "Noise message 2")
    if message[:32] != noise.public_key(x.get(section, "server ephemeral private key")):
        x.failed.append(f"{section}: e is not the public key of the server's ephemeral key")
    try:
        opened = handshake.read(message)
    except noise.BadLink as why:
        x.failed.append(f"{section}: {why}")
        return None
    if opened != outer + payload:
        x.failed.append(f"{section}: message 2 holds another payload")
    x.is_(section, "whole ACCEPT", outer + message)
    return wire.parse_accept(opened, outer)


def accept(handle, recv_next, delivered, address, send_end):
    body = handle + SESSION + (1).to_bytes(8, "big") + recv_next.to_bytes(8, "big") + bytes(4) + delivered.to_bytes(8, "big")
    body += b"".join(n.to_bytes(4, "big") for n in WINDOW) + (30000).to_bytes(4, "big")
    return b"\x00" + body + bytes([len(address)]) + address + bytes(8) + send_end.to_bytes(8, "big")


def derived(x, section, handshake):
    k = handshake.split()
    for name, value in {
        "ck": handshake.ck, "h": k.h, "PRK": k.prk, "k_client": k.client, "k_server": k.server, "rs": k.rs, "psk": k.psk,
        "mac1 key": k.mac1,
    }.items():
        x.is_(section, name, value)
    return k


def records(x, section, k, plaintexts):
    ciphers = {"client": noise.Records(k.client), "server": noise.Records(k.server)}
    for name, (plaintext, meaning) in plaintexts.items():
        x.is_(section, f"{name}, plaintext", plaintext)
        x.is_(section, name, ciphers[name.split()[0]].seal(plaintext))
        frames = [tuple(frame) for frame in wire.parse_frames(plaintext)]
        if frames != meaning:
            x.failed.append(f"{section} {name} reads as {frames}")


def handles(x):
    x.is_("A.6", "AES key", noise.hkdf_expand(x.get("A.1", "cluster key"), b"unbroken/1 handle"))
    for generation in (0, 1):
        block = LOCATOR + generation.to_bytes(4, "big") + bytes(4)
        aes = Cipher(algorithms.AES(x.get("A.6", "AES key")), modes.ECB()).encryptor()
        x.is_("A.6", f"block, generation {generation}", block)
        x.is_("A.6", f"handle, generation {generation}", aes.update(block) + aes.finalize())


class State:
    """What the client of A.7 knows."""

    last_live, token, recv_next, recv_offset, delivered, send_base, send_end = 0, 1, 0, 16, 0, 3, 5
    limits = WINDOW


def main(path):
    x = Examples(path)
    keys(x)
    handles(x)
    hello = wire.hello_payload(WINDOW)

    handshake = flight(x, "A.2", wire.HELLO, hello)
    x.is_("A.2", "prologue", noise.prologue(b"example", x.get("A.2", "header")))
    body = accept(x.get("A.6", "handle, generation 0"), 0, 0, b"192.0.2.1:4000", 0)
    status, a = answer(x, "A.3", handshake, body)
    if (status, a.id, a.token, a.limits, a.detached_ms, a.address, a.send_base) != (
        0, SESSION, 1, WINDOW, 30000, "192.0.2.1:4000", 0,
    ):
        x.failed.append(f"A.3 reads as {a}")
    first = derived(x, "A.4", handshake)
    ack = lambda n: wire.ack(n, WINDOW.messages, WINDOW.bytes)
    records(x, "A.5", first, {
        "client record 0": (wire.auth(b"ticket"), [(wire.AUTH, (b"ticket",))]),
        "server record 0": (
            bytes([wire.AUTH_RESULT, 0, 0, 0, 0, 0, 7]) + b"welcome", [(wire.AUTH_RESULT, (0, 0, b"welcome"))],
        ),
        "client record 1": (
            wire.data_frame(0, [b"hello", b"", b"world"]) + b"\x00" + ack(0),
            [(wire.DATA, (0, [b"hello", b"", b"world"])), (wire.ACK, (0, 4096, 1 << 20))],
        ),
        "server record 1": (ack(3).ljust(16, b"\x00"), [(wire.ACK, (3, 4096, 1 << 20))]),
        "server record 2": (
            wire.fragment(0, 20000, 0, b"0123456789abcdef"), [(wire.FRAGMENT, (0, 20000, 0, b"0123456789abcdef"))],
        ),
    })

    early = wire.data_frame(3, [b"early", b"data"])
    x.is_("A.7", "early frames", early)
    named = x.get("A.6", "handle, generation 0") + (1).to_bytes(4, "big")
    handshake = flight(x, "A.7", wire.RESUME, wire.resume_payload(State, early), first.psk, named)
    _, a = answer(x, "A.8", handshake, accept(x.get("A.6", "handle, generation 1"), 5, 3, b"", 1))
    if (a.recv_next, a.recv_offset, a.delivered) != (5, 0, 3):
        x.failed.append(f"A.8 reads as {a}")
    second = derived(x, "A.9", handshake)
    records(x, "A.10", second, {
        "client record 0": (ack(0), [(wire.ACK, (0, 4096, 1 << 20))]),
        "server record 0": (wire.fragment(0, 20000, 16, b"ghij"), [(wire.FRAGMENT, (0, 20000, 16, b"ghij"))]),
        "client record 1": (b"\x04pingpong", [(wire.PING, (b"pingpong",))]),
        "server record 1": (b"\x05pingpong", [(wire.PONG, (b"pingpong",))]),
        "client record 2": (wire.close(0, 7, 5, 0), [(wire.CLOSE, (0, 7, 5, 0))]),
        "server record 2": (b"\x09\x05", [(wire.CLOSE_ACK, (5,))]),
    })

    for name, meaning in {"not here": (4, 0, 1, 1), "busy": (1, 1000, 1, 1)}.items():
        data = x.get("A.11", name)
        kind, length = wire.parse_answer_prelude(data[:12], x.get("A.1", "key id"))
        if (kind, length, wire.parse_refuse(data[12:])) != (wire.REFUSE, 7, meaning):
            x.failed.append(f"A.11 {name} reads as {wire.parse_refuse(data[12:])}")

    sealing = noise.Records(first.client)
    sealing.number = 65535
    x.is_("A.12", "key before", first.client)
    x.is_("A.12", "plaintext", b"\x00")
    x.is_("A.12", "record 65535", sealing.seal(b"\x00")[2:])
    x.is_("A.12", "key after", sealing.key)
    x.is_("A.12", "record 65536", sealing.seal(b"\x00")[2:])

    named = x.get("A.6", "handle, generation 1") + (3).to_bytes(4, "big")
    handshake = flight(x, "A.13", wire.QUERY, hello, header=named)
    if answer(x, "A.14", handshake, b"\x02\x02" + (321).to_bytes(4, "big") + (5).to_bytes(8, "big")) != (wire.CLOSED, (2, 321)):
        x.failed.append("A.14 does not read as Closed, kicked, 321")

    for section, name in list(x.values):
        if section == "A.15":
            value, longer = int(name.split(",")[0]), "," in name
            data = x.get(section, name)
            if wire.Reader(data).varint() != value or (data == wire.varint(value)) == longer:
                x.failed.append(f"A.15 {name}: {data.hex()}")

    public = x.get("A.1", "server public key")
    for name, meaning in {
        "UNRELIABLE": [(wire.UNRELIABLE, (b"hi",))],
        "AUTH_RESULT": [(wire.AUTH_RESULT, (1, 77, b"no such ticket"))],
        "DRAIN": [(wire.DRAIN, (5000, "192.0.2.2:4000"))],
        "KEYS": [(wire.KEYS, [(public, 86400)])],
        "future": [],
    }.items():
        frames = [tuple(frame) for frame in wire.parse_frames(x.get("A.16", name))]
        if frames != meaning:
            x.failed.append(f"A.16 {name} reads as {frames}")

    for unseen in sorted(set(x.values) - x.seen):
        x.failed.append(f"{unseen}: nothing checks this example")
    if len(x.values) < 80:
        x.failed.append(f"only {len(x.values)} examples were found")
    for line in x.failed:
        print(f"FAILED  {line}")
    print(f"worked examples: {len(x.values) - len(x.failed)} passed, {len(x.failed)} failed")
    return 1 if x.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
