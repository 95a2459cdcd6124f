package dev.unbroken

import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.SelectionKey
import java.nio.channels.SocketChannel
import kotlinx.coroutines.CoroutineScope

/** One connection of a session. What happens to it is reported as inputs of the session, in the reactor's thread. */
internal class Link(
    private val number: ULong,
    private val reactor: Reactor,
    private val report: (Input) -> Unit,
) : Reactor.Ready {
    private var dialling: Dial? = null
    private var channel: SocketChannel? = null
    private var key: SelectionKey? = null
    private val rest = ArrayDeque<ByteBuffer>()
    private var lingering: Reactor.Timer? = null

    /** Nothing is reported any more. */
    private var over = false

    fun dial(scope: CoroutineScope, address: String, network: ULong?, networks: NetworkBinding, timeoutMs: Int) {
        dialling = Dial(reactor, ::opened).also { it.start(scope, address, network, networks, timeoutMs) }
    }

    private fun opened(connected: SocketChannel?) {
        dialling = null
        if (connected == null) return down()
        channel = connected
        try {
            key = reactor.register(connected, SelectionKey.OP_READ, this)
        } catch (error: Exception) {
            return down()
        }
        report(Input.LinkUp(number))
    }

    fun write(bytes: ByteArray) {
        if (over) return
        val channel = channel ?: return
        val buffer = ByteBuffer.wrap(bytes)
        try {
            if (rest.isEmpty()) channel.write(buffer)
        } catch (error: Exception) {
            return down()
        }
        if (!buffer.hasRemaining()) return
        if (rest.isEmpty()) {
            key?.interestOps(SelectionKey.OP_READ or SelectionKey.OP_WRITE)
            report(Input.LinkBlocked(number))
        }
        rest.addLast(buffer)
    }

    override fun ready() {
        try {
            val key = key ?: return
            if (key.isValid && key.isWritable) flush()
            if (key.isValid && key.isReadable) read()
        } catch (error: Throwable) {
            // Whatever the platform's sockets throw, or too little memory for what came: it is this link's end, and not that of the thread that all links share.
            down()
        }
    }

    private fun flush() {
        val channel = channel ?: return
        while (rest.isNotEmpty()) {
            channel.write(rest.first())
            if (rest.first().hasRemaining()) return
            rest.removeFirst()
        }
        key?.interestOps(SelectionKey.OP_READ)
        if (over) shutdownOutput(channel) else report(Input.LinkWritable(number))
    }

    private fun read() {
        val buffer = reactor.buffer.apply { clear() }
        val count = channel?.read(buffer) ?: return
        if (count < 0) return down()
        // What comes after the close is thrown away.
        if (over) return
        buffer.flip()
        report(Input.Received(number, ByteArray(count).also { buffer.get(it) }))
    }

    private fun down() {
        val told = over
        over = true
        release()
        if (!told) report(Input.LinkDown(number))
    }

    /**
     * Writes what is left, sends a FIN and waits a while for the other end's: closing a socket with unread bytes would reset it, and the last
     * words with it.
     */
    fun close() {
        if (over) return
        over = true
        dialling?.cancel()
        val channel = channel ?: return
        try {
            if (rest.isEmpty()) shutdownOutput(channel)
            lingering = reactor.at(Reactor.now() + LINGER_US) { release() }
        } catch (error: Exception) {
            release()
        }
    }

    /** By its socket: Android has the channel's own from API 24 on only. */
    private fun shutdownOutput(channel: SocketChannel) = channel.socket().shutdownOutput()

    private fun release() {
        lingering?.cancel()
        lingering = null
        key?.cancel()
        channel?.closeQuietly()
        channel = null
        rest.clear()
    }

    /** The connection's own address, for tests. */
    val source get() = channel?.socket()?.localAddress

    private companion object {
        const val LINGER_US = 1_000_000L
    }
}

internal fun SocketChannel.closeQuietly() = try {
    close()
} catch (error: IOException) {
    // It is closed all the same.
}
