//! A total order of JSON values in which equal values are those that JSON Schema calls equal: `1`
//! and `1.0` are the same number, and the members of an object have no order (JSON Schema 2020-12
//! core §4.2.2).

use core::cmp::Ordering;
use serde_json::{Map, Number, Value};

/// Compares two values. The depth of recursion is that of the values, which their parser limits.
pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => first(a.len().cmp(&b.len()), a.iter().zip(b).map(|(a, b)| order(a, b))),
        (Value::Object(a), Value::Object(b)) => objects(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Compares two numbers without rounding.
pub(super) fn numbers(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // A double with a fraction is smaller than 2^53, so the integer below it is exact.
        (Some(a), None) => floor(b).map_or_else(|| doubles(a as f64, b), |b| a.cmp(&b).then(Ordering::Less)),
        (None, Some(_)) => numbers(b, a).reverse(),
        (None, None) => doubles(a.as_f64().unwrap_or_default(), b),
    }
}

/// Whether a number has no fraction.
pub(super) fn is_whole(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|double| double.fract() == 0.0)
}

/// Returns a number without a fraction; `None` for others, and for doubles beyond the range of
/// `i128`.
pub(super) fn integer(number: &Number) -> Option<i128> {
    if let Some(number) = number.as_i64() {
        return Some(number.into());
    }
    if let Some(number) = number.as_u64() {
        return Some(number.into());
    }
    let double = number.as_f64()?;
    (double.fract() == 0.0 && double.abs() < LARGEST).then_some(double as i128)
}

/// 2^126: doubles below it convert to `i128` exactly.
const LARGEST: f64 = 8.507_059_173_023_462e37;

fn floor(number: &Number) -> Option<i128> {
    let double = number.as_f64()?;
    (double.abs() < LARGEST).then(|| double.floor() as i128)
}

fn doubles(a: f64, b: &Number) -> Ordering {
    // JSON has no number that is not comparable.
    a.partial_cmp(&b.as_f64().unwrap_or_default()).unwrap_or(Ordering::Equal)
}

fn objects(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    // The order of members depends on a feature of serde_json that another crate may enable.
    let sorted = |map: &'_ Map<String, Value>| {
        let mut names: Vec<String> = map.keys().cloned().collect();
        names.sort_unstable();
        names
    };
    let names = a.len().cmp(&b.len()).then_with(|| sorted(a).cmp(&sorted(b)));
    first(names, a.iter().map(|(name, value)| b.get(name).map_or(Ordering::Equal, |other| order(value, other))))
}

/// Returns the first comparison that is not `Equal`.
fn first(before: Ordering, mut each: impl Iterator<Item = Ordering>) -> Ordering {
    before.then_with(|| each.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal))
}

const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}
