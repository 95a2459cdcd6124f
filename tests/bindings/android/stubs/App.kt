// STUB. Not Android's classes: the few declarations of them that the package uses, with as much behind them as its tests need. The module itself is
// compiled against the real types as well (tests/bindings/kotlin). See Net.kt.

package android.app

import android.content.Context
import android.os.Bundle
import java.util.concurrent.CopyOnWriteArrayList

open class Activity {
    var isChangingConfigurations = false
}

open class Application : Context() {
    val callbacks = CopyOnWriteArrayList<ActivityLifecycleCallbacks>()

    interface ActivityLifecycleCallbacks {
        fun onActivityCreated(activity: Activity, state: Bundle?)
        fun onActivityStarted(activity: Activity)
        fun onActivityResumed(activity: Activity)
        fun onActivityPaused(activity: Activity)
        fun onActivityStopped(activity: Activity)
        fun onActivitySaveInstanceState(activity: Activity, state: Bundle)
        fun onActivityDestroyed(activity: Activity)
    }

    fun registerActivityLifecycleCallbacks(callbacks: ActivityLifecycleCallbacks) {
        this.callbacks.add(callbacks)
    }

    fun unregisterActivityLifecycleCallbacks(callbacks: ActivityLifecycleCallbacks) {
        this.callbacks.remove(callbacks)
    }
}
