//! What the fuzzers call: one function per decoder, each taking whatever bytes a peer might send.
//!
//! A function here panics when a decoder breaks a promise; that a decoder itself panics, hangs or reads out of bounds, the
//! fuzzer sees. `cargo test` replays every committed input through the same functions, with no fuzzer and no C++.
//!
//! A new target is a function in the list below, a file `targets/NAME.rs`, its `[[bin]]` in Cargo.toml and a first input under
//! `corpus/NAME/`; the replay test names what is missing.

mod altered;
mod attachment;
mod document;
#[path = "../../core/tests/session_schedule/model.rs"]
mod schedule;
mod signed;
mod thread;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::backup::{Opener, RecoveryCode, Sealer};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::crypto::x_wing;
use medipeps_core::envelope::{Envelope, HintKey, VERSION};
use medipeps_core::identity::{Statement, VerificationCode};
use medipeps_core::invitation::Invitation;
use medipeps_core::kind::{Body, Content, GivenDeliveryKey, OrganisationMessage, sanitise_html, text_of_html};
use medipeps_core::linking::LinkingCode;
use medipeps_core::prekey::{EncodedBundle, PrekeyUpload};
use medipeps_core::push_endpoint::{PushEndpoint, PushService};
use medipeps_core::session::Session;
use medipeps_core::tenant::{Tenant, TenantDay};
use medipeps_core::token::{IssuerSecretKey, TokenBatch};
use medipeps_core::trust_list::{TrustList, TrustListFields};
use medipeps_core::wire::backup::{BackupHeader, BackupRecord};
use medipeps_core::wire::client_store::PassphraseLock;
use medipeps_core::wire::handshake::InitialMessageFields;
use medipeps_core::wire::identity::DeviceCertificateFields;
use medipeps_core::wire::key_package::{KeyPackageUpload, SignedKeyPackageUpload};
use medipeps_core::wire::prekey::{KemPrekey, OneTimePrekey, SealPrekey, SignedPrekey, UploadFields};
use medipeps_core::wire::transport::{Request, Response, TokenRequest, TokenResponse};
use medipeps_core::wire::{client_records, client_store, control, linking, server_storage, token, trust_list};
use rand_core::SeedableRng;

/// Reads with the decoder that the first byte selects; what is read must survive being written and read again.
macro_rules! select_decoder {
    ($data:ident: $($type:ty),+ $(,)?) => {
        let Some((&selector, bytes)) = $data.split_first() else { return };
        let decoders: &[fn(&[u8])] = &[$(|bytes| {
            if let Ok(read) = <$type>::decode(bytes) {
                let written = read.encode();
                let again = <$type>::decode(&written);
                assert!(again.is_ok_and(|again| again.encode() == written), stringify!($type));
            }
        }),+];
        decoders[usize::from(selector) % decoders.len()](bytes);
    };
}

// After the macro that it uses.
mod group;

