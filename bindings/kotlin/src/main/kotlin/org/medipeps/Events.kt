package org.medipeps

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.withContext

/**
 * Receives as long as somebody collects: every event is on the disk before it is here. The flow ends after
 * [ClientEvent.Stopped]. One collector at a time; a second one ends the first.
 */
fun Client.events(): Flow<ClientEvent> = callbackFlow {
    var ended = false
    val listener = object : EventListener {
        override fun onEvent(event: ClientEvent) {
            trySend(event)
            if (event is ClientEvent.Stopped) {
                ended = true
                close()
            }
        }
    }
    startReceiving(listener)
    try {
        awaitClose()
    } finally {
        // Where it has ended by itself, another one may have begun. Otherwise the collector is gone, and this with it.
        if (!ended) withContext(NonCancellable) { stopReceiving() }
    }
}.buffer(Channel.UNLIMITED)
