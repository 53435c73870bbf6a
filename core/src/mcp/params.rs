//! `params`: the members that most calls read, found in the same pass as the envelope around them. What few methods read
//! they look up themselves: each name that is known here costs every request.

use crate::era::Meta;
use crate::json::{self, Fields, Item, Kind, Reader, Repeated};
use crate::rpc::{Error, Param};

/// The places of the parameters. Which of them count depends on the method, so they are judged when they are asked for.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Params {
    members: Fields<5>,
    /// `_meta`, whose keys decide the era.
    pub meta: Meta,
}

impl Params {
    /// Reads the value of `params`, if it is an object.
    ///
    /// # Errors
    /// Where the text is malformed.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<Option<Item>, json::Error> {
        let meta = &mut self.meta;
        self.members.read(reader, &NAMES, |index, reader| if index == META { meta.read(reader) } else { Ok(None) })
    }

    /// Checks that `_meta`, if it is there, is an object and is there once.
    ///
    /// # Errors
    /// [`Param::Meta`]
    pub fn check_meta(&self) -> Result<(), Error> {
        self.optional(META, Kind::Object, Param::Meta).map(|_| ())
    }

    /// `name` of a tool or a prompt.
    ///
    /// # Errors
    /// If it is missing or no string.
    pub fn name(&self) -> Result<Item, Error> {
        self.required(NAME, Kind::String, Param::Name)
    }

    /// `uri` of a resource.
    ///
    /// # Errors
    /// If it is missing or no string.
    pub fn uri(&self) -> Result<Item, Error> {
        self.required(URI, Kind::String, Param::Uri)
    }

    /// `arguments` of a tool or a prompt.
    ///
    /// # Errors
    /// If it is not an object.
    pub fn arguments(&self) -> Result<Option<Item>, Error> {
        self.optional(ARGUMENTS, Kind::Object, Param::Arguments)
    }

    /// `cursor` of a list. An empty string is a cursor too (MCP server/utilities/pagination).
    ///
    /// # Errors
    /// If it is no string.
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
