//! What a device keeps while it is being linked, or links another; and what devices are called.

use prost::Message;
use zeroize::Zeroizing;

use super::{address, secret, some_bytes};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::wire::linking::{LinkOffer, LinkReveal, device_name};
use crate::wire::{WireError, fixed, proto};

/// A linking that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkRecord {
    /// This device is the new one.
    NewDevice(NewDeviceLinkRecord),
    /// This device is a primary one and links another.
    Primary(PrimaryLinkRecord),
}

/// On the new device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeviceLinkRecord {
    /// How far it has come.
    pub stage: NewDeviceStage,
    /// The account that it wants to belong to.
    pub address: Address,
    /// `HOST:PORT`.
    pub server: String,
    /// As seen on the first connection.
    pub server_key_hash: [u8; 32],
    /// What its owner calls it; may be empty.
    pub name: String,
    /// Drawn.
    pub device_id: u32,
    /// Ed25519.
    pub device_signing_key: Secret<32>,
    /// X25519.
    pub device_dh_key: Secret<32>,
    /// X-Wing, for this linking alone.
    pub decapsulation_key: Secret<32>,
    /// Of the code.
    pub rendezvous_secret: Secret<16>,
    /// Of the reveal.
    pub nonce: [u8; 32],
    /// What upload secrets are derived from.
    pub upload_seed: Secret<32>,
    /// Milliseconds since 1970, by this device's clock.
    pub begun: u64,
    /// The answer as it was fetched.
    pub answer: Option<Vec<u8>>,
    /// The grant as it was fetched.
    pub grant: Option<Vec<u8>>,
}

/// On the primary device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryLinkRecord {
    /// How far it has come.
    pub stage: PrimaryStage,
    /// Of the code.
    pub rendezvous_secret: Secret<16>,
    /// Of the code.
    pub offer_hash: [u8; 32],
    /// The new device is to hold the account key.
    pub make_primary: bool,
    /// What upload secrets are derived from.
    pub upload_seed: Secret<32>,
    /// Milliseconds since 1970, by this device's clock.
    pub begun: u64,
    /// Once it has been fetched.
    pub offer: Option<LinkOffer>,
    /// The answer as it is put, and the secret that both share.
    pub answer: Option<(Vec<u8>, Secret<32>)>,
    /// Once it has been fetched.
    pub reveal: Option<LinkReveal>,
    /// The grant as it is put.
    pub grant: Option<Vec<u8>>,
    /// The change of the account's devices has been made; [`super::OwnStatementRecord`] says how far it is.
    pub issued: bool,
}

/// What the account's owner calls a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNameRecord {
    /// Empty: none.
    pub name: String,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
}

macro_rules! stages {
    ($(#[$documentation:meta])* $stage:ident = $proto:ident { $($(#[$of_one:meta])* $name:ident,)* }) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $stage { $($(#[$of_one])* $name,)* }

        impl $stage {
            const fn to_proto(self) -> i32 {
                match self { $(Self::$name => proto::$proto::$name as i32,)* }
            }

            fn from_proto(stage: i32) -> Result<Self, WireError> {
                match proto::$proto::try_from(stage) {
                    $(Ok(proto::$proto::$name) => Ok(Self::$name),)*
                    _ => Err(WireError::Bounds("stage")),
                }
            }
        }
    };
}

stages! {
    /// How far a new device has come.
    NewDeviceStage = ClientLinkNewDeviceStage {
        /// The offer is to be put.
        Offering,
        /// The code is shown, an answer is waited for.
        Offered,
        /// The reveal is to be put.
        Revealing,
        /// A person compares.
        Comparing,
        /// The confirmation is to be put.
        Confirming,
        /// The grant is waited for.
        Confirmed,
        /// It is linked; its blobs are to be deleted.
        Finishing,
    }
}

stages! {
    /// How far a primary device has come.
    PrimaryStage = ClientLinkPrimaryStage {
        /// The offer is to be fetched.
        Fetching,
        /// The answer is to be put.
        Answering,
        /// The reveal is waited for.
        Answered,
        /// A person compares.
        Comparing,
        /// The other side's confirmation is waited for.
        Agreed,
        /// The statement that lists the new device is to be published.
        Issuing,
        /// The grant is to be put.
        Granting,
        /// The new device takes the grant; then the blobs are to be deleted.
        Granted,
    }
}

impl LinkRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        use proto::client_link::Side;

        let mut message = proto::ClientLink {
            side: Some(match self {
                Self::NewDevice(record) => Side::NewDevice(record.to_proto()),
                Self::Primary(record) => Side::Primary(record.to_proto()),
            }),
        };
        let encoded = Zeroizing::new(message.encode_to_vec());
        match &mut message.side {
            Some(Side::NewDevice(record)) => {
                for secret in [
                    &mut record.device_signing_key,
                    &mut record.device_dh_key,
                    &mut record.decapsulation_key,
                    &mut record.rendezvous_secret,
                    &mut record.upload_seed,
                ] {
                    drop(Zeroizing::new(std::mem::take(secret)));
                }
            }
            Some(Side::Primary(record)) => {
                for secret in [&mut record.rendezvous_secret, &mut record.upload_seed, &mut record.shared_secret] {
                    drop(Zeroizing::new(std::mem::take(secret)));
                }
            }
            None => {}
        }
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::client_link::Side;

        match proto::ClientLink::decode(bytes)?.side.ok_or(WireError::Missing("side"))? {
            Side::NewDevice(message) => NewDeviceLinkRecord::from_proto(message).map(Self::NewDevice),
            Side::Primary(message) => PrimaryLinkRecord::from_proto(message).map(Self::Primary),
        }
    }
}

