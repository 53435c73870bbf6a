//! The declaration macros: the application writes name, description, schema, hints and handler of a
//! tool once, and the macros produce the rest.

mod args;
mod common;
mod dispatch;
mod explain;
mod prompts;
mod resources;
mod results;
mod tools;
