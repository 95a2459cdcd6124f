package dev.unbroken.android

import android.app.Activity
import android.app.Application
import android.os.Bundle
import dev.unbroken.NetworkHint

/**
 * Suspends a session when the last activity of the app has stopped, and wakes it when one starts: Android may freeze the process in between
 * at any time. An app that goes on in the background, with a foreground service, leaves this out.
 */
class AppLifecycle(private val application: Application, private val report: (NetworkHint) -> Unit) : AutoCloseable {
    /** Those that were there before this was made are found out when they resume or pause, which comes before any other one stops. */
    private val started = HashSet<Activity>()
    private var asleep = false

    private val callbacks = object : Application.ActivityLifecycleCallbacks {
        override fun onActivityStarted(activity: Activity) = isThere(activity)

        private fun isThere(activity: Activity) {
            started.add(activity)
            if (asleep) {
                asleep = false
                report(NetworkHint.Wake)
            }
        }

        override fun onActivityStopped(activity: Activity) {
            started.remove(activity)
            if (started.isEmpty() && !asleep && !activity.isChangingConfigurations) {
                asleep = true
                report(NetworkHint.Suspend)
            }
        }

        override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit
        override fun onActivityResumed(activity: Activity) = isThere(activity)
        override fun onActivityPaused(activity: Activity) = isThere(activity)
        override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit
        override fun onActivityDestroyed(activity: Activity) = Unit
    }

    /**
     * Begins to watch, which is for before the session is connected: an app that leaves the screen meanwhile is not seen to do so later. What is seen
     * is reported on the main thread.
     */
    fun start() = application.registerActivityLifecycleCallbacks(callbacks)

    override fun close() = application.unregisterActivityLifecycleCallbacks(callbacks)
}
