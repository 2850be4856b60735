//! Every limit that the protocol enforces, with its unit and its reason.

/// Bytes before the `@` of an address (RFC 5321 section 4.5.3.1.1).
pub const ADDRESS_LOCAL_LENGTH_MAX: usize = 64;
/// Bytes after the `@` of an address (RFC 1035 section 2.3.4).
pub const ADDRESS_DOMAIN_LENGTH_MAX: usize = 253;
/// Devices in one account statement: far more than a person has. A statement travels whole in a first flight, which must
/// leave room for content.
pub const DEVICES_MAX: usize = 20;
/// Primary devices, the ones that hold the account key (DESIGN.md, identity).
pub const PRIMARY_DEVICES_MAX: usize = 2;
/// Bytes of an encoded signed statement: 20 devices of an address of up to 102 bytes, 11 of the longest address that there
/// can be. A certificate has up to 191 bytes and the address, the rest up to 221 and the address.
pub const STATEMENT_LENGTH_MAX: usize = 6 * 1024;
/// Bytes of an encoded signed device certificate that is carried alone: up to 191 and the address of up to 320.
pub const DEVICE_CERTIFICATE_LENGTH_MAX: usize = 512;
/// Letters of a verification code: two of the longest addresses and two keys in base32, and some white space.
pub const VERIFICATION_CODE_LENGTH_MAX: usize = 1400;
/// Bytes of a backup's header: what version 1 has takes about 80; the rest is for later versions.
pub const BACKUP_HEADER_LENGTH_MAX: usize = 1024;
/// Bytes of one record in a backup: the largest record of a client's store, 1 MiB, and its name.
pub const BACKUP_RECORD_LENGTH_MAX: usize = (1 << 20) + 4096;
/// Sizes in bytes that an envelope may have; nothing else is on the wire.
pub const ENVELOPE_SIZES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
/// Bytes of the largest envelope.
pub const ENVELOPE_LENGTH_MAX: usize = 64 << 10;
/// Bytes of an encoded `Content`: the largest envelope less what a first flight with a full statement needs.
pub const CONTENT_LENGTH_MAX: usize = 54 << 10;
/// Bytes of one inline attachment, and of all of them together; larger ones go as blobs.
pub const INLINE_ATTACHMENTS_LENGTH_MAX: usize = 48 << 10;
/// Attachments of one message, inline and as blobs: a folder of photographs still fits the largest envelope.
pub const ATTACHMENTS_MAX: usize = 64;
/// Bytes of an attachment's file name, in UTF-8.
pub const ATTACHMENT_NAME_LENGTH_MAX: usize = 255;
/// Bytes of a mail's subject, in UTF-8 (RFC 5322 section 2.1.1 allows 998 a line).
pub const SUBJECT_LENGTH_MAX: usize = 998;
/// Recipients of one mail.
pub const RECIPIENTS_MAX: usize = 64;
/// Messages that one `received` names: with the frame they fit the smallest envelope.
pub const RECEIVED_IDS_MAX: usize = 200;
/// Bytes of a display name or a role, in UTF-8.
pub const NAME_LENGTH_MAX: usize = 128;
/// Entries of one batch that a device sends to the others of its account: a day's reading.
pub const SYNC_ENTRIES_MAX: usize = 1024;
/// Bytes of such a batch, encoded: it fits a content with room for the frame, and the largest envelope.
pub const SYNC_BODY_LENGTH_MAX: usize = 52 << 10;
/// Bytes of `HOST:PORT`: a domain name and a port.
pub const SERVER_LENGTH_MAX: usize = ADDRESS_DOMAIN_LENGTH_MAX + 6;
/// Bytes of the code beside the state of a sent message.
pub const STATE_CODE_LENGTH_MAX: usize = 64;
/// Messages that one receiving chain may jump ahead (Double Ratchet specification, MAX_SKIP).
pub const SKIP_MAX: u32 = 1000;
/// Skipped message keys that a session keeps over all its chains; the oldest go first. About 96 bytes each on disk.
pub const SKIPPED_KEYS_MAX: usize = 2000;
/// Receiving chains whose header keys are tried for skipped messages; the oldest go first.
pub const SKIPPED_CHAINS_MAX: usize = 5;
/// One-time prekeys of one kind in one upload.
pub const ONE_TIME_PREKEYS_PER_UPLOAD_MAX: usize = 100;
/// Bytes of one request or response frame: 1.5 MiB, a submit to 20 devices at 64 KiB each, and some.
pub const FRAME_LENGTH_MAX: usize = 3 << 19;
/// Envelopes pushed to a subscription and not yet acknowledged.
pub const UNACKNOWLEDGED_MAX: usize = 256;
/// Bytes of an attachment's plaintext: 16 GiB, so that a chunk's number fits 32 bits and a part's digest list half a megabyte.
pub const ATTACHMENT_LENGTH_MAX: u64 = 16 << 30;
/// Bytes of plaintext in one chunk of an attachment.
pub const ATTACHMENT_CHUNK_LENGTH: usize = 64 << 10;
/// Bytes of plaintext in one part of an attachment: what has a digest of its own, and what is sealed or opened at a time.
pub const ATTACHMENT_PART_LENGTH: usize = 4 << 20;
/// Bytes of one piece of a blob, the last one aside: eight sealed chunks, so that a part begins where a piece does.
pub const BLOB_PIECE_LENGTH: usize = 8 * (ATTACHMENT_CHUNK_LENGTH + 16);
/// Bytes of a blob: the largest attachment, padded (it is a power of two and needs no padding), with a tag a chunk and the
/// commitment. What a server takes may be less.
pub const BLOB_LENGTH_MAX: u64 =
    ATTACHMENT_LENGTH_MAX / ATTACHMENT_CHUNK_LENGTH as u64 * (ATTACHMENT_CHUNK_LENGTH as u64 + 16) + 32;
