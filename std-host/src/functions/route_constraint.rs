//! Constraints of parameters in routes, such as `{id:int}`, as ASP.NET Core has them.

use regex_lite::Regex;

#[derive(Clone, Debug)]
pub(super) enum Constraint {
    Alpha,
    Bool,
    DateTime,
    Guid,
    Int,
    Long,
    /// `decimal`, `double` and `float`
    Number,
    Required,
    Length {
        least: usize,
        most: usize,
    },
    Range {
        least: i64,
        most: i64,
    },
    Regex(Regex),
}

impl Constraint {
    /// Reads a constraint: a name, with arguments in parentheses if it has any.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "the constraint {text:?} is not supported; alpha, bool, datetime, decimal, double, float, guid, int, length(n), \
                 length(n,m), long, max(n), maxlength(n), min(n), minlength(n), range(n,m), regex(…) and required are"
            )
        };
        let (name, argument) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(unknown)?)),
            None => (text, None),
        };
        let read = match (name.to_ascii_lowercase().as_str(), argument) {
            ("alpha", None) => Some(Self::Alpha),
            ("bool", None) => Some(Self::Bool),
            ("datetime", None) => Some(Self::DateTime),
            ("decimal" | "double" | "float", None) => Some(Self::Number),
            ("guid", None) => Some(Self::Guid),
            ("int", None) => Some(Self::Int),
            ("long", None) => Some(Self::Long),
            ("required", None) => Some(Self::Required),
            ("regex", Some(pattern)) => return regex(pattern).map(Self::Regex),
            (name, Some(argument)) => Self::with_numbers(name, argument),
            _ => None,
        };
        read.ok_or_else(unknown)
    }

    fn with_numbers(name: &str, argument: &str) -> Option<Self> {
        let numbers: Vec<i64> = argument.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
        let length = |number: &i64| usize::try_from(*number).ok();
        Some(match (name, numbers.as_slice()) {
            ("min", [least]) => Self::Range { least: *least, most: i64::MAX },
            ("max", [most]) => Self::Range { least: i64::MIN, most: *most },
            ("range", [least, most]) => Self::Range { least: *least, most: *most },
            ("minlength", [least]) => Self::Length { least: length(least)?, most: usize::MAX },
            ("maxlength", [most]) => Self::Length { least: 0, most: length(most)? },
            ("length", [exactly]) => Self::Length { least: length(exactly)?, most: length(exactly)? },
            ("length", [least, most]) => Self::Length { least: length(least)?, most: length(most)? },
            _ => return None,
        })
    }

    /// Whether a value satisfies the constraint.
    pub(super) fn admits(&self, value: &str) -> bool {
        match self {
            Self::Alpha => value.chars().all(|char| char.is_ascii_alphabetic()),
            Self::Bool => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::DateTime => is_date(value),
            Self::Guid => is_guid(value),
            Self::Int => value.parse::<i32>().is_ok(),
            Self::Long => value.parse::<i64>().is_ok(),
            Self::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
            Self::Required => !value.is_empty(),
            // ASP.NET Core counts UTF-16 units.
            Self::Length { least, most } => (*least..=*most).contains(&value.encode_utf16().count()),
            Self::Range { least, most } => value.parse().is_ok_and(|number| (*least..=*most).contains(&number)),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Compiles the pattern of a route. Braces are doubled there, and case does not matter.
fn regex(pattern: &str) -> Result<Regex, String> {
    let pattern = pattern.replace("{{", "{").replace("}}", "}");
    let wrong = |error| format!("the constraint regex({pattern}) cannot be used: {error}");
    regex_lite::RegexBuilder::new(&pattern).case_insensitive(true).build().map_err(wrong)
}

/// Whether a text is a date (`2026-07-28`), which may have a time (`2026-07-28T12:30`, with seconds and a zone).
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once(['T', 't', ' ']).map_or((text, None), |(date, time)| (date, Some(time)));
    let number = |text: &str, length: usize, most: u32| {
        (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
            .is_some_and(|number: u32| number <= most)
    };
    let mut parts = date.splitn(3, '-');
    let mut part = |length, most| parts.next().is_some_and(|part| number(part, length, most) && part != "00");
    let is_day = part(4, 9999) && part(2, 12) && part(2, 31);
    let is_time = time.is_none_or(|time| {
        let time = time.trim_end_matches(['Z', 'z']);
        let time = time.split_once(['+', '-']).map_or(time, |(time, _)| time);
        let mut parts = time.splitn(3, ':');
        let mut part = |most| parts.next().is_some_and(|part| number(part, 2, most));
        part(23)
            && part(59)
            && parts.next().is_none_or(|part| part.parse().is_ok_and(|second: f64| (0.0..60.0).contains(&second)))
    });
    is_day && is_time
}

/// Whether a text is a GUID: 32 hexadecimal digits, alone or in groups of 8, 4, 4, 4 and 12, also in braces or parentheses.
fn is_guid(text: &str) -> bool {
    let pair = |open, close| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    let inside = pair('{', '}').or_else(|| pair('(', ')')).unwrap_or(text);
    let lengths: Vec<usize> = inside.split('-').map(str::len).collect();
    let is_hexadecimal = inside.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_hexadecimal && (lengths == [8, 4, 4, 4, 12] || (lengths == [32] && inside == text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraint_admits_the_values_of_its_kind() {
        for (constraint, good, bad) in [
            ("alpha", &["abc", "X"][..], &["a1", "ä"][..]),
            ("bool", &["true", "False"], &["1", ""]),
            (
                "datetime",
                &["2026-07-28", "2026-07-28T12:30:01.5Z", "2026-07-28 12:30", "2026-07-28T12:30+02:00"],
                &["7", "2026-13-01", "2026-07-28T25:00", "2026-00-01"],
            ),
            ("decimal", &["49.99", "-1"], &["x", "1,0", "inf"]),
            ("double", &["1.5e3"], &["", "nan"]),
            ("float", &["0.5"], &["one"]),
            (
                "guid",
                &[
                    "cd2c1638-1638-72d5-1638-deadbeef1638",
                    "{CD2C1638-1638-72D5-1638-DEADBEEF1638}",
                    "cd2c1638163872d51638deadbeef1638",
                ],
                &["cd2c1638", "cd2c1638-1638-72d5-1638-deadbeef163x"],
            ),
            ("int", &["7", "-7"], &["7.0", "3000000000"]),
            ("long", &["3000000000"], &["x"]),
            ("required", &["a"], &[""]),
            ("length(3)", &["abc"], &["ab", "abcd"]),
            ("length(2,3)", &["ab", "abc"], &["a", "abcd"]),
            ("minlength(2)", &["ab"], &["a"]),
            ("maxlength(2)", &["ab", ""], &["abc"]),
            ("min(18)", &["18"], &["17", "x"]),
            ("max(120)", &["-5", "120"], &["121"]),
            ("range(18, 120)", &["18", "91"], &["17", "121"]),
            ("regex(^\\d{{3}}-[a-z]$)", &["123-a", "123-A"], &["12-a", "123-ab"]),
        ] {
            let read = Constraint::read(constraint).expect(constraint);
            assert!(good.iter().all(|value| read.admits(value)), "{constraint} {good:?}");
            assert!(!bad.iter().any(|value| read.admits(value)), "{constraint} {bad:?}");
        }
    }
}
