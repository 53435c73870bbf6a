//! Reads integers by moving a decimal point in a string of digits. This is slow, but cannot round
//! or overflow.

use attache_core::json::NotAnInteger;

/// Returns the sign and the magnitude of the number written as `raw`.
pub(crate) fn whole(raw: &str) -> Result<(bool, u64), NotAnInteger> {
    let (negative, unsigned) = match raw.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, raw),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (front, back) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{front}{back}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        return Ok((negative, 0));
    }
    // The number of significant digits before the decimal point; negative if zeros follow the
    // point.
    let before = front.len() as i64 - leading as i64 + clamped(exponent);
    if before < significant.len() as i64 {
        return Err(NotAnInteger::OtherType);
    }
    // u64::MAX has twenty digits.
    if before > 20 {
        return Err(NotAnInteger::OutOfRange);
    }
    let padded = format!("{significant:0<width$}", width = before as usize);
    padded.parse().map(|magnitude| (negative, magnitude)).map_err(|_| NotAnInteger::OutOfRange)
}

/// Parses an exponent, clamped to a value that no input is long enough to compensate.
fn clamped(exponent: &str) -> i64 {
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, exponent.trim_start_matches('+')),
    };
    let digits = digits.trim_start_matches('0');
    sign * match digits.len() {
        0 => 0,
        1..=15 => digits.parse().expect("fifteen digits"),
        _ => 1_000_000_000_000_000,
    }
}
