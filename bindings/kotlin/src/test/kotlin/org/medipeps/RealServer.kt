package org.medipeps

import java.io.File
import java.net.DatagramSocket

/** A real server: `MEDIPEPS_SERVER` names the program. */
class RealServer(folder: File) : AutoCloseable {
    private val program = checkNotNull(System.getenv("MEDIPEPS_SERVER")) { "MEDIPEPS_SERVER names no server" }
    private val config = File(folder, "server.toml")
    private val port = DatagramSocket(0).use { it.localPort }
    private val process: Process

    val address get() = "127.0.0.1:$port"

    init {
        val data = File(folder, "data")
        config.writeText("domain = \"$DOMAIN\"\nlisten = \"$address\"\ndata_dir = \"$data\"\n")
        process = ProcessBuilder(program, "run", "--config", config.path)
            .redirectError(ProcessBuilder.Redirect.DISCARD).start()
        check(process.inputStream.bufferedReader().readLine().startsWith("listening on "))
    }

    /** The code of a new invitation. */
    fun invite(): String {
        val words = listOf(program, "admin", "invite", "--org", "Intensive care", "--config", config.path)
        val asked = ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.DISCARD).start()
        val said = asked.inputStream.bufferedReader().readLines()
        check(asked.waitFor() == 0)
        return said.last()
    }

    override fun close() {
        process.destroy()
        process.waitFor()
    }

    companion object {
        const val DOMAIN = "clinic.example"
    }
}
