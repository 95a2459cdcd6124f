package dev.unbroken

import java.nio.channels.SelectionKey
import java.nio.channels.Selector
import java.nio.channels.SocketChannel
import java.util.TreeSet
import java.util.concurrent.ConcurrentLinkedQueue

/**
 * The thread that owns the sockets and the timers of all clients in this process. It starts with the first client and ends with the
 * last one and its last socket, so nothing is left behind. Sessions are stepped here and nowhere else, so they need no lock.
 */
internal class Reactor private constructor() : Thread("unbroken") {
    private val selector = Selector.open()
    private val tasks = ConcurrentLinkedQueue<Runnable>()
    private val timers = TreeSet<Timer>()
    private var order = 0L

    /** Bytes on their way from a socket into a session. */
    val buffer: java.nio.ByteBuffer = java.nio.ByteBuffer.allocateDirect(64 shl 10)

    /** Something to do at a time of [now]; made by [at]. */
    inner class Timer(val due: Long, private val order: Long, val action: () -> Unit) : Comparable<Timer> {
        override fun compareTo(other: Timer) = compareValuesBy(this, other, { it.due }, { it.order })

        fun cancel() {
            timers.remove(this)
        }
    }

    /** What a selected channel belongs to. */
    fun interface Ready {
        fun ready()
    }

    /** From any thread: the task runs in the reactor's. */
    fun execute(task: Runnable) {
        tasks.add(task)
        selector.wakeup()
    }

    /** From the reactor's thread. */
    fun at(due: Long, action: () -> Unit): Timer = Timer(due, order++, action).also { timers.add(it) }

    /** From the reactor's thread. The channel's former owner, if there is one, hears no more of it. */
    fun register(channel: SocketChannel, operations: Int, owner: Ready): SelectionKey = channel.register(selector, operations, owner)

    override fun run() {
        while (!mayEnd()) {
            // Rounded up, or it would wake too early and spin.
            val wait = timers.firstOrNull()?.let { (it.due - now() + 999) / 1000 }
            when {
                tasks.isNotEmpty() || wait != null && wait <= 0 -> selector.selectNow()
                else -> selector.select(wait ?: 0)
            }
            val ready = selector.selectedKeys().toList()
            selector.selectedKeys().clear()
            ready.forEach { if (it.isValid) apart { (it.attachment() as Ready).ready() } }
            while (true) {
                val task = tasks.poll() ?: break
                apart { task.run() }
            }
            val over = now()
            while (timers.isNotEmpty() && timers.first().due <= over) {
                val timer = timers.pollFirst()!!
                apart { timer.action() }
            }
        }
        selector.close()
    }

    /** What fails is reported as if it had ended the thread, which goes on: it is that of all sessions. On Android the report ends the app. */
    private inline fun apart(step: () -> Unit) = try {
        step()
    } catch (error: Throwable) {
        uncaughtExceptionHandler.uncaughtException(this, error)
    }

    /** Nobody needs it any more, and nobody new can find it. */
    private fun mayEnd(): Boolean = synchronized(Companion) {
        val idle = users == 0 && tasks.isEmpty() && selector.keys().none { it.isValid }
        if (idle) current = null
        idle
    }

    companion object {
        private val start = System.nanoTime()
        private var current: Reactor? = null
        private var users = 0

        /** Microseconds of a clock that only rises. */
        fun now(): Long = (System.nanoTime() - start) / 1000

        fun acquire(): Reactor = synchronized(this) {
            users++
            current ?: Reactor().also {
                it.isDaemon = true
                current = it
                it.start()
            }
        }

        /** From the reactor's thread: it stays until a [release] more. */
        fun hold() = synchronized(this) { users++ }

        fun release() = synchronized(this) {
            users--
            current?.selector?.wakeup()
        }
    }
}
