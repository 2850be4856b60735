//! Pays for what is sent: the last thing that is done to a step's requests, and the first to their answers.
//!
//! Tokens are set aside for a request in the step that sends it, and stay so until its answer: a repeat, after whatever has
//! happened in between, shows the same ones, which the server takes for one payment.

use medipeps_core::attachment::Layout;
use medipeps_core::limits::BLOB_UNPRICED_LENGTH_MAX;
use medipeps_core::token::Prices;
use medipeps_core::wire::client_records::PaymentRecord;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Payment, Request, Token};

use super::account::OwnDevice;
use super::outcome::{Connection, Outgoing, Send};
use super::records::{Key, key};
use super::transaction::{Stop, Transaction, go_on};
use super::{Correlation, GroupBlobRequest, GroupCorrelation, Input, LinkRequest, group, wallet};

/// What became of the wish to pay.
enum Paid {
    /// With these, or with none where nothing is to be paid.
    With(Vec<Token>),
    /// There are no tokens, and the server takes nothing without.
    Missing,
}

/// Pays for the requests of a step. Those that cannot be paid do not leave; whoever wanted to send them hears what the server
/// would say.
pub(super) fn pay_all(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    // What comes of a refusal may be something to be sent in its turn, once.
    for _ in 0..2 {
        let mut unpaid = Vec::new();
        for mut outgoing in transaction.take_outgoing() {
            match pay(transaction, &mut outgoing) {
                Ok(true) | Err(Stop::Needs) => transaction.put_outgoing(outgoing),
                Ok(false) => unpaid.push(outgoing.reply_to),
                Err(error) => return Err(error),
            }
        }
        transaction.check_loaded()?;
        if unpaid.is_empty() {
            return Ok(());
        }
        for to in unpaid {
            let error = ErrorReply::new(ErrorCode::PriceNotPaid, "no tokens are left");
            go_on(super::reply(transaction, &to, &Err(error)))?;
        }
    }
    Ok(())
}

