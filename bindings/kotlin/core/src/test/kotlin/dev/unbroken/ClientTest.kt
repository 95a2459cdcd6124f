package dev.unbroken

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.net.InetAddress
import java.net.ServerSocket
import java.nio.channels.SocketChannel
import java.nio.file.Files
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicInteger
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.days
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.takeWhile
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.job
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield

/** The package against the tokio server, over TCP on loopback, through the fault proxy. */
class ClientTest {
    private val name = "kotlin-${names.incrementAndGet()}"
    private var control = Control()

    @AfterTest
    fun closeControl() = control.close()

    private fun config(credential: String = name) = ClientConfig(
        pins = listOf(PIN),
        credential = credential.toByteArray(),
        realm = "bindings",
        backoffBaseMs = 10u,
        backoffCapMs = 100u,
    )

    private suspend fun connected(config: ClientConfig = config()) = UnbrokenClient.connect(control.address, config)

    private fun run(test: suspend CoroutineScope.() -> Unit) = runBlocking(Dispatchers.Default) { withTimeout(600_000) { test() } }

    private fun behind(what: String) {
        control.close()
        control = Control(what)
    }

    /** Plays rounds with the server: both send numbered messages at once, both check. */
    private inner class Rounds(scope: CoroutineScope, val client: UnbrokenClient) {
        val handovers = AtomicInteger()
        val moved = AtomicInteger()
        var cuts = 0
        val watching = scope.launch {
            client.events.collect {
                if (it !is Event.HandoverEnd) return@collect
                if (!it.sameServer) moved.incrementAndGet()
                handovers.incrementAndGet()
            }
        }

        suspend fun cut() {
            val before = handovers.get()
            cuts = control.ask("cut").toInt()
            until("a handover after a cut") { handovers.get() > before }
        }

        /** An order that comes between two links cuts none, and one handover may answer two cuts: some more, then. */
        suspend fun cutUntil(enough: Int) {
            while (minOf(cuts, handovers.get()) < enough) cut()
        }

        /** Cuts all links so many times in the middle, each time after the handover of the last one. */
        suspend fun play(count: Int, times: Int) {
            client.send("pour $count".toByteArray())
            val sending = CoroutineScope(currentCoroutineContext()).launch { repeat(count) { client.send(numbered(it)) } }
            repeat(count) {
                val message = client.receive()!!.payload
                if (!message.contentEquals(numbered(it))) throw AssertionError("message $it is another: lost, doubled or moved")
                if (it % (count / times) == count / times / 2) cut()
            }
            sending.join()
            assertEquals("verdict $count 0", String(client.receive()!!.payload))
        }
    }

    @Test
    fun `10000 messages both ways survive 50 cuts`() = run {
        behind("proxy 5 400")
        val client = connected()
        val rounds = Rounds(this, client)
        rounds.play(10_000, 50)
        rounds.cutUntil(50)
        // A goodbye that the network swallows is told by expiry only: the last faults go with the links they are on.
        control.ask("calm")
        rounds.cut()
        client.send("are you there?".toByteArray())
        assertEquals("are you there?", String(client.receive()!!.payload))
        val end = client.disconnect(3u)
        assertEquals(CloseReason.LOCAL to 3u, end.reason to end.code)
        assertEquals("Peer { code: 3, truncated: false }", control.ask("end $name"))
        assertTrue(rounds.cuts >= 50 && rounds.handovers.get() >= 50, "${rounds.cuts} cuts, ${rounds.handovers} handovers")
        assertTrue(client.stats().replayedMessages >= 50u)
    }

