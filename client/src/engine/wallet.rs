//! With what this device pays at the servers that it writes to: Privacy Pass tokens, one wallet for each domain.
//! `spec/client-engine.md`, section "The wallet"; `spec/tokens.md`.
//!
//! At the own server a day's batch is drawn at a time that has nothing to do with what is sent. At another one a voucher of
//! the own server pays for a batch, over a connection that is used for nothing else.

use std::collections::BTreeSet;

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::limits::TOKENS_PER_BATCH_MAX;
use medipeps_core::token::{IssuerKeys, TokenBatch, Voucher};
use medipeps_core::wire::WireError;
use medipeps_core::wire::client_records::{TokenBatchRecord, TokenDraw, TokenPageRecord, WalletRecord};
use medipeps_core::wire::token::{SignedIssuerKeys, SignedVoucher};
use medipeps_core::wire::transport::{DrawVoucher, ErrorCode, ErrorReply, Request, Response, Token, TokenResponse};
use rand_core::Rng;

use super::account::OwnDevice;
use super::outcome::{Connection, Event, error_code_name};
use super::records::{class, key};
use super::transaction::{Stop, Transaction, go_on};
use super::{Correlation, group, outbox, unconfirmed};
use crate::limits::{
    ISSUER_KEYS_ASK_MS, ISSUER_KEYS_FRESH_MS, TOKEN_DRAW_LATE_MS, TOKEN_MARGIN_MS, TOKEN_PAGE, TOKENS_LOW_PART,
    VOUCHER_PAUSE_MS, WALLET_BATCH_MAX,
};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Times that both connections may see different issuer keys, one after the other, before that is more than a key that was
/// just rolled.
const MISMATCHES_MAX: u32 = 3;
/// The code of that.
const KEYS_DIFFER: &str = "issuer_keys_differ";
/// The code of an answer that another key than the published one has made.
const PROOF_REFUSED: &str = "token_proof_refused";

/// What was asked of a server for a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletStep {
    /// Issuer keys and prices, over the anonymous connection.
    Keys,
    /// The same, over the connection that a batch is drawn on.
    KeysForDraw,
    /// A batch at the own server.
    Draw,
    /// A voucher of the own server.
    Voucher,
    /// A batch for a voucher.
    Redeem,
}

/// What happened to a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalletEvent {
    /// Tokens have come.
    Drawn {
        /// For which domain.
        domain: String,
        /// How many.
        tokens: usize,
    },
    /// The server shows other issuer keys to the one connection than to the other, or has answered with another key: it could
    /// know this device again by its tokens. None are drawn.
    IssuerCheats {
        /// Which.
        domain: String,
    },
}

/// How a wallet is, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletSummary {
    /// The domain.
    pub domain: String,
    /// Tokens that are left.
    pub tokens: u32,
    /// The server refuses what is not paid.
    pub required: bool,
    /// When more are drawn, in milliseconds since 1970; 0: at the next occasion.
    pub next_draw: u64,
    /// Code of what stands in the way.
    pub problem: Option<String>,
}

impl WalletSummary {
    /// Out of a wallet.
    #[must_use]
    pub fn of(domain: String, record: &WalletRecord, now: u64) -> Self {
        Self {
            domain,
            tokens: tokens_left(record, now),
            required: record.keys.as_ref().is_some_and(|keys| keys.required),
            next_draw: record.next_draw,
            problem: record.problem.clone(),
        }
    }
}

/// The device has proved itself: the time to draw, if one has come.
pub(super) fn authenticated(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<(), Stop> {
    let domain = own.address().domain();
    if !transaction.exists(&key::wallet(domain))? {
        transaction.store(&key::wallet(domain), &WalletRecord::default());
    }
    tend_all(transaction, own, true, &BTreeSet::new())
}

/// Looks after the wallets, from time to time.
pub(super) fn tend_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    tend_all(transaction, &own, false, unreachable)
}

