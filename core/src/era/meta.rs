//! `params._meta` (MCP 2026-07-28 basic/index, "Request metadata"): the keys that the engine reads.

use crate::json::{self, Fields, Item, Kind, Reader, Repeated};
use crate::rpc::{Error, Missing, Param};

/// The keys of `params._meta` that describe a request.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Meta {
    keys: Fields<3>,
}

impl Meta {
    /// Reads the value of `_meta`, if it is an object.
    ///
    /// # Errors
    /// If the text is malformed.
    pub fn read(&mut self, reader: &mut Reader<'_>) -> Result<Option<Item>, json::Error> {
        self.keys.read(reader, &KEYS, |_, _| Ok(None))
    }

    /// Returns the value of the protocol version key, whether it is a string or not.
    ///
    /// # Errors
    /// If the key is repeated.
    pub fn claim(&self) -> Result<Option<Item>, Error> {
        self.keys.get(PROTOCOL_VERSION).map_err(|Repeated| Error::Param(Param::Meta))
    }

    /// Returns the least severe level of log messages that the client wants for this request; `null` is
    /// no level.
    ///
    /// # Errors
    /// If it is repeated, or neither a string nor `null`.
    pub fn log_level(&self) -> Result<Option<Item>, Error> {
        match self.keys.get(LOG_LEVEL) {
            Ok(Some(item)) if item.kind() == Kind::String => Ok(Some(item)),
            Ok(Some(item)) if item.kind() != Kind::Null => Err(Error::Param(Param::LogLevel)),
            Ok(_) => Ok(None),
            Err(Repeated) => Err(Error::Param(Param::LogLevel)),
        }
    }

    /// Whether `_meta` has a key that only the modern era defines.
    pub fn is_modern(&self) -> bool {
        !matches!((self.keys.get(PROTOCOL_VERSION), self.keys.get(CLIENT_CAPABILITIES)), (Ok(None), Ok(None)))
    }

    /// Checks the two keys that each modern request must have, and returns the version string.
    ///
    /// # Errors
    /// [`Error::Meta`] with the missing key.
    // MCP 2026-07-28 basic/index: "protocolVersion" and "clientCapabilities" are required in each
    // request.
    pub fn check(&self) -> Result<Item, Error> {
        let claim = self.claim()?.filter(|item| item.kind() == Kind::String);
        let version = claim.ok_or(Error::Meta(Missing::ProtocolVersion))?;
        match self.keys.get(CLIENT_CAPABILITIES) {
            Ok(Some(item)) if item.kind() == Kind::Object => Ok(version),
            _ => Err(Error::Meta(Missing::ClientCapabilities)),
        }
    }
}

const KEYS: [&str; 3] =
    [Missing::ProtocolVersion.name(), Missing::ClientCapabilities.name(), "io.modelcontextprotocol/logLevel"];
const PROTOCOL_VERSION: usize = 0;
const CLIENT_CAPABILITIES: usize = 1;
const LOG_LEVEL: usize = 2;
