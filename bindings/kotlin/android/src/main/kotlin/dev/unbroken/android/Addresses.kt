package dev.unbroken.android

import java.net.InetAddress

/**
 * Whether a network has lost an address that a connection may come from. One more (the other IP version, a temporary one of IPv6) leaves all
 * connections as they are. No server is reached from a link-local one.
 */
internal fun hasLostAddress(before: Collection<InetAddress>, now: Collection<InetAddress>): Boolean =
    before.any { !it.isLinkLocalAddress && it !in now }
