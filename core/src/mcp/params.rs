//! Reads `params`: the members that most calls need, found in the same pass as the envelope. A
//! method looks up its rare members itself, because each name known here costs time in every
//! request.

use crate::era::Meta;
use crate::json::{self, Fields, Item, Kind, Reader, Repeated};
use crate::rpc::{Error, Param};

/// The spans of the parameters. Each one is validated only when a method asks for it, because the
/// method decides which of them count.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Params {
    members: Fields<5>,
    /// The keys of `_meta`, which decide the era.
    pub meta: Meta,
}

impl Params {
    /// Reads the value of `params`, if it is an object.
    ///
    /// # Errors
    /// If the text is malformed.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<Option<Item>, json::Error> {
        let meta = &mut self.meta;
        self.members.read(reader, &NAMES, |index, reader| if index == META { meta.read(reader) } else { Ok(None) })
    }

    /// Checks that `_meta`, if present, is an object and is not repeated.
    ///
    /// # Errors
    /// [`Param::Meta`]
    pub fn check_meta(&self) -> Result<(), Error> {
        self.optional(META, Kind::Object, Param::Meta).map(|_| ())
    }

    /// Returns `name` of a tool or a prompt.
    ///
    /// # Errors
    /// If it is missing, repeated or not a string.
    pub fn name(&self) -> Result<Item, Error> {
        self.required(NAME, Kind::String, Param::Name)
    }

    /// Returns `uri` of a resource.
    ///
    /// # Errors
    /// If it is missing, repeated or not a string.
    pub fn uri(&self) -> Result<Item, Error> {
        self.required(URI, Kind::String, Param::Uri)
    }

    /// Returns `arguments` of a tool or a prompt.
    ///
    /// # Errors
    /// If it is repeated or not an object.
    pub fn arguments(&self) -> Result<Option<Item>, Error> {
        self.optional(ARGUMENTS, Kind::Object, Param::Arguments)
    }

    /// Returns `cursor` of a list. An empty string is a cursor too (MCP
    /// server/utilities/pagination).
    ///
    /// # Errors
    /// If it is repeated or not a string.
    pub fn cursor(&self) -> Result<Option<Item>, Error> {
        self.optional(CURSOR, Kind::String, Param::Cursor)
    }

    fn required(&self, index: usize, kind: Kind, param: Param) -> Result<Item, Error> {
        self.optional(index, kind, param)?.ok_or(Error::Param(param))
    }

    fn optional(&self, index: usize, kind: Kind, param: Param) -> Result<Option<Item>, Error> {
        match self.members.get(index) {
            Ok(Some(item)) if item.kind() == kind => Ok(Some(item)),
            // Some clients write `null` for a member that they leave out.
            Ok(Some(item)) if item.kind() != Kind::Null => Err(Error::Param(param)),
            Ok(_) => Ok(None),
            Err(Repeated) => Err(Error::Param(param)),
        }
    }
}

const NAMES: [&str; 5] = ["name", "arguments", "_meta", "uri", "cursor"];
const NAME: usize = 0;
const ARGUMENTS: usize = 1;
const META: usize = 2;
const URI: usize = 3;
const CURSOR: usize = 4;
