//! The server's issuer keys: one a day, and the list of those whose tokens are good.

use std::sync::{Arc, PoisonError, RwLock};

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::limits::ISSUER_KEYS_MAX;
use medipeps_core::token::{DAY_MS, IssuerKeys, IssuerSecretKey, day_of};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply};
use rand_core::SeedableRng;

use super::{Service, internal, refuse, storage_failed};
use crate::config::Tokens;
use crate::environment::Environment;
use crate::storage::StoredIssuerKey;

/// What the service knows of tokens.
pub(super) struct Issuer {
    config: RwLock<Tokens>,
    current: RwLock<Option<Arc<KeySet>>>,
    /// Held by whoever draws a new key.
    drawing: tokio::sync::Mutex<()>,
}

/// The keys of a day.
pub(super) struct KeySet {
    /// Counted from 1970.
    day: u32,
    /// What the list was made from. It can change within a day.
    config: Tokens,
    /// The one that issues first.
    keys: Vec<Arc<IssuerSecretKey>>,
    /// An encoded `SignedIssuerKeys`: the same for everybody until the set changes.
    pub(super) list: Vec<u8>,
}

impl Issuer {
    pub(super) fn new(config: Tokens) -> Self {
        Self { config: RwLock::new(config), current: RwLock::new(None), drawing: tokio::sync::Mutex::new(()) }
    }

    /// What tokens are worth now.
    pub(super) fn config(&self) -> Tokens {
        *self.config.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over other prices; keys that were drawn stay, and are good for as long as they were to be.
    pub(super) fn set(&self, config: Tokens) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn current(&self, day: u32) -> Option<Arc<KeySet>> {
        let config = self.config();
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|set| set.day == day && set.config == config).cloned()
    }
}

impl KeySet {
    /// The key that issues.
    pub(super) fn issuing(&self) -> Result<&Arc<IssuerSecretKey>, ErrorReply> {
        self.keys.first().ok_or_else(|| internal("there is no issuer key"))
    }

    /// A key whose tokens are good.
    pub(super) fn find(&self, key_id: &[u8; 32]) -> Result<&Arc<IssuerSecretKey>, ErrorReply> {
        self.keys.iter().find(|key| key.id() == *key_id).ok_or_else(|| refuse(ErrorCode::UnknownIssuerKey))
    }
}

impl Service {
    /// The keys of today. The first one who asks on a day draws the day's key; nothing is issued with it before it is on the
    /// disk.
    pub(super) async fn issuer_keys(&self, now_ms: u64) -> Result<Arc<KeySet>, ErrorReply> {
        let day = day_of(now_ms);
        if let Some(set) = self.issuer.current(day) {
            return Ok(set);
        }
        let _alone = self.issuer.drawing.lock().await;
        if let Some(set) = self.issuer.current(day) {
            return Ok(set);
        }
        let config = self.issuer.config();
        let mut stored = self.storage.issuer_keys().await.map_err(storage_failed)?;
        stored.retain(|key| key.expires_ms > now_ms);
        if !stored.iter().any(|key| key.day == day) {
            let expires_ms = (u64::from(day) + u64::from(config.key_days)).saturating_mul(DAY_MS);
            let seed = random_secret(&*self.environment)?;
            let id = derive(&seed, day, expires_ms)?.id();
            let key = StoredIssuerKey { id, seed, day, expires_ms };
            self.storage.put_issuer_key(key.clone()).await.map_err(storage_failed)?;
            tracing::info!(day, "drew an issuer key");
            stored.push(key);
        }
        // Today's first, the others from the newest on; which of two of one day comes first must not change.
        stored.sort_by_key(|key| (key.day != day, std::cmp::Reverse(key.day), key.id));
        stored.truncate(ISSUER_KEYS_MAX);
        let keys = stored.iter().map(|key| derive(&key.seed, key.day, key.expires_ms).map(Arc::new));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let Tokens { required, batch, vouchers, voucher_tokens, price, .. } = config;
        let list = IssuerKeys {
            domain: self.domain.clone(),
            keys: keys.iter().map(|key| key.public()).collect(),
            prices: price.into(),
            batch,
            vouchers,
            voucher_tokens,
            required,
            incarnation: self.storage.incarnation(),
        };
        let set = Arc::new(KeySet { day, config, keys, list: list.sign(self.server_key.signing_key()) });
        *self.issuer.current.write().unwrap_or_else(PoisonError::into_inner) = Some(set.clone());
        Ok(set)
    }
}

fn derive(seed: &Secret<32>, day: u32, expires_ms: u64) -> Result<IssuerSecretKey, ErrorReply> {
    IssuerSecretKey::derive(seed, day, expires_ms).map_err(|_| internal("a seed gives no issuer key"))
}

/// Randomness for one proof.
pub(super) fn random(environment: &dyn Environment) -> Result<ChaCha20Rng, ErrorReply> {
    Ok(ChaCha20Rng::from_seed(*random_secret(environment)?.as_bytes()))
}

