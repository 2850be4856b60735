package org.medipeps

import java.io.File
import java.security.MessageDigest
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class HardCasesTest : PeopleTest() {
    /** Another virtual machine with [Example], which has its memory bounded. */
    private fun example(vararg words: String): ProcessBuilder {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val library = "-Djna.library.path=${System.getProperty("jna.library.path")}"
        val command = listOf(java, "-Xmx128m", library, "-cp", System.getProperty("java.class.path"), "org.medipeps.Example")
        val builder = ProcessBuilder(command + words).redirectErrorStream(true).redirectOutput(File(folder, "said.txt"))
        builder.environment()["MEDIPEPS_PASSPHRASE"] = PASSPHRASE
        return builder
    }

    /** 64 MiB, and 1 GiB in a nightly run: the memory that it takes is the same. */
    @Test
    fun aLargeAttachmentTakesLittleMemory(): Unit = runBlocking {
        val length = if (System.getenv("MEDIPEPS_NIGHTLY") != null) 1L shl 30 else 64L shl 20
        val claire = person("claire", "Claire")
        val karim = person("karim", "Karim")
        claire.shutDown()
        val scan = File(folder, "scan.dcm")
        val block = ByteArray(1 shl 20) { (it * 31).toByte() }
        scan.outputStream().use { out -> repeat((length shr 20).toInt()) { out.write(block.also { b -> b[0]++ }) } }
        val process = example("send", home("claire"), address("karim"), "scan", "text", scan.path).start()
        var peak = 0L
        while (!process.waitFor(20, TimeUnit.MILLISECONDS)) peak = maxOf(peak, residentBytes(process.pid()))
        assertEquals(0, process.exitValue(), File(folder, "said.txt").readText())
        assertTrue(peak in 1 until MEMORY_MAX, "the other virtual machine had ${peak shr 20} MiB")
        karim.sync(0u)
        val message = karim.messages().single()
        val saved = karim.saveAttachments(message.id, home("saved")).single() as SavedAttachment.Saved
        assertArrayEquals(digest(scan), digest(File(saved.path)))
        karim.shutDown()
    }

    /** The system ends an app at any moment, between its commit and its return too. */
    @Test
    fun aProgramThatIsKilledHasSentOnceOrNotAtAll(): Unit = runBlocking {
        person("claire", "Claire").shutDown()
        val karim = person("karim", "Karim")
        for (pause in listOf(300L, 500, 600, 700, 800, 900, 1000, 1200, 1500)) {
            val process = example("send", home("claire"), address("karim"), "$pause", "text").start()
            process.waitFor(pause, TimeUnit.MILLISECONDS)
            process.destroyForcibly().waitFor()
        }
        val claire = Client.open(home("claire"), StoreLock.Passphrase(PASSPHRASE))
        claire.sync(0u)
        karim.sync(0u)
        val sent = claire.messages().map { it.subject }.sorted()
        val came = karim.messages().map { it.subject }.sorted()
        assertEquals(sent, came, "what the killed had in the outbox came, once")
        assertEquals(came.size, came.toSet().size)
        assertTrue(came.isNotEmpty(), "none came so far that it shows anything")
        listOf(claire, karim).forEach { it.shutDown() }
    }

    @Test
    fun aCoroutineThatIsCancelledWaitsNoMore(): Unit = runBlocking {
        val claire = person("claire", "Claire")
        val begun = System.nanoTime()
        val waiting = async(Dispatchers.IO) { claire.sync(6u) }
        delay(200)
        waiting.cancelAndJoin()
        assertTrue(waiting.isCancelled)
        assertTrue(System.nanoTime() - begun < 3_000_000_000, "it waited to the end")
        claire.shutDown()
    }

    @Test
    fun theExampleSaysHowItIsUsed() {
        for (words in listOf(emptyArray(), arrayOf("send", home("claire")), arrayOf("dance", "x"))) {
            assertEquals(2, example(*words).start().waitFor())
        }
        assertTrue(File(folder, "said.txt").readText().startsWith("usage: Example create FOLDER"))
        assertEquals(1, example("receive", home("nobody")).start().waitFor())
        assertTrue(File(folder, "said.txt").readText().startsWith("error: "))
    }

    @Test
    fun aKeystoreThatThrowsIsATypedError(): Unit = runBlocking {
        val vault = Vault()
        Client.create(home("claire"), StoreLock.Vault(vault)).shutDown()
        assertEquals(32, vault.key?.size)
        Client.open(home("claire"), StoreLock.Vault(vault)).use { it.shutDown() }
        vault.problem = VaultException.Locked()
        val locked = assertThrows<MedipepsException.KeyVault> {
            runBlocking { Client.open(home("claire"), StoreLock.Vault(vault)) }
        }
        assertEquals(14 to "locked", locked.code to locked.reason)
        vault.problem = IllegalStateException("an exception that nobody declared")
        val failed = assertThrows<MedipepsException.KeyVault> {
            runBlocking { Client.open(home("claire"), StoreLock.Vault(vault)) }
        }
        assertEquals("failed", failed.reason)
        vault.problem = null
        vault.key = ByteArray(32)
        assertThrows<MedipepsException.WrongKey> { runBlocking { Client.open(home("claire"), StoreLock.Vault(vault)) } }
    }

    @Test
    fun namesThatRunFromRightToLeftComeAsTheyWere(): Unit = runBlocking {
        val name = "د. ليلى \u202Eحسن\u202C 👩‍⚕️"
        val claire = person("claire", name)
        val karim = person("karim", "כרים")
        karim.sync(0u)
        claire.addContact(address("karim"), false)
        val group = claire.createGroup(GroupRequest(name = "العناية المركزة", members = listOf(address("karim"))))
        claire.say(group.id, ChatBody.Text("مرحبا\nשלום"), null, emptyList())
        karim.sync(0u)
        val there = karim.groups().single()
        assertEquals("العناية المركزة", there.name)
        val said = karim.groupMessages(there.id, 10u).last()
        assertEquals("مرحبا\nשלום", (said.body as ChatBody.Text).text)
        listOf(claire, karim).forEach { it.shutDown() }
    }

    private class Vault : KeyVault {
        var key: ByteArray? = null
        var problem: Exception? = null

        override fun load(): ByteArray? {
            problem?.let { throw it }
            return key
        }

        override fun store(key: ByteArray) {
            this.key = key
        }
    }

    private companion object {
        /** A virtual machine with a heap of 128 MiB, its code, the library, and what a transfer may have in memory. */
        const val MEMORY_MAX = 400L shl 20

        fun residentBytes(process: Long): Long {
            val status = File("/proc/$process/status").takeIf { it.exists() } ?: return 0
            val line = runCatching { status.readLines() }.getOrDefault(emptyList()).find { it.startsWith("VmHWM:") }
            return (line?.filter(Char::isDigit)?.toLong() ?: 0) * 1024
        }

        fun digest(file: File): ByteArray {
            val digest = MessageDigest.getInstance("SHA-256")
            file.inputStream().use { input ->
                val buffer = ByteArray(1 shl 20)
                while (true) {
                    val read = input.read(buffer)
                    if (read < 0) break
                    digest.update(buffer, 0, read)
                }
            }
            return digest.digest()
        }
    }
}
