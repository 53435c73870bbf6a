//! The patterns of `pattern` and `patternProperties`: regular expressions of ECMA-262 with the flag
//! `u` (JSON Schema 2020-12 core §6.4), translated for the crate `regex-lite`, which matches in
//! linear time.
//!
//! `\d`, `\w` and `\b` are those of ASCII in both. `.` and `\s` are translated. Patterns with
//! lookaround, back references or classes of Unicode (`\p{…}`) are not supported.

use core::iter::Peekable;
use core::str::Chars;
use regex_lite::Regex;

/// A regular expression. It matches anywhere in a text unless it is anchored.
#[derive(Debug)]
pub(super) struct Pattern(Regex, String);

impl Pattern {
    /// Compiles a pattern. `None` if it is not supported.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        Some(Self(Regex::new(&translated(pattern)?).ok()?, pattern.to_owned()))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The pattern as the schema has it.
    pub(super) fn text(&self) -> &str {
        &self.1
    }
}

/// White space and line terminators (ECMA-262 §22.2.2.9, `\s`).
const SPACE: &str = r"\t-\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

/// Translates a pattern of ECMA-262. `None` if it has a construct that `regex-lite` does not have,
/// or reads differently.
fn translated(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            // ECMA-262 §22.2.2.7: all but line terminators.
            '.' => out.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            '\\' => escape(rest.next()?, &mut rest, false, &mut out)?,
            '[' => class(&mut rest, &mut out)?,
            '(' => group(&mut rest, &mut out)?,
            '{' => quantifier(&mut rest, &mut out)?,
            other => out.push(other),
        }
    }
    Some(out)
}

/// The part of a group after its bracket. Lookaround and flags are not supported.
fn group(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('(');
    if rest.next_if_eq(&'?').is_none() {
        return Some(());
    }
    out.push('?');
    match (rest.next()?, rest.peek()) {
        (':', _) => out.push(':'),
        ('<', Some(after)) if !matches!(after, '=' | '!') => out.push('<'),
        _ => return None,
    }
    Some(())
}

/// The part of `{2}`, `{2,}` or `{2,3}` after its bracket.
fn quantifier(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('{');
    let mut digits = 0;
    loop {
        match rest.next()? {
            digit if digit.is_ascii_digit() => {
                digits += 1;
                out.push(digit);
            }
            ',' if digits > 0 => out.push(','),
            '}' if digits > 0 => break,
            _ => return None,
        }
    }
    out.push('}');
    Some(())
}

/// The part of a class after its bracket.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    // In ECMA-262, `[]` matches nothing. In `regex-lite`, the bracket is a member.
    if rest.peek() == Some(&']') {
        return None;
    }
    loop {
        match rest.next()? {
            ']' => break,
            '\\' => escape(rest.next()?, rest, true, out)?,
            // These are operators on sets in `regex-lite`, alone or doubled.
            letter @ ('[' | '&' | '~') => out.extend(['\\', letter]),
            '-' if rest.peek() == Some(&'-') => return None,
            letter => out.push(letter),
        }
    }
    out.push(']');
    Some(())
}

/// An escape, after its backslash.
fn escape(letter: char, rest: &mut Peekable<Chars<'_>>, in_class: bool, out: &mut String) -> Option<()> {
    match letter {
        's' if in_class => out.push_str(SPACE),
        's' => out.push_str(&format!("[{SPACE}]")),
        'S' if !in_class => out.push_str(&format!("[^{SPACE}]")),
        'b' if in_class => out.push_str(r"\x08"),
        'B' if in_class => return None,
        'd' | 'D' | 'w' | 'W' | 'b' | 'B' | 'n' | 'r' | 't' | 'f' | 'v' => out.extend(['\\', letter]),
        '0' if !rest.peek().is_some_and(char::is_ascii_digit) => out.push_str(r"\x00"),
        'x' => {
            out.push_str(r"\x");
            for _ in 0..2 {
                out.push(rest.next().filter(char::is_ascii_hexdigit)?);
            }
        }
        'u' => {
            out.push_str(r"\u");
            let digits = if rest.peek() == Some(&'{') { 1 } else { 4 };
            for _ in 0..digits {
                out.push(rest.next().filter(|digit| digit.is_ascii_hexdigit() || *digit == '{')?);
            }
            if digits == 1 {
                loop {
                    match rest.next()? {
                        '}' => break out.push('}'),
                        digit if digit.is_ascii_hexdigit() => out.push(digit),
                        _ => return None,
                    }
                }
            }
        }
        // `regex-lite` reads `\<` and `\>` as the ends of words.
        '<' | '>' => out.push(letter),
        letter if letter.is_ascii_punctuation() => out.extend(['\\', letter]),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_matches_as_ecma_262_says() {
        for (pattern, matching, others) in [
            ("^a+$", &["a", "aaa"][..], &["", "b", "a\n", "xa"][..]),
            ("b", &["abc", "b"], &["ac"]),
            (r"^\d$", &["7"], &["٣", "x"]),
            (r"^\w$", &["a", "_"], &["é"]),
            (r"^\s$", &[" ", "\u{a0}", "\u{feff}", "\n"], &["a", "\u{85}"]),
            (r"^[\s,]$", &["\u{3000}", ","], &["a"]),
            (r"^\S$", &["a"], &["\u{a0}"]),
            ("^.$", &["a", "😀"], &["\n", "\u{2028}", "\r"]),
            (r"^[^.]$", &["a", "\n"], &["."]),
            (r"^\u0061\x62$", &["ab"], &["a"]),
            (r"^\u{1F600}$", &["😀"], &["a"]),
            (r"^(?<year>\d{4})-(?:0[1-9]|1[0-2])$", &["2026-11"], &["2026-13", "226-11"]),
            (r"^[a\-z]$", &["-", "a", "z"], &["b"]),
            (r"^[[&~]$", &["[", "&", "~"], &["a"]),
            (r"^\/\.\<$", &["/.<"], &["/a<"]),
            ("^a{2,3}$", &["aa", "aaa"], &["a", "aaaa"]),
            (r"^[\b]$", &["\u{8}"], &["b"]),
        ] {
            let compiled = Pattern::new(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert!(matching.iter().all(|text| compiled.matches(text)), "{pattern}");
            assert!(!others.iter().any(|text| compiled.matches(text)), "{pattern}");
        }
    }

    #[test]
    fn pattern_that_would_be_read_differently_is_not_supported() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?i)a",
            r"(a)\1",
            r"\k<a>",
            r"\p{L}",
            r"\A",
            r"\z",
            r"\cA",
            r"\u12",
            r"\u{}x{",
            r"\x1",
            "[]",
            "[^]",
            "a{,2}",
            "a{x",
            "(",
            "[a",
            r"\",
            r"[\S]",
            "[a--b]",
            "(a{999}){999}{999}",
        ] {
            assert!(Pattern::new(pattern).is_none(), "{pattern}");
        }
    }
}