    @Test
    fun `10000 messages both ways survive 50 cuts and four servers that leave`() = run {
        behind("cluster 7 400")
        val client = connected()
        val rounds = Rounds(this, client)
        // So many are under way: each is echoed, and what a server owes must fit its limits.
        val ahead = 500
        repeat(ahead) { client.send(numbered(it)) }
        repeat(10_000) {
            if (!client.receive()!!.payload.contentEquals(numbered(it))) throw AssertionError("message $it is another: lost, doubled or moved")
            if (it + ahead < 10_000) client.send(numbered(it + ahead))
            if (it % 200 == 100) rounds.cut()
            if (it % 2500 == 1250) control.ask("takeover")
        }
        rounds.cutUntil(50)
        client.send("verdict".toByteArray())
        assertEquals("verdict 10000 0", String(client.receive()!!.payload))
        client.disconnect()
        rounds.watching.join()
        val restored = control.ask("restored").toInt()
        // A move may be hidden from the client: when it is cut again before it knows.
        assertTrue(restored >= 4 && rounds.moved.get() >= 1, "restored $restored times, seen ${rounds.moved}")
        assertTrue(rounds.cuts >= 50 && rounds.handovers.get() >= 50, "${rounds.cuts} cuts, ${rounds.handovers} handovers")
        println("cuts ${rounds.cuts}, handovers ${rounds.handovers}, restored $restored, moves seen ${rounds.moved}, replayed ${client.stats().replayedMessages}")
    }

    @Test
    fun `a disconnect ends it at both ends and never reconnects`() = run {
        val client = connected()
        client.send("last words".toByteArray())
        until("the echo") { client.stats().receivedMessages == 1uL }
        client.disconnect(9u)
        assertEquals("Peer { code: 9, truncated: false }", control.ask("end $name"))
        assertEquals(listOf("last words"), client.messages.toList().map(::String))
        assertNull(client.receive())
        assertEquals(RefusalCode.CLOSED, assertFailsWith<SendException> { client.send(ByteArray(1)) }.code)
        val links = control.ask("links")
        delay(500)
        assertEquals(links, control.ask("links"))
        nothingIsLeft()
    }

    @Test
    fun `a client that was closed shows that it is`() = run {
        val client = connected()
        client.close()
        until("the state says so") { client.state.value == State.CLOSED }
        nothingIsLeft()
    }

    @Test
    fun `events end with the session, whether or not messages were fetched`() = run {
        val client = connected()
        val seen = ArrayList<Event>()
        val watching = launch { client.events.collect(seen::add) }
        client.send("pour 4000".toByteArray())
        until("more than the application has room for") { client.stats().wireReceived > 500_000u }
        client.disconnect()
        withTimeout(60_000) { watching.join() }
        assertTrue(seen.last() is Event.Closed, "${seen.last()}")
        // All that had arrived is there still.
        var count = 0
        while (true) assertContentEquals(numbered(count++), (client.receive() ?: break).payload)
        assertTrue(count > 500, "$count messages")
        nothingIsLeft()
    }

    @Test
    fun `a session that expired says so`() = run {
        behind("hasty")
        val client = connected()
        control.ask("refuse on")
        control.ask("cut")
        assertEquals("Expired", control.ask("end $name"))
        control.ask("refuse off")
        assertEquals(CloseReason.EXPIRED, client.closed().reason)
        val failed = client.events.toList().filterIsInstance<Event.HandoverFailed>()
        assertEquals(listOf(FailReason.EXPIRED to true), failed.map { it.reason to it.isFinal })
    }

    @Test
    fun `given up is not final, and retry goes on`() = run {
        val client = patiently { connected(config().copy(giveUpAfterMs = 1000u)) }
        control.ask("refuse on")
        control.ask("cut")
        val failed = client.events.filterIsInstance<Event.HandoverFailed>().first()
        assertEquals(FailReason.GAVE_UP to false, failed.reason to failed.isFinal)
        control.ask("refuse off")
        client.retry()
        // A busy machine may take more than the second.
        val retrying = launch { client.events.collect { if (it is Event.HandoverFailed) client.retry() } }
        client.send("again".toByteArray())
        assertEquals("again", String(client.receive()!!.payload))
        client.close()
        retrying.join()
    }

    @Test
    fun `a refused credential is told`() = run {
        val failure = assertFailsWith<ConnectFailure> { connected(config("stolen")) }
        assertEquals(77u to "no such ticket", (failure.event as Event.Refused).code to failure.message)
        val withoutAWord = ConnectFailure.of(Event.Refused(78u, byteArrayOf()))
        assertEquals("refused by the server's application (code 78)", withoutAWord.message)
    }

    @Test
    fun `a bad configuration is told with code and text`() = run {
        val cases = listOf(
            "pins" to config().copy(pins = listOf(ByteArray(5))),
            "pins" to config().copy(pins = listOf()),
            "`message`" to config().copy(message = 1u),
        )
        for ((field, bad) in cases) {
            val error = assertFailsWith<UnbrokenException.Config> { connected(bad) }
            assertEquals(1u, error.code)
            assertTrue(field in error.text, error.text)
        }
    }

