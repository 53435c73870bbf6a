//! Proof that the door has been passed.

use core::marker::PhantomData;

/// How a server tells its callers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// It does not: anybody who reaches it may call.
    Anonymous,
}

/// A caller who was let in. Borrows from the request that proved who he is.
#[derive(Debug)]
pub struct Authenticated<'h> {
    proof: PhantomData<&'h [u8]>,
}

impl Authenticated<'_> {
    /// Lets anybody in, because `access` says so. The same door serves a pipe or a serial line, where whoever holds the
    /// other end was let in by the operating system or by the cable (MCP basic/index: stdio uses no OAuth).
    pub const fn anonymous(access: &Access) -> Self {
        match access {
            Access::Anonymous => Self { proof: PhantomData },
        }
    }

    /// Tells the caller from all others, across requests: what one of them was given is bound to it. Empty for an anonymous
    /// caller.
    pub const fn identity(&self) -> &[u8] {
        b""
    }
}
