//! Floating-point numbers, rounded correctly. `str::parse` does the same with tables of ten kilobytes; a device has no room for
//! those, and reads few such numbers.

use super::number::split;
use super::{Kind, Value};
use crate::limits;

/// A binary format of IEEE 754: bits of the significand, and of the exponent.
#[derive(Clone, Copy)]
struct Format {
    significand: u32,
    exponent: u32,
}

const SINGLE: Format = Format { significand: 24, exponent: 8 };
const DOUBLE: Format = Format { significand: 53, exponent: 11 };

impl Value<'_> {
    /// The number that is nearest in `f32`. `None` if the value is not a number, is beyond the range of the type, or has more than
    /// [`limits::FLOAT_DIGITS`] significant digits.
    pub fn f32(&self) -> Option<f32> {
        let bits = u32::try_from(self.float(SINGLE)?).ok()?;
        Some(f32::from_bits(bits))
    }

    /// The number that is nearest in `f64`. `None` if the value is not a number, is beyond the range of the type, or has more than
    /// [`limits::FLOAT_DIGITS`] significant digits.
    pub fn f64(&self) -> Option<f64> {
        self.float(DOUBLE).map(f64::from_bits)
    }

    fn float(&self, format: Format) -> Option<u64> {
        if self.kind() != Kind::Number {
            return None;
        }
        let (negative, digits) = match self.raw() {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let (mantissa, exponent) = split(digits);
        let (mut number, mut exponent) = (Big::new(), exponent);
        let (mut significant, mut zeros, mut fraction) = (0, 0u32, false);
        for byte in mantissa {
            if *byte == b'.' {
                fraction = true;
                continue;
            }
            if fraction {
                exponent = exponent.saturating_sub(1);
            }
            // Zeros count once a digit follows them.
            if *byte == b'0' {
                zeros = zeros.saturating_add(1);
                continue;
            }
            let behind = if significant == 0 { 0 } else { zeros };
            significant += behind.saturating_add(1) as usize;
            if significant > limits::FLOAT_DIGITS {
                return None;
            }
            (0..behind).for_each(|_| number.push(0));
            number.push(byte.wrapping_sub(b'0'));
            zeros = 0;
        }
        let exponent = exponent.saturating_add(zeros.into());
        let sign = u64::from(negative) << (format.significand + format.exponent - 1);
        if significant == 0 {
            return Some(sign);
        }
        number.scaled(exponent, format).map(|bits| bits | sign)
    }
}

/// A whole number with room for the largest that is needed: 40 digits times 2 to the power of 1,216.
struct Big {
    /// The lowest first.
    limbs: [u32; LIMBS],
    /// The number of them that are in use.
    len: usize,
}

const LIMBS: usize = 43;

/// Most limbs by which a number is moved up before it is divided: enough for 10 to the power of 366.
const SHIFT: usize = 38;

/// Decimal exponents beyond which every number is zero or infinite in both formats: `5e-324` with 40 digits has -363.
const EXPONENTS: core::ops::RangeInclusive<i64> = -366..=309;

impl Big {
    const fn new() -> Self {
        Self { limbs: [0; LIMBS], len: 0 }
    }

