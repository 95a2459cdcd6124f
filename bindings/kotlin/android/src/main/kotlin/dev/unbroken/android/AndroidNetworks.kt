package dev.unbroken.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.LinkProperties
import android.net.Network
import android.net.NetworkCapabilities
import android.net.NetworkRequest
import android.os.Handler
import android.os.Looper
import android.os.SystemClock
import android.util.Log
import dev.unbroken.LinkHealth
import dev.unbroken.NetworkBinding
import dev.unbroken.NetworkChoice
import dev.unbroken.NetworkHint
import java.net.InetAddress
import java.nio.channels.SocketChannel
import java.util.Collections
import java.util.concurrent.ConcurrentHashMap

/**
 * What Android says of its networks, as hints for a session, and the binding of the session's sockets to them.
 *
 * Each transport has a callback of its own, so nothing needs to be asked of the system inside a callback, where its answers race. While a VPN
 * is up, sockets are left to the system: binding them to the network below would go around it.
 *
 * The system may refuse any of it, by an exception: an app without the permission, or with too many callbacks. Then the session goes without
 * what was refused, as it would on a device with one network.
 *
 * Needs ACCESS_NETWORK_STATE; [holdsCellular], to keep cellular up beside Wi-Fi around a handover, needs CHANGE_NETWORK_STATE. All hints come on the main
 * thread, where all methods but those of [NetworkBinding] belong.
 */
class AndroidNetworks(context: Context, private val holdsCellular: Boolean = true) : NetworkBinding, AutoCloseable {
    private val manager = context.getSystemService(Context.CONNECTIVITY_SERVICE) as ConnectivityManager
    private val main = Handler(Looper.getMainLooper())
    private val byHandle = ConcurrentHashMap<ULong, Network>()
    private val addresses = HashMap<ULong, List<InetAddress>>()
    private val choice = NetworkChoice()
    private val callbacks = ArrayList<ConnectivityManager.NetworkCallback>()
    private var holding: ConnectivityManager.NetworkCallback? = null
    /** Once is enough to know. */
    private var wasRefused = false
    private var report: ((NetworkHint) -> Unit)? = null
    private val wake = Runnable { tell(choice.timePassed(now())) }

    /** Those that are up: a VPN that is set up anew comes before its former network goes. */
    private val vpns: MutableSet<ULong> = Collections.newSetFromMap(ConcurrentHashMap())

    /** Begins to report. Networks that are up already are reported at once. */
    fun start(report: (NetworkHint) -> Unit) {
        this.report = report
        listen(NetworkCapabilities.TRANSPORT_ETHERNET, Transport(rank = 3))
        listen(NetworkCapabilities.TRANSPORT_WIFI, Transport(rank = 2))
        listen(NetworkCapabilities.TRANSPORT_CELLULAR, Transport(rank = 1))
        listen(NetworkCapabilities.TRANSPORT_VPN, Vpn())
    }

    /** What carries the session now. */
    fun health(health: LinkHealth) = tell(choice.health(health, now()))

    override fun close() {
        report = null
        main.removeCallbacks(wake)
        hold(false)
        callbacks.forEach { attempt("unregisterNetworkCallback") { manager.unregisterNetworkCallback(it) } }
        callbacks.clear()
    }

    override fun resolve(network: ULong?, host: String): List<InetAddress> =
        (bound(network)?.getAllByName(host) ?: InetAddress.getAllByName(host)).toList()

    override fun bind(network: ULong?, channel: SocketChannel) {
        bound(network)?.bindSocket(channel.socket())
    }

    private fun bound(network: ULong?): Network? = if (vpns.isNotEmpty()) null else network?.let { byHandle[it] }

    private fun listen(transport: Int, callback: ConnectivityManager.NetworkCallback) {
        if (attempt("registerNetworkCallback") { manager.registerNetworkCallback(request(transport), callback) }) callbacks.add(callback)
    }

    /** Asks the system to keep cellular up beside Wi-Fi, or to stop that. It costs battery and perhaps money. */
    private fun hold(hold: Boolean) {
        val held = holding
        if (hold && held == null && !wasRefused) {
            // The listening callback hears of it; this one only keeps it up.
            val callback = ConnectivityManager.NetworkCallback()
            val request = request(NetworkCapabilities.TRANSPORT_CELLULAR)
            wasRefused = !attempt("requestNetwork") { manager.requestNetwork(request, callback) }
            if (!wasRefused) holding = callback
        } else if (!hold && held != null) {
            attempt("unregisterNetworkCallback") { manager.unregisterNetworkCallback(held) }
            holding = null
        }
    }

    /** Says whether the system did it. */
    private fun attempt(what: String, call: () -> Unit): Boolean = try {
        call()
        true
    } catch (error: RuntimeException) {
        Log.w("unbroken", "$what was refused; the session goes without", error)
        false
    }

    private fun request(transport: Int): NetworkRequest {
        val request = NetworkRequest.Builder().addTransportType(transport).addCapability(NetworkCapabilities.NET_CAPABILITY_INTERNET)
        if (transport == NetworkCapabilities.TRANSPORT_VPN) request.removeCapability(NetworkCapabilities.NET_CAPABILITY_NOT_VPN)
        return request.build()
    }

    /** After each change of [choice]. */
    private fun tell(hints: List<NetworkHint>) {
        val report = report ?: return
        hints.forEach(report)
        hold(holdsCellular && choice.needsSecond)
        main.removeCallbacks(wake)
        choice.due?.let { main.postDelayed(wake, (it - now()).coerceAtLeast(0)) }
    }

    private fun now() = SystemClock.uptimeMillis()

    /** Callbacks come on a thread of the system's; the bookkeeping is the main thread's. */
    private inner class Transport(private val rank: Int) : ConnectivityManager.NetworkCallback() {
        override fun onAvailable(network: Network) {
            val handle = network.networkHandle.toULong()
            byHandle[handle] = network
            main.post { tell(choice.up(handle, rank, now())) }
        }

        override fun onLost(network: Network) {
            val handle = network.networkHandle.toULong()
            main.post {
                addresses.remove(handle)
                tell(choice.lost(handle, now()))
                byHandle.remove(handle)
            }
        }

        override fun onLinkPropertiesChanged(network: Network, properties: LinkProperties) {
            val handle = network.networkHandle.toULong()
            main.post {
                // Not the LinkAddresses, which differ by flags and lifetimes, too.
                val now = properties.linkAddresses.map { it.address }
                // The first ones come with the network itself.
                val before = addresses.put(handle, now) ?: return@post
                if (hasLostAddress(before, now)) tell(choice.changed(handle))
            }
        }
    }

    /** Wanted more than any other, and never bound to. */
    private inner class Vpn : ConnectivityManager.NetworkCallback() {
        override fun onAvailable(network: Network) {
            vpns.add(network.networkHandle.toULong())
            main.post { tell(choice.up(network.networkHandle.toULong(), rank = 4, now())) }
        }

        override fun onLost(network: Network) {
            vpns.remove(network.networkHandle.toULong())
            main.post { tell(choice.lost(network.networkHandle.toULong(), now())) }
        }
    }
}
