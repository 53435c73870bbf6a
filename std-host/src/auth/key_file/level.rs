//! API keys by their permissions: the level that an endpoint requires, and the kind of a key.

use core::fmt;
use core::str::FromStr;

/// A key of a key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, one word.
    pub name: String,
    /// The endpoints that the key opens.
    pub kind: Kind,
    /// The SHA-256 of the value.
    pub digest: [u8; 32],
}

/// The endpoints that a key opens (docs/authorization.md, "Keys").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every endpoint, and key administration.
    Master,
    /// All endpoints that require level `function`.
    Host,
    /// The endpoint at this path.
    Function(String),
    /// Endpoints that require level `system` and a key of this name.
    System,
}

/// The level of key that an endpoint requires. A key opens the endpoint if its level is equal; a
/// higher level does not suffice. The master key opens every endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// A host key, or a function key of this path.
    Function,
    /// A key of this name.
    System(String),
    /// The master key.
    Admin,
    /// The master key, for key administration.
    Administration,
}

impl Entry {
    /// Returns whether this is the key of this name and kind.
    #[must_use]
    pub fn is(&self, name: &str, kind: &Kind) -> bool {
        self.name == name && self.kind == *kind
    }

    /// Returns whether the key opens the endpoint at `path`, which asks for `level`.
    #[must_use]
    pub fn opens(&self, level: &Level, path: &str) -> bool {
        match (&self.kind, level) {
            (Kind::Master, _) | (Kind::Host, Level::Function) => true,
            (Kind::Function(of), Level::Function) => of == path,
            (Kind::System, Level::System(name)) => self.name == *name,
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Host => f.write_str("host"),
            Self::Function(path) => write!(f, "function:{path}"),
            Self::System => f.write_str("system"),
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.split_once(':') {
            None if text == "master" => Self::Master,
            None if text == "host" => Self::Host,
            None if text == "system" => Self::System,
            Some(("function", path)) if path.starts_with('/') => Self::Function(path.to_owned()),
            _ => return Err(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_opens_what_asks_for_its_level_and_the_master_key_opens_all() {
        let kinds =
            [Kind::Master, Kind::Host, Kind::Function("/a".to_owned()), Kind::Function("/b".to_owned()), Kind::System];
        for (level, path, expected) in [
            (Level::Function, "/a", [true, true, true, false, false]),
            (Level::Function, "/b", [true, true, false, true, false]),
            (Level::System("mcp_extension".to_owned()), "/a", [true, false, false, false, true]),
            (Level::System("other".to_owned()), "/a", [true, false, false, false, false]),
            (Level::Admin, "/a", [true, false, false, false, false]),
        ] {
            let opens = kinds.clone().map(|kind| {
                let key = Entry { name: "mcp_extension".to_owned(), kind, digest: [0; 32] };
                key.opens(&level, path)
            });
            assert_eq!(opens, expected, "{level:?} {path}");
        }
    }
}
