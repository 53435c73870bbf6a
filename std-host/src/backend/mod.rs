//! Backends: sources of tools, prompts, resources and templates that run the calls of these.
//!
//! Closures of the program ([`ServerBuilder::tool`](crate::ServerBuilder::tool) and the like) run in this
//! process. A [`Backend`] runs calls elsewhere: in an MCP server behind a gate, a worker in another
//! language, or a device. It publishes its entries with a [`Publisher`], again after each change,
//! and starts each [`Call`] of one of these entries. Several backends are merged into one server,
//! each with a prefix.
//!
//! A call can ask its client in two ways. A closure ends with its questions, and runs again with
//! the answers ([`Ctx::ask`](crate::Ctx::ask)). The call of a backend stays alive while it waits
//! ([`Call::ask`]), because it cannot be run a second time. Both ways work with clients of every
//! revision.
//!
//! ```
//! use attache_host::backend::{Answer, Backend, Call, Entry, Publisher, Run};
//! use attache_host::{Server, backend::Kind};
//! use serde_json::value::RawValue;
//!
//! /// Runs every call by answering with its own arguments.
//! struct Mirror;
//!
//! impl Backend for Mirror {
//!     fn attach(&self, publisher: Publisher) {
//!         let listed = r#"{"name":"mirror","inputSchema":{"type":"object"}}"#;
//!         let entry = Entry::read(Kind::Tool, listed).expect("a sound entry");
//!         publisher.publish([entry]);
//!     }
//!
//!     fn start(&self, call: Call) -> Run {
//!         Box::pin(async move {
//!             let result = format!(r#"{{"content":[],"structuredContent":{}}}"#, call.arguments());
//!             Answer::Result(RawValue::from_string(result).expect("JSON"))
//!         })
//!     }
//! }
//!
//! let server = Server::new("gate", "1").backend("there_", Mirror);
//! ```

mod answer;
mod call;
mod entry;
mod members;
mod publisher;
mod watches;

pub use crate::offer::HiddenEntry;
pub use answer::Answer;
pub use attache_core::tool::Kind;
pub use call::Call;
pub use entry::{Entry, InvalidEntry};
pub use publisher::{Backends, BackendsUpdate, INSTRUCTIONS, Publisher};
pub(crate) use watches::Watched;

use crate::CompletionRequest;
use core::future::ready;
use core::pin::Pin;
use serde_json::value::RawValue;

/// A running call. Dropping it cancels the call.
pub type Run = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A source of tools, prompts, resources and templates that runs their calls itself.
pub trait Backend: Send + Sync + 'static {
    /// Receives the handle to publish entries. Called once, when the backend is added to a server.
    fn attach(&self, publisher: Publisher);

    /// Starts a call of an entry that this backend has published.
    fn start(&self, call: Call) -> Run;

    /// Completes an argument of a prompt, or a variable of a template, that this backend has
    /// published. The answer is the result of `completion/complete`. By default, no values are
    /// suggested.
    fn complete(&self, request: CompletionRequest, call: Call) -> Run {
        drop((request, call));
        let none = RawValue::from_string(r#"{"completion":{"values":[]}}"#.to_owned());
        Box::pin(ready(none.map_or_else(|error| Answer::error(&error), Answer::Result)))
    }

    /// Reports that a client has subscribed to the resource with this URI, or that the last one has
    /// unsubscribed. A backend that ignores this publishes the updates of all its resources.
    fn watch(&self, uri: &str, watched: bool) {
        let _ = (uri, watched);
    }

    /// Reports that a client has ended its session, whose name [`Call::session`] returns. A backend that
    /// keeps something for each session can drop it. By default, nothing is done.
    fn session_ended(&self, session: [u8; 16]) {
        let _ = session;
    }

    /// Ends connections and child processes of the backend. Called when the backend is removed, and
    /// at the end of the server, when all calls have ended.
    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}
