//! Patterns of routes, such as `/admin/*` or the platform's `admin/{*rest}`.

use core::cmp::Ordering;
use core::fmt;
use percent_encoding::percent_decode_str;

/// A pattern for paths. `*` or `{*name}` as the last segment matches any rest, also none; `{name}` matches one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Without escapes.
    Literal(String),
    One,
    Rest,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern(String);

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "{text:?} is not a route: write a path such as /status, or /admin/* for everything below /admin; {{name}} is any one segment"
        )
    }
}

impl core::error::Error for InvalidPattern {}

impl RoutePattern {
    /// Parses a pattern. A leading slash may be missing.
    ///
    /// # Errors
    /// If a path could never match it, or if it has a wildcard in another place.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        let inside = text.strip_prefix('/').unwrap_or(text);
        let parts: Vec<&str> = inside.split('/').filter(|part| !part.is_empty()).collect();
        if super::path::is_ambiguous(&text.replace(['{', '}', '*', '?'], "")) {
            return Err(invalid());
        }
        let segment = |(number, part): (usize, &&str)| {
            let named = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let is_rest = *part == "*" || named.is_some_and(|name| name.starts_with('*'));
            match named {
                _ if is_rest => (number + 1 == parts.len()).then_some(Segment::Rest),
                // A parameter that may be missing, or has a constraint or a default, is the matter of the platform's router.
                Some(name) if !name.is_empty() && !name.contains(['?', ':', '=', '*', '{']) => Some(Segment::One),
                None if !part.contains(['{', '}', '*', '?']) => {
                    Some(Segment::Literal(percent_decode_str(part).decode_utf8_lossy().into_owned()))
                }
                _ => None,
            }
        };
        parts.iter().enumerate().map(segment).collect::<Option<_>>().map(Self).ok_or_else(invalid)
    }

    /// The path that all matching paths begin with.
    pub fn literal_start(&self) -> String {
        let literals = self.0.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::One | Segment::Rest => None,
        });
        let path = literals.fold(String::new(), |path, segment| path + "/" + segment);
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// Whether the pattern matches a path without escapes. A path with a slash at its end is the same path.
    pub(super) fn matches(&self, path: &str, is_same: fn(&str, &str) -> bool) -> bool {
        let mut given = path.split('/').filter(|part| !part.is_empty());
        for segment in &self.0 {
            let fits = match segment {
                Segment::Rest => return true,
                Segment::One => given.next().is_some(),
                Segment::Literal(literal) => given.next().is_some_and(|part| is_same(part, literal)),
            };
            if !fits {
                return false;
            }
        }
        given.next().is_none()
    }

    /// Whether the pattern matches this path, which is without escapes.
    pub fn covers(&self, path: &str) -> bool {
        self.matches(path, |one, other| one == other)
    }

    /// The order in which patterns are tried: literals before parameters before wildcards.
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |pattern: &Self, number: usize| match pattern.0.get(number) {
            Some(Segment::Literal(_)) => 0,
            Some(Segment::One) => 1,
            None => 2,
            Some(Segment::Rest) => 3,
        };
        let longest = self.0.len().max(other.0.len());
        let orders = (0..longest).map(|number| rank(self, number).cmp(&rank(other, number)));
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::One => f.write_str("/{}"),
            Segment::Rest => f.write_str("/*"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(one: &str, other: &str) -> bool {
        one == other
    }

    #[test]
    fn pattern_matches_paths_and_the_most_specific_one_comes_first() {
        for (pattern, path, matched) in [
            ("/admin", "/admin", true),
            ("/admin", "/admin/", true),
            ("/admin", "/admin/a", false),
            ("/admin", "/Admin", false),
            ("admin/{*rest}", "/admin", true),
            ("/admin/*", "/admin/a/b", true),
            ("/admin/*", "/administrator", false),
            ("/items/{id}/x", "/items/7/x", true),
            ("/items/{id}", "/items", false),
            ("{*route}", "/", true),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            let parsed = RoutePattern::parse(pattern).expect("a pattern");
            assert_eq!(parsed.matches(path, exact), matched, "{pattern} {path}");
        }
        let mut patterns =
            ["/*", "/a/*", "/{x}/b", "/a/b", "/a"].map(|text| RoutePattern::parse(text).expect("a pattern"));
        patterns.sort_by(RoutePattern::order);
        assert_eq!(patterns.map(|pattern| pattern.to_string()), ["/a/b", "/a", "/a/*", "/{}/b", "/*"]);
    }

    #[test]
    fn text_that_no_path_can_match_is_refused() {
        for text in ["/a/../b", "//a", "/a;b", "/*/a", "/a*", "/{id:int}", "/{id?}", "/{}", "/a%2Fb", "/%61"] {
            assert!(RoutePattern::parse(text).is_err(), "{text}");
        }
    }
}
