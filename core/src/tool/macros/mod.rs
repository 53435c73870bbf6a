//! The declarations: name, description, schema, hints and handler of a tool are written once, and everything else follows.

mod args;
mod common;
mod dispatch;
mod explain;
mod prompts;
mod resources;
mod results;
mod tools;
