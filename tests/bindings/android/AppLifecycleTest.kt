package dev.unbroken.android

import android.app.Activity
import android.app.Application
import dev.unbroken.NetworkHint
import kotlin.test.Test
import kotlin.test.assertEquals

class AppLifecycleTest {
    private val application = Application()
    private val told = ArrayList<NetworkHint>()
    private val lifecycle = AppLifecycle(application, told::add).also { it.start() }
    private val callbacks = application.callbacks.single()

    @Test
    fun `asleep when the last activity has stopped, and awake when one starts`() {
        val (first, second) = Activity() to Activity()
        callbacks.onActivityStarted(first)
        callbacks.onActivityStarted(second)
        callbacks.onActivityStopped(first)
        assertEquals(emptyList(), told)
        callbacks.onActivityStopped(second)
        assertEquals(listOf<NetworkHint>(NetworkHint.Suspend), told)
        callbacks.onActivityStarted(first)
        assertEquals(listOf(NetworkHint.Suspend, NetworkHint.Wake), told)
        lifecycle.close()
        assertEquals(0, application.callbacks.size)
    }

    @Test
    fun `rotation is no sleep`() {
        val activity = Activity()
        callbacks.onActivityStarted(activity)
        activity.isChangingConfigurations = true
        callbacks.onActivityStopped(activity)
        callbacks.onActivityStarted(Activity())
        assertEquals(emptyList(), told)
    }

    @Test
    fun `an activity that was there before is not forgotten under a dialog`() {
        val (before, dialog) = Activity() to Activity()
        callbacks.onActivityPaused(before)
        callbacks.onActivityStarted(dialog)
        callbacks.onActivityPaused(dialog)
        callbacks.onActivityResumed(before)
        callbacks.onActivityStopped(dialog)
        assertEquals(emptyList(), told)
        callbacks.onActivityStopped(before)
        assertEquals(listOf<NetworkHint>(NetworkHint.Suspend), told)
    }
}
