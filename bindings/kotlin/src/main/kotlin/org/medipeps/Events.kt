package org.medipeps

import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.launch

/**
 * Receives as long as somebody collects: every event is on the disk before it is here. The flow ends after
 * [ClientEvent.Stopped]. One collector at a time; a second one ends the first.
 */
fun Client.events(): Flow<ClientEvent> = callbackFlow {
    val listener = object : EventListener {
        override fun onEvent(event: ClientEvent) {
            trySend(event)
            if (event is ClientEvent.Stopped) close()
        }
    }
    startReceiving(listener)
    awaitClose { launch { stopReceiving() } }
}.buffer(Channel.UNLIMITED)
