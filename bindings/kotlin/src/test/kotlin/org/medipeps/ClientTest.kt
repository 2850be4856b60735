package org.medipeps

import java.io.File
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class ClientTest : PeopleTest() {
    private fun draft(to: String, subject: String, text: String, documents: List<Document> = emptyList()) =
        MailDraft(to = listOf(to), subject = subject, text = text, documents = documents, urgency = Urgency.ROUTINE)

    @Test
    fun twoPeopleWriteToEachOther() = runBlocking {
        val claire = person("claire", "Dr Claire Martin")
        val karim = person("karim", "كريم بن علي 🩺")
        val letter = File(folder, "letter.txt").apply { writeBytes(ByteArray(300_000) { it.toByte() }) }
        val received = async(Dispatchers.IO) {
            withTimeout(60_000) { karim.events().first { it is ClientEvent.MessageReceived } }
        }
        val documents = listOf(
            Document.File(letter.path, "letter.txt", "text/plain"),
            Document.Data("small".toByteArray(), "../evil.txt", "text/plain"),
        )
        val sent = claire.sendMail(draft(address("karim"), "Prélèvement", "À faire", documents), 20u)
        assertEquals(RecipientState.ACCEPTED, sent.recipients.single().state)
        val id = (received.await() as ClientEvent.MessageReceived).id
        val message = karim.message(id)
        assertEquals("À faire", (message.body as MessageBody.Mail).text)
        assertEquals("Dr Claire Martin", message.overview.senderName)
        val saved = karim.saveAttachments(id, File(folder, "saved").path)
        assertArrayEquals(letter.readBytes(), File((saved[0] as SavedAttachment.Saved).path).readBytes())
        assertEquals(File(folder, "saved"), File((saved[1] as SavedAttachment.Saved).path).parentFile)
        karim.sendMail(draft(address("claire"), "Re", "Fait"), 20u)
        claire.sync(0u)
        assertEquals("كريم بن علي 🩺", claire.messages().first().senderName)
        listOf(claire, karim).forEach { it.shutDown() }
    }

    @Test
    fun errorsAreTypedAndHaveCodes(): Unit = runBlocking {
        val client = person("claire", "Claire")
        client.shutDown()
        assertThrows<MedipepsException.Closed> { runBlocking { client.status() } }
        val wrong = assertThrows<MedipepsException.WrongPassphrase> {
            runBlocking { Client.open(home("claire"), StoreLock.Passphrase("another")) }
        }
        assertEquals(12, wrong.code)
        assertThrows<MedipepsException.NoStore> {
            runBlocking { Client.open(home("nobody"), StoreLock.Passphrase(PASSPHRASE)) }
        }
    }

    @Test
    fun aListenerThatThrowsChangesNothing() = runBlocking {
        val claire = person("claire", "Claire")
        val karim = person("karim", "Karim")
        val heard = ConcurrentLinkedQueue<ClientEvent>()
        karim.startReceiving(object : EventListener {
            override fun onEvent(event: ClientEvent) {
                heard.add(event)
                error("this listener fails")
            }
        })
        claire.sendMail(draft(address("karim"), "one", "text"), 20u)
        withTimeout(60_000) { while (heard.none { it is ClientEvent.MessageReceived }) delay(20) }
        karim.shutDown()
        assertTrue(heard.last() is ClientEvent.Stopped)
        claire.shutDown()
    }

    @Test
    fun aSendThatIsGivenUpWasMadeOnceOrNotAtAll() = runBlocking {
        val claire = person("claire", "Claire")
        val karim = person("karim", "Karim")
        for (pause in listOf(0L, 1L, 5L, 20L, 100L)) {
            val sending = async(Dispatchers.IO) { claire.sendMail(draft(address("karim"), "after $pause", "text"), 20u) }
            delay(pause)
            sending.cancel()
            try {
                sending.await()
            } catch (_: CancellationException) {
            }
        }
        val sent = claire.messages().map { it.subject }.sorted()
        claire.sync(0u)
        karim.sync(0u)
        assertEquals(sent, karim.messages().map { it.subject }.sorted())
        listOf(claire, karim).forEach { it.shutDown() }
    }

    @Test
    fun whoeverCollectsNoMoreIsNotReceivedFor() = runBlocking {
        val claire = person("claire", "Claire")
        val ready = CompletableDeferred<Unit>()
        val first = async(Dispatchers.IO) {
            claire.events().onEach { if (it is ClientEvent.Ready) ready.complete(Unit) }.toList()
        }
        ready.await()
        withTimeout(60_000) { claire.events().first { it is ClientEvent.Ready } }
        assertTrue(withTimeout(60_000) { first.await() }.last() is ClientEvent.Stopped, "a second collector ends the first")
        // Nobody collects any more: a message waits until it is fetched.
        val karim = person("karim", "Karim")
        karim.sendMail(draft(address("claire"), "one", "text"), 20u)
        delay(500)
        assertEquals(0, claire.messages().size)
        claire.sync(0u)
        assertEquals(1, claire.messages().size)
        listOf(claire, karim).forEach { it.shutDown() }
    }

    @Test
    fun sixtyFourCallersAtOnce() = runBlocking {
        val claire = person("claire", "Claire")
        val outcomes = ConcurrentLinkedQueue<String?>()
        val threads = List(64) { thread { runBlocking { outcomes.add(claire.status().account?.address) } } }
        threads.forEach { it.join() }
        assertEquals(List(64) { address("claire") }, outcomes.toList())
        claire.shutDown()
    }
}