/// A fuzz target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Declares the targets and lists them in [`TARGETS`].
macro_rules! targets {
    ($($(#[$documentation:meta])* $name:ident($data:ident) $body:block)+) => {
        $($(#[$documentation])* pub fn $name($data: &[u8]) $body)+

        /// Every target, for the replay of the corpora.
        pub const TARGETS: &[Target] = &[$((stringify!($name), $name)),+];
    };
}

targets! {
    /// Addresses: what is read prints as itself and is read again as the same.
    address(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Ok(address) = text.parse::<Address>() {
            assert_eq!(Address::from_canonical(address.as_str()).as_ref(), Ok(&address));
            assert_eq!(format!("{}@{}", address.local(), address.domain()), address.as_str());
        }
        if let Ok(address) = Address::from_canonical(text) {
            assert_eq!(address.as_str(), text);
        }
    }

    /// Invitation codes.
    invitation(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Ok(invitation) = text.parse::<Invitation>() {
            assert_eq!(invitation.code().parse(), Ok(invitation));
        }
    }

    /// Verification codes, as they are scanned.
    verification_code(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Ok(code) = text.parse::<VerificationCode>() {
            assert_eq!(code.to_string().parse(), Ok(code));
        }
    }

    /// Account statements, and certificates by themselves.
    statement(data) {
        if let Ok(statement) = Statement::decode(data) {
            assert_eq!(Statement::decode(statement.encoded()), Ok(statement));
        }
        if let Ok(fields) = DeviceCertificateFields::decode(data) {
            assert_eq!(DeviceCertificateFields::decode(&fields.encode()), Ok(fields));
        }
    }

    /// The parts of bundles and uploads.
    prekeys(data) {
        select_decoder!(data:
            SignedPrekey, OneTimePrekey, KemPrekey, SealPrekey, EncodedBundle, UploadFields, KeyPackageUpload,
            SignedKeyPackageUpload,
        );
        let _ = PrekeyUpload::claimed_device(data.get(1..).unwrap_or_default());
    }

    /// Initial messages, out of their seal.
    initial_message(data) {
        if let Ok(fields) = InitialMessageFields::decode(data) {
            assert_eq!(InitialMessageFields::decode(&fields.encode()), Ok(fields));
        }
    }

    /// Envelopes: an input is repeated to the next size, since no other length is read.
    envelope(data) {
        if data.is_empty() {
            return;
        }
        let _ = Envelope::decode(data);
        let padded: Vec<u8> = data.iter().copied().cycle().take(4096).collect();
        if let Ok(envelope) = Envelope::decode(&padded) {
            assert_eq!(envelope.encode(), padded);
            let _ = envelope.matches(&HintKey::from_secret(Secret::from([1; 32])));
            assert!(envelope.open_first_flight(&x_wing::DecapsulationKey::from_seed(Secret::from([2; 32]))).is_err());
        }
    }

    /// A good envelope with bytes changed: refused, and the session that refuses it is as before. The input is a list of
    /// changes of three bytes each: where (big endian, modulo the envelope's length), and what to xor there.
    altered_envelope(data) {
        altered::refuses(data);
    }

    /// A sealed attachment with bytes changed, cut or added: refused.
    altered_attachment(data) {
        attachment::refuses(data);
    }

    /// Sessions at rest; what is read refuses a foreign envelope and stays as it was.
    session_state(data) {
        let Ok(mut session) = Session::decode(data) else { return };
        let state = session.encode();
        let Ok(envelope) = Envelope::decode(&[VERSION; 4096]) else { return };
        assert!(session.decrypt(&envelope, &mut ChaCha20Rng::from_seed([3; 32])).is_err());
        assert_eq!(session.encode(), state);
        assert!(Session::decode(&state).is_ok_and(|again| again.encode() == state));
    }

    /// Two sides of a session under a schedule: each two bytes are a message written, delivered, repeated or lost, a restart,
    /// or a store put back. Both agree or fail loudly.
    session_schedule(data) {
        let actions = data.chunks_exact(2).take(200).map(|bytes| schedule::Action::from_bytes([bytes[0], bytes[1]]));
        schedule::run(actions);
    }

    /// Linking codes, what two devices put for each other, and what they keep meanwhile.
    linking(data) {
        if let Ok(code) = std::str::from_utf8(data).unwrap_or_default().parse::<LinkingCode>() {
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        select_decoder!(data:
            linking::LinkOffer, linking::LinkAnswer, linking::LinkReveal, linking::LinkGrant,
            client_records::LinkRecord, client_records::DeviceNameRecord,
        );
    }

    /// Trust lists, and what a client keeps of them.
    trust_list(data) {
        select_decoder!(data:
            trust_list::SignedTrustList, client_records::TrustListRecord, client_records::ListedDomainRecord,
            client_records::DepartedDomainRecord, client_records::WalletRecord, client_records::TokenPageRecord,
            client_records::PaymentRecord,
        );
        if let Ok(fields) = TrustListFields::decode(data) {
            assert_eq!(TrustListFields::decode(&fields.encode()), Ok(fields));
        }
        let key = SigningKey::from_secret(&Secret::from([4; 32])).verifying_key();
        assert!(TrustList::verify(data, &key).is_err());
    }

    /// Requests of clients.
    request(data) {
        if let Ok(request) = Request::decode(data) {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    /// Responses of servers.
    response(data) {
        if let Ok(response) = Response::decode(data) {
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
    }

    /// What a message says. HTML is sanitised on the way, which must not change anything the second time.
    content(data) {
        let Ok(content) = Content::decode(data) else { return };
        // The same fields are read; what is beside it goes and nothing else does.
        let bare = GivenDeliveryKey::detach(data).map_err(|error| error.to_string());
        assert_eq!(bare.as_ref().map(|bare| GivenDeliveryKey::beside(bare)), Ok(Ok(None)));
        assert_eq!(bare.as_ref().map(|bare| Content::decode(bare)), Ok(Ok(content.clone())));
        let again = content.encode().and_then(|bytes| Content::decode(&bytes));
        let known_kind = !matches!(content.body, Body::Unknown { .. });
        assert!(!known_kind || again.is_ok_and(|again| again == content));
    }

    /// HTML bodies.
    html(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        let clean = sanitise_html(text);
        for dangerous in ["<script", "<iframe", "<img", "<object", "<embed", "<form", "<style"] {
            assert!(!clean.to_ascii_lowercase().contains(dangerous), "{clean}");
        }
        let _ = text_of_html(text);
    }

    /// The client's records and the header of its store.
    client_store(data) {
        select_decoder!(data:
            client_store::ClientStoreHeader, client_records::AccountRecord, client_records::PrekeysRecord,
            client_records::ContactRecord, client_records::ServerRecord, client_records::MessageRecord,
            client_records::OutboxRecord, client_records::SessionRecord, client_records::PeerRecord,
            client_records::QueueRecord, client_records::UnconfirmedSenderRecord,
            client_records::UndecryptableRecord, client_records::UploadRecord, client_records::BodyFetchRecord,
            client_records::UnconfirmedRecord, client_records::OwedRecord, client_records::KeptEnvelopeRecord,
            client_records::AgendaRecord, client_records::OwnStatementRecord, client_records::SettingsRecord,
            client_records::WakeRecord, client_records::GroupWakeRecord, client_records::MailboxRecord,
            client_records::GroupDepartureRecord, client_records::GroupKeptEntryRecord,
        );
    }

    /// Backups: what a file begins with, and what is sealed in it. A chunk that nobody sealed does not open.
    backup(data) {
        if let Ok(header) = medipeps_core::backup::read_header(data) {
            assert_eq!(BackupHeader::decode(&header.encode()), Ok(header));
        }
        if let Some(prefix) = data.first_chunk() {
            let _ = medipeps_core::backup::header_length(prefix);
        }
        if let Ok(record) = BackupRecord::decode(data) {
            assert_eq!(BackupRecord::decode(&record.encode()), Ok(record));
        }
        let Some((commitment, chunk)) = data.split_first_chunk() else { return };
        assert!(Opener::begin(b"", commitment, &Secret::from([1; 32])).is_err());
        let lock = PassphraseLock { salt: [1; 16], memory_kib: 8, passes: 1, lanes: 1 };
        let header = BackupHeader { lock, salt: [2; 32], recovery_code: false, created: 0 };
        let Ok((_, begin)) = Sealer::begin(&header, &Secret::from([3; 32])) else { return };
        let Some((begin, commitment)) = begin.split_last_chunk() else { return };
        let Ok(mut opener) = Opener::begin(begin, commitment, &Secret::from([3; 32])) else { return };
        let mut chunk = chunk.to_vec();
        assert!(opener.open(&mut chunk, true).is_err() && chunk.is_empty());
    }

    /// A recovery code comes back as it was typed.
    recovery_code(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Ok(code) = text.parse::<RecoveryCode>() {
            assert_eq!(code.text().parse(), Ok(code));
        }
    }

    /// The server's records, and those of its export.
    server_storage(data) {
        select_decoder!(data:
            server_storage::StoreRecord, server_storage::InvitationRecord, server_storage::AccountRecord,
            server_storage::PrekeysRecord, server_storage::QueueRecord, server_storage::EnvelopeRecord,
            server_storage::SubmissionRecord, server_storage::ExportRecord, server_storage::BlobRecord,
            server_storage::BlobPieceRecord, server_storage::GroupLogRecord, server_storage::GroupEpochRecord,
            server_storage::GroupEntryRecord, server_storage::GroupEntryIdRecord, server_storage::KeyPackagesRecord,
            server_storage::GroupWakeRecord, server_storage::DeviceWakeRecord, Tenant, TenantDay,
            server_storage::GroupWakeRecord, server_storage::IssuerKeyRecord, server_storage::SpendRecord,
            server_storage::DrawsRecord, server_storage::VoucherRecord,
        );
    }

    /// Lists of issuer keys and vouchers; elements that nobody blinded or evaluated: no token comes of them.
    tokens(data) {
        select_decoder!(data: token::IssuerKeys, token::SignedIssuerKeys, token::Voucher, token::SignedVoucher);
        let issuer = IssuerSecretKey::derive(&Secret::from([1; 32]), 20_000, 1);
        let (Ok(issuer), Some((first, proof))) = (issuer, data.split_first_chunk::<32>()) else { return };
        let mut proof = proof.to_vec();
        proof.resize(64, 0);
        let Ok(batch) = TokenBatch::blind(&issuer.public(), 1, Secret::from([2; 32])) else { return };
        let mut answer = TokenResponse { evaluated: vec![*first], proof: [0; 64] };
        answer.proof.copy_from_slice(&proof);
        assert!(batch.finalize(&answer).is_err());
        let request = TokenRequest { key_id: issuer.id(), blinded: vec![*first] };
        if let Ok(evaluated) = issuer.evaluate(&request, &mut ChaCha20Rng::from_seed([3; 32])) {
            assert!(batch.finalize(&evaluated).is_err());
        }
    }

    /// Addresses of push services: read in one way, and as the library that calls them reads them.
    push_endpoint(data) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        let Ok(endpoint) = text.parse::<PushEndpoint>() else { return };
        assert_eq!(endpoint.as_str(), text);
        let PushService::Web { host, port, .. } = endpoint.service() else {
            assert_eq!(endpoint.url(), None);
            return;
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let read = medipeps_core::push_endpoint::read_authority(&format!("{bracketed}:{port}"));
        assert_eq!(read, Some((host.clone(), *port)));
        let url = endpoint.url().expect("a subscription has a URL");
        let uri = url.parse::<http::Uri>();
        assert!(uri.is_ok(), "the library that calls push services cannot read {url:?}");
        let Ok(uri) = uri else { return };
        assert_eq!(uri.scheme_str(), Some("https"));
        let other = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        assert_eq!((&other, uri.port_u16().unwrap_or(443)), (host, *port));
    }

    /// What passes over the server's control socket.
    control(data) {
        select_decoder!(data: control::ControlRequest, control::ControlResponse);
    }

    /// What is agreed on in groups, handed over, and kept of them.
    group_record(data) {
        group::record(data);
    }

    /// Key packages, invitations, help to rejoin and log entries that nobody made for this device: refused, and the group is
    /// as before.
    group_message(data) {
        group::refuses(data);
    }

    /// Clinical documents.
    clinical_document(data) {
        document::comes_back(data);
    }

    /// What a file is, and what a PDF shows.
    document_kind(data) {
        document::is_told(data);
    }

    /// Images whose metadata is removed.
    image_metadata(data) {
        document::strips_once(data);
    }

    /// Threads of chat.
    chat_thread(data) {
        thread::shows_the_same_in_every_order(data);
    }

    /// Transcripts of cases.
    transcript(data) {
        signed::transcript(data);
    }

    /// Messages of groups with their tags.
    franked_message(data) {
        group::franked(data);
    }

    /// Statements of organisations, and certificates of members.
    organisation(data) {
        signed::organisation(data);
    }

    /// What a client keeps of organisations, and what members tell each other before it is cut into pieces.
    organisation_record(data) {
        if let Ok(message) = OrganisationMessage::decode(data) {
            assert_eq!(message.encode().map(|bytes| OrganisationMessage::decode(&bytes)), Ok(Ok(message)));
        }
        select_decoder!(data:
            client_records::OrganisationRecord, client_records::OrganisationMemberRecord,
            client_records::OrganisationDraftRecord, client_records::OrganisationArrivalRecord,
            client_records::BreakGlassRecord, client_records::AdministratorKeyRecord,
        );
    }
}
