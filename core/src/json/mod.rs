//! JSON (RFC 8259), read where it lies and written in place.
//!
//! Reading: [`Reader`] pulls members and elements out of a byte slice and hands back spans ([`Item`]) or borrowed
//! pieces ([`Value`], [`Text`]); nothing is copied or built. Writing: [`Sink`] is where bytes go, `escape` makes any
//! string fit between quotes, and `join` does the same at compile time for texts that live in flash.

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
pub use pull::{Item, Kind, Reader, Span, Value};
pub use text::{Chars, Text};
pub(crate) use write::escape_bytes;
pub use write::{Decimal, Escaped, Full, Part, Sink, Slice, escape, join, joined_len};
