"""The package against the tokio server, over TCP on loopback, through the fault proxy."""

import asyncio
import contextlib
import gc
import itertools
import os
import resource
import select
import socket
import struct
import unittest
import unittest.mock

from server import PIN, Control, numbered
from unbroken import (
    ClientConfig,
    CloseReason,
    ConnectError,
    Event,
    FailReason,
    HandoverCause,
    LinkHealth,
    NetworkHint,
    RefusalCode,
    SendError,
    UnbrokenError,
    connect,
)
from unbroken.core import Input
from unbroken.links import Link

names = (f"python-{number}" for number in itertools.count())


def config(name, **more):
    return ClientConfig(pins=[PIN], realm="bindings", credential=name.encode(), **{"backoff_base_ms": 10, "backoff_cap_ms": 100, **more})


#: How long what must happen is waited for, in seconds: a machine may be busy.
PATIENCE = 120


async def until(condition, what):
    for _ in range(PATIENCE * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"timed out: {what}")


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def black_hole(port):
    """127.0.0.2 takes no connections to that port and does not say so: its queue is full."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.2", port), backlog=1))
        fillers = [open_sockets.enter_context(socket.socket()) for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        _, standing, _ = select.select([], fillers, [], 0)
        assert len(standing) < len(fillers), "all connections were taken"
        yield


def resident_kib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


class Rounds:
    """Plays rounds with the server: both send numbered messages at once, both check."""

    def __init__(self, control, client):
        self.control, self.client = control, client
        self.handovers = self.moved = self.cuts = 0
        self.watching = asyncio.ensure_future(self.watch())

    async def watch(self):
        async for event in self.client.events():
            if event.is_HANDOVER_END():
                self.handovers += 1
                self.moved += not event.same_server

    async def cut(self):
        before = self.handovers
        self.cuts = int(await self.control.ask("cut"))
        await until(lambda: self.handovers > before, "a handover after a cut")

    async def cut_until(self, enough):
        """An order that comes between two links cuts none, and one handover may answer two cuts: some more, then."""
        while min(self.cuts, self.handovers) < enough:
            await self.cut()

    async def play(self, count, cuts):
        """Cuts all links so many times in the middle, each time after the handover of the last one."""
        await self.client.send(b"pour %d" % count)
        sending = asyncio.ensure_future(self.send(count))
        for number in range(count):
            message = await asyncio.wait_for(self.client.recv(), PATIENCE)
            assert message == numbered(number), f"message {number} is another: lost, doubled or moved"
            if cuts and number % (count // cuts) == count // cuts // 2:
                await self.cut()
        await sending
        verdict = await asyncio.wait_for(self.client.recv(), PATIENCE)
        assert verdict == b"verdict %d 0" % count, verdict

    async def send(self, count):
        for number in range(count):
            await self.client.send(numbered(number))


class Tests(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # unittest switches it on, which takes most of the time.
        asyncio.get_running_loop().set_debug(False)
        self.name = next(names)
        self.control = await Control.open()

    async def asyncTearDown(self):
        await self.control.close()

    async def behind(self, what):
        await self.control.close()
        self.control = await Control.open(what)

    async def connected_in_a_second(self):
        """With little time for it, until a busy machine had enough."""
        for _ in range(100):
            try:
                return await self.connected(give_up_after_ms=1000)
            except ConnectError as error:
                self.assertEqual(error.event.reason, FailReason.GAVE_UP)
        self.fail("given up each time")

    async def connected(self, **more):
        return await connect(self.control.address, config(self.name, **more))

    async def test_10000_messages_both_ways_survive_50_cuts(self):
        await self.behind("proxy 5 400")
        client = await self.connected()
        rounds = Rounds(self.control, client)
        await rounds.play(10_000, 50)
        await rounds.cut_until(50)
        # A goodbye that the network swallows is told by expiry only: the last faults go with the links they are on.
        await self.control.ask("calm")
        await rounds.cut()
        await client.send(b"are you there?")
        self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"are you there?")
        end = await client.disconnect(3)
        self.assertEqual((end.reason, end.code), (CloseReason.LOCAL, 3))
        self.assertEqual(await self.control.ask(f"end {self.name}"), "Peer { code: 3, truncated: false }")
        self.assertGreaterEqual(rounds.cuts, 50)
        self.assertGreaterEqual(rounds.handovers, 50)
        self.assertGreaterEqual(client.stats().replayed_messages, 50)

    async def test_10000_messages_both_ways_survive_50_cuts_and_four_servers_that_leave(self):
        await self.behind("cluster 7 400")
        client = await self.connected()
        rounds = Rounds(self.control, client)
        # So many are under way: each is echoed, and what a server owes must fit its limits.
        ahead = 500
        for number in range(ahead):
            await client.send(numbered(number))
        for number in range(10_000):
            message = await asyncio.wait_for(client.recv(), PATIENCE)
            self.assertEqual(message, numbered(number), f"message {number} is another: lost, doubled or moved")
            if number + ahead < 10_000:
                await client.send(numbered(number + ahead))
            if number % 200 == 100:
                await rounds.cut()
            if number % 2500 == 1250:
                await self.control.ask("takeover")
        await rounds.cut_until(50)
        await client.send(b"verdict")
        self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"verdict 10000 0")
        await client.disconnect()
        await rounds.watching
        restored = int(await self.control.ask("restored"))
        # A move may be hidden from the client: when it is cut again before it knows.
        self.assertGreaterEqual(restored, 4)
        self.assertGreaterEqual(rounds.moved, 1)
        self.assertGreaterEqual(min(rounds.cuts, rounds.handovers), 50)
        print(f"cuts {rounds.cuts}, handovers {rounds.handovers}, restored {restored}, moves seen {rounds.moved}, replayed {client.stats().replayed_messages}", end=" ")

    async def test_a_disconnect_ends_it_at_both_ends_and_never_reconnects(self):
        client = await self.connected()
        await client.send(b"last words")
        await until(lambda: client.stats().received_messages == 1, "the echo")
        await client.disconnect(9)
        self.assertEqual(await self.control.ask(f"end {self.name}"), "Peer { code: 9, truncated: false }")
        self.assertEqual(await client.recv(), b"last words")
        self.assertIsNone(await client.recv())
        with self.assertRaises(SendError) as raised:
            await client.send(b"too late")
        self.assertEqual(raised.exception.code, RefusalCode.CLOSED)
        links = await self.control.ask("links")
        await asyncio.sleep(0.5)
        self.assertEqual(await self.control.ask("links"), links)

    async def test_whoever_waits_for_the_end_of_a_closed_client_is_told_and_does_not_hang(self):
        client = await self.connected()
        waiting = asyncio.ensure_future(client.closed())
        await asyncio.sleep(0.05)
        client.close()
        for wait in (waiting, client.closed()):
            with self.assertRaises(RuntimeError):
                await asyncio.wait_for(wait, PATIENCE)
        async with await self.connected() as other:
            other.close()

    async def test_a_session_that_expired_says_so(self):
        await self.behind("hasty")
        client = await self.connected()
        await self.control.ask("refuse on")
        await self.control.ask("cut")
        self.assertEqual(await self.control.ask(f"end {self.name}"), "Expired")
        await self.control.ask("refuse off")
        end = await asyncio.wait_for(client.closed(), PATIENCE)
        self.assertEqual(end.reason, CloseReason.EXPIRED)
        failed = [event async for event in client.events() if event.is_HANDOVER_FAILED()]
        self.assertEqual([(event.reason, event.is_final) for event in failed], [(FailReason.EXPIRED, True)])

    async def test_given_up_is_not_final_and_retry_goes_on(self):
        client = await self.connected_in_a_second()
        await self.control.ask("refuse on")
        await self.control.ask("cut")
        async for event in client.events():
            if event.is_HANDOVER_FAILED():
                self.assertEqual((event.reason, event.is_final), (FailReason.GAVE_UP, False))
                break
        await self.control.ask("refuse off")
        client.retry()

        async def go_on():
            # A busy machine may take more than the second.
            async for event in client.events():
                if event.is_HANDOVER_FAILED():
                    client.retry()

        retrying = asyncio.ensure_future(go_on())
        await client.send(b"again")
        self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"again")
        client.close()
        await retrying

    async def test_a_refused_credential_is_told(self):
        with self.assertRaises(ConnectError) as raised:
            await connect(self.control.address, config("stolen"))
        self.assertEqual((raised.exception.event.code, str(raised.exception)), (77, "no such ticket"))
        without_a_word = ConnectError(Event.REFUSED(code=78, message=b""))
        self.assertEqual(str(without_a_word), "refused by the server's application (code 78)")

    async def test_a_server_with_another_key_is_not_trusted(self):
        stranger = ClientConfig(pins=[b"\x09" + bytes(31)], realm="bindings", give_up_after_ms=1000, handshake_ms=300)
        with self.assertRaises(ConnectError) as raised:
            await connect(self.control.address, stranger)
        self.assertEqual(raised.exception.event.reason, FailReason.GAVE_UP)
        self.assertGreaterEqual(int(await self.control.ask("links")), 1)

    async def test_a_bad_configuration_is_told_with_code_and_text(self):
        beyond = [({"message": 1 << 32}, "`message`: 4294967296"), ({"give_up_after_ms": -1}, "`give_up_after_ms`: -1")]
        for bad, field in [({"pins": [b"short"]}, "pins"), ({"pins": []}, "pins"), ({"message": 1}, "`message`"), *beyond]:
            with self.assertRaises(UnbrokenError.Config) as raised:
                await connect(self.control.address, ClientConfig(**{"pins": [PIN], **bad}))
            self.assertEqual(raised.exception.code, 1)
            self.assertIn(field, raised.exception.text)

    async def test_an_address_that_is_none_is_told_at_once(self):
        for bad in ["nowhere", "nowhere:", "nowhere:0", "nowhere:65536", ":7000", "nowhere:+7"]:
            with self.assertRaises(ValueError):
                await connect(bad, config(self.name))

    async def test_a_connection_may_take_however_long_but_not_no_time(self):
        for limit in (None, float("inf"), 1e9, 5):
            async with await connect(self.control.address, config(self.name), connect_timeout=limit) as client:
                await client.send(b"here")
                self.assertEqual(await client.recv(), b"here")
        for bad, error in [(0, ValueError), (-1, ValueError), (float("nan"), ValueError), ("5", TypeError)]:
            with self.assertRaises(error) as raised:
                await connect(self.control.address, config(self.name, give_up_after_ms=1000), connect_timeout=bad)
            self.assertIn("connect_timeout", str(raised.exception))
            self.assertIn(repr(bad), str(raised.exception))

    async def test_an_address_that_swallows_connections_holds_nobody_up(self):
        port = int(self.control.address.rpartition(":")[2])
        with black_hole(port):
            # In its turn it would be tried for ever: the session gives up each try after 5 s.
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]
            with unittest.mock.patch("socket.getaddrinfo", return_value=found):
                client = await connect(f"game.example:{port}", config(self.name), connect_timeout=1000)
            await client.send(b"here")
            self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"here")
            await client.disconnect()

    async def test_a_cancelled_connect_leaves_nothing_behind(self):
        await self.control.ask("stall on")
        descriptors_before, tasks_before = descriptors(), len(asyncio.all_tasks())
        connecting = asyncio.ensure_future(self.connected())
        await until(lambda: descriptors() > descriptors_before, "a socket")
        connecting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await connecting
        await until(lambda: descriptors() == descriptors_before, "the socket is closed")
        await until(lambda: len(asyncio.all_tasks()) == tasks_before, "the tasks are over")

    async def test_a_task_cancelled_in_mid_traffic_leaves_nothing_behind(self):
        await self.behind("hasty")
        descriptors_before, tasks_before = descriptors(), len(asyncio.all_tasks())
        received = 0

        async def talk():
            nonlocal received
            async with await self.connected() as client:
                await client.send(b"pour 1000000")
                async for _ in client:
                    received += 1

        talking = asyncio.ensure_future(talk())
        await until(lambda: received > 1000, "traffic")
        talking.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await talking
        await until(lambda: descriptors() == descriptors_before, "the socket is closed")
        await until(lambda: len(asyncio.all_tasks()) == tasks_before, "the tasks are over")
        # It does not wait for its goodbye to arrive.
        self.assertIn(await self.control.ask(f"end {self.name}"), ["Expired", "Peer { code: 0, truncated: false }"])

    async def test_a_cancelled_send_is_sent_or_not_and_a_cancelled_recv_loses_nothing(self):
        client = await self.connected()
        came = []
        for number in range(200):
            sending = asyncio.ensure_future(client.send(b"%d" % number))
            if number % 2:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            else:
                await sending
            waiting = asyncio.ensure_future(client.recv())
            await asyncio.sleep(0)
            waiting.cancel()
            came += [int(got) for got in await asyncio.gather(waiting, return_exceptions=True) if isinstance(got, bytes)]
        await client.send(b"end")
        while (message := await asyncio.wait_for(client.recv(), PATIENCE)) != b"end":
            came.append(int(message))
        self.assertEqual(came, list(range(0, 200, 2)))
        client.close()

    async def test_sends_wait_for_room_and_keep_their_order(self):
        client = await self.connected(unacked_messages=8)
        await self.control.ask("stall on")
        sending = [asyncio.ensure_future(client.send(b"%d" % number)) for number in range(100)]
        await until(lambda: sum(task.done() for task in sending) == 8, "the limit is reached")
        await asyncio.sleep(0.3)
        self.assertEqual(sum(task.done() for task in sending), 8)
        await self.control.ask("stall off")
        for number in range(100):
            self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"%d" % number)
        with self.assertRaises(SendError) as raised:
            await client.send(bytes(2 << 20))
        self.assertEqual(raised.exception.code, RefusalCode.TOO_LARGE)
        await client.disconnect()

    async def test_a_step_is_given_no_more_than_a_session_may_have_room_for(self):
        client = await self.connected()
        session, given = client._driver.session, []

        class Counting:
            """The session, with what each step is asked to send: how many messages, and what they count for."""

            def step(self, inputs, *rest):
                sizes = [len(one.message) for one in inputs if one.is_SEND()]
                given.append((len(sizes), sum(sizes) + 64 * len(sizes)))
                return session.step(inputs, *rest)

            def __getattr__(self, name):
                return getattr(session, name)

        client._driver.session = Counting()
        for message, count in ((bytes(1 << 20), 24), (b"x", 20_000)):
            given.clear()
            await self.control.ask("stall on")
            sending = [asyncio.ensure_future(client.send(message)) for _ in range(count)]
            await until(lambda: any(task.done() for task in sending), "the first is taken")
            # Those that wait are not asked again and again.
            await asyncio.sleep(0.3)
            self.assertLess(len(given), 100)
            await self.control.ask("stall off")
            for _ in range(count):
                self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), message)
            await asyncio.gather(*sending)
            # But for one message more.
            self.assertLess(max(size for _, size in given), (1 << 20) + len(message) + 64)
            self.assertGreaterEqual(sum(messages for messages, _ in given), count)
        await client.disconnect()

    async def test_what_is_larger_than_a_message_can_be_is_refused_and_ends_nothing(self):
        client = await self.connected()
        for size in ((16 << 20) + 1, 1 << 31):
            # Not touched, and so never in memory.
            for send in (client.send, client.send_unreliable):
                with self.assertRaises(SendError) as raised:
                    await asyncio.wait_for(send(bytes(size)), PATIENCE)
                self.assertEqual(raised.exception.code, RefusalCode.TOO_LARGE)
        await client.send(b"still here")
        self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"still here")
        await client.disconnect()

    async def test_what_is_no_bytes_is_no_message(self):
        async with await self.connected() as client:
            for nonsense in (5, "text", [1, 2], None):
                for send in (client.send, client.send_unreliable):
                    with self.assertRaises(TypeError):
                        await send(nonsense)
            for message in (b"bytes", bytearray(b"bytes"), memoryview(b"b.y.t.e.s")[::2]):
                await client.send(message)
                self.assertEqual(await client.recv(), b"bytes")

    async def test_more_than_a_socket_takes_at_once_goes_through_whole(self):
        client = await self.connected(unacked_bytes=32 << 20, dead_after_ms=300_000)
        large = [bytes([number]) * (1 << 20) for number in range(24)]
        await self.control.ask("stall on")
        await asyncio.gather(*(client.send(message) for message in large))
        await asyncio.sleep(0.3)
        self.assertLess(client.stats().wire_sent, 20 << 20)
        await self.control.ask("stall off")
        for message in large:
            self.assertTrue(await asyncio.wait_for(client.recv(), PATIENCE) == message)
        await client.disconnect()

    async def test_a_link_writes_all_in_order_and_says_when_it_is_blocked(self):
        pieces = [bytes([number % 251]) * 65_536 for number in range(400)]
        reports, got, reading = [], [], asyncio.Event()

        async def served(reader, writer):
            await reading.wait()
            while piece := await reader.read(1 << 20):
                got.append(piece)
            writer.close()

        async with await asyncio.start_server(served, "127.0.0.1") as server:
            link = Link(7, reports.append)
            link.dial("127.0.0.1:%d" % server.sockets[0].getsockname()[1], None, 1000)
            await until(lambda: reports == [Input.LINK_UP(link=7)], "it stands")
            for piece in pieces:
                link.write(piece)
            self.assertEqual(reports[1:], [Input.LINK_BLOCKED(link=7)])
            reading.set()
            await until(lambda: len(reports) > 2, "it is through")
            self.assertEqual(reports[2:], [Input.LINK_WRITABLE(link=7)])
            link.close()
            await until(lambda: link._transport.is_closing(), "both ends have closed")
        self.assertEqual(len(reports), 3)
        self.assertTrue(b"".join(got) == b"".join(pieces))

    async def test_a_broken_link_is_told_by_the_write_that_finds_it(self):
        reports = []
        listener = socket.create_server(("127.0.0.1", 0))
        link = Link(7, reports.append)
        link.dial("127.0.0.1:%d" % listener.getsockname()[1], None, 1000)
        await until(lambda: reports == [Input.LINK_UP(link=7)], "it stands")
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        listener.close()
        # Without a pause, in which the loop would tell. On loopback the reset is there before `close` returns.
        for _ in range(10):
            link.write(b"hello")
        self.assertEqual(reports[1:], [Input.LINK_DOWN(link=7)])

    async def test_a_link_that_the_other_end_finished_is_down_also_with_bytes_unsent(self):
        for unsent in (0, 32 << 20):
            reports, before = [], descriptors()
            listener = socket.create_server(("127.0.0.1", 0))
            link = Link(7, reports.append)
            link.dial("127.0.0.1:%d" % listener.getsockname()[1], None, 1000)
            await until(lambda: reports == [Input.LINK_UP(link=7)], "it stands")
            accepted, _ = listener.accept()
            link.write(bytes(unsent))
            self.assertEqual(reports[1:], [Input.LINK_BLOCKED(link=7)] if unsent else [])
            # It takes none of the bytes, and keeps its socket.
            accepted.shutdown(socket.SHUT_WR)
            await until(lambda: reports[-1] == Input.LINK_DOWN(link=7), "the end is told")
            listener.close()
            await until(lambda: descriptors() == before + 1, "its socket is closed")
            accepted.close()

    async def test_a_slow_application_holds_the_server_back(self):
        client = await self.connected()
        await client.send(b"pour 8000")
        await until(lambda: client.stats().received_messages > 0, "traffic")
        await asyncio.sleep(0.5)
        held = client.stats().received_messages
        self.assertLess(held, 5000)
        for number in range(8000):
            self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), numbered(number))
        client.close()

    async def test_what_a_write_reports_at_once_waits_for_the_next_turn(self):
        # Else the turn within the turn would write before what is left of the outer one, and the stream would be garbage.
        client = await self.connected()
        await client.send(b"pour 3000")
        driver = client._driver
        await until(lambda: driver.more and client.stats().wire_received > 500_000, "more than there is room for")
        turn, depths, depth, reports = driver.turn, [], 0, 0

        def counted():
            nonlocal depth
            depth += 1
            depths.append(depth)
            try:
                return turn()
            finally:
                depth -= 1

        def reporting(link, write):
            def wrapped(data):
                nonlocal reports
                reports += 1
                write(data)
                driver.happened(Input.LINK_WRITABLE(link=link.number))

            return wrapped

        driver.turn = counted
        for link in driver.links.values():
            link.write = reporting(link, link.write)
        # Without a pause, so that none of it is fetched by the loop.
        for number in range(1000):
            self.assertEqual(driver.take_message().payload, numbered(number))
        self.assertGreater(reports, 0)
        self.assertEqual(set(depths), {1})
        client.close()

    async def test_a_hint_moves_the_session_without_downtime(self):
        for _ in range(100):
            client = await connect(self.control.address, config(self.name), networks={1: "127.0.0.1", 2: "127.0.0.2"})
            client.network(NetworkHint.AVAILABLE(network=2))
            causes = []
            async for event in client.events():
                if event.is_HANDOVER_BEGIN():
                    causes.append(event.cause)
                if event.is_HANDOVER_END():
                    break
            await until(lambda: client.health == LinkHealth.SOUND(network=2), "the new link is the one")
            sources = [link._transport.get_extra_info("sockname")[0] for link in client._driver.links.values() if link._transport]
            self.assertIn("127.0.0.2", sources)
            await client.disconnect()
            # A link that was suspect for a moment, on a machine that had none for it, shows nothing.
            if client.stats().suspicions == 0:
                self.assertEqual((causes, event.downtime_us), ([HandoverCause.NETWORK_CHANGED], 0))
                return
        self.fail("disturbed each time")

    async def test_suspended_it_is_silent_and_awake_it_goes_on(self):
        client = await self.connected()
        client.network(NetworkHint.SUSPEND())
        self.assertEqual(client.health, LinkHealth.IDLE())
        links = await self.control.ask("links")
        await self.control.ask("cut")
        await asyncio.sleep(0.5)
        self.assertEqual(await self.control.ask("links"), links)
        client.network(NetworkHint.WAKE())
        await client.send(b"good morning")
        self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), b"good morning")
        await client.disconnect()

    async def test_unreliable_messages_come_at_most_once(self):
        client = await self.connected()
        for number in range(100):
            self.assertTrue(await client.send_unreliable(b"%d" % number))
        await client.send(b"end")
        came = []
        while (message := await asyncio.wait_for(client.recv_message(), PATIENCE)).payload != b"end":
            self.assertIsNone(message.id)
            came.append(message.payload)
        self.assertGreater(len(came), 0)
        self.assertEqual(len(came), len(set(came)))
        await client.disconnect()

    async def test_kicked_by_the_server(self):
        client = await self.connected()
        self.assertEqual(await self.control.ask(f"kick {self.name} 12"), "ok")
        end = await asyncio.wait_for(client.closed(), PATIENCE)
        self.assertEqual((end.reason, end.code), (CloseReason.KICKED, 12))

    async def test_memory_stays_flat(self):
        client = await self.connected()
        rounds = Rounds(self.control, client)
        for _ in range(3):
            await rounds.play(2000, 3)
        gc.collect()
        before = resident_kib()
        for _ in range(6):
            await rounds.play(2000, 3)
        gc.collect()
        grown = resident_kib() - before
        await client.disconnect()
        self.assertGreaterEqual(rounds.handovers, 27)
        self.assertLess(grown, 4096, "KiB more after 12,000 messages each way")
