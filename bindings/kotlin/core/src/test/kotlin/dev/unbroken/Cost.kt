package dev.unbroken

import java.lang.management.ManagementFactory

/** Measures what a call into the library costs, in CPU time: `tests/bindings/cost`. */
fun main() {
    val clock = ManagementFactory.getThreadMXBean()
    val session = Session(ClientConfig(pins = listOf(PIN)), 0u)
    // For a link that nobody knows: the bytes go in, and nothing is done with them.
    val received = listOf(Input.Received(99u, ByteArray(200)))
    val calls = listOf(
        "stats" to { session.stats() },
        "step, nothing in" to { session.step(emptyList(), 0u, 1u) },
        "step, 200 bytes in" to { session.step(received, 0u, 1u) },
        "step, 16 times 200 bytes in" to { session.step(List(16) { received[0] }, 0u, 1u) },
    )
    for ((name, call) in calls) {
        repeat(20_000) { call() }
        val times = List(5) {
            val start = clock.currentThreadCpuTime
            repeat(20_000) { call() }
            (clock.currentThreadCpuTime - start) / 20_000 / 1000.0
        }
        println("kotlin  %-28s %6.2f us (%.2f to %.2f)".format(name, times.sorted()[2], times.min(), times.max()))
    }
}
