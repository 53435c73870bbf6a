//! A client in memory, for tests of a server's tools: no socket and no port.
//!
//! ```
//! use attache_host::auth::Caller;
//! use attache_host::testing::{Answer, Client};
//! use attache_host::{Ctx, NoArgs, OrUser, Server, Tool};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Confirm {
//!     sure: bool,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let clear = Tool::new("clear", "Delete all notes", async |_: NoArgs, ctx: Ctx| {
//!     ctx.elicit_as::<Confirm>("confirm", "Delete all notes?")?.filter(|answer| answer.sure).or_user("not agreed")?;
//!     Ok("deleted")
//! });
//! let server = Server::new("notes", "1.0").with_tool(clear.scope("notes.write"));
//!
//! let mut client = Client::of(server)
//!     .caller(Caller::new("ada").with_scope("notes.write"))
//!     .answers(|question| {
//!         assert_eq!(question.message(), "Delete all notes?");
//!         Answer::accept(json!({"sure": true}))
//!     });
//! let result = client.call("clear", json!({})).await.expect("a result");
//! assert_eq!(result["content"][0]["text"], "deleted");
//! # }
//! ```

mod client;
mod pipe;
mod question;

pub use client::Client;
pub use question::{Answer, Question};

#[cfg(test)]
mod tests;
