// STUB. See App.kt. A device with networks that come and go at a test's word.

package android.net

import java.net.InetAddress
import java.net.Socket
import java.util.concurrent.ConcurrentHashMap

class LinkAddress(val address: InetAddress)

class LinkProperties(val linkAddresses: List<LinkAddress> = emptyList())

@Suppress("UNUSED_PARAMETER")
class Network(val networkHandle: Long) {
    fun getAllByName(host: String): Array<InetAddress> = InetAddress.getAllByName(host)

    /** How many sockets were bound to it. */
    var bound = 0
        private set

    fun bindSocket(socket: Socket) {
        bound++
    }
}

object NetworkCapabilities {
    const val TRANSPORT_CELLULAR = 0
    const val TRANSPORT_WIFI = 1
    const val TRANSPORT_ETHERNET = 3
    const val TRANSPORT_VPN = 4
    const val NET_CAPABILITY_INTERNET = 12
    const val NET_CAPABILITY_NOT_VPN = 15
}

@Suppress("UNUSED_PARAMETER")
class NetworkRequest private constructor(val transport: Int) {
    class Builder {
        private var transport = -1
        fun addTransportType(type: Int) = apply { transport = type }
        fun addCapability(capability: Int) = this
        fun removeCapability(capability: Int) = this
        fun build() = NetworkRequest(transport)
    }
}

class ConnectivityManager {
    open class NetworkCallback {
        open fun onAvailable(network: Network) = Unit
        open fun onLost(network: Network) = Unit
        open fun onLinkPropertiesChanged(network: Network, properties: LinkProperties) = Unit
    }

    /** What the next calls throw. */
    var refuses: RuntimeException? = null
    val listening = ConcurrentHashMap<NetworkCallback, Int>()
    val requested = ConcurrentHashMap<NetworkCallback, Int>()

    fun registerNetworkCallback(request: NetworkRequest, callback: NetworkCallback) {
        refuses?.let { throw it }
        listening[callback] = request.transport
    }

    fun requestNetwork(request: NetworkRequest, callback: NetworkCallback) {
        refuses?.let { throw it }
        requested[callback] = request.transport
    }

    fun unregisterNetworkCallback(callback: NetworkCallback) {
        if (listening.remove(callback) == null && requested.remove(callback) == null) throw IllegalArgumentException("not registered")
    }

    /** A network of that kind comes up, or goes away. */
    fun available(transport: Int, network: Network) = listening.filterValues { it == transport }.keys.forEach { it.onAvailable(network) }
    fun changed(transport: Int, network: Network, properties: LinkProperties) =
        listening.filterValues { it == transport }.keys.forEach { it.onLinkPropertiesChanged(network, properties) }
    fun lost(transport: Int, network: Network) = listening.filterValues { it == transport }.keys.forEach { it.onLost(network) }
}
