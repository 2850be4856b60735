//! Numbers of up to 62 bits as QUIC writes them (RFC 9000 section 16).

/// Above all of them.
const LIMIT: u64 = 1 << 62;

/// Appends a number. What is above 62 bits, which nothing of ours is, becomes the largest.
pub(super) fn write(number: u64, into: &mut Vec<u8>) {
    match number {
        0..0x40 => into.push(number.to_be_bytes()[7]),
        0x40..0x4000 => into.extend_from_slice(&(number | 0x4000).to_be_bytes()[6..]),
        0x4000..0x4000_0000 => into.extend_from_slice(&(number | 0x8000_0000).to_be_bytes()[4..]),
        _ => into.extend_from_slice(&(number.min(LIMIT - 1) | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Cuts a number off the front; `None` if it is not whole.
pub(super) fn read(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let (number, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    *bytes = rest;
    let (first, others) = number.split_first()?;
    Some(others.iter().fold(u64::from(first & 0x3f), |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_come_back() {
        let examples: [(&[u8], u64); 4] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ];
        for (bytes, number) in examples {
            let mut written = Vec::new();
            write(number, &mut written);
            assert_eq!(written, bytes);
            for length in 0..bytes.len() {
                assert_eq!(read(&mut &bytes[..length]), None);
            }
            let longer = [bytes, &[1]].concat();
            let mut rest = &longer[..];
            assert_eq!((read(&mut rest), rest), (Some(number), &[1][..]));
        }
    }
}
