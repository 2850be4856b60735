package org.medipeps

import java.io.File
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What a call costs from Kotlin; `cargo xtask bench calls` prints it beside Rust's. Its name is none that Surefire takes for a test's. */
class Calls {
    @TempDir
    lateinit var folder: File

    @Test
    fun whatACallCosts() = runBlocking {
        val client = Client.create(File(folder, "account").path, StoreLock.Passphrase("a long passphrase"))
        tell("version", 20_000) { libraryVersion() }
        tell("account", 2_000) { client.account() }
        client.shutDown()
    }

    private suspend fun tell(name: String, calls: Int, call: suspend () -> Any?) {
        repeat(calls / 10) { call() }
        val begun = System.nanoTime()
        repeat(calls) { call() }
        println("value calls/kotlin/$name ${(System.nanoTime() - begun) / calls}")
    }
}
