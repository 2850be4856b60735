//! What has come to an organisation's mailbox, and what is answered.

use prost::Message;

use super::address;
use crate::crypto::signature::VerifyingKey;
use crate::kind::{MailboxAnswer, MailboxArrival, MessageId};
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode_arrival(arrival: &MailboxArrival) -> Vec<u8> {
    proto::MailboxArrival {
        message: arrival.message.0.to_vec(),
        sender: arrival.sender.to_string(),
        account_key: arrival.account_key.as_bytes().to_vec(),
        received: arrival.received,
        part: arrival.part,
        parts: arrival.parts,
        content: arrival.content.clone(),
    }
    .encode_to_vec()
}

pub(super) fn decode_arrival(bytes: &[u8]) -> Result<MailboxArrival, WireError> {
    let arrival = proto::MailboxArrival::decode(bytes)?;
    Ok(MailboxArrival {
        message: MessageId(fixed(&arrival.message, "message")?),
        sender: address(&arrival.sender, "sender")?,
        account_key: VerifyingKey::from_slice(&arrival.account_key).map_err(|_| WireError::Bounds("account_key"))?,
        received: arrival.received,
        part: arrival.part,
        parts: arrival.parts,
        content: arrival.content,
    })
}

pub(super) fn encode_answer(answer: &MailboxAnswer) -> Vec<u8> {
    proto::MailboxAnswer { message: answer.message.0.to_vec(), text: answer.text.clone() }.encode_to_vec()
}

pub(super) fn decode_answer(bytes: &[u8]) -> Result<MailboxAnswer, WireError> {
    let answer = proto::MailboxAnswer::decode(bytes)?;
    Ok(MailboxAnswer { message: MessageId(fixed(&answer.message, "message")?), text: answer.text })
}
