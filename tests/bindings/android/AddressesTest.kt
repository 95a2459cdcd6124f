package dev.unbroken.android

import java.net.InetAddress
import kotlin.test.Test
import kotlin.test.assertEquals

class AddressesTest {
    private fun addresses(text: String) = text.split(" ").filter { it.isNotEmpty() }.map { InetAddress.getByName(it) }

    private fun expect(lost: Boolean, before: String, now: String) =
        assertEquals(lost, hasLostAddress(addresses(before), addresses(now)), "`$before`, then `$now`")

    @Test
    fun `one more, or another order, is no loss`() {
        expect(false, "192.0.2.1", "192.0.2.1")
        expect(false, "192.0.2.1", "192.0.2.1 2001:db8::1")
        expect(false, "192.0.2.1 2001:db8::1", "2001:db8::1 192.0.2.1")
        expect(false, "", "192.0.2.1")
    }

    @Test
    fun `one that is gone is a loss, also when another comes for it`() {
        expect(true, "192.0.2.1 2001:db8::1", "192.0.2.1")
        expect(true, "192.0.2.1 2001:db8::1", "192.0.2.1 2001:db8::2")
        expect(true, "192.0.2.1", "192.0.2.2")
        expect(true, "192.0.2.1", "")
    }

    @Test
    fun `a link-local one is none to lose`() {
        expect(false, "192.0.2.1 fe80::1", "192.0.2.1")
        expect(false, "fe80::1 169.254.0.1", "")
        expect(true, "192.0.2.1 fe80::1", "fe80::1")
    }
}
