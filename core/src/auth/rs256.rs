//! RS256 (feature `rs256`): RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2), for the exponent
//! 65537 and moduli of 2048 to 4096 bits. All inputs are public, so the code need not run in
//! constant time.

use super::{Algorithm, Forged, Verify};
use crate::limits::{RSA_BITS, RSA_MAX_BITS};
use core::mem::swap;
use sha2::{Digest, Sha256};

/// An RSA public key with the exponent 65537. It borrows its modulus, which may be in flash.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rs256<'k> {
    modulus: &'k [u8],
}

impl<'k> Rs256<'k> {
    /// Makes a key from a modulus and an exponent (`n` and `e` of a JWK), big-endian.
    ///
    /// Returns `None` if the exponent is not 65537, or if the modulus is even, begins with a zero
    /// byte, does not have [`RSA_BITS`] to [`RSA_MAX_BITS`] bits, or can probably be factored
    /// (ROCA, CVE-2017-15361).
    pub const fn new(modulus: &'k [u8], exponent: &[u8]) -> Option<Self> {
        let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else {
            return None;
        };
        let bits = modulus.len() * 8 - first.leading_zeros() as usize;
        let good = *first != 0 && *last & 1 == 1 && bits >= RSA_BITS && bits <= RSA_MAX_BITS;
        if good && matches!(exponent, [1, 0, 1]) && !is_roca(modulus) { Some(Self { modulus }) } else { None }
    }
}

/// Whether the primes of a modulus were probably made by the library of CVE-2017-15361: modulo each
/// of these primes, the modulus is a power of 65537. About one good modulus in 2^27 has this
/// property, too.
const fn is_roca(modulus: &[u8]) -> bool {
    let mut primes: &[u32] = &[11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    while let [prime, rest @ ..] = primes {
        let (mut remainder, mut bytes) = (0, modulus);
        while let [byte, behind @ ..] = bytes {
            remainder = (remainder << 8 | *byte as u32) % *prime;
            bytes = behind;
        }
        let mut power = 1;
        while power != remainder {
            power = power * 65537 % *prime;
            if power == 1 {
                return false;
            }
        }
        primes = rest;
    }
    true
}

impl Verify for Rs256<'_> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Rs256
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Forged> {
        // RFC 8017 §8.2.2 step 1: the signature has exactly the length of the modulus.
        if signature.len() != self.modulus.len() {
            return Err(Forged);
        }
        let hash: [u8; 32] = Sha256::digest(message).into();
        // The numbers are on the stack, so a small key needs only the small stack frame.
        match self.modulus.len() {
            ..=256 => opens_to::<64>(self.modulus, signature, &hash),
            257..=384 => opens_to::<96>(self.modulus, signature, &hash),
            _ => opens_to::<128>(self.modulus, signature, &hash),
        }
    }
}

/// Raises `signature` to the power of 65537 and compares the result with the encoding of `hash`, in
/// numbers of `N` words.
#[inline(never)]
fn opens_to<const N: usize>(modulus: &[u8], signature: &[u8], hash: &[u8; 32]) -> Result<(), Forged> {
    // Step 2a, RSAVP1: a signature that is not below the modulus is out of range. Both have the
    // same length here.
    if signature >= modulus {
        return Err(Forged);
    }
    let mut field = Field::<N> { inverse: inverse(modulus), modulus: [0; N] };
    field.modulus.iter_mut().zip(words(modulus)).for_each(|(place, word)| *place = word);
    // The stack is scarce on a device, so two numbers alternate as source and target.
    let [mut power, mut next] = [&mut [0; N], &mut [0; N]];
    field.one_squared(&mut power, &mut next);
    field.times(&mut words(signature), power, next);
    swap(&mut power, &mut next);
    for _ in 0..16 {
        field.square(power, next);
        swap(&mut power, &mut next);
    }
    // The power is in Montgomery form and the signature is not, so the product is not in it either.
    field.times(&mut words(signature), power, next);
    if encodes(next, modulus.len(), hash) { Ok(()) } else { Err(Forged) }
}

/// Whether `number`, as `len` bytes, is the encoding of `hash` (RFC 8017 §9.2): `00 01 FF … FF 00`,
/// the algorithm of the hash, the hash. The expected encoding is built and compared; nothing is
/// parsed, so the check cannot be lenient.
fn encodes<const N: usize>(number: &[u32; N], len: usize, hash: &[u8; 32]) -> bool {
    let padding = len.saturating_sub(3 + DIGEST_INFO.len() + hash.len());
    let expected = [0, 1].into_iter().chain(core::iter::repeat_n(0xFF, padding)).chain([0]);
    let expected = expected.chain(DIGEST_INFO.iter().copied()).chain(hash.iter().copied());
    let bytes = number.iter().rev().flat_map(|word| word.to_be_bytes());
    let (zeros, number) = (bytes.clone().take(N * 4 - len), bytes.skip(N * 4 - len));
    zeros.eq(core::iter::repeat_n(0, N * 4 - len)) && number.eq(expected)
}

