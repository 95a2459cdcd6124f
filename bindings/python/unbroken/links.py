"""The sockets of one session: each link is an asyncio transport, reported to the driver as inputs of the session."""

import asyncio

from .core import Input

#: How long a closed connection waits for the other end's FIN, in seconds.
LINGER = 1.0
#: What an address of a name has over the next one, in seconds (RFC 8305).
HEAD_START = 0.25


def host_and_port(address):
    """`[::1]:7000` has its brackets taken off. Raises ValueError."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"`{address}` is not `host:port`")
    return host, int(port)


class Link(asyncio.Protocol):
    """One connection. asyncio keeps what the socket does not take; from the first such byte on the link is blocked."""

    def __init__(self, number, report):
        self.number = number
        self._report = report
        self._transport = None
        self._dialling = None
        self._over = False
        self._lingering = None

    def dial(self, address, source, limit):
        self._dialling = asyncio.ensure_future(self._dial(address, source, limit))

    def write(self, data):
        if self._transport is None or self._over:
            return
        self._transport.write(data)
        # asyncio tells of a broken socket in a later round, and until then takes and drops whatever is written: the session would go on for all it has.
        if self._transport.is_closing():
            self._down()

    def close(self):
        """Writes what is left, sends a FIN and waits a while for the other end's; nothing is reported any more.

        Closing a socket with unread bytes would reset it, and the last words with it.
        """
        self._over = True
        if self._dialling is not None:
            self._dialling.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)
            if self._transport.get_write_buffer_size() == 0:
                self._send_fin()

    def _send_fin(self):
        # Not while something is left to write: asyncio would send it later, and log what goes wrong then.
        if self._transport.is_closing():
            return
        try:
            self._transport.write_eof()
        except OSError:
            # The other end was quicker, with an RST.
            self._transport.abort()

    async def _dial(self, address, source, limit):
        try:
            host, port = host_and_port(address)
            bound = {"local_addr": (source, 0)} if source else {}
            connecting = asyncio.get_running_loop().create_connection(lambda: self, host, port, happy_eyeballs_delay=HEAD_START, **bound)
            await asyncio.wait_for(connecting, limit)
        except Exception:
            # Refused, timed out, no such name, nonsense that a server advised: it did not come up.
            self._down()
        finally:
            self._dialling = None

    def _down(self):
        """Tells of its end. What is unsent is dropped: asyncio would keep the socket until the other end took it, which may be never."""
        if not self._over:
            self._over = True
            if self._transport is not None:
                self._transport.abort()
            self._report(Input.LINK_DOWN(link=self.number))

    # What asyncio calls.

    def connection_made(self, transport):
        if self._over:
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=0)
        self._report(Input.LINK_UP(link=self.number))

    def data_received(self, data):
        # What comes after the close is thrown away.
        if not self._over:
            self._report(Input.RECEIVED(link=self.number, bytes=data))

    def eof_received(self):
        # Not left to `connection_lost`, which comes when all is written.
        self._down()

    def pause_writing(self):
        if not self._over:
            self._report(Input.LINK_BLOCKED(link=self.number))

    def resume_writing(self):
        if self._over:
            # Not from within: asyncio would send another one.
            asyncio.get_running_loop().call_soon(self._send_fin)
        else:
            self._report(Input.LINK_WRITABLE(link=self.number))

    def connection_lost(self, exc):
        if self._lingering is not None:
            self._lingering.cancel()
        self._down()
