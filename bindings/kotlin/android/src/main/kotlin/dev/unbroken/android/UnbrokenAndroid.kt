package dev.unbroken.android

import android.app.Application
import dev.unbroken.ClientConfig
import dev.unbroken.UnbrokenClient
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch

/** Connects a session that follows the device from network to network, and sleeps when the app does. */
object UnbrokenAndroid {
    /**
     * As [UnbrokenClient.connect], with everything of Android attached until the session ends.
     *
     * @param holdCellular keep cellular up beside Wi-Fi from when a link is in trouble until Wi-Fi has carried again for half a minute: make before
     *     break, at some battery
     * @param sleepsInBackground suspend the session while no activity is visible; false for apps with a foreground service
     */
    suspend fun connect(
        application: Application,
        address: String,
        config: ClientConfig,
        holdCellular: Boolean = true,
        sleepsInBackground: Boolean = true,
    ): UnbrokenClient {
        val networks = AndroidNetworks(application, holdCellular)
        val client = UnbrokenClient.connect(address, config, networks)
        // Ends with the session, not with whoever connected it.
        CoroutineScope(Dispatchers.Main).launch { attach(application, client, networks, sleepsInBackground) }
        return client
    }

    private suspend fun attach(application: Application, client: UnbrokenClient, networks: AndroidNetworks, sleepsInBackground: Boolean) = coroutineScope {
        val lifecycle = AppLifecycle(application, client::hint)
        val following = launch { client.health.collect(networks::health) }
        try {
            networks.start(client::hint)
            if (sleepsInBackground) lifecycle.start()
            client.closed()
        } catch (ended: Exception) {
            // By the application, or by the library that failed in whatever way: who waits hears of it there. Here it would be the end of the app.
        } finally {
            following.cancel()
            lifecycle.close()
            networks.close()
        }
    }
}
