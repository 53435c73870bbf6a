//! Patterns with `*` for names and URIs.

use super::uri::{self, Readings};

/// A pattern of a policy. `*` matches any characters, also none; everything else matches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    /// The literal texts between the stars, for names and in the two readings of URIs.
    name: Vec<String>,
    normal: Vec<String>,
    decoded: Vec<String>,
}

/// The value that a pattern is compared with.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Name(&'a str),
    Uri(&'a Readings),
}

impl Pattern {
    pub(super) fn new(text: String) -> Self {
        let name: Vec<_> = text.split('*').map(str::to_owned).collect();
        let mut normal: Vec<_> = name.iter().map(|part| uri::normal_escapes(part)).collect();
        let mut decoded: Vec<_> = name.iter().map(|part| uri::decoded(part)).collect();
        for parts in [&mut normal, &mut decoded] {
            if let Some(first) = parts.first_mut() {
                *first = uri::lower_origin(first);
            }
        }
        Self { text, name, normal, decoded }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches the name, or at least one reading of the URI.
    pub(super) fn matches_some(&self, subject: Subject<'_>) -> bool {
        match subject {
            Subject::Name(name) => fits(&self.name, name),
            Subject::Uri(uri) => fits(&self.normal, &uri.normal) || fits(&self.decoded, &uri.decoded),
        }
    }

    /// Whether one of `patterns` matches the name, or whether each reading of the URI is matched by
    /// one of them.
    pub(super) fn match_all(patterns: &[Self], subject: Subject<'_>) -> bool {
        let any = |fits: &dyn Fn(&Self) -> bool| patterns.iter().any(fits);
        match subject {
            Subject::Name(name) => any(&|pattern| fits(&pattern.name, name)),
            Subject::Uri(uri) => {
                any(&|pattern| fits(&pattern.normal, &uri.normal))
                    && any(&|pattern| fits(&pattern.decoded, &uri.decoded))
            }
        }
    }

    /// Whether the pattern can match a URI of this template.
    pub(super) fn meets_template(&self, template: &str) -> bool {
        let mut literals = vec![String::new()];
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once('{') {
            literals.last_mut().into_iter().for_each(|last| last.push_str(before));
            literals.push(String::new());
            rest = behind.split_once('}').map_or("", |(_, behind)| behind);
        }
        literals.last_mut().into_iter().for_each(|last| last.push_str(rest));
        let both = |own: &[String], read: &dyn Fn(&str) -> String| {
            let mut literals: Vec<_> = literals.iter().map(|literal| read(literal)).collect();
            literals.first_mut().into_iter().for_each(|first| *first = uri::lower_origin(first));
            meet(own, &literals)
        };
        both(&self.normal, &uri::normal_escapes) || both(&self.decoded, &uri::decoded)
    }

    /// Whether there are names or URIs that both patterns match.
    pub(super) fn meets(&self, other: &Self) -> bool {
        meet(&self.name, &other.name)
    }

    /// Whether the pattern matches everything that `other` matches. Some cases are not recognized.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // A star of `other` is compared as a character, which only a star of `self` matches: literal
        // texts contain no star.
        fits(&self.name, &other.text)
    }
}

/// Whether a text consists of these literals with anything between them.
fn fits(literals: &[String], text: &str) -> bool {
    let (first, middle, last) = match literals {
        [] => return text.is_empty(),
        [only] => return only == text,
        [first, middle @ .., last] => (first, middle, last),
    };
    let Some(rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    // Taking the first place of each literal leaves the most for the next one.
    let mut rest = rest;
    middle.iter().all(|literal| match rest.split_once(literal.as_str()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Whether there is a text that both lists of literals fit.
fn meet(one: &[String], other: &[String]) -> bool {
    let steps = |literals: &[String]| {
        let mut steps = Vec::new();
        for (number, literal) in literals.iter().enumerate() {
            if number > 0 {
                steps.push(None);
            }
            steps.extend(literal.chars().map(Some));
        }
        steps
    };
    let (one, other) = (steps(one), steps(other));
    if one.len().saturating_mul(other.len()) > MOST_STEPS {
        return true;
    }
    // `after[j]`: whether the steps behind the current one of `one`, and those from `j` on of
    // `other`, have a common text.
    let ends = |steps: &[Option<char>]| steps.iter().all(Option::is_none);
    let mut after: Vec<bool> = (0..=other.len()).map(|from| ends(&other[from..])).collect();
    for at in (0..one.len()).rev() {
        let mut now = vec![false; other.len() + 1];
        now[other.len()] = ends(&one[at..]);
        for from in (0..other.len()).rev() {
            now[from] = match (one[at], other[from]) {
                (None, _) => after[from] || now[from + 1],
                (_, None) => now[from + 1] || after[from],
                (Some(a), Some(b)) => a == b && after[from + 1],
            };
        }
        after = now;
    }
    after[0]
}

/// The largest product of two lengths that is computed. Longer templates count as matched, so that
/// their scopes are required.
const MOST_STEPS: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.to_owned())
    }

    #[test]
    fn star_matches_any_text_and_everything_else_itself() {
        for (text, name, matches) in [
            ("get", "get", true),
            ("get", "gets", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything/at:all", true),
            ("get_*", "get_", true),
            ("get_*", "get", false),
            ("*_get", "crm_get", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("a*bc*c", "abcc", true),
            ("a*bc*c", "abc", false),
            ("**", "x", true),
            ("Get", "get", false),
            ("a.c", "abc", false),
            ("é*", "école", true),
        ] {
            assert_eq!(pattern(text).matches_some(Subject::Name(name)), matches, "{text:?} {name:?}");
        }
    }

    #[test]
    fn patterns_with_a_common_text_meet_and_a_wider_pattern_covers_a_narrower_one() {
        for (one, other, meets, covers) in [
            ("a", "a", true, true),
            ("a", "b", false, false),
            ("*", "a*", true, true),
            ("a*", "*", true, false),
            ("a*", "*a", true, false),
            ("a*b", "ac*", true, false),
            ("a*b", "c*", false, false),
            ("crm_*", "get_*", false, false),
            ("crm_*", "crm_get_*", true, true),
            ("*x*", "y*", true, false),
            ("*x", "*y", false, false),
            ("", "*", true, false),
            ("", "a*", false, false),
        ] {
            assert_eq!(pattern(one).meets(&pattern(other)), meets, "{one:?} {other:?}");
            assert_eq!(pattern(other).meets(&pattern(one)), meets, "{other:?} {one:?}");
            assert_eq!(pattern(one).covers(&pattern(other)), covers, "{one:?} {other:?}");
        }
    }

    #[test]
    fn pattern_meets_the_templates_that_have_a_uri_which_it_matches() {
        for (text, template, meets) in [
            ("file:///secret/*", "file:///{dir}/{name}", true),
            ("file:///secret/*", "file:///public/{name}", false),
            ("file:///secret/a", "file:///secret/{name}", true),
            ("FILE:///%73ecret/*", "file:///secret/{name}", true),
            ("file:///a", "file:///{broken", true),
            ("file:///a", "file:///b", false),
        ] {
            assert_eq!(pattern(text).meets_template(template), meets, "{text:?} {template:?}");
        }
    }
}
