"""The Noise handshakes, the key schedule and the records of docs/PROTOCOL.md (U-1 to U-3, U-12, U-26 to U-31).

Written from the document alone. Only X25519 and AES-256-GCM come from a library; HMAC and SHA-256 are Python's own.
"""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NK = b"Noise_NK_25519_AESGCM_SHA256"
NKPSK0 = b"Noise_NKpsk0_25519_AESGCM_SHA256"
MAX_PLAINTEXT = 16384
REKEY_EVERY = 65536


class BadLink(Exception):
    """The peer broke a rule or the bytes are not authentic: the link ends, the session does not."""


def hmac256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf_expand(key, info, length=32):
    """HKDF-Expand of RFC 5869; one block is all the protocol needs."""
    assert length <= 32
    return hmac256(key, info + b"\x01")[:length]


def noise_hkdf(chaining_key, material, outputs):
    temp, out, last = hmac256(chaining_key, material), [], b""
    for number in range(1, outputs + 1):
        last = hmac256(temp, last + bytes([number]))
        out.append(last)
    return out


def public_key(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519(private, public):
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # the library's word for a result of all zeros
        raise BadLink("U-3: X25519 gave zeros") from None


def nonce(number):
    return bytes(4) + struct.pack(">Q", number)


def prologue(realm, header):
    """U-2."""
    return b"unbroken/1" + bytes([len(realm)]) + realm + header


class Handshake:
    """The client's end of NK, or of NKpsk0 when a psk is given."""

    def __init__(self, server_public, realm, header, ephemeral, psk=None):
        name = NK if psk is None else NKPSK0
        self.ck = self.h = name.ljust(32, b"\x00") if len(name) <= 32 else hashlib.sha256(name).digest()
        self.key, self.n = None, 0
        self.server_public, self.ephemeral, self.psk = server_public, ephemeral, psk
        self.e = public_key(ephemeral)
        self._mix_hash(prologue(realm, header))
        self._mix_hash(server_public)

    def _mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def _mix_key(self, material):
        self.ck, self.key = noise_hkdf(self.ck, material, 2)
        self.n = 0

    def _mix_public(self, e):
        self._mix_hash(e)
        if self.psk is not None:  # Noise, section 9.2: a handshake with a psk mixes "e" into the key as well
            self._mix_key(e)

    def write(self, payload):
        """Message 1: [psk,] e, es and the sealed payload."""
        if self.psk is not None:
            self.ck, hashed, self.key = noise_hkdf(self.ck, self.psk, 3)
            self._mix_hash(hashed)
            self.n = 0
        self._mix_public(self.e)
        self._mix_key(x25519(self.ephemeral, self.server_public))
        sealed = AESGCM(self.key).encrypt(nonce(self.n), payload, self.h)
        self._mix_hash(sealed)
        return self.e + sealed

    def read(self, message):
        """Message 2: e, ee and the sealed payload, which is returned."""
        if len(message) < 48:
            raise BadLink("U-7: message 2 is too short")
        e, sealed = message[:32], message[32:]
        self._mix_public(e)
        self._mix_key(x25519(self.ephemeral, e))
        try:
            payload = AESGCM(self.key).decrypt(nonce(self.n), sealed, self.h)
        except InvalidTag:
            raise BadLink("message 2 is not authentic") from None
        self._mix_hash(sealed)
        return payload

    def split(self):
        """U-27 and U-28."""
        return Keys(hmac256(self.ck, b""), self.h)


class Keys:
    """What both ends derive from one handshake."""

    def __init__(self, prk, h):
        self.prk, self.h = prk, h
        self.client = hmac256(prk, b"\x01")
        self.server = hmac256(prk, self.client + b"\x02")
        self.rs = hkdf_expand(prk, b"unbroken/1 resumption" + h)
        self.psk = hkdf_expand(self.rs, b"unbroken/1 psk")
        self.mac1 = hkdf_expand(self.rs, b"unbroken/1 mac1")


def mac1(key, header, e):
    """U-12."""
    return hmac256(key, header + e)[:16]


def rekey(key):
    """U-30."""
    return AESGCM(key).encrypt(nonce(2**64 - 1), bytes(32), None)[:32]


class Records:
    """One direction of one link: seals or opens records, U-29 to U-31."""

    def __init__(self, key):
        self.key, self.cipher, self.number = key, AESGCM(key), 0

    def _next(self):
        number, self.number = self.number, self.number + 1
        return nonce(number)

    def _after(self):
        if self.number % REKEY_EVERY == 0:
            self.key = rekey(self.key)
            self.cipher = AESGCM(self.key)

    def seal(self, plaintext):
        assert 1 <= len(plaintext) <= MAX_PLAINTEXT
        sealed = self.cipher.encrypt(self._next(), plaintext, None)
        self._after()
        return struct.pack(">H", len(sealed)) + sealed

    def open(self, sealed):
        try:
            plaintext = self.cipher.decrypt(self._next(), sealed, None)
        except InvalidTag:
            raise BadLink("U-31: a record did not open") from None
        self._after()
        return plaintext
