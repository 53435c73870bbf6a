//! An MCP server engine without std, without allocation and without I/O.
//!
//! The caller passes in the bytes of a message and gets a small value back: *run this tool*, *send
//! this*, or *nothing to do*. The engine keeps no reference to the bytes, calls no application
//! code, and has no clock; sockets, tasks and deadlines belong to the driver. So the same code runs
//! on a microcontroller and in a cloud host.
//!
//! ```text
//! bytes → json → rpc → era → http (agree) → mcp → auth (scope) → exchange ⇢ your tool
//! bytes ←──────────────── exchange (reply) ←────── tool (output) ←──────── result ⇠┘
//! ```
//!
//! A module imports only from modules to its left:
//!
//! ```text
//! limits | json | rpc seal | era | auth | http | tool | mcp | exchange testing | client | http1 | line | embassy
//! ```
//!
//! # Example
//!
//! ```
//! use attache_core::auth::{Access, Authenticated};
//! use attache_core::exchange::{Carrier, answer};
//! use attache_core::json::{Slice, Text};
//! use attache_core::mcp::Server;
//! use attache_core::tool::{Output, Tables, ToolResult};
//!
//! attache_core::args! { pub struct Echo<'a> { /** what to say */ text: Text<'a> } }
//! attache_core::tools! { pub mod parrot for Parrot {
//!     /// Say it again
//!     #[read_only] fn echo(Echo<'_>);
//! } }
//!
//! pub struct Parrot;
//! impl Parrot {
//!     fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
//!         out.text_with(|block| block.echo(said.text))
//!     }
//! }
//!
//! static OFFERS: Tables<'static> = Tables::of_tools(parrot::TOOLS);
//! static SERVER: Server<'static> = Server::new("parrot", "1.0", &OFFERS);
//!
//! fn main() {
//!     let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{
//!         "name":"echo","arguments":{"text":"hello"},"_meta":{
//!         "io.modelcontextprotocol/protocolVersion":"2026-07-28",
//!         "io.modelcontextprotocol/clientCapabilities":{}}}}"#;
//!     let mut buffer = [0; 512];
//!     let mut out = Slice::new(&mut buffer);
//!     let who = Authenticated::anonymous(&Access::Anonymous);
//!     let reply = answer(&SERVER, &who, Carrier::Line(None), body, &mut out, |call, output| {
//!         parrot::dispatch(&Parrot, call, output)
//!     });
//!     let reply = reply.expect("a request is answered");
//!     let mut sent = [0; 512];
//!     let len = reply.emit(&SERVER, body, out.written()).fill(&mut sent);
//!     assert!(sent[..len].starts_with(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]"#));
//! }
//! ```
//!
//! # Features
//!
//! These are on by default; a small image leaves them out with `default-features = false`. The
//! server then does not declare the capability, and answers its requests as unknown methods.
//!
//! - `batches`: several messages in one array, which only revision 2025-03-26 has.
//! - `completions`: completion of the arguments of prompts and resource templates.
//! - `progress`: progress and log messages of a running call.
//! - `prompts`: prompts.
//! - `subscriptions`: notifications when a list or a resource has changed.
//!
//! The others are off by default. No feature changes the behaviour of another.
//!
//! - `client`: the messages of a client, without I/O.
//! - `embassy`: the async driver for serial lines. It needs an implementation of critical-section.
//! - `embassy-net`: the async driver for HTTP. It needs a time driver.
//! - `http1`: HTTP/1.1 on the wire, for devices.
//! - `seal`: sealed values, such as session ids, which the server accepts only unchanged.
//! - `rs256`, `es256`, `eddsa`: token signatures with these algorithms.
//! - `provision`: configuration of a device in a page of its flash.
//! - `journal`: the state of a device that survives a restart, in two sectors of its flash.
//! - `heapless`: `heapless::String` and `heapless::Vec` as arguments and in results.
//! - `serde-json-core`: arguments and results of types with serde.
//! - `sntp`: the time of day from a time server.
//! - `defmt`: `defmt::Format` for the public types, and warnings where a driver refuses or ends
//!   something.
//! - `log`: the same warnings through `log`, which takes precedence over `defmt`.
//!
//! # Limitations
//!
//! The crate contains no JSON document model and no scheduler. It reads message bodies
//! whole: a body larger than its buffer is refused, never read in pieces.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

#[macro_use]
mod log;

pub mod auth;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "embassy")]
pub mod embassy;
pub mod era;
pub mod exchange;
pub mod http;
#[cfg(feature = "http1")]
pub mod http1;
#[cfg(feature = "journal")]
pub mod journal;
pub mod json;
pub mod limits;
pub mod line;
pub mod mcp;
pub mod prelude;
#[cfg(feature = "provision")]
pub mod provision;
pub mod rpc;
#[cfg(feature = "seal")]
pub mod seal;
pub mod testing;
pub mod tool;
