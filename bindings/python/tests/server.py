"""The test server's control port (tests/bindings/server), and the numbered messages of its rounds."""

import asyncio
import os

PIN = bytes.fromhex("13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d")


class Control:
    """One connection to the control port: a proxy of its own, before what `behind` says."""

    @classmethod
    async def open(cls, behind="proxy 1 0"):
        control = cls()
        control._reader, control._writer = await asyncio.open_connection("127.0.0.1", int(os.environ["UNBROKEN_CONTROL"]))
        control.address = "127.0.0.1:" + await control.ask(behind)
        return control

    async def ask(self, command):
        self._writer.write(command.encode() + b"\n")
        answer = (await asyncio.wait_for(self._reader.readline(), 120)).decode().strip()
        if not answer or answer.startswith("error"):
            raise AssertionError(f"{command}: {answer}")
        return answer

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


def numbered(number):
    filler = number * 7919 % 600
    return number.to_bytes(8, "big") + bytes((number * 31 + i) % 256 for i in range(filler))
