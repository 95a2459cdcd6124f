package dev.unbroken

import com.sun.jna.Native
import dev.unbroken.android.AddressesTest
import dev.unbroken.android.AndroidNetworksTest
import dev.unbroken.android.AppLifecycleTest
import dev.unbroken.android.UnbrokenAndroidTest
import kotlin.system.exitProcess
import org.junit.runner.Description
import org.junit.runner.JUnitCore
import org.junit.runner.notification.RunListener

/**
 * Runs the tests of the core, and those of the Android module on what stands for Android's classes (tests/bindings/android). Says how long
 * each took, and ends with a line `N passed, N failed`.
 */
fun main() {
    val core = JUnitCore()
    core.addListener(object : RunListener() {
        private var begun = 0L

        override fun testStarted(description: Description) {
            begun = System.nanoTime()
        }

        override fun testFinished(description: Description) =
            println("%5.1f s  %s".format((System.nanoTime() - begun) / 1e9, description.methodName))
    })
    println("JNA ${Native.VERSION}, Java ${System.getProperty("java.version")}")
    val result = core.run(
        ClientTest::class.java, NetworkChoiceTest::class.java, AddressesTest::class.java, AndroidNetworksTest::class.java,
        AppLifecycleTest::class.java, UnbrokenAndroidTest::class.java,
    )
    for (failure in result.failures) println("FAILED  ${failure.description.methodName}\n${failure.trace}")
    println("${result.runCount - result.failureCount} passed, ${result.failureCount} failed")
    exitProcess(if (result.wasSuccessful() && result.runCount > 0) 0 else 1)
}