    /// Multiplies by ten and adds `digit`.
    fn push(&mut self, digit: u8) {
        let mut carry = u64::from(digit);
        for limb in self.limbs.iter_mut().take(self.len) {
            carry += u64::from(*limb) * 10;
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0
            && let Some(limb) = self.limbs.get_mut(self.len)
        {
            *limb = carry as u32;
            self.len += 1;
        }
    }

    /// Divides by ten, and returns whether something is left.
    fn divide(&mut self) -> bool {
        let mut rest = 0u64;
        for limb in self.limbs.iter_mut().take(self.len).rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / 10) as u32;
            rest = value % 10;
        }
        rest != 0
    }

    /// The bits of this number times ten to the power of `exponent`, rounded to nearest and ties to even; `None` if it is infinite.
    fn scaled(mut self, exponent: i64, format: Format) -> Option<u64> {
        if exponent < *EXPONENTS.start() {
            return Some(0);
        }
        if exponent > *EXPONENTS.end() {
            return None;
        }
        (0..exponent).for_each(|_| self.push(0));
        // Ten to the power of n has at most 27 n / 256 limbs, and the quotient is to have 64 bits.
        let shift = if exponent < 0 { (3 + exponent.unsigned_abs() as usize * 27 / 256).min(SHIFT) } else { 0 };
        self.limbs.rotate_right(shift);
        self.len = (self.len + shift).min(LIMBS);
        let mut inexact = false;
        for _ in exponent..0 {
            inexact |= self.divide();
        }
        self.rounded(-32 * shift as i32, inexact, format)
    }

    /// The bits of this number times two to the power of `moved`; `inexact` if it is a little larger than that.
    fn rounded(&self, moved: i32, mut inexact: bool, format: Format) -> Option<u64> {
        let Format { significand, exponent } = format;
        let bias = (1i32 << (exponent - 1)) - 1;
        let length = self.length() as i32;
        // The lowest bit that is kept: as many bits as there are in the format, fewer for subnormal numbers.
        let lowest = (length - significand as i32).max(1 - bias - (significand as i32 - 1) - moved);
        let mut kept = 0u64;
        let mut half = false;
        for at in (0..length).rev() {
            let bit = self.bit(at);
            if at >= lowest {
                kept = kept << 1 | u64::from(bit);
            } else if at == lowest - 1 {
                half = bit;
            } else {
                inexact |= bit;
            }
        }
        if lowest < 0 {
            kept <<= lowest.unsigned_abs().min(63);
        }
        if half && (inexact || kept & 1 == 1) {
            kept += 1;
        }
        let power = lowest + moved + significand as i32 - 1;
        // A carry out of the significand, and a subnormal number that has become a normal one, move the exponent by themselves.
        let hidden = 1u64 << (significand - 1);
        if kept < hidden {
            return Some(kept);
        }
        let bits = ((power + bias - 1) as u64) << (significand - 1);
        let bits = bits.wrapping_add(kept);
        let infinity = ((1u64 << exponent) - 1) << (significand - 1);
        (power + bias >= 1 && bits < infinity).then_some(bits)
    }

    /// Returns the number of bits.
    fn length(&self) -> usize {
        let top = self.limbs.iter().rposition(|limb| *limb != 0);
        let limb = top.and_then(|top| self.limbs.get(top)).copied().unwrap_or_default();
        32 * top.unwrap_or_default() + (32 - limb.leading_zeros()) as usize
    }

    fn bit(&self, at: i32) -> bool {
        let limb = usize::try_from(at / 32).ok().and_then(|index| self.limbs.get(index)).copied().unwrap_or_default();
        limb >> (at % 32) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    fn read(text: &str) -> Value<'_> {
        Value::parse(text.as_bytes()).unwrap()
    }

    /// The standard library is the oracle.
    fn same(text: &str) {
        let (single, double) = (text.parse::<f32>().unwrap(), text.parse::<f64>().unwrap());
        let finite = |is: bool, bits: u64| is.then_some(bits);
        assert_eq!(
            read(text).f32().map(|value| u64::from(value.to_bits())),
            finite(single.is_finite(), single.to_bits().into()),
            "{text} as f32"
        );
        assert_eq!(read(text).f64().map(f64::to_bits), finite(double.is_finite(), double.to_bits()), "{text} as f64");
    }

    #[test]
    fn numbers_are_rounded_as_the_standard_library_does() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0e5",
            "1",
            "-1.5",
            "21.5",
            "0.1",
            "1e-1",
            "100",
            "1.0e2",
            "3.4028235e38",
            "3.4028236e38",
            "1.7976931348623157e308",
            "1.7976931348623159e308",
            "1e309",
            "1e400",
            "1e-400",
            "5e-324",
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "2.2250738585072014e-308",
            "2.2250738585072011e-308",
            "1.1754943508222875e-38",
            "1.401298464324817e-45",
            "7.006492321624085e-46",
            "7.006492321624086e-46",
            "9007199254740993",
            "9007199254740992.5",
            "16777217",
            "16777217.0000000000000000000000001",
            "0.000000000000000000000000000000000000001e39",
            "1e999999999999999999",
            "123456789012345678901234567890",
            "8.5e-5",
            "1000000000000000000000000000000000000000000000000",
            "0e999999999999999999999",
        ] {
            same(text);
        }
    }

    #[test]
    fn every_power_of_ten_and_a_great_many_bit_patterns_are_read_back() {
        for exponent in -370..330 {
            for digits in ["1", "9.9999999999999999", "4.35", "1.7976931348623158", "2.225073858507201"] {
                same(&format!("{digits}e{exponent}"));
            }
        }
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        for _ in 0..5000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (single, double) = (f32::from_bits(state as u32), f64::from_bits(state));
            for text in
                [single.is_finite().then(|| format!("{single:e}")), double.is_finite().then(|| format!("{double:e}"))]
            {
                text.iter().for_each(|text| same(text));
            }
        }
    }

    #[test]
    fn number_of_too_many_digits_and_what_is_no_number_are_refused() {
        let digits = |count: usize| "1".repeat(count);
        assert!(read(&digits(limits::FLOAT_DIGITS)).f64().is_some());
        assert!(read(&digits(limits::FLOAT_DIGITS + 1)).f64().is_none());
        for other in ["\"1.5\"", "null", "true", "[1.5]"] {
            assert!(read(other).f64().is_none() && read(other).f32().is_none(), "{other}");
        }
    }
}