    @Test
    fun `an address that is none is told at once`() = run {
        val port = control.address.substringAfterLast(':')
        for (bad in listOf("nowhere", "nowhere:", "nowhere:0", "nowhere:65536", ":$port", "[]:$port", "127.0.0.1:+$port")) {
            val error = assertFailsWith<IllegalArgumentException>(bad) { UnbrokenClient.connect(bad, config()) }
            assertTrue(bad in error.message!!, error.message)
        }
    }

    @Test
    fun `a cancelled connect leaves nothing behind`() = run {
        nothingIsLeft()
        control.ask("stall on")
        val before = descriptors()
        val connecting = launch { connected() }
        until("a socket") { descriptors() > before }
        connecting.cancelAndJoin()
        nothingIsLeft()
        assertEquals(before, descriptors())
        assertEquals(0, currentCoroutineContext().job.children.count())
    }

    @Test
    fun `a connect cancelled while an address swallows it leaves nothing behind`() = run {
        nothingIsLeft()
        val before = descriptors()
        BlackHole(control.port).use { hole ->
            val within = descriptors()
            val connecting = launch { UnbrokenClient.connect(control.address, config(), hole.only) }
            until("a socket") { descriptors() > within }
            connecting.cancelAndJoin()
            nothingIsLeft()
        }
        assertEquals(before, descriptors())
    }

    @Test
    fun `a connect cancelled while a name is looked up leaves nothing behind`() = run {
        nothingIsLeft()
        val before = descriptors()
        val (asked, interrupted, answer) = List(3) { CountDownLatch(1) }
        // As resolvers and bindings do, it takes no notice of an interrupt, and keeps it from those who come after.
        val slow = object : NetworkBinding {
            override fun bind(network: ULong?, channel: SocketChannel) {
                asked.countDown()
                while (true) try {
                    return answer.await()
                } catch (swallowed: InterruptedException) {
                    interrupted.countDown()
                }
            }
        }
        val connecting = launch { UnbrokenClient.connect(control.address, config(), slow) }
        asked.await()
        connecting.cancelAndJoin()
        interrupted.await()
        answer.countDown()
        nothingIsLeft()
        // Time for whoever was told too late to do harm.
        delay(500)
        assertEquals(before, descriptors())
    }

    @Test
    fun `an address that swallows connections holds nobody up`() = run {
        BlackHole(control.port).use { hole ->
            // Taking its turn for as long as a connection may take, it would be tried for ever: the session gives up each try after 5 s.
            val client = UnbrokenClient.connect(control.address, config(), hole.first, connectTimeout = 1000.seconds)
            client.send("here".toByteArray())
            assertEquals("here", String(client.receive()!!.payload))
            client.disconnect()
        }
    }

    @Test
    fun `a connection may take however long`() = run {
        val slow = object : NetworkBinding {
            override fun resolve(network: ULong?, host: String): List<InetAddress> {
                Thread.sleep(100)
                return SystemRoutes.resolve(network, host)
            }

            override fun bind(network: ULong?, channel: SocketChannel) = Unit
        }
        for (limit in listOf(25.days, 1_000_000.days, Duration.INFINITE)) {
            UnbrokenClient.connect(control.address, config().copy(giveUpAfterMs = 30_000u), slow, limit).disconnect()
        }
    }

    @Test
    fun `a binding that throws is a connection that could not be made`() = run {
        val broken = object : NetworkBinding {
            override fun bind(network: ULong?, channel: SocketChannel): Unit = throw SecurityException("not allowed")
        }
        val failure = assertFailsWith<ConnectFailure> {
            UnbrokenClient.connect(control.address, config().copy(giveUpAfterMs = 1000u), broken)
        }
        assertEquals(FailReason.GAVE_UP, (failure.event as Event.HandoverFailed).reason)
        nothingIsLeft()
    }

