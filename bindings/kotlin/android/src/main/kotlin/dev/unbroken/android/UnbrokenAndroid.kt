package dev.unbroken.android

import android.app.Application
import dev.unbroken.ClientConfig
import dev.unbroken.NetworkHint
import dev.unbroken.UnbrokenClient
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch

/** Connects a session that follows the device from network to network, and sleeps when the app does. */
object UnbrokenAndroid {
    /**
     * As [UnbrokenClient.connect], with everything of Android attached until the session ends. From any thread; what Android says is heard on the main one.
     *
     * @param holdCellular keep cellular up beside Wi-Fi from when a link is in trouble until Wi-Fi has carried again for half a minute, or for longer if it
     *     had failed to: make before break, at some battery
     * @param sleepsInBackground suspend the session while no activity is visible; false for apps with a foreground service
     * @param connectTimeout for one connection, as in [UnbrokenClient.connect]
     */
    suspend fun connect(
        application: Application,
        address: String,
        config: ClientConfig,
        holdCellular: Boolean = true,
        sleepsInBackground: Boolean = true,
        connectTimeout: Duration = 5.seconds,
    ): UnbrokenClient {
        val networks = AndroidNetworks(application, holdCellular)
        val sleep = Sleep()
        val lifecycle = AppLifecycle(application, sleep::tell)
        // Before: an app that leaves the screen while it connects is not seen to do so afterwards.
        if (sleepsInBackground) lifecycle.start()
        val client = try {
            UnbrokenClient.connect(address, config, networks, connectTimeout)
        } catch (failed: Throwable) {
            lifecycle.close()
            throw failed
        }
        // Ends with the session, not with whoever connected it.
        CoroutineScope(Dispatchers.Main).launch { attach(client, networks, lifecycle, sleep) }
        return client
    }

    private suspend fun attach(client: UnbrokenClient, networks: AndroidNetworks, lifecycle: AppLifecycle, sleep: Sleep) = coroutineScope {
        val following = launch { client.health.collect(networks::health) }
        try {
            networks.start(client::hint)
            sleep.follow(client::hint)
            client.closed()
        } catch (ended: Exception) {
            // By the application, or by the library that failed in whatever way: who waits hears of it there. Here it would be the end of the app.
        } finally {
            following.cancel()
            lifecycle.close()
            networks.close()
        }
    }

    /** What the app's lifecycle says to a session that may not stand yet: then the last word waits for it. On the main thread. */
    private class Sleep {
        private var waiting: NetworkHint? = null
        private var report: ((NetworkHint) -> Unit)? = null

        fun tell(hint: NetworkHint) = report?.invoke(hint) ?: run { waiting = hint }

        fun follow(report: (NetworkHint) -> Unit) {
            this.report = report
            waiting?.let(report)
        }
    }
}
