//! What a handler is called with.

use super::Arguments;
use crate::auth::Authenticated;
use crate::era::Version;

/// One call of a tool: which, with what, by whom.
#[derive(Clone, Copy, Debug)]
pub struct Call<'b> {
    tool: usize,
    version: Version,
    arguments: Arguments<'b>,
    who: &'b Authenticated<'b>,
}

impl<'b> Call<'b> {
    pub(crate) const fn new(
        tool: usize,
        version: Version,
        arguments: Arguments<'b>,
        who: &'b Authenticated<'b>,
    ) -> Self {
        Self { tool, version, arguments, who }
    }

    /// The number of the tool in the server's table.
    pub const fn tool(&self) -> usize {
        self.tool
    }

    /// The revision of the protocol that the caller speaks.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The arguments.
    pub const fn arguments(&self) -> Arguments<'b> {
        self.arguments
    }

    /// Who calls.
    pub const fn who(&self) -> &'b Authenticated<'b> {
        self.who
    }
}
