package dev.unbroken

/**
 * What to tell a session of a device's networks when several are up, and when the lesser ones are worth their price.
 *
 * The session wants the network that was reported last, and moves there. So a lesser network beside a better one is kept back while the session
 * does well. In trouble it is told of, beneath the better one: the session leaves a suspect link for it at once, and tries it by turns when the
 * better one fails. That is trouble: a link that is suspect, or none for a second; a handover for another reason is none.
 *
 * Where it was carried to, the session stays. So half a minute after, the better network is reported again: if it carries, the session is
 * back, else it stays where it is, and is asked again after twice that time, and so on.
 *
 * Pure bookkeeping, for one thread; times in milliseconds of any clock that only rises. Each call gives the hints to pass on, in order.
 */
class NetworkChoice {
    private class Known(val network: ULong, val rank: Int, var reported: Boolean)

    /** In the order they came up. */
    private val up = ArrayList<Known>()
    private var phase: Phase = Phase.Calm
    private var health: LinkHealth = LinkHealth.Idle
    private var pause = FIRST_PAUSE

    /** The session was told of a lesser network last, the one that carried it. */
    private var wantsLesser = false

    private sealed interface Phase {
        /** On the best network that is up, or on one that was not told of, or asleep. */
        object Calm : Phase

        /** Without a link, which is trouble from then on. */
        class Cut(val until: Long) : Phase

        /** No link carries, or a suspect one. */
        object Trouble : Phase

        /** Carried again, but by a lesser network: the better one is asked at [askAt]. */
        class Away(val askAt: Long) : Phase

        /** Back on the best one, which has proved itself at [until]. */
        class Back(val until: Long) : Phase
    }

    /** Whether the lesser networks are to be kept up, at their price: in trouble, and until the better one has carried for a while. */
    val needsSecond: Boolean get() = phase is Phase.Trouble || phase is Phase.Away || phase is Phase.Back

    /** When to call [timePassed]; null: not before something happens. */
    val due: Long? get() = when (val phase = phase) {
        is Phase.Cut -> phase.until
        is Phase.Away -> phase.askAt
        is Phase.Back -> phase.until
        Phase.Calm, Phase.Trouble -> null
    }

    /** A network came up. A higher [rank] is wanted more; among equals the newest is. */
    fun up(network: ULong, rank: Int, now: Long): List<NetworkHint> {
        if (up.any { it.network == network }) return emptyList()
        val known = Known(network, rank, reported = false)
        up.add(known)
        settle(now)
        return if (known === best() || phase == Phase.Trouble) tell(listOf(known)) else emptyList()
    }

    /** A network went away. */
    fun lost(network: ULong, now: Long): List<NetworkHint> {
        val gone = up.find { it.network == network } ?: return emptyList()
        up.remove(gone)
        settle(now)
        if (!gone.reported) return emptyList()
        val lost = listOf(NetworkHint.Lost(network))
        return if (up.any { it.reported }) lost else lost + tell(listOfNotNull(best()))
    }

    /**
     * The addresses of a network changed. What is said to have changed is wanted from then on: so nothing is said of a lesser network, unless the
     * session is on it, by a link that may be dead now; in trouble, the best one is wanted again right after.
     */
    fun changed(network: ULong): List<NetworkHint> {
        val known = up.find { it.network == network && it.reported } ?: return emptyList()
        val changed = listOf(NetworkHint.Changed(network))
        val best = best()
        return when {
            known === best -> changed.also { wantsLesser = false }
            phase == Phase.Trouble -> changed + tell(listOfNotNull(best))
            network == carrying() -> changed.also { wantsLesser = true }
            else -> emptyList()
        }
    }

    /** What carries the session now. */
    fun health(health: LinkHealth, now: Long): List<NetworkHint> {
        this.health = health
        settle(now)
        return when {
            health is LinkHealth.Suspect -> trouble()
            health is LinkHealth.Lost && phase !is Phase.Cut -> if (phase == Phase.Calm) cut(now) else trouble()
            // Else the next handover, for whatever reason, would go to the lesser one. To be told of what carries it moves no session.
            wantsLesser && carrying() == best()?.network -> tell(listOfNotNull(best()))
            else -> emptyList()
        }
    }

    /** It is [due], or later. */
    fun timePassed(now: Long): List<NetworkHint> {
        if (now < (due ?: return emptyList())) return emptyList()
        when (phase) {
            is Phase.Cut -> return trouble()
            is Phase.Away -> {
                pause = (2 * pause).coerceAtMost(LONGEST_PAUSE)
                phase = Phase.Away(now + pause)
                return tell(listOfNotNull(best()))
            }
            else -> {
                phase = Phase.Calm
                pause = FIRST_PAUSE
            }
        }
        return emptyList()
    }

    private fun cut(now: Long): List<NetworkHint> {
        phase = Phase.Cut(now + PATIENCE)
        return emptyList()
    }

    private fun trouble(): List<NetworkHint> {
        if (phase == Phase.Trouble) return emptyList()
        phase = Phase.Trouble
        return tell(up.filter { !it.reported })
    }

    /** What follows from a link that carries, or from none that is wanted. */
    private fun settle(now: Long) {
        val health = health
        if (health is LinkHealth.Idle) phase = Phase.Calm
        if (health !is LinkHealth.Sound) return
        val carrier = up.find { it.network == health.network }
        val isAway = carrier != null && up.any { it.rank > carrier.rank }
        phase = when {
            isAway -> phase as? Phase.Away ?: Phase.Away(now + pause)
            phase is Phase.Back -> phase
            phase == Phase.Trouble || phase is Phase.Away -> Phase.Back(now + pause)
            else -> Phase.Calm
        }
    }

    /** The one that carries the session, if that is known. */
    private fun carrying(): ULong? = when (val health = health) {
        is LinkHealth.Sound -> health.network
        is LinkHealth.Suspect -> health.network
        LinkHealth.Lost, LinkHealth.Idle -> null
    }

    /** Among equals the newest. */
    private fun best(): Known? = up.asReversed().maxByOrNull { it.rank }

    /** The best last, and last of all the best of those that are known already: it stays the wanted one. */
    private fun tell(news: List<Known>): List<NetworkHint> {
        if (news.isEmpty()) return emptyList()
        val top = best()!!
        val order = news.filter { it !== top }.sortedBy { it.rank } + if (top.reported || top in news) listOf(top) else emptyList()
        order.forEach { it.reported = true }
        wantsLesser = false
        return order.map { NetworkHint.Available(it.network) }
    }

    private companion object {
        /** A server that was restarted is back within it, and no reason to leave the network. */
        const val PATIENCE = 1_000L

        /** A network that failed once may fail again at once. */
        const val FIRST_PAUSE = 30_000L
        const val LONGEST_PAUSE = 15 * 60_000L
    }
}
