//! Where values come from: flag before variable before file before default; and where each has come from.

use super::fault::{Fault, Origin};
use super::settings::{Of, SETTINGS, Setting, nearest};
use core::fmt;
use std::collections::HashMap;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value as it was written, and where.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) struct Given {
    /// One text, or those of a list.
    pub(in crate::cli) texts: Vec<String>,
    pub(in crate::cli) origin: Origin,
}

// The texts may be secret.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("origin", &self.origin).finish_non_exhaustive()
    }
}

type Values = HashMap<&'static str, Given>;

/// All that was written, in the order in which it counts.
#[derive(Debug, Default)]
pub(in crate::cli) struct Layers {
    flags: Values,
    variables: Values,
    servers: Vec<Values>,
    file: Values,
}

impl Layers {
    /// Takes what the command line has.
    pub(in crate::cli) fn flag(&mut self, setting: &'static Setting, texts: Vec<String>) -> Result<(), Fault> {
        let given = Given { texts, origin: Origin::Flag(setting.flag()) };
        self.flags.insert(setting.key, checked(setting, given)?);
        Ok(())
    }

    /// Takes the variables of the environment that are settings.
    pub(in crate::cli) fn variables(&mut self, of: impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
        for setting in SETTINGS {
            let name = setting.variable();
            let Some(text) = of(&name) else { continue };
            let texts = match setting.kind {
                super::Kind::List => text.split(',').map(|text| text.trim().to_owned()).collect(),
                _ => vec![text],
            };
            let given = Given { texts, origin: Origin::Variable(name) };
            self.variables.insert(setting.key, checked(setting, given)?);
        }
        Ok(())
    }

    /// Takes the file at `path`, which has this text.
    pub(in crate::cli) fn file(&mut self, path: &Path, text: &str) -> Result<(), Fault> {
        let file = File { path, text };
        let table = DeTable::parse(text).map_err(|error| {
            let line = file.line(error.span().map_or(0, |span| span.start));
            Fault::at(Origin::File(path.to_owned(), line), error.message().to_owned())
        })?;
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("server", DeValue::Array(servers)) => {
                    for server in servers.iter() {
                        let mut values = Values::new();
                        let DeValue::Table(table) = server.get_ref() else {
                            return Err(file.fault(server.span().start, "a [[server]] is a table".to_owned()));
                        };
                        file.read(table, "", Of::Server, &mut values)?;
                        self.servers.push(values);
                    }
                }
                (_, value_here) => {
                    file.read_one(key, value_here, value.span().start, "", Of::Program, &mut self.file)?
                }
            }
        }
        Ok(())
    }

    /// How many `[[server]]` there are.
    pub(in crate::cli) const fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The value of a setting, for the `[[server]]` of this number.
    pub(in crate::cli) fn get(&self, setting: &Setting, server: Option<usize>) -> Given {
        let own = server.and_then(|number| self.servers.get(number));
        let layers = [Some(&self.flags), Some(&self.variables), own, Some(&self.file)];
        layers.into_iter().flatten().find_map(|values| values.get(setting.key)).cloned().unwrap_or_else(|| Given {
            texts: match setting.kind {
                _ if setting.default.is_empty() => Vec::new(),
                super::Kind::List => setting.default.split(',').map(str::to_owned).collect(),
                _ => vec![setting.default.to_owned()],
            },
            origin: Origin::Default,
        })
    }
}

/// One file, for what is said of it.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File(self.path.to_owned(), self.line(offset))
    }

    fn fault(&self, offset: usize, what: String) -> Fault {
        Fault::at(self.origin(offset), what)
    }

    fn read(&self, table: &DeTable<'_>, prefix: &str, of: Of, values: &mut Values) -> Result<(), Fault> {
        let mut entries = table.iter();
        entries.try_for_each(|(key, value)| self.read_one(key, value.get_ref(), value.span().start, prefix, of, values))
    }

    fn read_one(
        &self,
        key: &Spanned<toml::de::DeString<'_>>,
        value: &DeValue<'_>,
        at: usize,
        prefix: &str,
        of: Of,
        values: &mut Values,
    ) -> Result<(), Fault> {
        let name = format!("{prefix}{}", key.get_ref());
        let fitting = |setting: &&'static Setting| of == Of::Program || setting.of == Of::Server;
        let known = || SETTINGS.iter().filter(fitting);
        if let Some(setting) = known().find(|setting| setting.key == name) {
            if setting.kind == super::Kind::Secret {
                let what = format!("{name} is a secret, which does not stand here: give it as {}", setting.variable());
                return Err(self.fault(key.span().start, what));
            }
            let texts =
                texts(value).ok_or_else(|| self.fault(at, format!("{name} must be {}", setting.kind.wanted())))?;
            let given = Given { texts, origin: self.origin(key.span().start) };
            values.insert(setting.key, checked(setting, given)?);
            return Ok(());
        }
        let inside = format!("{name}.");
        if let (DeValue::Table(table), true) = (value, known().any(|setting| setting.key.starts_with(&inside))) {
            // Two levels are all there is, so this ends.
            return self.read(table, &inside, of, values);
        }
        let tables = known().filter_map(|setting| Some(setting.key.split_once('.')?.0));
        let hint = match nearest(&name, known().map(|setting| setting.key).chain(tables)) {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None => String::new(),
        };
        Err(self.fault(key.span().start, format!("there is no setting {name}{hint}")))
    }
}

/// What a value of the file would be in a variable.
fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::String(text) => Some(vec![text.to_string()]),
        DeValue::Integer(number) => Some(vec![number.as_str().replace('_', "")]),
        DeValue::Boolean(switch) => Some(vec![switch.to_string()]),
        DeValue::Array(values) => values
            .iter()
            .map(|value| match value.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn checked(setting: &Setting, given: Given) -> Result<Given, Fault> {
    let single = setting.kind == super::Kind::List || given.texts.len() == 1;
    match given.texts.iter().find(|text| !setting.kind.takes(text)) {
        None if single => Ok(given),
        wrong => {
            let text = wrong.or(given.texts.first()).map_or("", String::as_str);
            let what = format!("{} {text:?} must be {}", setting.key, setting.kind.wanted());
            Err(Fault::at(given.origin, what))
        }
    }
}
