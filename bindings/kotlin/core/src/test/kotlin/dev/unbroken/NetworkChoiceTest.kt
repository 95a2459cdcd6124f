package dev.unbroken

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue

class NetworkChoiceTest {
    private val choice = NetworkChoice()
    private val wifi = 1uL
    private val cellular = 2uL
    private val onWifi = LinkHealth.Sound(wifi)
    private val onCellular = LinkHealth.Sound(cellular)
    private val none = emptyList<NetworkHint>()

    private fun available(first: ULong, second: ULong? = null) = listOfNotNull(first, second).map { NetworkHint.Available(it) }

    private fun changed(network: ULong) = listOf<NetworkHint>(NetworkHint.Changed(network))

    /** Both are up, and the session is on Wi-Fi. */
    private fun begin() {
        assertEquals(available(wifi), choice.up(wifi, rank = 2, now = 0))
        assertEquals(none, choice.up(cellular, rank = 1, now = 0))
        assertEquals(none, choice.health(onWifi, now = 0))
    }

    @Test
    fun `a lesser network is kept back until the better one is lost`() {
        begin()
        assertEquals(none, choice.changed(cellular))
        assertEquals(listOf(NetworkHint.Lost(wifi), NetworkHint.Available(cellular)), choice.lost(wifi, now = 1))
        assertEquals(changed(cellular), choice.changed(cellular))
        assertEquals(available(wifi), choice.up(wifi, rank = 2, now = 2))
        assertEquals(listOf<NetworkHint>(NetworkHint.Lost(cellular)), choice.lost(cellular, now = 3))
    }

    @Test
    fun `a suspect link is trouble, and the lesser network is told of beneath the better one`() {
        begin()
        assertEquals(available(cellular, wifi), choice.health(LinkHealth.Suspect(wifi), now = 10))
        assertTrue(choice.needsSecond)
        assertEquals(none, choice.health(LinkHealth.Lost, now = 20))
        assertEquals(available(3u, wifi), choice.up(3u, rank = 0, now = 30))
    }

    @Test
    fun `a handover for another reason is none, nor is a link that is back within a second`() {
        begin()
        // On a hint, a drain, a wake-up the old link carries until the new one does.
        assertEquals(none, choice.health(onWifi, now = 10))
        // A server that was restarted.
        assertEquals(none, choice.health(LinkHealth.Lost, now = 20))
        assertEquals(1020L, choice.due)
        assertEquals(none, choice.health(onWifi, now = 900))
        assertNull(choice.due)
        assertFalse(choice.needsSecond)
        assertEquals(none, choice.timePassed(now = 2000))
    }

    @Test
    fun `no link for a second is trouble`() {
        begin()
        assertEquals(none, choice.health(LinkHealth.Lost, now = 20))
        assertEquals(none, choice.health(LinkHealth.Lost, now = 500))
        assertEquals(none, choice.timePassed(now = 1019))
        assertFalse(choice.needsSecond)
        assertEquals(available(cellular, wifi), choice.timePassed(now = 1020))
        assertTrue(choice.needsSecond)
    }

    @Test
    fun `carried by the lesser network it asks for the better one, ever more rarely, and gives the lesser one back when that has carried`() {
        begin()
        choice.health(LinkHealth.Suspect(wifi), now = 0)
        assertEquals(none, choice.health(onCellular, now = 1000))
        for ((due, next) in listOf(31_000L to 60_000L, 91_000L to 120_000L, 211_000L to 240_000L)) {
            assertEquals(due, choice.due)
            assertEquals(none, choice.timePassed(due - 1))
            assertEquals(available(wifi), choice.timePassed(due))
            assertEquals(due + next, choice.due)
            assertTrue(choice.needsSecond)
        }
        assertEquals(none, choice.health(onWifi, now = 220_000))
        assertTrue(choice.needsSecond)
        assertEquals(460_000L, choice.due)
        assertEquals(none, choice.timePassed(460_000))
        assertFalse(choice.needsSecond)
        assertNull(choice.due)
        // It is trusted as at first.
        choice.health(LinkHealth.Suspect(wifi), now = 500_000)
        choice.health(onCellular, now = 500_001)
        assertEquals(530_001L, choice.due)
    }

