package dev.unbroken.android

import android.content.Context
import android.net.LinkAddress
import android.net.LinkProperties
import android.net.Network
import android.net.NetworkCapabilities.TRANSPORT_CELLULAR
import android.net.NetworkCapabilities.TRANSPORT_VPN
import android.net.NetworkCapabilities.TRANSPORT_WIFI
import android.os.SystemClock
import android.util.Log
import dev.unbroken.LinkHealth
import dev.unbroken.NetworkHint
import java.net.InetAddress
import java.nio.channels.SocketChannel
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

class AndroidNetworksTest {
    private val context = Context()
    private val device = context.connectivity
    private val networks = AndroidNetworks(context)
    private val told = ArrayList<NetworkHint>()
    private val wifi = Network(101)
    private val cellular = Network(102)

    @AfterTest
    fun close() = networks.close()

    private fun began() {
        networks.start(told::add)
        device.available(TRANSPORT_WIFI, wifi)
        networks.health(LinkHealth.Sound(101u))
        assertEquals(listOf<NetworkHint>(NetworkHint.Available(101u)), told)
        told.clear()
    }

    private fun held() = device.requested.values.toList()

    @Test
    fun `cellular is held while Wi-Fi is in trouble, and until it has carried again for half a minute`() {
        began()
        assertEquals(emptyList(), held())
        networks.health(LinkHealth.Suspect(101u))
        assertEquals(listOf(TRANSPORT_CELLULAR), held())
        device.available(TRANSPORT_CELLULAR, cellular)
        assertEquals(listOf<NetworkHint>(NetworkHint.Available(102u), NetworkHint.Available(101u)), told)
        told.clear()
        // It moved to cellular, and is asked back by and by.
        networks.health(LinkHealth.Sound(102u))
        SystemClock.advance(29_999)
        assertEquals(emptyList(), told)
        SystemClock.advance(1)
        assertEquals(listOf<NetworkHint>(NetworkHint.Available(101u)), told)
        networks.health(LinkHealth.Sound(101u))
        SystemClock.advance(59_999)
        assertEquals(listOf(TRANSPORT_CELLULAR), held())
        SystemClock.advance(1)
        assertEquals(emptyList(), held())
    }

    @Test
    fun `a link that is back within a second holds nothing`() {
        began()
        networks.health(LinkHealth.Lost)
        SystemClock.advance(900)
        networks.health(LinkHealth.Sound(101u))
        SystemClock.advance(60_000)
        assertEquals(emptyList(), held())
        assertEquals(emptyList(), told)
    }

    @Test
    fun `a network that loses an address has changed, and none that gains one`() {
        began()
        fun has(vararg addresses: String) =
            device.changed(TRANSPORT_WIFI, wifi, LinkProperties(addresses.map { LinkAddress(InetAddress.getByName(it)) }))
        has("192.0.2.1")
        has("192.0.2.1", "fe80::1")
        has("2001:db8::1", "192.0.2.1")
        assertEquals(emptyList(), told)
        has("2001:db8::1")
        assertEquals(listOf<NetworkHint>(NetworkHint.Changed(101u)), told)
    }

    @Test
    fun `what the system refuses is done without`() {
        began()
        Log.warnings.clear()
        device.refuses = SecurityException("no permission")
        networks.health(LinkHealth.Suspect(101u))
        networks.health(LinkHealth.Sound(101u))
        networks.health(LinkHealth.Suspect(101u))
        assertEquals(emptyList(), held())
        assertEquals(listOf("requestNetwork was refused; the session goes without"), Log.warnings)

        val other = AndroidNetworks(context)
        other.start(told::add)
        other.close()
        assertEquals(5, Log.warnings.size)
    }

    @Test
    fun `sockets are left to the system while a VPN is up, also while it is set up anew`() {
        began()
        val (first, second) = Network(201) to Network(202)
        fun binds(): Boolean {
            val before = wifi.bound
            SocketChannel.open().use { networks.bind(101u, it) }
            return wifi.bound > before
        }
        assertTrue(binds())
        device.available(TRANSPORT_VPN, first)
        assertFalse(binds())
        // The new tunnel comes before the old one goes.
        device.available(TRANSPORT_VPN, second)
        device.lost(TRANSPORT_VPN, first)
        assertFalse(binds())
        device.lost(TRANSPORT_VPN, second)
        assertTrue(binds())
    }

    @Test
    fun `closed it leaves nothing with the system`() {
        began()
        networks.health(LinkHealth.Suspect(101u))
        networks.close()
        assertEquals(0, device.listening.size + device.requested.size)
        device.available(TRANSPORT_CELLULAR, cellular)
        SystemClock.advance(3_600_000)
        assertEquals(emptyList(), told)
        networks.close()
    }
}
