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
//! - `tokens` (default): access tokens of OAuth issuers, `auth::Tokens`.
//! - `schema` (default): arguments are checked against bounds, patterns and conditions that the Rust type does not enforce.
//! - `serve`: the listener as a library, `serve::serve`, with TLS, timeouts and a graceful stop; and files of API keys,
//!   `auth::key_file`.
//! - `client`: a client for MCP servers, `client::Client`.
//! - `metrics`: `observe::Metrics`, for Prometheus.
//! - `traces`: `observe::Traces`, spans of OpenTelemetry.
//!
//! With default features off the crate is a tower service, [`http::McpService`], and a serving function for standard input and
//! output, [`stdio::serve`]. The program `attache` is the package `attache`.

mod admission;
pub mod auth;
pub mod backend;
#[cfg(feature = "client")]
pub mod bridge;
pub mod budget;
mod builder;
mod call;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod door;
mod engine;
pub mod http;
#[cfg(any(feature = "tokens", feature = "client"))]
mod https;
pub mod limits;
pub mod observe;
mod offer;
pub mod policy;
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
#[cfg(feature = "serve")]
mod watched_file;
mod why;

pub use attache_core::tool::Level;
pub use budget::Budget;
pub use builder::{InvalidPath, ServerBuilder};
pub use call::{
    Ask, CompletionRequest, Content, Contents, Elicited, IntoContents, IntoPrompt, IntoToolOutput, Json, NoArgs,
    PromptOutput, ResourceRequest, Role, TextStream, ToolError, ToolOutput, TraceContext, UserPage,
};
pub use engine::Server;
pub use limits::{Limits, Rate};
pub use offer::{Changes, Ctx, Handler, NameTaken, Prompt, Resource, Tool};
pub use session::neighbours;
