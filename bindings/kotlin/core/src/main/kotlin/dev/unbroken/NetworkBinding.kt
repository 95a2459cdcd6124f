package dev.unbroken

import java.net.InetAddress
import java.net.InetSocketAddress
import java.nio.channels.SocketChannel

/**
 * How a link is tied to one of the networks whose numbers the application gives in [NetworkHint]. Called in an I/O thread, and may block.
 * What it throws counts as a connection that could not be made.
 */
interface NetworkBinding {
    /** The addresses of a host, as that network's resolver sees them; the first is tried first. */
    fun resolve(network: ULong?, host: String): List<InetAddress> = InetAddress.getAllByName(host).toList()

    /** Ties the channel to the network, before it is connected. Null: the system's choice. */
    fun bind(network: ULong?, channel: SocketChannel)
}

/** Leaves every link to the system's routes. */
object SystemRoutes : NetworkBinding {
    override fun bind(network: ULong?, channel: SocketChannel) = Unit
}

/** Binds to the address that the host has in each network. It decides the route only where the system routes by source. */
class SourceAddresses(private val addresses: Map<ULong, InetAddress>) : NetworkBinding {
    override fun bind(network: ULong?, channel: SocketChannel) {
        val source = network?.let { addresses[it] } ?: return
        // Not channel.bind, which Android has from API 24 on only.
        channel.socket().bind(InetSocketAddress(source, 0))
    }
}
