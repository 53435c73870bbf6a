//! The library as an author uses it.

#[cfg(feature = "authorization-server")]
mod authorization_server;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod client_connections;
#[cfg(feature = "client")]
mod client_liars;
#[cfg(all(feature = "client", unix))]
mod client_process;
#[cfg(feature = "client")]
mod client_rules;
#[cfg(feature = "oauth-client")]
mod client_sign_in;
mod custom_auth;
mod handlers;
#[cfg(feature = "client")]
mod hostile;
mod http;
mod layers;
mod limits;
#[cfg(target_os = "linux")]
mod memory;
mod mistakes;
mod results;
#[cfg(feature = "authorization-server")]
mod sign_in;
mod state;
mod stdio;
mod tools;