    @Test
    fun `a coroutine cancelled in mid-traffic leaves nothing behind`() = run {
        behind("hasty")
        nothingIsLeft()
        val before = descriptors()
        val received = AtomicInteger()
        val talking = launch {
            connected().use { client ->
                client.send("pour 1000000".toByteArray())
                client.messages.collect { received.incrementAndGet() }
            }
        }
        until("traffic") { received.get() > 1000 }
        talking.cancelAndJoin()
        nothingIsLeft()
        assertEquals(before, descriptors())
        // It does not wait for its goodbye to arrive.
        assertTrue(control.ask("end $name") in listOf("Peer { code: 0, truncated: false }", "Expired"))
    }

    @Test
    fun `a wake-up for somebody who is cancelled wakes the next one`() = runBlocking {
        // In one thread, so that nobody takes a step between the two.
        val box = Mailbox<Int>()
        val first = async { box.take() }
        val second = async { box.take() }
        yield()
        box.put(1)
        first.cancel()
        assertEquals(1, withTimeout(60_000) { second.await() })
    }

    @Test
    fun `a cancelled send is sent or not, and a cancelled receive loses nothing`() = run {
        val client = connected()
        val came = ArrayList<Int>()
        val surely = HashSet<Int>()
        suspend fun receive() = String(client.receive()!!.payload).toInt().also(came::add)
        repeat(300) { number ->
            val sending = async { client.send("$number".toByteArray()) }
            if (number % 2 == 1) sending.cancel()
            try {
                sending.await()
                surely.add(number)
            } catch (cancelled: CancellationException) {
                // Sent or not.
            }
            val waiting = launch { receive() }
            if (number % 3 > 0) delay(1)
            waiting.cancelAndJoin()
        }
        client.send("-1".toByteArray())
        while (receive() >= 0) continue
        assertEquals((came.dropLast(1)).sorted(), came.dropLast(1))
        assertEquals(came.distinct(), came)
        assertTrue(surely.size >= 150 && came.containsAll(surely), "lost ${surely - came.toSet()}")
        assertEquals(client.stats().sentMessages.toInt(), came.size)
        client.close()
    }

    @Test
    fun `sends wait for room and keep their order`() = run {
        val client = connected(config().copy(unackedMessages = 8u))
        control.ask("stall on")
        val done = AtomicInteger()
        val sending = launch {
            repeat(100) {
                client.send("$it".toByteArray())
                done.incrementAndGet()
            }
        }
        until("the limit is reached") { done.get() == 8 }
        delay(300)
        assertEquals(8, done.get())
        control.ask("stall off")
        repeat(100) { assertEquals("$it", String(client.receive()!!.payload)) }
        sending.join()
        assertEquals(RefusalCode.TOO_LARGE, assertFailsWith<SendException> { client.send(ByteArray(2 shl 20)) }.code)
        client.disconnect()
    }

    @Test
    fun `more may wait to be sent than one call into the library can carry`() = run {
        val client = connected()
        control.ask("stall on")
        val large = ByteArray(1 shl 20)
        // 2 GiB and more, when there is room for the next.
        val sending = List(2200) { launch { client.send(large) } }
        until("the limit is reached") { client.stats().sentMessages == 1uL }
        delay(500)
        control.ask("stall off")
        repeat(3) { assertEquals(large.size, client.receive()!!.payload.size) }
        sending.forEach { it.cancel() }
        sending.joinAll()
        client.send("still here".toByteArray())
        do { val echo = String(client.receive()!!.payload) } while (echo != "still here")
        client.disconnect()
    }

    @Test
    fun `more than a socket takes at once goes through whole`() = run {
        val client = connected(config().copy(unackedBytes = 32u shl 20, deadAfterMs = 300_000u))
        val large = List(24) { number -> ByteArray(1 shl 20) { number.toByte() } }
        control.ask("stall on")
        large.forEach { client.send(it) }
        delay(300)
        assertTrue(client.stats().wireSent < 20u shl 20)
        control.ask("stall off")
        for (message in large) assertTrue(message.contentEquals(client.receive()!!.payload))
        client.disconnect()
    }

