package dev.unbroken

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.suspendCancellableCoroutine

/** A message was not taken; [code] says why. */
class SendException(val code: RefusalCode, text: String) : Exception(text)

/** The session did not come about; [event] is the `Refused`, `Closed` or `HandoverFailed` that says why. */
class ConnectFailure(val event: Event, text: String) : Exception(text) {
    internal companion object {
        /** A server need not say anything with its refusal. */
        fun of(refused: Event.Refused) =
            ConnectFailure(refused, String(refused.message).ifEmpty { "refused by the server's application (code ${refused.code})" })
    }
}

/**
 * A session to a server that stays alive while the connections under it break.
 *
 * Every method may be called from any thread, and every waiting be cancelled without loss: a message is either fetched or not, sent or not.
 * [close] it, or use [AutoCloseable.use]: a client that is only forgotten lives on.
 */
class UnbrokenClient private constructor(private val driver: Driver) : AutoCloseable {
    /**
     * What happens to the session, up to and with `Closed`; `Established`, with the session's id and what the server said to let it in, is there when
     * [connect] returns. Each event goes to one collector; of those that nobody collects the newest 256 stay.
     */
    val events: Flow<Event> = flow { while (true) emit(driver.events.take() ?: break) }

    /** Where the session stands, for displays. */
    val state: StateFlow<State> get() = driver.state

    /** Whether a handover is under way: messages wait, nothing is lost. */
    val inHandover: StateFlow<Boolean> get() = driver.inHandover

    /** What carries the session now: while it is suspect or lost, a second network is of use. */
    val health: StateFlow<LinkHealth> get() = driver.health

    /** The payloads that come, reliable and unreliable, until the session is closed. Each goes to one collector. */
    val messages: Flow<ByteArray> = flow { while (true) emit((receive() ?: break).payload) }

    /** The next message; null once the session is closed and all that had arrived was fetched. An unreliable one has no id. */
    suspend fun receive(): Message? = driver.messages.take()?.also(driver::took)

    /**
     * Sends a reliable message; waits for room. It arrives once and in order, on this connection or a later one.
     *
     * @throws SendException it is too large, or the session is closed
     */
    suspend fun send(message: ByteArray) {
        taken(Input.Send(message))?.let { throw SendException(it.code, it.text) }
    }

    /**
     * Sends a message that may be lost, at most 16,320 bytes. Says whether it was taken; it is not while no connection stands.
     *
     * @throws SendException it is too large, or the session is closed
     */
    suspend fun sendUnreliable(message: ByteArray): Boolean {
        val refusal = taken(Input.SendUnreliable(message)) ?: return true
        if (refusal.code == RefusalCode.NO_LINK || refusal.code == RefusalCode.FULL) return false
        throw SendException(refusal.code, refusal.text)
    }

    /**
     * Ends the session: what was sent before still arrives, if a connection stands until then, at most 2 s. None is redialled for it: a server
     * that hears nothing keeps the session for its life without a connection. Returns how it ended.
     *
     * @throws IllegalStateException [close] was called before
     */
    suspend fun disconnect(code: UInt = 0u): Event.Closed {
        driver.tell(Input.Disconnect(code))
        return closed()
    }

    /**
     * Waits for the end of the session, and says how it ended.
     *
     * @throws IllegalStateException [close] was called before it ended
     * @throws InternalException a bug in the library has ended it
     */
    suspend fun closed(): Event.Closed = driver.closed.await()

    /** Lets go of the session without waiting. The server hears of it if a connection stands. */
    override fun close() = driver.abandon()

    /** What the system says of its networks, or that the process is suspended or woke. */
    fun hint(hint: NetworkHint) = driver.tell(Input.Network(hint))

    /** Tries again, after a `HandoverFailed` that was not final. */
    fun retry() = driver.tell(Input.Retry)

    /** Counters since the session began. */
    fun stats(): Stats = driver.stats()

    private suspend fun taken(input: Input): Refusal? =
        suspendCancellableCoroutine { sender -> driver.send(Outgoing(input, sender)) }

    companion object {
        /**
         * Connects to `host:port` and waits until the session stands. Cancelling it leaves nothing behind.
         *
         * @param networks ties connections to the networks that [hint] tells of; nothing needs to be tied if nobody tells of any
         * @param connectTimeout for one connection, resolution included, 10 ms at least, or [Duration.INFINITE]; above
         *     [ClientConfig.handshakeMs] it has no effect. How long is tried in all is [ClientConfig.giveUpAfterMs]
         * @throws ConnectFailure refused, or given up
         * @throws UnbrokenException.Config the configuration cannot be used
         * @throws UnbrokenException.Randomness the system gives none
         * @throws IllegalArgumentException the address is no `host:port`
         */
        suspend fun connect(
            address: String,
            config: ClientConfig,
            networks: NetworkBinding = SystemRoutes,
            connectTimeout: Duration = 5.seconds,
        ): UnbrokenClient {
            require(hostAndPort(address) != null) { "`$address` is not `host:port`" }
            val session = Session(config, Reactor.now().toULong())
            val driver = Driver(session, address, networks, connectTimeout.inWholeMilliseconds.coerceIn(10, Int.MAX_VALUE.toLong()).toInt())
            val client = UnbrokenClient(driver)
            driver.start()
            try {
                driver.stands.await()
            } catch (error: Throwable) {
                client.close()
                throw error
            }
            return client
        }
    }
}
