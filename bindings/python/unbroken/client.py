"""The client that an application holds."""

import asyncio
from numbers import Real

from .core import Event, Input, LinkHealth, Message, NetworkHint, Refusal, RefusalCode, Stats, UnbrokenError
from .driver import Driver, Outgoing
from .links import host_and_port


#: No configuration has a larger limit, and no call into the library carries 2 GiB.
LARGEST = 16 << 20


class SendError(Exception):
    """A message was not taken: `code` is a RefusalCode, the text is for people."""

    def __init__(self, refusal):
        super().__init__(refusal.text)
        self.code = refusal.code


class ConnectError(Exception):
    """The session did not come about: `event` is the Refused, Closed or HandoverFailed that says why."""

    def __init__(self, event):
        super().__init__(refusal_in_words(event) if event.is_REFUSED() else event.text)
        self.event = event


def refusal_in_words(event):
    """A server need not say anything with its refusal."""
    return event.message.decode(errors="replace") or f"refused by the server's application (code {event.code})"


async def connect(address, config, *, networks=None, connect_timeout=5.0):
    """Connects to `host:port` and waits until the session stands. Cancelling it leaves nothing behind.

    `networks` maps the numbers used in NetworkHint to local addresses, for links that are to be bound to a network.
    `connect_timeout` is for each connection, name look-up included, in seconds, or None; above `handshake_ms` of the configuration it has no effect. How long is tried in all is
    `give_up_after_ms`.

    Raises ConnectError if it was refused or given up; UnbrokenError.Config if the configuration cannot be used, UnbrokenError.Randomness if the system
    gives none; ValueError if the address is no `host:port` or the timeout no time, TypeError if it is no number.
    """
    host_and_port(address)
    if connect_timeout is not None and not isinstance(connect_timeout, Real):
        raise TypeError(f"connect_timeout is a number of seconds, or None for no limit, not {connect_timeout!r}")
    if connect_timeout is not None and not connect_timeout > 0:
        raise ValueError(f"connect_timeout: in {connect_timeout!r} s nothing can be connected; more than 0, or None for no limit")
    check_numbers(config)
    client = Client(Driver(address, config, dict(networks or {}), connect_timeout))
    try:
        await client._stands()
    except BaseException:
        client.close()
        raise
    return client


def check_numbers(config):
    """A number that does not fit into the library's is refused before it is there, and by the generated code without its name."""
    for field, value in vars(config).items():
        if isinstance(value, int) and not 0 <= value < 1 << 32:
            raise UnbrokenError.Config(1, f"configuration field `{field}`: {value} is outside 0 to {(1 << 32) - 1}")


class Client:
    """One session. All methods are for the event loop's thread; any waiting may be cancelled without loss.

    As a context manager it disconnects at the end of the block.
    """

    def __init__(self, driver):
        self._driver = driver

    async def send(self, message):
        """Sends a reliable message; waits for room. It arrives once and in order, on this connection or a later one.

        Raises SendError: too large, or the session is closed; TypeError: it is not bytes, nor like them.
        """
        refusal = await self._outgoing(Input.SEND, message)
        if refusal is not None:
            raise SendError(refusal)

    async def send_unreliable(self, message):
        """Sends a message that may be lost, at most 16,320 bytes. Says whether it was taken; it is not while no connection stands.

        Raises SendError: too large, or the session is closed; TypeError: it is not bytes, nor like them.
        """
        refusal = await self._outgoing(Input.SEND_UNRELIABLE, message)
        if refusal is not None and refusal.code in (RefusalCode.TOO_LARGE, RefusalCode.CLOSED):
            raise SendError(refusal)
        return refusal is None

    async def recv(self) -> bytes | None:
        """The next message's payload; None once the session is closed and all that had arrived was fetched."""
        message = await self.recv_message()
        return None if message is None else message.payload

    async def recv_message(self) -> Message | None:
        """As recv, with the message's number; unreliable ones have none."""
        return await self._next(self._driver.take_message)

    async def events(self):
        """What happens to the session, up to and with CLOSED; ESTABLISHED, with the session's id and what the server said to let it in, is there when
        `connect` returns. Each event goes to one reader; of those that nobody fetches the newest 256 are kept."""
        while (event := await self._next(lambda: self._driver.events.popleft() if self._driver.events else None)) is not None:
            yield event

    def __aiter__(self):
        return self

    async def __anext__(self):
        payload = await self.recv()
        if payload is None:
            raise StopAsyncIteration
        return payload

    async def disconnect(self, code=0) -> Event:
        """Ends the session: what was sent before still arrives, if a connection stands until then, at most 2 s. None is redialled for it:
        a server that hears nothing keeps the session for its life without a connection. Returns how it ended.

        Raises RuntimeError if `close` was called before."""
        if not self._driver.over():
            self._driver.happened(Input.DISCONNECT(code=code))
        return await self.closed()

    async def closed(self) -> Event:
        """Waits for the end of the session, and says how it ended.

        Raises RuntimeError if `close` was called before it ended; InternalError: a bug in the library has ended it."""
        while self._driver.closed is None:
            self._raise_if_broken()
            if self._driver.gone:
                raise RuntimeError("the client was closed without waiting, so nobody knows how the session ended")
            await self._news()
        return self._driver.closed

    def close(self):
        """Lets go of the session without waiting. The server hears of it if a connection stands."""
        self._driver.abandon()

    def network(self, hint: NetworkHint):
        """What the system says of its networks, or that the process was suspended and woke."""
        self._driver.happened(Input.NETWORK(hint=hint))

    def retry(self):
        """Tries again, after a HandoverFailed that was not final."""
        self._driver.happened(Input.RETRY())

    @property
    def health(self) -> LinkHealth:
        """What carries the session now."""
        return self._driver.health

    def stats(self) -> Stats:
        """Counters since the session began."""
        return self._driver.session.stats()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        try:
            if kind is None and not self._driver.gone:
                await self.disconnect()
        finally:
            self.close()

    # ---- inside ----

    async def _outgoing(self, make, message):
        self._raise_if_broken()
        done = asyncio.get_running_loop().create_future()
        # Not `bytes` at once, which makes five zeros of a 5.
        view = memoryview(message)
        if view.nbytes > LARGEST:
            return Refusal(input=0, code=RefusalCode.TOO_LARGE, text=f"larger than the limit of {LARGEST} bytes")
        outgoing = Outgoing(make, message if isinstance(message, bytes) else view.tobytes(), done)
        self._driver.wanted(outgoing)
        try:
            return await done
        except asyncio.CancelledError:
            # If the session has it, it is sent; else it never was.
            if outgoing in self._driver.outgoing:
                self._driver.outgoing.remove(outgoing)
            raise

    async def _next(self, take):
        while (item := take()) is None:
            self._raise_if_broken()
            if self._driver.over():
                return None
            await self._news()
        return item

    async def _news(self):
        self._driver.news.clear()
        await self._driver.news.wait()

    def _raise_if_broken(self):
        if self._driver.broken is not None:
            raise self._driver.broken

    async def _stands(self):
        while True:
            for event in self._driver.events:
                if event.is_ESTABLISHED():
                    return
                failed = event.is_HANDOVER_FAILED() and not event.is_final
                if failed or event.is_REFUSED() or event.is_CLOSED():
                    raise ConnectError(event)
            self._raise_if_broken()
            await self._news()
