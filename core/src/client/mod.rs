//! The messages of an MCP client, without I/O. Requests are written in place, answers are read as
//! spans of their body, and a state machine negotiates the revision with the server.
//!
//! ```
//! use attache_core::client::{self, Message, Meta, Param, Profile, Received};
//! use attache_core::era::Version;
//! use attache_core::json::{Sink, Slice};
//!
//! let mut buffer = [0; 512];
//! let mut out = Slice::new(&mut buffer);
//! let profile = Profile { name: "board", version: "1.0", capabilities: b"{}" };
//! let meta = Meta::new(Version::V2026_07_28, profile);
//! let params = [Param::text("name", "echo"), Param::json("arguments", br#"{"text":"hello"}"#)];
//! client::request(&mut out, 1, "tools/call", &params, &meta).unwrap();
//!
//! let answer = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
//! let Ok(Received { message: Message::Answer(answer), .. }) = client::read(answer) else { panic!() };
//! assert_eq!(answer.id.number(), Some(1));
//! ```

mod header;
mod message;
mod negotiate;
mod outcome;
mod request;
pub mod sse;

pub use header::{field_value, mirrored_name};
pub use message::{Answer, AnswerId, Message, Received, Unreadable, elements, members, number, read};
pub use negotiate::{Heard, Negotiation, NoRevision, Step, Transport};
pub use outcome::{Failure, Outcome};
pub use request::{Meta, Param, Profile, initialize, notification, request, respond, respond_error};