/// A server wants to be paid, or does not take the tokens that were shown: its keys and prices are asked for, and elsewhere
/// than at home tokens are drawn. At home they are drawn only when it is time.
pub(super) fn want(transaction: &mut Transaction<'_>, own: &OwnDevice, domain: &str) -> Result<(), Stop> {
    let mut record = transaction.load(&key::wallet(domain))?.unwrap_or_default();
    record.keys_seen = 0;
    if domain != own.address().domain() {
        record.wanted = true;
    }
    transaction.store(&key::wallet(domain), &record);
    tend(transaction, own, domain, record, false)
}

/// A server has no key any more by which these tokens were issued, as after a restore: they are gone, and its keys are asked for
/// at once. At home a batch is drawn then, whatever the hour: everybody's is gone.
pub(super) fn retire(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    domain: &str,
    tokens: &[Token],
) -> Result<(), Stop> {
    let Some(mut record) = transaction.load(&key::wallet(domain))? else { return Ok(()) };
    for batch in record.batches.extract_if(.., |batch| tokens.iter().any(|token| token.key_id == batch.key_id)) {
        for page in 0..batch.tokens.div_ceil(TOKEN_PAGE) {
            transaction.delete(&key::token_page(&batch.key_id, page));
        }
    }
    record.keys_asked = 0;
    if own.address().domain() == domain {
        record.next_draw = 1;
    }
    transaction.store(&key::wallet(domain), &record);
    Ok(())
}

/// Begins a wallet for a domain that will be written to.
pub(super) fn begin(transaction: &mut Transaction<'_>, own: &OwnDevice, domain: &str) -> Result<(), Stop> {
    if domain == own.address().domain() || transaction.exists(&key::wallet(domain))? {
        return Ok(());
    }
    tend(transaction, own, domain, WalletRecord::default(), false)
}

/// Takes so many tokens out of a wallet, those that run out first. `None` if there are not as many.
pub(super) fn take(
    transaction: &mut Transaction<'_>,
    domain: &str,
    mut record: WalletRecord,
    count: u32,
) -> Result<Option<Vec<Token>>, Stop> {
    let now = transaction.now.0;
    if tokens_left(&record, now) < count {
        return Ok(None);
    }
    let mut taken = Vec::new();
    for batch in &mut record.batches {
        if !is_good(batch, now) {
            continue;
        }
        while batch.tokens > 0 && taken.len() < count as usize {
            let page_key = key::token_page(&batch.key_id, (batch.tokens - 1) / TOKEN_PAGE);
            let mut page = transaction.load(&page_key)?.unwrap_or_default();
            batch.tokens -= 1;
            // A page that has fewer than was counted is no reason to stop: its tokens are gone.
            if let Some((nonce, authenticator)) = page.0.pop() {
                taken.push(Token { key_id: batch.key_id, nonce, authenticator });
            }
            match page.0.is_empty() {
                true => transaction.delete(&page_key),
                false => transaction.store(&page_key, &page),
            }
        }
    }
    record.batches.retain(|batch| batch.tokens > 0);
    transaction.store(&key::wallet(domain), &record);
    if taken.len() < count as usize { Ok(None) } else { Ok(Some(taken)) }
}

/// The answer to what was asked for a wallet.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    (domain, step): (&str, WalletStep),
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let Some(record) = transaction.load(&key::wallet(domain))? else { return Ok(()) };
    match (step, result) {
        (WalletStep::Keys, Ok(Response::FetchIssuerKeys(encoded))) => {
            keys_seen(transaction, &own, domain, record, encoded)
        }
        (WalletStep::KeysForDraw, Ok(Response::FetchIssuerKeys(encoded))) => {
            compared(transaction, &own, domain, record, encoded)
        }
        (WalletStep::Voucher, Ok(Response::DrawVoucher(voucher))) => {
            voucher_drawn(transaction, domain, record, voucher)
        }
        (WalletStep::Draw | WalletStep::Redeem, Ok(Response::DrawTokens(response))) => {
            drawn(transaction, &own, domain, record, response)
        }
        (_, Err(error)) => refused(transaction, domain, record, error),
        (_, Ok(_)) => {
            let error = ErrorReply::new(ErrorCode::Internal, "the answer does not fit the request");
            refused(transaction, domain, record, &error)
        }
    }
}

