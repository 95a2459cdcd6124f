package dev.unbroken.android

import android.app.Activity
import android.app.Application
import dev.unbroken.BlackHole
import dev.unbroken.ClientConfig
import dev.unbroken.ConnectFailure
import dev.unbroken.Control
import dev.unbroken.Event
import dev.unbroken.FailReason
import dev.unbroken.InternalException
import dev.unbroken.LinkHealth
import dev.unbroken.PIN
import dev.unbroken.Reactor
import dev.unbroken.UnbrokenClient
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout

/** What is attached to a session, against the tokio server, on what stands for Android's classes. */
class UnbrokenAndroidTest {
    private val control = Control()
    private val application = Application()

    @AfterTest
    fun closeControl() = control.close()

    private suspend fun connected(): UnbrokenClient {
        val config = ClientConfig(pins = listOf(PIN), realm = "bindings", credential = "android".toByteArray(), backoffBaseMs = 10u, backoffCapMs = 100u)
        return UnbrokenAndroid.connect(application, control.address, config)
    }

    private fun run(test: suspend CoroutineScope.() -> Unit) = runBlocking(Dispatchers.Default) { withTimeout(600_000) { test() } }

    /** What the system tells of its activities, it tells on the main thread. */
    private suspend fun tell(what: Application.ActivityLifecycleCallbacks.() -> Unit) =
        withContext(Dispatchers.Main) { application.callbacks.forEach(what) }

    private suspend fun nothingIsAttached() = until("nothing is left with the system") {
        application.callbacks.isEmpty() && application.connectivity.listening.isEmpty()
    }

    @Test
    fun `an app that left the screen while it connected is suspended, and woken when it is back`() = run {
        control.ask("stall on")
        val connecting = async { connected() }
        until("a connection") { control.ask("links") != "0" }
        val activity = Activity()
        tell { onActivityStopped(activity) }
        control.ask("stall off")
        val client = connecting.await()
        until("it is suspended") { client.health.value == LinkHealth.Idle }
        tell { onActivityStarted(activity) }
        until("it is awake") { client.health.value is LinkHealth.Sound }
        client.disconnect()
        nothingIsAttached()
    }

    @Test
    fun `a cancelled connect leaves nothing with the system`() = run {
        control.ask("stall on")
        val connecting = launch { connected() }
        until("a connection") { control.ask("links") != "0" }
        connecting.cancelAndJoin()
        nothingIsAttached()
    }

    @Test
    fun `a connection is given the time that the application says`() = run {
        BlackHole(control.port).use { hole ->
            val config = ClientConfig(pins = listOf(PIN), backoffBaseMs = 10u, backoffCapMs = 100u, giveUpAfterMs = 2000u)
            val connecting = async {
                assertFailsWith<ConnectFailure> {
                    UnbrokenAndroid.connect(application, hole.address, config, connectTimeout = 100.milliseconds)
                }
            }
            // With the default of 5 s it would be two, which are tried beside each other, and those that fill the hole.
            val tries = HashSet<String>()
            until("several tries") { tries.addAll(hole.tries()).let { tries.size > 6 || connecting.isCompleted } }
            assertTrue(tries.size > 6, "$tries")
            assertEquals(FailReason.GAVE_UP, (connecting.await().event as Event.HandoverFailed).reason)
            nothingIsAttached()
        }
    }

    @Test
    fun `the library breaking off ends the session, and not the app`() = run {
        val handler = Thread.getDefaultUncaughtExceptionHandler()
        var uncaught: Throwable? = null
        Thread.setDefaultUncaughtExceptionHandler { _, error -> uncaught = error }
        try {
            val client = connected()
            until("it is attached") { application.connectivity.listening.isNotEmpty() }
            client.breakOff()
            assertFailsWith<InternalException> { client.closed() }
            nothingIsAttached()
            delay(100)
            assertNull(uncaught)
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(handler)
        }
    }

    /** As if a step of the session had panicked. */
    private fun UnbrokenClient.breakOff() {
        fun Any.member(name: String) = javaClass.getDeclaredField(name).apply { isAccessible = true }.get(this)
        val driver = member("driver")
        val fail = driver.javaClass.getDeclaredMethod("fail", Throwable::class.java).apply { isAccessible = true }
        (driver.member("reactor") as Reactor).execute { fail.invoke(driver, InternalException("a panic")) }
    }
}

private suspend fun until(what: String, condition: () -> Boolean) {
    repeat(12_000) {
        if (condition()) return
        delay(10)
    }
    throw AssertionError("timed out: $what")
}
