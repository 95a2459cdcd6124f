// STUB. See App.kt.

package android.util

object Log {
    val warnings = ArrayList<String>()

    @Suppress("UNUSED_PARAMETER")
    fun w(tag: String, message: String, error: Throwable): Int {
        warnings.add(message)
        return 0
    }
}
