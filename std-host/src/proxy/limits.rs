//! The limits of the proxy, each with its reason.

use core::time::Duration;

/// The time without activity after which an exchange ends: no byte of the request or of the answer, and no byte of an upgraded
/// connection. The platform's proxy has the same timeout.
pub const IDLE_TIME: Duration = Duration::from_secs(240);

/// The time in which a connection to the application has to be made. An application on the same machine answers at once or not at all.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);

/// The time after which an unused connection to the application is closed. Node.js and uvicorn close theirs after 5 seconds, and a
/// request that is sent at that moment is lost.
pub const POOL_IDLE_TIME: Duration = Duration::from_secs(4);

/// Unused connections to the application that are kept. More are closed when their answer has ended.
pub const POOL_IDLE: usize = 64;

/// The time that a request waits for an application that is being started again.
pub const WAIT_TIME: Duration = Duration::from_secs(10);

/// Largest head of an answer, in bytes. Heads of requests have a limit of the same size.
pub const HEAD: usize = 64 * 1024;

/// Most header fields of an answer.
pub const FIELDS: usize = 200;

/// Bytes that each direction of an upgraded connection buffers.
pub const TUNNEL_BUFFER: usize = 8 * 1024;

/// Tools of one application whose annotations are remembered for `read_only`. Further ones count as tools that write.
pub const ANNOTATIONS: usize = 10_000;
