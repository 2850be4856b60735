//! Tokens, beside the operations of the VOPRF crate that they stand on.

use chacha20::ChaCha20Rng;
use criterion::Criterion;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::token::{IssuerSecretKey, TokenBatch};
use rand_core::SeedableRng;
use voprf::{BlindedElement, Ristretto255, VoprfClient, VoprfServer};

/// Tokens in a batch.
const BATCH: usize = 100;

/// The crate's own source of randomness; it need not be good here.
struct Counting(u64);

impl rand_core_06::RngCore for Counting {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        for chunk in destination.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(destination);
        Ok(())
    }
}

impl rand_core_06::CryptoRng for Counting {}

pub(crate) fn tokens(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let issuer = IssuerSecretKey::derive(&Secret::random(&mut rng), 20_000, 1).unwrap();
    let batch = TokenBatch::blind(&issuer.public(), BATCH, Secret::random(&mut rng)).unwrap();
    let answer = issuer.evaluate(batch.request(), &mut rng).unwrap();
    let token = batch.finalize(&answer).unwrap().remove(0);
    let mut group = criterion.benchmark_group("tokens");
    group.bench_function("blind-100", |bench| {
        bench.iter(|| TokenBatch::blind(&issuer.public(), BATCH, Secret::from([1; 32])).unwrap());
    });
    group.bench_function("issue-100", |bench| bench.iter(|| issuer.evaluate(batch.request(), &mut rng).unwrap()));
    group.bench_function("finalize-100", |bench| bench.iter(|| batch.finalize(&answer).unwrap()));
    group.bench_function("verify", |bench| bench.iter(|| issuer.verify(&token).unwrap()));

    // The crate alone: elements in and out of bytes included, as nobody can do without.
    let mut counting = Counting(1);
    let server = VoprfServer::<Ristretto255>::new(&mut counting).unwrap();
    let inputs: Vec<_> = (0..BATCH).map(|number| [number as u8; 85]).collect();
    let blind = |counting: &mut Counting| -> Vec<_> {
        inputs.iter().map(|input| VoprfClient::<Ristretto255>::blind(input, counting).unwrap()).collect()
    };
    let blinded = blind(&mut counting);
    let elements: Vec<_> = blinded.iter().map(|one| one.message.serialize()).collect();
    group.bench_function("voprf-blind-100", |bench| {
        bench.iter(|| blind(&mut counting).iter().map(|one| one.message.serialize()).collect::<Vec<_>>());
    });
    let mut counting = Counting(2);
    group.bench_function("voprf-issue-100", |bench| {
        bench.iter(|| {
            let parsed: Vec<_> =
                elements.iter().map(|one| BlindedElement::<Ristretto255>::deserialize(one).unwrap()).collect();
            let evaluated = server.batch_blind_evaluate(&mut counting, &parsed).unwrap();
            evaluated.messages.iter().map(voprf::EvaluationElement::serialize).collect::<Vec<_>>()
        });
    });
    group.bench_function("voprf-verify", |bench| bench.iter(|| server.evaluate(&inputs[0]).unwrap()));
    group.finish();
}
