package dev.unbroken

import java.net.Inet6Address
import java.net.InetAddress
import java.net.InetSocketAddress
import java.nio.channels.SelectionKey
import java.nio.channels.SocketChannel
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch
import kotlinx.coroutines.runInterruptible

/** `[::1]:7000` has its brackets taken off; null if it is no `host:port`. An empty host would be this very machine. */
internal fun hostAndPort(address: String): Pair<String, Int>? {
    val host = address.substringBeforeLast(':', "").removeSurrounding("[", "]")
    val digits = address.substringAfterLast(':')
    val port = if (digits.all { it in '0'..'9' }) digits.toIntOrNull() else null
    return if (host.isNotEmpty() && port != null && port in 1..65535) Pair(host, port) else null
}

/**
 * One connection in the making, tried at all addresses of a name (RFC 8305): an I/O thread resolves the name and makes a channel for each
 * address, tied to its network; the reactor's thread connects them without blocking, each a quarter of a second behind the one before, or at
 * once when that one failed. The first that stands is it.
 *
 * Every channel belongs to somebody at any moment: to the I/O thread until it is done, then to [left] or [connecting]. So whoever gives up closes
 * all of them. The resolver may go on after that, as nothing interrupts it: the reactor stays until it is back, and takes what it made.
 *
 * [done] is called once, in the reactor's thread, with the channel or null; not after [cancel].
 */
internal class Dial(private val reactor: Reactor, private val done: (SocketChannel?) -> Unit) {
    private class Candidate(val channel: SocketChannel, val address: InetSocketAddress)

    private var resolving: Job? = null
    private val left = ArrayDeque<Candidate>()
    private val connecting = ArrayList<Candidate>()
    private var next: Reactor.Timer? = null
    private var limit: Reactor.Timer? = null
    private var over = false

    fun start(scope: CoroutineScope, address: String, network: ULong?, networks: NetworkBinding, timeoutMs: Int) {
        limit = reactor.at(Reactor.now() + timeoutMs * 1000L) { end(null) }
        val made = ArrayList<Candidate>()
        Reactor.hold()
        val job = scope.launch(Dispatchers.IO) {
            try {
                runInterruptible { make(address, network, networks, made) }
            } catch (error: Exception) {
                // A binding is the application's code: whatever it throws, there are no more channels than were made.
            }
        }
        resolving = job
        // Also if it was cancelled before it began.
        job.invokeOnCompletion {
            reactor.execute {
                Reactor.release()
                resolved(made)
            }
        }
    }

    /** Gives up; may be called again. */
    fun cancel() = close(null)

    private fun make(address: String, network: ULong?, networks: NetworkBinding, made: MutableList<Candidate>) {
        // A server may advise anything.
        val (host, port) = hostAndPort(address) ?: return
        for (candidate in inTurns(networks.resolve(network, host)).take(MOST)) {
            val channel = SocketChannel.open()
            try {
                networks.bind(network, channel)
                channel.socket().tcpNoDelay = true
                channel.configureBlocking(false)
                made.add(Candidate(channel, InetSocketAddress(candidate, port)))
            } catch (error: Throwable) {
                channel.close()
                // An address of a family that the network has not; the next one may do.
                if (error !is Exception) throw error
            }
        }
    }

    /** The families by turns, beginning with the first address's: if one of them is dead, every second try is alive. */
    private fun inTurns(addresses: List<InetAddress>): List<InetAddress> {
        val (some, others) = addresses.partition { (it is Inet6Address) == (addresses.first() is Inet6Address) }
        return (0 until maxOf(some.size, others.size)).flatMap { listOfNotNull(some.getOrNull(it), others.getOrNull(it)) }
    }

    // ---- in the reactor's thread ----

    private fun resolved(made: List<Candidate>) {
        left.addAll(made)
        if (over) close(null) else another()
    }

    /** The next address's turn. */
    private fun another() {
        next?.cancel()
        next = null
        val candidate = left.removeFirstOrNull()
        if (candidate == null) {
            if (connecting.isEmpty()) end(null)
            return
        }
        connecting.add(candidate)
        try {
            if (candidate.channel.connect(candidate.address)) return end(candidate)
            reactor.register(candidate.channel, SelectionKey.OP_CONNECT) { decided(candidate) }
        } catch (error: Exception) {
            // Not only IOException: an address may be of a kind that the system does not have.
            return failed(candidate)
        }
        if (left.isNotEmpty()) next = reactor.at(Reactor.now() + HEAD_START_US) { another() }
    }

    private fun decided(candidate: Candidate) {
        val stands = try {
            candidate.channel.finishConnect()
        } catch (error: Exception) {
            return failed(candidate)
        }
        if (stands) end(candidate)
    }

    private fun failed(candidate: Candidate) {
        connecting.remove(candidate)
        candidate.channel.closeQuietly()
        another()
    }

    private fun end(winner: Candidate?) {
        if (over) return
        close(winner)
        done(winner?.channel)
    }

    private fun close(winner: Candidate?) {
        over = true
        limit?.cancel()
        next?.cancel()
        resolving?.cancel()
        for (candidate in left + connecting) if (candidate !== winner) candidate.channel.closeQuietly()
        left.clear()
        connecting.clear()
    }

    private companion object {
        /** Addresses tried at most. */
        const val MOST = 8

        /** What an address has over the next one. */
        const val HEAD_START_US = 250_000L
    }
}