    @Test
    fun `a better network that comes up is not trusted before it carries`() {
        begin()
        choice.lost(wifi, now = 10)
        choice.health(onCellular, now = 20)
        assertFalse(choice.needsSecond)
        assertEquals(available(wifi), choice.up(wifi, rank = 2, now = 1000))
        assertTrue(choice.needsSecond)
        assertEquals(available(wifi), choice.timePassed(now = 31_000))
        // It went away again: what carries is the best there is.
        assertEquals(listOf<NetworkHint>(NetworkHint.Lost(wifi)), choice.lost(wifi, now = 32_000))
        choice.timePassed(choice.due!!)
        assertFalse(choice.needsSecond)
        assertNull(choice.due)
    }

    @Test
    fun `asleep nothing is kept up`() {
        begin()
        choice.health(LinkHealth.Suspect(wifi), now = 10)
        assertEquals(none, choice.health(LinkHealth.Idle, now = 20))
        assertFalse(choice.needsSecond)
        assertNull(choice.due)
    }

    @Test
    fun `a change of a lesser network does not take the session off a better one`() {
        begin()
        choice.health(LinkHealth.Suspect(wifi), now = 10)
        choice.health(onWifi, now = 20)
        assertTrue(choice.needsSecond)
        assertEquals(none, choice.changed(cellular))
        choice.timePassed(choice.due!!)
        assertFalse(choice.needsSecond)
        assertEquals(none, choice.changed(cellular))
        // Nor while a server is restarted.
        choice.health(LinkHealth.Lost, now = 100_000)
        assertEquals(none, choice.changed(cellular))
        assertEquals(changed(wifi), choice.changed(wifi))
    }

    @Test
    fun `in trouble a lesser network that changed stays beneath the better one`() {
        begin()
        for (health in listOf(LinkHealth.Suspect(wifi), LinkHealth.Lost)) {
            choice.health(health, now = 10)
            assertEquals(changed(cellular) + available(wifi), choice.changed(cellular))
            assertEquals(changed(wifi), choice.changed(wifi))
        }
    }

    @Test
    fun `the network that carries the session is told of when it changed, and the better one asked at its time`() {
        begin()
        choice.up(3u, rank = 0, now = 0)
        choice.health(LinkHealth.Suspect(wifi), now = 0)
        choice.health(onCellular, now = 1000)
        assertEquals(changed(cellular), choice.changed(cellular))
        assertEquals(none, choice.changed(3u))
        assertEquals(31_000L, choice.due)
        assertEquals(available(wifi), choice.timePassed(now = 31_000))
        assertEquals(changed(wifi), choice.changed(wifi))
        // It may be dead, but the link on it is not given up yet.
        choice.health(LinkHealth.Suspect(cellular), now = 40_000)
        assertEquals(changed(cellular) + available(wifi), choice.changed(cellular))
        // An equal that is not the newest.
        choice.up(7u, rank = 2, now = 50_000)
        choice.health(onWifi, now = 50_001)
        assertEquals(changed(wifi), choice.changed(wifi))
    }

    @Test
    fun `the better network is the wanted one again when it carries, if the lesser one had changed meanwhile`() {
        begin()
        choice.health(LinkHealth.Suspect(wifi), now = 0)
        choice.health(onCellular, now = 1000)
        choice.changed(cellular)
        assertEquals(none, choice.health(onCellular, now = 2000))
        assertEquals(none, choice.health(LinkHealth.Suspect(cellular), now = 3000))
        assertEquals(available(wifi), choice.health(onWifi, now = 4000))
        assertEquals(none, choice.health(onWifi, now = 5000))
        // Asked at its time, it is wanted already.
        choice.health(LinkHealth.Suspect(wifi), now = 6000)
        choice.health(onCellular, now = 7000)
        choice.changed(cellular)
        assertEquals(available(wifi), choice.timePassed(choice.due!!))
        assertEquals(none, choice.health(onWifi, now = 90_000))
    }

    @Test
    fun `among equals the newest is wanted`() {
        begin()
        assertEquals(available(7u), choice.up(7u, rank = 2, now = 1))
        choice.health(LinkHealth.Sound(7u), now = 2)
        assertEquals(available(cellular, 7u), choice.health(LinkHealth.Suspect(7u), now = 3))
    }

    @Test
    fun `what is told twice or was never up changes nothing`() {
        choice.up(wifi, rank = 2, now = 0)
        assertEquals(none, choice.up(wifi, rank = 2, now = 1))
        assertEquals(none, choice.lost(cellular, now = 2))
        assertEquals(none, choice.changed(cellular))
    }
}
