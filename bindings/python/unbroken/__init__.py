"""Sessions that survive their connections, for asyncio.

    async with await connect("game.example:7000", ClientConfig(pins=[PIN], credential=b"ticket")) as client:
        await client.send(b"hello")
        print(await client.recv())
"""

from .client import Client, ConnectError, SendError, connect
from .core import (
    ClientConfig,
    CloseReason,
    Event,
    FailReason,
    HandoverCause,
    InternalError,
    LinkHealth,
    Message,
    NetworkHint,
    RefusalCode,
    State,
    Stats,
    UnbrokenError,
)

__all__ = [
    "Client",
    "ClientConfig",
    "CloseReason",
    "ConnectError",
    "Event",
    "FailReason",
    "HandoverCause",
    "InternalError",
    "LinkHealth",
    "Message",
    "NetworkHint",
    "RefusalCode",
    "SendError",
    "State",
    "Stats",
    "UnbrokenError",
    "connect",
]