fn random_secret(environment: &dyn Environment) -> Result<Secret<32>, ErrorReply> {
    let mut secret = Secret::zeroed();
    environment.fill_random(secret.as_mut_bytes()).map_err(|_| internal("there is no randomness"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use medipeps_core::crypto::signature::SigningKey;
    use medipeps_core::token::TokenBatch;
    use medipeps_core::wire::transport::Payment;

    use super::*;
    use crate::config::Config;
    use crate::environment::{RandomnessError, SystemEnvironment};
    use crate::network_address::NetworkAddress;
    use crate::service::Moment;
    use crate::service::payment::Purpose;
    use crate::storage::{MemoryStorage, QueueQuota, Storage, TokenStorage};

    /// A clock that tests set.
    #[derive(Default)]
    struct Clock(AtomicU64);

    impl Environment for Clock {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
            SystemEnvironment.fill_random(bytes)
        }
    }

    const DAY: u32 = 20_000;

    fn at(day: u32) -> Moment {
        let network: NetworkAddress = std::net::IpAddr::from([127, 0, 0, 1]).into();
        Moment { now_ms: u64::from(day) * DAY_MS + 5, network }
    }

    fn service(storage: &Arc<MemoryStorage>) -> Arc<Service> {
        let config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), "data");
        let key = SigningKey::from_secret(&Secret::from([1; 32]));
        Service::new(&config, Arc::clone(storage) as Arc<dyn Storage>, key.into(), Arc::new(Clock::default()))
    }

    async fn list(service: &Service, day: u32) -> IssuerKeys {
        let set = service.issuer_keys(at(day).now_ms).await.unwrap();
        IssuerKeys::verify(&set.list, &service.server_key.verifying_key()).unwrap()
    }

    /// A token of the day's key, and whether it pays on another day.
    async fn pays(service: &Service, drawn: u32, spent: u32) -> Result<(), Option<ErrorCode>> {
        let set = service.issuer_keys(at(drawn).now_ms).await.unwrap();
        let key = set.issuing().unwrap();
        let batch = TokenBatch::blind(&key.public(), 1, Secret::from([2; 32])).unwrap();
        let answer = key.evaluate(batch.request(), &mut random(&*service.environment).unwrap()).unwrap();
        let payment = Payment::Tokens(batch.finalize(&answer).unwrap());
        let paid = service.pay(at(spent), payment, 1, Purpose::Blob([3; 32]), &[]).await;
        paid.map(|_| ()).map_err(|error| error.known_code())
    }

    #[tokio::test]
    async fn a_key_issues_for_a_day_and_its_tokens_are_good_for_two() {
        let storage = Arc::new(MemoryStorage::new(QueueQuota::default(), [7; 16]));
        let service = service(&storage);
        let first = list(&service, DAY).await;
        assert_eq!((first.keys.len(), first.keys[0].day), (1, DAY));
        assert_eq!(pays(&service, DAY, DAY).await, Ok(()));
        assert_eq!(pays(&service, DAY, DAY + 1).await, Ok(()), "the key was rolled, its tokens are good");
        let second = list(&service, DAY + 1).await;
        assert_eq!(second.keys.iter().map(|key| key.day).collect::<Vec<_>>(), [DAY + 1, DAY]);
        assert_eq!(second.keys[1], first.keys[0]);
        assert_eq!(pays(&service, DAY, DAY + 2).await, Err(Some(ErrorCode::UnknownIssuerKey)));
        assert_eq!(
            list(&service, DAY + 2).await.keys.iter().map(|key| key.day).collect::<Vec<_>>(),
            [DAY + 2, DAY + 1]
        );
    }

    #[tokio::test]
    async fn a_restart_goes_on_with_the_same_keys() {
        let storage = Arc::new(MemoryStorage::new(QueueQuota::default(), [7; 16]));
        let before = list(&service(&storage), DAY).await;
        storage.restart();
        assert_eq!(list(&service(&storage), DAY).await, before);
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_a_year_draws_another_key_and_nothing_breaks() {
        let storage = Arc::new(MemoryStorage::new(QueueQuota::default(), [7; 16]));
        let service = service(&storage);
        list(&service, DAY).await;
        let back = list(&service, DAY - 365).await;
        assert_eq!(back.keys.iter().map(|key| key.day).collect::<Vec<_>>(), [DAY - 365, DAY]);
        assert_eq!(pays(&service, DAY - 365, DAY - 365).await, Ok(()));
        assert_eq!(list(&service, DAY).await.keys.iter().map(|key| key.day).collect::<Vec<_>>(), [DAY]);
    }

    #[tokio::test]
    async fn many_who_ask_first_on_a_day_get_one_key() {
        let storage = Arc::new(MemoryStorage::new(QueueQuota::default(), [7; 16]));
        let service = service(&storage);
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let service = Arc::clone(&service);
                tokio::spawn(async move { service.issuer_keys(at(DAY).now_ms).await.unwrap().list.clone() })
            })
            .collect();
        let mut lists = Vec::new();
        for asked in asking {
            lists.push(asked.await.unwrap());
        }
        assert!(lists.iter().all(|list| *list == lists[0]));
        assert_eq!(storage.issuer_keys().await.unwrap().len(), 1);
    }
}
