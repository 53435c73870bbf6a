//! MCP servers on any machine that runs Rust's standard library.
//!
//! A [`Server`] is a name and tools; a tool is an async closure with typed arguments. The protocol itself lives in
//! [`attache_core`], which answers the same bytes the same way on a microcontroller.
//!
//! ```
//! use attache_host::{Ctx, Server, ToolError};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct SetTarget {
//!     /// degrees Celsius
//!     celsius: f64,
//! }
//!
//! # fn main() {
//! let router: axum::Router = axum::Router::new().merge(
//!     Server::new("thermostat", "1.0")
//!         .tool("set_target", "Set the target temperature", |target: SetTarget, _: Ctx| async move {
//!             if !(5.0..=30.0).contains(&target.celsius) {
//!                 return Err(ToolError::user("celsius must be from 5 to 30"));
//!             }
//!             Ok(format!("target is {} °C", target.celsius))
//!         })
//!         .routes(),
//! );
//! # let _ = router;
//! # }
//! ```
//!
//! # Features
//!
//! - `axum` (default): [`ServerBuilder::routes`].
//! - `tokens` (default): access tokens of OAuth issuers, `auth::Tokens`, verified with keys that the application gives.
//! - `serve` (default): the listener as a library, `serve::serve`, with timeouts and a graceful stop; and files of API keys,
//!   `auth::key_file`.
//! - `tls` (default): TLS for the listener, `serve::Certificate`.
//! - `discovery`: finds the keys of an issuer by its metadata and fetches them, `auth::Issuer::discovered`.
//! - `schema`: checks arguments by all keywords of JSON Schema. Without it, the keywords that most schemas use are checked; see
//!   [`Tool::input_schema`].
//! - `authorization-server`: an OAuth authorization server, `authorization_server::AuthorizationServer`.
//! - `client`: a client for MCP servers, `client::Client`; and the supervision of child processes, `children::Supervision`.
//! - `files`: tools, prompts and resources from the files of a directory, `files::ToolFiles` and the like.
//! - `functions`: a backend that runs function apps, `functions::App`.
//! - `metrics`: `observe::Metrics`, for Prometheus.
//! - `traces`: `observe::Traces`, spans of OpenTelemetry.
//!
//! With default features off the crate is a tower service, [`http::McpService`], and a serving function for standard input and
//! output, [`stdio::serve`]. The program `attache` is the package `attache`.

mod admission;
pub mod auth;
#[cfg(feature = "authorization-server")]
pub mod authorization_server;
pub mod backend;
#[cfg(feature = "client")]
pub mod bridge;
pub mod budget;
mod builder;
mod call;
#[cfg(feature = "client")]
pub mod children;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod door;
mod engine;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "functions")]
pub mod functions;
pub mod http;
#[cfg(any(feature = "discovery", feature = "client"))]
mod https;
pub mod limits;
pub mod observe;
mod offer;
pub mod prelude;
#[cfg(feature = "serve")]
pub mod private_file;
#[cfg(feature = "serve")]
pub mod serve;
mod session;
mod sink;
pub mod stdio;
pub mod store;
#[cfg(feature = "serve")]
#[cfg_attr(unix, path = "system/unix.rs")]
#[cfg_attr(not(unix), path = "system/other.rs")]
mod system;
pub mod testing;
mod tools;
mod visitor;
#[cfg(feature = "serve")]
mod watched_file;
mod why;

// The versions that this crate uses. Types of arguments and results derive their traits.
pub use {schemars, serde, serde_json};

pub use attache_core::era::Version;
pub use attache_core::rpc::Code;
pub use attache_core::tool::{Kind, Level};
pub use budget::Budget;
pub use builder::{InvalidPath, ServerBuilder};
pub use call::{
    Ask, CompletionRequest, Content, Contents, Elicited, IntoContents, IntoPrompt, IntoToolOutput, Json, NoArgs,
    OrUser, PromptOutput, ResourceRequest, Role, TextStream, ToolError, ToolOutput, TraceContext, UserPage,
};
pub use engine::Server;
pub use limits::{Limits, Rate};
pub use offer::{
    AddError, Changes, Ctx, Handler, NameTaken, Prompt, Resource, Tool, ToolCall, ToolFailure, ToolService, with,
};
pub use session::neighbours;
#[doc(hidden)]
pub use tools::__description;
