//! A client for MCP servers of all revisions, over HTTP or standard input and output.
//!
//! The client negotiates the revision: it probes for 2026-07-28 and falls back to the handshake of
//! the older revisions. Values from the server keep their original text ([`RawJson`]), so unknown
//! members and the spelling of numbers are preserved.
//!
//! ```no_run
//! use attache_host::client::{Client, List, RawJson, ServerCommand};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // A server at a URL.
//! let client = Client::builder("my-app", "1.0").http("http://127.0.0.1:8080/mcp").await?;
//! for tool in client.list(List::Tools).await? {
//!     println!("{}", tool.member("name").unwrap());
//! }
//! let result = client.call("echo", RawJson::parse(r#"{"text":"hello"}"#)?).await?;
//! println!("{result}");
//!
//! // A server as a child process.
//! let command = ServerCommand::new("npx", ["-y", "@modelcontextprotocol/server-everything"]);
//! let client = Client::builder("my-app", "1.0").command(command).await?;
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::start`] returns a handle for the events of a running request: progress, log messages
//! and questions. Dropping the [`Call`] cancels the request. [`Client::listen`] subscribes to
//! changed lists and updated resources.

mod builder;
mod call;
mod connection;
mod credential;
mod error;
mod handshake;
mod http;
mod inner;
pub mod limits;
mod link;
mod listen;
mod lists;
mod mailbox;
mod memory;
mod mirror;
mod notice;
mod outgoing;
mod pipe;
mod process;
mod profile;
mod question;
mod raw;
mod request;
mod router;
#[cfg(unix)]
mod serial;
#[cfg(feature = "oauth-client")]
mod sign_in;

#[cfg(feature = "oauth-client")]
pub use crate::oauth::{Demand, OAuthError};
pub use attache_core::client::NoRevision;
pub use attache_core::era::Version;
pub use builder::ClientBuilder;
pub use call::{Call, Event};
pub use connection::Client;
pub use credential::{Credential, TokenFuture, TokenRefusal, TokenSource};
pub use error::{Error, Exit, RpcError};
pub use handshake::ServerInfo;
pub use limits::ClientLimits;
pub use listen::{Filter, Subscription};
pub use lists::List;
pub use memory::Verdicts;
pub use notice::Notice;
pub use process::ServerCommand;
pub use question::{Question, QuestionMethod, Refusal};
pub use raw::{InvalidJson, RawJson};
pub use request::Request;
#[cfg(unix)]
pub use serial::{InvalidSerialUrl, SerialPort};
#[cfg(feature = "oauth-client")]
pub use sign_in::{SignIn, SignedOut};