impl NewDeviceLinkRecord {
    fn to_proto(&self) -> proto::ClientLinkNewDevice {
        proto::ClientLinkNewDevice {
            stage: self.stage.to_proto(),
            address: self.address.to_string(),
            server: self.server.clone(),
            server_key_hash: self.server_key_hash.to_vec(),
            name: self.name.clone(),
            device_id: self.device_id,
            device_signing_key: self.device_signing_key.as_bytes().to_vec(),
            device_dh_key: self.device_dh_key.as_bytes().to_vec(),
            decapsulation_key: self.decapsulation_key.as_bytes().to_vec(),
            rendezvous_secret: self.rendezvous_secret.as_bytes().to_vec(),
            nonce: self.nonce.to_vec(),
            upload_seed: self.upload_seed.as_bytes().to_vec(),
            begun: self.begun,
            answer: self.answer.clone().unwrap_or_default(),
            grant: self.grant.clone().unwrap_or_default(),
        }
    }

    fn from_proto(message: proto::ClientLinkNewDevice) -> Result<Self, WireError> {
        Ok(Self {
            stage: NewDeviceStage::from_proto(message.stage)?,
            address: address(&message.address)?,
            server: message.server,
            server_key_hash: fixed(&message.server_key_hash, "server_key_hash")?,
            name: device_name(message.name)?,
            device_id: message.device_id,
            device_signing_key: secret(message.device_signing_key, "device_signing_key")?,
            device_dh_key: secret(message.device_dh_key, "device_dh_key")?,
            decapsulation_key: secret(message.decapsulation_key, "decapsulation_key")?,
            rendezvous_secret: secret(message.rendezvous_secret, "rendezvous_secret")?,
            nonce: fixed(&message.nonce, "nonce")?,
            upload_seed: secret(message.upload_seed, "upload_seed")?,
            begun: message.begun,
            answer: some_bytes(message.answer),
            grant: some_bytes(message.grant),
        })
    }
}

impl PrimaryLinkRecord {
    fn to_proto(&self) -> proto::ClientLinkPrimary {
        let (answer, shared_secret) = match &self.answer {
            Some((answer, shared)) => (answer.clone(), shared.as_bytes().to_vec()),
            None => (Vec::new(), Vec::new()),
        };
        proto::ClientLinkPrimary {
            stage: self.stage.to_proto(),
            rendezvous_secret: self.rendezvous_secret.as_bytes().to_vec(),
            offer_hash: self.offer_hash.to_vec(),
            make_primary: self.make_primary,
            upload_seed: self.upload_seed.as_bytes().to_vec(),
            begun: self.begun,
            offer: self.offer.as_ref().map(LinkOffer::encode).unwrap_or_default(),
            answer,
            shared_secret,
            reveal: self.reveal.as_ref().map(LinkReveal::encode).unwrap_or_default(),
            grant: self.grant.clone().unwrap_or_default(),
            issued: self.issued,
        }
    }