fn tend_all(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    proved: bool,
    unreachable: &BTreeSet<String>,
) -> Result<(), Stop> {
    for (key, record) in transaction.scan::<WalletRecord>(class::WALLET)? {
        let Ok(domain) = String::from_utf8(key.name().to_vec()) else { continue };
        if !unreachable.contains(&domain) {
            go_on(tend(transaction, own, &domain, record, proved))?;
        }
    }
    Ok(())
}

/// Drops what has run out, and begins to draw if it is time.
fn tend(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    domain: &str,
    mut record: WalletRecord,
    proved: bool,
) -> Result<(), Stop> {
    let (now, before) = (transaction.now.0, record.clone());
    for batch in record.batches.extract_if(.., |batch| !is_good(batch, now)) {
        for page in 0..batch.tokens.div_ceil(TOKEN_PAGE) {
            transaction.delete(&key::token_page(&batch.key_id, page));
        }
    }
    if own.address().domain() == domain {
        let is_time = record.next_draw <= now || record.next_draw - now > 3 * DAY_MS;
        // Whoever stays connected for days does not prove itself anew; what is sent meanwhile is long past.
        let is_late = record.next_draw != 0 && record.next_draw.saturating_add(TOKEN_DRAW_LATE_MS) <= now;
        record.wanted = is_time && (proved || is_late);
    } else if proved {
        record.wanted |= is_low(&record, now);
    }
    let is_stale = now.checked_sub(record.keys_seen).is_none_or(|age| age >= ISSUER_KEYS_FRESH_MS);
    let asks = now.checked_sub(record.keys_asked).is_none_or(|age| age >= ISSUER_KEYS_ASK_MS);
    let may_draw = record.wanted && may_draw(&record, now);
    if asks && (is_stale || may_draw) {
        record.keys_asked = now;
        ask_keys(transaction, domain);
    } else if may_draw && !is_stale {
        // They have been seen a moment ago.
        begin_draw(transaction, own, domain, &mut record);
    }
    if record != before || !transaction.exists(&key::wallet(domain))? {
        transaction.store(&key::wallet(domain), &record);
    }
    Ok(())
}

fn ask_keys(transaction: &mut Transaction<'_>, domain: &str) {
    let to = correlation(domain, WalletStep::Keys);
    if !transaction.is_sending(&to) {
        transaction.send(Connection::Anonymous(domain.to_owned()), Request::FetchIssuerKeys, to);
    }
}

/// The anonymous connection has seen these. If tokens are wanted they are compared with what the other connection sees.
fn keys_seen(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    domain: &str,
    mut record: WalletRecord,
    encoded: &[u8],
) -> Result<(), Stop> {
    let now = transaction.now.0;
    let Ok(keys) = read_keys(domain, encoded) else {
        let error = ErrorReply::new(ErrorCode::Internal, "the issuer keys cannot be read");
        return refused(transaction, domain, record, &error);
    };
    let at_home = own.address().domain() == domain;
    // Who has never drawn at a server that wants to be paid can send nothing there.
    if !at_home && keys.required && tokens_left(&record, now) == 0 {
        record.wanted = true;
    }
    // They were asked for because something was not taken, which now pays by them.
    let waits = record.keys_seen == 0;
    // The own server says so itself when the queue is opened.
    let restored = !at_home && record.keys.as_ref().is_some_and(|known| known.incarnation != keys.incarnation);
    record.keys = Some(keys);
    record.keys_seen = now;
    if record.wanted && may_draw(&record, now) {
        begin_draw(transaction, own, domain, &mut record);
    }
    transaction.store(&key::wallet(domain), &record);
    if restored {
        go_on(unconfirmed::server_restored(transaction, domain))?;
    }
    if waits {
        go_on(outbox::due_again(transaction, domain))?;
        go_on(group::due_again(transaction, domain))?;
    }
    Ok(())
}

