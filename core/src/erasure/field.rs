//! GF(2^16) modulo x^16 + x^12 + x^3 + x + 1 (0x1100B), several elements at once.
//!
//! Every operation does the same steps whatever the elements are: no table and no branch that depends on one, but for factors
//! that are called public. The compiler turns the arrays into vector instructions.

/// What x^16 is, modulo the polynomial.
const REDUCTION: u16 = 0x100B;

/// All bits set if the element's highest bit is.
const fn highest_bit_mask(element: u16) -> u16 {
    0u16.wrapping_sub(element >> 15)
}

/// The element times x.
const fn double(element: u16) -> u16 {
    (element << 1) ^ (highest_bit_mask(element) & REDUCTION)
}

/// The element divided by x.
const fn halve(element: u16) -> u16 {
    (element >> 1) ^ (0u16.wrapping_sub(element & 1) & (1 << 15 | REDUCTION >> 1))
}

/// The inverse of each element; 0 for 0. The powers of x are all elements but 0, so that one walk through them does.
pub(super) fn all_inverses() -> Vec<u16> {
    let mut inverses = vec![0; 1 << 16];
    let (mut element, mut inverse) = (1_u16, 1_u16);
    for _ in 1..1_u32 << 16 {
        inverses[usize::from(element)] = inverse;
        (element, inverse) = (double(element), halve(inverse));
    }
    inverses
}

/// One product, for the tables that are made when the crate is compiled.
pub(super) const fn multiply_one(one: u16, mut other: u16) -> u16 {
    let mut product = 0;
    let mut bit = 0;
    while bit < 16 {
        product = double(product) ^ (highest_bit_mask(other) & one);
        other <<= 1;
        bit += 1;
    }
    product
}

/// One inverse, as the power 2^16 - 2; 0 gives 0.
pub(super) const fn invert_one(element: u16) -> u16 {
    let mut power = element;
    let mut inverse = 1;
    let mut bit = 1;
    while bit < 16 {
        power = multiply_one(power, power);
        inverse = multiply_one(inverse, power);
        bit += 1;
    }
    inverse
}

/// Products of lanes.
pub(super) fn multiply<const LANES: usize>(one: &[u16; LANES], other: &[u16; LANES]) -> [u16; LANES] {
    let mut product = [0; LANES];
    let mut rest = *other;
    for _ in 0..16 {
        for lane in 0..LANES {
            product[lane] = double(product[lane]) ^ (highest_bit_mask(rest[lane]) & one[lane]);
            rest[lane] <<= 1;
        }
    }
    product
}

/// Inverses of lanes.
pub(super) fn invert<const LANES: usize>(elements: &[u16; LANES]) -> [u16; LANES] {
    let mut power = *elements;
    let mut inverse = [1; LANES];
    for _ in 1..16 {
        power = multiply(&power, &power);
        inverse = multiply(&inverse, &power);
    }
    inverse
}

/// The lanes times x^0 to x^15: what a product with any factor is a sum of.
pub(super) fn doublings<const LANES: usize>(elements: &[u16; LANES]) -> [[u16; LANES]; 16] {
    let mut current = *elements;
    std::array::from_fn(|_| {
        let doubled = current;
        current = doubled.map(double);
        doubled
    })
}

/// Adds the doubled lanes times one factor to the sum.
pub(super) fn add_multiple<const LANES: usize>(sum: &mut [u16; LANES], doublings: &[[u16; LANES]; 16], factor: u16) {
    for (power, doubled) in doublings.iter().enumerate() {
        let mask = 0u16.wrapping_sub((factor >> power) & 1);
        for lane in 0..LANES {
            sum[lane] ^= doubled[lane] & mask;
        }
    }
}

/// The lanes times one public factor.
pub(super) fn multiply_by<const LANES: usize>(elements: &[u16; LANES], factor: u16) -> [u16; LANES] {
    let mut product = [0; LANES];
    let mut doubled = *elements;
    for power in 0..16 {
        if (factor >> power) & 1 == 1 {
            add(&mut product, &doubled);
        }
        doubled = doubled.map(double);
    }
    product
}

/// Lanes, times each factor of four bits at each of its four places: what a product with any public factor is a sum of four
/// of. For who multiplies the same lanes often.
pub(super) struct Multiples<const LANES: usize>([[[u16; LANES]; 16]; 4]);

impl<const LANES: usize> Multiples<LANES> {
    pub(super) fn of(elements: &[u16; LANES]) -> Self {
        let mut multiples = [[[0; LANES]; 16]; 4];
        let mut doubled = *elements;
        for place in &mut multiples {
            for bit in 0..4 {
                let known = 1 << bit;
                for below in 0..known {
                    let mut sum = place[below];
                    add(&mut sum, &doubled);
                    place[known + below] = sum;
                }
                doubled = doubled.map(double);
            }
        }
        Self(multiples)
    }

    /// Adds the lanes times a public factor to the sum.
    pub(super) fn add(&self, sum: &mut [u16; LANES], factor: u16) {
        for (place, multiples) in self.0.iter().enumerate() {
            add(sum, &multiples[usize::from(factor >> (4 * place)) & 0xf]);
        }
    }
}

fn add<const LANES: usize>(sum: &mut [u16; LANES], other: &[u16; LANES]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum ^= other;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Schoolbook: the product of polynomials, then the division.
    fn schoolbook(one: u16, other: u16) -> u16 {
        let mut product = 0_u32;
        for bit in 0..16 {
            if (other >> bit) & 1 == 1 {
                product ^= u32::from(one) << bit;
            }
        }
        for bit in (16..32).rev() {
            if (product >> bit) & 1 == 1 {
                product ^= 0x1100B << (bit - 16);
            }
        }
        product as u16
    }

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        for element in 1..=u16::MAX {
            let [inverse] = invert(&[element]);
            assert_eq!(multiply(&[element], &[inverse]), [1]);
        }
        assert_eq!(invert(&[0]), [0]);
        let known = all_inverses();
        assert!((0..=u16::MAX).all(|element| [known[usize::from(element)]] == invert(&[element])));
        assert_eq!(invert_one(2), invert(&[2])[0]);
    }

    proptest! {
        #[test]
        fn the_product_is_the_schoolbook_one(one in any::<[u16; 8]>(), other in any::<[u16; 8]>()) {
            let product = multiply(&one, &other);
            for lane in 0..8 {
                prop_assert_eq!(product[lane], schoolbook(one[lane], other[lane]));
                prop_assert_eq!(product[lane], multiply_one(one[lane], other[lane]));
            }
            let mut sum = one;
            Multiples::of(&other).add(&mut sum, 0xA5C3);
            let by = multiply_by(&other, 0xA5C3);
            prop_assert!((0..8).all(|lane| sum[lane] == one[lane] ^ by[lane]));
            let mut sum = one;
            add_multiple(&mut sum, &doublings(&other), 0xA5C3);
            for lane in 0..8 {
                prop_assert_eq!(sum[lane], one[lane] ^ schoolbook(other[lane], 0xA5C3));
            }
        }
    }
}
