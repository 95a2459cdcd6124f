package dev.unbroken

import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlin.coroutines.resume
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.MutableStateFlow

/** A message on its way into the session, and who waits for that. */
internal class Outgoing(val input: Input, private val sender: CancellableContinuation<Refusal?>) {
    val isWithdrawn get() = sender.isCancelled
    val isReliable get() = input is Input.Send

    /** What it counts for, as the session does. */
    val cost = COST.toLong() + when (input) {
        is Input.Send -> input.message.size
        is Input.SendUnreliable -> input.message.size
        else -> 0
    }

    fun settle(refusal: Refusal?) = sender.resume(refusal)
}

/**
 * Feeds one session with what happens and does what it asks for, in the reactor's thread.
 *
 * Whatever happens is an input; a turn hands all of them to one step of the session, because a call through JNA has its price. Events and
 * messages are taken before anything is written: whoever writes first can wait for a server that waits for him.
 */
internal class Driver(
    private val session: Session,
    private val address: String,
    private val networks: NetworkBinding,
    private val connectTimeoutMs: Int,
) {
    private val reactor = Reactor.acquire()
    private val scope = CoroutineScope(SupervisorJob())
    private val links = HashMap<ULong, Link>()
    private val inputs = ArrayList<Input>()
    private var turning = false
    private var timer: Reactor.Timer? = null

    /** Sends as they come from any thread, and in order as the session has not taken them yet. */
    private val arrivals = ConcurrentLinkedQueue<Outgoing>()
    private val roused = AtomicBoolean()
    private val outgoing = ArrayDeque<Outgoing>()
    private var blocked = false

    /** The application let go of it, or the library failed: no step any more. */
    private var gone = false

    @Volatile private var more = false

    @Volatile private var over = false

    /** Set when nothing is stepped any more, and the reactor may be gone. */
    @Volatile private var lastStats: Stats? = null
    private val used = AtomicInteger()

    val messages = Mailbox<Message>()
    val events = Mailbox<Event>(EVENTS)
    val state = MutableStateFlow(State.NONE)
    val inHandover = MutableStateFlow(false)
    val health = MutableStateFlow<LinkHealth>(LinkHealth.Idle)
    val stands = CompletableDeferred<Unit>()
    val closed = CompletableDeferred<Event.Closed>()

    // ---- from any thread ----

    fun start() = reactor.execute { happened() }

    fun tell(input: Input) = reactor.execute { happened(input) }

    fun send(message: Outgoing) {
        if (message.cost > LARGEST + COST) return message.settle(TOO_LARGE)
        arrivals.add(message)
        if (lastStats == null) rouse() else refuseArrivals()
    }

    /** The application has taken a message. */
    fun took(message: Message) {
        if (used.addAndGet(-cost(message)) < ROOM / 2 && more) rouse()
    }

    fun stats(): Stats = lastStats ?: try {
        session.stats()
    } catch (error: IllegalStateException) {
        // It ended meanwhile.
        lastStats ?: throw error
    }

    fun abandon() = reactor.execute {
        if (!over) {
            inputs.add(Input.Disconnect(0u))
            // The goodbye is behind all that was sent before.
            turns(untilAllIsWritten = true)
        }
        gone = true
        more = false
        shut()
    }

    /** What is sent together leaves together: only the first wakes the reactor. */
    private fun rouse() {
        if (roused.compareAndSet(false, true)) {
            reactor.execute {
                roused.set(false)
                happened()
            }
        }
    }

    // ---- in the reactor's thread ----

    private fun happened(input: Input? = null) {
        if (input != null) inputs.add(input)
        turns(untilAllIsWritten = false)
    }

    /**
     * Turns until nothing has happened meanwhile. A session that has more to write than it gives in one asks for another: that is for the
     * timer, so that the sockets have their say in between, and other sessions theirs.
     */
    private fun turns(untilAllIsWritten: Boolean) {
        if (turning) return
        turning = true
        try {
            do {
                val again = turn()
            } while ((again && untilAllIsWritten || inputs.isNotEmpty()) && !over)
        } catch (error: Throwable) {
            fail(error)
        } finally {
            turning = false
        }
    }

    /** One step of the session; says whether it asks for another at once. */
    private fun turn(): Boolean {
        while (true) outgoing.addLast(arrivals.poll() ?: break)
        if (over && !more || gone) {
            refuseAll()
            return false
        }
        val step = step()
        // First, so that whoever takes the last of them at once knows that there are more to ask for.
        more = step.moreMessages
        for (message in step.messages) {
            used.addAndGet(cost(message))
            messages.put(message)
        }
        step.events.forEach(::note)
        health.value = step.health
        step.outputs.forEach(::carryOut)
        if (over) {
            shut()
            return false
        }
        timer?.cancel()
        val due = step.deadlineUs?.toLong()
        timer = due?.let { reactor.at(it) { happened() } }
        return due != null && due <= Reactor.now()
    }

    private fun step(): Step {
        outgoing.removeAll { it.isWithdrawn }
        val sends = next()
        val all = inputs + sends.map { it.input }
        val first = inputs.size
        inputs.clear()
        val room = (ROOM - used.get()).coerceAtLeast(0)
        val step = session.step(all, room.toUInt(), Reactor.now().toULong())
        val refusals = step.refusals.associateBy { it.input.toInt() - first }
        val settled = HashSet<Outgoing>()
        sends.forEachIndexed { index, message ->
            val refusal = refusals[index]
            if (refusal?.code == RefusalCode.WOULD_BLOCK) {
                blocked = true
            } else {
                settled.add(message)
                message.settle(refusal)
            }
        }
        outgoing.removeAll(settled)
        if (outgoing.any(::mayLeave)) rouse()
        return step
    }

    private fun mayLeave(message: Outgoing) = !blocked || !message.isReliable

    /** What the session is asked to take now, in order; no more than it may have room for, as a call cannot carry all that may wait. */
    private fun next(): List<Outgoing> {
        var size = 0L
        return outgoing.filter(::mayLeave).takeWhile { message -> (size < BURST).also { size += message.cost } }
    }

    private fun note(event: Event) {
        events.put(event)
        when (event) {
            is Event.StateChanged -> state.value = event.state
            is Event.HandoverBegin -> inHandover.value = true
            is Event.HandoverEnd -> inHandover.value = false
            is Event.Established -> stands.complete(Unit)
            is Event.Refused -> stands.completeExceptionally(ConnectFailure.of(event))
            is Event.HandoverFailed -> {
                inHandover.value = false
                stands.completeExceptionally(ConnectFailure(event, event.text))
            }
            is Event.Writable -> {
                blocked = false
                rouse()
            }
            is Event.Closed -> {
                over = true
                inHandover.value = false
                stands.completeExceptionally(ConnectFailure(event, event.text))
                closed.complete(event)
            }
            else -> Unit
        }
    }

    private fun carryOut(output: Output) {
        when (output) {
            is Output.Send -> links[output.link]?.write(output.bytes)
            is Output.CloseLink -> links.remove(output.link)?.close()
            is Output.OpenLink -> {
                val link = Link(output.link, reactor) { report ->
                    if (report is Input.LinkDown) links.remove(report.link)
                    happened(report)
                }
                links[output.link] = link
                link.dial(scope, output.advised ?: address, output.network, networks, connectTimeoutMs)
            }
        }
    }

    // ---- the end ----

    private fun fail(error: Throwable) {
        stands.completeExceptionally(error)
        closed.completeExceptionally(error)
        gone = true
        more = false
        shut()
    }

    /** Leaves nothing behind but what had arrived and was not taken. May be called again. */
    private fun shut() {
        over = true
        // The session itself may still be saying goodbye, or be lost.
        state.value = State.CLOSED
        inHandover.value = false
        health.value = LinkHealth.Idle
        timer?.cancel()
        timer = null
        links.values.toList().forEach(Link::close)
        links.clear()
        refuseAll()
        // Nothing happens any more, though messages may still be fetched.
        events.close()
        if (more || lastStats != null) return
        lastStats = try {
            session.stats()
        } catch (error: UnbrokenException) {
            Stats(0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, null)
        }
        refuseArrivals()
        session.destroy()
        scope.cancel()
        messages.close()
        // Not a CancellationException, which would look like the end of whoever waits.
        stands.completeExceptionally(IllegalStateException("the client was closed"))
        closed.completeExceptionally(IllegalStateException("the client was closed"))
        Reactor.release()
    }

    private fun refuseAll() {
        outgoing.forEach { it.settle(CLOSED) }
        outgoing.clear()
        refuseArrivals()
    }

    /** From any thread. */
    private fun refuseArrivals() {
        while (true) (arrivals.poll() ?: break).settle(CLOSED)
    }

    private companion object {
        /** Received messages that wait for the application, in bytes; beyond it they wait in the session, then at the server. */
        const val ROOM = 256 shl 10

        /** Events that wait for the application; the oldest are dropped. */
        const val EVENTS = 256

        /** What goes into the session in one step, in bytes, but for one message more. */
        const val BURST = 1L shl 20

        /** No configuration has a larger limit. */
        const val LARGEST = 16 shl 20

        val CLOSED = Refusal(0u, RefusalCode.CLOSED, "the session is closed")
        val TOO_LARGE = Refusal(0u, RefusalCode.TOO_LARGE, "larger than the limit of $LARGEST bytes")

        /** What a message counts for, as the session does. */
        fun cost(message: Message) = message.payload.size + COST
    }
}

/** What a message counts for beside its payload. */
private const val COST = 64
