//! Integers, as JSON Schema defines them: `1.0` and `1e2` are integers, `1.5` is not.

use super::{Kind, Value};

/// A signed integer. `-0` is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Integer {
    negative: bool,
    magnitude: u64,
}

/// The reasons why a value is not an [`Integer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NotAnInteger {
    /// The value is of another kind, or it is a number with a fraction.
    OtherType,
    /// The value is an integer of more than 64 bits.
    OutOfRange,
}

impl Integer {
    /// Converts the integer to the type `T`, or returns `None` if it does not fit.
    pub fn to<T: TryFrom<i64> + TryFrom<u64>>(self) -> Option<T> {
        if self.negative {
            0i64.checked_sub_unsigned(self.magnitude).and_then(|value| T::try_from(value).ok())
        } else {
            T::try_from(self.magnitude).ok()
        }
    }
}

impl Value<'_> {
    /// Returns the value as an integer. It never rounds, clamps, or reads a number out of a string.
    ///
    /// # Errors
    /// [`NotAnInteger`] tells a wrong type from a number that is out of range.
    // JSON Schema 2020-12 §6.1.1: "integer" matches any number with a zero fractional part.
    pub fn integer(&self) -> Result<Integer, NotAnInteger> {
        self.scaled(0)
    }

    /// The value times ten to the power of `places`, as a whole number: with one place `21.5` is 215. A number with more places is an
    /// error, because nothing is rounded.
    ///
    /// # Errors
    /// [`NotAnInteger`] says whether the type or the size is wrong.
    pub fn scaled(&self, places: u8) -> Result<Integer, NotAnInteger> {
        if self.kind() != Kind::Number {
            return Err(NotAnInteger::OtherType);
        }
        let (negative, digits) = match self.raw() {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let (mantissa, exponent) = split(digits);
        let exponent = exponent.saturating_add(places.into());
        let whole = mantissa.iter().take_while(|&&byte| byte != b'.').count();
        // The number of digits before the decimal point after the exponent has moved it.
        let kept = exponent.saturating_add(i64::try_from(whole).unwrap_or(i64::MAX));
        let mut magnitude = Some(0u64);
        let mut place = 0i64;
        for digit in mantissa.iter().filter(|&&byte| byte != b'.').map(|byte| u64::from(byte.wrapping_sub(b'0'))) {
            if place < kept {
                magnitude = magnitude.and_then(|value| value.checked_mul(10)?.checked_add(digit));
            } else if digit != 0 {
                return Err(NotAnInteger::OtherType);
            }
            place += 1;
        }
        while let Some(1..) = magnitude
            && place < kept
        {
            magnitude = magnitude.and_then(|value| value.checked_mul(10));
            place += 1;
        }
        let magnitude = magnitude.ok_or(NotAnInteger::OutOfRange)?;
        Ok(Integer { negative: negative && magnitude != 0, magnitude })
    }
}

/// Mantissa digits with their point, and the exponent (saturated at 64 bits).
pub(super) fn split(digits: &[u8]) -> (&[u8], i64) {
    let mut parts = digits.splitn(2, |byte| matches!(byte, b'e' | b'E'));
    let mantissa = parts.next().unwrap_or_default();
    let exponent = parts.next().unwrap_or_default();
    let mut value = 0i64;
    for digit in exponent.iter().filter(|byte| byte.is_ascii_digit()) {
        value = value.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0')));
    }
    (mantissa, if exponent.first() == Some(&b'-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        for (written, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("0e99999999999999999999", 0),
            ("1.0", 1),
            ("1e2", 100),
            ("1.50e1", 15),
            ("1200e-2", 12),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807", i64::MAX),
        ] {
            let read = Value::parse(written.as_bytes()).unwrap().integer().unwrap();
            assert_eq!(read.to::<i64>(), Some(value), "{written}");
        }
    }

    #[test]
    fn decimals_are_scaled_exactly_or_refused() {
        for (written, places, value) in [
            ("21.5", 1, Ok(215)),
            ("21.50", 1, Ok(215)),
            ("-0.05", 2, Ok(-5)),
            ("2.15e1", 1, Ok(215)),
            ("7", 3, Ok(7000)),
            ("21.55", 1, Err(NotAnInteger::OtherType)),
            ("1e19", 1, Err(NotAnInteger::OutOfRange)),
            ("\"21.5\"", 1, Err(NotAnInteger::OtherType)),
        ] {
            let read = Value::parse(written.as_bytes()).unwrap().scaled(places);
            assert_eq!(read.map(|number| number.to::<i64>().unwrap()), value, "{written}");
        }
    }

    #[test]
    fn fractions_and_too_large_numbers_are_refused() {
        for (written, error) in [
            ("1.5", NotAnInteger::OtherType),
            ("1e-1", NotAnInteger::OtherType),
            ("12e-2", NotAnInteger::OtherType),
            ("1e-99999999999999999999", NotAnInteger::OtherType),
            ("\"1\"", NotAnInteger::OtherType),
            ("18446744073709551616", NotAnInteger::OutOfRange),
            ("1e400", NotAnInteger::OutOfRange),
            ("1e99999999999999999999", NotAnInteger::OutOfRange),
        ] {
            assert_eq!(Value::parse(written.as_bytes()).unwrap().integer(), Err(error), "{written}");
        }
    }

    #[test]
    fn number_beyond_the_callers_type_is_none() {
        let value = |written: &'static str| Value::parse(written.as_bytes()).unwrap().integer().unwrap();
        assert_eq!(value("255").to::<u8>(), Some(255));
        assert_eq!(value("256").to::<u8>(), None);
        assert_eq!(value("-1").to::<u8>(), None);
        assert_eq!(value("-128").to::<i8>(), Some(-128));
        assert_eq!(value("18446744073709551615").to::<u64>(), Some(u64::MAX));
        assert_eq!(value("18446744073709551615").to::<i64>(), None);
    }
}
