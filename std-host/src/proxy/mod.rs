//! A reverse proxy: any HTTP application behind the access checks, as it is.
//!
//! A [`Proxy`] passes requests and answers on without buffering them. [`Routes`] puts the checks in front of it, which may differ by
//! path. The application gets the caller in the fields that the platform's built-in authorization sets (`X-MS-CLIENT-PRINCIPAL`), and
//! a client cannot set these fields itself, in any spelling. `docs/gate.md` has the table of what passes and what does not.
//!
//! ```no_run
//! use attache_host::auth::{Auth, Keys};
//! use attache_host::http::Door;
//! use attache_host::proxy::{Proxy, RoutePattern, Routes, Upstream};
//! use attache_host::serve::{Listener, serve};
//!
//! # async fn run() -> Result<(), Box<dyn core::error::Error>> {
//! let proxy = Proxy::new(Upstream::url("http://127.0.0.1:3000")?);
//! let keys = Keys::new([("ops", "0123456789abcdef0123456789abcdef")])?;
//! let routes = Routes::new(proxy, Door::new(Auth::keys(keys))).route(RoutePattern::parse("/public/*")?, Door::open());
//! let router = axum::Router::new().fallback_service(routes);
//! serve(Listener::tcp("127.0.0.1:8080".parse()?).await?, router).await;
//! # Ok(())
//! # }
//! ```

mod activity;
mod answer;
mod child;
mod fields;
pub mod limits;
mod mcp;
mod path;
mod pattern;
mod principal;
mod refused;
mod request;
mod routes;
mod service;
mod tunnel;
mod upstream;

pub use child::{AppCommand, RunningApp};
pub use pattern::{InvalidPattern, RoutePattern};
pub use routes::Routes;
pub use service::Proxy;
pub use upstream::{InvalidUrl, Upstream};

/// An error of the HTTP library.
type BoxError = Box<dyn core::error::Error + Send + Sync>;
