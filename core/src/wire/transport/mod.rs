//! `spec/proto/transport.proto`: what passes between a client and a server.

mod blob;
mod error;
mod group_log;
mod key_package;
mod own_account;
mod push;
mod request;
mod response;
mod token;

pub use blob::{BeginBlob, DeleteBlob, FetchBlob, PutBlobPiece};
pub use error::{ErrorCode, ErrorReply, StaleDevices};
pub use group_log::{
    AppendGroupEntry, AppendGroupEntryReply, CreateGroupLog, FetchGroupEntries, FetchGroupEntriesReply, GroupLogCursor,
    GroupLogEntry, GroupLogEvent, GroupLogPush, SetGroupWake, SignalGroup, WatchGroupLogs, WatchedGroupLog,
};
pub use key_package::{DeviceKeyPackage, FetchKeyPackagesReply, KeyPackageStatusReply};
pub use own_account::{FetchOwnData, FetchOwnDataReply, FetchTenantReply, OwnDeviceData, OwnEnvelopeData};
pub use push::FetchPushServicesReply;
pub use request::{
    Acknowledge, Authenticate, DeleteAccount, DeviceEnvelope, FetchKeyPackages, FetchPrekeys, Register, Request, Submit,
};
pub use response::{
    AuthenticateReply, BeginBlobReply, Delivery, FetchBlobReply, FetchPrekeysReply, FetchTrustListReply, HelloReply,
    Lane, PrekeyStatusReply, PutBlobPieceReply, Response, SubmitReply, SubscriptionEvent,
};
pub use token::{DrawVoucher, Payment, RedeemVoucher, Token, TokenRequest, TokenResponse};

use super::{WireError, proto};
use crate::limits::{FRAME_LENGTH_MAX, GROUP_FRAME_LENGTH_MAX, STATEMENT_LENGTH_MAX};

/// How the two ends are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// QUIC with ALPN `medipeps/1`; a TLS exporter can be had.
    Quic,
    /// WebTransport over HTTP/3, as a browser has it, which gives no TLS exporter.
    WebTransport,
    /// WebSocket over TLS by a program that is no browser; a TLS exporter can be had.
    WebSocket,
    /// WebSocket over TLS by a browser, which gives no TLS exporter.
    BrowserWebSocket,
}

impl Transport {
    /// The number that stands for it, on the wire and in what is signed.
    #[must_use]
    pub const fn encode(self) -> i32 {
        match self {
            Self::Quic => proto::Transport::Quic as i32,
            Self::WebTransport => proto::Transport::Webtransport as i32,
            Self::WebSocket => proto::Transport::Websocket as i32,
            Self::BrowserWebSocket => proto::Transport::BrowserWebsocket as i32,
        }
    }

    /// Whether its TLS exporter is part of what hello and proof of device sign.
    #[must_use]
    pub const fn has_exporter(self) -> bool {
        matches!(self, Self::Quic | Self::WebSocket)
    }

    /// What people and logs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::WebTransport => "webtransport",
            Self::WebSocket => "websocket",
            Self::BrowserWebSocket => "browser-websocket",
        }
    }

    fn decode(number: i32) -> Result<Self, WireError> {
        match proto::Transport::try_from(number) {
            Ok(proto::Transport::Quic) => Ok(Self::Quic),
            Ok(proto::Transport::Webtransport) => Ok(Self::WebTransport),
            Ok(proto::Transport::Websocket) => Ok(Self::WebSocket),
            Ok(proto::Transport::BrowserWebsocket) => Ok(Self::BrowserWebSocket),
            Ok(proto::Transport::Unspecified) | Err(_) => Err(WireError::Bounds("transport")),
        }
    }
}

/// Refuses what no frame may have.
fn check_frame(bytes: &[u8]) -> Result<(), WireError> {
    if bytes.len() > GROUP_FRAME_LENGTH_MAX { Err(WireError::Bounds("frame")) } else { Ok(()) }
}

/// Refuses a frame that is large for what is in it.
fn check_content(bytes: &[u8], carries_group_entry: bool) -> Result<(), WireError> {
    if bytes.len() > FRAME_LENGTH_MAX && !carries_group_entry { Err(WireError::Bounds("frame")) } else { Ok(()) }
}

fn statement(bytes: Vec<u8>) -> Result<Vec<u8>, WireError> {
    if bytes.is_empty() || bytes.len() > STATEMENT_LENGTH_MAX { Err(WireError::Bounds("statement")) } else { Ok(bytes) }
}
