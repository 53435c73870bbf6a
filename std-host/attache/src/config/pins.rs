//! The file of pins: the definitions of backends that the operator has accepted.

use super::{FILE, Layers};
use crate::fault::{Fault, Faults, Origin};
use crate::text;
use attache_host::backend::Kind;
use attache_host::policy::{Digest, Pins};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The pins of all backends.
#[derive(Clone, Debug, Default)]
pub(crate) struct PinsFile {
    pub(crate) path: PathBuf,
    /// Whether the file exists, so that pins are in force.
    pub(crate) exists: bool,
    /// Whether a setting names the file.
    pub(crate) is_named: bool,
    passes_new: bool,
    backends: BTreeMap<BackendId, Definitions>,
}

/// The path of a server, and the name of one of its backends.
pub(crate) type BackendId = (String, String);

/// The digests of the entries of a backend.
pub(crate) type Definitions = BTreeMap<EntryId, Digest>;

/// The kind of an entry in words, and its name or URI.
pub(crate) type EntryId = (&'static str, String);

/// The file beside the configuration.
const NAME: &str = "attache.pins";

const HEAD: &str = "\
# Definitions of backends that were accepted, written by `attache pin`.
# An entry whose definition has another digest is not offered to callers.
";

impl Layers {
    /// Reads the file of pins.
    pub(super) fn pins(&self) -> Result<PinsFile, Fault> {
        let empty = self.no_pins();
        match text::read(&empty.path) {
            Ok(text) => Ok(PinsFile { backends: parsed(&empty.path, &text)?, exists: true, ..empty }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(empty),
            Err(error) => Err(Fault::of(format!("{}: cannot be read: {error}", empty.path.display()))),
        }
    }

    /// Returns the place for a file of pins that does not exist yet.
    pub(super) fn no_pins(&self) -> PinsFile {
        let named = self.given("pins.file", None).texts.first().map(PathBuf::from);
        let beside = || self.path.as_deref().unwrap_or(Path::new(FILE)).with_file_name(NAME);
        let (is_named, path) = (named.is_some(), named.unwrap_or_else(beside));
        PinsFile { path, is_named, passes_new: self.text("pins.new") == "pass", ..PinsFile::default() }
    }
}

impl PinsFile {
    /// Checks that a file exists that was named by a setting. `attache pin` creates it.
    pub(crate) fn check(&self, layers: &Layers) -> Result<(), Fault> {
        let given = layers.given("pins.file", None);
        if self.exists || given.texts.is_empty() {
            return Ok(());
        }
        let what = format!(
            "pins.file {} does not exist: run attache pin, or attache gate --pin, to write it",
            self.path.display()
        );
        Err(Fault::at(given.origin, what))
    }

    /// Returns the pins of a backend. `None` if no pins are in force.
    pub(crate) fn of(&self, server: &str, backend: &str) -> Option<Pins> {
        let pins = if self.passes_new { Pins::new().pass_new() } else { Pins::new() };
        let known = self.exists.then(|| self.definitions(server, backend))?;
        Some(known.iter().fold(pins, |pins, ((kind, key), digest)| pins.pin(kind_of(kind), key, *digest)))
    }

    /// Returns a file with the same path, whose pins are not in force.
    pub(crate) fn without_force(self) -> Self {
        Self { path: self.path, ..Self::default() }
    }

    /// Whether the file has pins of a backend.
    pub(crate) fn has(&self, server: &str, backend: &str) -> bool {
        self.backends.contains_key(&(server.to_owned(), backend.to_owned()))
    }

    /// The pins of all backends.
    pub(crate) const fn all(&self) -> &BTreeMap<BackendId, Definitions> {
        &self.backends
    }

    pub(crate) fn definitions(&self, server: &str, backend: &str) -> Definitions {
        self.backends.get(&(server.to_owned(), backend.to_owned())).cloned().unwrap_or_default()
    }

    /// Replaces the pins of all backends, in the file, too.
    pub(crate) fn write(&mut self, backends: BTreeMap<BackendId, Definitions>) -> io::Result<()> {
        self.backends = backends;
        // A reader finds the old file or the new one, and never a part.
        let fresh = self.path.with_extension("pins.new");
        let mut file = std::fs::File::create(&fresh)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)
    }

    fn text(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
        let mut text = HEAD.to_owned();
        for ((server, backend), entries) in &self.backends {
            text.push_str(&format!("\n[{}.{}]\n", quoted(server), quoted(backend)));
            for ((kind, key), digest) in entries {
                text.push_str(&format!("{} = \"{digest}\"\n", quoted(&format!("{kind} {key}"))));
            }
        }
        text
    }
}

/// Returns the word for a kind in the file and in messages.
pub(crate) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Tool => "tool",
        Kind::Prompt => "prompt",
        Kind::Resource => "resource",
        Kind::Template => "template",
    }
}

