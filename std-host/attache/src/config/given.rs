//! A value as an operator has written it.

use crate::fault::Origin;
use core::fmt;

/// A value in its written form, with its source.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// One text, or the entries of a list.
    pub(crate) texts: Vec<String>,
    pub(crate) origin: Origin,
}

// Does not print the texts, which may be secret.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("origin", &self.origin).finish_non_exhaustive()
    }
}