    @Test
    fun `a link writes all in order, and says when it is blocked`() = run {
        val (pieces, size) = 200 to 65_536
        val reports = ConcurrentLinkedQueue<Input>()
        suspend fun reported(): Input {
            until("a report") { reports.isNotEmpty() }
            return reports.remove()
        }
        ServerSocket(0, 1, InetAddress.getLoopbackAddress()).use { server ->
            val reactor = Reactor.acquire()
            val link = Link(7u, reactor) { report -> reports.add(report) }
            reactor.execute { link.dial(this, "127.0.0.1:${server.localPort}", null, SystemRoutes, 1_000_000) }
            assertEquals(Input.LinkUp(7u), reported())
            reactor.execute { repeat(pieces) { number -> link.write(ByteArray(size) { number.toByte() }) } }
            assertEquals(Input.LinkBlocked(7u), reported())
            val reading = async(Dispatchers.IO) { server.accept().use { it.getInputStream().inTurns(size) } }
            assertEquals(Input.LinkWritable(7u), reported())
            reactor.execute(link::close)
            assertEquals(pieces * size, reading.await())
            Reactor.release()
        }
        nothingIsLeft()
        assertEquals(0, reports.size)
    }

    @Test
    fun `an error in the thread of all sessions is reported and ends none of them`() = run {
        val client = connected()
        val reported = CompletableDeferred<Throwable>()
        val reactor = Thread.getAllStackTraces().keys.single { it.name == "unbroken" } as Reactor
        reactor.setUncaughtExceptionHandler { _, error -> reported.complete(error) }
        reactor.execute { throw StackOverflowError("thrown by the test") }
        assertEquals("thrown by the test", withTimeout(60_000) { reported.await() }.message)
        client.send("still here".toByteArray())
        assertEquals("still here", String(withTimeout(60_000) { client.receive() }!!.payload))
        withTimeout(60_000) { connected() }.close()
        client.disconnect()
        nothingIsLeft()
    }

    @Test
    fun `a slow application holds the server back`() = run {
        val client = connected()
        client.send("pour 8000".toByteArray())
        until("traffic") { client.stats().receivedMessages > 0u }
        delay(500)
        assertTrue(client.stats().receivedMessages < 5000u)
        repeat(8000) { assertContentEquals(numbered(it), client.receive()!!.payload) }
        client.close()
    }

    @Test
    fun `a hint moves the session to the other network without downtime`() = run {
        val networks = SourceAddresses(mapOf(1uL to InetAddress.getByName("127.0.0.1"), 2uL to InetAddress.getByName("127.0.0.2")))
        undisturbed {
            val client = UnbrokenClient.connect(control.address, config(), networks)
            client.hint(NetworkHint.Available(2u))
            val events = ArrayList<Event>()
            client.events.takeWhile { it !is Event.HandoverEnd || !events.add(it) }.collect { events.add(it) }
            until("the new link is the one") { client.health.value == LinkHealth.Sound(2u) }
            val here = connections()
            assertTrue("127.0.0.2" in here, "$here")
            client.disconnect()
            val causes = events.filterIsInstance<Event.HandoverBegin>().map { it.cause }
            val downtime = (events.last() as Event.HandoverEnd).downtimeUs
            // A link that was suspect for a moment, on a machine that had none for it, shows nothing.
            if (client.stats().suspicions > 0u) return@undisturbed false
            assertEquals(listOf(HandoverCause.NETWORK_CHANGED) to 0uL, causes to downtime)
            true
        }
    }

    @Test
    fun `suspended it is silent, and awake it goes on`() = run {
        val client = connected()
        client.hint(NetworkHint.Suspend)
        until("it is suspended") { client.health.value == LinkHealth.Idle }
        val links = control.ask("links")
        control.ask("cut")
        delay(500)
        assertEquals(links, control.ask("links"))
        client.hint(NetworkHint.Wake)
        client.send("good morning".toByteArray())
        assertEquals("good morning", String(client.receive()!!.payload))
        client.disconnect()
    }

    @Test
    fun `a silent link is told as suspect, a cut one as lost`() = run {
        val client = connected(config().copy(deadAfterMs = 300_000u))
        until("it stands") { client.health.value == LinkHealth.Sound(null) }
        control.ask("stall on")
        client.send("into the void".toByteArray())
        until("it is suspect") { client.health.value == LinkHealth.Suspect(null) }
        control.ask("refuse on")
        control.ask("cut")
        until("it is lost") { client.health.value == LinkHealth.Lost }
        control.ask("stall off")
        control.ask("refuse off")
        assertEquals("into the void", String(client.receive()!!.payload))
        until("it is sound") { client.health.value == LinkHealth.Sound(null) }
        client.close()
        until("it is over") { client.health.value == LinkHealth.Idle }
    }

