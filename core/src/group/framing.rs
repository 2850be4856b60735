//! What MLS signs of an application message (RFC 9420 sections 5.1.2 and 6.1): its content in its group, epoch and place, and
//! the group context. The library makes these bytes and shows them to its provider alone; an officer makes them again.

use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode, VarInt, byte_vec};
use mls_rs_core::group::GroupContext;
use zeroize::Zeroizing;

use super::{GroupId, LogId};

/// `SignContent.label`, its length before it: no label of ours is the same, so no signature of ours is one of these.
const LABEL: &[u8] = b"\x18MLS 1.0 FramedContentTBS";
const VERSION_MLS_1_0: [u8; 2] = [0, 1];
const WIRE_FORMAT_PRIVATE_MESSAGE: [u8; 2] = [0, 2];
const SENDER_MEMBER: u8 = 1;
const CONTENT_TYPE_APPLICATION: u8 = 1;

/// An application message of a member, as it is signed. What lies beside its ciphertext is the log that it is for.
#[derive(Clone, Copy)]
pub(crate) struct FramedContent<'a> {
    pub(crate) group_id: &'a GroupId,
    pub(crate) epoch: u64,
    pub(crate) leaf: u32,
    pub(crate) log_id: &'a LogId,
    pub(crate) content: &'a [u8],
}

impl FramedContent<'_> {
    /// The bytes that the sender's device signs in a group context.
    ///
    /// # Errors
    /// Over 1 GiB MLS has no length.
    pub(crate) fn signed_bytes(&self, group_context: &[u8]) -> Result<Zeroizing<Vec<u8>>, mls_rs::mls_rs_codec::Error> {
        let header = self.header()?;
        let length = header.len() + self.content.len() + group_context.len();
        // Room at once, so that no copy of the content stays behind.
        let mut signed = Zeroizing::new(Vec::with_capacity(LABEL.len() + 4 + length));
        signed.extend_from_slice(LABEL);
        VarInt::try_from(length)?.mls_encode(&mut signed)?;
        signed.extend_from_slice(&header);
        signed.extend_from_slice(self.content);
        signed.extend_from_slice(group_context);
        Ok(signed)
    }

    /// The group context in signed bytes; `None` if they are another message's.
    pub(crate) fn group_context_in<'b>(&self, signed: &'b [u8]) -> Option<&'b [u8]> {
        let mut rest = signed.strip_prefix(LABEL)?;
        let length = VarInt::mls_decode(&mut rest).ok()?;
        if usize::try_from(u32::from(length)) != Ok(rest.len()) {
            return None;
        }
        rest.strip_prefix(self.header().ok()?.as_slice())?.strip_prefix(self.content)
    }

    /// What goes before the content, its length included.
    fn header(&self) -> Result<Vec<u8>, mls_rs::mls_rs_codec::Error> {
        let mut header = Vec::with_capacity(96);
        header.extend_from_slice(&VERSION_MLS_1_0);
        header.extend_from_slice(&WIRE_FORMAT_PRIVATE_MESSAGE);
        byte_vec::mls_encode(&self.group_id.0, &mut header)?;
        header.extend_from_slice(&self.epoch.to_be_bytes());
        header.push(SENDER_MEMBER);
        header.extend_from_slice(&self.leaf.to_be_bytes());
        byte_vec::mls_encode(self.log_id, &mut header)?;
        header.push(CONTENT_TYPE_APPLICATION);
        VarInt::try_from(self.content.len())?.mls_encode(&mut header)?;
        Ok(header)
    }
}

/// The group and epoch of an encoded group context (RFC 9420 section 8.1); `None` if it is none of a group of ours.
pub(crate) fn group_and_epoch(group_context: &[u8]) -> Option<(GroupId, u64)> {
    let mut rest = group_context;
    let context = GroupContext::mls_decode(&mut rest).ok()?;
    let id = context.group_id.as_slice().try_into().ok()?;
    rest.is_empty().then_some((GroupId(id), context.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId([1; 32]);

    fn framed(content: &[u8]) -> FramedContent<'_> {
        FramedContent { group_id: &GROUP, epoch: 5, leaf: 3, log_id: &[2; 32], content }
    }

    #[test]
    fn the_context_is_found_in_what_is_signed_of_this_very_message() {
        for length in [0, 1, 63, 64, 16_383, 16_384] {
            let content = vec![7; length];
            let message = framed(&content);
            let signed = message.signed_bytes(b"context").unwrap();
            assert_eq!(message.group_context_in(&signed), Some(&b"context"[..]), "{length}");
            let other = |other: FramedContent<'_>| assert_eq!(other.group_context_in(&signed), None, "{length}");
            other(FramedContent { group_id: &GroupId([9; 32]), ..message });
            other(FramedContent { epoch: 6, ..message });
            other(FramedContent { leaf: 4, ..message });
            other(FramedContent { log_id: &[9; 32], ..message });
            other(FramedContent { content: &vec![8; length + 1], ..message });
            assert_eq!(message.group_context_in(&signed[..signed.len() - 1]), None);
            assert_eq!(message.group_context_in(&[&signed[..], &[0]].concat()), None);
        }
        let signed = framed(b"You fool").signed_bytes(b"").unwrap();
        assert_eq!(framed(b"You liar").group_context_in(&signed), None);
        assert_eq!(framed(b"You foo").group_context_in(&signed), None);
    }
}
