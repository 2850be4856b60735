//! `DrawTokens`, `DrawVoucher` and `RedeemVoucher`: how somebody comes by tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::token::{IssuerSecretKey, TokenError, UnverifiedVoucher, Voucher, day_of};
use medipeps_core::wire::transport::{
    DrawVoucher, ErrorCode, ErrorReply, RedeemVoucher, Response, TokenRequest, TokenResponse,
};
use sha2::{Digest, Sha256};

use super::connection::ProvedDevice;
use super::issuer::random;
use super::{Connection, Moment, Service, internal, rate_limited, refuse, storage_failed};
use crate::limits::TOKENS_EVALUATED_INLINE;
use crate::storage::{DrawError, RedeemError, Redemption, TokenDraw, VoucherDraw};

/// Whose vouchers a server takes.
pub trait VoucherKeys: Send + Sync + 'static {
    /// The key with which the server of a domain signs its vouchers, if it is trusted at this time, in milliseconds since 1970.
    fn voucher_key(&self, domain: &str, now_ms: u64) -> Option<VerifyingKey>;
}

impl VoucherKeys for BTreeMap<String, VerifyingKey> {
    fn voucher_key(&self, domain: &str, _now_ms: u64) -> Option<VerifyingKey> {
        self.get(domain).copied()
    }
}

impl Service {
    /// From now on these vouchers are taken.
    pub fn trust(&self, keys: Arc<dyn VoucherKeys>) {
        *self.voucher_keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) async fn fetch_issuer_keys(&self, moment: Moment) -> Result<Response, ErrorReply> {
        self.limiters.issuer_keys_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        Ok(Response::FetchIssuerKeys(self.issuer_keys(moment.now_ms).await?.list.clone()))
    }

    pub(super) async fn draw_tokens(
        &self,
        moment: Moment,
        device: &ProvedDevice,
        request: TokenRequest,
    ) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        self.check_licence(&account, moment).await?;
        let set = self.issuer_keys(moment.now_ms).await?;
        let issuing = set.issuing()?.clone();
        if issuing.id() != request.key_id {
            return Err(refuse(ErrorCode::UnknownIssuerKey));
        }
        let draw = TokenDraw {
            device: device.device_id,
            day: issuing.public().day,
            digest: request.digest(),
            count: u32::try_from(request.blinded.len()).unwrap_or(u32::MAX),
            most: self.issuer.config().batch,
        };
        // Evaluated first: a batch that cannot be uses up no day. Whoever has drawn already gets nothing of it.
        let response = self.evaluate(issuing, request).await?;
        self.storage.draw_tokens(&device.address, draw).await.map_err(|e| drawn(e, ErrorCode::TokensDrawn))?;
        Ok(Response::DrawTokens(response))
    }

    pub(super) async fn draw_voucher(
        &self,
        moment: Moment,
        device: &ProvedDevice,
        request: DrawVoucher,
    ) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        self.check_licence(&account, moment).await?;
        if request.domain == self.domain {
            return Err(ErrorReply::new(ErrorCode::VoucherRefused, "a voucher is for another server"));
        }
        let day = day_of(moment.now_ms);
        let digest = Sha256::new()
            .chain_update(request.key.as_bytes())
            .chain_update(request.incarnation)
            .chain_update(&request.domain)
            .finalize()
            .into();
        let draw = VoucherDraw { day, digest, most: self.issuer.config().vouchers };
        self.storage.draw_voucher(&device.address, draw).await.map_err(|e| drawn(e, ErrorCode::VouchersDrawn))?;
        let voucher = Voucher {
            home: self.domain.clone(),
            domain: request.domain,
            day,
            key: request.key,
            tokens: self.issuer.config().voucher_tokens,
            incarnation: request.incarnation,
        };
        Ok(Response::DrawVoucher(voucher.sign(self.server_key.signing_key())))
    }

    pub(super) async fn redeem_voucher(
        &self,
        connection: &Connection,
        moment: Moment,
        nonce: &[u8; 32],
        request: RedeemVoucher,
    ) -> Result<Response, ErrorReply> {
        let refused = || refuse(ErrorCode::VoucherRefused);
        // One can be shown again and again, good or not, and each time signatures are verified, or a batch is evaluated.
        self.limiters.redemptions_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        let unverified = UnverifiedVoucher::decode(&request.voucher).map_err(|_| refused())?;
        let keys = self.voucher_keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let home_key = keys.voucher_key(unverified.home(), moment.now_ms).ok_or_else(refused)?;
        let voucher = unverified.verify(&home_key).map_err(|_| refused())?;
        if voucher.domain != self.domain {
            return Err(refused());
        }
        request.verify(&voucher, &connection.channel(nonce, &self.domain)).map_err(|_| refused())?;
        if voucher.incarnation != self.storage.incarnation() {
            // What was redeemed before a restore is forgotten, and so is what it was redeemed for.
            let message = "the voucher was drawn before the store was restored";
            return Err(ErrorReply::new(ErrorCode::WrongIncarnation, message));
        }
        if !voucher.is_good_at(moment.now_ms) {
            return Err(refuse(ErrorCode::VoucherExpired));
        }
        let most = voucher.tokens.min(self.issuer.config().voucher_tokens);
        if request.request.blinded.len() > most as usize {
            return Err(ErrorReply::new(ErrorCode::VoucherRefused, format!("the voucher is for {most} tokens")));
        }
        let set = self.issuer_keys(moment.now_ms).await?;
        // Also of an earlier day, so that an answer that was lost around midnight can be had once more.
        let key = set.find(&request.request.key_id)?.clone();
        let redemption =
            Redemption { voucher: voucher.id(), digest: request.request.digest(), expires_ms: voucher.expires() };
        let response = self.evaluate(key, request.request).await?;
        self.storage.redeem_voucher(redemption).await.map_err(|error| match error {
            RedeemError::Spent => refuse(ErrorCode::VoucherSpent),
            RedeemError::Storage(error) => storage_failed(error),
        })?;
        Ok(Response::DrawTokens(response))
    }

    /// Evaluates a batch; a large one on a thread that may take its time.
    async fn evaluate(&self, key: Arc<IssuerSecretKey>, request: TokenRequest) -> Result<TokenResponse, ErrorReply> {
        let mut rng = random(&*self.environment)?;
        let evaluated = if request.blinded.len() <= TOKENS_EVALUATED_INLINE {
            key.evaluate(&request, &mut rng)
        } else {
            let evaluating = tokio::task::spawn_blocking(move || key.evaluate(&request, &mut rng));
            evaluating.await.map_err(|_| internal("an evaluation was broken off"))?
        };
        evaluated.map_err(|error| match error {
            TokenError::Element => ErrorReply::new(ErrorCode::Malformed, "a blinded element is none"),
            _ => internal("a batch cannot be evaluated"),
        })
    }
}

fn drawn(error: DrawError, code: ErrorCode) -> ErrorReply {
    match error {
        DrawError::UnknownAccount => refuse(ErrorCode::UnknownDevice),
        DrawError::Drawn => refuse(code),
        DrawError::Storage(error) => storage_failed(error),
    }
}
