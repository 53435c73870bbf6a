//! JSON (RFC 8259), read from a borrowed buffer and written in place.
//!
//! Reading: [`Reader`] pulls members and elements out of a byte slice and returns spans ([`Item`])
//! or borrowed pieces ([`Value`], [`Text`]); it copies and builds nothing. Writing: [`Sink`]
//! accepts bytes, `escape` escapes a string for use between quotes, and `join` does the same at
//! compile time for texts in flash.

mod base64;
mod fields;
mod float;
mod lex;
mod number;
mod pull;
mod text;
mod write;

#[cfg(feature = "seal")]
pub(crate) use base64::decode_base64;
pub(crate) use base64::sextet;
pub use base64::{Base64, encode_base64};
pub use fields::{Fields, Repeated};
pub use lex::{Error, Fault};
pub use number::{Integer, NotAnInteger};
pub use pull::{Item, Kind, Reader, Span, Value, without_mark};
pub use text::{Chars, Text};
pub(crate) use write::escape_bytes;
pub use write::{Decimal, Escaped, Full, Part, Sink, Slice, escape, join, joined_len};