/// The first step of a draw, if the server issues tokens at all.
fn begin_draw(transaction: &mut Transaction<'_>, own: &OwnDevice, domain: &str, record: &mut WalletRecord) {
    let (now, at_home) = (transaction.now.0, own.address().domain() == domain);
    let Some(keys) = &record.keys else { return };
    if keys.issuing().is_none_or(|key| key.expires <= now) || (at_home && keys.batch == 0) {
        return;
    }
    match at_home {
        true => {
            let to = correlation(domain, WalletStep::KeysForDraw);
            transaction.send(Connection::Proved, Request::FetchIssuerKeys, to);
        }
        false => draw_voucher(transaction, domain, record),
    }
}

/// A voucher names the other domain to the own server; drawn is it for that alone, under a key that is used once.
fn draw_voucher(transaction: &mut Transaction<'_>, domain: &str, record: &mut WalletRecord) {
    let Some(keys) = &record.keys else { return };
    let (Some(issuing), incarnation) = (keys.issuing().copied(), keys.incarnation) else { return };
    let draw = match record.draw.take() {
        // One of before a restore of that server is worth nothing.
        Some(draw) if draw.voucher_key.is_some() && is_for(&draw, &incarnation) => draw,
        _ => TokenDraw {
            key: issuing,
            count: 0,
            seed: Secret::random(&mut transaction.rng),
            voucher_key: Some(Secret::random(&mut transaction.rng)),
            voucher: None,
        },
    };
    let Some(voucher_key) = draw.voucher_key.as_ref().map(SigningKey::from_secret) else { return };
    if draw.voucher.is_some() {
        ask_redemption_keys(transaction, domain);
    } else {
        let request = DrawVoucher { domain: domain.to_owned(), key: voucher_key.verifying_key(), incarnation };
        let to = correlation(domain, WalletStep::Voucher);
        transaction.send(Connection::Proved, Request::DrawVoucher(request), to);
    }
    record.draw = Some(draw);
}

/// Whether the voucher of a draw, if it has come, is for this life of the other server's store.
fn is_for(draw: &TokenDraw, incarnation: &[u8; 16]) -> bool {
    let Some(encoded) = &draw.voucher else { return true };
    let voucher = SignedVoucher::decode(encoded).and_then(|signed| Voucher::decode(&signed.voucher));
    voucher.is_ok_and(|voucher| voucher.incarnation == *incarnation)
}

fn ask_redemption_keys(transaction: &mut Transaction<'_>, domain: &str) {
    let connection = Connection::Redemption(domain.to_owned());
    transaction.send(connection, Request::FetchIssuerKeys, correlation(domain, WalletStep::KeysForDraw));
}

fn voucher_drawn(
    transaction: &mut Transaction<'_>,
    domain: &str,
    mut record: WalletRecord,
    encoded: &[u8],
) -> Result<(), Stop> {
    let voucher = SignedVoucher::decode(encoded).and_then(|signed| Voucher::decode(&signed.voucher));
    let Some(draw) = record.draw.as_mut().filter(|draw| draw.voucher_key.is_some()) else { return Ok(()) };
    let Some(voucher) = voucher.ok().filter(|voucher| voucher.domain == domain) else {
        let error = ErrorReply::new(ErrorCode::Internal, "the voucher cannot be read");
        return refused(transaction, domain, record, &error);
    };
    (draw.voucher, draw.count) = (Some(encoded.to_vec()), voucher.tokens.min(TOKENS_PER_BATCH_MAX as u32));
    transaction.store(&key::wallet(domain), &record);
    ask_redemption_keys(transaction, domain);
    Ok(())
}

