//! Sealing and opening attachments, beside one AEAD pass and one SHA-256 pass over the same bytes.

use std::hint::black_box;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use criterion::{BatchSize, Criterion};
use medipeps_core::attachment::{AttachmentKey, Layout, Opener, Sealer, part_digest};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::limits::ATTACHMENT_PART_LENGTH;

/// What one part costs: 4 MiB.
pub(crate) fn attachments(criterion: &mut Criterion) {
    let plaintext: Vec<u8> = (0..ATTACHMENT_PART_LENGTH).map(|index| (index * 31 % 251) as u8).collect();
    bare(criterion, &plaintext);
    let mut group = criterion.benchmark_group("attachment");
    let key = AttachmentKey::from(Secret::from([7; 32]));
    let layout = Layout::new(2 * ATTACHMENT_PART_LENGTH as u64).unwrap();
    let sealer = Sealer::new(&key, layout);
    let mut sealed = [Vec::new(), Vec::new()];
    for (part, sealed) in sealed.iter_mut().enumerate() {
        sealer.seal_part(part as u64, &plaintext, sealed).unwrap();
    }
    let tail = layout.tail();
    let before = layout.sealed_part(1).unwrap().start;
    let tail = sealed[1][(tail.start - before) as usize..(tail.end - before) as usize].to_vec();
    let opener = Opener::new(&key, layout, tail).unwrap();

    let seal = |part: u64, sealed: &mut Vec<u8>| {
        black_box(part_digest(&plaintext));
        sealer.seal_part(part, &plaintext, sealed).unwrap();
    };
    let open = |part: u64, buffer: &mut Vec<u8>| {
        opener.open_part(part, buffer).unwrap();
        black_box(part_digest(buffer));
    };
    let mut buffer = Vec::new();
    group.bench_function("seal", |bench| bench.iter(|| seal(0, &mut buffer)));
    group.bench_function("open", |bench| {
        bench.iter_batched_ref(|| sealed[0].clone(), |buffer| open(0, buffer), BatchSize::LargeInput);
    });
    let mut buffers = [Vec::new(), Vec::new()];
    group.bench_function("seal-two-on-two-cores", |bench| {
        bench.iter(|| {
            std::thread::scope(|scope| {
                for (part, buffer) in buffers.iter_mut().enumerate() {
                    scope.spawn(move || seal(part as u64, buffer));
                }
            });
        });
    });
    group.bench_function("open-two-on-two-cores", |bench| {
        bench.iter_batched_ref(
            || sealed.clone(),
            |buffers| {
                std::thread::scope(|scope| {
                    for (part, buffer) in buffers.iter_mut().enumerate() {
                        scope.spawn(move || open(part as u64, buffer));
                    }
                });
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The passes alone, in place and in one call each.
fn bare(criterion: &mut Criterion, plaintext: &[u8]) {
    let mut group = criterion.benchmark_group("primitive");
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    let mut buffer = plaintext.to_vec();
    group.bench_function("aead-4MiB", |bench| {
        bench.iter(|| {
            let tag = cipher.encrypt_inout_detached(&[0; 12].into(), b"", buffer.as_mut_slice().into());
            black_box(tag.unwrap())
        });
    });
    group.bench_function("sha256-4MiB", |bench| bench.iter(|| part_digest(plaintext)));
    group.finish();
}