/// Bytes of a body that goes as a blob, encoded.
pub const BODY_BLOB_LENGTH_MAX: u64 = 16 << 20;
/// Bytes from a file's beginning that tell what it is; a preview fetches no more for that.
pub const DOCUMENT_PREFIX_LENGTH_MAX: usize = 64 << 10;
/// Bytes of a PDF that are searched for what acts by itself.
pub const PDF_SCAN_LENGTH_MAX: usize = 64 << 20;
/// Bytes of an image whose metadata is removed: twice what the largest cameras write.
pub const IMAGE_LENGTH_MAX: usize = 128 << 20;
/// Bytes of a clinical document: its body in base64 and a header.
pub const CDA_LENGTH_MAX: usize = 32 << 20;
/// Bytes of a clinical document's body: twice what French secure mail takes by default.
pub const CDA_BODY_LENGTH_MAX: usize = 20 << 20;
/// XML elements inside each other; published examples have 9.
pub const CDA_DEPTH_MAX: usize = 32;
/// Elements, texts, comments and processing instructions of a clinical document; published examples have up to 1 100.
pub const CDA_NODES_MAX: usize = 20_000;
/// Bytes of one start tag with its attributes.
pub const CDA_TAG_LENGTH_MAX: usize = 8 << 10;
/// Attributes and namespace declarations of one element.
pub const CDA_ATTRIBUTES_MAX: usize = 64;
/// Bytes of a name, title or display text, in UTF-8.
pub const CDA_TEXT_LENGTH_MAX: usize = 1024;
/// Bytes of a root, extension, code or media type.
pub const CDA_IDENTIFIER_LENGTH_MAX: usize = 128;
/// Authors, service events, related documents, given names or identifiers of one document or person.
pub const CDA_PARTICIPANTS_MAX: usize = 16;
/// Chunks of 32 bytes of the Braid in each message: an epoch has 9 messages of ping-pong, and the smallest envelope keeps
/// 3.5 KiB for content (`spec/decisions.md`, D17). Part of the wire version.
pub const BRAID_CHUNKS: usize = 12;
/// Epochs before the newest one whose messages can still come: about as long as the Double Ratchet keeps skipped chains.
pub const SPQR_EPOCHS_KEPT: u64 = 3;
/// Skipped message keys of the sparse post-quantum ratchet; the oldest go first. About 48 bytes each on disk.
pub const SPQR_SKIPPED_KEYS_MAX: usize = 2000;
/// Bytes of a session at rest in any state, skipped keys apart.
pub const SESSION_STATE_LENGTH_MAX: usize = 8 << 10;
/// Bytes of memory of a session whose stores of skipped keys are full: 2000 keys of 120 bytes and as many of 72, each with
/// what the allocator adds, and the state.
pub const SESSION_MEMORY_MAX: usize = 448 << 10;
/// Bytes of a blob that two devices put for each other while one is linked: one piece.
pub const LINKING_BLOB_LENGTH_MAX: usize = BLOB_PIECE_LENGTH;
/// Bytes of the largest blob that costs no tokens: those by which a device is linked, which has no account yet to draw tokens
/// for. Such blobs count against the limits of the network address.
pub const BLOB_UNPRICED_LENGTH_MAX: u64 = 4096 + 16;
/// Tokens that a grant hands to a new device, whose account has drawn the day's: a day's mail, in 6 KiB.
pub const LINKING_TOKENS_MAX: usize = 64;
/// Contacts, and servers of other domains, in one grant; more do not fit its bytes.
pub const LINKING_CONTACTS_MAX: usize = 4096;
/// Leaves of a group, the devices of all members: a hospital's largest teams with two devices each. The product measures
/// up to 1 000.
pub const GROUP_MEMBERS_MAX: usize = 1024;
/// Accounts in a group's roster.
pub const GROUP_ACCOUNTS_MAX: usize = 1000;
/// Bytes of a group's name, in UTF-8.
pub const GROUP_NAME_LENGTH_MAX: usize = 128;
/// Bytes of a group's description, in UTF-8.
pub const GROUP_DESCRIPTION_LENGTH_MAX: usize = 2048;
/// Bytes of what ties a group to a case, encoded by the kind that it belongs to.
pub const GROUP_CASE_LENGTH_MAX: usize = 4096;
/// Bytes of a group's encoded policy: a roster of [`GROUP_ACCOUNTS_MAX`] of the longest addresses, and the rest.
pub const GROUP_POLICY_LENGTH_MAX: usize = GROUP_ACCOUNTS_MAX * 370 + 8192;
/// Bytes of an encoded change of a policy: the whole roster goes and another one comes.
pub const GROUP_POLICY_CHANGE_LENGTH_MAX: usize = 2 * GROUP_POLICY_LENGTH_MAX;
/// Days that a group's messages are kept at most: ten years, as long as the longest medical records that we know of ask.
pub const GROUP_RETENTION_DAYS_MAX: u32 = 3660;
/// Epochs before the newest one whose messages can still be opened. Entries come in the log's order, so that these are few;
/// each is a hole in forward secrecy.
pub const GROUP_EPOCHS_KEPT: usize = 5;
/// Members of a group whose signature keys are kept decompressed, 200 bytes each: more do not talk at once.
pub const GROUP_SENDERS_KNOWN_MAX: usize = 128;
/// Bytes of one MLS message in a group log; what is larger goes as a blob.
pub const GROUP_MESSAGE_LENGTH_MAX: usize = 4 << 20;
/// Bytes of an encoded group context: its five hashes and ids take 147.
pub const GROUP_CONTEXT_LENGTH_MAX: usize = 256;
/// Bytes of one entry of a group log: 4 MiB of plaintext, padded by Padme to a multiple of 128 KiB more, with nonce and tag.
pub const GROUP_ENTRY_LENGTH_MAX: usize = (4 << 20) + (128 << 10) + 64;
/// Bytes of a key package: a leaf with the longest certificate, two X-Wing keys and two signatures take about 4 KiB.
pub const KEY_PACKAGE_LENGTH_MAX: usize = 16 << 10;
/// Days that a key package is good for. Its device publishes fresh ones long before; this bounds how old a removed
/// device's may be.
pub const KEY_PACKAGE_LIFETIME_DAYS: u64 = 120;
/// Days of the same that lie before its making, for clocks that differ.
pub const KEY_PACKAGE_SKEW_DAYS: u64 = 1;
/// Bytes of a Welcome, a tree or a group info that a member is handed: 1 024 leaves and as many parents with X-Wing keys
/// take 4 MiB, a Welcome for all of them 1.3 MiB.
pub const GROUP_INVITATION_LENGTH_MAX: usize = 12 << 20;
/// Bytes in one page of a group's state at rest, when it is written first or with an epoch.
pub const GROUP_PAGE_LENGTH: usize = 32 << 10;
/// Bytes in one page of what has changed since: what a message writes is some of these.
pub const GROUP_CHANGED_PAGE_LENGTH: usize = 2 << 10;
/// Bytes of one page's record.
pub const GROUP_PAGE_RECORD_LENGTH_MAX: usize = 64 << 10;
/// Pages of one group at rest.
pub const GROUP_PAGES_MAX: usize = 16 << 10;
/// Bytes of a frame that carries an entry of a group log: the largest entry and some. Every other frame has at most
/// [`FRAME_LENGTH_MAX`].
pub const GROUP_FRAME_LENGTH_MAX: usize = 9 << 19;
/// Bytes of a signal to those who watch a group log: a typing notice, sealed.
pub const GROUP_SIGNAL_LENGTH_MAX: usize = 1 << 10;
/// Bytes of where a device is woken: addresses of public push services have 100 to 600, tokens of apps 64 to 200.
pub const PUSH_ENDPOINT_LENGTH_MAX: usize = 1 << 10;
/// Hexadecimal digits of a token of Apple's push service: today's have 64, and Apple says that they may grow to 100 bytes.
pub const APNS_TOKEN_DIGITS_MAX: usize = 200;
/// Bytes of the bundle id of an app (155 at most) or of the id of a Firebase project (30 at most).
pub const PUSH_APP_LENGTH_MAX: usize = 155;
/// Apps and projects that a server says it wakes.
pub const PUSH_APPS_MAX: usize = 32;
/// Entries of a group log in one answer.
pub const GROUP_ENTRIES_PER_FETCH_MAX: u32 = 256;
/// Group logs in one watch: most people are in fewer groups, and a connection has 12 streams.
pub const GROUP_LOGS_PER_WATCH_MAX: usize = 64;
/// One-time key packages in one upload: with the last resort they stay under a frame.
pub const KEY_PACKAGES_PER_UPLOAD_MAX: usize = 50;
/// Bytes of a chat message's text, in UTF-8: twice over, with the fallback text, it fits a content.
pub const CHAT_TEXT_LENGTH_MAX: usize = 16 << 10;
/// Bytes of a photo's caption, in UTF-8.
pub const CAPTION_LENGTH_MAX: usize = 1024;
/// Pixels of a photo, a side: what JPEG can say.
pub const PHOTO_SIDE_MAX: u32 = 65_535;
/// Milliseconds of a voice message: an hour.
pub const VOICE_DURATION_MAX: u32 = 3_600_000;
/// Bytes of a poll's question, in UTF-8.
pub const POLL_QUESTION_LENGTH_MAX: usize = 512;
/// Options of a poll, at least: fewer are no choice.
pub const POLL_OPTIONS_MIN: usize = 2;
/// Options of a poll, at most: what a telephone shows at once.
pub const POLL_OPTIONS_MAX: usize = 12;
/// Bytes of one option, in UTF-8.
pub const POLL_OPTION_LENGTH_MAX: usize = 256;
/// Bytes of a task's text, in UTF-8.
pub const TASK_TEXT_LENGTH_MAX: usize = 2048;
/// Assignees of one task: a ward's team on one shift.
pub const TASK_ASSIGNEES_MAX: usize = 32;
/// Changes of one task that are kept; more are refused, so that nobody fills a reader's memory.
pub const TASK_CHANGES_MAX: usize = 256;
/// Bytes of a reaction: the longest emoji sequences that Unicode recommends have 35.
pub const REACTION_LENGTH_MAX: usize = 64;
/// Milliseconds after a message in which its sender may edit it: a day. Later, a second message says what has changed.
pub const EDIT_WINDOW: u64 = 86_400_000;
/// Chat messages that wait for the message that they speak of; more are refused.
pub const CHAT_WAITING_MAX: usize = 1024;
/// Accounts of a group up to which typing is shown.
pub const TYPING_ACCOUNTS_MAX: usize = 32;
/// Milliseconds for which a sign of typing is shown if no other comes.
pub const TYPING_SHOWN: u64 = 6000;
/// Accounts of a group up to which every displayed message may be told; above it there is one read position a reader.
pub const RECEIPT_ACCOUNTS_MAX: usize = 32;
/// Milliseconds between two read positions of one reader in such a group: ten minutes.
pub const READ_POSITION_INTERVAL: u64 = 600_000;
/// Bytes of a Welcome, a GroupInfo and a ratchet tree inside a message, together: as for attachments. Larger ones go as blobs.
pub const GROUP_INLINE_LENGTH_MAX: usize = 48 << 10;
/// Bytes of a Welcome, a GroupInfo or a ratchet tree in a blob: a tree of 1 024 leaves under X-Wing has about 3 MiB.
pub const GROUP_BLOB_LENGTH_MAX: u64 = 16 << 20;
/// Bytes of a report's reason, in UTF-8.
pub const REPORT_REASON_LENGTH_MAX: usize = 4096;
/// Accounts that a person has blocked, and as many that are not blocked any more.
pub const BLOCKED_ACCOUNTS_MAX: usize = 4096;
/// Conversations that a person has muted, and as many that are not muted any more.
pub const MUTED_CONVERSATIONS_MAX: usize = 4096;
/// Bytes of a case's title, in UTF-8.
pub const CASE_TITLE_LENGTH_MAX: usize = 256;
/// Members of a case's team.
pub const CASE_TEAM_MAX: usize = 64;
/// Bytes of the reason for which a case is closed or opened again, in UTF-8.
pub const CASE_REASON_LENGTH_MAX: usize = 2048;
/// Times that a case is closed, opened again, or gets another team.
pub const CASE_EVENTS_MAX: usize = 1024;
/// Bytes of a transcript, encoded: what a reader holds in memory to check its signature.
pub const TRANSCRIPT_LENGTH_MAX: usize = 16 << 20;
/// Bytes of a file with a signed transcript: a statement, the signature and the frame come on top.
pub const TRANSCRIPT_FILE_LENGTH_MAX: usize = TRANSCRIPT_LENGTH_MAX + (64 << 10);
/// Messages of a transcript.
pub const TRANSCRIPT_MESSAGES_MAX: usize = 65_536;
/// Messages of an organisation's mailbox that are followed at a time.
pub const MAILBOX_ITEMS_MAX: usize = 65_536;
/// Events of one message of a mailbox.
pub const MAILBOX_TRACE_MAX: usize = 1024;
/// Bytes of a message that has come to a mailbox in one content of the group: with what is said about it, it fits one.
pub const MAILBOX_PART_LENGTH_MAX: usize = 40 << 10;
/// Such parts of a message: the largest content has two.
pub const MAILBOX_PARTS_MAX: u32 = 2;
/// Bytes of the text that is answered to a message of a mailbox: it fits a content, once in the group and once in the mail.
pub const MAILBOX_ANSWER_LENGTH_MAX: usize = 32 << 10;
/// Administrators of an organisation.
pub const ADMINISTRATORS_MAX: usize = 16;
/// Bytes of an organisation's statement, encoded: a rota of a quarter and some thousand revocations.
pub const ORGANISATION_STATEMENT_LENGTH_MAX: usize = 512 << 10;
/// Bytes of a member's certificate, encoded: the longest address and sixteen signatures.
pub const MEMBER_CERTIFICATE_LENGTH_MAX: usize = 4 << 10;
/// Services in a policy, those of later versions included.
pub const ORGANISATION_SERVICES_MAX: usize = 64;
/// Entries of an on-call rota: a quarter of eight functions in shifts of twelve hours.
pub const ON_CALL_ENTRIES_MAX: usize = 1536;
/// Addresses of one entry of a rota.
pub const ON_CALL_ADDRESSES_MAX: usize = 8;
/// Serials in a revocation list; above it an organisation issues all certificates anew.
pub const REVOKED_SERIALS_MAX: usize = 8192;
/// People who may break the glass, and people who are told.
pub const BREAK_GLASS_PEOPLE_MAX: usize = 32;
/// Milliseconds for which a broken glass gives access, at most: a day.
pub const BREAK_GLASS_DURATION_MAX: u64 = 86_400_000;
/// Bytes of what members of an organisation tell each other at once: two of the largest statements.
pub const ORGANISATION_MESSAGE_LENGTH_MAX: usize = 1 << 20;
/// Bytes of one piece of it: an inline content, less what the frame needs.
pub const ORGANISATION_PIECE_LENGTH: usize = 44 << 10;
/// Bytes of the reason and of the subject of a broken glass, in UTF-8.
pub const BREAK_GLASS_TEXT_LENGTH_MAX: usize = 2048;
/// Tokens in one batch: two days of a busy practice; 64 KiB each way, and a few tenths of a second of the server's time.
pub const TOKENS_PER_BATCH_MAX: usize = 2048;
/// Tokens that pay for one request: 16 GiB at the default of 64 MiB a token.
pub const TOKENS_PER_PAYMENT_MAX: usize = 256;
/// Issuer keys in a list: those of the days for which tokens live, and some that a restore or a wrong clock drew.
pub const ISSUER_KEYS_MAX: usize = 16;
/// Delivery keys of an account at a time: the one in use, and those that contacts may still have.
pub const DELIVERY_KEYS_MAX: usize = 4;
/// Services that a tenant can opt in to, those of later versions included.
pub const TENANT_SERVICES_MAX: usize = 64;
/// Invitations that one order on the control socket makes: one commit of the store.
pub const INVITATIONS_AT_ONCE_MAX: usize = 500;
/// Envelopes of one answer about the own account, without their bytes: 40 KiB.
pub const OWN_ENVELOPES_MAX: usize = 1000;
/// Domains of a trust list: every operator of a country's space of trust, several times over.
pub const TRUST_LIST_DOMAINS_MAX: usize = 4096;
/// Bytes of a trust list, encoded: the domains above at 250 bytes each; it fits a frame.
pub const TRUST_LIST_LENGTH_MAX: usize = 1 << 20;
/// Milliseconds from a trust list's issue to its end, at most: for so long a domain that has left can be kept in by who
/// withholds newer lists. 400 days, a year and the time to be late.
pub const TRUST_LIST_DURATION_MAX_MS: u64 = 400 * 86_400_000;
/// Certificate keys of one server in a trust list: the present one, the next one, and the same for another transport.
pub const SPKI_PINS_MAX: usize = 4;
