"""One TCP connection that never blocks and that can be cut after a number of bytes, sent and received together."""

import select
import socket
import struct


class Link:
    def __init__(self, address, budget=None, reset=False):
        self.sock = socket.create_connection(address, timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.budget, self.reset = budget, reset
        self.inp, self.out = bytearray(), bytearray()
        self.ended = False  # by the peer, by the network or by the budget
        self.cut = False  # by the budget
        self.sent = self.received = 0
        # What the protocol keeps per link:
        self.handshake = None
        self.header = b""
        self.tx = self.rx = None
        self.auth_sent = self.close_sent = False
        self.records_in = 0

    def _allow(self, size):
        return size if self.budget is None else min(size, self.budget)

    def _spend(self, size):
        if self.budget is not None:
            self.budget -= size
            if self.budget == 0:
                self.cut = True
                self.close()

    def wait(self, seconds):
        if not self.ended:
            select.select([self.sock], [self.sock] if self.out else [], [], seconds)

    def fill(self):
        """Takes what has come."""
        while not self.ended:
            try:
                data = self.sock.recv(self._allow(65536))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                return self.close()
            self.inp += data
            self.received += len(data)
            self._spend(len(data))

    def flush(self):
        """Sends what the socket takes."""
        while self.out and not self.ended:
            try:
                count = self.sock.send(self.out[: self._allow(65536)])
            except BlockingIOError:
                return
            except OSError:
                return self.close()
            del self.out[:count]
            self.sent += count
            self._spend(count)

    def close(self):
        if not self.ended:
            self.ended = True
            if self.reset and self.cut:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
