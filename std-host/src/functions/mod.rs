//! Function apps as backends: tools, resources and prompts that are functions with MCP triggers, written for a
//! function platform in Python, Node.js, .NET and other languages.
//!
//! An [`App`] runs a directory as it is, without the platform. A worker process loads the app and runs its
//! functions. The protocol between the two is FunctionRpc: gRPC over HTTP/2, on a loopback port that only
//! processes of the same user can use. Workers of the platform are used where they are installed; for Python and Node.js there
//! are small workers in this crate, which need only the library of the app (`azure-functions`, `@azure/functions`).
//!
//! ```no_run
//! use attache_host::Server;
//! use attache_host::functions::App;
//!
//! # async fn example() -> Result<(), Box<dyn core::error::Error>> {
//! let app = App::at("weather-app")?.start().await?;
//! let router: axum::Router = Server::new("weather", "1.0").backend("", app).routes();
//! # let _ = router;
//! # Ok(())
//! # }
//! ```

mod app;
mod binding;
mod context;
mod custom;
#[cfg(feature = "oauth-client")]
mod downstream;
mod endpoint;
mod frames;
mod function;
mod function_json;
mod headers;
mod http_call;
mod http_cookie;
mod http_trigger;
pub mod limits;
mod lines;
mod link;
mod messages;
mod peer;
mod pool;
mod process;
mod refused;
mod results;
mod route;
mod route_constraint;
mod runtime;
mod schema;
mod served;
mod settings;
mod start;
mod watch;

pub use app::{App, AppBuilder, StartError};
#[cfg(feature = "axum")]
pub(crate) use headers::relayed;
pub use headers::{WithHeaders, WithHeadersLayer};
pub use http_call::HttpCall;
pub use http_trigger::{HttpFunction, HttpLevel};
pub use runtime::worker_runtime;
pub use settings::{AppSettings, HostFile, InvalidApp, object as json_file};

#[cfg(feature = "proxy")]
pub(crate) use {
    app::handler_error,
    process::Launch,
    served::{Address, Recipe, Served, Told},
    start::fresh_id,
};

use attache_core::tool::Level;

/// The level of a log message of a worker.
// FunctionRpc, RpcLog.Level: Trace 0, Debug 1, Information 2, Warning 3, Error 4, Critical 5.
const fn level(level: i32) -> Level {
    match level {
        2 => Level::Info,
        3 => Level::Warning,
        4 => Level::Error,
        5 => Level::Critical,
        _ => Level::Debug,
    }
}
