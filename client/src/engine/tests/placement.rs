//! What goes inside a message and what as blobs.

use medipeps_core::attachment::BlobReference;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::kind::{self, AttachmentPlace, Body, Content, ContentError, MessageId};
use medipeps_core::limits::{CONTENT_LENGTH_MAX, INLINE_ATTACHMENTS_LENGTH_MAX, NAME_LENGTH_MAX};
use proptest::prelude::*;

use super::world::mail;
use crate::engine::{AttachmentSize, SendMail, fitting};

fn body(text: usize) -> Body {
    mail(&"paul@clinic.example".parse().unwrap(), &"a".repeat(text)).body().unwrap()
}

fn sizes(lengths: &[u64]) -> Vec<AttachmentSize> {
    lengths.iter().map(|length| AttachmentSize { labels: 30, length: *length }).collect()
}

/// The largest content that can come of a placement: every number at its longest.
fn content(body: Body, domain: &str, sizes: &[AttachmentSize], inline: &[bool], body_blob: bool) -> Content {
    let blob = |length| BlobReference {
        domain: domain.to_owned(),
        id: [1; 32],
        key: Secret::from([2; 32]).into(),
        length,
        root: [3; 32],
        expires: u64::MAX,
    };
    let attachments = sizes.iter().zip(inline).map(|(size, inline)| kind::Attachment {
        name: "n".repeat(size.labels / 2),
        media_type: "m".repeat(size.labels - size.labels / 2),
        place: match inline {
            true => AttachmentPlace::Inline(vec![4; usize::try_from(size.length).unwrap()]),
            false => AttachmentPlace::Blob(blob(medipeps_core::limits::ATTACHMENT_LENGTH_MAX)),
        },
    });
    Content {
        id: MessageId([1; 16]),
        thread: MessageId([2; 16]),
        in_reply_to: Some(MessageId([3; 16])),
        replaces: Some(MessageId([4; 16])),
        created: u64::MAX,
        expires: Some(u64::MAX),
        urgency: kind::Urgency::Vital,
        sender_name: "s".repeat(NAME_LENGTH_MAX),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: kind::ReceiptsWanted { delivered: true, displayed: true, processed: true },
        fallback_text: String::new(),
        attachments: attachments.collect(),
        body_blob: body_blob.then(|| blob(medipeps_core::limits::BODY_BLOB_LENGTH_MAX)),
        sender_statement_version: u64::MAX,
        body: if body_blob { body.short() } else { body },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_placed_fits_and_small_things_stay_inside(
        text in prop_oneof![0..2000_usize, 40_000..70_000_usize, Just(200_000)],
        lengths in prop::collection::vec((2..200_usize, prop_oneof![0..2000_u64, 0..100_000_u64, Just(5 << 30)]), 0..20),
        domain in 2..200_usize,
    ) {
        let domain = format!("{}.example", "d".repeat(domain.min(50)));
        let sizes: Vec<_> =
            lengths.iter().map(|(labels, length)| AttachmentSize { labels: *labels, length: *length }).collect();
        let body = body(text);
        let placement = fitting(&body, &domain, &sizes).unwrap();
        prop_assert_eq!(placement.inline.len(), sizes.len());
        // Within the limit, whatever the references come to.
        let made = content(body.clone(), &domain, &sizes, &placement.inline, placement.body_blob);
        prop_assert!(made.encode().is_ok(), "{:?}", made.encode());
        // What left is at least as large as what stayed, and something that stayed would not have done instead.
        let of = |kept: bool| {
            sizes.iter().zip(&placement.inline).filter(move |(_, inline)| **inline == kept).map(|(size, _)| size.length)
        };
        if let (Some(kept), Some(left)) = (of(true).max(), of(false).min()) {
            prop_assert!(left >= kept);
        }
        // The smallest thing that left would not fit with the others.
        if let Some(left) = of(false).min().filter(|left| *left <= INLINE_ATTACHMENTS_LENGTH_MAX as u64) {
            let inside = of(true).sum::<u64>() + left;
            let without_it = usize::try_from(left).unwrap() + made.encode().unwrap().len();
            prop_assert!(inside > INLINE_ATTACHMENTS_LENGTH_MAX as u64 || without_it > CONTENT_LENGTH_MAX - 2048);
        }
        if sizes.is_empty() && text < 40_000 {
            prop_assert!(!placement.body_blob);
        }
    }
}

#[test]
fn small_things_stay_inside_and_the_largest_leaves_first() {
    let placed = |text, lengths: &[u64]| {
        let placement = fitting(&body(text), "clinic.example", &sizes(lengths)).unwrap();
        (placement.inline, placement.body_blob)
    };
    assert_eq!(placed(100, &[]), (vec![], false));
    assert_eq!(placed(100, &[48 << 10]), (vec![true], false));
    assert_eq!(placed(100, &[(48 << 10) + 1, 10]), (vec![false, true], false));
    assert_eq!(placed(100, &[30 << 10, 20 << 10, 5]), (vec![false, true, true], false));
    assert_eq!(placed(30_000, &[40 << 10, 10]), (vec![false, true], false));
    assert_eq!(placed(45_000, &[20 << 10, 10]), (vec![true, true], true), "the body is larger");
    assert_eq!(placed(19 << 10, &[20 << 10, 20 << 10]), (vec![false, true], false), "the first of equals");
    assert_eq!(placed(60_000, &[10]), (vec![true], true));
    assert_eq!(placed(60_000, &[5 << 30]), (vec![false], true));
}

#[test]
fn a_body_over_sixteen_mebibytes_is_refused() {
    let refused = fitting(&body((16 << 20) + 1), "clinic.example", &[]);
    assert!(matches!(refused, Err(ContentError::BodyTooLarge { .. })), "{refused:?}");
}

#[test]
fn sixty_four_files_of_long_names_fit_beside_a_body_that_left() {
    let command = SendMail { cc: Vec::new(), ..mail(&"paul@clinic.example".parse().unwrap(), &"a".repeat(60_000)) };
    let body = command.body().unwrap();
    let sizes = vec![AttachmentSize { labels: 250, length: 1 << 20 }; 64];
    let placement = fitting(&body, "clinic.example", &sizes).unwrap();
    assert_eq!((placement.inline.iter().any(|inline| *inline), placement.body_blob), (false, true));
    assert!(content(body, "clinic.example", &sizes, &placement.inline, true).encode().is_ok());
}
