//! Tokens that pass to a device that is being linked. Its account has drawn the day's batch already, and what has a price may
//! be refused when it is not paid: without these the new device could send nothing until tomorrow. `spec/linking.md`.

use medipeps_core::limits::LINKING_TOKENS_MAX;
use medipeps_core::wire::client_records::{TokenBatchRecord, TokenPageRecord, WalletRecord};
use medipeps_core::wire::linking::LinkTokens;

use super::records::key;
use super::transaction::{Stop, Transaction};
use super::wallet;
use crate::limits::TOKEN_PAGE;

/// Takes half of the tokens that run out last, and not more than a grant has room for. `None` if there are none to spare.
pub(super) fn share(transaction: &mut Transaction<'_>, domain: &str) -> Result<Option<LinkTokens>, Stop> {
    let now = transaction.now.0;
    let Some(mut record) = transaction.load(&key::wallet(domain))? else { return Ok(None) };
    let newest =
        record.batches.iter_mut().filter(|batch| wallet::is_good(batch, now)).max_by_key(|batch| batch.expires);
    let Some(batch) = newest else { return Ok(None) };
    let (key_id, expires) = (batch.key_id, batch.expires);
    let count = (batch.tokens / 2).min(LINKING_TOKENS_MAX as u32);
    let mut tokens = Vec::new();
    for _ in 0..count {
        let page_key = key::token_page(&key_id, (batch.tokens - 1) / TOKEN_PAGE);
        let mut page = transaction.load(&page_key)?.unwrap_or_default();
        batch.tokens -= 1;
        tokens.extend(page.0.pop());
        match page.0.is_empty() {
            true => transaction.delete(&page_key),
            false => transaction.store(&page_key, &page),
        }
    }
    transaction.store(&key::wallet(domain), &record);
    Ok(if tokens.is_empty() { None } else { Some(LinkTokens { key_id, expires, tokens }) })
}

/// A new device begins its wallet with what it was given. The rest it draws itself, as everybody does.
pub(super) fn receive(transaction: &mut Transaction<'_>, domain: &str, shared: &LinkTokens) -> Result<(), Stop> {
    let tokens = u32::try_from(shared.tokens.len()).unwrap_or(0);
    if tokens == 0 || transaction.exists(&key::wallet(domain))? {
        return Ok(());
    }
    for (index, page) in (0..).zip(shared.tokens.chunks(TOKEN_PAGE as usize)) {
        transaction.store(&key::token_page(&shared.key_id, index), &TokenPageRecord(page.to_vec()));
    }
    let batch = TokenBatchRecord { key_id: shared.key_id, expires: shared.expires, tokens };
    transaction.store(&key::wallet(domain), &WalletRecord { batches: vec![batch], ..WalletRecord::default() });
    Ok(())
}
