//! Numbers in a range, and decimals with a fixed number of places: measured values and set points,
//! without floating point.

use super::argument::Argument;
use super::schema::Expected;
use crate::json::{Decimal, Integer, Part, Value};
use core::ops::Deref;

/// An integer from `MIN` to `MAX`, both included: `Within<u8, 0, 100>` is a percentage. Others are refused, not clamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Within<T, const MIN: i64, const MAX: i64>(T);

impl<T: Copy + Into<i64>, const MIN: i64, const MAX: i64> Within<T, MIN, MAX> {
    /// Creates this number; `None` if it is out of range.
    pub fn new(number: T) -> Option<Self> {
        (MIN..=MAX).contains(&number.into()).then_some(Self(number))
    }

    /// The number.
    pub const fn get(self) -> T {
        self.0
    }
}

impl<T, const MIN: i64, const MAX: i64> Deref for Within<T, MIN, MAX> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'a, T, const MIN: i64, const MAX: i64> Argument<'a> for Within<T, MIN, MAX>
where
    T: Argument<'a> + Copy + Into<i64>,
{
    const EXPECTED: Expected = Expected {
        bounds: &[Part::Json(",\"minimum\":"), Part::Number(MIN), Part::Json(",\"maximum\":"), Part::Number(MAX)],
        ..Expected::of(
            "integer",
            &[Part::Json("an integer from "), Part::Number(MIN), Part::Json(" to "), Part::Number(MAX)],
        )
    };

    fn read(value: Value<'a>) -> Option<Self> {
        Self::new(T::read(value)?)
    }
}

/// A decimal number with at most `PLACES` places behind the point, from `MIN` to `MAX` in units of the last place. `Fixed<1>` holds
/// 21.5 as 215, and `Fixed<1, 50, 300>` goes from 5.0 to 30.0. A number with more places is refused, not rounded.
///
/// It needs no floating point, which some processors have to emulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fixed<const PLACES: u8, const MIN: i32 = { i32::MIN }, const MAX: i32 = { i32::MAX }>(i32);

impl<const PLACES: u8, const MIN: i32, const MAX: i32> Fixed<PLACES, MIN, MAX> {
    const UNIT: &str = if PLACES == 1 { " decimal place" } else { " decimal places" };
    const PLACED: () = assert!(PLACES <= 9, "a Fixed has 9 places at most");

    /// The bounds of the number in a schema.
    pub(super) const BOUNDS: &'static [Part<'static>] = &[
        Part::Json(",\"minimum\":"),
        Part::Fixed(MIN as i64, PLACES),
        Part::Json(",\"maximum\":"),
        Part::Fixed(MAX as i64, PLACES),
    ];

    /// Creates a number from units of the last place: 215 is 21.5 for `Fixed<1>`. `None` if it is
    /// out of range.
    pub const fn new(units: i32) -> Option<Self> {
        const { Self::PLACED };
        if units >= MIN && units <= MAX { Some(Self(units)) } else { None }
    }

    /// Creates the decimal number that is nearest to `number`; `None` if that is out of range, or
    /// if `number` is `NaN`.
    pub fn nearest(number: f32) -> Option<Self> {
        let mut units = f64::from(number);
        (0..PLACES).for_each(|_| units *= 10.0);
        let rounded = if units < 0.0 { units - 0.5 } else { units + 0.5 };
        // The cast saturates a number outside of 64 bits, so the result is out of range; the cast
        // of NaN is 0.
        let units = i32::try_from(rounded as i64).ok().filter(|_| !number.is_nan())?;
        Self::new(units)
    }

    /// The number in units of the last place.
    pub const fn units(self) -> i32 {
        self.0
    }

    /// The number in decimal.
    pub fn decimal(self) -> Decimal {
        Decimal::fixed(self.0.into(), PLACES)
    }
}

impl<'a, const PLACES: u8, const MIN: i32, const MAX: i32> Argument<'a> for Fixed<PLACES, MIN, MAX> {
    // A schema could say `multipleOf`, but validators that divide by a float would then refuse 0.3 as a multiple of 0.1.
    const EXPECTED: Expected = Expected {
        bounds: Self::BOUNDS,
        ..Expected::of(
            "number",
            &[
                Part::Json("a number from "),
                Part::Fixed(MIN as i64, PLACES),
                Part::Json(" to "),
                Part::Fixed(MAX as i64, PLACES),
                Part::Json(" with at most "),
                Part::Number(PLACES as i64),
                Part::Json(Self::UNIT),
            ],
        )
    };

    fn read(value: Value<'a>) -> Option<Self> {
        value.scaled(PLACES).ok().and_then(Integer::to).and_then(Self::new)
    }
}
