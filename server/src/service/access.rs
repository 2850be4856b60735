//! Which request may come over which connection: one rule each. A request without a rule does not compile.

use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::transport::{
    Acknowledge, AppendGroupEntry, Authenticate, BeginBlob, CreateGroupLog, DeleteAccount, DeleteBlob, DrawVoucher,
    FetchBlob, FetchGroupEntries, FetchKeyPackages, FetchOwnData, FetchPrekeys, PutBlobPiece, RedeemVoucher, Register,
    Request, SetGroupWake, SignalGroup, Submit, TokenRequest, WatchGroupLogs,
};
use std::sync::Arc;

use super::connection::ProvedDevice;

/// What a connection must have shown before a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: it is the first request of every connection, and comes once.
    First,
    /// Hello, and nothing but Hello: the proof itself, tried once.
    Proof,
    /// Hello, and neither a proof of device nor an attempt at one.
    Anonymous,
    /// A proof of device.
    Proved,
    /// Hello, and whatever else: it changes nothing, its answer is the same for everybody, and it settles nothing about the
    /// connection.
    Any,
}

macro_rules! rules {
    ($($request:ident => $access:ident,)*) => {
        /// The rule of a request.
        #[must_use]
        pub const fn rule(request: &Request) -> Access {
            match request { $(Request::$request { .. } => Access::$access,)* }
        }

        /// All requests with their rules, by name.
        pub const RULES: &[(&str, Access)] = &[$((stringify!($request), Access::$access)),*];

        /// Every request, without what it carries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RequestName {
            $(#[doc = concat!("`", stringify!($request), "`")] $request,)*
        }

        /// All requests. A test of each matches on these, so that a request without one does not compile.
        pub const REQUESTS: &[RequestName] = &[$(RequestName::$request),*];

        /// Which request it is.
        #[must_use]
        pub const fn request_name(request: &Request) -> RequestName {
            match request { $(Request::$request { .. } => RequestName::$request,)* }
        }

        /// The name of a request, for logs.
        #[must_use]
        pub const fn name(request: &Request) -> &'static str {
            match request { $(Request::$request { .. } => stringify!($request),)* }
        }
    };
}

rules! {
    Hello => First,
    Authenticate => Proof,
    Register => Anonymous,
    FetchStatement => Anonymous,
    PublishStatement => Anonymous,
    FetchPrekeys => Anonymous,
    Submit => Anonymous,
    BeginBlob => Anonymous,
    PutBlobPiece => Anonymous,
    FetchBlob => Anonymous,
    DeleteBlob => Anonymous,
    FetchKeyPackages => Anonymous,
    CreateGroupLog => Anonymous,
    AppendGroupEntry => Anonymous,
    FetchGroupEntries => Anonymous,
    WatchGroupLogs => Anonymous,
    SignalGroup => Anonymous,
    SetGroupWake => Anonymous,
    RedeemVoucher => Anonymous,
    PublishPrekeys => Proved,
    PrekeyStatus => Proved,
    PublishKeyPackages => Proved,
    KeyPackageStatus => Proved,
    DeleteAccount => Proved,
    Subscribe => Proved,
    Acknowledge => Proved,
    DrawTokens => Proved,
    DrawVoucher => Proved,
    SetDeliveryKeys => Proved,
    FetchIssuerKeys => Any,
    FetchTenant => Proved,
    FetchOwnData => Proved,
    FetchTrustList => Anonymous,
    SetDeviceWake => Proved,
    FetchPushServices => Any,
}

/// A request that the rules let through, with what they have established.
pub(super) enum Admission {
    Hello,
    Authenticate { nonce: [u8; 32], proof: Authenticate },
    Register(Register),
    FetchStatement(Address),
    PublishStatement(Vec<u8>),
    FetchPrekeys(FetchPrekeys),
    Submit(Submit),
    BeginBlob(BeginBlob),
    PutBlobPiece(PutBlobPiece),
    FetchBlob(FetchBlob),
    DeleteBlob(DeleteBlob),
    FetchKeyPackages(FetchKeyPackages),
    CreateGroupLog(CreateGroupLog),
    AppendGroupEntry(AppendGroupEntry),
    FetchGroupEntries { nonce: [u8; 32], request: FetchGroupEntries },
    WatchGroupLogs { nonce: [u8; 32], request: WatchGroupLogs },
    SignalGroup { nonce: [u8; 32], request: SignalGroup },
    SetGroupWake { nonce: [u8; 32], request: SetGroupWake },
    PublishKeyPackages(Arc<ProvedDevice>, Vec<u8>),
    KeyPackageStatus(Arc<ProvedDevice>),
    PublishPrekeys(Arc<ProvedDevice>, Vec<u8>),
    PrekeyStatus(Arc<ProvedDevice>),
    DeleteAccount(Arc<ProvedDevice>, DeleteAccount),
    Subscribe(Arc<ProvedDevice>),
    Acknowledge(Arc<ProvedDevice>, Acknowledge),
    FetchIssuerKeys,
    DrawTokens(Arc<ProvedDevice>, TokenRequest),
    DrawVoucher(Arc<ProvedDevice>, DrawVoucher),
    RedeemVoucher { nonce: [u8; 32], request: RedeemVoucher },
    SetDeliveryKeys(Arc<ProvedDevice>, Vec<[u8; 32]>),
    FetchTenant(Arc<ProvedDevice>),
    FetchOwnData(Arc<ProvedDevice>, FetchOwnData),
    FetchTrustList { known: u64 },
    SetDeviceWake(Arc<ProvedDevice>, Option<PushEndpoint>),
    FetchPushServices,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_has_the_same_rules() {
        let specification = include_str!("../../../spec/transport.md");
        let (_, section) = specification.split_once("## Which request on which connection").unwrap();
        let listed: Vec<(String, String)> = section
            .lines()
            .take_while(|line| !line.starts_with("## "))
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .map(|(name, rest)| (name.to_owned(), rest.split(" | ").next().unwrap().to_owned()))
            .collect();
        let rules: Vec<_> = RULES.iter().map(|(name, access)| ((*name).to_owned(), format!("{access:?}"))).collect();
        assert_eq!(listed, rules);
    }
}