/// The DER encoding of the algorithm SHA-256 (RFC 8017 §9.2, note 1).
const DIGEST_INFO: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// Arithmetic modulo an odd number, by Montgomery's method with `R` = 2^(32·N). The lowest word of
/// a number comes first.
struct Field<const N: usize> {
    modulus: [u32; N],
    /// `-1/modulus` modulo 2^32.
    inverse: u32,
}

impl<const N: usize> Field<N> {
    /// Sets `sum` to `a·b/R`. `a`, `b` and the result are below the modulus.
    fn times(&self, a: &mut dyn Iterator<Item = u32>, b: &[u32; N], sum: &mut [u32; N]) {
        *sum = [0; N];
        let mut top = 0u32;
        for factor in a.chain(core::iter::repeat(0)).take(N) {
            let mut carry = 0u64;
            for (word, &other) in sum.iter_mut().zip(b) {
                carry += u64::from(*word) + u64::from(factor) * u64::from(other);
                *word = carry as u32;
                carry >>= 32;
            }
            let high = u64::from(top) + carry;
            // Adds the multiple of the modulus that makes the lowest word zero, and shifts the sum
            // by one word.
            let lowest = sum.first().copied().unwrap_or_default();
            let factor = u64::from(lowest.wrapping_mul(self.inverse));
            let mut carry = 0u64;
            let mut below: Option<&mut u32> = None;
            for (word, &other) in sum.iter_mut().zip(&self.modulus) {
                carry += u64::from(*word) + factor * u64::from(other);
                if let Some(below) = below {
                    *below = carry as u32;
                }
                carry >>= 32;
                below = Some(word);
            }
            carry += high;
            if let Some(last) = below {
                *last = carry as u32;
            }
            top = (carry >> 32) as u32;
        }
        if top != 0 || !less(sum, &self.modulus) {
            subtract(sum, &self.modulus);
        }
    }

    fn square(&self, number: &[u32; N], into: &mut [u32; N]) {
        self.times(&mut number.iter().copied(), number, into);
    }

    /// Sets `power`, which is zero, to `R²`. Multiplication by it converts a number to Montgomery
    /// form.
    fn one_squared<'p>(&self, power: &mut &'p mut [u32; N], next: &mut &'p mut [u32; N]) {
        // R² is 2·R to the power of 32·N: doubles to 2·R and a few steps more, then squares
        // repeatedly.
        let bits = 32 * N;
        let top = self.modulus.iter().rposition(|&word| word != 0).unwrap_or_default();
        let high = self.modulus.get(top).map_or(0, |word| 31 - word.leading_zeros());
        if let Some(word) = power.get_mut(top) {
            // The highest power of two below the modulus. The modulus is odd, so it is not a power
            // of two.
            *word = 1 << high;
        }
        let (odd, squarings) = (bits >> bits.trailing_zeros(), bits.trailing_zeros());
        for _ in 0..bits - (32 * top + high as usize) + odd {
            self.double(power);
        }
        for _ in 0..squarings {
            self.square(power, next);
            swap(power, next);
        }
    }

    fn double(&self, number: &mut [u32; N]) {
        let mut carry = 0;
        for word in number.iter_mut() {
            (*word, carry) = (*word << 1 | carry, *word >> 31);
        }
        if carry != 0 || !less(number, &self.modulus) {
            subtract(number, &self.modulus);
        }
    }
}

fn less<const N: usize>(a: &[u32; N], b: &[u32; N]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn subtract<const N: usize>(number: &mut [u32; N], by: &[u32; N]) {
    let mut borrow = false;
    for (word, &by) in number.iter_mut().zip(by) {
        let (less, first) = word.overflowing_sub(by);
        let (less, second) = less.overflowing_sub(borrow.into());
        (*word, borrow) = (less, first || second);
    }
}

/// Returns the words of a big-endian number, lowest first.
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |word, &byte| word << 8 | u32::from(byte)))
}

/// Returns `-1/modulus` modulo 2^32. Each step of Newton's method doubles the number of correct
/// bits.
fn inverse(modulus: &[u8]) -> u32 {
    let lowest = words(modulus).next().unwrap_or_default();
    let mut inverse: u32 = 1;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(lowest.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg()
}
