//! The file `.funcignore`, which has the syntax of `.gitignore` (gitignore(5)).

use crate::fault::Fault;
use regex_lite::Regex;
use std::io;
use std::path::Path;

/// The patterns of a file. The last one that fits a path decides.
#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    path: Regex,
    is_negated: bool,
    is_of_directories: bool,
}

impl Ignored {
    /// Reads the file of an app. A missing file ignores nothing.
    pub(super) fn read(directory: &Path) -> Result<Self, Fault> {
        let file = directory.join(".funcignore");
        let fault = |what: String| Fault::of(format!("{}: {what}", file.display()));
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::of(&text).map_err(fault),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(fault(format!("cannot be read: {error}"))),
        }
    }

    fn of(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(Pattern::read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path is ignored: relative to the app, with slashes.
    pub(super) fn has(&self, path: &str, is_directory: bool) -> bool {
        let fits = |pattern: &&Pattern| (is_directory || !pattern.is_of_directories) && pattern.path.is_match(path);
        self.0.iter().rev().find(fits).is_some_and(|pattern| !pattern.is_negated)
    }
}

impl Pattern {
    fn read(line: &str) -> Result<Self, String> {
        let (line, is_negated) = match line.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let (text, is_of_directories) = match line.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        // A slash at the beginning or in the middle binds the pattern to the directory of the file.
        let is_anchored = text.contains('/');
        let text = text.strip_prefix('/').unwrap_or(text);
        let front = if is_anchored { "" } else { "(?:.*/)?" };
        let path = Regex::new(&format!("^{front}{}$", translated(text)));
        let path = path.map_err(|error| format!("the pattern {line:?} cannot be used: {error}"))?;
        Ok(Self { path, is_negated, is_of_directories })
    }
}

/// A pattern as a regular expression.
fn translated(pattern: &str) -> String {
    let (mut regex, mut rest) = (String::new(), pattern);
    while let Some(first) = rest.chars().next() {
        let (text, length) = match first {
            '*' if rest == "**" => (".*".to_owned(), 2),
            '*' if rest.starts_with("**/") => ("(?:.*/)?".to_owned(), 3),
            '*' => ("[^/]*".to_owned(), rest.len() - rest.trim_start_matches('*').len()),
            '?' => ("[^/]".to_owned(), 1),
            '[' => match rest.find(']').filter(|end| *end > 1) {
                Some(end) => {
                    let class = rest.get(1..end).unwrap_or_default();
                    let class = class.strip_prefix('!').map_or_else(|| class.to_owned(), |class| format!("^{class}"));
                    (format!("[{}]", class.replace('\\', "\\\\").replace('[', "\\[")), end + 1)
                }
                None => ("\\[".to_owned(), 1),
            },
            '\\' => {
                let next = rest.chars().nth(1);
                (regex_lite::escape(&next.map(String::from).unwrap_or_default()), 1 + next.map_or(0, char::len_utf8))
            }
            other => (regex_lite::escape(&other.to_string()), other.len_utf8()),
        };
        regex.push_str(&text);
        rest = rest.get(length..).unwrap_or_default();
    }
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        for (patterns, path, is_directory, expected) in [
            ("*.ts", "src/a.ts", false, true),
            ("*.ts", "a.tsx", false, false),
            ("/a.txt", "a.txt", false, true),
            ("/a.txt", "b/a.txt", false, false),
            ("src/gen", "src/gen", true, true),
            ("src/gen", "x/src/gen", true, false),
            ("build/", "build", true, true),
            ("build/", "build", false, false),
            ("**/tmp", "a/b/tmp", true, true),
            ("a/**/b", "a/b", false, true),
            ("a/**/b", "a/x/y/b", false, true),
            ("logs/**", "logs/a/b", false, true),
            ("a?c", "abc", false, true),
            ("a?c", "a/c", false, false),
            ("[a-c].txt", "b.txt", false, true),
            ("[!a-c].txt", "b.txt", false, false),
            ("*.log\n!keep.log", "keep.log", false, false),
            ("# a comment\n\n.git*", ".gitignore", false, true),
            ("\\#file", "#file", false, true),
            ("a.b", "axb", false, false),
        ] {
            let ignored = Ignored::of(patterns).expect(patterns);
            assert_eq!(ignored.has(path, is_directory), expected, "{patterns} {path}");
        }
    }
}
