// STUB. See App.kt.

package android.content

import android.net.ConnectivityManager

open class Context {
    val connectivity = ConnectivityManager()

    fun getSystemService(name: String): Any? = connectivity.takeIf { name == CONNECTIVITY_SERVICE }

    companion object {
        const val CONNECTIVITY_SERVICE = "connectivity"
    }
}
