package dev.unbroken

import java.util.concurrent.ConcurrentLinkedDeque
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.channels.Channel

/**
 * A queue from the reactor's thread to whoever waits in a coroutine. A coroutines channel may lose an element to a receiver that is cancelled
 * at that moment; here the channel only wakes, and what is in the queue stays until it is taken.
 */
internal class Mailbox<T : Any>(private val most: Int = Int.MAX_VALUE) {
    private val queue = ConcurrentLinkedDeque<T>()
    private val size = AtomicInteger()
    private val news = Channel<Unit>(Channel.CONFLATED)

    /** From one thread. Over the bound the oldest goes. */
    fun put(item: T) {
        queue.addLast(item)
        if (size.incrementAndGet() > most) poll()
        news.trySend(Unit)
    }

    fun poll(): T? = queue.pollFirst()?.also { size.decrementAndGet() }

    /** The next one; null when it is closed and empty. */
    suspend fun take(): T? {
        while (true) {
            val item = poll()
            if (item != null) {
                // Others may wait for what is behind it.
                if (queue.isNotEmpty()) news.trySend(Unit)
                return item
            }
            val wake = try {
                news.receiveCatching()
            } catch (cancelled: CancellationException) {
                // It may have been woken just before: then the next one must be.
                if (queue.isNotEmpty()) news.trySend(Unit)
                throw cancelled
            }
            if (wake.isClosed) return poll()
        }
    }

    fun close() {
        news.close()
    }
}
