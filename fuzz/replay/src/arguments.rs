//! Declared arguments of each type, against serde and exact decimal arithmetic.

use crate::decimal;
use attache_core::json::{Text, Value};
use attache_core::tool::{Arguments, Fixed, List, Within};
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

attache_core::args! {
    /// One argument of each type.
    pub(crate) struct Every<'a> {
        /** a truth value */ truth: Option<bool>,
        /** a small number */ small: Option<u8>,
        /** a large number */ large: Option<i64>,
        /** a percentage */ share: Option<Within<u8, 0, 100>>,
        /** a decimal */ fixed: Option<Fixed<2, -4000, 12500>>,
        /** a float */ single: Option<f32>,
        /** a float */ double: Option<f64>,
        /** a mode */ mode: Option<Mode>,
        /** a text */ text: Option<Text<'a>>,
        /** a text in place, without escape sequences */ plain: Option<&'a str>,
        /** a text of one's own */ owned: Option<heapless::String<8>>,
        /** three numbers */ three: Option<[i16; 3]>,
        /** numbers of one's own */ some: Option<heapless::Vec<u8, 2>>,
        /** structs */ many: Option<List<'a, Point>>,
        /** a struct */ point: Option<Point>,
    }
}
attache_core::args! {
    /// A nested struct.
    #[derive(Clone, Copy)]
    pub(crate) struct Point {
        /** to the right */ x: i8,
        /** up */ y: i8 = -1,
        /** what it is */ mode: Option<Mode>,
    }
}
attache_core::args! {
    /// A closed set.
    #[derive(Clone, Copy, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Mode { Heat, RoomSensor }
}

/// The same arguments for serde.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Theirs<'a> {
    truth: Option<bool>,
    small: Option<Whole<0, 255>>,
    large: Option<Whole<{ i64::MIN }, { i64::MAX }>>,
    share: Option<Whole<0, 100>>,
    fixed: Option<Scaled>,
    single: Option<Single>,
    double: Option<Double>,
    mode: Option<Mode>,
    text: Option<String>,
    // A borrowed text has no escape sequences for serde either.
    #[serde(borrow)]
    plain: Option<&'a str>,
    owned: Option<String>,
    three: Option<[Whole<-32768, 32767>; 3]>,
    some: Option<Vec<Whole<0, 255>>>,
    many: Option<Vec<TheirPoint>>,
    point: Option<TheirPoint>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TheirPoint {
    x: Whole<-128, 127>,
    #[serde(default = "below")]
    y: Whole<-128, 127>,
    mode: Option<Mode>,
}

const fn below() -> Whole<-128, 127> {
    Whole(-1)
}

struct Whole<const MIN: i64, const MAX: i64>(i64);
struct Scaled(i64);
struct Single(f32);
struct Double(f64);

/// The text of a number.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        Ok(raw.to_owned())
    } else {
        Err(D::Error::custom("not a number"))
    }
}

fn within<E: Error>(raw: &str, min: i64, max: i64) -> Result<i64, E> {
    let (negative, magnitude) = decimal::whole(raw).map_err(|_| E::custom("not whole"))?;
    let value = if negative { -i128::from(magnitude) } else { magnitude.into() };
    i64::try_from(value).ok().filter(|value| (min..=max).contains(value)).ok_or(E::custom("out of range"))
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        within(&number(deserializer)?, MIN, MAX).map(Self)
    }
}

impl<'de> Deserialize<'de> for Scaled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = number(deserializer)?;
        // Moves the point by two places in the text.
        let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((&raw, "0"));
        let (front, back) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let back = format!("{back:0<2}");
        let (moved, rest) = back.split_at(2);
        within(&format!("{front}{moved}.{rest}0e{exponent}"), -4000, 12500).map(Self)
    }
}

/// Whether the number has few enough significant digits. A number that is printed with more of
/// them is refused.
fn is_short(raw: &str) -> bool {
    let mantissa = raw.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len() <= attache_core::limits::FLOAT_DIGITS
}

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = number(deserializer)?;
        let value = raw.parse().ok().filter(|value: &f32| value.is_finite() && is_short(&raw));
        value.map(Self).ok_or(D::Error::custom("out of range"))
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = number(deserializer)?;
        let value = raw.parse().ok().filter(|value: &f64| value.is_finite() && is_short(&raw));
        value.map(Self).ok_or(D::Error::custom("out of range"))
    }
}

/// Reads any JSON as declared arguments.
pub fn arguments(input: &[u8]) {
    let Ok(value) = Value::parse(input) else { return };
    if input.first() != Some(&b'{') {
        return;
    }
    let ours = Arguments::new(Some(value)).read::<Every<'_>>();
    // Bounds of the types that serde does not know.
    let theirs = serde_json::from_slice::<Theirs<'_>>(input).ok().filter(|theirs| {
        theirs.owned.as_ref().is_none_or(|text| text.len() <= 8)
            && theirs.some.as_ref().is_none_or(|some| some.len() <= 2)
    });
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => same(&ours, &theirs),
        (Err(error), None) => assert!(!error.to_string().is_empty()),
        (Ok(_), None) => panic!("taken, although serde refuses it"),
        (Err(error), Some(_)) => panic!("refused, although serde takes it: {error}"),
    }
}

fn same(ours: &Every<'_>, theirs: &Theirs<'_>) {
    assert_eq!(ours.truth, theirs.truth);
    assert_eq!(ours.small.map(i64::from), theirs.small.as_ref().map(|whole| whole.0));
    assert_eq!(ours.large, theirs.large.as_ref().map(|whole| whole.0));
    assert_eq!(ours.share.map(|share| share.get().into()), theirs.share.as_ref().map(|whole| whole.0));
    assert_eq!(ours.fixed.map(|fixed| fixed.units().into()), theirs.fixed.as_ref().map(|scaled| scaled.0));
    assert_eq!(ours.single.map(f32::to_bits), theirs.single.as_ref().map(|single| single.0.to_bits()));
    assert_eq!(ours.double.map(f64::to_bits), theirs.double.as_ref().map(|double| double.0.to_bits()));
    assert_eq!(ours.mode.map(|mode| mode.name()), theirs.mode.map(|mode| mode.name()));
    assert_eq!(ours.text.map(|text| text.chars().collect::<String>()), theirs.text);
    assert_eq!(ours.plain, theirs.plain);
    assert_eq!(ours.owned.as_deref(), theirs.owned.as_deref());
    let three = theirs.three.as_ref().map(|three| three.each_ref().map(|whole| whole.0));
    assert_eq!(ours.three.map(|three| three.map(i64::from)), three);
    let some = theirs.some.as_ref().map(|some| some.iter().map(|whole| whole.0).collect::<Vec<_>>());
    assert_eq!(ours.some.as_ref().map(|some| some.iter().map(|number| i64::from(*number)).collect::<Vec<_>>()), some);
    let points = |point: Point| (i64::from(point.x), i64::from(point.y), point.mode.map(|mode| mode.name()));
    let their_points = |point: &TheirPoint| (point.x.0, point.y.0, point.mode.map(|mode| mode.name()));
    assert_eq!(ours.point.map(points), theirs.point.as_ref().map(their_points));
    let many = theirs.many.as_ref().map(|many| many.iter().map(their_points).collect::<Vec<_>>());
    assert_eq!(ours.many.map(|many| many.iter().map(points).collect::<Vec<_>>()), many);
}
