package org.medipeps

import java.io.File

/** A real server: `MEDIPEPS_SERVER` names the program. */
class RealServer(folder: File) : AutoCloseable {
    private val program = checkNotNull(System.getenv("MEDIPEPS_SERVER")) { "MEDIPEPS_SERVER names no server" }
    private val config = File(folder, "server.toml")
    private val process: Process

    val address: String

    init {
        val data = File(folder, "data")
        config.writeText("domain = \"$DOMAIN\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"$data\"\n")
        process = ProcessBuilder(program, "run", "--config", config.path)
            .redirectError(ProcessBuilder.Redirect.DISCARD).start()
        // Port 0: it takes a free one and says which.
        val said = process.inputStream.bufferedReader().readLine()
        check(said.startsWith(READY)) { said }
        address = said.removePrefix(READY).substringBefore(',')
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
        private const val READY = "listening on "
        const val DOMAIN = "clinic.example"
    }
}
