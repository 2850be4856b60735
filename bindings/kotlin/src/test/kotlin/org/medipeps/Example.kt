package org.medipeps

import kotlinx.coroutines.runBlocking

/**
 * An account in a folder, from the command line. The passphrase is in MEDIPEPS_PASSPHRASE, as an app would have it from a person
 * or from the Keystore ([KeyVault]).
 */
object Example {
    private const val USAGE = """usage: Example create FOLDER INVITATION ADDRESS NAME SERVER
       Example send FOLDER ADDRESS SUBJECT TEXT [FILE]
       Example receive FOLDER"""

    @JvmStatic
    fun main(words: Array<String>) {
        val code = try {
            runBlocking { run(words) }
        } catch (error: MedipepsException) {
            System.err.println("error: ${error.message}")
            1
        }
        kotlin.system.exitProcess(code)
    }

    private suspend fun run(words: Array<String>): Int {
        val passphrase = System.getenv("MEDIPEPS_PASSPHRASE")
        if (words.size < 2 || passphrase == null) return wrongUse()
        val lock = StoreLock.Passphrase(passphrase)
        when {
            words[0] == "create" && words.size == 6 -> {
                val client = Client.create(words[1], lock)
                val created = client.createAccount(AccountRequest(words[2], words[3], words[4], words[5]))
                println("${created.account.address} is there. Recovery key, to be written down: ${created.recoveryKey}")
                client.shutDown()
            }
            words[0] == "send" && words.size in 5..6 -> {
                val client = Client.open(words[1], lock)
                val files = words.drop(5).map { Document.File(it, it.substringAfterLast('/'), "application/octet-stream") }
                val draft = MailDraft(
                    to = listOf(words[2]), subject = words[3], text = words[4], documents = files, urgency = Urgency.ROUTINE,
                )
                val sent = client.sendMail(draft, 20u)
                println("${sent.id}: ${sent.recipients.joinToString { "${it.address} ${it.state}" }}")
                client.shutDown()
            }
            words[0] == "receive" && words.size == 2 -> {
                val client = Client.open(words[1], lock)
                client.events().collect { event ->
                    when (event) {
                        is ClientEvent.MessageReceived -> {
                            val message = client.message(event.id)
                            println("${message.overview.senderName}: ${message.overview.subject}")
                        }
                        is ClientEvent.Stopped -> println("stopped: ${event.message}")
                        else -> {}
                    }
                }
            }
            else -> return wrongUse()
        }
        return 0
    }

    private fun wrongUse(): Int {
        System.err.println(USAGE)
        return 2
    }
}