/// Both connections must have seen the same keys: otherwise the server could know this device's tokens again.
fn compared(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    domain: &str,
    mut record: WalletRecord,
    encoded: &[u8],
) -> Result<(), Stop> {
    let now = transaction.now.0;
    let keys = read_keys(domain, encoded).ok();
    if keys.is_none() || keys != record.keys {
        record.mismatches = record.mismatches.saturating_add(1);
        if record.mismatches < MISMATCHES_MAX {
            // A key may have been rolled between the two.
            (record.keys_seen, record.keys_asked) = (0, now);
            transaction.store(&key::wallet(domain), &record);
            ask_keys(transaction, domain);
            return Ok(());
        }
        return cheats(transaction, domain, record, KEYS_DIFFER);
    }
    record.mismatches = 0;
    let Some(issuing) = record.keys.as_ref().and_then(IssuerKeys::issuing).copied() else { return Ok(()) };
    let at_home = own.address().domain() == domain;
    let mut draw = match record.draw.take() {
        Some(draw) if draw.voucher_key.is_some() != at_home => draw,
        _ if !at_home => return Ok(()),
        _ => {
            let devices = u32::try_from(own.statement.devices().len()).unwrap_or(1).max(1);
            let batch = record.keys.as_ref().map_or(0, |keys| keys.batch);
            let count = (batch / devices).clamp(1, WALLET_BATCH_MAX);
            TokenDraw {
                key: issuing,
                count,
                seed: Secret::random(&mut transaction.rng),
                voucher_key: None,
                voucher: None,
            }
        }
    };
    if draw.key.id() != issuing.id() {
        // What was blinded for another key is blinded anew, with other blinds.
        (draw.key, draw.seed) = (issuing, Secret::random(&mut transaction.rng));
    }
    if !at_home {
        // The other server gives no more than for one of its own vouchers.
        let most = record.keys.as_ref().map_or(1, |keys| keys.voucher_tokens);
        draw.count = draw.count.min(most);
    }
    let Ok(batch) = TokenBatch::blind(&draw.key, draw.count as usize, draw.seed.clone()) else {
        return cheats(transaction, domain, record, PROOF_REFUSED);
    };
    let request = batch.request().clone();
    match (&draw.voucher_key, &draw.voucher) {
        (None, _) => {
            let to = correlation(domain, WalletStep::Draw);
            transaction.send(Connection::Proved, Request::DrawTokens(request), to);
        }
        (Some(voucher_key), Some(voucher)) => {
            let to = correlation(domain, WalletStep::Redeem);
            transaction.redeem_voucher(domain, (voucher_key.clone(), voucher.clone(), request), to);
        }
        (Some(_), None) => {}
    }
    record.draw = Some(draw);
    transaction.store(&key::wallet(domain), &record);
    Ok(())
}

fn drawn(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    domain: &str,
    mut record: WalletRecord,
    response: &TokenResponse,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    let Some(draw) = record.draw.take() else { return Ok(()) };
    let finalized =
        TokenBatch::blind(&draw.key, draw.count as usize, draw.seed.clone()).and_then(|batch| batch.finalize(response));
    let Ok(tokens) = finalized else { return cheats(transaction, domain, record, PROOF_REFUSED) };
    let (key_id, count) = (draw.key.id(), tokens.len());
    // Two batches of one key, of two vouchers for instance, are one.
    let mut pages: Vec<([u8; 32], [u8; 64])> = Vec::new();
    let held = record.batches.iter().find(|batch| batch.key_id == key_id).map_or(0, |batch| batch.tokens);
    let first = held / TOKEN_PAGE;
    if held % TOKEN_PAGE != 0 {
        pages = transaction.load(&key::token_page(&key_id, first))?.unwrap_or_default().0;
    }
    let all = first * TOKEN_PAGE + pages.len() as u32 + count as u32;
    pages.extend(tokens.into_iter().map(|token| (token.nonce, token.authenticator)));
    for (index, page) in (first..).zip(pages.chunks(TOKEN_PAGE as usize)) {
        transaction.store(&key::token_page(&key_id, index), &TokenPageRecord(page.to_vec()));
    }
    record.batches.retain(|batch| batch.key_id != key_id);
    record.batches.push(TokenBatchRecord { key_id, expires: draw.key.expires, tokens: all });
    record.batches.sort_by_key(|batch| batch.expires);
    (record.wanted, record.mismatches, record.problem) = (false, 0, None);
    record.next_draw = match own.address().domain() == domain {
        true => next_day(transaction, now),
        false => now.saturating_add(VOUCHER_PAUSE_MS),
    };
    transaction.store(&key::wallet(domain), &record);
    transaction.event(Event::Wallet(WalletEvent::Drawn { domain: domain.to_owned(), tokens: count }));
    // What waited for tokens waits no more.
    go_on(outbox::due_again(transaction, domain))?;
    group::due_again(transaction, domain)
}

