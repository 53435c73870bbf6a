//! Errors of the configuration: where each value was written, what is wrong, and what to write
//! instead.

use attache_host::private_file::InvalidFile;
use core::fmt;
use std::path::PathBuf;

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Flag(String),
    Variable(String),
    File(PathBuf, usize),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting that was written somewhere.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) key: &'static str,
    /// The file that it names.
    pub(super) file: Option<String>,
    pub(super) origin: Origin,
}

impl Written {
    /// The advice if the file does not exist.
    fn remedy(&self) -> &'static str {
        match self.key {
            "auth.keys_file" => "attache key add NAME makes it",
            "seal.key_file" => "write the output of openssl rand -hex 32 into it",
            _ => "correct the path, which is relative to the working directory",
        }
    }
}

/// The end of the operating system's message that a file does not exist.
const NO_FILE: &str = "(os error 2)";

/// Why the program does not start: one or more causes.
#[derive(Debug)]
pub(super) struct Fault(Vec<Cause>);

#[derive(Debug, PartialEq, Eq)]
struct Cause {
    origin: Option<Origin>,
    what: String,
}

impl Fault {
    pub(super) fn at(origin: Origin, what: String) -> Self {
        Self(vec![Cause { origin: Some(origin), what }])
    }

    /// Several faults, at least one, without a position.
    pub(super) fn all(whats: impl Iterator<Item = String>) -> Self {
        Self(whats.map(|what| Cause { origin: None, what }).collect())
    }

    /// Gives each cause without a position that of the setting with a file that it mentions, or of
    /// the setting with which it begins. Adds a remedy to the fault of a file that does not exist.
    pub(super) fn placed(mut self, written: &[Written]) -> Self {
        for cause in self.0.iter_mut().filter(|cause| cause.origin.is_none()) {
            let names = |written: &&Written| written.file.as_deref().is_some_and(|file| mentions(&cause.what, file));
            let begins = |written: &&Written| cause.what.split([' ', ':']).next() == Some(written.key);
            let Some(found) = written.iter().find(names).or_else(|| written.iter().find(begins)) else { continue };
            cause.origin = Some(found.origin.clone());
            if cause.what.contains(NO_FILE) {
                cause.what = format!("{}: {}", cause.what, found.remedy());
            }
        }
        self
    }

    /// Gives each cause without a position this one, unless it is the default.
    pub(super) fn or_at(mut self, origin: &Origin) -> Self {
        if *origin != Origin::Default {
            for cause in &mut self.0 {
                cause.origin.get_or_insert_with(|| origin.clone());
            }
        }
        self
    }

    /// A fault without a position.
    pub(super) fn of(what: String) -> Self {
        Self(vec![Cause { origin: None, what }])
    }
}

impl fmt::Display for Fault {
    /// Writes one line for each cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Cause { origin, what }) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            if let Some(origin) = origin {
                write!(f, "{origin}: ")?;
            }
            f.write_str(what)?;
        }
        Ok(())
    }
}

impl core::error::Error for Fault {}

impl From<InvalidFile> for Fault {
    fn from(file: InvalidFile) -> Self {
        Self::all(file.causes().iter().cloned())
    }
}

/// Whether a text has this word, which may contain spaces.
fn mentions(text: &str, word: &str) -> bool {
    let ends =
        |letter: Option<char>| letter.is_none_or(|letter| letter.is_whitespace() || matches!(letter, ':' | ',' | '"'));
    !word.is_empty()
        && text
            .match_indices(word)
            .any(|(at, _)| ends(text[..at].chars().next_back()) && ends(text[at + word.len()..].chars().next()))
}

/// Collects faults, so that the operator sees all of them at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Cause>);

impl Faults {
    /// Adds the faults of a later check. Leaves out those that mention the setting of an earlier
    /// fault, or have its place, because they may be consequences of it. `is_setting` tells whether
    /// a word is the name of a setting.
    pub(super) fn add_later(&mut self, mut later: Fault, is_setting: impl Fn(&str) -> bool) {
        let known: Vec<&str> = self.0.iter().filter_map(|cause| settings_in(&cause.what, &is_setting).next()).collect();
        later.0.retain(|cause| !settings_in(&cause.what, &is_setting).any(|setting| known.contains(&setting)));
        let placed: Vec<&Origin> = self.0.iter().filter_map(|cause| cause.origin.as_ref()).collect();
        later.0.retain(|cause| cause.origin.as_ref().is_none_or(|origin| !placed.contains(&origin)));
        self.add(later);
    }

    /// Returns the value. For a fault, collects it and returns the default of the type.
    pub(super) fn or_default<T: Default>(&mut self, result: Result<T, Fault>) -> T {
        result.unwrap_or_else(|fault| {
            self.add(fault);
            T::default()
        })
    }

    /// Returns the value. For a fault, collects it.
    pub(super) fn or_none<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.add(fault)).ok()
    }

    /// Whether there is no fault.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the causes of a fault, without duplicates.
    pub(super) fn add(&mut self, fault: Fault) {
        for cause in fault.0 {
            if !self.0.contains(&cause) {
                self.0.push(cause);
            }
        }
    }

    /// Returns the collected faults, if there are any.
    ///
    /// # Errors
    /// All faults that were collected.
    pub(super) fn end(self) -> Result<(), Fault> {
        let mut causes = self.0;
        // Faults of the file in the order of its lines.
        causes.sort_by_key(|cause| match &cause.origin {
            Some(Origin::File(_, line)) => *line,
            _ => 0,
        });
        if causes.is_empty() { Ok(()) } else { Err(Fault(causes)) }
    }
}

/// The settings of tables, such as `auth.issuer`, that a text mentions.
fn settings_in<'a>(text: &'a str, is_setting: &impl Fn(&str) -> bool) -> impl Iterator<Item = &'a str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_')));
    words.map(|word| word.trim_end_matches('.')).filter(|word| is_setting(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_of_a_file_is_told_at_the_setting_that_names_it() {
        let line = |number| Origin::File("attache.toml".into(), number);
        let setting = |key, file: &str, number| Written { key, file: Some(file.to_owned()), origin: line(number) };
        let written = [setting("auth.keys_file", "key", 1), setting("tls.key", "/etc/a b.pem", 2)];
        for (what, expected) in [
            ("tls.key cannot be used", Some(line(2))),
            ("auth.keys_file key cannot be read: no such file", Some(line(1))),
            ("TLS: /etc/a b.pem cannot be used", Some(line(2))),
            ("the keyring is missing", None),
        ] {
            assert_eq!(Fault::of(what.to_owned()).placed(&written).0[0].origin, expected, "{what}");
        }
    }

    #[test]
    fn consequence_of_an_earlier_fault_is_not_told() {
        let mut faults = Faults::default();
        faults.add(Fault::of("tls.key must be a text".to_owned()));
        let later = ["tls.certificate needs tls.key as well", "auth.leeway must be 10min at most"];
        let is_setting = |word: &str| ["tls.certificate", "tls.key", "auth.leeway"].contains(&word);
        faults.add_later(Fault::all(later.map(str::to_owned).into_iter()), is_setting);
        let told = faults.end().expect_err("faults").to_string();
        assert_eq!(told, "tls.key must be a text\nauth.leeway must be 10min at most");
    }
}
