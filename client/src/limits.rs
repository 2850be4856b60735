//! Every limit that the client enforces, with its unit and its reason.

use std::time::Duration;

/// Bytes of a record's name. Names are addresses, ids and numbers; two bytes of length go before them in a record.
pub const RECORD_NAME_LENGTH_MAX: usize = 1024;
/// Bytes of a record's value. The largest record is an entry of a group's log as it leaves: a frame.
pub const RECORD_LENGTH_MAX: usize = medipeps_core::limits::GROUP_FRAME_LENGTH_MAX;
/// Bytes of decrypted records that the cache keeps of one class; larger classes are read anew each time, so that a
/// mailbox does not stay in memory because it was listed once.
pub const CLASS_CACHE_LENGTH_MAX: usize = 16 << 20;
/// One-time prekeys of one kind that one upload carries: what the protocol allows.
pub const ONE_TIME_PREKEYS_PER_UPLOAD: usize = medipeps_core::limits::ONE_TIME_PREKEYS_PER_UPLOAD_MAX;
/// One-time prekeys of one kind at the server below which the device uploads more: a day's new correspondents.
pub const ONE_TIME_PREKEYS_LOW: u32 = 20;
/// Seconds for which a signed, a seal and a last-resort prekey are handed out: a week, so that a stolen one opens little.
pub const PREKEY_ROTATION_S: u64 = 7 * 24 * 3600;
/// Seconds that a device's clock may be ahead of what it was before, and no key that it has made is too new: as much as key packages
/// leave to clocks that differ.
pub const CLOCK_SKEW_MAX_S: u64 = medipeps_core::limits::KEY_PACKAGE_SKEW_DAYS * 24 * 3600;
/// Milliseconds for which replaced prekeys are kept: 30 days, as long as a first flight may lie in a queue.
pub const RETIRED_PREKEYS_KEPT_MS: u64 = 30 * 24 * 3600 * 1000;
/// Sessions with one device beside the active one; the oldest go first.
pub const INACTIVE_SESSIONS_MAX: usize = 40;
/// Milliseconds for which a session is written to without an answer: 14 days. Its messages are sealed to a prekey that
/// the other side keeps for a week and 30 days more.
pub const UNANSWERED_SESSION_USED_MS: u64 = 14 * 24 * 3600 * 1000;
/// Milliseconds for which it is remembered that a listed device had no prekeys: 10 minutes, as long as a linking may take.
/// Asking for prekeys costs each of its siblings a one-time prekey.
pub const NO_PREKEYS_REMEMBERED_MS: u64 = 10 * 60 * 1000;
/// Milliseconds for which a message is tried: 13 days, a day less than a server remembers the id of a submission.
pub const OUTBOX_TRIED_MS: u64 = 13 * 24 * 3600 * 1000;
/// Milliseconds for which an upload is tried, from when its message is queued: 7 days. A server drops what was begun and
/// not finished after as long.
pub const UPLOAD_TRIED_MS: u64 = 7 * 24 * 3600 * 1000;
/// Times that an upload begins anew because its file has changed: a file that somebody saves now and then, not one that is
/// written to all the time.
pub const UPLOAD_BEGUN_ANEW_MAX: u32 = 10;
/// Milliseconds that a blob must live on when its message goes to the outbox: as long as the outbox tries, and 7 days for
/// the recipient. A server that keeps blobs for 30 days from their begin leaves 23 after the longest upload.
pub const BLOB_KEPT_MIN_MS: u64 = OUTBOX_TRIED_MS + 7 * 24 * 3600 * 1000;
/// Milliseconds for which a body is tried to be fetched, from when the server took its message, whatever the sender says
/// of the blob's life: 90 days.
pub const BODY_FETCH_TRIED_MS: u64 = 90 * 24 * 3600 * 1000;
/// Bytes of a content that are neither body nor attachments, at most: ids, times, the sender's name.
pub const CONTENT_FRAME_LENGTH_MAX: usize = 512;
/// Milliseconds for which what the account's other devices are to learn is collected: what a person does in one go travels
/// as one message.
pub const SYNC_DELAY_MS: u64 = 3 * 1000;
/// Entries that are kept of what other devices told of messages that are not here yet, of each sort; the oldest go first.
pub const SYNC_EARLY_MAX: usize = 256;
/// Outbox entries that one step handles, so that a step stays short and its patch small.
pub const OUTBOX_BATCH_MAX: usize = 16;
/// Milliseconds to the second attempt after a server's refusal; each further wait is twice the one before.
pub const RETRY_FIRST_MS: u64 = 5 * 1000;
/// Milliseconds between two attempts at most.
pub const RETRY_MAX_MS: u64 = 15 * 60 * 1000;
/// Milliseconds that a server's `retry_after` is heeded at most: a day. So no attempt is ever further away, and a time that is
/// comes from a clock that was wrong.
pub const RETRY_AFTER_MAX_MS: u64 = 24 * 3600 * 1000;
/// Times that a submission is encrypted anew for other devices without waiting in between.
pub const STALE_DEVICES_AT_ONCE_MAX: u32 = 5;
/// Milliseconds for which a `received` waits for more to confirm, drawn between these: 30 to 300 s, so that many messages
/// make one, and its time says little.
pub const RECEIVED_DELAY_MIN_MS: u64 = 30 * 1000;
/// The other end of that.
pub const RECEIVED_DELAY_MAX_MS: u64 = 300 * 1000;
/// Ids that wait to be confirmed to one contact: 50 full messages of `received`. What is more comes again, and is then.
pub const OWED_IDS_MAX: usize = 10_000;
/// Milliseconds without a word to a contact who has said something, after which an empty message goes: a day.
pub const EMPTY_DELAY_MS: u64 = 24 * 3600 * 1000;
/// Milliseconds between two words to one account that something of it cannot be read: an hour, so that whoever flips bits
/// on the way does not make two devices talk all day.
pub const ASK_INTERVAL_MS: u64 = 3600 * 1000;
/// Milliseconds for which a message is left alone that nobody confirms: a day, as long as a device may be off over night.
pub const UNCONFIRMED_WAIT_MS: u64 = 24 * 3600 * 1000;
/// Milliseconds that a device which finds a message overdue has to fetch what waits for it: 10 minutes.
pub const UNCONFIRMED_GRACE_MS: u64 = 10 * 60 * 1000;
/// Times that a message is sent again before it is shown as failed.
pub const SENT_AGAIN_MAX: u32 = 3;
/// Messages that are sent again in one step, so that its patch stays small.
pub const SENT_AGAIN_AT_ONCE_MAX: usize = 64;
/// Milliseconds for which a message is kept in mind that some device has and others do not: 7 days.
pub const UNCONFIRMED_KEPT_MS: u64 = 7 * 24 * 3600 * 1000;
/// Milliseconds for which an envelope of no session is kept: 7 days.
pub const KEPT_ENVELOPE_MS: u64 = 7 * 24 * 3600 * 1000;
/// Envelopes of no session that are kept; the oldest go first. Anybody may send them.
pub const KEPT_ENVELOPES_MAX: usize = 256;
/// Bytes of all of them together: 8 MiB.
pub const KEPT_ENVELOPES_LENGTH_MAX: usize = 8 << 20;
/// Envelopes of one transaction. A batch of 64 KiB each is 2 MiB.
pub const DELIVERY_BATCH_MAX: usize = 32;
/// Records of envelopes that could not be read; the oldest are overwritten. All are counted.
pub const UNDECRYPTABLE_KEPT_MAX: u64 = 1000;
/// Messages of a group that are in memory at once while cases are looked for.
pub const GROUP_MESSAGES_PER_LOAD: usize = 256;
/// Letters of a report's reason that lists show.
pub const REPORT_SUBJECT_LETTERS: usize = 80;
/// Messages of one sender that are kept before that sender's server has been asked.
pub const UNCHECKED_MESSAGES_MAX: usize = 100;
/// Sealed records that are read at a time when a class is gone through: what a phone's memory holds even if every one is
/// of the largest size.
pub const SCAN_PAGE: usize = 64;
/// How long an event waits for another process to finish its own. Events take milliseconds; the first of a day re-seals
/// all sessions, which may take seconds.
pub const STORE_LOCK_WAIT: Duration = Duration::from_secs(15);
/// How long to wait for a server to answer at all, over all of its network addresses. A person waits for this.
pub const CONNECT_WAIT: Duration = Duration::from_secs(4);
/// How long one network address has before the next is tried beside it (RFC 8305 section 5).
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);
/// Network addresses of one host that are tried.
pub const CONNECT_ADDRESSES_MAX: usize = 4;
/// How long the transport that is tried first goes alone: QUIC, or what won in this network the last time. Longer than a
/// handshake over a poor mobile network takes as a rule; whoever waits hardly notices.
pub const TRANSPORT_HEAD_START: Duration = Duration::from_millis(500);
/// How long WebSocket has the head start in a network where it won: an hour. Then QUIC has it once more, in case it gets
/// through again.
pub const WEBSOCKET_REMEMBERED: Duration = Duration::from_secs(3600);
/// How old the note that QUIC won in a network must be to be written anew.
pub const NETWORK_NOTED_AGAIN: Duration = Duration::from_secs(600);
/// Networks of which it is remembered which transport won; the oldest go first.
pub const NETWORKS_REMEMBERED_MAX: usize = 32;
/// Bytes of the head of a proxy's answer.
pub const PROXY_ANSWER_LENGTH_MAX: usize = 16 << 10;
/// Headers of a proxy's answer.
pub const PROXY_HEADERS_MAX: usize = 64;
/// Bytes taken from a stream at a time.
pub const READ_LENGTH: usize = 64 << 10;
/// Bytes that the server may send ahead on one stream over WebSocket: a piece of a blob, and as much again on its way.
pub const WEBSOCKET_STREAM_RECEIVE_WINDOW: u64 = 1 << 20;
/// Bytes of one WebSocket message: a record of qmux, which has 16 382 at most.
pub const WEBSOCKET_MESSAGE_LENGTH_MAX: usize = 16 << 10;
/// Bytes of a WebSocket's read buffer, and of what is collected before it is written.
pub const WEBSOCKET_BUFFER: usize = 32 << 10;
/// Bytes that may wait in a WebSocket's write buffer.
pub const WEBSOCKET_WRITE_BUFFER_MAX: usize = 256 << 10;
/// How long a closing WebSocket has to hand its last words to the system.
pub const WEBSOCKET_CLOSE_WAIT: Duration = Duration::from_millis(20);
/// How long a request may take: a megabyte over a poor mobile network, and the server's disk.
pub const REQUEST_WAIT: Duration = Duration::from_secs(15);
/// How often an idle connection is kept alive: under the 30 s after which common address translators forget a UDP flow.
pub const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// Silence after which a connection is given up: one keep-alive and its repetitions went unanswered.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a closing connection waits until the server knows.
pub const CLOSE_WAIT: Duration = Duration::from_millis(500);
/// First step of the waits between attempts to connect.
pub const RECONNECT_WAIT_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between attempts to connect.
pub const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(300);
/// For how long one connection is asked for by whoever stays; then the next one.
pub const STAY_ROUND: Duration = Duration::from_secs(24 * 3600);
/// Longest wait between two tries of whoever stays to reach the server: somebody looks at the screen.
pub const STAY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a batch of deliveries waits for one more. On a fast link envelopes come within a fraction of this.
pub const BATCH_WAIT: Duration = Duration::from_millis(3);
/// How often an open connection looks for what another process has put into the outbox.
pub const OUTBOX_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Times in a row that the outbox is asked for more before something else has its turn.
pub const OUTBOX_ROUNDS_MAX: usize = 1000;
/// Pieces of blobs in flight at once, over all transfers of a process: 4 MiB, what fills 250 Mbit/s over 130 ms.
pub const TRANSFER_PIECES_IN_FLIGHT_MAX: usize = 8;
/// Parts of documents in memory at once, over all transfers of a process: 5 of 4 MiB. Two uploads at once need four: one
/// that is read and one that is sent, each.
pub const TRANSFER_PARTS_IN_MEMORY_MAX: usize = 5;
/// Documents that are sent or fetched at once.
pub const TRANSFERS_AT_ONCE_MAX: usize = 2;
/// How long a piece of a blob may take both ways: half a megabyte at 70 kbit/s.
pub const BLOB_REQUEST_WAIT: Duration = Duration::from_secs(60);
/// How often the connection of a transfer asks for a sign of life.
pub const TRANSFER_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Silence after which the server of a transfer is looked for anew: four signs of life in a row did not come.
pub const SERVER_SILENCE_MAX: Duration = Duration::from_secs(4);
/// Times in a row that an upload begins again because the server has forgotten the blob.
pub const UPLOAD_FORGOTTEN_MAX: u32 = 3;
/// How long a sealed copy is kept that belongs to no message: another process may be about to queue its message.
pub const UNUSED_COPY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a file that is being saved after which they go to the disk: what is lost at a power failure, and what the last
/// sync has to wait for.
pub const SAVE_SYNC_LENGTH: u64 = 64 << 20;
/// Tries at a file name that is not taken.
pub const NUMBERED_NAMES_MAX: u32 = 10_000;
/// How long transfers may go without progress before a command that waits for them ends. What is left goes on later.
pub const TRANSFER_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of an attachment that are fetched to see what it is: what `medipeps_core::document` looks at.
pub const PREVIEW_LENGTH: u64 = 64 << 10;
/// Times that a recovery is signed again because another statement came between: a thief may try to be faster.
pub const RECOVERY_TRIES_MAX: usize = 10;
/// Times that a change of the account's devices is made again because another statement came between.
pub const STATEMENT_MADE_AGAIN_MAX: u32 = 5;
/// Times that a device is proved until one proof holds: an old copy of a store becomes another device on the way.
pub const PROOFS_MAX: usize = 3;
/// Milliseconds for which a linking may take until both sides have agreed: 10 minutes, by each device's own clock. Long
/// enough to walk to the other device, short enough that a photograph of the code is soon worth nothing.
pub const LINKING_VALID_MS: u64 = 10 * 60 * 1000;
/// Milliseconds for which a grant is kept for a new device: 30 days, as long as servers keep blobs.
pub const LINKING_GRANT_KEPT_MS: u64 = 30 * 24 * 3600 * 1000;
/// Bytes that contacts may have in a grant: a piece of a blob, less what the rest needs.
pub const LINKING_CONTACTS_LENGTH_MAX: usize = 472 << 10;
/// How often the server is asked for the other side's part of a linking: a person waits, and a request is small.
pub const LINKING_POLL: Duration = Duration::from_secs(1);
/// How long a command waits for the other side once both have agreed, before it says that it can be run again.
pub const LINKING_WAIT: Duration = Duration::from_secs(10 * 60);
/// Bytes of a sealed copy in one record of a backup.
pub const BACKUP_COPY_PIECE: usize = 512 << 10;
/// Bytes of records that a restore commits at once: few enough to hold in memory, many enough that the disk's sync does not
/// decide how long it takes.
pub const RESTORE_BATCH_LENGTH: usize = 4 << 20;
/// Times that a restored device signs a statement because another one came between.
pub const RESTORE_LISTING_ATTEMPTS_MAX: usize = 5;
/// Letters of a new passphrase, at least. It does not make a passphrase good; it stops the worst.
pub const PASSPHRASE_LETTERS_MIN: usize = 8;
/// How often a program looks whether it is to close the account: what `lock` promises is 2 seconds.
pub const LOCK_LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a program that was told to close the account has for it, before it ends itself at once.
pub const LOCK_GRACE: Duration = Duration::from_secs(2);
/// How long `lock` waits for all to end.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Bytes at the beginning of a store that a wipe overwrites: its keys lie in the first pages.
pub const WIPE_OVERWRITTEN_LENGTH: u64 = 1 << 20;
/// Milliseconds after which a group is read again without a sign: 15 minutes (DESIGN.md, "Group logs").
pub const GROUP_POLL_MS: u64 = 15 * 60 * 1000;
/// Milliseconds for which a group's server is asked to wake this device: 14 days. It is told again when half of it is over, so
/// that a device that is gone is woken no longer than that.
pub const GROUP_WAKE_MS: u64 = 14 * 24 * 3600 * 1000;
/// Milliseconds for which a server's answer to that is waited for before it is told again.
pub const WAKE_ANSWER_MS: u64 = 60_000;
/// Milliseconds after which a server that has refused it is asked again: a day, in which its operator may have allowed it.
pub const WAKE_REFUSED_MS: u64 = 24 * 3600 * 1000;
/// Mails that a mailbox posts, and messages of its group that it looks at for answers, in one step.
pub const MAILBOX_BATCH_MAX: usize = 32;
/// Entries of a group's log that are taken over in one transaction.
pub const GROUP_ENTRIES_PER_READ: u32 = 64;
/// Messages of one group that one step encrypts.
pub const GROUP_OUTBOX_BATCH_MAX: usize = 16;
/// Changes of one group that wait; a person makes a few at a time.
pub const GROUP_CHANGES_MAX: usize = 256;
/// Devices that one commit adds: their leaves and the Welcome stay well under an entry's size.
pub const GROUP_ADDED_AT_ONCE_MAX: usize = 64;
/// Times that key packages are asked for before an account is not added.
pub const GROUP_KEY_PACKAGES_ASKED_MAX: u32 = 10;
/// Entries of a group's log that a device keeps, so that the log can be made whole after a restore of its server: those of a
/// few days in a busy group.
pub const GROUP_ENTRIES_KEPT: u32 = 256;
/// Bytes of an entry that is kept, unless it closes an epoch: without that no later one can be appended.
pub const GROUP_ENTRY_KEPT_LENGTH: usize = 64 << 10;
/// Milliseconds for which a device waits that others make a restored log whole, before it takes its place for lost: somebody
/// may be away over a weekend.
pub const GROUP_RESTORED_WAIT_MS: u64 = 4 * 24 * 3600 * 1000;
/// Milliseconds for which a device changes nothing in a group after a restore of its server: who has read further than the
/// backup appends that first.
pub const GROUP_RESTORED_PAUSE_MS: u64 = 10 * 60 * 1000;
/// Milliseconds of the range that the first wait after a lost race is drawn from; it doubles with each.
pub const GROUP_RACE_PAUSE_FIRST_MS: u64 = 200;
/// Milliseconds of the largest such range: with a hundred members at once, somebody commits every few hundred.
pub const GROUP_RACE_PAUSE_MAX_MS: u64 = 20 * 1000;
/// Milliseconds for which a log that was read to its end counts as read, for who has lost a race: a commit is built at once
/// then, or not before the next read.
pub const GROUP_FRESH_MS: u64 = 500;
/// Milliseconds within which those who read a proposal to leave commit it, drawn by each.
pub const GROUP_PROPOSAL_WAIT_MS: u64 = 10 * 1000;
/// Milliseconds after which a device renews its keys in a group: a week, as for prekeys.
pub const GROUP_UPDATE_MS: u64 = 7 * 24 * 3600 * 1000;
/// Milliseconds after which the second member is asked for the way back into a group: whoever is there answers within
/// seconds. Each further wait is half as long again as the one before.
pub const GROUP_REJOIN_ASK_FIRST_MS: u64 = 2 * 60 * 1000;
/// Milliseconds of the longest such wait: an hour, in which most people look once.
pub const GROUP_REJOIN_ASK_MAX_MS: u64 = 3600 * 1000;
/// Bytes of an invitation that still goes inside a message; a larger one goes as a blob.
pub const GROUP_INVITATION_INLINE_MAX: usize = 40 << 10;
/// Invitations to groups that wait until their sender's server has been asked.
pub const UNCHECKED_INVITATIONS_MAX: usize = 32;
/// One-time key packages that one upload carries: with the last-resort one some 120 KiB.
pub const KEY_PACKAGES_PER_UPLOAD: usize = 30;
/// Replaced key packages whose private halves are kept, the newest: some twelve uploads of which none was used. A server that asks for
/// more and more of them does not fill the store.
pub const RETIRED_KEY_PACKAGES_MAX: usize = 400;
/// One-time key packages at the server below which the device uploads more.
pub const KEY_PACKAGES_LOW: u32 = 10;
/// How long a command waits until what it has put into a group is in its log.
pub const GROUP_SETTLE_WAIT: Duration = Duration::from_secs(10);
/// Between two looks meanwhile.
pub const GROUP_SETTLE_PAUSE: Duration = Duration::from_millis(200);
/// How long a watch that a server has ended is left alone: entries are read meanwhile with every look.
pub const GROUP_WATCH_PAUSE: Duration = Duration::from_secs(30);
/// Messages of one group that one step deletes, so that its patch stays small.
pub const GROUP_DELETED_AT_ONCE_MAX: usize = 64;
/// Milliseconds after which a message that is over and still on its way is looked at again: an hour.
pub const GROUP_DELETION_LOOK_MS: u64 = 3600 * 1000;
/// Milliseconds for which a shortened retention deletes nothing, from when the server took the commit: a day, in which members
/// see it, and an owner can take a mistake back.
pub const GROUP_RETENTION_GRACE_MS: u64 = 24 * 3600 * 1000;
/// Milliseconds between two read positions in a small group, so that a person who scrolls makes one entry of many.
pub const READ_POSITION_PAUSE_MS: u64 = 5 * 1000;
/// Milliseconds after which a read position without an answer is told anew: its entry may have been lost with the process.
pub const READ_POSITION_ANSWER_MS: u64 = 60 * 1000;
/// Messages that are gone through to find the last one of somebody else.
pub const READ_POSITION_LOOK_MAX: u64 = 64;
/// How often it is told that a person types: twice within the time for which it is shown.
pub const TYPING_PAUSE: Duration = Duration::from_secs(3);
/// Organisations that others have told of and that no person has confirmed: more is noise.
pub const ORGANISATIONS_OFFERED_MAX: usize = 16;
/// Messages about organisations that are not whole yet, or whose sender is not checked yet.
pub const ORGANISATION_ARRIVALS_MAX: usize = 32;
/// Drafts that wait for signatures; an organisation's administrators sign a few at a time.
pub const ORGANISATION_DRAFTS_MAX: usize = 1024;
/// Certificates of one member that are kept: he has one, and the next one before it ends.
pub const ORGANISATION_CERTIFICATES_KEPT: usize = 8;
/// Milliseconds after which a colleague is asked for newer statements: a day. Whoever is shown a fork learns of it within one.
pub const ORGANISATION_ASK_MS: u64 = 24 * 3600 * 1000;
/// Milliseconds within which nobody is asked for the same thing again: a minute, in which answers come.
pub const ORGANISATION_ASK_PAUSE_MS: u64 = 60 * 1000;
/// Milliseconds after which groups are held against certificates again without a cause: an hour.
pub const ORGANISATION_CHECK_MS: u64 = 3600 * 1000;
/// Milliseconds after a statement within which certificates that lack a signature under it are signed again, and nobody is
/// taken out of a group: two weeks, in which administrators come back from a holiday.
pub const ORGANISATION_SIGN_AGAIN_MS: u64 = 14 * 24 * 3600 * 1000;
/// Milliseconds after which the own server is asked for a newer trust list: for so long a domain that has left is still written
/// to by a device that stays connected. It costs a request of some bytes. Every proof of device asks as well.
pub const TRUST_LIST_ASK_MS: u64 = 5 * 60 * 1000;
/// How long DNS is waited for.
pub const LOOKUP_WAIT: Duration = Duration::from_secs(8);
/// Tokens in one record of the store: some 3 KiB, written once for each that is spent.
pub const TOKEN_PAGE: u32 = 32;
/// Tokens that a device draws at its own server at once, at most.
pub const WALLET_BATCH_MAX: u32 = 1000;
/// Milliseconds for which issuer keys and prices are not asked for again: they change once a day.
pub const ISSUER_KEYS_FRESH_MS: u64 = 6 * 3600 * 1000;
/// Milliseconds between two questions for issuer keys.
pub const ISSUER_KEYS_ASK_MS: u64 = 60_000;
/// Milliseconds after the time for a draw at which a device that does not prove itself anew draws all the same.
pub const TOKEN_DRAW_LATE_MS: u64 = 2 * 3600 * 1000;
/// Milliseconds before its end from which a token is not used any more: the server's clock may be ahead.
pub const TOKEN_MARGIN_MS: u64 = 10 * 60 * 1000;
/// A wallet at another server is filled when fewer than this part of a voucher's tokens are left.
pub const TOKENS_LOW_PART: u32 = 4;
/// Milliseconds between two vouchers for one domain.
pub const VOUCHER_PAUSE_MS: u64 = 10 * 60 * 1000;

/// For how long a former delivery key is still good, in milliseconds: 7 days, in which those who talk to one another get the
/// new one.
pub const DELIVERY_KEY_OVERLAP_MS: u64 = 7 * 24 * 3600 * 1000;

/// After how long a server is told the delivery keys again that has not answered, in milliseconds: 1 minute.
pub const DELIVERY_KEY_RETRY_MS: u64 = 60 * 1000;
