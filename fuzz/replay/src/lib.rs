//! The checks of the fuzz targets: one function for each target, which takes any bytes and panics
//! if the engine breaks a rule.
//!
//! The functions are in this crate and not in the targets so that `cargo test` replays every seed
//! without nightly and without libFuzzer. Each function compares the engine with a second reader
//! that shares no code with it: serde_json, exact decimal arithmetic on strings, or a slow model of
//! the same rules.

mod application;
mod arguments;
mod auth_json;
mod client;
mod decimal;
mod document;
mod envelope;
mod exchange;
mod headers;
mod http1;
mod json;
mod key;
mod lines;
mod listen;
mod schema;
mod sessions;
mod state;
mod token;

pub use arguments::arguments;
pub use auth_json::auth_json;
pub use client::client;
pub use envelope::envelope;
pub use exchange::exchange;
pub use headers::headers;
pub use http1::http1;
pub use json::json;
pub use key::key;
pub use lines::lines;
pub use listen::listen;
pub use sessions::sessions;
pub use state::state;
pub use token::token;
