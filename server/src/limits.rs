//! Every limit that the server enforces, with its unit and its reason.

use std::time::Duration;

use medipeps_core::limits::BLOB_PIECE_LENGTH;

/// Envelopes that one queue may hold. A device away for a month at 300 a day stays under it.
pub const QUEUE_MESSAGES_MAX: u64 = 10_000;
/// Bytes of envelopes that one queue may hold: the messages above at a mean of 25 KiB.
pub const QUEUE_BYTES_MAX: u64 = 256 << 20;
/// Milliseconds for which the id of a submission is remembered, so that a repeat gets the first answer: 14 days, longer
/// than a client retries.
pub const SUBMISSION_RECORD_RETENTION_MS: u64 = 14 * 24 * 3600 * 1000;
/// Milliseconds for which an invitation is remembered after it ran out: 14 days, so that a late repeat of a registration
/// gets the first answer.
pub const INVITATION_RECORD_RETENTION_MS: u64 = 14 * 24 * 3600 * 1000;
/// Unused one-time prekeys of one kind that one device may have at the server: four full uploads.
pub const ONE_TIME_PREKEYS_STORED_MAX: usize = 400;
/// Bytes of one value in sled. Pages above 128 KiB go to files that sled never syncs; a leaf holds up to 16 values
/// (reference/server.md section 3, rule 2).
pub const SLED_VALUE_LENGTH_MAX: usize = 4 << 10;
/// Bytes of one encoded one-time prekey, and of the signed, last-resort and seal prekeys together: what fits into one value
/// of sled beside its bookkeeping. ML-KEM-1024 and X-Wing keys with their signatures make about 3000.
pub const PREKEY_LENGTH_MAX: usize = SLED_VALUE_LENGTH_MAX - 256;
/// Bytes of sled's page cache. Its own default is 1 GiB; the bodies of envelopes are not in it.
pub const SLED_CACHE_BYTES: u64 = 64 << 20;
/// How long a flush of sled may take before another is begun beside it, which wakes it if sled has failed meanwhile. A disk
/// that is only slow loses nothing by it.
pub const SLOW_FLUSH: Duration = Duration::from_secs(2);
/// How often it is looked whether a flush takes long.
pub const FLUSH_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes after which a segment file of envelope bodies is closed and a new one begun. A segment is deleted whole, so one
/// envelope that stays keeps at most this much on the disk.
pub const SEGMENT_BYTES: u64 = 32 << 20;
/// Operations in one group commit. It bounds what one failed commit leaves unanswered and the memory of a batch:
/// 1024 submissions of 64 KiB are 64 MiB.
pub const COMMIT_BATCH_MAX: usize = 1024;
/// Bytes of envelope bodies after which a group commit takes no further operation, so that a burst of large envelopes
/// does not hold up the small ones behind it.
pub const COMMIT_BATCH_BYTES_MAX: usize = 8 << 20;
/// Operations that may wait for the committer; whoever comes after waits in line.
pub const COMMIT_QUEUE_MAX: usize = 4096;
/// Records that one pass of the expiry takes in one commit, so that mail in between does not wait for all of it.
pub const EXPIRE_BATCH_MAX: usize = 1000;
/// Envelopes that one fetch returns at most, whatever was asked for: 256 of 64 KiB are 16 MiB.
pub const FETCH_ENVELOPES_MAX: usize = 256;
/// Accounts that one page of an inspection returns at most.
pub const INSPECT_ACCOUNTS_MAX: usize = 1000;
/// Bytes of one record in an export: the largest entry of a group log, with its frame. An import refuses more.
pub const EXPORT_RECORD_LENGTH_MAX: usize = 9 << 19;
/// Bytes of all blobs together unless the configuration says otherwise: 100 GB, a small disk.
pub const BLOBS_BYTES_MAX: u64 = 100_000_000_000;
/// Bytes of the largest blob that is taken unless the configuration says otherwise: 8 GB, a long examination's images.
pub const LARGEST_BLOB: u64 = 8_000_000_000;
/// Bytes that a blob counts for at least: its records take room as well.
pub const BLOB_CHARGE_MIN: u64 = 4 << 10;
/// Milliseconds after which a blob is dropped that was begun and not finished: 7 days, so that an upload can go on after a
/// long weekend, and what was given up does not keep its room for a month.
pub const BLOB_UNFINISHED_RETENTION_MS: u64 = 7 * 24 * 3600 * 1000;
/// Milliseconds after which to ask again for room for a blob. It is a guess: others have to run out first.
pub const BLOB_STORE_FULL_RETRY_MS: u64 = 15 * 60 * 1000;
/// Bytes after which a segment file of blob pieces is closed: 32 pieces. It is deleted whole.
pub const BLOB_SEGMENT_BYTES: u64 = 16 << 20;
/// Pieces of blobs that go to the disk with one sync: 8 MiB.
pub const BLOB_BATCH_MAX: usize = 16;
/// Pieces that may wait for the thread that writes them, 16 MiB; whoever comes after waits in line.
pub const BLOB_QUEUE_MAX: usize = 32;
/// Entries that one group log may hold unless the configuration says otherwise: 90 days at a thousand a day.
pub const GROUP_LOG_ENTRIES_MAX: u64 = 100_000;
/// Bytes of entries that one group log may hold unless the configuration says otherwise: as many of 10 KiB.
pub const GROUP_LOG_BYTES_MAX: u64 = 1 << 30;
/// Group logs unless the configuration says otherwise: ten a member of a large hospital.
pub const GROUP_LOGS_MAX: u64 = 100_000;
/// Bytes of all group logs together unless the configuration says otherwise: 100 GB, a small disk.
pub const GROUP_LOGS_BYTES_MAX: u64 = 100_000_000_000;
/// Bytes that a group log counts for beside its entries: its records take room as well.
pub const GROUP_LOG_CHARGE: u64 = 4 << 10;
/// Milliseconds after which to ask again for room in a group log. It is a guess: entries have to run out first.
pub const GROUP_LOG_FULL_RETRY_MS: u64 = 15 * 60 * 1000;
/// Bytes from which on an entry of a group log is written by the thread that writes blobs, before the committer stores its
/// record: the largest envelope, so that nothing holds up mail longer than mail does.
pub const GROUP_ENTRY_LARGE: usize = (64 << 10) + 1;
/// Bytes of entries in one answer, unless the first one alone is larger.
pub const GROUP_ANSWER_BYTES: usize = 512 << 10;
/// Bytes of answers with entries of group logs in memory at once, over all connections: an answer counts twice, its entries
/// and its frame, until the client has taken it or the time to write is up. Past it a fetch is refused and comes again, and a
/// watch waits.
pub const GROUP_ANSWER_MEMORY_MAX: usize = 128 << 20;
/// Bytes of requests with large frames (entries of group logs) in memory at once, over all connections, apart from
/// `REQUEST_MEMORY_MAX`, so that a few slow ones hold up nobody's mail: 14 of the largest.
pub const LARGE_REQUEST_MEMORY_MAX: usize = 64 << 20;
/// Milliseconds in which a large request must have come: 4 MiB at 300 kbit/s.
pub const LARGE_REQUEST_TIMEOUT_MS: u64 = 120_000;
/// Signals that wait for one watch of a group log. Whoever is slower misses some.
pub const GROUP_SIGNALS_WAITING_MAX: usize = 16;
/// Wake handles of one group log: two devices of each of 2 000 members.
pub const GROUP_WAKES_MAX: usize = 4_000;
/// Wake handles of all group logs together: 200 MB at the most, five a log of a hospital with 40 000.
pub const GROUP_WAKES_ALL_MAX: u64 = 200_000;
/// Milliseconds for which a wake handle is kept at most, whatever its reader asks for: 30 days, so that the address of a device
/// that is gone does not stay.
pub const GROUP_WAKE_RETENTION_MS: u64 = 30 * 24 * 3600 * 1000;
/// Milliseconds between two calls for one wake handle, retries included: what comes within a minute wakes once.
pub const WAKE_INTERVAL_MS: u64 = 60_000;
/// Calls to push services under way at once.
pub const WAKES_PARALLEL_MAX: usize = 64;
/// Calls to one push service under way at once, so that one that hangs holds up no other.
pub const WAKES_PARALLEL_PER_HOST_MAX: usize = 16;
/// Handles and devices that wait to be called, or were called within the last minute (a device: within a quarter of an hour): 300
/// bytes and the address each. Past it a wake is left out; devices poll.
pub const WAKES_WAITING_MAX: usize = 100_000;
/// Milliseconds that a call to a push service may take, from the look-up of its name to the head of its answer.
pub const WAKE_TIMEOUT_MS: u64 = 10_000;
/// Calls for one wake before it is given up: with pauses of 1, 2, 4 and 8 minutes it is a quarter of an hour, in which every
/// reader has polled.
pub const WAKE_ATTEMPTS_MAX: u32 = 5;
/// Milliseconds that a push service can ask to be left alone for: an hour. What asks for more is called after it.
pub const WAKE_RETRY_AFTER_MAX_MS: u64 = 3_600_000;
/// Seconds for which a push service keeps a wake for a device that is away: a day. Whoever was away longer polls when it is back.
pub const WAKE_TTL_SECONDS: u32 = 24 * 3600;
/// Bytes of a push service's answer that are read so that the connection can be used again. A longer one costs the connection.
pub const WAKE_ANSWER_LENGTH_MAX: usize = 16 << 10;
/// Connections to one push service that are kept open between calls, and for how long: a group of a thousand is woken over
/// these.
pub const WAKE_IDLE_CONNECTIONS_MAX: usize = WAKES_PARALLEL_PER_HOST_MAX;
/// See [`WAKE_IDLE_CONNECTIONS_MAX`].
pub const WAKE_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Milliseconds back from a start within which entries came whose readers may not have been woken: a quarter of an hour, after
/// which they have polled.
pub const WAKE_UNSETTLED_MS: u64 = 15 * 60 * 1000;
/// Web Push services that the configuration may allow.
pub const PUSH_HOSTS_MAX: usize = 64;
/// Milliseconds between two calls for a device that has not acknowledged anything since the first: the push service has the call,
/// and a device that cannot connect is not told every minute. Once it has fetched, [`WAKE_INTERVAL_MS`] holds again.
pub const DEVICE_WAKE_INTERVAL_MS: u64 = 15 * 60 * 1000;
/// Seconds for which a signature for a Web Push service is good (RFC 8292 allows a day): half a day.
pub const VAPID_LIFETIME_SECONDS: u64 = 12 * 3600;
/// Seconds for which a token for Apple's push service is used: Apple takes it for an hour, and no newer one within 20 minutes.
pub const APNS_TOKEN_SECONDS: u64 = 40 * 60;
/// Seconds before its end at which a token for Google's push service is not used any more.
pub const FCM_TOKEN_MARGIN_SECONDS: u64 = 60;
/// Group logs that one page of an inspection returns at most.
pub const INSPECT_GROUP_LOGS_MAX: usize = 1000;
/// Bytes of free disk space below which the store takes nothing new unless the configuration says otherwise: 256 MB, several
/// seconds of mail at the fastest.
pub const FREE_SPACE_FLOOR: u64 = 256_000_000;
/// Requests that one connection may have open at once, as QUIC streams. quinn keeps state for every allowed stream of every
/// connection, in tables that double above 14: 100 cost 8 KiB more each (reference/server.md section 5).
pub const STREAMS_MAX: u32 = 12;
/// Request tasks of one connection, those included whose stream the client has reset meanwhile: twice the streams.
pub const REQUEST_TASKS_MAX: usize = 2 * STREAMS_MAX as usize;
/// Bytes that a client may send ahead on one connection. What is longer goes on as the server reads.
pub const CONNECTION_RECEIVE_WINDOW: u32 = 1 << 20;
/// Bytes that a client may send ahead on one stream.
pub const STREAM_RECEIVE_WINDOW: u32 = 512 << 10;
/// Bytes that wait on one connection for a slow client to take them.
pub const CONNECTION_SEND_WINDOW: u64 = 512 << 10;
/// Bytes that a client may send ahead on one stream over WebSocket: with all streams 1.5 MiB, what one peer may put into memory.
/// There is no smaller limit for the whole connection: qmux does not give back what a stream that was let go of had taken.
pub const WEBSOCKET_STREAM_RECEIVE_WINDOW: u64 = 128 << 10;
/// Bytes of one WebSocket message: a record of qmux, which has 16 382 at most.
pub const WEBSOCKET_MESSAGE_LENGTH_MAX: usize = 16 << 10;
/// Bytes of a WebSocket connection's read buffer, which is always there.
pub const WEBSOCKET_READ_BUFFER: usize = 4 << 10;
/// Bytes that are collected before they are written to a WebSocket connection.
pub const WEBSOCKET_WRITE_BUFFER: usize = 32 << 10;
/// Bytes that may wait in a WebSocket connection's write buffer; past it the connection is given up.
pub const WEBSOCKET_WRITE_BUFFER_MAX: usize = 256 << 10;
/// TCP connections that the kernel keeps until the server takes them: a hospital that comes back after a power cut.
pub const TCP_BACKLOG: u32 = 4096;
/// Milliseconds after which TCP connections are taken again where the system did not let it.
pub const TCP_ACCEPT_RETRY_MS: u64 = 100;
/// Free ports that are tried until one is free for UDP and for TCP, where the configuration leaves the port open.
pub const FREE_PORT_ATTEMPTS: usize = 32;
/// Handshakes on TCP under way from one network address: a quarter of all, so that whoever opens connections and says
/// nothing holds up nobody else. A handshake takes milliseconds; 64 are enough for thousands behind one address.
pub const TCP_HANDSHAKES_PER_ADDRESS_MAX: usize = 64;
/// Streams of one direction that a client of HTTP/3 opens: its control stream and two of QPACK (RFC 9114 section 6.2). On
/// `medipeps/1` there are none.
pub const HTTP3_UNI_STREAMS_MAX: u32 = 3;
/// Web origins that the configuration may allow.
pub const ALLOWED_ORIGINS_MAX: usize = 64;
/// Bytes of the socket's receive buffer, ten times what Linux gives; a burst on all connections waits in it. The kernel may
/// give less.
pub const SOCKET_RECEIVE_BUFFER: usize = 2 << 20;
/// Connections that wait to be looked at. Whatever comes after is refused.
pub const INCOMING_MAX: usize = 1024;
/// Bytes that wait for one connection that has not been looked at.
pub const INCOMING_BUFFER: u64 = 16 << 10;
/// Bytes that wait for all connections that have not been looked at.
pub const INCOMING_BUFFER_TOTAL: u64 = 8 << 20;
/// Handshakes under way from which on a client must prove its network address first (QUIC Retry), which costs it a round trip.
pub const HANDSHAKES_BEFORE_RETRY: usize = 32;
/// Milliseconds that a handshake may take.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds in which a connection must have said Hello.
pub const HELLO_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds in which a whole request must have come: 512 KiB at 140 kbit/s, the largest submission at 350 kbit/s.
pub const REQUEST_TIMEOUT_MS: u64 = 30_000;
/// Bytes of requests in memory at once, over all connections. Past it requests are refused and come again: a crowd of slow
/// submissions must not take the memory of the machine.
pub const REQUEST_MEMORY_MAX: usize = 256 << 20;
/// Bytes of answers to fetches of blobs in memory at once, over all connections, apart from the above so that slow readers of
/// blobs hold up nobody's mail. A fetch of 512 KiB counts for 1 MiB, the piece and its frame, until the client has taken it or
/// the time to write is up; past it a fetch is refused and comes again.
pub const BLOB_ANSWER_MEMORY_MAX: usize = 128 << 20;
/// Bytes of requests in memory of one connection, within the above: as many pieces of a blob as its streams can carry. Half of each of
/// these memories is there for the connections of one network address at most.
pub const CONNECTION_REQUEST_MEMORY_MAX: usize = STREAMS_MAX as usize * (BLOB_PIECE_LENGTH + (1 << 10));
/// Bytes of requests with large frames in memory of one connection: one whole, and a large part of a second.
pub const CONNECTION_LARGE_REQUEST_MEMORY_MAX: usize = 8 << 20;
/// Bytes of answers to fetches of blobs in memory of one connection: as many pieces as its streams can carry.
pub const CONNECTION_BLOB_ANSWER_MEMORY_MAX: usize = STREAMS_MAX as usize * 2 * BLOB_PIECE_LENGTH;
/// Bytes of a request that are read before they are counted against the above.
pub const REQUEST_READ_STEP: usize = 16 << 10;
/// Milliseconds after which to repeat a request that there was no memory for.
pub const REQUEST_MEMORY_RETRY_MS: u64 = 1_000;
/// Milliseconds in which a client must take a frame. A phone that slept longer connects again and gets it once more.
pub const WRITE_TIMEOUT_MS: u64 = 60_000;
/// Milliseconds that the end of an answer may take to be confirmed by the client.
pub const FINISH_TIMEOUT_MS: u64 = 2_000;
/// Envelopes that a subscription holds in memory at once: 8 of 64 KiB are 512 KiB.
pub const SUBSCRIPTION_BATCH: usize = 8;
/// Milliseconds between two looks at a queue, whether or not anything was announced.
pub const RESCAN_INTERVAL_MS: u64 = 5_000;
/// Milliseconds by which the system's clock may differ from the time that has passed: a day, more than any correction of a clock
/// that is right. Past it the clock is not believed.
pub const CLOCK_STEP_MAX_MS: u64 = 24 * 3600 * 1000;
/// Milliseconds for which a server may be off before what has run out meanwhile is kept until somebody confirms the clock: a week,
/// a long holiday. A clock that is wrong by less costs mail that much of its month.
pub const CLOCK_GAP_MAX_MS: u64 = 7 * 24 * 3600 * 1000;
/// Removals of what has run out between two complaints about a clock that is not believed: an hour.
pub const CLOCK_COMPLAINT_TICKS: u64 = 60;
/// Milliseconds between two removals of what has run out.
pub const EXPIRE_INTERVAL_MS: u64 = 60_000;
/// Network addresses or recipients that one rate limiter remembers, about 5 MiB each. When all are in use, newcomers wait.
pub const RATE_LIMITER_KEYS_MAX: usize = 65_536;
/// Milliseconds that a client is asked to wait when a rate limiter is full, and the least time between two clean-ups of it.
pub const RATE_LIMITER_FULL_RETRY_MS: u64 = 1_000;
/// Milliseconds after which to try a full queue again. It is a guess: the recipient has to come first.
pub const QUEUE_FULL_RETRY_MS: u64 = 15 * 60 * 1000;
/// Milliseconds after which to ask again for the prekeys of an account that has none.
pub const NO_PREKEYS_RETRY_MS: u64 = 60_000;
/// Milliseconds after which to connect again to a server that stops.
pub const SHUTDOWN_RETRY_MS: u64 = 5_000;
/// Milliseconds after which to repeat what the store could not take.
pub const STORAGE_RETRY_MS: u64 = 10_000;
/// Milliseconds by which the times to connect again are spread for each push that is open when the server stops: three hundred
/// handshakes a second, what two cores take.
pub const RETRY_SPREAD_PER_PUSH_MS: u64 = 3;
/// Milliseconds by which they are spread at least.
pub const RETRY_SPREAD_MIN_MS: u64 = 1_000;
/// Milliseconds by which they are spread at most, so that nobody is without mail for longer.
pub const RETRY_SPREAD_MAX_MS: u64 = 60_000;
/// Pushes that are told at once to go away.
pub const DRAIN_BATCH_MIN: usize = 20;
/// Milliseconds between two batches.
pub const DRAIN_BATCH_INTERVAL_MS: u64 = 50;
/// Milliseconds in which all are told; the batches are as large as that takes.
pub const DRAIN_PUSHES_MAX_MS: u64 = 10_000;
/// Milliseconds for which requests under way may go on after that. With the rest it stays under the 25 s that service managers
/// grant.
pub const DRAIN_TIMEOUT_MS: u64 = 8_000;
/// Subscriptions in a row with the same first envelope and no acknowledgement after which it is reported. A phone on a bad network
/// makes a few.
pub const DELIVERY_LOOP_WARNING: u32 = 10;
/// Subscriptions in a row after which the envelope goes behind the others of its queue.
pub const DELIVERY_LOOP_MOVE: u32 = 20;
/// Devices whose first envelope is remembered, about 10 MiB.
pub const DELIVERY_LOOPS_MAX: usize = 65_536;
/// Milliseconds between two looks at whether the files of the certificate have changed.
pub const CERTIFICATE_LOOK_INTERVAL_MS: u64 = 10_000;
/// Seconds before a certificate runs out from which on `check-config` and the log warn: two weeks, in which it is renewed by hand.
pub const CERTIFICATE_WARNING_SECONDS: i64 = 14 * 24 * 3600;
/// Milliseconds before a trust list runs out from which on `check-config` warns: three days, over a weekend.
pub const TRUST_LIST_WARNING_MS: u64 = 3 * 24 * 3600 * 1000;
/// Connections to the admin port at once. Whoever comes after waits.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// Milliseconds that a connection to the admin port may be open, whatever it does: a scraper connects again.
pub const ADMIN_CONNECTION_MS: u64 = 60_000;
/// Milliseconds in which the head of a request to the admin port must have come.
pub const ADMIN_HEAD_TIMEOUT_MS: u64 = 5_000;
/// Milliseconds that the store may take for a read before `/health` says that it does not work.
pub const HEALTH_READ_TIMEOUT_MS: u64 = 5_000;
/// Milliseconds that the collector of traces may take for a batch of spans.
pub const TRACE_EXPORT_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds for which a server that has stopped waits for the collector to take the last spans.
pub const TRACE_SHUTDOWN_MS: u64 = 2_000;
/// Bytes of a collector's answer that are read.
pub const TRACE_ANSWER_LENGTH_MAX: usize = 64 << 10;
/// Milliseconds in which connections must have told their clients when the server stops, and for which closed ones may linger then.
pub const CLOSE_TIMEOUT_MS: u64 = 2_000;
/// Problems of a store that a verification writes down; of the others it tells how many they are.
pub const VERIFICATION_PROBLEMS_MAX: usize = 1000;
/// Lines of a file of invitations: a territory.
pub const INVITATION_LINES_MAX: usize = 100_000;
/// Mistakes of such a file that are shown.
pub const INVITATION_MISTAKES_SHOWN: usize = 20;
/// Days for which it is kept what was counted of a tenant: three years, for as long as an invoice may be asked about.
pub const TENANT_DAYS_KEPT: u32 = 1096;
/// Accounts in one answer of the control socket: 8 of twenty full queues stay under the frame.
pub const CONTROL_INSPECT_ACCOUNTS: u32 = 8;
/// Milliseconds after which the control socket is listened to again where the system did not let it.
pub const CONTROL_ACCEPT_RETRY_MS: u64 = 100;
/// Bytes of one frame on the control socket.
pub const CONTROL_FRAME_LENGTH_MAX: usize = 64 << 20;
/// Bytes of a configuration file: far more than anybody writes.
pub const CONFIG_LENGTH_MAX: u64 = 1 << 20;
/// Envelopes of the request lane of one device unless the configuration says otherwise: what strangers may leave for somebody
/// who is away for a month, and what somebody can look through.
pub const REQUEST_LANE_MESSAGES_MAX: u64 = 200;
/// Bytes of them: as many of 16 KiB and some.
pub const REQUEST_LANE_BYTES_MAX: u64 = 4 << 20;
/// Tokens that an account may draw a day unless the configuration says otherwise: a busy day's messages and a few hundred MiB.
pub const TOKENS_PER_DAY: u32 = 500;
/// Vouchers that an account may draw a day at most, whatever the configuration says: their digests are kept in one record.
pub const VOUCHERS_PER_DAY_MAX: u32 = 64;
/// Issuer keys for which a token is looked up; with the days of the longest life.
pub const ISSUER_KEY_DAYS_MAX: u32 = 14;
/// Tokens of one payment that are verified at once without another thread: about half a millisecond.
pub const TOKENS_VERIFIED_INLINE: usize = 4;
/// Tokens of one batch that are evaluated without another thread: two milliseconds.
pub const TOKENS_EVALUATED_INLINE: usize = 8;
/// Payments from one network address that may be refused because a token is false or spent; past it what is paid counts
/// against the limits of the address as if it were not.
pub const REFUSED_PAYMENTS: crate::rate_limit::Rate = crate::rate_limit::Rate { burst: 600, per_minute: 600 };
/// Domains whose vouchers may be configured.
pub const VOUCHER_KEYS_MAX: usize = 4096;
/// Milliseconds between two looks at the file of the trust list.
pub const TRUST_LIST_LOOK_INTERVAL_MS: u64 = 10_000;
