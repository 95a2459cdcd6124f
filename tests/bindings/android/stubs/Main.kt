// STUB. See App.kt. What kotlinx-coroutines-android is to an app: `Dispatchers.Main`, found by its name in META-INF/services.

package dev.unbroken.android

import java.util.concurrent.Executors
import kotlin.coroutines.CoroutineContext
import kotlinx.coroutines.InternalCoroutinesApi
import kotlinx.coroutines.MainCoroutineDispatcher
import kotlinx.coroutines.Runnable
import kotlinx.coroutines.internal.MainDispatcherFactory

@OptIn(InternalCoroutinesApi::class)
class StubMain : MainDispatcherFactory {
    override val loadPriority = 0

    override fun createDispatcher(allFactories: List<MainDispatcherFactory>): MainCoroutineDispatcher = object : MainCoroutineDispatcher() {
        private val thread = Executors.newSingleThreadExecutor { Thread(it, "main of the stub").apply { isDaemon = true } }

        override val immediate get() = this

        override fun dispatch(context: CoroutineContext, block: Runnable) = thread.execute(block)
    }
}