fn kind_of(word: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| self::word(*kind) == word).unwrap_or(Kind::Tool)
}

fn parsed(path: &Path, text: &str) -> Result<BTreeMap<BackendId, Definitions>, Fault> {
    let fault = |offset: usize, what: &str| {
        let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Fault::at(Origin::File(path.to_owned(), line), format!("{what}: run attache pin to write the file again"))
    };
    let table =
        DeTable::parse(text).map_err(|error| fault(error.span().map_or(0, |span| span.start), error.message()))?;
    let (mut all, mut faults) = (BTreeMap::new(), Faults::default());
    for (server, backends) in table.get_ref() {
        let DeValue::Table(backends) = backends.get_ref() else {
            faults.add(fault(server.span().start, "this is not a table of a server"));
            continue;
        };
        for (backend, entries) in backends {
            let DeValue::Table(entries) = entries.get_ref() else {
                faults.add(fault(backend.span().start, "this is not a table of a backend"));
                continue;
            };
            let mut definitions = Definitions::new();
            for (name, digest) in entries {
                match entry(name.get_ref(), digest.get_ref()) {
                    Some((id, digest)) => drop(definitions.insert(id, digest)),
                    None => faults.add(fault(name.span().start, "this is not the pin of an entry")),
                }
            }
            all.insert((server.get_ref().to_string(), backend.get_ref().to_string()), definitions);
        }
    }
    faults.end().map(|()| all)
}

/// Reads `"tool name" = "digest"`.
fn entry(name: &str, digest: &DeValue<'_>) -> Option<(EntryId, Digest)> {
    let (kind, key) = name.split_once(' ')?;
    let kind = Kind::ALL.into_iter().map(word).find(|word| *word == kind)?;
    let DeValue::String(digest) = digest else { return None };
    Some(((kind, key.to_owned()), Digest::parse(digest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_they_were_written_whatever_the_names() {
        let names = ["a", "a b", "q\"uote", "back\\slash", "tab\tnew\nline", "é", "", "a]b = [", "\u{7f}\u{1}"];
        let digest = |number: usize| Digest::parse(&format!("{number:064x}")).expect("a digest");
        let definitions: Definitions =
            names.iter().enumerate().map(|(number, name)| (("tool", (*name).to_owned()), digest(number))).collect();
        let backends: BTreeMap<_, _> =
            names.iter().map(|name| (("/mcp".to_owned(), (*name).to_owned()), definitions.clone())).collect();
        let file = PinsFile { backends: backends.clone(), ..PinsFile::default() };
        let text = file.text();
        assert_eq!(parsed(Path::new("attache.pins"), &text).expect("it parses"), backends, "{text}");
    }

    #[test]
    fn file_of_pins_that_cannot_be_read_is_a_fault_with_its_line() {
        let good = "0".repeat(64);
        for (text, line) in [
            ("[", "attache.pins:1:"),
            ("\na = 1", "attache.pins:2:"),
            ("[a]\nb = 1", "attache.pins:2:"),
            ("[a.b]\n\"tool c\" = 1", "attache.pins:2:"),
            ("[a.b]\n\"tool c\" = \"abc\"", "attache.pins:2:"),
            (&format!("[a.b]\n\"tool\" = \"{good}\""), "attache.pins:2:"),
            (&format!("[a.b]\n\"thing c\" = \"{good}\""), "attache.pins:2:"),
            (&format!("[a.b]\n\"tool c\" = \"{good}\"\n\"tool c\" = \"{good}\""), "attache.pins:3:"),
        ] {
            let fault = parsed(Path::new("attache.pins"), text).expect_err(text).to_string();
            assert!(fault.starts_with(line) && fault.contains("attache pin"), "{text:?}: {fault}");
        }
    }
}