    fn from_proto(message: proto::ClientLinkPrimary) -> Result<Self, WireError> {
        let answer = match some_bytes(message.answer) {
            None => None,
            Some(answer) => Some((answer, secret(message.shared_secret, "shared_secret")?)),
        };
        Ok(Self {
            stage: PrimaryStage::from_proto(message.stage)?,
            rendezvous_secret: secret(message.rendezvous_secret, "rendezvous_secret")?,
            offer_hash: fixed(&message.offer_hash, "offer_hash")?,
            make_primary: message.make_primary,
            upload_seed: secret(message.upload_seed, "upload_seed")?,
            begun: message.begun,
            offer: some_bytes(message.offer).map(|offer| LinkOffer::decode(&offer)).transpose()?,
            answer,
            reveal: some_bytes(message.reveal).map(|reveal| LinkReveal::decode(&reveal)).transpose()?,
            grant: some_bytes(message.grant),
            issued: message.issued,
        })
    }
}

impl DeviceNameRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientDeviceName { name: self.name.clone(), at: self.at }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let proto::ClientDeviceName { name, at } = proto::ClientDeviceName::decode(bytes)?;
        Ok(Self { name: device_name(name)?, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::x_wing;
    use crate::identity::DeviceSecretKeys;
    use crate::test_rng::rng;

    fn new_device(answer: Option<Vec<u8>>) -> LinkRecord {
        LinkRecord::NewDevice(NewDeviceLinkRecord {
            stage: NewDeviceStage::Confirmed,
            address: "claire@clinic.example".parse().unwrap(),
            server: "127.0.0.1:4433".into(),
            server_key_hash: [1; 32],
            name: "Ward tablet".into(),
            device_id: 7,
            device_signing_key: Secret::from([2; 32]),
            device_dh_key: Secret::from([3; 32]),
            decapsulation_key: Secret::from([4; 32]),
            rendezvous_secret: Secret::from([5; 16]),
            nonce: [6; 32],
            upload_seed: Secret::from([7; 32]),
            begun: 8,
            grant: answer.clone(),
            answer,
        })
    }

    fn primary(filled: bool) -> LinkRecord {
        let offer = LinkOffer {
            address: "claire@clinic.example".parse().unwrap(),
            device_id: 7,
            keys: DeviceSecretKeys::random(&mut rng(1)).public_keys(),
            encapsulation_key: x_wing::DecapsulationKey::random(&mut rng(2)).encapsulation_key(),
            commitment: [1; 32],
            server_key_hash: [2; 32],
        };
        LinkRecord::Primary(PrimaryLinkRecord {
            stage: PrimaryStage::Issuing,
            rendezvous_secret: Secret::from([5; 16]),
            offer_hash: [6; 32],
            make_primary: true,
            upload_seed: Secret::from([7; 32]),
            begun: 8,
            offer: filled.then_some(offer),
            answer: filled.then(|| (vec![9], Secret::from([10; 32]))),
            reveal: filled.then(|| LinkReveal { nonce: [11; 32], name: String::new() }),
            grant: filled.then(|| vec![12]),
            issued: filled,
        })
    }

    #[test]
    fn linkings_come_back_as_they_were_stored() {
        for record in [new_device(None), new_device(Some(vec![1])), primary(false), primary(true)] {
            assert_eq!(LinkRecord::decode(&record.encode()), Ok(record));
        }
        let name = DeviceNameRecord { name: "Ward tablet".into(), at: 5 };
        assert_eq!(DeviceNameRecord::decode(&name.encode()), Ok(name));
    }

    #[test]
    fn a_stage_that_is_not_known_is_refused() {
        let message = proto::ClientLinkPrimary { stage: 99, ..proto::ClientLinkPrimary::default() };
        let side = Some(proto::client_link::Side::Primary(message));
        let bytes = proto::ClientLink { side }.encode_to_vec();
        assert_eq!(LinkRecord::decode(&bytes), Err(WireError::Bounds("stage")));
    }
}