/// An answer has come: what was set aside for the request is spent, or not good, or kept for the repeat.
pub(super) fn settle(transaction: &mut Transaction<'_>, input: &Input) -> Result<(), Stop> {
    match input {
        Input::Reply { to, result } => {
            let Some(payment) = purpose(to) else { return Ok(()) };
            // A device that is being linked has no account, and nothing to pay with.
            if matches!(to, Correlation::Link(_)) && !transaction.exists(&key::account())? {
                return Ok(());
            }
            match result {
                Ok(_) => {
                    transaction.delete(&payment);
                    Ok(())
                }
                Err(error) => not_taken(transaction, &payment, error.known_code(), |transaction, own| {
                    domain_of(transaction, own, to)
                }),
            }
        }
        Input::UploadPostponed { blob_id, code, .. } => {
            let code = ErrorCode::ALL.iter().find(|known| known.name() == code).copied();
            not_taken(transaction, &key::payment(&upload(blob_id)), code, |_, own| {
                Ok(Some(own.address().domain().to_owned()))
            })
        }
        Input::UploadDone { blob_id, .. }
        | Input::UploadFailed { blob_id, .. }
        | Input::UploadChanged { blob_id, .. } => {
            transaction.delete(&key::payment(&upload(blob_id)));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Sets tokens aside for an upload, which the shell begins. Without any it is tried all the same.
pub(super) fn pay_upload(transaction: &mut Transaction<'_>, blob_id: &[u8; 32]) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let Some(record) = transaction.load(&key::upload(blob_id))? else { return Ok(()) };
    let Ok(layout) = Layout::new(record.length) else { return Ok(()) };
    let payment = key::payment(&upload(blob_id));
    set_aside(transaction, &payment, own.address().domain(), |prices| prices.blob(layout.sealed_length())).map(|_| ())
}

/// What the tokens of an upload are named by.
pub(crate) fn upload(blob_id: &[u8; 32]) -> Vec<u8> {
    [b"u", blob_id.as_slice()].concat()
}

/// A submission is over: what was set aside for it is not needed.
pub(super) fn forget_submission(transaction: &mut Transaction<'_>, submission_id: &[u8; 16]) {
    transaction.delete(&key::payment(&[b"s", submission_id.as_slice()].concat()));
}

/// False if the request must not leave.
fn pay(transaction: &mut Transaction<'_>, outgoing: &mut Outgoing) -> Result<bool, Stop> {
    let Some(payment) = purpose(&outgoing.reply_to) else { return Ok(true) };
    let domain = match &outgoing.connection {
        Connection::Anonymous(domain) | Connection::GroupLogs(domain) => domain.clone(),
        Connection::Linking if is_unpriced(&outgoing.send) => return Ok(true),
        Connection::OwnDevices | Connection::Linking => OwnDevice::load(transaction)?.address().domain().to_owned(),
        Connection::Proved | Connection::Registration | Connection::Redemption(_) => return Ok(true),
    };
    let Send::Request(request) = &mut outgoing.send else { return Ok(true) };
    let price: Box<dyn FnOnce(&Prices) -> u32> = match request {
        Request::Submit(_) => Box::new(|prices| prices.submit),
        Request::FetchPrekeys(_) | Request::FetchKeyPackages(_) => Box::new(|prices| prices.prekeys),
        Request::BeginBlob(begin) => {
            let length = begin.length;
            Box::new(move |prices| prices.blob(length))
        }
        Request::CreateGroupLog(_) => Box::new(|prices| prices.group_create),
        Request::AppendGroupEntry(append) => {
            let length = append.entry.len();
            Box::new(move |prices| prices.group_append(length))
        }
        _ => return Ok(true),
    };
    let tokens = match set_aside(transaction, &payment, &domain, price)? {
        Paid::With(tokens) if tokens.is_empty() => return Ok(true),
        Paid::With(tokens) => tokens,
        Paid::Missing => return Ok(false),
    };
    let payment = Payment::Tokens(tokens);
    match request {
        Request::Submit(submit) => submit.payment = payment,
        Request::FetchPrekeys(fetch) => fetch.payment = payment,
        Request::FetchKeyPackages(fetch) => fetch.payment = payment,
        Request::BeginBlob(begin) => begin.payment = payment,
        Request::CreateGroupLog(create) => create.payment = payment,
        Request::AppendGroupEntry(append) => append.payment = payment,
        _ => {}
    }
    Ok(true)
}

/// A blob as a device has it that is being linked, which has no account yet.
const fn is_unpriced(send: &Send) -> bool {
    matches!(send, Send::Request(Request::BeginBlob(begin)) if begin.length <= BLOB_UNPRICED_LENGTH_MAX)
}

fn set_aside(
    transaction: &mut Transaction<'_>,
    payment: &Key<PaymentRecord>,
    domain: &str,
    price: impl FnOnce(&Prices) -> u32,
) -> Result<Paid, Stop> {
    let Some(record) = transaction.load(&key::wallet(domain))? else { return Ok(Paid::With(Vec::new())) };
    let now = transaction.now.0;
    if let Some(kept) = transaction.load(payment)? {
        // A token of a key that is over would be refused.
        let known =
            record.keys.as_ref().is_none_or(|keys| kept.tokens.iter().all(|token| keys.takes(&token.key_id, now)));
        if kept.domain == domain && known {
            return Ok(Paid::With(kept.tokens));
        }
        transaction.delete(payment);
    }
    let Some(keys) = &record.keys else { return Ok(Paid::With(Vec::new())) };
    let (count, required) = (price(&keys.prices), keys.required);
    if count == 0 {
        return Ok(Paid::With(Vec::new()));
    }
    match wallet::take(transaction, domain, record, count)? {
        Some(tokens) => {
            let record = PaymentRecord { domain: domain.to_owned(), tokens };
            transaction.store(payment, &record);
            Ok(Paid::With(record.tokens))
        }
        None if required => {
            let own = OwnDevice::load(transaction)?;
            if domain != own.address().domain() {
                wallet::want(transaction, &own, domain)?;
            }
            Ok(Paid::Missing)
        }
        None => Ok(Paid::With(Vec::new())),
    }
}

/// If the server did not take the tokens, others are used the next time, and its keys and prices are asked for.
fn not_taken(
    transaction: &mut Transaction<'_>,
    payment: &Key<PaymentRecord>,
    code: Option<ErrorCode>,
    domain: impl FnOnce(&mut Transaction<'_>, &OwnDevice) -> Result<Option<String>, Stop>,
) -> Result<(), Stop> {
    use ErrorCode::{
        EntryIdReused, PriceNotPaid, StaleDevices, StaleGroupEpoch, SubmissionIdReused, TokenRefused, TokenSpent,
        UnknownIssuerKey,
    };
    match code {
        Some(PriceNotPaid | UnknownIssuerKey | TokenRefused | TokenSpent) => {}
        // What comes next has another id. A token that was seen is shown with nothing else: it would tie the two.
        Some(StaleDevices | SubmissionIdReused | StaleGroupEpoch | EntryIdReused) => {
            transaction.delete(payment);
            return Ok(());
        }
        _ => return Ok(()),
    }
    let own = OwnDevice::load_working(transaction)?;
    let Some(domain) = domain(transaction, &own)? else { return Ok(()) };
    if code == Some(UnknownIssuerKey)
        && let Some(refused) = transaction.load(payment)?
    {
        wallet::retire(transaction, &own, &domain, &refused.tokens)?;
    }
    transaction.delete(payment);
    wallet::want(transaction, &own, &domain)
}

/// What is paid for, so that the repeat and the answer are known by it; `None` for what costs nothing.
fn purpose(to: &Correlation) -> Option<Key<PaymentRecord>> {
    let name = match to {
        Correlation::Submit { submission_id, .. } => [b"s", submission_id.as_slice()].concat(),
        Correlation::FetchPrekeys(address) => [b"p", address.as_str().as_bytes()].concat(),
        Correlation::Group(GroupCorrelation::CreateLog(group)) => [b"c", group.as_slice()].concat(),
        Correlation::Group(GroupCorrelation::Append { entry_id, .. }) => [b"e", entry_id.as_slice()].concat(),
        Correlation::Group(GroupCorrelation::FetchKeyPackages { group, address, .. }) => {
            [b"k", group.as_slice(), address.as_str().as_bytes()].concat()
        }
        Correlation::Group(GroupCorrelation::Blob { group, step: GroupBlobRequest::Begin(epoch) }) => {
            [b"b", group.as_slice(), &epoch.to_be_bytes()].concat()
        }
        Correlation::Link(LinkRequest::Begin(blob_id)) => [b"l", blob_id.as_slice()].concat(),
        _ => return None,
    };
    Some(key::payment(&name))
}

/// Where it was sent.
fn domain_of(transaction: &mut Transaction<'_>, own: &OwnDevice, to: &Correlation) -> Result<Option<String>, Stop> {
    Ok(match to {
        Correlation::Submit { recipient, .. } => Some(recipient.domain().to_owned()),
        Correlation::FetchPrekeys(address) | Correlation::Group(GroupCorrelation::FetchKeyPackages { address, .. }) => {
            Some(address.domain().to_owned())
        }
        Correlation::Group(GroupCorrelation::CreateLog(group) | GroupCorrelation::Append { group, .. }) => {
            group::domain_of(transaction, group)?
        }
        Correlation::Group(GroupCorrelation::Blob { .. }) | Correlation::Link(_) => {
            Some(own.address().domain().to_owned())
        }
        _ => None,
    })
}
