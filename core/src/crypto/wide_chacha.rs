//! The first word of the ChaCha20 block of many keys under one nonce (RFC 8439 section 2.3, counter 0), as hints use it.
//!
//! The state is kept by word and not by key: what is done to one word is done to it for all keys in one loop, which the
//! compiler turns into instructions on several keys at once. Everything is an addition, an exclusive or or a rotation by
//! a constant, so that no time depends on a key.

use zeroize::Zeroizing;

/// Keys that are computed at once. The state of these takes 2 KiB and stays in the fastest cache.
pub(crate) const LANES: usize = 32;

const WORDS: usize = 16;
const DOUBLE_ROUNDS: usize = 10;
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
const KEY: usize = 4;
const KEY_WORDS: usize = 8;
const COUNTER: usize = 12;

/// One word of the states of all keys.
type Word = [u32; LANES];

/// The states of [`LANES`] keys. Before the last addition a state can be run backwards to its key, so it is wiped, and
/// the keys are.
pub(crate) struct WideChaCha {
    keys: Zeroizing<[Word; KEY_WORDS]>,
    state: Zeroizing<[Word; WORDS]>,
}

impl WideChaCha {
    pub(crate) fn new() -> Self {
        Self { keys: Zeroizing::new([[0; LANES]; KEY_WORDS]), state: Zeroizing::new([[0; LANES]; WORDS]) }
    }

    /// Takes the next keys, at most [`LANES`], and says how many there were.
    pub(crate) fn set_keys<'a>(&mut self, keys: impl Iterator<Item = &'a [u8; 32]>) -> usize {
        let mut count = 0;
        for (lane, key) in keys.take(LANES).enumerate() {
            for (word, bytes) in self.keys.iter_mut().zip(key.as_chunks::<4>().0) {
                word[lane] = u32::from_le_bytes(*bytes);
            }
            count = lane + 1;
        }
        count
    }

    /// The first words of the blocks of the keys under this nonce. Behind those of the keys they mean nothing.
    pub(crate) fn first_words(&mut self, nonce: &[u8; 12]) -> Word {
        let state = &mut *self.state;
        for (word, constant) in state.iter_mut().zip(CONSTANTS) {
            *word = [constant; LANES];
        }
        state[KEY..COUNTER].copy_from_slice(&*self.keys);
        state[COUNTER] = [0; LANES];
        for (word, bytes) in state[COUNTER + 1..].iter_mut().zip(nonce.as_chunks::<4>().0) {
            *word = [u32::from_le_bytes(*bytes); LANES];
        }
        for _ in 1..DOUBLE_ROUNDS {
            column_round(state);
            quarter_round::<0, 5, 10, 15>(state);
            quarter_round::<1, 6, 11, 12>(state);
            quarter_round::<2, 7, 8, 13>(state);
            quarter_round::<3, 4, 9, 14>(state);
        }
        // Of the last round only what the first word comes of.
        column_round(state);
        quarter_round::<0, 5, 10, 15>(state);
        state[0].map(|word| word.wrapping_add(CONSTANTS[0]))
    }
}

fn column_round(state: &mut [Word; WORDS]) {
    quarter_round::<0, 4, 8, 12>(state);
    quarter_round::<1, 5, 9, 13>(state);
    quarter_round::<2, 6, 10, 14>(state);
    quarter_round::<3, 7, 11, 15>(state);
}

#[inline]
fn quarter_round<const A: usize, const B: usize, const C: usize, const D: usize>(state: &mut [Word; WORDS]) {
    #[expect(clippy::needless_range_loop, reason = "four rows of the state are walked at once")]
    for lane in 0..LANES {
        let (mut a, mut b, mut c, mut d) = (state[A][lane], state[B][lane], state[C][lane], state[D][lane]);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(16);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(12);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(8);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(7);
        (state[A][lane], state[B][lane], state[C][lane], state[D][lane]) = (a, b, c, d);
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20;
    use chacha20::cipher::{KeyIvInit, StreamCipher};
    use rand_core::Rng;

    use super::*;
    use crate::test_rng::rng;

    fn one_by_one(key: &[u8; 32], nonce: &[u8; 12]) -> u32 {
        let mut block = [0; 4];
        ChaCha20::new(key.into(), nonce.into()).apply_keystream(&mut block);
        u32::from_le_bytes(block)
    }

    #[test]
    fn every_lane_is_what_the_cipher_computes() {
        let (mut rng, mut wide) = (rng(1), WideChaCha::new());
        for count in [0, 1, 2, LANES - 1, LANES] {
            let mut keys = vec![[0; 32]; count];
            keys.iter_mut().for_each(|key| rng.fill_bytes(key));
            let mut nonce = [0; 12];
            rng.fill_bytes(&mut nonce);
            assert_eq!(wide.set_keys(keys.iter()), count);
            for nonce in [nonce, [9; 12]] {
                let words = wide.first_words(&nonce);
                let expected: Vec<u32> = keys.iter().map(|key| one_by_one(key, &nonce)).collect();
                assert_eq!(words[..count], expected);
            }
        }
    }

    /// RFC 8439 appendix A.1, test vector 1: key and nonce of zeros.
    #[test]
    fn the_published_block_begins_so() {
        let mut wide = WideChaCha::new();
        assert_eq!(wide.set_keys([[0; 32]].iter()), 1);
        let words = wide.first_words(&[0; 12]);
        assert_eq!(words[0].to_le_bytes(), [0x76, 0xb8, 0xe0, 0xad]);
    }
}