fn refused(
    transaction: &mut Transaction<'_>,
    domain: &str,
    mut record: WalletRecord,
    error: &ErrorReply,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    let tomorrow = next_day(transaction, now);
    record.problem = Some(error_code_name(error));
    record.next_draw = match error.known_code() {
        Some(ErrorCode::TokensDrawn | ErrorCode::VouchersDrawn | ErrorCode::VoucherRefused) => {
            (record.draw, record.wanted) = (None, false);
            tomorrow
        }
        Some(ErrorCode::WrongIncarnation) => {
            // That server was restored: its keys say how it is named now, and another voucher is drawn for that.
            (record.draw, record.keys_seen, record.keys_asked) = (None, 0, now);
            ask_keys(transaction, domain);
            now
        }
        Some(ErrorCode::UnknownIssuerKey) => {
            record.keys_seen = 0;
            now.saturating_add(ISSUER_KEYS_ASK_MS)
        }
        Some(ErrorCode::VoucherExpired | ErrorCode::VoucherSpent | ErrorCode::Malformed) => {
            record.draw = None;
            now.saturating_add(VOUCHER_PAUSE_MS)
        }
        // The batch on its way is asked for again as it is.
        _ => now.saturating_add(VOUCHER_PAUSE_MS.max(error.retry_after.min(DAY_MS))),
    };
    transaction.store(&key::wallet(domain), &record);
    Ok(())
}

fn cheats(
    transaction: &mut Transaction<'_>,
    domain: &str,
    mut record: WalletRecord,
    problem: &str,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    record.problem = Some(problem.to_owned());
    (record.draw, record.wanted, record.mismatches) = (None, false, 0);
    record.next_draw = next_day(transaction, now);
    transaction.store(&key::wallet(domain), &record);
    transaction.event(Event::Wallet(WalletEvent::IssuerCheats { domain: domain.to_owned() }));
    Ok(())
}

/// The shell has verified that the domain's server signed them.
fn read_keys(domain: &str, encoded: &[u8]) -> Result<IssuerKeys, WireError> {
    let keys = IssuerKeys::decode(&SignedIssuerKeys::decode(encoded)?.keys)?;
    if keys.domain == domain { Ok(keys) } else { Err(WireError::Bounds("domain")) }
}

/// A random time of the day after this one: what is drawn must not tell when something is sent.
fn next_day(transaction: &mut Transaction<'_>, now: u64) -> u64 {
    let midnight = (now / DAY_MS).saturating_add(1).saturating_mul(DAY_MS);
    midnight.saturating_add(transaction.rng.next_u64() % DAY_MS)
}

/// A time that is further away than any is set comes from a clock that was wrong.
const fn may_draw(record: &WalletRecord, now: u64) -> bool {
    record.next_draw <= now || record.next_draw - now > 3 * DAY_MS
}

pub(super) const fn is_good(batch: &TokenBatchRecord, now: u64) -> bool {
    batch.tokens > 0 && batch.expires > now.saturating_add(TOKEN_MARGIN_MS)
}

fn tokens_left(record: &WalletRecord, now: u64) -> u32 {
    record.batches.iter().filter(|batch| is_good(batch, now)).map(|batch| batch.tokens).sum()
}

/// Whether a wallet at another server has been used so much that it is to be filled before it is empty.
fn is_low(record: &WalletRecord, now: u64) -> bool {
    let left = tokens_left(record, now);
    let whole = record.keys.as_ref().map_or(0, |keys| keys.voucher_tokens);
    left > 0 && left < whole / TOKENS_LOW_PART
}

fn correlation(domain: &str, step: WalletStep) -> Correlation {
    Correlation::Wallet { domain: domain.to_owned(), step }
}
