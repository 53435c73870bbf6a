//! Other processes of the same server (replicas), for requests that belong to a call or a stream in one of them.
//!
//! Processes with the same [seal keys](crate::ServerBuilder::seal_keys) serve each other's sessions and retries. Four kinds of requests need the
//! one process that runs a call: a legacy client cancels it, answers a question of it, or resumes its stream, and a modern client
//! retries a call that waits for answers. A process that gets such a request and does not know the call asks the others through
//! [`Neighbours`]. Without neighbours it refuses the request, as a load balancer with session affinity prevents.
//!
//! An implementation carries two values, which it serialises with serde: [`Request`] to another process, where [`Local::serve`] answers
//! it, and each [`Part`] of the answer back.
//!
//! ```
//! use attache_host::neighbours::{Local, Missed, Neighbours, Reply, Request};
//! use std::sync::{Arc, Mutex};
//!
//! /// The processes that this one knows; here they are servers in the same program.
//! #[derive(Clone, Default)]
//! struct Known(Arc<Mutex<Vec<Local>>>);
//!
//! impl Neighbours for Known {
//!     fn attach(&self, local: Local) {
//!         self.0.lock().expect("no panic").push(local);
//!     }
//!
//!     fn ask(&self, request: Request) -> Reply<'_> {
//!         let known = self.0.lock().expect("no panic").clone();
//!         Box::pin(async move {
//!             let home = known.iter().find(|local| local.home() == request.home());
//!             home.ok_or(Missed::Unreached)?.serve(request)
//!         })
//!     }
//! }
//!
//! # use attache_host::Server;
//! let known = Known::default();
//! let replica = || Server::new("gate", "1").seal_keys([[7; 32]]).neighbours(known.clone());
//! # let _ = (replica().build(), replica().build());
//! ```

mod forward;
mod local;
mod message;

use core::future::ready;
use core::pin::Pin;
pub(crate) use forward::resume;
pub use local::Local;
pub use message::{Missed, Part, Parts, Request};

/// The other processes of a server.
///
/// Processes trust each other's requests: carry them over authenticated and encrypted connections alone.
pub trait Neighbours: Send + Sync + 'static {
    /// Takes the handle by which this process serves the requests of others. Called once, when the server is built.
    fn attach(&self, local: Local);

    /// Sends a request to the process that it is for ([`Request::home`]), and returns the answer of [`Local::serve`] there. Where a load
    /// balancer spreads the requests of one session over processes, other processes may run calls of the session too: ask them if the
    /// first one answers [`Missed::Unknown`].
    fn ask(&self, request: Request) -> Reply<'_>;
}

/// The outcome of a request to another process.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<Parts, Missed>> + Send + 'a>>;

/// The default: this process is the only one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Neighbours for Alone {
    fn attach(&self, _: Local) {}

    fn ask(&self, _: Request) -> Reply<'_> {
        Box::pin(ready(Err(Missed::Unreached)))
    }
}
