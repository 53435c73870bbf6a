//! MCP servers on any machine that runs Rust's standard library.
//!
//! A [`Server`] is a name and tools. A tool is an async function with typed arguments, or a method of the application
//! ([`tools!`]). The protocol itself is in [`attache_core`], which answers the same bytes in the same way on a microcontroller.
//!
//! A whole program:
//!
//! ```no_run
//! use attache_host::prelude::*;
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct SetTarget {
//!     /// degrees Celsius
//!     #[schemars(range(min = 5, max = 30))]
//!     celsius: f64,
//! }
//!
//! async fn set_target(target: SetTarget, ctx: Ctx) -> Result<String, ToolError> {
//!     ctx.progress(0.0, Some(1.0), Some("heating")).await;
//!     Ok(format!("target is {} °C", target.celsius))
//! }
//!
//! # #[cfg(feature = "axum")]
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let server = Server::new("thermostat", "1.0").tool("set_target", "Set the target temperature", set_target);
//!     let router: axum::Router = server.routes();
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     axum::serve(listener, router).await
//! }
//! # #[cfg(not(feature = "axum"))]
//! # fn main() {}
//! ```
//!
//! Where to start:
//!
//! | For | See |
//! |---|---|
//! | tools | [`ServerBuilder::tool`], [`tools!`], [`Tool`] |
//! | results and errors | [`IntoToolOutput`], [`Json`], [`ToolError`], [`OrUser`] |
//! | values of the program in handlers | [`with`], [`ServerBuilder::state`] |
//! | the caller, questions, progress, log | [`Ctx`] |
//! | prompts, resources, completion | [`Prompt`], [`Resource`] |
//! | authentication | [`auth`] |
//! | tests | [`testing`] |
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
//! - `authorization-server`: an OAuth authorization server, `authorization_server::AuthorizationServer`, and sign-in pages for people with
//!   a browser, `sign_in::SignIn`.
//! - `client`: a client for MCP servers, `client::Client`; and the supervision of child processes, `children::Supervision`.
//! - `oauth-client`: sign-in for the client, `client::SignIn`; tokens for other servers, `downstream::Downstream`.
//! - `files`: tools, prompts and resources from the files of a directory, `files::ToolFiles` and the like.
//! - `functions`: a backend that runs function apps, `functions::App`.
//! - `proxy`: any HTTP application behind the access checks, as it is, `proxy::Proxy`.
//! - `metrics`: `observe::Metrics`, for Prometheus.
//! - `traces`: `observe::Traces`, spans of OpenTelemetry.
//!
//! With default features off the crate is a tower service, [`http::McpService`], and a serving function for standard input and
//! output, [`stdio::serve`]. The program `attache` is the package `attache`.

// Marks the items that need a feature, on docs.rs.
#![cfg_attr(docsrs, feature(doc_cfg))]

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
#[cfg(feature = "oauth-client")]
pub mod downstream;
mod engine;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "functions")]
pub mod functions;
pub mod http;
#[cfg(any(feature = "discovery", feature = "client"))]
mod https;
pub mod limits;
#[cfg(feature = "oauth-client")]
mod oauth;
pub mod observe;
mod offer;
pub mod policy;
pub mod prelude;
#[cfg(feature = "serve")]
pub mod private_file;
#[cfg(feature = "authorization-server")]
mod provider;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "serve")]
pub mod serve;
mod session;
#[cfg(feature = "authorization-server")]
pub mod sign_in;
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
