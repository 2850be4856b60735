package org.medipeps

import java.io.File
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.io.TempDir

/** A real server for each test, in a folder of its own, and people with accounts. */
abstract class PeopleTest {
    @TempDir
    lateinit var folder: File
    protected lateinit var server: RealServer
        private set

    @BeforeEach
    fun start() {
        server = RealServer(folder)
    }

    @AfterEach
    fun stop() {
        server.close()
    }

    protected fun home(name: String) = File(folder, name).path

    protected fun address(name: String) = "$name@${RealServer.DOMAIN}"

    protected suspend fun person(name: String, display: String): Client {
        val client = Client.create(home(name), StoreLock.Passphrase(PASSPHRASE))
        client.createAccount(AccountRequest(server.invite(), address(name), display, server.address))
        return client
    }

    protected companion object {
        const val PASSPHRASE = "a long passphrase"
    }
}
