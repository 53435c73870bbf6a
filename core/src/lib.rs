//! An MCP server engine without std, without allocation and without I/O.
//!
//! Bytes of a message go in, small values come out: *run this tool*, *send this*, *nothing to do*. The engine keeps no
//! reference to your bytes, calls none of your code, and has no clock; sockets, tasks and deadlines belong to whoever
//! drives it. So the same code answers on a microcontroller and in a cloud host.
//!
//! ```text
//! bytes → json → rpc → era → http (agree) → mcp → auth (scope) → exchange ⇢ your tool
//! bytes ←──────────────── exchange (reply) ←────── tool (output) ←──────── result ⇠┘
//! ```
//!
//! A module imports from modules to its left only:
//! `limits | json | rpc seal | era | auth | http | tool | mcp | exchange testing | http1 | line | embassy`.
//!
//! # Example
//!
//! ```
//! use attache_core::auth::{Access, Authenticated};
//! use attache_core::exchange::{Origin, answer};
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
//!     let reply = answer(&SERVER, &who, Origin::Line(None), body, &mut out, |call, output| {
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
//! None is on by default, and none changes what another part does. `embassy`: the async driver for serial lines.
//! `embassy-net`: the one for HTTP.
//! `http1`: HTTP/1.1 on the wire, for devices. `seal`: values that come back unchanged or not at all. `rs256`, `es256`, `eddsa`:
//! signatures of tokens by these algorithms. `heapless`: its strings and vectors as arguments. `serde-json-core`: arguments and results of
//! types of serde. `journal`: what a device remembers across restarts. `defmt`: its `Format` for the public types. `defmt` or `log`: a word where a driver refuses,
//! cuts or denies; `log` goes first where both are on.
//!
//! # What it is not
//!
//! No client, no JSON document model, no scheduler. Message bodies are read whole: a body larger than
//! the buffer for it is refused, never read in pieces.
#![no_std]

#[macro_use]
mod log;

pub mod auth;
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
