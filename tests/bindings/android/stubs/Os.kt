// STUB. See App.kt. The main thread is whoever calls, and the clock is the test's.

package android.os

class Bundle

class Looper private constructor() {
    companion object {
        private val main = Looper()
        fun getMainLooper() = main
    }
}

object SystemClock {
    var now = 0L
        private set
    private val waiting = ArrayList<Pair<Long, Runnable>>()

    fun uptimeMillis() = now

    fun add(task: Runnable, delay: Long) {
        waiting.add(now + delay to task)
    }

    fun remove(task: Runnable) {
        waiting.removeAll { it.second == task }
    }

    /** What is due until then happens at its time. */
    fun advance(milliseconds: Long) {
        val end = now + milliseconds
        while (true) {
            val next = waiting.filter { it.first <= end }.minByOrNull { it.first } ?: break
            waiting.remove(next)
            now = next.first
            next.second.run()
        }
        now = end
    }
}

@Suppress("UNUSED_PARAMETER")
class Handler(looper: Looper) {
    fun post(task: Runnable) = task.run()
    fun postDelayed(task: Runnable, delay: Long) = SystemClock.add(task, delay)
    fun removeCallbacks(task: Runnable) = SystemClock.remove(task)
}