    @Test
    fun `unreliable messages come at most once`() = run {
        val client = connected()
        repeat(100) { assertTrue(client.sendUnreliable("$it".toByteArray())) }
        client.send("end".toByteArray())
        val came = ArrayList<String>()
        while (true) {
            val message = client.receive()!!
            if (message.id != null) break
            came.add(String(message.payload))
        }
        assertTrue(came.size > 0)
        assertEquals(came.distinct(), came)
        client.disconnect()
    }

    @Test
    fun `kicked by the server`() = run {
        val client = connected()
        assertEquals("ok", control.ask("kick $name 12"))
        val end = client.closed()
        assertEquals(CloseReason.KICKED to 12u, end.reason to end.code)
    }

    @Test
    fun `memory stays flat`() = run {
        val client = connected()
        val rounds = Rounds(this, client)
        repeat(8) { rounds.play(3000, 3) }
        val (heap, resident) = heap() to resident()
        repeat(8) { rounds.play(3000, 3) }
        val (moreHeap, moreResident) = heap() - heap to resident() - resident
        client.disconnect()
        assertTrue(rounds.handovers.get() >= 48)
        println("24,000 messages each way and 24 cuts: heap $moreHeap, resident $moreResident bytes more")
        assertTrue(moreHeap < 4 shl 20, "$moreHeap bytes of heap more")
        assertTrue(moreResident < 16 shl 20, "$moreResident resident bytes more")
    }

    private suspend fun nothingIsLeft() =
        until("the reactor ends") { Thread.getAllStackTraces().keys.none { it.name == "unbroken" } }

    private companion object {
        val names = AtomicInteger()

        suspend fun until(what: String, condition: () -> Boolean) {
            repeat(12_000) {
                if (condition()) return
                delay(10)
            }
            throw AssertionError("timed out: $what")
        }

        /** How many bytes come, if each piece of that size is of the next number. */
        fun InputStream.inTurns(size: Int): Int {
            val buffer = ByteArray(65_536)
            var count = 0
            while (true) {
                val more = read(buffer)
                if (more < 0) return count
                for (i in 0 until more) check(buffer[i] == ((count + i) / size).toByte()) { "byte ${count + i} is another" }
                count += more
            }
        }

        /** Connects with little time for it, until a busy machine had enough. */
        suspend fun patiently(connect: suspend () -> UnbrokenClient): UnbrokenClient {
            repeat(100) {
                try {
                    return connect()
                } catch (late: ConnectFailure) {
                    assertEquals(FailReason.GAVE_UP, (late.event as Event.HandoverFailed).reason)
                }
            }
            throw AssertionError("given up each time")
        }

        /** Tries what a busy machine can disturb, until it was not. */
        suspend fun undisturbed(attempt: suspend () -> Boolean) {
            repeat(100) { if (attempt()) return }
            throw AssertionError("disturbed each time")
        }

        /** Sockets and selectors of this process: what else there is belongs to the virtual machine. */
        fun descriptors() = File("/proc/self/fd").listFiles()!!.count { file ->
            val what = try {
                Files.readSymbolicLink(file.toPath()).toString()
            } catch (gone: IOException) {
                ""
            }
            what.startsWith("socket:") || what == "anon_inode:[eventpoll]"
        }

        /** The local addresses of this machine's connections on loopback. */
        fun connections() = listOf("tcp", "tcp6").flatMap { File("/proc/self/net/$it").readLines().drop(1) }.map { line ->
            // Of an IPv6 address, the IPv4 address that it maps.
            val address = line.trim().split(Regex(" +"))[1].substringBefore(':').takeLast(8)
            address.chunked(2).reversed().joinToString(".") { "${it.toInt(16)}" }
        }.toSet()

        /**
         * What stays, however often it is collected: a leak is in the least of ten, too. One collection alone may be passed over, if
         * another thread lends an array to native code in that moment, and what is weakly reachable goes with the next one.
         */
        suspend fun heap() = List(10) {
            System.gc()
            delay(20)
            Runtime.getRuntime().run { totalMemory() - freeMemory() }
        }.min()

        /** The heap has a fixed size and is touched at start (tests/parts/kotlin.sh), so what grows is outside it. */
        fun resident() = File("/proc/self/statm").readText().split(' ')[1].toLong() * 4096
    }
}
